"""Likelihood ratio tests: of the number of experts by parametric bootstrap, of columns by chi-square."""

import warnings
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from scipy.stats import chi2
from sklearn.base import clone

from .bootstrap import Resampled
from .parallel import generator, mapped, seeds

COLUMNS = {"gate_features", "expert_features"}


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
    by the same search as to the data, and p = (1 + number of simulated statistics as large) / (n_boot + 1).

    Where only columns are left out, both maxima are interior and the experts stay distinct, the statistic is chi-square
    with the difference of the numbers of parameters.

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
        "auto" takes "chi2" where the models differ in columns only and both fits are interior.
    n_boot : int, default=99
        Simulated data sets.
    exposure : array-like of shape (n,), optional
        For Poisson experts.
    random_state : int, RandomState or None, default=None
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
        For "chi2" between numbers of experts, for models that are not nested, or under a penalty.

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
    null, alternative = ({"n_experts": m} if isinstance(m, (int, np.integer)) else dict(m) for m in (null, alternative))
    if method not in ("auto", "bootstrap", "chi2"):
        raise ValueError(f'method expects "auto", "bootstrap" or "chi2", got {method!r}.')
    given = {"sample_weight": sample_weight, "exposure": exposure}
    data = {"X": X, "y": y} | {name: value for name, value in given.items() if value is not None}
    pair = [clone(estimator).set_params(**parameters) for parameters in (null, alternative)]
    statistic, fits = _ratio(pair, data, keep=True)
    df = fits[1].dof_ - fits[0].dof_
    _check_nested(fits, null, alternative, df, method)
    if method == "chi2" or (method == "auto" and _regular(fits, null, alternative)):
        return RatioTest(statistic, float(chi2.sf(statistic, df)), df, "chi2", *fits)
    rows = Resampled(fits[0], X, y, sample_weight, exposure, "parametric")
    label = "likelihood ratio" if progress else None
    simulated = np.array(mapped(partial(_simulated, pair, rows), seeds(random_state, n_boot), n_jobs, label))
    pvalue = (1 + np.sum(simulated >= statistic)) / (n_boot + 1)
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
        Statistics of the simulated data sets; empty for "chi2".
    """

    statistic: float
    pvalue: float
    df: int
    method: str
    null: object = field(repr=False)
    alternative: object = field(repr=False)
    simulated: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)


def _ratio(pair, data, keep=False):
    """The statistic, with the fits if they are to be kept."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = [clone(model).fit(**data) for model in pair]
    statistic = float(2 * (fits[1].loglik_ - fits[0].loglik_))
    return (statistic, fits) if keep else statistic


def _simulated(pair, rows, seed):
    return _ratio(pair, rows.draw(generator(seed)))


def _check_nested(fits, null, alternative, df, method):
    if any(hasattr(fit, "objective_") for fit in fits):
        raise ValueError(
            f"likelihood_ratio_test expects models without a penalty, got penalty={fits[0].penalty!r}; pass an "
            "estimator with penalty=None."
        )
    if df <= 0:
        raise ValueError(
            f"null expects a smaller model than alternative, got {fits[0].dof_} and {fits[1].dof_} parameters: "
            f"{null} and {alternative}."
        )
    experts = fits[0].n_experts != fits[1].n_experts
    if method == "chi2" and experts:
        raise ValueError(
            'method="chi2" does not hold between numbers of experts, where the null has parameters that are not '
            'identified; use method="bootstrap".'
        )


def _regular(fits, null, alternative):
    """Whether the models differ in columns only, the smaller one's among the larger's, and both fits are interior."""
    if not (null.keys() | alternative.keys()) <= COLUMNS:
        return False
    small, large = (fit.model_ for fit in fits)
    names = [
        [{fit.columns_[c] for c in rows[:-1]} for rows in (model.gate_rows, model.expert_rows)]
        for fit, model in zip(fits, (small, large), strict=True)
    ]
    nested = all(few <= many for few, many in zip(*names, strict=True))
    return nested and all(fit.certificate_["kind"] == "interior" for fit in fits)
