"""Does the fit hold? Residuals of the whole distribution, certainty of the experts, effects of a column."""

import numpy as np
from scipy.special import ndtr, ndtri_exp
from scipy.stats import norm

from .estimators.checks import check_fitted, warn_of_exposure
from .estimators.collections import in_memory
from .inference.bands import prediction, standard_error
from .inference.result import Inference
from .parallel import generator, seeds

STEP = 1e-4  # of derivatives by a column, in its standard deviations


@in_memory
def quantile_residuals(estimator, X, y, *, exposure=None, random_state=None):
    """Randomised quantile residuals Phi^-1(F(y | x)), standard normal where the model is right.

    For counts F is drawn uniformly between P(Y < y) and P(Y <= y). The nearer tail is used, so that outliers far out
    have finite residuals.

    Parameters
    ----------
    estimator : MoERegressor
        Fitted.
    X : array-like of shape (n, d)
    y : array-like of shape (n,)
    exposure : array-like of shape (n,), optional
        For Poisson experts.
    random_state : int, RandomState or None, default=None
        For counts.

    Returns
    -------
    ndarray of shape (n,)

    References
    ----------
    .. [1] Dunn & Smyth (1996), Randomized quantile residuals, doi:10.2307/1390802.

    Examples
    --------
    >>> import statsmodels.api as sm
    >>> from moegate import MoERegressor
    >>> from moegate.diagnostics import quantile_residuals
    >>> data = sm.datasets.engel.load_pandas().data
    >>> X, y = data[["income"]], data["foodexp"]
    >>> residuals = quantile_residuals(MoERegressor(random_state=0).fit(X, y), X, y)
    >>> bool(abs(residuals.mean()) < 0.1)
    True
    """
    check_fitted(estimator)
    if not hasattr(estimator, "cdf"):
        raise ValueError(
            f"quantile_residuals expects a regressor, got {type(estimator).__name__}, whose classes have no order; "
            "CalibrationDisplay shows its probabilities."
        )
    warn_of_exposure(estimator, exposure)
    lower, upper = (_log_tail(estimator, X, y, exposure, tail) for tail in (False, True))
    if not estimator.model_.experts.discrete:
        return np.where(lower < upper, ndtri_exp(lower), -ndtri_exp(upper))
    before = np.asarray(y, dtype=float) - 1
    u = generator(seeds(random_state, 1)[0]).uniform(size=len(before))
    lower = _between(_log_tail(estimator, X, before, exposure, False), lower, u)
    upper = _between(_log_tail(estimator, X, before, exposure, True), upper, u)
    return np.where(lower < upper, ndtri_exp(lower), -ndtri_exp(upper))


def _between(start, end, u):
    """log((1 - u) exp(start) + u exp(end))."""
    return np.logaddexp(np.log1p(-u) + start, np.log(u) + end)


def _log_tail(estimator, X, y, exposure, upper):
    """Log of P(Y <= y), or of P(Y > y) with `upper`."""
    y = np.asarray(y, dtype=float)

    def tail(theta, block):
        return estimator.model_.log_cdf(theta, block, block.y, upper=upper)

    return estimator._by_row(tail, X, y, exposure)


def pit(estimator, X, y, *, exposure=None, random_state=None):
    """Probability integral transforms F(y | x), uniform where the model is right; of counts randomised.

    Parameters are those of `quantile_residuals`, of which these are the normal probabilities.

    Returns
    -------
    ndarray of shape (n,)
        In [0, 1].
    """
    return ndtr(quantile_residuals(estimator, X, y, exposure=exposure, random_state=random_state))


@in_memory
def posterior_table(estimator, X, y, *, exposure=None):
    """How surely rows belong to experts.

    Parameters
    ----------
    estimator : MoERegressor or MoEClassifier
        Fitted.
    X : array-like of shape (n, d)
    y : array-like of shape (n,)
    exposure : array-like of shape (n,), optional
        For Poisson experts.

    Returns
    -------
    pandas.DataFrame
        One line for each expert: `rows` that it is most responsible for, `share` of all responsibility, `entropy` of
        its rows relative to log K (0 is certain, 1 is none), and `to 0`, `to 1`, ...: mean responsibilities of its rows
        for each expert. A last line `all` has the relative entropy of all rows.

    References
    ----------
    .. [1] Celeux & Soromenho (1996), An entropy criterion for assessing the number of clusters in a mixture model,
       doi:10.1007/BF01246098.

    Examples
    --------
    >>> import statsmodels.api as sm
    >>> from moegate import MoERegressor
    >>> from moegate.diagnostics import posterior_table
    >>> data = sm.datasets.engel.load_pandas().data
    >>> X, y = data[["income"]], data["foodexp"]
    >>> posterior_table(MoERegressor(random_state=0).fit(X, y), X, y)["rows"].tolist()
    [195, 40, 235]
    """
    from pandas import DataFrame

    check_fitted(estimator)
    given = {} if exposure is None else {"exposure": exposure}
    R = estimator.responsibilities(X, y, **given)
    n, K = R.shape
    entropy = -np.sum(R * np.log(np.where(R > 0, R, 1.0)), axis=1) / np.log(max(K, 2))
    groups = [np.flatnonzero(R.argmax(axis=1) == k) for k in range(K)] + [np.arange(n)]
    lines = [
        [len(at), R[:, k].mean() if k < K else 1.0, _mean(entropy[at]), *_mean(R[at])] for k, at in enumerate(groups)
    ]
    columns = ["rows", "share", "entropy", *(f"to {k}" for k in range(K))]
    return DataFrame(lines, columns=columns, index=[*range(K), "all"])


def _mean(values):
    """Mean over rows; NaN where there is none."""
    return values.mean(axis=0) if len(values) else np.full(values.shape[1:], np.nan)


@in_memory
def marginal_effects(result, X, column, *, values=None, alpha=0.05, exposure=None):
    """Average effects of a column on the mean (of classes on their probabilities) and on the gate probabilities.

    The mean over the rows of X of the derivative by the column, all others as they are; with `values`, of the change
    from one value of it to another, for indicators and counts. Errors are those of theta by the delta method; X is
    taken as given.

    Parameters
    ----------
    result : Inference
        What `infer` returns for the estimator.
    X : array-like of shape (m, d)
        Rows to average over, in the columns of the fit; one row gives the effect there.
    column : int or str
    values : (float, float), optional
        From where to where.
    alpha : float, default=0.05
    exposure : array-like of shape (m,), optional
        For Poisson experts.

    Returns
    -------
    pandas.DataFrame
        Columns `estimate, bse, zvalue, pvalue, lower, upper`; lines `mean` (of a classifier the labels), `gate[0]`, ...

    References
    ----------
    .. [1] Greene (2018), Econometric analysis, section 17.3.2, ISBN 978-0134461366.

    Examples
    --------
    >>> import statsmodels.api as sm
    >>> from moegate import MoERegressor, infer
    >>> from moegate.diagnostics import marginal_effects
    >>> data = sm.datasets.engel.load_pandas().data
    >>> X, y = data[["income"]], data["foodexp"]
    >>> result = infer(MoERegressor(random_state=0).fit(X, y), X, y)
    >>> float(marginal_effects(result, X, "income").loc["mean", "estimate"].round(2))
    0.57
    """
    from pandas import DataFrame

    if not isinstance(result, Inference):
        raise TypeError(
            f"marginal_effects expects what infer(estimator, X, y) returns, got {type(result).__name__}; pass that."
        )
    estimator = result.estimator
    low, high, width = _ends(estimator, X, column, values)
    classes = hasattr(estimator, "classes_")
    mean, given = ("predict_proba" if classes else "predict"), {} if exposure is None else {"exposure": exposure}
    parts = [(mean, given), ("predict_gate", {})]
    pairs = [[prediction(estimator, rows, name, more) for rows in (low, high)] for name, more in parts]

    def effects(theta):
        changes = [(after(theta) - before(theta)) / width for before, after in pairs]
        return np.concatenate([np.atleast_1d(change.mean(axis=0)) for change in changes])

    estimate, bse = effects(estimator.theta_), standard_error(effects, estimator.theta_, result.root)
    names = [*(map(str, estimator.classes_) if classes else ["mean"])]
    names += [f"gate[{k}]" for k in range(estimator.model_.n_experts)]
    with np.errstate(divide="ignore", invalid="ignore"):
        z, reach = estimate / bse, norm.isf(alpha / 2) * bse
    table = [estimate, bse, z, 2 * norm.sf(np.abs(z)), estimate - reach, estimate + reach]
    return DataFrame(
        np.transpose(table), index=names, columns=["estimate", "bse", "zvalue", "pvalue", "lower", "upper"]
    )


def _ends(estimator, X, column, values):
    """Rows before and after the change of a column, and the width by which it is divided."""
    names = list(getattr(estimator, "feature_names_in_", []))
    if isinstance(column, str) and column in names:
        at = names.index(column)
    elif isinstance(column, (int, np.integer)) and -estimator.n_features_in_ <= column < estimator.n_features_in_:
        at = int(column) % estimator.n_features_in_
    else:
        raise ValueError(f"column expects one of {names or f'0..{estimator.n_features_in_ - 1}'}, got {column!r}.")
    table = np.array(X, dtype=float)
    if values is not None:
        return _set(X, table, at, values[0]), _set(X, table, at, values[1]), 1.0
    step = STEP * _spread(estimator, at)
    return _set(X, table, at, table[:, at] - step), _set(X, table, at, table[:, at] + step), 2 * step


def _spread(estimator, at):
    """Standard deviation of a column in the fit; one where it is not used."""
    used = list(estimator.columns_)
    return float(estimator.units_.scale[used.index(at)]) if at in used else 1.0


def _set(X, table, at, value):
    """The rows of X with one column changed, named as X."""
    table = table.copy()
    table[:, at] = value
    return type(X)(dict(zip(X.columns, table.T, strict=True))) if hasattr(X, "columns") else table
