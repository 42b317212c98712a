"""A path of lasso fits: from the strength at which no column enters down to a small one, each from the last."""

import warnings
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits

from ..sparse import SparseFit
from . import options
from .checks import check_mixture
from .knot import Knot

CRITERIA = ("relaxed_bic", "bic")
RAISED = 1.2  # factor by which the first strength grows while a fit with columns is better
POOL = 3  # starts from screened columns that are tried at every knot


@dataclass(frozen=True, eq=False)
class LassoPath:
    """Fits along a path of strengths, the largest first.

    Attributes
    ----------
    alphas : ndarray of shape (m,)
    coef, gate_coef : ndarray of shape (m, K, ..., d), (m, K, d)
        In user units.
    objective, loglik : ndarray of shape (m,)
        Penalised log-likelihood, and without the penalty.
    n_nonzero : ndarray of int, shape (m,)
        Parameters that are not zero.
    kkt : ndarray of shape (m,)
        How far the conditions of a maximum are from holding.
    certificates : tuple of str
    nobs : float
        Sum of the weights.

    Notes
    -----
    The log-likelihood of a lasso fit takes shrinkage for lack of fit, so that `bic` asks for more columns than there
    are. `relaxed_bic` is that of a second fit, without the penalty, of the coefficients that are not zero (relaxed
    lasso), made when it is first asked for. The path keeps the rows for that.

    References
    ----------
    .. [1] Meinshausen (2007), Relaxed lasso, doi:10.1016/j.csda.2006.12.019.
    .. [2] Chen & Chen (2008), Extended Bayesian information criteria for model selection with large model spaces,
       doi:10.1093/biomet/asn034.
    """

    alphas: np.ndarray
    coef: np.ndarray
    gate_coef: np.ndarray
    objective: np.ndarray
    loglik: np.ndarray
    n_nonzero: np.ndarray
    kkt: np.ndarray
    certificates: tuple
    nobs: float
    knots: tuple = field(repr=False)

    @property
    def bic(self):
        """-2 log-likelihood + log n times the number of parameters that are not zero, (m,)."""
        return -2 * self.loglik + np.log(self.nobs) * self.n_nonzero

    @cached_property
    def _relaxed(self):
        """The refits, (run, basis) each."""
        with threadpool_limits(limits=1, user_api="blas"):
            return [knot.relaxed() for knot in self.knots]

    @property
    def relaxed_loglik(self):
        """Log-likelihood after a refit without the penalty, (m,); nan where an expert is then degenerate."""
        return np.array([np.nan if run.degenerate else run.loglik for run, _ in self._relaxed])

    @property
    def relaxed_bic(self):
        """-2 log-likelihood of the refits + log n (intercepts, scales) + max(log n, 2 log d) (slopes), (m,).

        Up to sqrt(n) columns that is BIC; beyond, slopes chosen among many cost more (Chen & Chen 2008, their gamma as
        small as it may be). Infinite where an expert is degenerate.
        """
        sizes = np.array([basis.shape[1] for _, basis in self._relaxed])
        plain, each = self.knots[0].n_plain, max(np.log(self.nobs), 2 * np.log(self.coef.shape[-1]))
        bic = -2 * self.relaxed_loglik + np.log(self.nobs) * plain + each * (sizes - plain)
        return np.where(np.isnan(bic), np.inf, bic)

    def best(self, criterion="relaxed_bic"):
        """Position of the best knot.

        Parameters
        ----------
        criterion : {"relaxed_bic", "bic"}, default="relaxed_bic"

        Returns
        -------
        int

        Warns
        -----
        UserWarning
            Where every refit has a degenerate expert: "bic" then decides.
        """
        if criterion not in CRITERIA:
            raise ValueError(f"criterion expects one of {list(CRITERIA)}, got {criterion!r}.")
        values = getattr(self, criterion)
        if not np.isfinite(values).any():
            warnings.warn(
                "Every refit without the penalty has a degenerate expert: the criterion is 'bic' instead; lower "
                "n_experts, or pass larger alphas.",
                UserWarning,
                stacklevel=2,
            )
            values = self.bic
        return int(np.argmin(values))

    def estimator(self, at=None, relaxed=True):
        """The fitted estimator of a knot.

        Parameters
        ----------
        at : int, optional
            By default `best()`.
        relaxed : bool, default=True
            Refitted without the penalty, its zeros kept, or as on the path.

        Returns
        -------
        MoERegressor or MoEClassifier
            Of a refit `free_` (p, r) is the basis of what was free, in scaled units, and `dof_` is r.

        Notes
        -----
        The zeros of a refit were chosen with the same rows: `infer` takes them as given, and its errors are then too
        small; it warns.
        """
        at = self.best() if at is None else range(len(self.knots))[at]
        return self.chosen(at, relaxed)[0]

    def chosen(self, at, relaxed):
        """`estimator`, and what a fit that ended so would warn of, or None."""
        with threadpool_limits(limits=1, user_api="blas"):
            parts = self._relaxed[at] if relaxed else (self.knots[at].run, None)
            return self.knots[at].estimator(*parts), self.knots[at].message(parts[0])


def lasso_path(estimator, X, y, alphas=None, *, n_alphas=30, eps=None, sample_weight=None, exposure=None):
    """Fit along a path of strengths.

    Parameters
    ----------
    estimator : MoERegressor or MoEClassifier
        With a `Lasso`, `ElasticNet` or `GroupLasso`, whose alpha is replaced; it is not changed.
    X : array-like of shape (n, d)
    y : array-like of shape (n,)
    alphas : array-like, optional
        Strengths; by default `n_alphas`, equally spaced on the logarithm, from the smallest one with all slopes zero to
        `eps` times that.
    n_alphas : int, default=30
    eps : float, optional
        By default 0.02, and 0.1 with fewer than ten rows for each column: further down fits are as large as the data.
    sample_weight : array-like of shape (n,), optional
    exposure : array-like of shape (n,), optional
        Of Poisson experts.

    Returns
    -------
    LassoPath

    Raises
    ------
    ValueError
        For an estimator without such a penalty, or strengths that are none.

    Notes
    -----
    Every knot starts from the last one and from a few fits on screened columns; the best end counts.

    Examples
    --------
    >>> import numpy as np
    >>> from moegate import Lasso, MoERegressor, lasso_path
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 20))
    >>> y = 2 * X[:, 0] + rng.standard_normal(100)
    >>> path = lasso_path(MoERegressor(1, penalty=Lasso()), X, y, n_alphas=5)
    >>> int(path.n_nonzero[0]), bool(path.alphas[0] > path.alphas[-1])
    (2, True)
    >>> np.flatnonzero(path.estimator().coef_[0])
    array([0])
    """
    check_mixture(estimator)
    penalty = options.check_penalty(estimator.penalty)
    if not getattr(penalty, "sparse", False):
        raise ValueError(
            f"lasso_path expects penalty=Lasso(), ElasticNet() or GroupLasso(), got {estimator.penalty!r}."
        )
    estimator = clone(estimator).set_params(penalty=penalty.at(1.0))  # at a strength of zero it would be none
    with threadpool_limits(limits=1, user_api="blas"):
        data, gate = estimator._check(X, y, **given(sample_weight=sample_weight, exposure=exposure))
        whole = SparseFit(estimator._likelihood(data, gate), penalty)
        solver = options.check_proximal(estimator.solver, whole.likelihood, estimator.max_iter)
        entropy = check_random_state(estimator.random_state).randint(2**31 - 1)
        pool = whole.starts("auto", max(1, min(estimator.n_init, POOL)), entropy, estimator.n_jobs)
        eps = eps or (0.1 if data.rows.n_rows < 10 * data.rows.n_columns else 0.02)
        alphas = knots(whole, pool, solver, n_alphas, eps) if alphas is None else check_alphas(alphas)
        found, last = [], []
        for alpha in alphas:
            ends = ends_at(whole, alpha, [*last, *pool], solver, estimator.n_jobs)
            last = [(ends[0][0], ends[0][1].theta)]
            pool = pool[:-1] or pool  # the start without columns: from the first knot on it is the last end
            fit = SparseFit(whole.likelihood, penalty.at(float(alpha)))
            found.append(Knot.of(estimator, data, fit, *ends[0]))
        coef, gate_coef, *numbers, kinds = zip(*(knot.row() for knot in found), strict=True)
    parts, total = (np.array(coef), np.array(gate_coef), *map(np.array, numbers)), whole.likelihood.total_weight
    return LassoPath(alphas, *parts, kinds, float(total), tuple(found))


def check_alphas(alphas):
    """Strengths, the largest first."""
    given = np.asarray(alphas)
    if given.ndim != 1 or not given.size or given.dtype.kind not in "iuf" or not np.all(np.isfinite(given)):
        raise ValueError(f"alphas expects a list of finite numbers >= 0, got {alphas!r}.")
    if given.min() < 0:
        raise ValueError(f"alphas expects numbers >= 0, got {given.min():g}.")
    return np.sort(given.astype(float))[::-1]


def given(**arguments):
    """Those that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}


def knots(fit, pool, solver, n_alphas, eps):
    """Strengths from the smallest at which the best fit has no column.

    It is at least that at which the fit without columns is a maximum, and raised while another maximum is higher.
    """
    strict = SparseFit(fit.likelihood, fit.penalty.at(1e6))
    problem, end = strict.climb(strict.problem((), ()), pool[-1][1], solver)
    unit = SparseFit(fit.likelihood, fit.penalty.at(1.0))
    whole = unit.full.penalty
    moved = unit.moved(problem, problem.penalty.theta(end.theta), unit.full)
    gradient = fit.likelihood.value_and_score(moved)[1]
    score = whole.pull(gradient, whole.coordinates(moved)) / fit.likelihood.total_weight
    bound = whole.weights > 0
    top = (1 + 1e-9) * np.max(whole.norms(score)[bound] / whole.weights[bound], initial=0.0)
    while ends_at(fit, top, pool, solver)[0][1].certificate["n_nonzero"] > np.sum(~bound):
        top *= RAISED
    return top * np.geomspace(1.0, eps, n_alphas)


def ends_at(fit, alpha, starts, solver, n_jobs=None):
    """The ends of climbs at a strength from starts of another."""
    there = SparseFit(fit.likelihood, fit.penalty.at(float(alpha)))
    return there.ends([(there.problem(p.gate, p.experts), theta) for p, theta in starts], solver, n_jobs)
