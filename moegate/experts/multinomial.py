"""Multinomial logistic experts: y given x and expert k is class r with probability softmax_r(a_kr'x + c_kr)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._kernels import log_softmax, multinomial_pairs
from ._newton import newton_step


class Terms(NamedTuple):
    """What a pass needs of the predictors more than once."""

    eta: np.ndarray  # (..., M - 1, B)
    P: np.ndarray  # probabilities of all classes, (..., M, B)
    total: np.ndarray  # sum of the exponentials, (..., B), whose logarithm lacks `unit`
    unit: np.ndarray


@dataclass(frozen=True)
class Multinomial:
    """Multinomial logistic experts for M classes, the last of which has the predictor zero.

    With eta_r = a_r'x + c_r for r < M - 1 and eta_{M-1} = 0,

        log f(y) = eta_y - log sum_r exp(eta_r),

    concave in the coefficients. One expert has M - 1 channels; its coefficients stand channel after channel, each
    (a_r, c_r). Responses are class codes 0, ..., M - 1, as floats.

    Parameters
    ----------
    n_classes : int
        M, at least 2.

    References
    ----------
    .. [1] Böhning (1992), Multinomial logistic regression algorithm, doi:10.1007/BF00048682.
    .. [2] Jordan & Jacobs (1994), Hierarchical mixtures of experts and the EM algorithm, doi:10.1162/neco.1994.6.2.181.

    Examples
    --------
    >>> import numpy as np
    >>> from moegate.experts.multinomial import Multinomial
    >>> coef = np.array([[1.0, 0.0, -1.0, 0.0]])  # one expert, three classes: rows (slope, intercept) of two channels
    >>> Multinomial(3).probabilities(coef, np.array([[0.0, 2.0], [1.0, 1.0]])).round(3)
    array([[[0.333, 0.867], [0.333, 0.016], [0.333, 0.117]]])
    """

    n_classes: int = 2

    response = False  # the response is not a row of the design
    quadratic = False  # the score needs the residuals
    discrete = True
    direct = True  # densities seldom underflow, so that mixtures need no logarithms
    recedes = True  # where the columns separate classes the maximum lies at infinity
    stacked = True  # takes coefficients and predictors with further axes in front, (S, K, P)

    @classmethod
    def suited(cls, rows, columns):
        """The family for the codes of all classes."""
        return cls(int(rows.largest_response) + 1)

    @property
    def n_channels(self):
        """Linear predictors of one expert, M - 1."""
        return self.n_classes - 1

    def names(self, columns):
        """Names of the parameters of one expert: class code and column."""
        return [f"{r}:{name}" for r in range(self.n_channels) for name in (*columns, "intercept")]

    def admissible(self, coef):
        """Whether all coefficients are finite, one answer for each (K, P)."""
        return np.isfinite(coef).all(axis=(-2, -1))

    def initial(self, shape):
        """All classes equally likely."""
        return np.zeros(shape)

    def rows_needed(self, width):
        """Rows below which an expert with `width` = d + 1 coefficients fits any labels exactly: d + 2."""
        return width + 1

    def suspect(self, coef):
        """Which experts may rest on tied responses: none, ties are what classes are made of, (K,)."""
        return np.zeros(coef.shape[:-1], dtype=bool)

    def degenerate(self, coef, rows, n_rows, width):
        """Which experts rest on so few rows that any labels could be fitted, (K,)."""
        return rows < self.rows_needed(width)

    def on_boundary(self, coef):
        """Which experts sit on the edge of the admissible set: it has none, (K,)."""
        return np.zeros(coef.shape[:-1], dtype=bool)

    def ridge(self, size):
        """Squared slopes about their mean over the M classes, times squared sizes (d + 1,): matrix (P, P)."""
        return np.kron(np.eye(self.n_channels) - 1 / self.n_classes, np.diag(size**2))

    def seen(self, y, offset=None):
        """The response as starts see it: one indicator for each class, (n, M)."""
        return (y[:, None] == np.arange(self.n_classes)).astype(float)

    def base(self, y, units):
        """Logarithm of what all experts' probabilities share: nothing."""
        return 0.0

    def terms(self, eta):
        """What the next three methods need of the predictors (K, M - 1, B), see `Terms`."""
        P, total, unit = _exponentials(eta)
        P *= (1.0 / total)[..., None, :]
        return Terms(eta, P, total, unit)

    def density(self, terms, y):
        """Probabilities (K, B) of the classes y."""
        *stack, M, B = terms.P.shape
        at = y.astype(np.intp) * B + np.arange(B)
        return np.take(terms.P.reshape(*stack, M * B), at, axis=-1, mode="clip")

    def log_prob(self, coef, terms, y):
        """Log-probabilities (K, B) of the classes y."""
        return np.einsum("...rb,rb->...b", terms.eta, self._indicators(y)) - np.log(terms.total) - terms.unit

    def residuals(self, coef, terms, y, overwrite=False):
        """Derivative of log f by the predictors, 1[y = r] - p_r, (K, M - 1, B); `overwrite` what `terms` made."""
        P = terms.P[..., :-1, :]
        return np.subtract(self._indicators(y), P, out=P if overwrite else None)

    def weight_curvature(self, coef, terms, resp):
        """Weights of the complete-data information, resp (p_r delta_rs - p_r p_s) by pairs r <= s, (K, pairs, B)."""
        out = multinomial_pairs(terms.P[..., :-1, :])
        out *= resp[..., None, :]
        return out

    def constant_score(self, coef):
        """Gradient (K, P) of the part of log f that does not depend on the row: there is none."""
        return np.zeros(coef.shape)

    def constant_hessian(self, coef):
        """Hessian (K, P, P) of the part of log f that does not depend on the row: there is none."""
        return np.zeros((*coef.shape, coef.shape[-1]))

    def m_step(self, coef, score, grams, mass):
        """One Newton step from the score (K, P) and the information (K, P, P); an empty expert stays where it is."""
        return coef + newton_step(score, grams, mass, coef.shape[-1] // self.n_channels)

    def _indicators(self, y):
        """1[y = r] without the last class, (M - 1, B)."""
        return (y == np.arange(self.n_channels)[:, None]).astype(float)

    # what people see, in user units

    def _rows(self, coef):
        """Coefficients of all classes, the last zero, (K, M, d + 1)."""
        rows = coef.reshape(len(coef), self.n_channels, -1)
        return np.concatenate([rows, np.zeros_like(rows[:, :1])], axis=1)

    def natural(self, coef):
        """Slopes (K, M, d) and intercepts (K, M), centred over the classes."""
        rows = self._rows(coef)
        rows = rows - rows.mean(axis=1, keepdims=True)
        return {"coef": rows[..., :-1], "intercept": rows[..., -1]}

    def log_probabilities(self, coef, Z):
        """Logarithms of the class probabilities of the experts, (K, M, B), at the design Z = [x, 1]."""
        return log_softmax(self._rows(coef) @ Z)

    def probabilities(self, coef, Z):
        """Class probabilities of the experts, (K, M, B), at the design Z = [x, 1]."""
        return np.exp(self.log_probabilities(coef, Z))

    def log_pdf(self, coef, Z, y):
        """Log-probabilities (K, B) of the classes y (B,)."""
        return self.log_probabilities(coef, Z)[:, np.asarray(y, dtype=int), np.arange(Z.shape[1])]

    def rank(self, coef, Z):
        """What decides the order of experts of equal gate probability, (K, B): that of the likeliest class."""
        return self.log_probabilities(coef, Z).max(axis=1)

    def nodes(self, coef, Z):
        """Pairs of points (K, B) and weights whose sums are means under the experts: the classes."""
        P = self.probabilities(coef, Z)
        return ((np.full(P[:, r].shape, float(r)), P[:, r]) for r in range(self.n_classes))

    def sample(self, coef, Z, expert, rng):
        """One class code per column of Z from the expert chosen for it, (B,): the largest score plus Gumbel noise."""
        scores = np.einsum("brq,qb->br", self._rows(coef)[expert], Z)
        return np.argmax(scores + rng.gumbel(size=scores.shape), axis=1).astype(float)


def _exponentials(eta):
    """Exponentials of all classes (..., M, B), their sum (..., B), and the log of their unit."""
    *stack, c, B = eta.shape
    E, unit = np.empty((*stack, c + 1, B)), 0.0
    with np.errstate(over="ignore"):
        np.exp(eta, out=E[..., :c, :])
    E[..., c, :] = 1.0
    total = np.add.reduce(E, axis=-2)
    if not np.isfinite(total).all():
        unit = np.maximum(eta.max(axis=-2), 0.0)
        np.exp(eta - unit[..., None, :], out=E[..., :c, :])
        E[..., c, :] = np.exp(-unit)
        total = E.sum(axis=-2)
    return E, total, unit
