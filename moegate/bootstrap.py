"""Bootstrap of a fit: the same estimator on data drawn anew, its experts brought into the order of the fit."""

import warnings
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from .estimators.checks import check_fitted, weighs_classes
from .estimators.collections import in_memory
from .estimators.options import check_count
from .inference.parameters import Parameters, check_reference
from .parallel import generator, mapped, seeds
from .resampling import Resampled

KINDS = ("parametric", "rows")
AMBIGUOUS = 0.8  # share of the best agreement that another order of experts reaches, above which it is in doubt


@in_memory
def bootstrap(
    estimator,
    X,
    y,
    n_boot=200,
    kind="parametric",
    sample_weight=None,
    *,
    exposure=None,
    reference=None,
    random_state=None,
    n_jobs=None,
    progress=False,
):
    """Refit to data drawn anew, each refit started at the fit.

    Experts have no order of their own, so those of each refit are matched with those of the fit: the assignment whose
    responsibilities for the rows of X agree most. Where another order agrees nearly as well the replicate counts as
    ambiguous. Refits under a penalty are penalised alike. A refit may end at a degenerate expert, as rows drawn twice
    invite it: it is kept and flagged, and percentile limits suffer less from it than `bse`.

    Parameters
    ----------
    estimator : MoERegressor or MoEClassifier
        Fitted; it is not changed.
    X : array-like of shape (n, d)
    y : array-like of shape (n,)
        The rows of the fit.
    n_boot : int, default=200
    kind : {"parametric", "rows"}, default="parametric"
        Responses drawn from the fitted density at the same X, or rows drawn with replacement, which also holds where
        the model is wrong, and with class weights.
    sample_weight : array-like of shape (n,), optional
        Frequency weights, as in the fit: "rows" draws as many rows as they sum to, "parametric" needs whole numbers.
    exposure : array-like of shape (n,), optional
        For Poisson experts, as in the fit.
    reference : int, optional
        Expert against which gate rows are contrasts, as in `infer`.
    random_state : int, RandomState or None, default=None
    n_jobs : int, optional
        Refits in parallel; the result does not depend on it.
    progress : bool, default=False
        Whether to show a bar.

    Returns
    -------
    Bootstrap

    Raises
    ------
    ValueError
        For other rows than those of the fit, for "parametric" with class weights, or where fewer than two refits
        succeed; the message says why.

    Warns
    -----
    ConvergenceWarning
        Where the fit is no maximum, or held by borders of its gate, for which the bootstrap does not hold.

    References
    ----------
    .. [1] Efron & Tibshirani (1993), An introduction to the bootstrap, doi:10.1201/9780429246593.
    .. [2] O'Hagan, Murphy, Scrucca & Gormley (2019), Investigation of parameter uncertainty in clustering using a
       Gaussian mixture model via jackknife, bootstrap and weighted likelihood bootstrap, arXiv:1510.00551.

    Examples
    --------
    >>> import statsmodels.api as sm
    >>> from moegate import MoERegressor, bootstrap
    >>> data = sm.datasets.engel.load_pandas().data
    >>> X, y = data[["income"]], data["foodexp"]
    >>> result = bootstrap(MoERegressor(random_state=0).fit(X, y), X, y, n_boot=20, random_state=0)
    >>> list(result.to_frame().columns)
    ['estimate', 'bse', 'lower', 'upper']
    """
    check_fitted(estimator)
    if estimator._sparse:
        raise ValueError(
            f"bootstrap expects a fit whose columns stay the same, got penalty={estimator.penalty!r}, which chooses "
            "them anew in every draw; fit to the chosen columns alone (gate_features, expert_features) without it."
        )
    if kind not in KINDS:
        raise ValueError(f"kind expects one of {list(KINDS)}, got {kind!r}.")
    if kind == "parametric" and weighs_classes(estimator):
        raise ValueError(
            f'kind="parametric" expects a fit without class weights, got class_weight={estimator.class_weight!r}: '
            'labels drawn from the weighted fit would be weighted again; use kind="rows".'
        )
    check_count(n_boot, "n_boot", minimum=2)
    model = estimator.model_
    labels = tuple(map(str, getattr(estimator, "classes_", ())))
    parameters = Parameters(model, check_reference(reference, model.n_experts), labels)
    rows = Resampled(estimator, X, y, sample_weight, exposure, kind)
    _check_rows(rows)
    refits = mapped(partial(_refit, rows), seeds(random_state, n_boot), n_jobs, "bootstrap" if progress else None)
    done = [refit for refit in refits if not isinstance(refit, str)]
    failures = tuple(refit for refit in refits if isinstance(refit, str))
    if len(done) < 2:
        raise ValueError(f"Only {len(done)} of {n_boot} refits succeeded. The first that failed: {failures[0]}")
    thetas, logliks, kinds, degenerate, ambiguous = (np.array(part) for part in zip(*done, strict=True))
    return Bootstrap(
        names=tuple(parameters.names(estimator.theta_)),
        values=parameters.values(estimator.theta_),
        replicates=np.array([parameters.values(theta) for theta in thetas]),
        thetas=thetas,
        logliks=logliks,
        certificates=kinds,
        degenerate=degenerate,
        ambiguous=ambiguous,
        failures=failures,
    )


def _check_rows(rows):
    """Refuse other rows than those of the fit, and warn where its bootstrap does not mean what it says."""
    fit = rows.estimator
    value = fit.likelihood(rows.X, rows.y, rows.weight, **rows.given).value(fit.theta_)
    if not abs(value - fit.loglik_) <= 1e-6 * max(1.0, abs(fit.loglik_)):
        raise ValueError(
            f"bootstrap expects the rows and weights of the fit (log-likelihood {fit.loglik_:.6g}), got others "
            f"({value:.6g}); pass what fit was given."
        )
    why = {
        "none": "The fit has not reached a maximum, and neither will its refits; raise max_iter or n_init first.",
        "border": "The fit lies where the gate jumps or bends; the bootstrap does not hold for where its borders lie.",
    }.get(fit.certificate_["kind"])
    if why:
        warnings.warn(why, ConvergenceWarning, stacklevel=3)


def _refit(rows, seed):
    """theta, log-likelihood, certificate, degeneracy and ambiguity of one replicate; in words why it failed."""
    fit = rows.estimator
    again = clone(fit).set_params(init=fit.theta_, warm_start=False).set_callbacks()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            again.fit(**rows.draw(generator(seed)))
        except ValueError as error:  # a class or all variation is gone
            return str(error)
        if again.theta_.shape != fit.theta_.shape:
            return f"of the classes {list(fit.classes_)} only {list(again.classes_)} were drawn."
        order, doubt = _order(rows, again)
    model = fit.model_
    theta = model.permute(again.theta_, model.gate.scores.order(order, model.n_experts))
    degenerate = bool(again.init_results_["degenerate"].iloc[0])
    return theta, again.loglik_, again.certificate_["kind"], degenerate, doubt


def _order(rows, again):
    """The experts of a refit in the order of the fit, and whether that is in doubt."""
    R, S = (model.responsibilities(rows.X, rows.y, **rows.given) for model in (rows.estimator, again))
    weight = 1.0 if rows.weight is None else np.asarray(rows.weight, dtype=float)[:, None]
    return matched(weight * R, S)


def matched(R, S):
    """The order of the experts of S (n, K) that agrees most with those of R (n, K), and whether it is in doubt.

    Agreement is the sum over rows of the product of responsibilities; in doubt where swapping two experts of the best
    order leaves more than 80% of their share of it.
    """
    agreement = R.T @ S
    order = linear_sum_assignment(-agreement)[1]
    best = agreement[:, order]
    pairs = combinations(range(len(order)), 2)
    doubt = any(best[i, j] + best[j, i] > AMBIGUOUS * (best[i, i] + best[j, j]) for i, j in pairs)
    return order, bool(doubt)


@dataclass(frozen=True, repr=False)
class Bootstrap:
    """Refits to data drawn anew; what `bootstrap` returns.

    Attributes
    ----------
    names : tuple of str
        As in `Inference`.
    values : ndarray of shape (m,)
        Estimates of the fit.
    replicates : ndarray of shape (n_boot, m)
        Estimates of the refits.
    thetas : ndarray of shape (n_boot, p)
    logliks : ndarray of shape (n_boot,)
    certificates : ndarray of str, shape (n_boot,)
        Kinds: at a "limit" some estimates of a refit are at infinity.
    degenerate : ndarray of bool, shape (n_boot,)
        Where an expert rests on its scale floor or on too few rows.
    ambiguous : ndarray of bool, shape (n_boot,)
        Where another order of the experts agrees with the fit nearly as well.
    failures : tuple of str
        Why refits could not be made, one entry for each; these are not among the n_boot of the other attributes.
    """

    names: tuple
    values: np.ndarray
    replicates: np.ndarray
    thetas: np.ndarray
    logliks: np.ndarray
    certificates: np.ndarray
    degenerate: np.ndarray
    ambiguous: np.ndarray
    failures: tuple

    def __repr__(self):
        return f"<Bootstrap: {self.report}>"

    @property
    def failed(self):
        """Number of refits that could not be made."""
        return len(self.failures)

    @property
    def report(self):
        """What to know before the numbers are used, in words."""
        kinds, counts = np.unique(self.certificates, return_counts=True)
        ends = ", ".join(f"{count} {kind}" for kind, count in zip(kinds, counts, strict=True))
        return (
            f"{len(self.thetas)} refits ({ends}), {self.degenerate.sum()} degenerate, {self.ambiguous.sum()} with an "
            f"ambiguous order of experts, {self.failed} failed"
        )

    @cached_property
    def bse(self):
        """Standard errors by name: standard deviations of the refits."""
        from pandas import Series

        return Series(self.replicates.std(axis=0, ddof=1), index=list(self.names))

    def conf_int(self, alpha=0.05, method="percentile"):
        """Confidence limits.

        Parameters
        ----------
        alpha : float, default=0.05
        method : {"percentile", "basic"}, default="percentile"
            Quantiles of the refits, or twice the estimate less those.

        Returns
        -------
        pandas.DataFrame
            Columns `lower`, `upper`.
        """
        from pandas import DataFrame

        if not 0 < alpha < 1:
            raise ValueError(f"alpha expects a number between 0 and 1, one minus the coverage, got {alpha!r}.")
        if method not in ("percentile", "basic"):
            raise ValueError(f'method expects "percentile" or "basic", got {method!r}.')
        low, high = np.quantile(self.replicates, [alpha / 2, 1 - alpha / 2], axis=0)
        if method == "basic":
            low, high = 2 * self.values - high, 2 * self.values - low
        return DataFrame({"lower": low, "upper": high}, index=list(self.names))

    def to_frame(self, alpha=0.05, method="percentile"):
        """`estimate, bse, lower, upper`, indexed by parameter."""
        from pandas import Series, concat

        columns = {"estimate": Series(self.values, index=list(self.names)), "bse": self.bse}
        return concat([concat(columns, axis=1), self.conf_int(alpha, method)], axis=1)
