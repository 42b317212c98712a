"""The fitted distribution against numerical integration, simulation and the formulas."""

import numpy as np
import pytest
from scipy.special import log_ndtr, logsumexp
from scipy.stats import binom, kstest, norm
from sklearn.datasets import load_diabetes

from moegate import MoERegressor

TAILS = 10.0 ** -np.arange(1, 13)


def simulate(n, seed):
    """Three lines that cross, mixed by a softmax gate."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, (n, 2))
    scores = X @ [[2.0, 0.0, -1.0], [0.0, 1.0, 0.0]] + [0.0, 0.5, 0.0] + rng.gumbel(size=(n, 3))
    k = scores.argmax(axis=1)
    means = X @ [[1.0, -1.0, 0.0], [0.0, 0.5, 2.0]] + [0.0, 3.0, -4.0]
    return X, means[np.arange(n), k] + np.array([0.3, 0.6, 1.0])[k] * rng.standard_normal(n)


@pytest.fixture(scope="module")
def fitted():
    """A fit in unlike units of x and y."""
    X, y = simulate(800, 0)
    X, y = X * [100.0, 0.01] + [1000.0, -5.0], 50 * y - 300
    return MoERegressor(n_experts=3, n_init=3, random_state=0).fit(X, y), X, y


@pytest.fixture(scope="module")
def parts(fitted):
    """Gate probabilities, means and scales of the fit at its rows, from its public coefficients."""
    model, X, _ = fitted
    scores = X @ model.gate_coef_.T + model.gate_intercept_
    gate = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
    return gate, X @ model.coef_.T + model.intercept_, model.sigma_


@pytest.fixture(scope="module")
def density(fitted):
    """Gauss-Legendre nodes over all but 1e-12 of the probability, and weights times density there, (rows, nodes)."""
    model, X, _ = fitted
    low, high = model.predict_interval(X, 1 - 2e-12).T
    nodes, weights = np.polynomial.legendre.leggauss(600)
    half = (high.max() - low.min()) / 2
    y = low.min() + half * (1 + nodes)
    return y, half * weights * model.pdf(X, y)


def test_gate_and_experts_follow_from_the_coefficients(fitted, parts):
    model, X, _ = fitted
    gate, means, _ = parts
    np.testing.assert_allclose(model.predict_gate(X), gate, rtol=1e-8, atol=1e-300)
    np.testing.assert_allclose(model.predict_experts(X), means, rtol=1e-9)
    np.testing.assert_allclose(model.predict_gate(X).sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(model.gate_coef_.sum(axis=0), 0, atol=1e-12)  # centred over experts
    np.testing.assert_allclose(model.gate_intercept_.sum(), 0, atol=1e-10)


def test_truth_is_recovered_in_user_units(fitted):
    model, _, _ = fitted
    order = np.argsort(model.sigma_)
    np.testing.assert_allclose(model.sigma_[order], [15, 30, 50], rtol=0.15)
    np.testing.assert_allclose(model.coef_[order, 0], [0.5, -0.5, 0.0], atol=0.1)
    np.testing.assert_allclose(model.coef_[order, 1], [0, 2500, 10_000], atol=800)


def test_mean_is_the_gate_times_the_experts(fitted):
    model, X, _ = fitted
    expected = np.sum(model.predict_gate(X) * model.predict_experts(X), axis=1)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-12)


def test_log_density_is_the_mixture_of_normals(fitted, parts):
    model, X, y = fitted
    gate, means, sigma = parts
    joint = np.log(gate) + norm.logpdf(y[:, None], means, sigma)
    np.testing.assert_allclose(model.score_samples(X, y), logsumexp(joint, axis=1), rtol=1e-8)
    np.testing.assert_allclose(model.score_samples(X, y).sum(), model.loglik_, rtol=1e-12)


def test_density_at_a_grid_is_the_exponential_of_the_log_density(fitted):
    model, X, y = fitted
    density = model.pdf(X, y[:5])
    assert density.shape == (len(X), 5)
    for j in range(5):
        np.testing.assert_allclose(density[:, j], np.exp(model.score_samples(X, np.full(len(X), y[j]))), rtol=1e-10)


def test_responsibilities_follow_bayes_rule(fitted, parts):
    model, X, y = fitted
    gate, means, sigma = parts
    joint = gate * norm.pdf(y[:, None], means, sigma)
    R = model.responsibilities(X, y)
    np.testing.assert_allclose(R, joint / joint.sum(axis=1, keepdims=True), rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(R.sum(axis=1), 1, rtol=1e-14)


def test_likelihood_at_the_fit_is_the_reported_one(fitted):
    model, X, y = fitted
    assert model.likelihood(X, y).value(model.theta_) == pytest.approx(model.loglik_, rel=1e-13)
    weight = np.arange(len(y)) % 4
    weighted = model.likelihood(X, y, weight).value(model.theta_)
    assert weighted == pytest.approx(weight @ model.score_samples(X, y), rel=1e-12)


def test_density_integrates_to_one(density):
    np.testing.assert_allclose(density[1].sum(axis=1), 1, rtol=1e-10)


def test_density_is_the_derivative_of_the_distribution_function(fitted):
    model, X, y = fitted
    h = 1e-3 * model.sigma_.min()
    moved = [model.cdf(X, y + step * h) for step in (-2, -1, 1, 2)]
    slope = np.array([1, -8, 8, -1]) @ moved / (12 * h)
    np.testing.assert_allclose(np.exp(model.score_samples(X, y)), slope, rtol=1e-7, atol=1e-12)


def test_one_response_for_all_rows_is_a_number_of_any_kind(fitted):
    model, X, y = fitted
    expected = model.cdf(X, np.full(len(X), 0.5))
    for number in (0.5, np.float64(0.5), np.array(0.5)):
        np.testing.assert_array_equal(model.cdf(X, number), expected)


@pytest.mark.parametrize("tail", TAILS)
def test_quantiles_invert_the_distribution_function_in_the_lower_tail(fitted, tail):
    model, X, _ = fitted
    np.testing.assert_allclose(model.cdf(X, model.predict_quantile(X, tail)), tail, rtol=1e-8)


@pytest.mark.parametrize("tail", TAILS)
def test_quantiles_invert_the_survival_function_in_the_upper_tail(fitted, parts, tail):
    model, X, _ = fitted
    gate, means, sigma = parts
    q = 1 - tail
    at = model.predict_quantile(X, q)
    survival = logsumexp(np.log(gate) + log_ndtr((means - at[:, None]) / sigma), axis=1)
    np.testing.assert_allclose(np.exp(survival), 1 - q, rtol=1e-7 if tail < 1e-11 else 1e-8)
    np.testing.assert_allclose(model.cdf(X, at), q, rtol=1e-12)


def test_distribution_function_keeps_its_digits_far_below(fitted, parts):
    model, X, _ = fitted
    gate, means, sigma = parts
    y = means.min(axis=1) - 20 * sigma.max()
    expected = logsumexp(np.log(gate) + norm.logcdf(y[:, None], means, sigma), axis=1)
    np.testing.assert_allclose(model.cdf(X, y), np.exp(expected), rtol=1e-6)


def test_quantiles_rise_and_are_vectors_over_levels(fitted):
    model, X, _ = fitted
    levels = np.linspace(0.01, 0.99, 50)
    Q = model.predict_quantile(X, levels)
    assert Q.shape == (len(X), 50) and np.all(np.diff(Q, axis=1) > 0)
    np.testing.assert_array_equal(Q[:, 7], model.predict_quantile(X, levels[7]))


def test_an_interval_is_two_quantiles_and_covers(fitted):
    model, X, _ = fitted
    np.testing.assert_allclose(model.predict_interval(X, 0.8), model.predict_quantile(X, [0.1, 0.9]), rtol=1e-12)
    n = 20_000
    rows = X[np.arange(n) % len(X)]
    y = model.sample(rows, random_state=3)
    for coverage in (0.5, 0.9, 0.99):
        low, high = model.predict_interval(rows, coverage).T
        inside = np.sum((low <= y) & (y <= high))
        assert binom.ppf(1e-4, n, coverage) <= inside <= binom.ppf(1 - 1e-4, n, coverage)


def test_interval_covers_new_data_of_the_truth(fitted):
    model, _, _ = fitted
    X, y = simulate(4000, 9)
    low, high = model.predict_interval(X * [100.0, 0.01] + [1000.0, -5.0], 0.9).T
    assert np.mean((low <= 50 * y - 300) & (50 * y - 300 <= high)) == pytest.approx(0.9, abs=0.03)


def test_mean_and_standard_deviation_by_integration(fitted, density):
    model, X, _ = fitted
    y, mass = density
    mean = mass @ y
    np.testing.assert_allclose(model.predict(X), mean, rtol=1e-8, atol=1e-6)
    np.testing.assert_allclose(model.predict_std(X), np.sqrt(mass @ y**2 - mean**2), rtol=1e-7)


def test_samples_follow_the_distribution_function(fitted):
    model, X, _ = fitted
    rows = X[np.arange(8000) % len(X)]
    y = model.sample(rows, random_state=0)
    assert kstest(model.cdf(rows, y), "uniform").pvalue > 1e-3
    assert kstest(model.cdf(rows, np.roll(y, 1)), "uniform").pvalue < 1e-10  # the test sees a sample of other rows


def test_samples_have_the_moments_of_the_model(fitted):
    model, X, _ = fitted
    rows = np.repeat(X[:5], 20_000, axis=0)
    y = model.sample(rows, random_state=1).reshape(5, -1)
    mean, std = model.predict(X[:5]), model.predict_std(X[:5])
    assert np.all(np.abs(y.mean(axis=1) - mean) < 4 * std / np.sqrt(20_000))
    np.testing.assert_allclose(y.std(axis=1), std, rtol=0.03)


def test_sampling_repeats_by_its_seed_alone(fitted):
    model, X, _ = fitted
    np.testing.assert_array_equal(model.sample(X, 5), model.sample(X, 5))
    assert np.all(model.sample(X, 5) != model.sample(X, 6))


def test_criteria_are_their_formulas(fitted):
    model, X, y = fitted
    weight = np.arange(len(y)) % 3
    K, d = model.coef_.shape
    dof = (K - 1) * (d + 1) + K * (d + 2)
    assert model.dof_ == dof == len(model.theta_)
    for w, passed in ((np.ones(len(y)), ()), (weight, (weight,))):
        loglik = w @ model.score_samples(X, y)
        R = model.responsibilities(X, y)
        entropy = -w @ np.sum(np.where(R > 0, R * np.log(np.maximum(R, 1e-300)), 0), axis=1)
        bic = -2 * loglik + dof * np.log(w.sum())
        assert model.aic(X, y, *passed) == pytest.approx(-2 * loglik + 2 * dof, rel=1e-12)
        assert model.bic(X, y, *passed) == pytest.approx(bic, rel=1e-12)
        assert model.icl(X, y, *passed) == pytest.approx(bic + 2 * entropy, rel=1e-12)


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    return X[["bmi", "bp", "s5"]], y


def restricted(data, **options):
    return MoERegressor(n_init=1, random_state=0, **options).fit(*data)


def test_no_gate_features_give_constant_weights(diabetes):
    model = restricted(diabetes, gate_features=[])
    gate = model.predict_gate(diabetes[0])
    np.testing.assert_array_equal(gate, np.broadcast_to(gate[0], gate.shape))
    np.testing.assert_array_equal(model.gate_coef_, np.zeros((2, 3)))
    assert np.ptp(model.predict_experts(diabetes[0]), axis=0).min() > 0
    R = model.responsibilities(*diabetes)
    np.testing.assert_allclose(gate[0], R.mean(axis=0), rtol=1e-8)  # the likelihood equation of constant weights


def test_no_expert_features_give_constant_means(diabetes):
    model = restricted(diabetes, expert_features=[])
    means = model.predict_experts(diabetes[0])
    np.testing.assert_array_equal(means, np.broadcast_to(means[0], means.shape))
    np.testing.assert_allclose(means[0], model.intercept_, rtol=1e-12)
    np.testing.assert_array_equal(model.coef_, np.zeros((2, 3)))
    assert np.ptp(model.predict(diabetes[0])) > 0  # the gate still moves the mean


def test_coefficients_are_zero_outside_the_selected_columns(diabetes):
    model = restricted(diabetes, gate_features=["s5"], expert_features=["bmi", "bp"])
    assert model.gate_coef_.shape == model.coef_.shape == (2, 3)
    assert model.gate_intercept_.shape == model.intercept_.shape == model.sigma_.shape == (2,)
    np.testing.assert_array_equal(model.gate_coef_ != 0, [[False, False, True]] * 2)
    np.testing.assert_array_equal(model.coef_ != 0, [[True, True, False]] * 2)
    X = diabetes[0].to_numpy()
    np.testing.assert_allclose(model.predict_experts(diabetes[0]), X @ model.coef_.T + model.intercept_, rtol=1e-9)


def test_one_expert_is_least_squares(diabetes):
    X, y = diabetes[0].to_numpy(), diabetes[1].to_numpy()
    model = MoERegressor(n_experts=1).fit(X, y)
    A = np.column_stack([np.ones(len(y)), X])
    coef, rss, *_ = np.linalg.lstsq(A, y)
    np.testing.assert_allclose([model.intercept_[0], *model.coef_[0]], coef, rtol=1e-10)
    np.testing.assert_allclose(model.sigma_**2, rss / len(y), rtol=1e-10)
    np.testing.assert_array_equal(model.predict_gate(X), np.ones((len(y), 1)))
    assert model.loglik_ == pytest.approx(-len(y) / 2 * (np.log(2 * np.pi * rss[0] / len(y)) + 1), rel=1e-12)
    assert model.dof_ == 5 and model.certificate_["kind"] == "interior"


def test_a_single_row_and_a_scalar_point(fitted):
    model, X, y = fitted
    one = X[:1]
    assert model.predict(one).shape == model.predict_std(one).shape == model.predict_quantile(one, 0.5).shape == (1,)
    assert model.pdf(one, y[0]).shape == (1, 1) and model.predict_interval(one).shape == (1, 2)
    np.testing.assert_allclose(model.predict(one), model.predict(X)[:1], rtol=1e-14)
