"""Multinomial and Poisson experts through the Likelihood, and their distributions."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import log_softmax, logsumexp
from scipy.stats import poisson
from test_likelihood import assert_close, differences

from moegate.blocks import Rows, Units
from moegate.experts._newton import newton_step
from moegate.experts.gaussian import least_squares
from moegate.experts.multinomial import Multinomial
from moegate.experts.poisson import Poisson
from moegate.gates import LaplaceGate, SoftmaxGate, TopKGate
from moegate.likelihood import Likelihood
from moegate.model import MixtureOfExperts
from moegate.solvers import EM, Newton

N = 60
FAMILIES = {"M=2": Multinomial(2), "M=3": Multinomial(3), "M=4": Multinomial(4), "poisson": Poisson()}
GATES = {"softmax": SoftmaxGate(), "laplace": LaplaceGate(), "top 2": TopKGate(2)}
CASES = [  # family, gate, K, d
    *[(family, "softmax", K, d) for family in FAMILIES for K in (1, 2, 3) for d in (0, 1, 2)],
    *[(family, "laplace", K, d) for family in FAMILIES for K in (2, 3) for d in (1, 2)],
    *[(family, "top 2", 3, d) for family in FAMILIES for d in (1, 2)],
]
every_case = pytest.mark.parametrize("name", CASES, ids=lambda name: " ".join(map(str, name)))
every_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))


def responses(family, rng, n):
    """Class codes, or counts."""
    return (rng.poisson(2, n) if isinstance(family, Poisson) else rng.integers(0, family.n_classes, n)).astype(float)


def case(name, seed=0, size=25):
    """A likelihood in scaled units on weighted rows in blocks, and a random theta."""
    family, gate, K, d = FAMILIES[name[0]], *name[1:]
    rng = np.random.default_rng([seed, K, d])
    units = Units(np.linspace(0.5, -0.5, d), np.linspace(0.8, 1.6, d))
    rows = Rows(
        rng.standard_normal((N, d)), responses(family, rng, N), rng.uniform(0.2, 3, N), units, response=False, size=size
    )
    gate = GATES[gate].build(K).calibrated(np.full(d, 2e3))  # a kink of the distance that differences can resolve
    model = MixtureOfExperts(gate, family, K, d)
    coef = 0.7 * rng.normal(size=model.gate_free.shape) * model.gate_free
    return Likelihood(model, rows), model.join(coef, 0.7 * rng.normal(size=model.expert_shape))


def density_by_hand(likelihood, theta):
    """log f_k by scipy, (n, K), from theta in user units."""
    model, family = likelihood.model, likelihood.model.experts
    Z, y = np.column_stack([likelihood.rows.X, np.ones(likelihood.rows.n_rows)]), likelihood.rows.y
    experts = theta[model.n_gate :].reshape(model.n_experts, family.n_channels, -1)
    eta = np.einsum("krq,nq->nkr", experts, Z)
    if isinstance(family, Poisson):
        return poisson.logpmf(y[:, None], np.exp(eta[..., 0]))
    full = log_softmax(np.concatenate([eta, np.zeros_like(eta[..., :1])], axis=-1), axis=-1)
    return full[np.arange(len(y)), :, y.astype(int)]


# value and derivatives ------------------------------------------------------------------------------------------------


@every_family
@pytest.mark.parametrize("d", [0, 2])
def test_value_equals_scipy(family, d):
    name = next(n for n, f in FAMILIES.items() if f == family), "softmax", 3, d
    likelihood, theta = case(name)
    likelihood = likelihood.on(replace(likelihood.rows, units=Units.identity(d), _cache=[]))
    gate = np.vstack([theta[: likelihood.model.n_gate].reshape(2, -1), np.zeros((1, d + 1))])
    log_pi = log_softmax(np.column_stack([likelihood.rows.X, np.ones(N)]) @ gate.T, axis=1)
    expected = logsumexp(log_pi + density_by_hand(likelihood, theta), axis=1)
    np.testing.assert_allclose(likelihood.score_samples(theta), expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(likelihood.value(theta), likelihood.rows.weight @ expected, rtol=1e-12)


@every_case
def test_score_and_hessian_equal_differences(name):
    likelihood, theta = case(name)
    _, score, hessian = likelihood.value_score_hessian(theta)
    assert_close(score, differences(likelihood.value, theta), 1e-7)
    assert_close(hessian, differences(lambda t: likelihood.value_and_score(t)[1], theta), 1e-7)
    assert_close(likelihood.value_and_score(theta)[1], score, 1e-12)
    assert_close(likelihood.score_obs(theta).sum(axis=0), score, 1e-11)


@every_case
def test_information_is_positive_semidefinite_and_exceeds_the_observed_one(name):
    likelihood, theta = case(name)
    at = likelihood.expand(theta)
    smallest = -1e-10 * np.abs(at.information).max()
    assert np.linalg.eigvalsh(at.information)[0] > smallest
    if name[1] != "laplace":  # whose distances are not linear in the centres
        assert np.linalg.eigvalsh(at.information + at.hessian)[0] > smallest


@every_family
def test_curvature_is_minus_the_derivative_of_the_residual(family):
    rng, c = np.random.default_rng(0), family.n_channels
    eta, y, resp = rng.normal(size=(2, c, N)), responses(family, rng, N), rng.uniform(size=(2, N))
    kappa = family.weight_curvature(None, family.terms(eta), resp)
    for at, (r, s) in enumerate(zip(*np.triu_indices(c))):
        e = 1e-5 * (np.arange(c) == s)[:, None]
        below, above = (family.residuals(None, family.terms(eta + h), y) for h in (-e, e))
        change = (below - above)[:, r] / 2e-5
        np.testing.assert_allclose(kappa[:, at], resp * change, atol=1e-9, rtol=1e-7)


@every_case
def test_a_stack_equals_one_by_one(name):
    likelihood, theta = case(name)
    assert likelihood.stacked
    thetas = theta + 0.2 * np.random.default_rng(1).normal(size=(4, len(theta)))
    thetas[2, -1] = np.nan
    values, following = likelihood.em_steps(thetas)
    assert values[2] == -np.inf and np.isfinite(np.delete(values, 2)).all()
    np.testing.assert_allclose(likelihood.values(thetas), values, rtol=1e-13)
    for one, value, after in zip(thetas, values, following):
        single = likelihood.em_step(one)
        np.testing.assert_allclose(value, single[0], rtol=1e-13)
        np.testing.assert_allclose(after, single[1], rtol=1e-9, atol=1e-11)


@every_family
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_experts_have_no_order(family, order):
    name = next(n for n, f in FAMILIES.items() if f == family), "softmax", 3, 2
    likelihood, theta = case(name)
    there = likelihood.model.permute(theta, order)
    np.testing.assert_allclose(likelihood.value(there), likelihood.value(theta), rtol=1e-13)
    resp = likelihood.responsibilities(theta)
    np.testing.assert_allclose(likelihood.responsibilities(there), resp[:, list(order)], rtol=1e-10)
    named, named_there = likelihood.model.unpack(theta), likelihood.model.unpack(there)
    np.testing.assert_array_equal(named_there["coef"], named["coef"][list(order)])


@every_case
def test_units_keep_the_density(name):
    likelihood, theta = case(name)
    model, rows = likelihood.model, likelihood.rows
    user = likelihood.on(replace(rows, units=Units.identity(rows.n_columns), _cache=[]))
    there = model.to_user(theta, rows.units)
    np.testing.assert_allclose(model.to_scaled(there, rows.units), theta, rtol=1e-12, atol=1e-13)
    if name[1] == "softmax":
        np.testing.assert_allclose(user.score_samples(there), likelihood.score_samples(theta), rtol=1e-11)
    coef, scaled = model.split(there)[1], model.split(theta)[1]
    for user_block, block in zip(user.rows, rows, strict=True):
        expected = model.experts.log_prob(scaled, model.experts.terms(model.predictors(scaled, block)), block.y)
        at = model.experts.log_pdf(coef, user_block.design(model.expert_rows).Z, block.y)
        at = at - model.experts.base(block.y, rows.units)
        np.testing.assert_allclose(at, expected, rtol=1e-11, atol=1e-12)


# extremes -------------------------------------------------------------------------------------------------------------


@every_case
@pytest.mark.parametrize("size", [1e3, -1e3])
def test_extreme_predictors_stay_finite(name, size):
    likelihood, theta = case(name)
    coef = likelihood.model.split(theta)[1]
    coef[..., likelihood.model.n_columns :: likelihood.model.n_columns + 1] = size
    theta[likelihood.model.n_gate :] = coef.ravel()
    at = likelihood.expand(theta)
    for part in (at.value, at.score, at.hessian, at.information, likelihood.score_obs(theta)):
        assert np.isfinite(part).all()
    following = likelihood.em_step(theta)[1]
    assert np.isfinite(following).all() and likelihood.value(following) > at.value


def test_log_probabilities_are_accurate_in_the_tails():
    eta, y = np.array([[[800.0, -800.0, 40.0, -40.0]]]), np.array([1.0, 0.0, 1.0, 1.0])
    expected = [-800.0, -800.0, -40.0, -np.exp(-40)]
    at = Multinomial(2).log_prob(None, Multinomial(2).terms(eta), y)
    np.testing.assert_allclose(at[0], expected, rtol=1e-14, atol=1e-17)


def test_beyond_the_largest_predictor_value_and_score_agree():
    eta, y, family = np.array([[[301.0, 350.0]]]), np.array([3.0, 0.0]), Poisson()
    up, here, down = (family.log_prob(None, family.terms(eta + h), y) for h in (0.5, 0.0, -0.5))
    np.testing.assert_allclose(up - down, family.residuals(None, family.terms(eta), y)[:, 0], rtol=1e-12)
    assert here[0, 1] < here[0, 0]


# M-steps and solvers --------------------------------------------------------------------------------------------------


@every_family
def test_m_steps_of_a_singular_information_are_finite(family):
    width, K = 3, 2
    coef, P = np.zeros((K, family.n_channels * width)), family.n_channels * width
    gap = np.zeros((K, P, P))  # no information on the second column, although it has a score
    gap[:, 0, 0] = gap[:, width - 1, width - 1] = 1.0
    for grams in (np.zeros((K, P, P)), 1e-310 * np.eye(P) + np.zeros((K, 1, 1)), np.ones((K, P, P)), gap):
        assert np.isfinite(family.m_step(coef, np.ones((K, P)), grams, np.ones(K))).all()
    saturated = family.m_step(coef, np.ones((K, P)), np.zeros((K, P, P)), np.ones(K))
    assert 1 < np.abs(saturated).max() < 100
    empty = family.m_step(coef + 0.5, np.zeros((K, P)), np.zeros((K, P, P)), np.zeros(K))
    np.testing.assert_array_equal(empty, coef + 0.5)


@pytest.mark.parametrize("mass", [1e-215, 1e-255, 1e-310])
def test_an_empty_expert_under_a_penalty_stays_finite(mass):
    """Channels of an intercept between slopes whose information is the penalty's, far above that of the rows."""
    rng = np.random.default_rng(0)
    score, root = rng.normal(size=(1, 8)), rng.normal(size=(8, 8))
    information, on = mass * (root @ root.T)[None], [0, 1, 2, 4, 5, 6]
    information[:, np.ix_(on, on)[0], np.ix_(on, on)[1]] += np.kron([[2.0, -1.0], [-1.0, 2.0]], np.eye(3)) / 15
    score[:, [3, 7]] *= mass
    step = newton_step(score, information, np.array([mass]), 4)
    assert np.abs(step).max() < 1e3


@pytest.mark.parametrize("size", [1e-300, 1e-310, 0.0])
def test_least_squares_without_weight_is_finite(size):
    coefficients, rss = least_squares(size * np.ones((2, 3, 3)))
    assert np.isfinite(coefficients).all() and np.all(rss >= 0)


@every_family
def test_close_to_a_maximum_an_m_step_is_newtons(family):
    rng, P = np.random.default_rng(0), 3 * family.n_channels
    root = rng.normal(size=(2, P, P))
    grams, score = root @ np.swapaxes(root, 1, 2), 1e-7 * rng.normal(size=(2, P))
    coef = rng.normal(size=(2, P))
    step = family.m_step(coef, score, grams, np.ones(2)) - coef
    np.testing.assert_allclose(step, np.linalg.solve(grams, score[..., None])[..., 0], rtol=1e-4, atol=1e-12)


def test_a_step_from_far_is_shortened_to_the_logarithm():
    step = newton_step(np.full((1, 1), 1e4 - 1), np.ones((1, 1, 1)), np.ones(1), 1)
    np.testing.assert_allclose(step, np.log(1e4), rtol=1e-9)


def test_a_shortened_step_does_not_depend_on_the_units_of_the_columns():
    rng = np.random.default_rng(0)
    V, u, kappa = np.vstack([rng.normal(size=(2, 30)), np.ones(30)]), 20 * rng.normal(size=30), rng.uniform(size=30)
    T = np.array([[5.0, 0.0, 3.0], [0.0, 0.2, -1.0], [0.0, 0.0, 1.0]])

    def step(V):
        return newton_step((V @ u)[None], (V * kappa @ V.T)[None], np.array([30.0]), 3)[0]

    assert np.abs(step(V)).max() < 0.9 * np.abs(np.linalg.solve(V * kappa @ V.T, V @ u)).max()
    np.testing.assert_allclose(T.T @ step(T @ V), step(V), rtol=1e-8)


@pytest.mark.parametrize("name", [n for n in CASES if n[1] != "laplace"], ids=lambda name: " ".join(map(str, name)))
def test_m_steps_end_at_the_maximum_on_given_responsibilities(name):
    likelihood, theta = case(name)
    model = likelihood.model
    resp = np.random.default_rng(2).dirichlet(np.ones(model.n_experts), N)
    for _ in range(60):
        theta = likelihood.m_step(theta, resp)
    coef, total = model.split(theta)[1], 0.0
    for block, R in likelihood.rows.paired(resp):
        u = model.experts.residuals(coef, model.experts.terms(model.predictors(coef, block)), block.y)
        total = total + (u * (R * block.weight)[:, None]) @ block.V.T
    np.testing.assert_allclose(total, 0.0, atol=1e-9)


def draw(family, K, n, seed=0):
    """Responses of a softmax-gated truth: the likelihood in scaled units, with weights of 1, 2, 3, and the truth."""
    rng = np.random.default_rng([seed, K])
    X = rng.uniform(-2, 3, (n, 2)) * [1.0, 20.0]
    units = Units(X.mean(axis=0), X.std(axis=0))
    rows = Rows(X, np.zeros(n), np.resize([1.0, 2.0, 3.0], n), units, response=False)
    model = MixtureOfExperts(SoftmaxGate().build(K), family, K, 2)
    theta = model.join(2 * rng.normal(size=model.gate_free.shape), rng.normal(size=model.expert_shape))
    y = np.concatenate([model.sample(theta, block, rng) for block in rows])
    return Likelihood(model, replace(rows, y=y, _cache=[])), theta


@every_family
@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_em_from_a_plain_start_never_falls(family, K, seed):
    likelihood, _ = draw(family, K, 400, seed)
    theta = likelihood.model.initial(likelihood.rows.units)
    theta = theta + 0.1 * np.random.default_rng(seed).normal(size=theta.shape)
    values = []
    for _ in range(100):
        value, theta = likelihood.em_step(theta)
        values.append(value)
    assert np.all(np.diff(values) >= -1e-10 * abs(values[0]))
    assert values[-1] > values[0] + 20
    solution = EM(max_iter=50, tol=0.0).solve(likelihood, theta)
    assert np.all(np.diff(solution.history) >= 0)


def test_em_steps_from_means_of_one_soon_reach_large_counts():
    likelihood, _ = draw(Poisson(), 1, 300)
    y = np.random.default_rng(0).poisson(np.exp(6 + 0.5 * likelihood.rows.X[:, 0])).astype(float)
    likelihood = likelihood.on(replace(likelihood.rows, y=y, _cache=[]))
    theta = likelihood.model.initial(likelihood.rows.units)
    for _ in range(16):  # whole Newton steps go too far at once, and come back by one unit of the predictor each
        theta = likelihood.em_step(theta)[1]
    np.testing.assert_allclose(likelihood.value(theta), Newton().solve(likelihood, theta).loglik, rtol=1e-12)


@every_family
@pytest.mark.parametrize("K", [2, 3])
def test_newton_from_the_truth_ends_in_a_maximum(family, K):
    likelihood, theta = draw(family, K, 3000)
    solution = Newton().solve(likelihood, theta)
    assert solution.loglik >= likelihood.value(theta) and solution.converged
    em = EM(max_iter=20).solve(likelihood, theta)
    assert em.loglik <= solution.loglik + 1e-8


@every_family
def test_one_expert_is_the_regression_of_statsmodels(family):
    likelihood, _ = draw(family, 1, 300)
    rows = likelihood.rows
    solution = Newton().solve(likelihood, likelihood.model.initial(rows.units))
    index = np.repeat(np.arange(300), rows.weight.astype(int))
    X, y = np.column_stack([rows.X, np.ones(300)])[index], rows.y[index]
    if isinstance(family, Poisson):
        fit = sm.GLM(y, X, family=sm.families.Poisson()).fit(tol=1e-12)
    else:  # its first class is the reference, ours the last
        fit = sm.MNLogit(family.n_classes - 1 - y, X).fit(method="newton", maxiter=100, disp=False)
    assert solution.certificate["kind"] == "interior"
    np.testing.assert_allclose(solution.loglik, fit.llf, rtol=0, atol=1e-6)
    named = likelihood.model.unpack(likelihood.model.to_user(solution.theta, rows.units))
    ours = np.column_stack([named["coef"].reshape(-1, 2), named["intercept"].ravel()])
    params = np.atleast_2d(np.asarray(fit.params).T)
    if isinstance(family, Multinomial):
        ours = (ours - ours[-1])[:-1][::-1]
    np.testing.assert_allclose(ours, params, rtol=1e-5, atol=1e-6)


M3 = {  # gate (slope, intercept); experts, (slope, intercept) of two channels: section 6 of the theory notes
    "M3": ([3, 1], [[-3.5, 4, 3, -4], [-3, -4, 3.5, 3]]),
    "M3c": ([-3.5, -0.5], [[0, 1, 0, -0.5], [1.5, -2.5, -3, 3.5]]),
}


@pytest.mark.parametrize("name", M3)
@pytest.mark.parametrize("seed", range(3))
def test_benchmarks_from_the_truth_gain_about_ten_halves(name, seed):
    gate, experts = M3[name]
    model = MixtureOfExperts(SoftmaxGate().build(2), Multinomial(3), 2, 1)
    theta, rng = model.join(np.array([gate], float), np.array(experts, float)), np.random.default_rng(seed)
    rows = Rows(rng.uniform(-3, 3, (5000, 1)), np.zeros(5000), None, Units.identity(1), response=False)
    y = np.concatenate([model.sample(theta, block, rng) for block in rows])
    likelihood = Likelihood(model, replace(rows, y=y, _cache=[]))
    solution = Newton().solve(likelihood, theta)
    wald = 2 * (solution.loglik - likelihood.value(theta))
    assert solution.converged and 0 <= wald < 35.6  # chi-square of 10 degrees of freedom exceeds it once in 10,000


# distributions --------------------------------------------------------------------------------------------------------


@every_family
def test_names_and_shapes(family):
    c, K = family.n_channels, 2
    coef, Z = np.arange(K * c * 3.0).reshape(K, c * 3) / 10, np.ones((3, 5))
    assert len(family.names(["a", "b"])) == len(set(family.names(["a", "b"]))) == c * 3
    assert family.initial((K, 3 * c)).shape == family.constant_score(coef).shape == (K, 3 * c)
    assert family.constant_hessian(coef).shape == (K, 3 * c, 3 * c)
    assert family.admissible(coef) and not family.admissible(np.full((K, 3 * c), np.inf))
    assert family.admissible(np.stack([coef, np.full(coef.shape, np.nan)])).tolist() == [True, False]
    assert family.log_pdf(coef, Z, np.zeros(5)).shape == (K, 5)
    assert not family.on_boundary(coef).any() and not family.suspect(coef).any()
    assert family.degenerate(coef, np.array([3.9, 4.0]), 100, 3).tolist() == [True, False]


def test_natural_coefficients_of_classes_are_centred():
    coef = np.arange(12.0).reshape(2, 6)  # two channels of two slopes and an intercept
    named = Multinomial(3).natural(coef)
    assert named["coef"].shape == (2, 3, 2) and named["intercept"].shape == (2, 3)
    slopes, intercepts = np.array([[6, 7], [9, 10], [0, 0]]), np.array([8, 11, 0])
    np.testing.assert_allclose(named["coef"][1], slopes - slopes.mean(axis=0), atol=1e-15)
    np.testing.assert_allclose(named["intercept"][1], intercepts - intercepts.mean())


@pytest.mark.parametrize("M", [2, 3, 5])
def test_class_probabilities_sum_to_one(M):
    rng = np.random.default_rng(M)
    coef, Z = 3 * rng.normal(size=(2, 3 * (M - 1))), np.vstack([rng.normal(size=(2, 7)), np.ones(7)])
    P = Multinomial(M).probabilities(coef, Z)
    assert P.shape == (2, M, 7)
    np.testing.assert_allclose(P.sum(axis=1), 1.0, rtol=1e-13)
    for r in range(M):
        np.testing.assert_allclose(np.exp(Multinomial(M).log_pdf(coef, Z, np.full(7, float(r)))), P[:, r], rtol=1e-13)


MEANS = np.array([1e-6, 0.3, 2.0, 17.5, 400.0])


@pytest.fixture
def counts():
    """Coefficients of an expert and a design, whose means are MEANS."""
    return np.array([[1.0, 0.0]]), np.vstack([np.log(MEANS), np.ones(len(MEANS))])


def test_poisson_cdf_is_the_sum_of_its_pmf(counts):
    family, total = Poisson(), 0.0
    for k in range(700):
        total = total + np.exp(family.log_pdf(*counts, np.full(5, float(k))))
        for y in (k, k + 0.7):
            np.testing.assert_allclose(family.cdf(*counts, np.full(5, y)), total, rtol=1e-10)
    np.testing.assert_allclose(total, 1.0, rtol=1e-10)
    assert family.cdf(*counts, np.full(5, -0.5)).max() == 0
    for y in (-1.0, 0.5, np.inf, np.nan):
        assert np.all(family.log_pdf(*counts, np.full(5, y)) == -np.inf)


def test_poisson_moments_are_those_of_its_pmf(counts):
    k = np.arange(900.0)
    P = np.exp([Poisson().log_pdf(*counts, np.full(5, v))[0] for v in k])
    mean, variance = k @ P, k**2 @ P - (k @ P) ** 2
    np.testing.assert_allclose(Poisson().mean(*counts)[0], mean, rtol=1e-9)
    np.testing.assert_allclose(Poisson().variance(*counts)[0], variance, rtol=1e-6)


@pytest.mark.parametrize("y", [-2.0, 0.0, 1.5, 3.0, 60.0, 420.0, 1000.0, np.inf])
def test_poisson_log_tails_equal_scipy(counts, y):
    y = np.full(5, y)
    log_cdf, log_sf = poisson.logcdf(y, MEANS), poisson.logsf(y, MEANS)
    np.testing.assert_allclose(Poisson().log_cdf(*counts, y)[0], log_cdf, rtol=1e-10)
    seen = np.isfinite(log_sf) | np.isinf(y)
    np.testing.assert_allclose(Poisson().log_sf(*counts, y)[0][seen], log_sf[seen], rtol=1e-10)


@pytest.mark.parametrize(("k", "mu"), [(3, 1200.0), (300, 3000.0), (2000, 1e4)])
def test_poisson_lower_tail_below_the_smallest_number(k, mu):
    coef, Z = np.array([[np.log(mu)]]), np.ones((1, 1))
    exact = logsumexp(poisson.logpmf(np.arange(k + 1), mu))
    assert np.exp(exact) == 0
    np.testing.assert_allclose(Poisson().log_cdf(coef, Z, np.array([float(k)])), exact, rtol=1e-6)


@pytest.mark.parametrize(("k", "mu"), [(300, 0.1), (2000, 400.0), (100, 1e-5)])
def test_poisson_upper_tail_below_the_smallest_number(k, mu):
    coef, Z = np.array([[np.log(mu)]]), np.ones((1, 1))
    exact = logsumexp(poisson.logpmf(np.arange(k + 1, k + 2000), mu))
    assert np.exp(exact) == 0
    np.testing.assert_allclose(Poisson().log_sf(coef, Z, np.array([float(k)])), exact, rtol=1e-6)


@pytest.mark.parametrize("q", [1e-250, 1e-12, 0.01, 0.3, 0.5, 0.9, 0.999, 1 - 1e-12])
def test_poisson_quantile_is_the_smallest_count_that_reaches_the_level(counts, q):
    k = Poisson().quantile(*counts, q)
    assert np.all(k == np.floor(k)) and np.all(k >= 0)
    assert np.all(Poisson().cdf(*counts, k[0]) >= q)
    assert np.all(Poisson().cdf(*counts, k[0] - 1) < q)


def test_poisson_quantile_inverts_the_cdf(counts):
    for k in range(1, 12):
        level = Poisson().cdf(*counts, np.full(5, float(k)))[0]
        inside = level < 1 - 1e-9
        np.testing.assert_array_equal(Poisson().quantile(*counts, level)[0][inside], k)
    assert np.all(Poisson().quantile(*counts, 1.0) == np.inf) and np.all(Poisson().quantile(*counts, 0.0) == 0)
    far = Poisson().quantile(np.array([[np.log(1e12)]]), np.ones((1, 1)), np.array([0.3]))
    np.testing.assert_allclose(far, 1e12 + 1e6 * -0.5244, rtol=1e-11)


def within_four_errors(sampled, P):
    """Frequencies of values 0, 1, ... (r, B) among samples (n, B) against probabilities."""
    n = len(sampled)
    for r, p in enumerate(P):
        assert np.all(np.abs((sampled == r).mean(axis=0) - p) <= 4 * np.sqrt(p * (1 - p) / n) + 1 / n)


@every_family
def test_samples_have_the_probabilities_of_their_experts(family):
    rng, expert = np.random.default_rng(3), np.array([0, 1, 1, 0])
    coef, Z = rng.normal(size=(2, 2 * family.n_channels)), np.vstack([[-1.0, 0.0, 0.5, 1.0], np.ones(4)])
    sampled = np.array([family.sample(coef, Z, expert, rng) for _ in range(20_000)])
    assert sampled.dtype == float
    values = np.arange(8.0) if isinstance(family, Poisson) else np.arange(float(family.n_classes))
    P = [np.exp(family.log_pdf(coef, Z, np.full(4, v)))[expert, range(4)] for v in values]
    within_four_errors(sampled, P)


def test_samples_of_a_huge_mean_are_drawn():
    rng = np.random.default_rng(0)
    assert np.isfinite(Poisson().sample(np.array([[500.0]]), np.ones((1, 3)), np.zeros(3, dtype=int), rng)).all()
