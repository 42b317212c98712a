"""Residuals against their distribution, effects against their formula and against statsmodels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import kstest, norm, poisson

from moegate import MoEClassifier, MoERegressor, infer
from moegate.diagnostics import marginal_effects, pit, posterior_table, quantile_residuals
from moegate.plotting import CalibrationDisplay


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.uniform(-2, 2, (1500, 2)), columns=["a", "b"])
    first = rng.random(1500) < 1 / (1 + np.exp(-1.5 * X["a"] - 0.3))
    return X, np.where(first, 2 + X["a"], -2 - X["a"]) + 0.5 * rng.standard_normal(1500)


@pytest.fixture(scope="module")
def fit(data):
    X, y = data
    return MoERegressor(2, n_init=3, random_state=0).fit(X, y)


def test_residuals_of_a_true_model_are_normal_and_of_a_wrong_one_not(data, fit):
    X, y = data
    assert kstest(quantile_residuals(fit, X, y), "norm").pvalue > 0.05
    wrong = MoERegressor(1).fit(X, y)
    assert kstest(quantile_residuals(wrong, X, y), "norm").pvalue < 1e-6
    np.testing.assert_allclose(pit(fit, X, y), fit.cdf(X, y), rtol=1e-9)


def test_residuals_of_one_expert_are_standardised_and_far_outliers_are_finite(data):
    X, y = data
    one = MoERegressor(1).fit(X, y)
    far = y + np.where(np.arange(len(y)) < 2, [1000.0] * len(y), 0.0) * np.where(np.arange(len(y)) == 0, 1, -1)
    expected = (far - one.predict(X)) / one.sigma_[0]
    np.testing.assert_allclose(quantile_residuals(one, X, far), expected, rtol=1e-6, atol=1e-9)
    assert abs(expected[:2]).min() > 100


def test_residuals_of_counts_are_between_the_two_probabilities(data):
    X, _ = data
    rng = np.random.default_rng(1)
    time = rng.uniform(0.5, 2, len(X))
    y = rng.poisson(time * np.exp(0.5 * X["a"]))
    model = MoERegressor(1, experts="poisson").fit(X, y, exposure=time)
    one, same, other = (quantile_residuals(model, X, y, exposure=time, random_state=s) for s in (0, 0, 1))
    mean = model.predict(X, exposure=time)
    assert np.all((poisson.cdf(y - 1, mean) - 1e-9 <= norm.cdf(one)) & (norm.cdf(one) <= poisson.cdf(y, mean) + 1e-9))
    assert kstest(one, "norm").pvalue > 0.05
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_residuals_of_far_counts_stay_between_the_probabilities(data):
    """Where P(Y <= y) is one to rounding, down to what is below the smallest number."""
    X, _ = data
    X, y = X.iloc[:60], np.ones(60)
    model = MoERegressor(1, experts="poisson", expert_features=[]).fit(X, y)
    mean = model.predict(X)
    for count in (10, 17, 20, 60, 100):
        low, high = (-norm.ppf(poisson.sf(count - step, mean)) for step in (1, 0))
        r = quantile_residuals(model, X, np.full(60, count), random_state=0)
        assert np.all((low - 1e-6 <= r) & (r <= high + 1e-6)) and r.std() > 0.1 * (high - low).mean()
    assert np.isfinite(quantile_residuals(model, X, np.full(60, 1000), random_state=0)).all()


def test_classes_have_no_residuals(data):
    X, y = data
    with pytest.raises(ValueError, match="expects a regressor.*CalibrationDisplay"):
        quantile_residuals(MoEClassifier(1).fit(X, y > 0), X, y > 0)


def test_posterior_table(data, fit):
    X, y = data
    table, R = posterior_table(fit, X, y), fit.responsibilities(X, y)
    assert table["rows"].tolist() == [*np.bincount(R.argmax(axis=1)), len(y)]
    np.testing.assert_allclose(table["share"], [*R.mean(axis=0), 1])
    np.testing.assert_allclose(table.loc[0, ["to 0", "to 1"]].tolist(), R[R.argmax(axis=1) == 0].mean(axis=0))
    entropy = fit.icl(X, y) - fit.bic(X, y)
    assert table.loc["all", "entropy"] == pytest.approx(entropy / 2 / len(y) / np.log(2))


def test_effects_are_differences_of_predictions(data, fit):
    """By the formula dE/dx = sum_k pi_k a_k + sum_k dpi_k/dx m_k, dpi_k/dx = pi_k (w_k - sum_j pi_j w_j)."""
    X, y = data
    table = marginal_effects(infer(fit, X, y), X, "a")
    pi, means, w = fit.predict_gate(X), fit.predict_experts(X), fit.gate_coef_[:, 0]
    slope = pi * (w - pi @ w[:, None])
    expected = [np.mean(pi @ fit.coef_[:, 0] + np.sum(slope * means, axis=1)), *slope.mean(axis=0)]
    np.testing.assert_allclose(table["estimate"], expected, rtol=1e-6)
    assert list(table.index) == ["mean", "gate[0]", "gate[1]"]


def test_errors_of_effects_are_those_of_refits(data, fit):
    """40 data sets drawn from the fit: a standard deviation has a relative error of 11%."""
    X, y = data
    table = marginal_effects(infer(fit, X, y), X, "a")
    draws = [fit.sample(X, random_state=seed) for seed in range(40)]
    refits = [infer(MoERegressor(2, init=fit.theta_).fit(X, draw), X, draw) for draw in draws]
    spread = np.std([marginal_effects(refit, X, "a")["estimate"] for refit in refits], axis=0, ddof=1)
    np.testing.assert_allclose(table["bse"], spread, rtol=0.35)


def test_effects_of_one_expert_are_those_of_mnlogit(data):
    X, y = data
    labels = np.digitize(y, [-1, 1])
    result = infer(MoEClassifier(1, penalty=None).fit(X, labels), X, labels)
    peer = sm.MNLogit(labels, sm.add_constant(X)).fit(disp=0).get_margeff()
    table = marginal_effects(result, X, "b").loc[["0", "1", "2"]]
    np.testing.assert_allclose(table["estimate"], peer.margeff[1], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(table["bse"], peer.margeff_se[1], rtol=1e-4)


def test_effects_on_polars_frames_are_those_on_pandas(data, fit):
    polars = pytest.importorskip("polars")
    X, y = data
    table = polars.DataFrame({name: X[name].to_numpy() for name in X})
    same = MoERegressor(2, init=fit.theta_).fit(table, y)
    effects = [marginal_effects(infer(model, rows, y), rows, "a") for model, rows in ((same, table), (fit, X))]
    np.testing.assert_allclose(*effects, rtol=1e-5)


def test_effect_of_a_change(data, fit):
    X, y = data
    result = infer(fit, X, y)
    change = marginal_effects(result, X, 0, values=(0, 1)).loc["mean", "estimate"]
    assert change == pytest.approx(np.mean(fit.predict(X.assign(a=1)) - fit.predict(X.assign(a=0))))
    with pytest.raises(ValueError, match="column expects one of"):
        marginal_effects(result, X, "c")
    with pytest.raises(TypeError, match=r"expects what infer\(estimator, X, y\) returns, got MoERegressor"):
        marginal_effects(fit, X, "a")


def test_calibration_of_numbers_and_classes(data, fit):
    X, y = data
    display = CalibrationDisplay.from_estimator(fit, X, y)
    heights = [patch.get_height() for patch in display.ax_[0].patches if patch.get_width() < 0.2]
    np.testing.assert_allclose(heights, np.histogram(fit.cdf(X, y), np.linspace(0, 1, 11), density=True)[0], atol=1e-9)
    model = MoEClassifier(1).fit(X, y > 0)
    display = CalibrationDisplay.from_estimator(model, X, y > 0)
    given, seen = display.ax_[0].lines[1].get_data()
    P = model.predict_proba(X)[:, 1]
    bins = np.minimum((P * 10).astype(int), 9)
    at = bins == bins.min()
    assert given[0] == pytest.approx(P[at].mean()) and seen[0] == pytest.approx((y > 0)[at].mean())
    with pytest.raises(ValueError, match="labels of the fit.*got 2"):
        CalibrationDisplay.from_estimator(model, X, np.where(y > 3, 2, y > 0))
    with pytest.raises(ValueError, match="draws on two axes.*got 1"):
        CalibrationDisplay.from_estimator(fit, X, y, ax=plt.subplots()[1])
    plt.close("all")
