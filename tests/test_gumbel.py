import pickle
from copy import deepcopy
from time import perf_counter

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import k0, k1, log_softmax, softmax
from sklearn.base import clone

from moegate import MoERegressor
from moegate._kernels import pairs_of, symmetric
from moegate.blocks import Rows, Units
from moegate.experts import Gaussian
from moegate.gates import Affine, Gate, SoftmaxGate
from moegate.gates.gumbel import GumbelGate, GumbelSoftmax
from moegate.likelihood import Likelihood
from moegate.model import MixtureOfExperts

TEMPERATURES = (0.05, 0.3, 1.0, 3.0)
at_temperatures = pytest.mark.parametrize("temperature", TEMPERATURES)
SCORES = {2: (0.4, -0.9), 3: (1.0, 0.2, -1.5), 4: (0.0, 2.0, -1.0, 0.5)}


def scores(K, B=200, temperature=1.0, seed=0):
    """Random scores from nearly tied to far apart."""
    rng = np.random.default_rng([seed, K])
    return rng.standard_normal((K, B)) * rng.choice([0.1, 1.0, 4.0, 10.0], B) * max(1.0, temperature)


def differences(function, at, step):
    """Order-4 central differences by the first axis of `at`, the derivative on the last axis."""
    out = []
    for i in range(len(at)):
        h = np.zeros_like(at)
        h[i] = step
        near, far = (function(at + m * h) - function(at - m * h) for m in (1, 2))
        out.append((8 * near - far) / (12 * step))
    return np.stack(out, axis=-1)


def assert_close(actual, expected, rtol):
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol * (0.1 * np.abs(expected).max() + 1e-12))


# probabilities --------------------------------------------------------------------------------------------------------


@at_temperatures
@pytest.mark.parametrize("K", [1, 2, 5, 12])
def test_probabilities_are_on_the_simplex(temperature, K):
    link, S = GumbelSoftmax(temperature), scores(K, temperature=temperature)
    L, P, total = link.parts(S, K)
    assert total is None and (P > 0).all()
    np.testing.assert_array_equal(P, np.exp(link(S)))
    np.testing.assert_allclose(P.sum(axis=0), 1.0, rtol=1e-10)


def by_plain_sums(S, temperature):
    """log pi from the distribution function and the density of g + temperature g', on even grids."""
    unit = max(1.0, temperature)
    step, other, z = 0.25 / unit, np.arange(-5, 80, 0.25 / unit), unit * np.arange(-8, 42, 0.25)
    weight = step * np.exp(-other - np.exp(-other))
    at = (z + (S.max(axis=0) - S)[..., None])[..., None] - temperature * other
    with np.errstate(over="ignore"):
        cdf, density = np.exp(-np.exp(-at)) @ weight, np.exp(-at - np.exp(-at)) @ weight
    others = [np.prod(np.delete(cdf, k, axis=0), axis=0) for k in range(len(S))]
    return np.log(0.25 * unit * np.sum(density * others, axis=-1))


@pytest.mark.parametrize("temperature", [*TEMPERATURES, 0.6, 7.0])
def test_the_nodes_converge(temperature):
    S = scores(3, 8, temperature)
    S[:, -1] = np.array([0.0, -34.0, -20.0]) * max(1.0, temperature)
    exact = by_plain_sums(S, temperature)
    for n_nodes, error in ((24, 1e-5), (32, 1e-8), (40, 5e-11), (96, 5e-11)):
        assert np.abs(GumbelSoftmax(temperature, n_nodes)(S) - exact).max() < error


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("K", [2, 3, 4])
def test_probabilities_equal_the_mean_of_draws(temperature, K):
    s, rng, n = np.array(SCORES[K]), np.random.default_rng(K), 1_000_000
    draws = softmax((s + rng.gumbel(size=(n, K))) / temperature, axis=1)
    error = draws.std(axis=0) / np.sqrt(n)
    P = np.exp(GumbelSoftmax(temperature)(s[:, None]))[:, 0]
    assert (np.abs(P - draws.mean(axis=0)) < 4 * error).all()
    assert (np.abs(softmax(s / temperature) - draws.mean(axis=0)) > 20 * error).any()


@pytest.mark.parametrize("s", [(0.0, 0.0), (0.7, -0.4), (0.0, -8.0, 1.0), (0.0, -29.0, -3.0), (0.0, -35.0)])
def test_temperature_one_equals_bessel_functions(s):
    def cdf(z):
        root = 2 * np.exp(-z / 2)
        return root * k1(root)

    def density(z):
        return 2 * np.exp(-z) * k0(2 * np.exp(-z / 2))

    def integral(k):
        def integrand(z):
            return density(z - s[k]) * np.prod([cdf(z - other) for j, other in enumerate(s) if j != k])

        return sum(quad(integrand, a, a + 5, epsabs=0, epsrel=1e-12)[0] for a in range(-10, 60, 5))

    expected = [np.log(integral(k)) for k in range(len(s))]
    np.testing.assert_allclose(GumbelSoftmax(1.0)(np.array(s)[:, None])[:, 0], expected, rtol=0, atol=1e-9)


def test_a_low_temperature_is_nearly_the_softmax():
    S = scores(4)
    P = np.exp(GumbelSoftmax(0.05)(S))
    assert 1e-5 < np.abs(P - softmax(S, axis=0)).max() < 1e-2
    np.testing.assert_allclose(GumbelSoftmax(1e-9)(S), log_softmax(S, axis=0), rtol=0, atol=1e-7)


@at_temperatures
def test_experts_have_no_order(temperature):
    link, S, order = GumbelSoftmax(temperature), scores(4, temperature=temperature), [2, 0, 3, 1]
    np.testing.assert_allclose(link(S[order]), link(S)[order], rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(
        link.jac(S[order], None, 4), link.jac(S, None, 4)[order][:, order], rtol=1e-10, atol=1e-11
    )


@at_temperatures
def test_a_common_translation_changes_nothing(temperature):
    link, S = GumbelSoftmax(temperature), scores(3, temperature=temperature)
    assert link.missing(Affine(reference=True)) is None
    np.testing.assert_allclose(link(S + 8.0), link(S), rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(link.jac(S, None, 3).sum(axis=1), 0.0, atol=1e-14)


@at_temperatures
def test_extremes_and_ties(temperature):
    link = GumbelSoftmax(temperature)
    S = np.array([[1e3, 0, 0], [-1e3, 0, 0], [1e3, 1e3, -1e3], [1e3, -1e3, 0], [0, 0, 0], [1e3, 1e3, 1e3]]).T
    L, P, _ = link.parts(S, 3)
    J, R = link.jac(S, P, 3), np.full_like(S, 1 / 3)
    derivatives = (
        J,
        link.information(S, P, 3),
        link.second(S, P, R, 3),
        link.curvature(S, P, R, 3),
        link.pull(S, P, R, 3),
    )
    assert np.isfinite(L).all() and all(np.isfinite(D).all() for D in derivatives)
    np.testing.assert_allclose(P.sum(axis=0), 1.0, rtol=1e-10)
    np.testing.assert_allclose(P[:, 4:], 1 / 3, rtol=1e-10)
    lowest, unit = L[2, 2] - L[0, 2], max(1.0, temperature)
    np.testing.assert_allclose(lowest, -2e3 / unit, atol=5.0)
    np.testing.assert_allclose(J[1, :, 0], np.array([-1, 1, 0]) / unit, atol=1e-12)


# derivatives of the link ----------------------------------------------------------------------------------------------


@at_temperatures
@pytest.mark.parametrize("K", [2, 3, 4])
def test_derivatives_equal_differences(temperature, K):
    link, S, m = GumbelSoftmax(temperature), scores(K, temperature=temperature), K - 1
    S[:, :20] -= np.arange(K)[:, None] * 45 * max(1.0, temperature)  # beyond where log pi is linear
    R = np.random.default_rng(1).dirichlet(np.ones(K), S.shape[1]).T
    P = np.exp(link(S))
    J = np.moveaxis(link.jac(S, P, m), 1, -1)
    np.testing.assert_allclose(J, differences(link, S, 1e-3)[..., :m], rtol=0, atol=1e-9)
    full = symmetric(link.second(S, P, R, m), m)
    expected = differences(lambda s: link.pull(s, None, R, m), S, 1e-3)[..., :m]
    np.testing.assert_allclose(np.moveaxis(full, 1, -1), expected, rtol=0, atol=1e-8)


@at_temperatures
def test_information_is_positive_semidefinite(temperature):
    link, S = GumbelSoftmax(temperature), scores(4, temperature=temperature)
    P = np.exp(link(S))
    for m in (3, 4):
        pairs, J = link.information(S, P, m), link.jac(S, P, m)
        full = np.moveaxis(symmetric(pairs, m), -1, 0)
        np.testing.assert_allclose(full, np.einsum("kb,kib,kjb->bij", P, J, J), atol=1e-14)
        assert np.linalg.eigvalsh(full).min() > -1e-14
        assert pairs.shape[0] == len(pairs_of(m)[0])


def test_a_stack_is_one_by_one():
    link = GumbelSoftmax(0.7)
    S = np.stack([scores(3, 700, seed=s) for s in range(4)]).reshape(2, 2, 3, 700)
    L, P, _ = link.parts(S, 2)
    R = np.random.default_rng(0).uniform(size=S.shape)
    pull, information = link.pull(S, P, R, 2), link.information(S, P, 2)
    for at in np.ndindex(2, 2):
        np.testing.assert_array_equal(L[at], link(S[at]))
        np.testing.assert_array_equal(pull[at], link.pull(S[at], P[at], R[at], 2))
        np.testing.assert_array_equal(information[at], link.information(S[at], P[at], 2))


# through the likelihood -----------------------------------------------------------------------------------------------


def likelihood(K=3, temperature=1.0, size=8192, n=150):
    rng = np.random.default_rng(K)
    X = rng.standard_normal((n, 2))
    y = np.where(X[:, 0] > 0.3, 2 * X[:, 1], -X[:, 1]) + 0.4 * rng.standard_normal(n)
    units = Units(X.mean(axis=0), X.std(axis=0), float(y.mean()), float(y.std()))
    model = MixtureOfExperts(GumbelGate(temperature).build(K), Gaussian(), K, 2)
    return Likelihood(model, Rows(X, y, rng.uniform(0.2, 2, n), units, size=size))


def points(target, n, spread=0.6):
    noise = np.random.default_rng(3).uniform(-spread, spread, (n, target.n_params))
    return target.model.initial(target.rows.units) + noise


@at_temperatures
@pytest.mark.parametrize("K", [2, 3])
def test_score_and_hessian_equal_differences(temperature, K):
    target = likelihood(K, temperature, size=64)
    theta = points(target, 1)[0]
    value, score, hessian = target.value_score_hessian(theta)
    np.testing.assert_allclose(value, target.value(theta), rtol=1e-13)
    assert_close(score, differences(target.value, theta, 4e-4), 1e-7)
    assert_close(hessian, differences(lambda t: target.value_and_score(t)[1], theta, 4e-4), 1e-7)
    information = target.information(theta)
    smallest = -1e-10 * np.abs(information).max()
    assert np.linalg.eigvalsh(information)[0] > smallest


def test_em_steps_are_em_steps_and_climb():
    target = likelihood(3)
    thetas = points(target, 6)
    thetas[1, -1] = -1.0  # not admissible
    thetas[2, 0] = 1e200
    thetas[3, : target.model.n_gate] *= 1e3
    values, following = target.em_steps(thetas)
    for theta, value, after in zip(thetas, values, following, strict=True):
        alone = target.em_step(theta)
        assert value == alone[0]
        np.testing.assert_array_equal(after, alone[1])
    sound = [0, 3, 4, 5]
    assert np.isfinite(values[sound]).all() and values[1] == -np.inf
    assert (target.em_steps(following)[0][[0, 4, 5]] > values[[0, 4, 5]]).all()


def test_a_fit_reaches_the_truth():
    """Design of two parallel lines: gate (3, 0.5), slopes 1, intercepts -1.5 and 1.5, sd 0.4 and 0.5."""
    rng, n, gate = np.random.default_rng(0), 2000, GumbelGate()
    X = rng.uniform(-2, 2, (n, 1))
    S = np.stack([3 * X[:, 0] + 0.5, np.zeros(n)])
    noisy = S + rng.gumbel(size=(2, n)) + rng.gumbel(size=(2, n))
    second = (noisy[1] > noisy[0]).astype(int)
    y = X[:, 0] + np.array([-1.5, 1.5])[second] + np.array([0.4, 0.5])[second] * rng.standard_normal(n)
    model = MixtureOfExperts(gate.build(2), Gaussian(), 2, 1)
    experts = np.array([[1, -1.5, 1], [1, 1.5, 1]]) / np.array([[0.4], [0.5]])
    truth = Likelihood(model, Rows(X, y, None, Units.identity(1))).value(model.join(np.array([[3, 0.5]]), experts))
    fit = MoERegressor(2, gate=gate, random_state=0).fit(X, y)
    assert fit.converged_ and 0 < 2 * (fit.loglik_ - truth) < 30
    np.testing.assert_allclose(fit.predict_gate(X).sum(axis=1), 1.0, rtol=1e-9)
    assert (np.diff(fit.loglik_history_) >= -1e-9 * abs(truth)).all()
    slope = np.abs(np.diff(fit.gate_coef_[:, 0]))[0]
    assert 2.4 < slope < 3.6


@pytest.mark.slow
def test_cost_of_an_em_step():
    rng, K = np.random.default_rng(0), 4
    rows = Rows(rng.standard_normal((100_000, 5)), rng.standard_normal(100_000), None, Units.identity(5))
    seconds = {}
    for name, gate in {"softmax": SoftmaxGate(), "gumbel": GumbelGate()}.items():
        target = Likelihood(MixtureOfExperts(gate.build(K), Gaussian(), K, 5), rows)
        theta, times = points(target, 1, 0.3)[0], []
        for _ in range(4):
            start = perf_counter()
            value = target.em_step(theta)[0]
            times.append(perf_counter() - start)
        assert np.isfinite(value)
        seconds[name] = min(times)
    print(f"\nEM step: {seconds}, ratio {seconds['gumbel'] / seconds['softmax']:.1f}")


# objects --------------------------------------------------------------------------------------------------------------


def test_kept_derivatives_belong_to_the_scores():
    link, S = GumbelSoftmax(), scores(3)
    first = link(S)
    first[:] = 0.0  # belongs to the caller
    assert not np.array_equal(link(S), first)
    S[0] += 1.0  # in place
    np.testing.assert_array_equal(link(S), GumbelSoftmax()(S))
    np.testing.assert_array_equal(link.jac(S, None, 2), GumbelSoftmax().jac(S.copy(), None, 2))


def test_copies():
    gate = GumbelGate(temperature=0.5, n_nodes=64)
    assert clone(gate).get_params() == {"temperature": 0.5, "n_nodes": 64}
    built = gate.build(3)
    assert built == Gate(Affine(), GumbelSoftmax(0.5, 64)) and hash(built) == hash(gate.build(3))
    S = scores(3)
    L = built.link(S)
    for copied in (pickle.loads(pickle.dumps(built)), deepcopy(built), clone(built, safe=False)):
        assert copied == built and copied.link._last == ()
        np.testing.assert_array_equal(copied.link(S), L)
    assert len(pickle.dumps(built)) < 1000


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.inf, np.nan, "1", None])
def test_temperature_is_checked(temperature):
    with pytest.raises(ValueError, match="temperature expects a positive number, got"):
        GumbelGate(temperature=temperature).build(2)


@pytest.mark.parametrize("n_nodes", [23, 96.0, "96", None])
def test_nodes_are_checked(n_nodes):
    with pytest.raises(ValueError, match="n_nodes expects an integer of at least 24, got"):
        GumbelGate(n_nodes=n_nodes).build(2)
