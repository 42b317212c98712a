"""Likelihood ratio tests: of the number of experts by parametric bootstrap, of columns by chi-square."""

import numbers
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from scipy.stats import chi2
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from .estimators.checks import check_mixture, weighs_classes
from .estimators.collections import in_memory
from .estimators.options import check_count
from .inference.bands import prediction
from .parallel import generator, mapped, seeds
from .resampling import Resampled

MODEL = {"gate", "experts", "exposure", "class_weight"}  # what two models share that differ in columns only
METHODS = ("auto", "bootstrap", "chi2")
ROUNDING = 1e-6  # of the statistic, and of gate probabilities


@in_memory
def likelihood_ratio_test(
    estimator,
    X,
    y,
    null,
    alternative,
    sample_weight=None,
    *,
    method="auto",
    n_boot=99,
    exposure=None,
    random_state=None,
    n_jobs=None,
    progress=False,
):
    """Test a smaller model inside a larger one by 2 (log-likelihood of the larger - of the smaller).

    Between K and more experts the statistic is not chi-square: under the null two experts are equal or one has no
    weight, so that its parameters are not identified and the information is singular; quantiles are several units
    larger. There the null distribution is simulated: both models are fitted to data drawn from the fitted null model,
    by the same search as to the data, and p = (1 + number of simulated statistics as large) / (n_boot + 1). Data to
    which a model cannot be fitted, for want of a class, count as large.

    Where only columns are left out of a gate without jumps that is nested in the larger one, both maxima are interior
    and the experts stay distinct, the statistic is chi-square with the difference of the numbers of parameters. A
    Laplace or cosine gate on fewer columns is not nested: x enters by its length.

    Parameters
    ----------
    estimator : MoERegressor or MoEClassifier
        With the parameters that both models share, without a penalty; it is not changed.
    X : array-like of shape (n, d)
    y : array-like of shape (n,)
    null, alternative : int or dict
        The smaller and the larger model: a number of experts, or parameters such as `{"gate_features": ["age"]}` or
        `{"gate": "softmax"}`.
    sample_weight : array-like of shape (n,), optional
        Frequency weights.
    method : {"auto", "bootstrap", "chi2"}, default="auto"
        "auto" takes "chi2" where that holds as far as the fits show, else "bootstrap".
    n_boot : int, default=99
        Simulated data sets.
    exposure : array-like of shape (n,), optional
        For Poisson experts.
    random_state : int, RandomState or None, default=None
        Of the simulated data, and of the searches where the estimator has none of its own.
    n_jobs : int, optional
        Simulated fits in parallel; the result does not depend on it.
    progress : bool, default=False
        Whether to show a bar.

    Returns
    -------
    RatioTest

    Raises
    ------
    ValueError
        For "chi2" where it does not hold, for a null with as many parameters, under a penalty, or with class weights.

    Warns
    -----
    ConvergenceWarning
        Where a fit to the data is degenerate or no maximum, or the larger model's likelihood is the smaller.

    References
    ----------
    .. [1] McLachlan (1987), On bootstrapping the likelihood ratio test statistic for the number of components in a
       normal mixture, doi:10.2307/2347790.
    .. [2] Self & Liang (1987), Asymptotic properties of maximum likelihood estimators and likelihood ratio tests under
       nonstandard conditions, doi:10.1080/01621459.1987.10478472.

    Examples
    --------
    >>> import numpy as np
    >>> from moegate import MoERegressor, likelihood_ratio_test
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-2, 2, (200, 1))
    >>> y = np.where(rng.random(200) < 0.5, 1 + X[:, 0], -1 - X[:, 0]) + 0.3 * rng.standard_normal(200)
    >>> test = likelihood_ratio_test(MoERegressor(n_init=2), X, y, 1, 2, n_boot=19, random_state=0)
    >>> test.method, round(test.pvalue, 2)
    ('bootstrap', 0.05)
    """
    check_mixture(estimator)
    if method not in METHODS:
        raise ValueError(f'method expects "auto", "bootstrap" or "chi2", got {method!r}.')
    check_count(n_boot, "n_boot")
    rng = check_random_state(random_state)
    given = {"sample_weight": sample_weight, "exposure": exposure}
    data = {"X": X, "y": y} | {name: value for name, value in given.items() if value is not None}
    pair = _pair(estimator, null, alternative, rng)
    fits = _fitted(pair, data)
    _check_pair(fits)
    statistic, df = _statistic(fits), fits[1].dof_ - fits[0].dof_
    why = _irregularity(fits, X) if method != "bootstrap" else "not asked for"
    if method == "chi2" and why:
        raise ValueError(f'method="chi2" does not hold {why}; use method="bootstrap".')
    _warn(fits, statistic)
    if not why:
        return RatioTest(statistic, float(chi2.sf(statistic, df)), df, "chi2", *fits)
    rows = Resampled(fits[0], X, y, sample_weight, exposure, "parametric")
    label = "likelihood ratio" if progress else None
    simulated = np.array(mapped(partial(_simulated, pair, rows), seeds(rng, n_boot), n_jobs, label))
    pvalue = (1 + np.sum(~(simulated < statistic))) / (n_boot + 1)
    return RatioTest(statistic, float(pvalue), df, "bootstrap", *fits, simulated)


@dataclass(frozen=True)
class RatioTest:
    """A likelihood ratio test.

    Attributes
    ----------
    statistic, pvalue : float
    df : int
        Difference of the numbers of identified parameters.
    method : str
        "bootstrap" or "chi2".
    null, alternative : estimator
        The two fits.
    simulated : ndarray of shape (n_boot,)
        Statistics of the simulated data sets, NaN where a model could not be fitted; empty for "chi2".
    """

    statistic: float
    pvalue: float
    df: int
    method: str
    null: object = field(repr=False)
    alternative: object = field(repr=False)
    simulated: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)

    @property
    def failed(self):
        """Number of simulated data sets to which a model could not be fitted."""
        return int(np.isnan(self.simulated).sum())


def _pair(estimator, null, alternative, rng):
    """The two models, not fitted; with one seed for every search where the estimator has none."""
    given = (_parameters(null, "null"), _parameters(alternative, "alternative"))
    pair = [clone(estimator).set_callbacks().set_params(**parameters) for parameters in given]
    seed = int(rng.randint(2**31 - 1)) if any(model.random_state is None for model in pair) else None
    return [model.set_params(random_state=seed) if model.random_state is None else model for model in pair]


def _parameters(model, name):
    """Parameters of one of the two models."""
    if isinstance(model, numbers.Integral):
        return {"n_experts": model}
    if isinstance(model, Mapping):
        return dict(model)
    raise ValueError(
        f"{name} expects a number of experts or a dict of parameters such as {{'gate_features': [0]}}, got {model!r}."
    )


def _fitted(pair, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [clone(model).fit(**data) for model in pair]


def _statistic(fits):
    return float(2 * (fits[1].loglik_ - fits[0].loglik_))


def _simulated(pair, rows, seed):
    """The statistic of one simulated data set; NaN where a class, or all variation, is gone."""
    try:
        return _statistic(_fitted(pair, rows.draw(generator(seed))))
    except ValueError:
        return np.nan


def _check_pair(fits):
    """Refuse what neither method can compare."""
    if any(hasattr(fit, "objective_") for fit in fits):
        penalty = next(fit.penalty for fit in fits if hasattr(fit, "objective_"))
        raise ValueError(
            f"likelihood_ratio_test expects models without a penalty, got penalty={penalty!r}; pass an estimator with "
            "penalty=None."
        )
    if any(map(weighs_classes, fits)):
        raise ValueError(
            "likelihood_ratio_test expects models without class weights, under which the statistic is no likelihood "
            f"ratio, got {fits[0]} and {fits[1]}; pass class_weight=None."
        )
    if fits[0].dof_ >= fits[1].dof_:
        raise ValueError(
            f"null expects a smaller model than alternative, got {fits[0].dof_} and {fits[1].dof_} parameters: "
            f"{fits[0]} and {fits[1]}."
        )


def _irregularity(fits, X):
    """Why the statistic is not chi-square under the null, in words; empty where nothing speaks against it."""
    if fits[0].n_experts != fits[1].n_experts:
        return "between numbers of experts, where the null has parameters that are not identified"
    null, alternative = (fit.get_params(deep=False) for fit in fits)
    other = [name for name in MODEL & null.keys() if repr(null[name]) != repr(alternative[name])]
    if other:
        return f"where the models differ in {', '.join(sorted(other))}, not in columns only"
    if not _nested(*fits, X):
        return "where the smaller model is not the larger one with coefficients at zero"
    if fits[0].n_experts > 1 and not fits[0].model_.gate.smooth:
        return f"where the gate jumps or bends, as gate={fits[0].gate!r} does"
    kinds = [fit.certificate_["kind"] for fit in fits]
    return (
        ""
        if kinds == ["interior", "interior"]
        else f"where the fits end at {kinds[0]!r} and {kinds[1]!r}, not interior"
    )


def _nested(small, large, X):
    """Whether the larger model with zeros for the columns that the smaller one lacks is the smaller one."""
    gates, experts = zip(*map(_columns, (small, large)), strict=True)
    if not (set(gates[0]) <= set(gates[1]) and set(experts[0]) <= set(experts[1])):
        return False
    coef = small.model_.split(small.theta_)[0]
    padded = np.zeros((len(coef), len(gates[1]) + 1))
    padded[:, [*map(gates[1].index, gates[0]), -1]] = coef
    theta = large.model_.join(padded, large.model_.split(large.theta_)[1])
    pi = prediction(large, X, "predict_gate", {})(theta)
    return np.allclose(pi, small.predict_gate(X), rtol=0, atol=ROUNDING)


def _columns(fit):
    """Columns of X that gate and experts see."""
    return [[fit.columns_[c] for c in rows[:-1]] for rows in (fit.model_.gate_rows, fit.model_.expert_rows)]


def _warn(fits, statistic):
    """Of fits to the data whose likelihood is not that of a maximum."""
    for name, fit in zip(("null", "alternative"), fits, strict=True):
        if fit.init_results_["degenerate"].iloc[0] or fit.certificate_["kind"] == "none":
            warnings.warn(
                f"The {name} has a degenerate expert or has not reached a maximum: its likelihood means little. Fit "
                f"{fit!r} alone to see which expert; lower n_experts, raise n_init or max_iter.",
                ConvergenceWarning,
                stacklevel=3,
            )
    if statistic < -ROUNDING:
        warnings.warn(
            f"The alternative has a smaller likelihood than the null (statistic {statistic:.3g}): its search has not "
            "found the maximum, or the models are not nested. Raise n_init.",
            ConvergenceWarning,
            stacklevel=3,
        )
