"""Data to try things on: real sets of statsmodels and scikit-learn, and draws from a mixture with any gate."""

import numpy as np
from sklearn.utils import check_random_state

from .blocks import Rows, Units
from .estimators.options import check_count, check_experts, check_gate
from .experts import EXPERTS
from .model import MixtureOfExperts


def load_engel():
    """Food expenditure on household income, n = 235 (Engel 1857, Belgian francs a year).

    Returns
    -------
    X : DataFrame
    y : Series
    """
    data = _statsmodels("engel")
    return data[["income"]], data["foodexp"]


def load_grunfeld():
    """Gross investment on a firm's value and capital, n = 220 (11 firms, 1935-1954, millions of 1947 dollars).

    Returns
    -------
    X : DataFrame
    y : Series
    """
    data = _statsmodels("grunfeld")
    return data[["value", "capital"]], data["invest"]


def load_diabetes():
    """Disease progression on body mass index, blood pressure and a serum measurement, n = 442.

    Returns
    -------
    X : DataFrame
    y : Series
    """
    from sklearn import datasets

    X, y = datasets.load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    return X[["bmi", "bp", "s5"]], y.rename("progression")


def load_fair():
    """Whether there was an affair, on eight columns, n = 6366 women (Fair 1978, Redbook's survey).

    Returns
    -------
    X : DataFrame
    y : Series
        True or False.
    """
    data = _statsmodels("fair")
    return data.drop(columns="affairs"), (data["affairs"] > 0).rename("affair")


def load_anes96():
    """Party identification in seven steps (0 strong Democrat, 6 strong Republican) on five columns, n = 944.

    Returns
    -------
    X : DataFrame
    y : Series
    """
    data = _statsmodels("anes96")
    return data[["logpopul", "selfLR", "age", "educ", "income"]], data["PID"].astype(int)


def load_randhie():
    """Outpatient visits to a doctor on the insurance plan and health, n = 20190 (RAND health insurance experiment).

    Returns
    -------
    X : DataFrame
        Nine columns.
    y : Series
        Counts.
    """
    data = _statsmodels("randhie")
    return data.drop(columns="mdvis"), data["mdvis"].astype(int)


def _statsmodels(name):
    import statsmodels.api as sm

    return getattr(sm.datasets, name).load_pandas().data


def make_moe(
    n_samples=500,
    n_features=1,
    n_experts=2,
    *,
    gate="softmax",
    experts="gaussian",
    n_classes=3,
    noise=0.5,
    slope=2.0,
    return_theta=False,
    random_state=None,
):
    """Draw from a random mixture of experts with any gate; columns are uniform on [-2, 2].

    Parameters
    ----------
    n_samples, n_features, n_experts : int
    gate : str, GateSpec or Gate, default="softmax"
        As for `MoERegressor`.
    experts : {"gaussian", "poisson", "multinomial"}, default="gaussian"
    n_classes : int, default=3
        Of multinomial experts.
    noise : float, default=0.5
        Standard deviation of Gaussian experts; their lines are two apart at x = 0.
    slope : float, default=2.0
        Standard deviation of the gate's slopes.
    return_theta : bool, default=False
        Whether to return the true parameters, `init=theta` or `likelihood(X, y).value(theta)` of an estimator with the
        same gate, experts and columns.
    random_state : int, RandomState or None, default=None

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
        Numbers, counts, or class numbers.
    theta : ndarray of shape (p,)
        Only with `return_theta`.

    Examples
    --------
    >>> from moegate import MoERegressor
    >>> from moegate.datasets import make_moe
    >>> X, y, theta = make_moe(1000, gate="laplace", return_theta=True, random_state=1)
    >>> moe = MoERegressor(gate="laplace", n_init=2, random_state=0).fit(X, y)
    >>> bool(moe.loglik_ >= moe.likelihood(X, y).value(theta))
    True
    """
    K, d = check_count(n_experts, "n_experts"), check_count(n_features, "n_features")
    rng = np.random.default_rng(check_random_state(random_state).randint(2**31 - 1, size=4))
    X = rng.uniform(-2, 2, (check_count(n_samples, "n_samples"), d))
    family = check_experts(experts, tuple(EXPERTS))
    family = family(check_count(n_classes, "n_classes", 2)) if experts == "multinomial" else family()
    spread = np.full(d, 4 / np.sqrt(12))
    model = MixtureOfExperts(check_gate(gate).build(K).calibrated(spread), family, K, d)
    theta = model.join(_gate(model, slope, rng), _experts(model, experts, noise, rng))
    (block,) = Rows(X, np.zeros(len(X)), None, Units.identity(d), response=False, size=len(X))
    y = model.sample(theta, block, rng)
    y = y if experts == "gaussian" else y.astype(int)
    return (X, y, theta) if return_theta else (X, y)


def _gate(model, slope, rng):
    """Gate parameters (m, w): random slopes or centres, small intercepts, pinned ones zero."""
    coef = model.gate.scores.initial(model.n_experts, np.zeros(model.n_columns))
    size = np.append(np.full(coef.shape[1] - 1, slope), 0.3)
    return np.where(model.gate_free, coef + size * rng.standard_normal(coef.shape), 0.0)


def _experts(model, experts, noise, rng):
    """Expert parameters (K, P): lines two apart, log-means one apart, or random rows of classes."""
    K, d = model.n_experts, model.n_columns
    level = np.arange(K) - (K - 1) / 2
    slopes = rng.standard_normal((K, d))
    if experts == "gaussian":
        return np.column_stack([slopes, 2 * level, np.ones(K)]) / noise
    if experts == "poisson":
        return np.column_stack([0.3 * slopes, 1 + level])
    return 2 * rng.standard_normal(model.expert_shape)
