"""A path of lasso fits: from the strength at which no column enters down to a small one, each from the last."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits

from ..sparse import SparseFit
from . import options
from .chosen import selected
from .labels import canonical, named

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

    @property
    def bic(self):
        """-2 log-likelihood + log n times the number of parameters that are not zero, (m,)."""
        return -2 * self.loglik + np.log(self.nobs) * self.n_nonzero


def lasso_path(estimator, X, y, alphas=None, *, n_alphas=30, eps=None, sample_weight=None):
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

    Returns
    -------
    LassoPath

    Raises
    ------
    ValueError
        For an estimator without such a penalty.

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
    """
    penalty = options.check_penalty(estimator.penalty)
    if not getattr(penalty, "sparse", False):
        raise ValueError(
            f"lasso_path expects penalty=Lasso(), ElasticNet() or GroupLasso(), got {estimator.penalty!r}."
        )
    estimator = clone(estimator)
    with threadpool_limits(limits=1, user_api="blas"):
        data, gate = estimator._check(X, y, sample_weight)
        whole = SparseFit(estimator._likelihood(data, gate), penalty)
        solver = options.check_proximal(estimator.solver, whole.likelihood, estimator.max_iter)
        entropy = check_random_state(estimator.random_state).randint(2**31 - 1)
        pool = whole.starts("auto", max(1, min(estimator.n_init, POOL)), entropy, estimator.n_jobs)
        eps = eps or (0.1 if data.rows.n_rows < 10 * data.rows.n_columns else 0.02)
        alphas = knots(whole, pool, solver, n_alphas, eps) if alphas is None else np.sort(np.asarray(alphas))[::-1]
        rows, last = [], []
        for alpha in alphas:
            ends = ends_at(whole, alpha, [*last, *pool], solver, estimator.n_jobs)
            last = [(ends[0][0], ends[0][1].theta)]
            pool = pool[:-1] or pool  # the start without columns: from the first knot on it is the last end
            fit = SparseFit(whole.likelihood, penalty.at(float(alpha)))
            rows.append(_row(estimator, data, *selected(fit, *ends[0])))
    coef, gate_coef, *numbers, kinds = zip(*rows, strict=True)
    total = whole.likelihood.total_weight
    return LassoPath(alphas, np.array(coef), np.array(gate_coef), *map(np.array, numbers), kinds, float(total))


def knots(fit, pool, solver, n_alphas, eps):
    """Strengths from the smallest at which the best fit has no column.

    It is at least that at which the fit without columns is a maximum, and raised while another maximum is higher.
    """
    strict = SparseFit(fit.likelihood, fit.penalty.at(1e6))
    problem, end = strict.climb(strict.problem((), ()), pool[-1][1], solver)
    unit = SparseFit(fit.likelihood, fit.penalty.at(1.0))
    whole = unit.full.penalty
    moved = unit.moved(problem, problem.penalty.theta(end.theta), unit.full)
    score = whole.pull(fit.likelihood.value_and_score(moved)[1]) / fit.likelihood.total_weight
    bound = whole.weights > 0
    top = (1 + 1e-9) * np.max(whole.norms(score)[bound] / whole.weights[bound], initial=0.0)
    while ends_at(fit, top, pool, solver)[0][1].certificate["n_nonzero"] > np.sum(~bound):
        top *= RAISED
    return top * np.geomspace(1.0, eps, n_alphas)


def ends_at(fit, alpha, starts, solver, n_jobs=None):
    """The ends of climbs at a strength from starts of another."""
    there = SparseFit(fit.likelihood, fit.penalty.at(float(alpha)))
    return there.ends([(there.problem(p.gate, p.experts), theta) for p, theta in starts], solver, n_jobs)


def _row(estimator, data, problem, run):
    """What the path keeps of one knot."""
    likelihood = problem.likelihood.unpenalised()
    run = canonical(likelihood, replace(run), degenerate=run.degenerate)
    only, model = data.only(problem), likelihood.model
    parts = named(model.to_user(run.theta, likelihood.rows.units), model, only.used, estimator.n_features_in_)
    found = run.certificate
    value = float(likelihood.value(run.theta))
    return parts["coef_"], parts["gate_coef_"], run.loglik, value, found["n_nonzero"], found["kkt"], found["kind"]
