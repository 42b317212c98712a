from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.linalg import block_diag
from scipy.special import log_softmax, logsumexp
from scipy.stats import norm

from moegate.blocks import Rows, Units
from moegate.experts import Gaussian
from moegate.gates import SoftmaxGate
from moegate.likelihood import Likelihood
from moegate.model import MixtureOfExperts
from moegate.solvers import Newton

N = 40
CASES = {  # name: K, d, and what else is special
    **{f"K={K} d={d}": (K, d, {}) for K in (1, 2, 3, 4) for d in range(6)},
    "weights": (3, 2, {"weighted": True}),
    "blocks": (3, 2, {"size": 7, "weighted": True}),
    "gate of an intercept": (3, 3, {"gate_columns": ()}),
    "experts of an intercept": (3, 3, {"expert_columns": ()}),
    "one column each": (2, 3, {"gate_columns": (0,), "expert_columns": (2,)}),
    "columns in disorder": (3, 3, {"gate_columns": (2, 0), "expert_columns": (1, 0), "weighted": True}),
    "user units": (3, 2, {"units": True, "transform": "user", "weighted": True}),
    "shared variance": (3, 2, {"units": True, "transform": "shared"}),
    "a pinned expert": (2, 2, {"transform": "pinned", "weighted": True}),
}
UNITS = Units(np.linspace(-1, 2, 3), np.array([0.5, 3.0, 1.5]), 0.7, 2.5)


def case(name, seed=0):
    """A likelihood and a random theta in its coordinates."""
    K, d, special = CASES[name]
    rng = np.random.default_rng([seed, K, d])
    weight = rng.uniform(0.2, 3, N) if special.get("weighted") else None
    units = replace(UNITS, center=UNITS.center[:d], scale=UNITS.scale[:d]) if "units" in special else Units.identity(d)
    rows = Rows(rng.standard_normal((N, d)), rng.standard_normal(N), weight, units, size=special.get("size", 8192))
    columns = special.get("gate_columns"), special.get("expert_columns")
    model = MixtureOfExperts(SoftmaxGate().build(K), Gaussian(), K, d, *columns)
    experts = np.column_stack([rng.normal(size=(K, model.expert_shape[1] - 1)), rng.uniform(0.5, 2, K)])
    theta = model.join(rng.normal(size=model.gate_free.shape), experts)
    return with_transform(special.get("transform"), model, rows, theta)


def with_transform(kind, model, rows, theta):
    """The likelihood with some linear map, and theta in its coordinates."""
    C = {None: None, "user": user_units, "shared": shared_variance, "pinned": pinned_expert}[kind]
    C = C if C is None else C(model, rows.units)
    theta = theta if C is None else np.linalg.lstsq(C, theta, rcond=None)[0]
    return Likelihood(model, rows, C), theta


def user_units(model, units):
    return np.column_stack([model.to_scaled(e, units) for e in np.eye(model.n_params)])


def shared_variance(model, units):
    precision = model.n_gate + model.expert_shape[1] * np.arange(1, model.n_experts + 1) - 1
    C = np.delete(np.eye(model.n_params), precision[1:], axis=1)
    C[precision, precision[0]] = 1.0
    return C


def pinned_expert(model, units):
    """The last expert's slopes are those of the first, with the sign changed."""
    K, P = model.expert_shape
    C = np.eye(model.n_params)
    C[-P:-1, model.n_gate : model.n_gate + P - 1] = -np.eye(P - 1)
    return np.delete(C, np.s_[-P:-1], axis=1)


def differences(function, theta, step=4e-4):
    """Order-4 central differences, the derivative by theta on the last axis."""
    out = []
    for e in np.eye(len(theta)):
        h = step * max(1.0, abs(e @ theta))
        near, far = (function(theta + m * h * e) - function(theta - m * h * e) for m in (1, 2))
        out.append((8 * near - far) / (12 * h))
    return np.stack(out, axis=-1)


def assert_close(actual, expected, rtol):
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol * (0.1 * np.abs(expected).max() + 1e-12))


def natural(model, theta):
    """Gate rows (K, w), the last zero, slopes (K, q), intercepts and scales (K,)."""
    gate, experts = model.split(theta)
    gate = np.vstack([gate, np.zeros((1, len(model.gate_rows)))])
    sigma = 1 / experts[:, -1]
    return gate, experts[:, :-2] * sigma[:, None], experts[:, -2] * sigma, sigma


def log_joint(likelihood, theta):
    """log pi_k + log f_k by scipy, (n, K), from theta in user units."""
    model, X = likelihood.model, np.column_stack([likelihood.rows.X, np.ones(likelihood.rows.n_rows)])
    gate, slopes, intercepts, sigma = natural(model, theta)
    mean = X[:, list(model.expert_rows)] @ np.column_stack([slopes, intercepts]).T
    log_pi = log_softmax(X[:, list(model.gate_rows)] @ gate.T, axis=1)
    return log_pi + norm.logpdf(likelihood.rows.y[:, None], mean, sigma)


def weights(likelihood):
    return np.ones(likelihood.rows.n_rows) if likelihood.rows.weight is None else likelihood.rows.weight


every_case = pytest.mark.parametrize("name", CASES)
untied = pytest.mark.parametrize("name", [n for n, (_, _, s) in CASES.items() if s.get("transform") in (None, "user")])


# value and derivatives ------------------------------------------------------------------------------------------------


@untied
def test_value_equals_scipy(name):
    likelihood, theta = case(name)
    density = logsumexp(log_joint(likelihood, theta), axis=1)
    np.testing.assert_allclose(likelihood.score_samples(theta), density, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(likelihood.value(theta), weights(likelihood) @ density, rtol=1e-12)


@untied
def test_responsibilities_equal_bayes_rule(name):
    likelihood, theta = case(name)
    joint = log_joint(likelihood, theta)
    resp = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    np.testing.assert_allclose(likelihood.responsibilities(theta), resp, rtol=1e-10)
    np.testing.assert_allclose(likelihood.expert_rows(theta), resp.sum(axis=0), rtol=1e-10)


@every_case
@pytest.mark.parametrize("seed", [0, 1])
def test_score_and_hessian_equal_differences(name, seed):
    likelihood, theta = case(name, seed)
    value, score, hessian = likelihood.value_score_hessian(theta)
    assert_close(score, differences(likelihood.value, theta), 1e-7)
    assert_close(hessian, differences(lambda t: likelihood.value_and_score(t)[1], theta), 1e-7)


@every_case
def test_all_passes_tell_the_same_value_and_score(name):
    likelihood, theta = case(name)
    at, value = likelihood.expand(theta), likelihood.value(theta)
    values = [at.value, likelihood.em_step(theta)[0], likelihood.value_and_score(theta)[0]]
    np.testing.assert_allclose(values, value, rtol=1e-13)
    assert_close(likelihood.value_and_score(theta)[1], at.score, 1e-12)
    assert_close(likelihood.information(theta), at.information, 1e-12)


@every_case
def test_rows_scores_sum_to_the_score(name):
    likelihood, theta = case(name)
    rows = likelihood.score_obs(theta)
    assert rows.shape == (N, likelihood.n_params)
    assert_close(rows.sum(axis=0), likelihood.value_and_score(theta)[1], 1e-11)
    assert_close(likelihood.score_gram(theta), rows.T @ rows, 1e-12)
    one = likelihood.on(likelihood.rows.take(np.array([3])))
    assert_close(rows[3], one.value_and_score(theta)[1], 1e-11)


@pytest.mark.parametrize("name", ["K=1 d=1", "K=2 d=0", "K=4 d=1", "one column each", "weights", "user units"])
def test_information_is_that_of_the_complete_data(name):
    likelihood, theta = case(name)
    resp = np.exp(log_joint(likelihood, theta))
    resp *= (weights(likelihood) / resp.sum(axis=1))[:, None]

    def complete(t):
        return np.sum(resp * log_joint(likelihood, t))

    information = likelihood.information(theta)
    hessian = differences(lambda t: differences(complete, t, 4e-3), theta, 4e-3)
    assert_close(information, -hessian, 1e-6)


@every_case
def test_information_is_positive_semidefinite_and_exceeds_the_observed_one(name):
    likelihood, theta = case(name)
    at = likelihood.expand(theta)
    smallest = -1e-10 * np.abs(at.information).max()
    assert np.linalg.eigvalsh(at.information)[0] > smallest
    assert np.linalg.eigvalsh(at.information + at.hessian)[0] > smallest


# inadmissible parameters ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [0.0, -1.0, np.inf, np.nan, 2e3])
def test_inadmissible_theta_has_value_minus_infinity(bad):
    likelihood, theta = case("K=2 d=1")
    likelihood.model = replace(likelihood.model, experts=Gaussian(residual_scale=10.0))
    assert likelihood.value(theta) > -np.inf
    theta[-1] = bad
    following = likelihood.em_step(theta)
    assert likelihood.value(theta) == likelihood.expand(theta).value == following[0] == -np.inf
    value, score = likelihood.value_and_score(theta)
    assert value == -np.inf and not score.any() and not likelihood.score_obs(theta).any()
    assert np.all(likelihood.score_samples(theta) == -np.inf)
    np.testing.assert_array_equal(following[1], theta)


def test_a_row_without_density_gives_minus_infinity():
    likelihood, theta = case("K=2 d=1")
    likelihood.rows.y[4] = 1e200
    assert likelihood.value(theta) == likelihood.expand(theta).value == likelihood.em_step(theta)[0] == -np.inf


# invariance -----------------------------------------------------------------------------------------------------------


def moved(likelihood, B, shift, y_scale, y_shift):
    """The likelihood of x B + shift and y_scale y + y_shift, and the linear map of theta that goes with it."""
    model, rows, d = likelihood.model, likelihood.rows, likelihood.rows.n_columns
    there = replace(rows, X=rows.X @ B + shift, y=y_scale * rows.y + y_shift, _cache=[])
    back = np.linalg.inv(B)
    gate = np.block([[back, np.zeros((d, 1))], [-shift @ back, 1.0]])
    experts = block_diag(gate, 1 / y_scale)
    experts[d, d + 1] = y_shift / y_scale
    T = block_diag(np.kron(np.eye(model.n_experts - 1), gate), np.kron(np.eye(model.n_experts), experts))
    return Likelihood(model, there), T


def affine(likelihood, rng):
    d = likelihood.rows.n_columns
    return moved(likelihood, np.eye(d) + 0.3 * rng.normal(size=(d, d)), rng.normal(size=d), 3.5, -2.0)


def permuted(likelihood, rng):
    model = likelihood.model
    order = rng.permutation(model.n_experts)
    return likelihood, np.column_stack([model.permute(e, order) for e in np.eye(model.n_params)])


def reordered(likelihood, rng):
    return likelihood.on(likelihood.rows.take(rng.permutation(N))), np.eye(likelihood.n_params)


def repeated(likelihood, rng):
    """Every row as often as its weight says."""
    rows = likelihood.rows
    there = rows.take(np.repeat(np.arange(N), weights(likelihood).astype(int)))
    return likelihood.on(replace(there, weight=None, _cache=[])), np.eye(likelihood.n_params)


def padded(likelihood, rng):
    """More rows, of weight zero."""
    X, y = rng.normal(size=(5, likelihood.rows.n_columns)), rng.normal(size=5)
    rows = likelihood.rows
    there = Rows(np.vstack([X, rows.X]), np.append(y, rows.y), np.append(np.zeros(5), weights(likelihood)), rows.units)
    return likelihood.on(there), np.eye(likelihood.n_params)


CHANGES = {"units": affine, "experts": permuted, "row order": reordered, "repeated": repeated, "weight 0": padded}
LOG_JACOBIAN = {"units": -np.log(3.5)}


@pytest.fixture(params=CHANGES)
def change(request):
    return request.param


@pytest.mark.parametrize("K", [1, 2, 3])
@pytest.mark.parametrize("d", [0, 1, 3])
def test_value_and_derivatives_follow_a_change_of_data(K, d, change):
    likelihood, theta = case(f"K={K} d={d}")
    likelihood = likelihood.on(replace(likelihood.rows, weight=np.tile([1.0, 2.0], N // 2)))
    there, T = CHANGES[change](likelihood, np.random.default_rng(d))
    at, at_there = likelihood.expand(theta), there.expand(T @ theta)
    jacobian = likelihood.total_weight * LOG_JACOBIAN.get(change, 0.0)
    np.testing.assert_allclose(at_there.value, at.value + jacobian, rtol=1e-12)
    assert_close(T.T @ at_there.score, at.score, 1e-9)
    assert_close(T.T @ at_there.hessian @ T, at.hessian, 1e-9)
    assert_close(T.T @ at_there.information @ T, at.information, 1e-9)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_experts_have_no_order(order):
    likelihood, theta = case("K=3 d=2")
    theta_there = likelihood.model.permute(theta, order)
    resp = likelihood.responsibilities(theta)
    np.testing.assert_allclose(likelihood.value(theta_there), likelihood.value(theta), rtol=1e-13)
    np.testing.assert_allclose(likelihood.responsibilities(theta_there), resp[:, list(order)], rtol=1e-10)


def covariance(likelihood, theta):
    """Of the centred gate rows, slopes, intercepts and scales, each expert's side by side: (K, (w + q + 2)) twice."""

    def by_expert(t):
        gate, slopes, intercepts, sigma = natural(likelihood.model, t)
        return np.column_stack([gate - gate.mean(axis=0), slopes, intercepts, sigma])

    J = differences(by_expert, theta)
    cov = np.linalg.inv(-likelihood.value_score_hessian(theta)[2])
    return by_expert(theta), np.einsum("kip,pq,ljq->kilj", J, cov, J)


def test_covariances_of_a_maximum_follow_a_change_of_data(truths, change):
    truth, rng = truths["coverage1"], np.random.default_rng(5)
    X, y = truth.draw(300, 5)
    likelihood = truth.likelihood(X, y, np.resize([1.0, 2.0, 1.0], 300))
    if change == "repeated":
        index = np.repeat(np.arange(300), likelihood.rows.weight.astype(int))
        there, T = truth.likelihood(X[index], y[index]), np.eye(8)
    elif change == "units":
        there, T = moved(likelihood, np.array([[4.0]]), np.array([100.0]), 3.5, -2.0)
    elif change == "row order":
        there, T = likelihood.on(likelihood.rows.take(rng.permutation(300))), np.eye(8)
    elif change == "experts":
        there = likelihood
        T = np.column_stack([truth.model.permute(e, (1, 0)) for e in np.eye(8)])
    else:
        there, T = padded(likelihood, rng)
    one, cov = covariance(likelihood, Newton().solve(likelihood, truth.theta).theta)
    other, cov_there = covariance(there, Newton().solve(there, T @ truth.theta).theta)
    if change == "experts":
        other, cov_there = other[::-1], cov_there[::-1, :, ::-1]
    if change == "units":  # columns: gate slope, gate intercept, slope, intercept, scale
        L = np.diag([4, 1, 4, 1, 1]) @ np.diag([1, 1, 1 / 3.5, 1 / 3.5, 1 / 3.5])
        L[1, 0], L[3, 2] = 100.0, 100 / 3.5  # an intercept at the old origin
        other, cov_there = other @ L.T, np.einsum("ai,bj,kilj->kalb", L, L, cov_there)
        other[:, 3] += 2 / 3.5
    assert_close(other, one, 1e-7)
    assert_close(cov_there, cov, 1e-6)


# M-steps --------------------------------------------------------------------------------------------------------------


def soft_labels(K, rng):
    """Responsibilities that are multiples of 1/8."""
    return rng.multinomial(8, np.ones(K) / K, size=N) / 8


@pytest.mark.parametrize("name", ["K=2 d=1", "K=3 d=2", "K=4 d=3", "gate of an intercept", "one column each"])
def test_gate_m_steps_end_at_multinomial_logit_on_soft_labels(name):
    likelihood, theta = case(name)
    model, rows = likelihood.model, likelihood.rows
    K, rng = model.n_experts, np.random.default_rng(7)
    resp, weight = soft_labels(K, rng), rng.integers(1, 4, N)
    weighted = likelihood.on(replace(rows, weight=weight.astype(float), _cache=[]))
    theta[: model.n_gate] = 0.0
    for _ in range(25):
        theta = weighted.m_step(theta, resp)
    copies = (8 * resp * weight[:, None]).astype(int)  # each row once for each eighth of its label
    labels = np.concatenate([np.repeat((np.arange(K) + 1) % K, c) for c in copies])  # statsmodels' reference is label 0
    X = np.repeat(np.column_stack([rows.X, np.ones(N)])[:, list(model.gate_rows)], copies.sum(axis=1), axis=0)
    expected = sm.MNLogit(labels, X).fit(method="newton", disp=False, tol=1e-14, maxiter=100).params
    np.testing.assert_allclose(model.split(theta)[0], np.asarray(expected).T, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", ["K=1 d=2", "K=2 d=0", "K=3 d=2", "weights", "experts of an intercept", "user units"])
def test_expert_step_equals_weighted_least_squares(name):
    likelihood, theta = case(name)
    model, rows = likelihood.model, likelihood.rows
    Z = np.column_stack([rows.X, np.ones(N)])[:, list(model.expert_rows)]
    resp = likelihood.responsibilities(theta) * weights(likelihood)[:, None]
    _, slopes, intercepts, sigma = natural(model, likelihood.em_step(theta)[1])
    for k in range(model.n_experts):
        fit = sm.WLS(rows.y, Z, weights=resp[:, k]).fit()
        np.testing.assert_allclose([*slopes[k], intercepts[k]], fit.params, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(sigma[k] ** 2, resp[:, k] @ fit.resid**2 / resp[:, k].sum(), rtol=1e-10)


@every_case
def test_em_step_gains_and_m_step_on_the_own_responsibilities_is_the_em_step(name):
    likelihood, theta = case(name)
    value, following = likelihood.em_step(theta)
    assert likelihood.value(theta + (following - theta) / 4) > value
    m_step = likelihood.m_step(theta, likelihood.responsibilities(theta))
    np.testing.assert_allclose(m_step, following, rtol=1e-10, atol=1e-12)
