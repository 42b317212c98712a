"""Dendrograms of mixing measures: atoms of one fit merged from K to one, and the number of experts read off them."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logsumexp

from .estimators.checks import check_fitted, warn_of_small_weights
from .likelihood import Likelihood


@dataclass(frozen=True)
class Atoms:
    """The mixing measure of a softmax-gated Gaussian mixture of experts: K atoms, atom k with the weight exp(b_k).

    Attributes
    ----------
    b : ndarray of shape (K,)
        Gate intercepts at the mean of x, log sum exp(b) = 0.
    w : ndarray of shape (K, columns)
        Gate slopes.
    a, c, v : ndarray of shape (K, columns), (K,), (K,)
        Slopes, intercepts at the mean of x, and variances of the experts.
    """

    b: np.ndarray
    w: np.ndarray
    a: np.ndarray
    c: np.ndarray
    v: np.ndarray

    @classmethod
    def of(cls, model, theta):
        """From theta in scaled coordinates, in which x and y are standardised."""
        named, exponent = model.unpack(theta), model.gate.link.exponent
        b, w = exponent * named["gate_intercept"], exponent * named["gate_coef"]
        return cls(b - logsumexp(b), w, named["coef"], named["intercept"], named["sigma"] ** 2)

    def theta(self, model):
        """theta in scaled coordinates, of a model of so many experts."""
        gate = np.column_stack([self.w, self.b]) / model.gate.link.exponent
        experts = np.column_stack([self.a, self.c, np.ones(len(self.v))]) / np.sqrt(self.v)[:, None]
        scores = model.gate.scores
        return model.join(scores.permute(gate, range(len(gate)), len(gate)), experts)

    def merged(self, i, j):
        """The measure with atom j > i merged into atom i: weights add, all else is averaged by them."""
        share = expit(self.b[i] - self.b[j])

        def average(values):
            out = np.delete(values, j, axis=0)
            out[i] = share * values[i] + (1 - share) * values[j]
            return out

        b = np.delete(self.b, j)
        b[i] = np.logaddexp(self.b[i], self.b[j])
        return Atoms(b, *map(average, (self.w, self.a, self.c, self.v)))


def slopes(atoms):
    """Dissimilarities (K, K) with the gate slopes: (|dw|^2 + dc^2 + sqrt(|da|^2 + dv^2)) / (exp(-b_i) + exp(-b_j))."""
    return _dissimilarity(atoms, _squares(atoms.w) + _squares(atoms.c))


def plain(atoms):
    """Dissimilarities (K, K) without the gate slopes: (dc^2 + sqrt(|da|^2 + dv^2)) / (exp(-b_i) + exp(-b_j))."""
    return _dissimilarity(atoms, _squares(atoms.c))


def _dissimilarity(atoms, slow):
    scale = -np.logaddexp(-atoms.b[:, None], -atoms.b)
    return np.exp(scale) * (slow + np.sqrt(_squares(atoms.a) + _squares(atoms.v)))


def _squares(values):
    """Squared distances between the rows of (K, ...), (K, K)."""
    values = values.reshape(len(values), -1)
    return np.sum((values[:, None] - values) ** 2, axis=-1)


DISSIMILARITIES = {"slopes": slopes, "plain": plain}


@dataclass(frozen=True, eq=False)
class Dendrogram:
    """The merges of one fit's K experts, and what they say about the number of experts.

    Attributes
    ----------
    sizes : ndarray of shape (K,)
        Numbers of atoms kappa: K, K - 1, ..., 1.
    linkage : ndarray of shape (K - 1, 4)
        Merges as in `scipy.cluster.hierarchy`: the two clusters, their dissimilarity, the number of experts joined.
        Heights need not rise from merge to merge.
    heights : ndarray of shape (K - 1,)
        h(kappa), the smallest dissimilarity among kappa atoms, for kappa = K..2.
    loglik : ndarray of shape (K,)
        Log-likelihood of the merged measure, not refitted, for kappa = K..1.
    dsc : ndarray of shape (K - 1,)
        Dendrogram selection criterion for kappa = K..2: smaller is better.
    dissimilarity : str
    thetas : tuple of ndarray
        Parameters of the merged models in user units, for kappa = K..1.
    """

    sizes: np.ndarray
    linkage: np.ndarray
    heights: np.ndarray
    loglik: np.ndarray
    dsc: np.ndarray
    dissimilarity: str
    thetas: tuple

    def __repr__(self):
        return f"<Dendrogram: {self.n_experts} experts, merged from {self.sizes[0]} ({self.dissimilarity})>"

    @property
    def n_experts(self):
        """The number of experts with the smallest criterion, at least 2."""
        return int(self.sizes[np.argmin(self.dsc)])

    def merged(self, kappa):
        """Parameters of the merged model of kappa experts, a start for its fit.

        Parameters
        ----------
        kappa : int
            1..K.

        Returns
        -------
        ndarray of shape (p,)
            In user units; `MoERegressor(kappa, init=theta)` climbs from it.
        """
        if kappa not in self.sizes:
            raise ValueError(f"kappa expects a number of experts from 1 to {self.sizes[0]}, got {kappa!r}.")
        return self.thetas[self.sizes[0] - int(kappa)].copy()

    def to_frame(self):
        """One row for each kappa, K..1: `height`, `loglik` and `dsc`, NaN for one expert where they do not exist."""
        import pandas as pd

        columns = {"height": [*self.heights, np.nan], "loglik": self.loglik, "dsc": [*self.dsc, np.nan]}
        return pd.DataFrame(columns, index=pd.Index(self.sizes, name="n_experts"))


def dendrogram(estimator, X, y, sample_weight=None, dissimilarity="slopes"):
    """Merge the experts of one over-sized fit step by step, and choose their number without any refit.

    The atoms of the fitted measure, expert k with the weight exp(b_k), are merged greedily from K to one, the two with
    the smallest dissimilarity first: weights add, and w, a, c and the variance v are averaged by them. With h(kappa)
    the smallest dissimilarity among kappa atoms, the number of experts is the kappa in K..2 that minimises

        DSC(kappa) = -(h(kappa) + log(n) * mean log-likelihood of the merged measure).

    Parameters
    ----------
    estimator : MoERegressor
        Fitted, with Gaussian experts, K >= 2, and a gate proportional to exp(w_k'x + b_k): softmax or dense-to-sparse.
    X : array-like of shape (n, d)
        The data of the fit.
    y : array-like of shape (n,)
    sample_weight : array-like of shape (n,), optional
        Frequencies; n is their sum.
    dissimilarity : {"slopes", "plain"}, default="slopes"
        (|dw|^2 + dc^2 + sqrt(|da|^2 + dv^2)) / (exp(-b_i) + exp(-b_j)), or the same without the gate slopes |dw|^2.

    Returns
    -------
    Dendrogram
        `n_experts`, `dsc`, `heights`, `loglik`, `linkage` and the starts `merged(kappa)`.

    Raises
    ------
    ValueError
        For other experts and gates, for one expert, and for unknown dissimilarities.

    Notes
    -----
    A common constant in all b would scale every height, and units of x and y would change them, so both are fixed: x
    and y are standardised as in the fit, b_k is the score at the mean of x, and sum_k exp(b_k) = 1. The mean
    log-likelihood in the criterion is that of the standardised response; `loglik` is in units of y, as `loglik_` is.

    The criterion has no value for one expert: test that with BIC. Merged models are not maxima; refit the one chosen.

    References
    ----------
    .. [1] Hai, Mai, Nguyen, Ho, Nguyen & Drovandi (2025), Dendrograms of mixing measures for softmax-gated Gaussian
       mixture of experts: consistency without model sweeps, arXiv:2510.12744. The term |dw|^2 matches the grouping of
       its loss; the gauge and the units are choices of this library.

    Examples
    --------
    >>> import numpy as np
    >>> from moegate import MoERegressor, dendrogram
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-2, 2, (1000, 1))
    >>> first = rng.random(1000) < 1 / (1 + np.exp(-3 * X[:, 0]))
    >>> y = np.where(first, 1 + X[:, 0], -2 * X[:, 0]) + 0.3 * rng.standard_normal(1000)
    >>> moe = MoERegressor(n_experts=4, n_init=3, random_state=0).fit(X, y)
    >>> tree = dendrogram(moe, X, y)
    >>> tree.n_experts
    2
    >>> refit = MoERegressor(2, init=tree.merged(2)).fit(X, y)
    >>> refit.certificate_["kind"]
    'interior'
    """
    check_fitted(estimator)
    _check(estimator, dissimilarity)
    likelihood = estimator.likelihood(X, y, sample_weight)
    warn_of_small_weights(likelihood.rows.weight)
    model, rows = estimator.model_, likelihood.rows
    atoms = Atoms.of(model, model.to_scaled(estimator.theta_, rows.units))
    measures, linkage = merges(atoms, DISSIMILARITIES[dissimilarity])
    models = [replace(model, n_experts=len(measure.b)) for measure in measures]
    thetas = [measure.theta(m) for measure, m in zip(measures, models)]
    loglik = np.array([Likelihood(m, rows).value(theta) for theta, m in zip(thetas, models)])
    heights, n = linkage[:, 2], rows.total_weight
    standardised = loglik[:-1] / n + np.log(rows.units.y_scale)
    return Dendrogram(
        sizes=np.arange(len(models), 0, -1),
        linkage=linkage,
        heights=heights,
        loglik=loglik,
        dsc=-(heights + np.log(n) * standardised),
        dissimilarity=dissimilarity,
        thetas=tuple(m.to_user(theta, rows.units) for theta, m in zip(thetas, models)),
    )


def merges(atoms, dissimilarity):
    """Measures of K..1 atoms, and the merges between them as a linkage (K - 1, 4)."""
    measures, rows = [atoms], []
    names, counts = list(range(len(atoms.b))), [1] * len(atoms.b)
    while len(names) > 1:
        apart = dissimilarity(measures[-1])
        apart[np.tril_indices(len(names))] = np.inf
        i, j = np.unravel_index(np.argmin(apart), apart.shape)
        count = counts[i] + counts.pop(j)
        rows.append([*sorted((names[i], names.pop(j))), apart[i, j], count])
        names[i], counts[i] = len(atoms.b) + len(rows) - 1, count
        measures.append(measures[-1].merged(i, j))
    return measures, np.array(rows, dtype=float)


def _check(estimator, dissimilarity):
    """What the merging needs: Gaussian experts, exp(affine) gates, two experts, a known dissimilarity."""
    model, other = estimator.model_, "choose the number of experts with select_n_experts(criterion='bic')."
    if dissimilarity not in DISSIMILARITIES:
        raise ValueError(f"dissimilarity expects one of {sorted(DISSIMILARITIES)}, got {dissimilarity!r}.")
    if not model.experts.quadratic:
        raise ValueError(f"dendrogram expects Gaussian experts, got experts={estimator.experts!r}; {other}")
    if not (model.gate.scores.linear and model.gate.scores.invariant) or model.gate.link.exponent is None:
        raise ValueError(
            "dendrogram expects a gate proportional to exp(w_k'x + b_k), softmax or dense_to_sparse, "
            f"got gate={estimator.gate!r}; {other}"
        )
    if model.n_experts < 2:
        raise ValueError("dendrogram expects two or more experts to merge, got one; fit more than you expect to need.")
