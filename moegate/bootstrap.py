"""Bootstrap of a fit: the same estimator on data drawn anew, its experts brought into the order of the fit."""

import warnings
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from .inference.parameters import Parameters
from .parallel import generator, mapped, seeds

KINDS = ("parametric", "rows")
AMBIGUOUS = 0.8  # share of the best agreement that another order of experts reaches, above which it is in doubt


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
    ambiguous. Refits under a penalty are penalised alike.

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
        the model is wrong.
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
    check_is_fitted(estimator)
    if kind not in KINDS:
        raise ValueError(f"kind expects one of {list(KINDS)}, got {kind!r}.")
    if not isinstance(n_boot, (int, np.integer)) or n_boot < 2:
        raise ValueError(f"n_boot expects an integer >= 2, got {n_boot!r}.")
    rows = Resampled(estimator, X, y, sample_weight, exposure, kind)
    refits = mapped(partial(_refit, rows), seeds(random_state, n_boot), n_jobs, "bootstrap" if progress else None)
    model, K = estimator.model_, estimator.model_.n_experts
    labels = tuple(map(str, getattr(estimator, "classes_", ())))
    parameters = Parameters(model, K - 1 if reference is None else reference % K, labels)
    done = [refit for refit in refits if refit is not None]
    if len(done) < 2:
        raise ValueError(f"Only {len(done)} of {n_boot} refits succeeded: a class may be too rare to be drawn.")
    thetas, logliks, kinds, ambiguous = (np.array(part) for part in zip(*done, strict=True))
    return Bootstrap(
        names=tuple(parameters.names(estimator.theta_)),
        values=parameters.values(estimator.theta_),
        replicates=np.array([parameters.values(theta) for theta in thetas]),
        thetas=thetas,
        logliks=logliks,
        certificates=kinds,
        ambiguous=ambiguous,
        failed=n_boot - len(done),
    )


@dataclass(frozen=True)
class Resampled:
    """Data to draw anew, by `kind`.

    Attributes
    ----------
    estimator : MoERegressor or MoEClassifier
    X, y, weight, exposure : array-like
        Of the fit.
    kind : str
    """

    estimator: object
    X: object
    y: object
    weight: object
    exposure: object
    kind: str

    def __post_init__(self):
        weight = self.weight
        if self.kind == "parametric" and weight is not None and np.any(np.asarray(weight) % 1):
            raise ValueError(
                'kind="parametric" expects frequency weights that are whole numbers; use kind="rows", or round them.'
            )

    def draw(self, rng):
        """Arguments of `fit`."""
        n, given = len(self.X), {} if self.exposure is None else {"exposure": self.exposure}
        weight = np.ones(n) if self.weight is None else np.asarray(self.weight, dtype=float)
        if self.kind == "rows":
            counts = rng.multinomial(round(weight.sum()), weight / weight.sum()).astype(float)
            return {"X": self.X, "y": self.y, "sample_weight": counts, **given}
        at = np.repeat(np.arange(n), weight.astype(int))
        X, given = taken(self.X, at), {name: taken(value, at) for name, value in given.items()}
        seed = int(rng.integers(2**31 - 1))
        return {"X": X, "y": self.estimator.sample(X, random_state=seed, **given), **given}


def taken(table, at):
    """Rows of an array, list or frame."""
    from sklearn.utils import _safe_indexing

    return _safe_indexing(table, at)


def _refit(rows, seed):
    """theta, log-likelihood, certificate and ambiguity of one replicate; None where it could not be fitted."""
    fit = rows.estimator
    again = clone(fit).set_params(init=fit.theta_, warm_start=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            again.fit(**rows.draw(generator(seed)))
        except ValueError:  # a class or all variation is gone
            return None
        given = {} if rows.exposure is None else {"exposure": rows.exposure}
        order, doubt = matched(
            fit.responsibilities(rows.X, rows.y, **given), again.responsibilities(rows.X, rows.y, **given)
        )
    model = fit.model_
    theta = model.permute(again.theta_, model.gate.scores.order(order, model.n_experts))
    return theta, again.loglik_, again.certificate_["kind"], doubt


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
    ambiguous : ndarray of bool, shape (n_boot,)
        Where another order of the experts agrees with the fit nearly as well.
    failed : int
        Refits that could not be made, and are left out.
    """

    names: tuple
    values: np.ndarray
    replicates: np.ndarray
    thetas: np.ndarray
    logliks: np.ndarray
    certificates: np.ndarray
    ambiguous: np.ndarray
    failed: int

    def __repr__(self):
        return f"<Bootstrap: {self.report}>"

    @property
    def report(self):
        """What to know before the numbers are used, in words."""
        kinds, counts = np.unique(self.certificates, return_counts=True)
        ends = ", ".join(f"{count} {kind}" for kind, count in zip(kinds, counts, strict=True))
        return (
            f"{len(self.thetas)} refits ({ends}), {self.ambiguous.sum()} with an ambiguous order of experts, "
            f"{self.failed} failed"
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
