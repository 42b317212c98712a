"""Penalties with corners, under which slopes become exactly zero: lasso, elastic net, group lasso."""

from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator

from .coordinates import Sparse
from .quadratic import Ridge, check_strengths
from .raw import raw, tied


class Lasso(BaseEstimator):
    """Lasso: alpha times the sum of absolute slopes, subtracted from the mean log-likelihood.

    Slopes count per standard deviation of their column; intercepts and scales are free. Gaussian slopes count in units
    of the expert's own scale, a_k / sigma_k, which makes the estimate equivariant under changes of the response's unit
    (Stadler et al. 2010). No expert and no class is the reference: of K rows that are identified up to a translation
    the penalty is the smallest over translations, at their median.

    Parameters
    ----------
    alpha : float, default=0.01
        Strength for the experts, at least 0; 0 for experts and gate is no penalty.
    gate_alpha : float, optional
        Strength for the gate; None is `alpha`.
    reference : {None, "last"}, default=None
        "last" takes the last expert's gate row as zero and the penalty of the others' (as the R package RMoE).
    standardize : bool, default=True
        Whether slopes count per standard deviation of their column, or per unit of x.
    scaled : bool, default=True
        Whether Gaussian slopes count as a_k / sigma_k, or as a_k: the latter only with one variance for all experts,
        `MoERegressor(variance="shared")`, since with their own a small variance outweighs any slope. Other families
        have no scale.

    References
    ----------
    .. [1] Tibshirani (1996), Regression shrinkage and selection via the lasso, doi:10.1111/j.2517-6161.1996.tb02080.x.
    .. [2] Stadler, Buhlmann & van de Geer (2010), l1-penalization for mixture regression models,
       doi:10.1007/s11749-010-0197-z.
    .. [3] Huynh & Chamroukhi (2019), Estimation and feature selection in mixtures of generalized linear experts models,
       arXiv:1907.06994.

    Examples
    --------
    >>> import numpy as np
    >>> from moegate import Lasso, MoERegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 20))
    >>> y = 2 * X[:, 0] + rng.standard_normal(100)
    >>> np.flatnonzero(MoERegressor(1, penalty=Lasso(0.3)).fit(X, y).coef_[0])
    array([0])
    """

    sparse = True
    l1_ratio = 1.0

    def __init__(self, alpha=0.01, gate_alpha=None, reference=None, standardize=True, scaled=True):
        self.alpha = alpha
        self.gate_alpha = gate_alpha
        self.reference = reference
        self.standardize = standardize
        self.scaled = scaled

    def check(self):
        """Raise ValueError for strengths below 0 and unknown words."""
        check_strengths(self, "alpha", "gate_alpha")
        if self.reference not in (None, "last"):
            raise ValueError(f'{type(self).__name__} reference expects None or "last", got {self.reference!r}.')

    @property
    def strengths(self):
        """Of the gate and of the experts."""
        return (self.alpha if self.gate_alpha is None else self.gate_alpha), self.alpha

    def at(self, alpha):
        """The same penalty at another strength; the gate's keeps its ratio."""
        ratio = 1.0 if self.gate_alpha is None or not self.alpha else self.gate_alpha / self.alpha
        other = self.__class__(**self.get_params())
        return other.set_params(alpha=alpha, gate_alpha=None if self.gate_alpha is None else ratio * alpha)

    def build(self, model, units, ridge=True):
        """The penalty of a model's parameters in scaled coordinates.

        Parameters
        ----------
        model : MixtureOfExperts
        units : Units
        ridge : bool
            Whether with the ridge part, a dense matrix.

        Returns
        -------
        Sparse
        """
        size = np.ones(len(units.scale)) if self.standardize else 1 / units.scale
        gate, experts = (alpha * self.l1_ratio for alpha in self.strengths)
        one_scale, raw_slopes = getattr(model.experts, "shared", False), model.experts.response and not self.scaled
        if raw_slopes:
            experts = experts * units.y_scale
        parts = [
            _rows(model.gate_free.shape, model.gate_rows, gate * size, gate > 0 and self._over(model), self._shared),
            _rows(
                (model.n_experts, model.experts.n_channels, len(model.predictor_rows)),
                model.expert_rows,
                experts * size,
                experts > 0 and model.experts.n_channels > 1,
                self._shared,
            ),
        ]
        built = Sparse(*_joined(parts), self._ridge(model, units) if ridge else None)
        if raw_slopes:
            return raw(built, model.expert_shape)
        return tied(built, model.expert_shape) if one_scale else built

    _shared = False  # whether a feature's coefficients share one norm

    def _over(self, model):
        """Whether the gate has a row of its own for the last expert: with two, the difference of rows says it all.

        Without a strength there is none either: nothing then fixes the common translation.
        """
        return model.n_experts > 2 and model.gate.scores.reference and self.reference is None

    def _ridge(self, model, units):
        if self.l1_ratio == 1:
            return None
        gate, experts = (alpha * (1 - self.l1_ratio) for alpha in self.strengths)
        return Ridge(experts, gate, self.standardize).build(model, units)


class ElasticNet(Lasso):
    """Elastic net: alpha (l1_ratio sum |slopes| + (1 - l1_ratio) / 2 sum slopes^2), see `Lasso` and `Ridge`.

    Parameters
    ----------
    alpha : float, default=0.01
    l1_ratio : float, default=0.5
        Above 0, at most 1.
    gate_alpha, reference, standardize
        As for `Lasso`; Gaussian slopes count as a_k / sigma_k.

    References
    ----------
    .. [1] Zou & Hastie (2005), Regularization and variable selection via the elastic net,
       doi:10.1111/j.1467-9868.2005.00503.x.
    """

    def __init__(self, alpha=0.01, l1_ratio=0.5, gate_alpha=None, reference=None, standardize=True):
        super().__init__(alpha, gate_alpha, reference, standardize)
        self.l1_ratio = l1_ratio

    def check(self):
        super().check()
        if not isinstance(self.l1_ratio, Real) or not 0 < self.l1_ratio <= 1:
            raise ValueError(f"ElasticNet l1_ratio expects a number in (0, 1], got {self.l1_ratio!r}; 0 is Ridge.")


class GroupLasso(Lasso):
    """Group lasso: alpha times the sum over columns of the norm of their slopes in all experts, and in the gate.

    A column enters all experts or none, and the gate or not. Rows that are identified up to a translation sum to zero.
    With m coefficients of a column its norm is weighted by the square root of m.

    References
    ----------
    .. [1] Yuan & Lin (2006), Model selection and estimation in regression with grouped variables,
       doi:10.1111/j.1467-9868.2005.00532.x.
    """

    _shared = True


def _rows(shape, features, strength, over, shared):
    """Coordinates of one part of the parameters (..., rows, w), the first columns of a row being slopes.

    Returns
    -------
    plus, minus, weights, groups : ndarray
    """
    *outer, m, w = (1, *shape)[-3:] if len(shape) == 2 else shape
    d, weight = len(features) - 1, strength[list(features[:-1])]
    at = np.arange(int(np.prod(outer)) * m * w).reshape(*outer, m, w)
    minus, weights = np.full(at.shape, -1), np.zeros(at.shape)
    weights[..., :d] = weight
    extra = at.size + np.arange(int(np.prod(outer)) * d * over).reshape(*outer, -1)
    if over:
        minus[..., :d] = extra[..., None, :]
    weights = np.concatenate([weights.ravel(), np.tile(weight, extra.size // max(d, 1))])
    groups = np.arange(len(weights))
    if shared and d:
        feature = np.full(at.shape, -1)
        feature[..., :d] = np.arange(d)
        feature = np.concatenate([feature.ravel(), np.tile(np.arange(d), extra.size // d)])
        groups = np.where(feature >= 0, feature + len(weights), groups)
        count = np.bincount(feature[feature >= 0], minlength=d)
        weights = np.where(feature >= 0, weights * np.sqrt(count[feature]), weights)
    return at.ravel(), minus.ravel(), weights, groups


def _joined(parts):
    """Parts one after the other, their coordinates and groups numbered on."""
    plus, minus, weights, groups = [], [], [], []
    start = base = 0
    for p, m, w, g in parts:
        plus.append(p + start)
        minus.append(np.where(m >= 0, m + start, -1))
        weights.append(w)
        groups.append(g + base)
        start, base = start + len(w), base + g.max(initial=-1) + 1
    groups = np.unique(np.concatenate(groups), return_inverse=True)[1]
    return np.concatenate(plus), np.concatenate(minus), np.concatenate(weights), groups
