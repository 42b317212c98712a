"""Mixture-of-experts regression in scikit-learn's manner."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.callback import with_callbacks

from .base import MoEBase
from .checks import check_data, check_exposure, refuse_missing
from .columns import index
from .distribution import Distribution
from .options import experts_name


class MoERegressor(Distribution, RegressorMixin, MoEBase):
    """Mixture of experts for a number or a count, p(y | x) = sum_k pi_k(x) f_k(y | x).

    f_k is normal, N(y; a_k'x + c_k, sigma_k^2), or Poisson with the mean exposure times exp(a_k'x + c_k). Fitted by
    maximum likelihood: many short EM runs from starts of several kinds, the best of them climbed by Newton's method on
    the exact observed Hessian to a certified local maximum; fits with a degenerate expert are put aside.

    Parameters
    ----------
    n_experts : int, default=2
        K.
    gate : str, GateSpec or Gate, default="softmax"
        pi(x): a name ("softmax", "top_k", "dense_to_sparse", "activation", "modified_softmax", "laplace", "sigmoid",
        "cosine", "sparsemax", "gumbel", "hierarchical"), a specification such as `TopKGate(k=2)`, or a composition
        `Gate(scores, link)`.
    experts : {"gaussian", "poisson"} or object, default="gaussian"
        Family of f_k: a name, or `moegate.experts.Gaussian()` or `Poisson()`.
    solver : {"auto", "newton", "lbfgs", "em", "squarem", "continuation"} or object, default="auto"
        "auto" is "continuation" for a gate with a path (top-K, sparsemax, Gumbel, a temperature schedule), else
        "newton" up to 500 parameters and "lbfgs" above. An object has `solve(likelihood, theta)`, which returns a
        `moegate.solvers.Solution`; a dataclass with `max_iter` is also asked for short climbs, one with `monitor` says
        to callbacks where it is.
    penalty : None, "ridge", or Ridge, Lasso, ElasticNet or GroupLasso, default=None
        Subtracted from the mean log-likelihood, see `Ridge` and `Lasso`.
    init : str, ndarray or fitted estimator, default="auto"
        A kind of start ("regressions", "random", "dirichlet", "hyperplane", "kmeans", "quantile"), "auto" for all of
        them in turn, parameters `theta` (p,), responsibilities (n, K), or an estimator fitted with a gate and experts
        of the same kind (wrapped in `sklearn.frozen.FrozenEstimator` where scikit-learn clones the model).
    n_init : int, default=10
        Long runs; each is the best of about ten short ones. About half as many where the gate has a path.
    max_iter : int, default=500
        Solver iterations of one run, after its first EM steps.
    tol : float, default=1e-8
        Log-likelihood that a Newton step may still gain at the end.
    gate_features, expert_features : None, list of int or str, slice, mask or callable, default=None
        Columns of the gate and of the experts; None is all, an empty list an intercept only.
    warm_start : bool, default=False
        Start from the previous fit's `theta_` alone.
    random_state : int, RandomState or None, default=None
    n_jobs : int, optional
        Runs in parallel; the result does not depend on it.
    exposure : int or str, optional
        Column of X that holds the exposure of Poisson experts (time at risk, area, persons), and is no feature, even if
        a callable or a slice selects it. An argument `exposure` of `fit` and of what is asked of the fit takes its
        place; without either it is one, and a warning says so where the fit had one and y is asked about.
    variance : {"free", "shared"}, default="free"
        Whether each Gaussian expert has its own variance, or all have one, under a `Lasso` (as in the R package RMoE,
        arXiv:1907.06994); `Lasso(0)` is then maximum likelihood.

    Attributes
    ----------
    theta_ : ndarray of shape (p,)
        All parameters in user units: gate (last expert zero where a translation cannot be seen), then (a, c, 1) / sigma
        of each expert.
    loglik_ : float
        Log-likelihood at `theta_`, without the penalty.
    exact_loglik_ : float
        The same without what smooths a gate's kinks (Laplace); equal for all other gates.
    loglik_history_ : ndarray
        After each iteration of the winning run's last stage; under a penalty `objective_history_`, of the penalised
        log-likelihood, whose last value is `objective_`.
    converged_ : bool
        Whether the certificate is not "none".
    n_iter_ : int
    certificate_ : dict
        `kind`: "interior" (a strict local maximum), "flat" (a maximum that is not a point: some parameters are not
        identified), "limit" (the value has converged while the gate or an expert diverges), "border" (a maximum held by
        the jumps or kinks of a gate that is not smooth) or "none"; `decrement`, `min_eigenvalue`, `em_rate`,
        `at_boundary`, `gate_diverged`, `experts_diverged`: see `moegate.solvers.certify`.
    init_results_ : pandas.DataFrame
        The end of every run: `loglik`, under a penalty also `objective`, how it ended, and its history.
    model_ : MixtureOfExperts
    gate_coef_, gate_intercept_ : ndarray of shape (K, d), (K,)
        Gate slopes and intercepts per unit of x, centred over experts; for gates that have them.
    gate_center_ : ndarray of shape (K, d)
        Centres of a Laplace gate.
    gate_nodes_ : dict
        Of a tree, the named coefficients of each gate by the branches taken on the way to it.
    coef_, intercept_ : ndarray of shape (K, d), (K,)
        Expert slopes and intercepts, in units of y, of Poisson experts of the log-mean; zeros outside
        `expert_features`.
    sigma_ : ndarray of shape (K,)
        Standard deviations of Gaussian experts, in units of y.
    exposed_ : bool
        Whether `fit` got an argument `exposure`.
    n_features_in_ : int
    feature_names_in_ : ndarray

    References
    ----------
    .. [1] Jacobs, Jordan, Nowlan & Hinton (1991), Adaptive mixtures of local experts, doi:10.1162/neco.1991.3.1.79.
    .. [2] Nguyen, Nguyen & Ho (2023), arXiv:2305.03288.

    Examples
    --------
    >>> import numpy as np
    >>> from moegate import MoERegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-2, 2, (300, 1))
    >>> first = rng.random(300) < 1 / (1 + np.exp(-2 * X[:, 0]))
    >>> y = np.where(first, 1 + X[:, 0], -2 * X[:, 0]) + 0.2 * rng.standard_normal(300)
    >>> moe = MoERegressor(n_experts=2, random_state=0).fit(X, y)
    >>> moe.certificate_["kind"]
    'interior'
    >>> np.sort(moe.coef_[:, 0]).round(1)
    array([-2.,  1.])
    """

    _families = ("gaussian", "poisson")

    def __init__(
        self,
        n_experts=2,
        *,
        gate="softmax",
        experts="gaussian",
        solver="auto",
        penalty=None,
        init="auto",
        n_init=10,
        max_iter=500,
        tol=1e-8,
        gate_features=None,
        expert_features=None,
        warm_start=False,
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
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.gate_features = gate_features
        self.expert_features = expert_features
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.exposure = exposure
        self.variance = variance

    @with_callbacks
    def fit(self, X, y, sample_weight=None, exposure=None):
        """Fit by maximum likelihood.

        Parameters
        ----------
        X : array-like, dask array or dask frame of shape (n, d)
            In any units: columns are centred and scaled inside. A large array or memory map of numbers is read in
            blocks at each pass. Partitions of a dask collection stay where they are; up to 64 MB, and with a lasso all,
            are brought here.
        y : array-like of shape (n,)
            Numbers; counts for Poisson experts.
        sample_weight : array-like of shape (n,), optional
            Frequency weights: weight 2 equals the row twice, weight 0 no row.
        exposure : array-like of shape (n,), optional
            Of Poisson experts: the mean count is exposure times exp(a_k'x + c_k).

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For bad data or parameters, saying what was expected, what came, and what to do.

        Warns
        -----
        ConvergenceWarning
            Where the fit is not an interior maximum, an expert is degenerate, or a column is redundant.
        """
        return self._fit(X, y, sample_weight=sample_weight, exposure=exposure)

    def _check_X_y(self, X, y, reset=True):
        refuse_missing(y, "a number")
        return check_data(self, X, y=y, reset=reset, y_numeric=True, ensure_min_samples=2 if reset else 1)

    def _check_response(self, y):
        """Check the response of the rows with a positive weight."""
        if experts_name(self.experts) == "poisson":
            return _check_counts(y)
        with np.errstate(over="ignore"):
            spread = np.ptp(y)
        if spread > 0 and not 1e-140 < spread < 1e140:
            raise ValueError(f"y expects a spread between 1e-140 and 1e140, got {spread:g}; change its unit.")
        if spread <= 1e-12 * np.max(np.abs(y)):
            raise ValueError(
                f"y is constant ({y[0]:g}): a regression needs a response that varies; check the column passed."
            )

    def _admitted(self, y):
        """Responses at which the log-likelihood can be asked for."""
        if experts_name(self.experts) == "poisson":
            _check_integers(y)
        return y

    def _left_out(self):
        if self.exposure is None:
            return ()
        names = getattr(self, "feature_names_in_", None)
        return (index(self.exposure, names, self.n_features_in_, "exposure"),)

    def _offset(self, X, exposure=None, weight=None):
        if experts_name(self.experts) != "poisson" or (exposure is None and self.exposure is None):
            return super()._offset(X, self.exposure if exposure is None else exposure)
        exposure = X[:, self._left_out()[0]] if exposure is None else exposure
        return np.log(check_exposure(exposure, len(X), weight))


def _check_counts(y):
    _check_integers(y)
    if not y.any():
        raise ValueError(
            "y is zero in every row: Poisson experts expect some positive counts; check the column passed."
        )
    if y.max() > 1e15:
        raise ValueError(f"y expects counts up to 1e15, got {y.max():g}; Gaussian experts take such numbers.")


def _check_integers(y):
    bad = np.flatnonzero((y < 0) | (y != np.floor(y)))
    if bad.size:
        raise ValueError(
            f"y expects counts 0, 1, 2, ... for Poisson experts, got {y[bad[0]]:g} in row {bad[0]}; "
            'use experts="gaussian", or pass a rate as counts and exposure.'
        )
