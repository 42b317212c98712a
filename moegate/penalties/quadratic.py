"""Ridge: a quadratic form in scaled coordinates, which the Likelihood itself subtracts."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
from scipy.linalg import block_diag
from sklearn.base import BaseEstimator


@dataclass(frozen=True)
class Quadratic:
    """The penalty (theta - at)' A (theta - at) / 2, with one block of A for the gate and the same for every expert.

    Parameters
    ----------
    gate : ndarray of shape (g, g)
        For the g free parameters of the gate.
    at : ndarray of shape (g,)
    expert : ndarray of shape (P, P)
    """

    gate: np.ndarray
    at: np.ndarray
    expert: np.ndarray

    def times(self, factor):
        """The same form times a number."""
        return Quadratic(factor * self.gate, self.at, factor * self.expert)

    def _parts(self, theta):
        g = len(self.at)
        return theta[..., :g] - self.at, theta[..., g:].reshape(*theta.shape[:-1], -1, len(self.expert))

    def pulls(self, theta):
        """Gradients by the gate's parameters (..., g) and by the experts' (..., K, P)."""
        gate, experts = self._parts(theta)
        return gate @ self.gate, experts @ self.expert

    def score(self, theta):
        """Gradient (p,)."""
        gate, experts = self.pulls(theta)
        return np.concatenate([gate, experts.ravel()])

    def value(self, theta):
        """The penalty at theta (..., p)."""
        (gate, experts), (by_gate, by_experts) = self._parts(theta), self.pulls(theta)
        return 0.5 * (np.sum(gate * by_gate, axis=-1) + np.sum(experts * by_experts, axis=(-2, -1)))

    def matrix(self, n_experts):
        """A as a whole, (p, p)."""
        return block_diag(self.gate, *[self.expert] * n_experts)


class Ridge(BaseEstimator):
    """Ridge penalty: alpha / 2 times the squared norm of the slopes, subtracted from the mean log-likelihood.

    Slopes count per standard deviation of their column, intercepts and scales are free. No expert and no class is the
    reference: slopes of a softmax-type gate count about their mean over experts, those of a multinomial expert about
    their mean over classes, so that the sum is what the same squares of all centred rows are. Gaussian slopes count in
    units of the expert's own scale, a_k / sigma_k. The centres of a Laplace gate are drawn to the mean of the columns;
    the cosine gate, whose scores are bounded, and a top-1 gate, which does not see a scale, are left free.

    Parameters
    ----------
    alpha : float, default=1e-3
        Strength, at least 0; 0 for experts and gate is no penalty.
        With one multinomial expert of three or more classes it is 1 / (n C) of scikit-learn's
        `LogisticRegression` on standardised columns; with two classes, where scikit-learn penalises the difference of
        the classes' slopes, it is 2 / (n C).
    gate_alpha : float, optional
        Strength for the gate; None is `alpha`.
    standardize : bool, default=True
        Whether slopes count per standard deviation of their column, or per unit of x.

    References
    ----------
    .. [1] Hoerl & Kennard (1970), Ridge regression, doi:10.1080/00401706.1970.10488634.
    .. [2] Hastie, Tibshirani & Friedman (2009), The elements of statistical learning, section 18.3.2,
       doi:10.1007/978-0-387-84858-7.

    Examples
    --------
    >>> import numpy as np
    >>> from moegate import MoEClassifier, Ridge
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array(["no", "no", "yes", "yes"])  # separated
    >>> MoEClassifier(n_experts=1, penalty=Ridge(0.1)).fit(X, y).coef_.round(2)
    array([[[-0.92],
            [ 0.92]]])
    """

    def __init__(self, alpha=1e-3, gate_alpha=None, standardize=True):
        self.alpha = alpha
        self.gate_alpha = gate_alpha
        self.standardize = standardize

    def build(self, model, units):
        """The quadratic form for a model in scaled coordinates.

        Parameters
        ----------
        model : MixtureOfExperts
        units : Units
            Centre and scale of the columns.

        Returns
        -------
        Quadratic
        """
        unit = units.scale if self.standardize else np.ones(len(units.scale))
        on = list(model.gate_rows[:-1])
        A, at = model.gate.ridge(model.n_experts, units.center[on], units.scale[on], unit[on])
        free, gate_alpha = model.gate_free.ravel(), self.alpha if self.gate_alpha is None else self.gate_alpha
        size = np.append((unit / units.scale)[list(model.expert_rows[:-1])], 0.0)
        gate, experts = gate_alpha * A[np.ix_(free, free)], self.alpha * model.experts.ridge(size)
        return Quadratic(gate, at[model.gate_free], experts)

    sparse = False  # no coefficient becomes exactly zero

    def check(self):
        """Raise ValueError unless the strengths are finite numbers of at least 0."""
        check_strengths(self, "alpha", "gate_alpha")


def check_strengths(penalty, *names):
    """Raise ValueError unless the named parameters are finite numbers of at least 0, or None but for the first."""
    for name in names:
        value = getattr(penalty, name)
        if value is None and name != names[0]:
            continue
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real) or not 0 <= value < np.inf:
            kind = type(penalty).__name__
            raise ValueError(f"{kind} {name} expects a finite number >= 0, got {value!r}; 0 is no penalty.")
