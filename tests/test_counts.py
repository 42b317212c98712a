"""Poisson experts of MoERegressor: against generalised linear models, exposure, and the distribution of counts."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import poisson
from sklearn import config_context
from sklearn.compose import make_column_selector
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score

from moegate import LaplaceGate, MoERegressor, Ridge
from moegate.diagnostics import quantile_residuals
from moegate.estimators.data import make_rows
from moegate.experts import Poisson
from moegate.initialization import Sample
from moegate.metrics import log_density_score

quick = partial(MoERegressor, experts="poisson", n_init=2, random_state=0)


@pytest.fixture(scope="module")
def counts():
    """Columns, exposures and counts of two regimes."""
    rng = np.random.default_rng(0)
    X, exposure = rng.uniform(-2, 2, (500, 2)), rng.uniform(0.2, 5, 500)
    first = rng.random(500) < 1 / (1 + np.exp(-2 * X[:, 0]))
    rate = np.exp(np.where(first, 0.5 + 0.4 * X[:, 1], 2.0 - 0.5 * X[:, 0]))
    return X, exposure, rng.poisson(exposure * rate)


@pytest.fixture(scope="module")
def fitted(counts):
    X, exposure, y = counts
    return quick().fit(X, y, exposure=exposure)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("exposed", [False, True])
def test_one_expert_is_the_generalised_linear_model(counts, weighted, exposed):
    X, exposure, y = counts
    weight = np.arange(500) % 3 + 1.0 if weighted else None
    exposure = exposure if exposed else None
    moe = quick(1).fit(X, y, sample_weight=weight, exposure=exposure)
    family = sm.families.Poisson()
    peer = sm.GLM(y, sm.add_constant(X), family=family, exposure=exposure, freq_weights=weight).fit(tol=1e-12)
    assert moe.loglik_ == pytest.approx(peer.llf, abs=1e-6)
    np.testing.assert_allclose(np.append(moe.intercept_, moe.coef_), peer.params, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(moe.predict(X, exposure=exposure), peer.mu, rtol=1e-6)
    assert moe.certificate_["kind"] == "interior"


def test_randhie_doctor_visits_equal_the_generalised_linear_model():
    data = sm.datasets.randhie.load_pandas().data
    X, y = data[["lncoins", "disea", "lpi"]], data["mdvis"]
    peer = sm.GLM(y, sm.add_constant(X), family=sm.families.Poisson()).fit(tol=1e-12)
    moe = quick(1).fit(X, y)
    assert moe.loglik_ == pytest.approx(peer.llf, abs=1e-5)
    np.testing.assert_allclose(moe.coef_[0], peer.params[1:], rtol=1e-6)


def test_an_exposure_is_an_argument_or_a_column(counts, fitted):
    X, exposure, y = counts
    table = pd.DataFrame({"a": X[:, 0], "time": exposure, "b": X[:, 1]})
    by_name = quick(exposure="time").fit(table, y)
    by_number = quick(exposure=1).fit(table.to_numpy(), y)
    for moe, data in ((by_name, table), (by_number, table.to_numpy())):
        assert moe.loglik_ == pytest.approx(fitted.loglik_, rel=1e-10) and moe.coef_.shape == (2, 3)
        np.testing.assert_array_equal(moe.coef_[:, 1], 0)
        np.testing.assert_array_equal(moe.gate_coef_[:, 1], 0)
        np.testing.assert_allclose(moe.predict(data), fitted.predict(X, exposure=exposure), rtol=1e-6)
        assert moe.bic(data, y) == pytest.approx(fitted.bic(X, y, exposure=exposure), rel=1e-9)
    np.testing.assert_allclose(by_name.predict(table, exposure=np.ones(500)), fitted.predict(X), rtol=1e-6)


def test_everything_asked_of_a_fit_takes_the_exposure(counts, fitted):
    X, exposure, y = counts
    pi = fitted.predict_gate(X)
    mu = exposure[:, None] * np.exp(X @ fitted.coef_.T + fitted.intercept_)
    np.testing.assert_allclose(fitted.predict_experts(X, exposure=exposure), mu, rtol=1e-10)
    mean = np.sum(pi * mu, axis=1)
    np.testing.assert_allclose(fitted.predict(X, exposure=exposure), mean, rtol=1e-10)
    std = np.sqrt(np.sum(pi * (mu + mu**2), axis=1) - mean**2)
    np.testing.assert_allclose(fitted.predict_std(X, exposure=exposure), std, rtol=1e-9)
    pmf = np.sum(pi * poisson.pmf(y[:, None], mu), axis=1)
    np.testing.assert_allclose(fitted.score_samples(X, y, exposure=exposure), np.log(pmf), rtol=1e-9)
    assert fitted.score_samples(X, y, exposure=exposure).sum() == pytest.approx(fitted.loglik_, rel=1e-10)
    np.testing.assert_allclose(fitted.pdf(X, [3], exposure=exposure)[:, 0], np.sum(pi * poisson.pmf(3, mu), axis=1))
    np.testing.assert_allclose(fitted.cdf(X, y, exposure=exposure), np.sum(pi * poisson.cdf(y[:, None], mu), axis=1))
    np.testing.assert_array_equal(fitted.cdf(X, 3.7, exposure=exposure), fitted.cdf(X, 3, exposure=exposure))
    resp = pi * poisson.pmf(y[:, None], mu) / pmf[:, None]
    np.testing.assert_allclose(fitted.responsibilities(X, y, exposure=exposure), resp, rtol=1e-8, atol=1e-12)


def test_quantiles_beyond_the_largest_exact_integer_end():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 1))
    fit = MoERegressor(2, experts="poisson", n_init=2, random_state=0).fit(X, rng.poisson(np.exp(0.5 + 0.6 * X[:, 0])))
    far = np.array([[60.0], [80.0]])  # means above 1e16
    np.testing.assert_allclose(fit.predict_interval(far), fit.predict(far)[:, None] * [1, 1], rtol=1e-6)


@pytest.mark.parametrize("q", [1e-6, 0.05, 0.5, 0.9, 1 - 1e-9])
def test_quantiles_are_the_smallest_counts_that_reach_the_level(counts, fitted, q):
    X, exposure, _ = counts
    quantile = fitted.predict_quantile(X, q, exposure=exposure)
    np.testing.assert_array_equal(quantile, np.floor(quantile))
    assert np.all(fitted.cdf(X, quantile, exposure=exposure) >= q - 1e-12)
    assert np.all((quantile == 0) | (fitted.cdf(X, quantile - 1, exposure=exposure) < q))


def test_intervals_cover_what_they_say(counts, fitted):
    X, exposure, _ = counts
    low, high = fitted.predict_interval(X, 0.9, exposure=exposure).T
    drawn = np.stack([fitted.sample(X, random_state=i, exposure=exposure) for i in range(40)])
    inside = np.mean((drawn >= low) & (drawn <= high))
    assert 0.9 - 4 * np.sqrt(0.09 / drawn.size) < inside < 0.96


def test_samples_have_the_mean_and_the_spread(fitted):
    X, exposure = np.tile([[0.5, -1.0]], (40_000, 1)), np.full(40_000, 2.0)
    drawn = fitted.sample(X, random_state=0, exposure=exposure)
    mean, std = fitted.predict(X[:1], exposure=[2.0])[0], fitted.predict_std(X[:1], exposure=[2.0])[0]
    assert drawn.mean() == pytest.approx(mean, abs=5 * std / 200)
    assert drawn.std() == pytest.approx(std, rel=0.05)


def test_the_expected_log_probability_is_its_sum(counts, fitted):
    X, exposure, _ = counts
    grid = np.arange(3000)
    P = fitted.pdf(X[:20], grid, exposure=exposure[:20])
    expected = np.sum(np.where(P > 0, P * np.log(np.where(P > 0, P, 1)), 0), axis=1)
    np.testing.assert_allclose(fitted.score_samples(X[:20], exposure=exposure[:20]), expected, rtol=1e-8)


def test_large_means_are_averaged_with_a_stride():
    coef, Z = np.array([[0.0, np.log(1e6)]]), np.array([[0.0], [1.0]])
    nodes = list(Poisson().nodes(coef, Z))
    assert len(nodes) <= 256
    mean = sum(weight * y for y, weight in nodes)
    variance = sum(weight * (y - 1e6) ** 2 for y, weight in nodes)
    np.testing.assert_allclose([mean[0, 0], variance[0, 0]], [1e6, 1e6], rtol=1e-6)


def test_rows_with_different_exposures_stay_apart(counts):
    X, exposure, _ = counts
    X, y = np.zeros((500, 2)) + X[:1], np.ones(500)
    rows = make_rows(X, y, None, False)
    apart = rows.__class__(X, y, None, rows.units, False, offset=np.log(exposure))
    assert rows.merged().n_rows == 1 and apart.merged().n_rows == 500
    np.testing.assert_allclose(np.sort(apart.merged().offset), np.sort(np.log(exposure)))


def test_starts_see_rates():
    rows = make_rows(np.zeros((3, 0)), np.array([2.0, 4.0, 9.0]), None, False)
    rows = rows.__class__(rows.X, rows.y, None, rows.units, False, offset=np.log([1.0, 2.0, 1.0]))
    y = Sample.from_rows(rows, Poisson()).y[:, 0]
    assert y[0] == pytest.approx(y[1]) and y[2] > y[0]


def test_weights_units_and_other_gates(counts):
    X, exposure, y = counts
    weight = np.arange(500) % 3
    weighted = quick().fit(X, y, sample_weight=weight, exposure=exposure)
    repeated = quick().fit(*(np.repeat(a, weight, axis=0) for a in (X, y)), exposure=np.repeat(exposure, weight))
    np.testing.assert_allclose(weighted.theta_, repeated.theta_, rtol=1e-6)
    moved = quick().fit(X * [100, 0.01] - [3, 5], y, exposure=exposure)
    assert moved.loglik_ == pytest.approx(quick().fit(X, y, exposure=exposure).loglik_, rel=1e-9)
    laplace = quick(gate=LaplaceGate(), penalty=Ridge(1e-3)).fit(X, y, exposure=exposure)
    assert laplace.converged_ and laplace.loglik_ > quick(1).fit(X, y, exposure=exposure).loglik_ + 20


def test_bad_counts_and_exposures_are_told(counts):
    X, exposure, y = counts

    def refuses(message, y=y, exposure=exposure, **parameters):
        with pytest.raises(ValueError, match=message):
            quick(**parameters).fit(X, y, exposure=exposure)

    refuses(r"y expects counts 0, 1, 2, ... for Poisson experts, got 1.5 in row 0; use experts=.gaussian.", y=y + 0.5)
    refuses("y expects counts .* got -1 in row 0", y=y - y[0] - 1)
    refuses("y is zero in every row", y=0 * y)
    refuses("y expects counts up to 1e15", y=y * 1e15 + 1e15)
    none = np.where(np.arange(500) == 2, 0.0, exposure)
    refuses("exposure expects positive numbers, got 0 in row 2; leave such rows out", exposure=none)
    refuses(r"exposure expects shape \(500,\), one per row of X, got \(3,\)", exposure=np.ones(3))
    refuses("(?s)NaN.*exposure expects one finite number > 0 per row", exposure=exposure * np.nan)
    refuses("exposure is for Poisson experts, got experts='gaussian'", experts="gaussian")
    with pytest.raises(ValueError, match="exposure asks for column 7, but X has 2 columns"):
        quick(exposure=7).fit(X, y)
    with pytest.raises(ValueError, match="exposure is for Poisson experts"):
        MoERegressor(exposure=0).fit(X, y)


def test_probabilities_of_what_is_no_count(counts, fitted):
    X, exposure, y = counts
    with pytest.raises(ValueError, match="y expects counts"):
        fitted.score_samples(X, y + 0.5, exposure=exposure)
    np.testing.assert_array_equal(fitted.pdf(X, [0.5], exposure=exposure), 0)
    with pytest.raises(ValueError, match="exposure expects shape"):
        fitted.predict(X, exposure=[1.0])


def test_the_exposure_of_a_row_of_weight_zero_does_not_matter(counts, fitted):
    X, exposure, y = counts
    X, y, weight = np.vstack([X, X[:3]]), np.append(y, y[:3]), np.append(np.ones(500), np.zeros(3))
    exposure = np.append(exposure, [0.0, -1.0, 0.0])
    moe = quick().fit(X, y, weight, exposure)
    assert moe.loglik_ == pytest.approx(fitted.loglik_, rel=1e-10)
    np.testing.assert_allclose(moe.score_samples(X[:500], y[:500], exposure=exposure[:500]).sum(), fitted.loglik_)
    assert moe.likelihood(X, y, weight, exposure=exposure).value(moe.theta_) == pytest.approx(moe.loglik_)
    weight[501] = 1.0
    with pytest.raises(ValueError, match="exposure expects positive numbers, got -1 in row 501"):
        quick().fit(X, y, weight, exposure)


def test_the_exposure_column_is_never_a_feature(counts, fitted):
    X, exposure, y = counts
    table = pd.DataFrame({"a": X[:, 0], "time": exposure, "b": X[:, 1]})
    for some in (make_column_selector(dtype_include=float), slice(None), lambda X: ["b", "time", "a"]):
        moe = quick(exposure="time", gate_features=some, expert_features=some).fit(table, y)
        assert moe.loglik_ == pytest.approx(fitted.loglik_, rel=1e-10) and not moe.coef_[:, 1].any()
    for named in (["a", "time"], [0, 1], [True, True, False]):
        with pytest.raises(ValueError, match=r"expert_features expects no column that is the exposure \('time'\), got"):
            quick(exposure="time", expert_features=named).fit(table, y)


def test_scores_take_the_exposure(counts, fitted):
    X, exposure, y = counts
    expected = r2_score(y, fitted.predict(X, exposure=exposure))
    assert fitted.score(X, y, exposure=exposure) == pytest.approx(expected, rel=1e-12) and expected > 0.5
    mean = fitted.score_samples(X, y, exposure=exposure).mean()
    assert log_density_score(fitted, X, y, exposure=exposure) == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("asked", ["score", "score_samples", "responsibilities", "bic", "residuals"])
def test_a_response_without_the_exposure_of_the_fit_is_told(counts, fitted, asked):
    X, exposure, y = counts
    ask = partial(quantile_residuals, fitted, random_state=0) if asked == "residuals" else getattr(fitted, asked)
    with pytest.warns(UserWarning, match="fitted with an exposure, got none, which is taken for one in every row"):
        found = ask(X, y)
    np.testing.assert_array_equal(found, ask(X, y, exposure=1))
    assert fitted.predict(X).shape == (500,)  # a rate


def test_cross_validation_routes_the_exposure(counts):
    X, exposure, y = counts
    plain, params = quick(1, n_init=1), {"exposure": exposure}
    column = cross_val_score(quick(1, n_init=1, exposure=2), np.column_stack([X, exposure]), y, cv=2)
    with pytest.warns(UserWarning, match="in cross-validation"):
        assert np.all(cross_val_score(plain, X, y, cv=2, params=params) < column)
    with config_context(enable_metadata_routing=True):
        routed = plain.set_fit_request(exposure=True).set_score_request(exposure=True)
        np.testing.assert_allclose(cross_val_score(routed, X, y, cv=2, params=params), column, rtol=1e-8)
