"""From a fitted estimator and its data to standard errors: every check, then the numbers."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from ..estimators.checks import check_fitted, weighs_classes
from ..estimators.options import penalised
from ..likelihood import Likelihood
from .bands import jacobian, square_root
from .covariance import COVARIANCES, curvature
from .parameters import Parameters, check_reference
from .result import Inference
from .tables import AFTER_SELECTION

SEEN = 1e-5  # share of a parameter in a direction that is not identified, above which it is not either


def infer(
    estimator,
    X,
    y,
    sample_weight=None,
    kind="observed",
    groups=None,
    *,
    weights="frequency",
    reference=None,
    exposure=None,
):
    """Standard errors, tests and intervals of a maximum likelihood fit.

    Natural parameters (slopes, intercepts, standard deviations; gate rows as contrasts against one expert; log-odds
    against the first class) have the covariance J C J' by the delta method, with C one of

    - "observed": (-H)^-1, H the exact observed Hessian (Louis' identity);
    - "opg": (sum_i s_i s_i')^-1, s_i the score of row i;
    - "sandwich": H^-1 (sum_i s_i s_i') H^-1, which also holds where the model is wrong, then for the parameters of the
      nearest model in Kullback-Leibler divergence;
    - "cluster": the same with the scores summed within groups, times G / (G - 1).

    A direction in which the likelihood is flat, or along which the gate or an expert diverges, is left out; parameters
    with a part in it are not identified and get NaN.

    Parameters
    ----------
    estimator : MoERegressor or MoEClassifier
        Fitted without a penalty, or with one of strength zero; `LassoPath.estimator` refits what a lasso selected.
    X : array-like of shape (n, d)
    y : array-like of shape (n,)
        The rows of the fit.
    sample_weight : array-like of shape (n,), optional
        As in the fit.
    kind : {"observed", "opg", "sandwich", "cluster"}, default="observed"
    groups : array-like of shape (n,), optional
        Labels of the groups, for "cluster".
    weights : {"frequency", "sampling"}, default="frequency"
        What weights mean: the same row so many times, or the inverse probability of having been drawn, for which only
        "sandwich" and "cluster" hold. A fit with class weights takes "sampling" only.
    reference : int, optional
        Expert against which gate rows are contrasts; the last by default. Each gate of a tree has its last child.
    exposure : array-like of shape (n,), optional
        For Poisson experts, as in the fit.

    Returns
    -------
    Inference

    Raises
    ------
    ValueError
        Under a penalty, on other rows than those of the fit, at a point that is no maximum, or with class weights taken
        as frequencies.

    Warns
    -----
    ConvergenceWarning
        Where the certificate of the fit is "none" or "border".
    UserWarning
        On the refit of what a lasso selected: zeros are taken as given and get NaN, errors are too small.

    References
    ----------
    .. [1] Louis (1982), Finding the observed information matrix when using the EM algorithm,
       doi:10.1111/j.2517-6161.1982.tb01203.x.
    .. [2] White (1982), Maximum likelihood estimation of misspecified models, doi:10.2307/1912526.

    Examples
    --------
    >>> import statsmodels.api as sm
    >>> from moegate import MoERegressor, infer
    >>> data = sm.datasets.engel.load_pandas().data
    >>> X, y = data[["income"]], data["foodexp"]
    >>> result = infer(MoERegressor(n_experts=2, random_state=0).fit(X, y), X, y)
    >>> result.to_frame().loc["expert[0].income", ["estimate", "bse"]].round(3).tolist()
    [0.61, 0.024]
    """
    check_fitted(estimator)
    reference = _check(estimator, kind, groups, weights, reference)
    with threadpool_limits(limits=1, user_api="blas"):
        given = {} if exposure is None else {"exposure": exposure}
        likelihood, theta = estimator.likelihood(X, y, sample_weight, **given), estimator.theta_
        value = _check_rows(estimator, likelihood)
        groups = _codes(groups, likelihood) if kind == "cluster" else None
        scaled, inner, back = _scaled(likelihood, theta, _free(estimator))
        at = curvature(scaled, inner)
        cov = COVARIANCES[kind](at, scaled, inner, groups, weights)
        parameters = Parameters(estimator.model_, reference, tuple(map(str, getattr(estimator, "classes_", ()))))
        J = jacobian(parameters.values, theta, back, np.sqrt(np.diag(cov)))
    return Inference(
        names=tuple(parameters.names(theta)),
        values=parameters.values(theta),
        cov=J @ cov @ J.T,
        identified=~_touched(J, at.null) & J.any(axis=1),
        root=back @ square_root(cov),
        kind=kind,
        reference=reference,
        llf=value,
        nobs=float(_count(likelihood.rows) if weights == "sampling" else likelihood.total_weight),
        estimator=estimator,
        data={"X": X, "y": y, "sample_weight": sample_weight, **given},
    )


def _check(estimator, kind, groups, weights, reference):
    """What can be refused without the data; the reference expert as a count from zero."""
    K = estimator.model_.n_experts
    if penalised(estimator):
        selected = "n_nonzero" in estimator.certificate_
        remedy = "use lasso_path and LassoPath.estimator(), whose errors take the selection as given"
        raise ValueError(
            f"infer expects a fit without a penalty, got penalty={estimator.penalty!r}, under which estimates are "
            f"biased{' and selected' if selected else ''} and these standard errors do not hold; "
            f"{remedy if selected else 'refit with penalty=None, or use bootstrap'}."
        )
    if hasattr(estimator, "free_"):
        warnings.warn(f"{AFTER_SELECTION} Split the rows, or bootstrap the whole path.", UserWarning, stacklevel=3)
    if kind not in COVARIANCES:
        raise ValueError(f"kind expects one of {sorted(COVARIANCES)}, got {kind!r}.")
    if (kind == "cluster") != (groups is not None):
        raise ValueError('groups and kind="cluster" go together: pass the label of each row\'s group, or neither.')
    if weights not in ("frequency", "sampling"):
        raise ValueError(f'weights expects "frequency" or "sampling", got {weights!r}.')
    if weights == "sampling" and kind not in ("sandwich", "cluster"):
        raise ValueError(
            f'weights="sampling" expects kind="sandwich" or "cluster", got {kind!r}, which would not hold.'
        )
    if weights == "frequency" and weighs_classes(estimator):
        raise ValueError(
            f'infer expects weights="sampling" with kind="sandwich" or "cluster" for a fit with class_weight='
            f"{estimator.class_weight!r}, got weights={weights!r}, kind={kind!r}: a class weight does not repeat a row."
        )
    return check_reference(reference, K)


def _check_rows(estimator, likelihood):
    """The log-likelihood on the rows, which must be that of the fit."""
    value = likelihood.value(estimator.theta_)
    if not abs(value - estimator.loglik_) <= 1e-6 * max(1.0, abs(estimator.loglik_)):
        raise ValueError(
            f"infer expects the rows and weights of the fit (log-likelihood {estimator.loglik_:.6g}), got others "
            f"({value:.6g}); pass what fit was given."
        )
    kind = estimator.certificate_["kind"]
    smooth = estimator.model_.gate.smooth
    if kind in ("none", "border"):
        where = "has no information in some direction" if smooth else "jumps or bends"
        given = "its parameters along it" if smooth else "what it selects"
        why = {
            "none": "The fit has not reached a maximum; raise max_iter or n_init before standard errors are used.",
            "border": f"The fit lies where the gate {where}; standard errors hold given {given}.",
        }
        warnings.warn(why[kind], ConvergenceWarning, stacklevel=3)
    return float(value)


def _count(rows):
    """Number of rows with a positive weight."""
    return rows.n_rows if rows.weight is None else np.count_nonzero(rows.weight)


def _codes(groups, likelihood):
    """Groups as codes 0, 1, ..."""
    from pandas import isna

    groups = np.asarray(groups, dtype=None if hasattr(groups, "dtype") else object)
    if groups.shape != (likelihood.rows.n_rows,):
        raise ValueError(f"groups expects shape ({likelihood.rows.n_rows},), got {groups.shape}.")
    missing = np.flatnonzero(isna(groups))
    if missing.size:
        raise ValueError(f"groups expects the group of every row, got none in row {missing[0]}; drop the rows without.")
    try:
        labels, codes = np.unique(groups, return_inverse=True)
    except TypeError as error:
        raise ValueError("groups expects labels of one kind, got several; write all as text (str).") from error
    if len(labels) < 2:
        raise ValueError("groups expects at least two groups, got one.")
    return codes


def _free(estimator):
    """Basis of the scaled parameters that are free: of a refit, or with one scale for all experts; None if all are."""
    model, free = estimator.model_, getattr(estimator, "free_", None)
    if free is not None or not getattr(model.experts, "shared", False):
        return free
    K, P = model.expert_shape
    scales = model.n_params - P * np.arange(K)[::-1] - 1
    basis = np.eye(model.n_params)
    basis[scales[1:], scales[0]] = 1.0
    return np.delete(basis, scales[1:], axis=1)


def _scaled(likelihood, theta, free=None):
    """The likelihood in its scaled coordinates, theta in them, and the matrix that leads back.

    With a basis `free` (p, r) of the scaled parameters they are the r coordinates along it.
    """
    inner, back = likelihood.transform @ theta, np.linalg.inv(likelihood.transform)
    if free is None:
        return Likelihood(likelihood.model, likelihood.rows), inner, back
    return Likelihood(likelihood.model, likelihood.rows, free), np.linalg.lstsq(free, inner)[0], back @ free


def _touched(J, null):
    """Which natural parameters have a part in a direction that is not identified, (m,)."""
    size = np.linalg.norm(J, axis=1, keepdims=True) * np.linalg.norm(null, axis=0)
    return np.any(np.abs(J @ null) > SEEN * size, axis=1)
