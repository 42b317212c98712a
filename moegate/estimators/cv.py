"""The strength of a lasso chosen on its path: by held-out rows, or by a criterion."""

import warnings
from numbers import Integral

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedKFold, check_cv
from sklearn.utils.parallel import Parallel, delayed

from . import options
from .checks import check_weight
from .classifier import MoEClassifier
from .collections import in_memory
from .path import CRITERIA, given, lasso_path
from .regressor import MoERegressor


class StrengthChosen:
    """What `MoERegressorCV` and `MoEClassifierCV` share: a path, a choice, and the fit that was chosen."""

    init, warm_start = "auto", False

    def _fit_path(self, X, y, **metadata):
        """Fit the path on all rows, choose a knot, and take over its estimator."""
        if self.criterion not in ("cv", *CRITERIA):
            raise ValueError(f"criterion expects one of {['cv', *CRITERIA]}, got {self.criterion!r}.")
        if not getattr(options.check_penalty(self.penalty), "sparse", False):
            raise ValueError(
                f"{type(self).__name__} expects a penalty that chooses columns, such as 'lasso' or Lasso(), got "
                f"{self.penalty!r}; choose the strength of a Ridge by GridSearchCV over penalty__alpha."
            )
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        base, metadata = self._base(), given(**metadata)
        several = isinstance(self.alphas, Integral)
        strengths = {"n_alphas": options.check_count(self.alphas, "alphas")} if several else {"alphas": self.alphas}
        path = lasso_path(base, X, y, eps=self.eps, **strengths, **metadata)
        scores = self._scores(base, path, X, y, metadata) if self.criterion == "cv" else None
        at = path.best(self.criterion) if scores is None else int(np.argmax(scores["cv_mean_"]))
        best, message = path.chosen(at, relaxed=self.criterion == "relaxed_bic")
        vars(self).update({name: value for name, value in vars(best).items() if name.endswith("_")})
        vars(self).update(scores or {}, path_=path, alphas_=path.alphas, alpha_=float(path.alphas[at]))
        self.best_estimator_ = best
        if message:
            warnings.warn(message, ConvergenceWarning, stacklevel=3)
        return self

    def _base(self):
        """The estimator whose strength is to be chosen."""
        plain = self._plain()
        return plain.set_params(**{name: getattr(self, name) for name in plain.get_params(deep=False)})

    def _scores(self, base, path, X, y, metadata):
        """Mean log-likelihood of the held-out rows by strength and fold, and its mean and standard error."""
        y = np.asarray(y)
        weight = check_weight(metadata.pop("sample_weight", 1.0), len(y))
        tests = folds(self.cv, y, is_classifier(self), self.random_state)
        if len(tests) < 2:
            raise ValueError(f"cv expects two folds or more, got {len(tests)}.")
        check_folds(tests, y, weight, is_classifier(self))
        alone = clone(base).set_params(n_jobs=None)
        tasks = (delayed(_held_out)(alone, X, y, path.alphas, weight, test, metadata) for test in tests)
        scores = np.array(Parallel(n_jobs=self.n_jobs)(tasks)).T
        with np.errstate(invalid="ignore"):
            error = scores.std(axis=1, ddof=1) / np.sqrt(scores.shape[1])
        return {"cv_scores_": scores, "cv_mean_": scores.mean(axis=1), "cv_error_": error}


def folds(cv, y, classes, random_state):
    """Masks of the held-out rows of each fold; a number deals the rows at random, classes in proportion."""
    if isinstance(cv, Integral):
        cv = (StratifiedKFold if classes else KFold)(cv, shuffle=True, random_state=random_state)
    rows = np.arange(len(y))
    return [np.isin(rows, test) for _, test in check_cv(cv, y, classifier=classes).split(rows, y)]


def check_folds(tests, y, weight, classes):
    """Folds with rows to score and, of classes, with all of them to fit to."""
    for fold, test in enumerate(tests):
        if not weight[test].any():
            raise ValueError(f"cv expects held-out rows of positive weight, got none in fold {fold}; lower cv.")
        lost = np.setdiff1d(y, np.asarray(y)[~test & (weight > 0)]).tolist() if classes else []
        if lost:
            raise ValueError(
                f"cv expects rows of every class outside each fold, got none of {lost} outside fold {fold}; "
                'lower cv, leave out the class, or use criterion="bic".'
            )


def _held_out(base, X, y, alphas, weight, test, metadata):
    """Mean log-likelihood of the rows of a fold by strength; a weight of zero leaves a row out."""
    try:
        path = lasso_path(base, X, y, alphas, sample_weight=weight * ~test, **metadata)
    except ValueError as error:
        raise ValueError(f'Outside a fold: {error} Raise cv, or use criterion="relaxed_bic".') from error
    scores = []
    for knot in path.knots:
        moe = knot.estimator()
        likelihood = moe.likelihood(X, y, weight * test, **metadata)
        scores.append(likelihood.value(moe.theta_) / likelihood.total_weight)
    return scores


class MoERegressorCV(StrengthChosen, MoERegressor):
    """Mixture of experts with a lasso whose strength is chosen on its path.

    The path of `lasso_path` is fitted to all rows. Its knot is the one with the largest mean log-likelihood of held-out
    rows, or with the smallest criterion.

    Parameters
    ----------
    n_experts, gate, experts, solver, n_init, max_iter, tol, gate_features, expert_features, random_state, exposure,
    variance
        As for `MoERegressor`.
    penalty : "lasso", "elastic_net", "group_lasso" or object, default="lasso"
        Its alpha is replaced.
    alphas : int or array-like of shape (m,), default=30
        How many strengths, or which.
    eps : float, optional
        The smallest over the largest, as for `lasso_path`.
    criterion : {"cv", "relaxed_bic", "bic"}, default="cv"
        "cv" scores held-out rows; "relaxed_bic" and "bic" are those of `LassoPath`, without further fits.
    cv : int, splitter or iterable, default=5
        Folds of "cv"; an int deals the rows at random by `random_state`, classes in proportion.
    n_jobs : int, optional
        Folds in parallel; the result does not depend on it.

    Attributes
    ----------
    alpha_ : float
        The strength chosen.
    alphas_ : ndarray of shape (m,)
        Strengths, the largest first; the folds use those of all rows.
    path_ : LassoPath
        Of all rows, which it keeps.
    cv_scores_ : ndarray of shape (m, folds)
        Mean log-likelihood of held-out rows; of "cv" alone, as the next two.
    cv_mean_, cv_error_ : ndarray of shape (m,)
        Mean over folds, and its standard error.
    best_estimator_ : MoERegressor
        The fit chosen: of "relaxed_bic" the refit without the penalty, its zeros kept, else the fit on the path. All
        its attributes and methods are those of this estimator too.
    free_ : ndarray of shape (p, r)
        Of "relaxed_bic": basis of the parameters that were free, in scaled units.

    Raises
    ------
    ValueError
        For a penalty without zeros, strengths that are none, and folds that cannot be fitted or scored.

    Notes
    -----
    A choice at the end of the path asks for a longer one. Cross-validation chooses for prediction and keeps more
    columns than there are. `infer` refuses a fit under the penalty; on a refit it warns, because errors after a choice
    on the same rows are too small. `init` and `warm_start` have no place on a path.

    References
    ----------
    .. [1] Stadler, Buhlmann & van de Geer (2010), l1-penalization for mixture regression models,
       doi:10.1007/s11749-010-0197-z.

    Examples
    --------
    >>> import numpy as np
    >>> from moegate import MoERegressorCV
    >>> rng = np.random.default_rng(1)
    >>> X = rng.standard_normal((200, 10))
    >>> y = np.where(rng.random(200) < 0.5, 2 + 2 * X[:, 0], -2 - 2 * X[:, 1]) + 0.5 * rng.standard_normal(200)
    >>> moe = MoERegressorCV(2, criterion="relaxed_bic", alphas=8, n_init=2, random_state=0).fit(X, y)
    >>> sorted(np.flatnonzero(row).tolist() for row in moe.coef_)
    [[0], [1]]
    """

    _plain = MoERegressor

    def __init__(
        self,
        n_experts=2,
        *,
        gate="softmax",
        experts="gaussian",
        solver="auto",
        penalty="lasso",
        alphas=30,
        eps=None,
        criterion="cv",
        cv=5,
        n_init=10,
        max_iter=500,
        tol=1e-8,
        gate_features=None,
        expert_features=None,
        random_state=None,
        n_jobs=None,
        exposure=None,
        variance="free",
    ):
        self.n_experts = n_experts
        self.gate = gate
        self.experts = experts
        self.solver = solver
        self.penalty = penalty
        self.alphas = alphas
        self.eps = eps
        self.criterion = criterion
        self.cv = cv
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.gate_features = gate_features
        self.expert_features = expert_features
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.exposure = exposure
        self.variance = variance

    @in_memory
    def fit(self, X, y, sample_weight=None, exposure=None):
        """Fit the path and choose; arguments as for `MoERegressor.fit`, dask collections excepted."""
        return self._fit_path(X, y, sample_weight=sample_weight, exposure=exposure)


class MoEClassifierCV(StrengthChosen, MoEClassifier):
    """Mixture of experts for classes with a lasso whose strength is chosen on its path.

    Parameters
    ----------
    n_experts, gate, experts, solver, n_init, max_iter, tol, gate_features, expert_features, class_weight, random_state
        As for `MoEClassifier`.
    penalty, alphas, eps, criterion, cv, n_jobs
        As for `MoERegressorCV`.

    Attributes
    ----------
    alpha_, alphas_, path_, cv_scores_, cv_mean_, cv_error_, best_estimator_, free_
        As for `MoERegressorCV`, and those of `MoEClassifier`.

    References
    ----------
    .. [1] Huynh & Chamroukhi (2019), Estimation and feature selection in mixtures of generalized linear experts models,
       arXiv:1907.06994.

    Examples
    --------
    >>> import numpy as np
    >>> from moegate import MoEClassifierCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((300, 10))
    >>> y = rng.random(300) < 1 / (1 + np.exp(-2 * X[:, 0]))
    >>> moe = MoEClassifierCV(1, alphas=8, random_state=0).fit(X, y)
    >>> bool(moe.coef_[0, 1, 0] > 0), moe.cv_scores_.shape
    (True, (8, 5))
    """

    _plain = MoEClassifier

    def __init__(
        self,
        n_experts=2,
        *,
        gate="softmax",
        experts="multinomial",
        solver="auto",
        penalty="lasso",
        alphas=30,
        eps=None,
        criterion="cv",
        cv=5,
        n_init=10,
        max_iter=500,
        tol=1e-8,
        gate_features=None,
        expert_features=None,
        class_weight=None,
        random_state=None,
        n_jobs=None,
    ):
        self.n_experts = n_experts
        self.gate = gate
        self.experts = experts
        self.solver = solver
        self.penalty = penalty
        self.alphas = alphas
        self.eps = eps
        self.criterion = criterion
        self.cv = cv
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.gate_features = gate_features
        self.expert_features = expert_features
        self.class_weight = class_weight
        self.random_state = random_state
        self.n_jobs = n_jobs

    @in_memory
    def fit(self, X, y, sample_weight=None):
        """Fit the path and choose; arguments as for `MoEClassifier.fit`, dask collections excepted."""
        return self._fit_path(X, y, sample_weight=sample_weight)
