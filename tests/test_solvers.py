from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.linalg import solve

from moegate import MoERegressor
from moegate.experts import Gaussian
from moegate.runs import pooled
from moegate.solvers import EM, LBFGS, SOLVERS, Newton, certify
from moegate.solvers.solution import Spectrum

SECOND_ORDER = ["newton", "lbfgs", "continuation"]


def coverage(truths, name, n, seed=0, weight=None, **model):
    """The likelihood of data from a known model, and its truth."""
    truth = truths[name]
    likelihood = truth.likelihood(*truth.draw(n, seed), weight)
    likelihood.model = replace(likelihood.model, **model)
    return likelihood, truth.theta


def without_gate_slopes(truths):
    likelihood, theta = coverage(truths, "coverage1", 300, gate_columns=())
    return likelihood, theta[1:]


def without_expert_slopes(truths):
    truth = replace(truths["coverage1"], slopes=((0.0,), (0.0,)), intercepts=(-1.0, 1.0))
    likelihood = truth.likelihood(*truth.draw(300, 0))
    likelihood.model = replace(likelihood.model, expert_columns=())
    return likelihood, np.delete(truth.theta, [2, 5])


def shared_variance(truths):
    likelihood, theta = coverage(truths, "coverage1", 300)
    C = np.delete(np.eye(8), 7, axis=1)
    C[7, 4] = 1.0
    likelihood.transform = C
    return likelihood, theta[:7]


PROBLEMS = {
    "d=1": lambda truths: coverage(truths, "coverage1", 300),
    "d=3": lambda truths: coverage(truths, "coverage3", 300),
    "weights": lambda truths: coverage(truths, "coverage1", 300, 1, np.resize([0.5, 1.0, 2.0], 300)),
    "three experts": lambda truths: coverage(truths, "close3", 600),
    "constant gate": without_gate_slopes,
    "constant means": without_expert_slopes,
    "shared variance": shared_variance,
}


@pytest.fixture(scope="module", params=PROBLEMS)
def problem(request, truths):
    """A likelihood and a start near its maximum."""
    return PROBLEMS[request.param](truths)


def solver(name, **options):
    return SOLVERS[name](**({"max_iter": 20_000} | options))


@pytest.fixture(scope="module", params=SOLVERS)
def end(request, problem):
    """A solver's name, the likelihood, and where the solver ended."""
    likelihood, start = problem
    return request.param, likelihood, solver(request.param, tol=1e-10).solve(likelihood, start)


def test_history_never_falls(end):
    _, _, solution = end
    assert np.all(np.diff(solution.history) >= -1e-9 * abs(solution.loglik))
    assert solution.n_iter == len(solution.history) > 1


def test_value_is_that_of_the_returned_theta(end):
    _, likelihood, solution = end
    np.testing.assert_allclose([solution.loglik, solution.history[-1]], likelihood.value(solution.theta), rtol=1e-12)


def test_solvers_agree_on_the_maximum(end, problem):
    likelihood, start = problem
    best = Newton().solve(likelihood, start)
    np.testing.assert_allclose(end[2].loglik, best.loglik, rtol=0, atol=1e-7)
    if end[0] in SECOND_ORDER:
        assert end[2].certificate["kind"] == "interior" and end[2].converged


def test_score_is_zero_to_rounding_in_the_em_metric(end):
    name, likelihood, solution = end
    at = likelihood.expand(solution.theta)
    norm = np.sqrt(at.score @ solve(at.information, at.score, assume_a="pos"))
    assert norm < {"newton": 1e-11 * abs(at.value), "lbfgs": 1e-4}.get(name, 1e-3)


@pytest.mark.parametrize("name", SOLVERS)
def test_one_expert_is_weighted_least_squares(name, truths):
    likelihood, _ = coverage(truths, "coverage3", 200, 2, np.resize([0.5, 1.0, 2.0], 200))
    likelihood.model = replace(likelihood.model, n_experts=1)
    solution = solver(name).solve(likelihood, likelihood.model.initial(likelihood.rows.units))
    named, rows = likelihood.model.unpack(solution.theta), likelihood.rows
    fit = sm.WLS(rows.y, np.column_stack([rows.X, np.ones(200)]), weights=rows.weight).fit()
    np.testing.assert_allclose([*named["coef"][0], named["intercept"][0]], fit.params, rtol=1e-10)
    np.testing.assert_allclose(named["sigma"][0] ** 2, fit.ssr / rows.total_weight, rtol=1e-10)
    assert solution.certificate["kind"] == "interior"


# ends -----------------------------------------------------------------------------------------------------------------


def separable(truths):
    """Two lines on two sides of a gap in x: any gate between them is improved by a steeper one."""
    likelihood, start = coverage(truths, "coverage1", 200)
    rng, X = np.random.default_rng(0), likelihood.rows.X
    X += np.sign(X)
    likelihood.rows.y[:] = np.where(X[:, 0] > 0, 5 - X[:, 0], -5 + X[:, 0]) + 0.3 * rng.standard_normal(200)
    gate, experts = np.array([[2.0, 0.0]]), np.array([[-1.0, 5.0, 1.0], [1.0, -5.0, 1.0]])
    return likelihood, likelihood.model.join(gate, experts)


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_a_separable_gate_ends_in_a_limit(name, truths):
    likelihood, start = separable(truths)
    solution = solver(name).solve(likelihood, start)
    assert solution.certificate["kind"] == "limit" and solution.certificate["gate_diverged"]
    assert solution.converged and not solution.certificate["at_boundary"]
    side = np.column_stack([likelihood.rows.X[:, 0] > 0, likelihood.rows.X[:, 0] < 0])
    supremum = sum(sm.OLS(likelihood.rows.y[s], sm.add_constant(likelihood.rows.X[s])).fit().llf for s in side.T)
    np.testing.assert_allclose(solution.loglik, supremum, rtol=0, atol=1e-6)


@pytest.mark.parametrize("apart", [1e-4, 1e-5, 1e-6])
def test_columns_that_are_nearly_collinear_are_no_limit(apart):
    rng = np.random.default_rng(1)
    a, e, u, noise = rng.normal(size=(4, 200))
    y = np.where(u > -a, a + 1, -a - 1) + 0.5 * noise
    fits = [MoERegressor(n_init=2, random_state=0).fit(np.column_stack([a, b]), y) for b in (e, a + apart * e)]
    assert [fit.certificate_["kind"] for fit in fits] == ["interior", "interior"]
    np.testing.assert_allclose(fits[1].loglik_, fits[0].loglik_, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_an_even_gate_is_not_a_limit(name, truths):
    likelihood, _ = coverage(truths, "coverage1", 200)
    rows = likelihood.rows
    rows.X[100:], rows.y[100:] = rows.X[:100], -rows.y[:100]  # the experts mirror each other, the gate is zero
    start = likelihood.model.join(np.zeros((1, 2)), np.array([[-0.8, 1.0, 2.0], [0.8, -1.0, 2.0]]))
    solution = solver(name).solve(likelihood, start)
    np.testing.assert_allclose(solution.theta[:2], 0, atol=1e-6)
    assert solution.certificate["kind"] == "interior" and not solution.certificate["gate_diverged"]


@pytest.mark.parametrize("name", SOLVERS)
def test_an_unfinished_run_says_so(name, truths):
    likelihood, theta = coverage(truths, "coverage1", 300)
    options = {"warm_up": 0} if name in SECOND_ORDER else {}
    solution = solver(name, max_iter=1, **options).solve(likelihood, 0.5 * theta)
    assert solution.certificate["kind"] == "none" and not solution.converged
    assert solution.certificate["decrement"] > 1e-8


@pytest.mark.parametrize("name", SOLVERS)
def test_an_expert_on_tied_responses_sits_on_the_boundary(name, truths):
    likelihood, theta = coverage(truths, "coverage1", 300, experts=Gaussian(residual_scale=1.0))
    likelihood.rows.y[:90] = 0.0
    theta = likelihood.model.join(np.zeros((1, 2)), np.array([[0.0, 0.0, 100.0], [0.0, 0.0, 1.0]]))
    solution = solver(name, max_iter=200).solve(likelihood, theta)
    assert solution.certificate["at_boundary"]
    assert solution.certificate["kind"] == "none" and not solution.converged


def test_certificate_of_a_saddle_is_none(truths):
    likelihood, _ = coverage(truths, "coverage1", 300)
    certificate = certify(likelihood, pooled(likelihood), 1e-8)
    assert certificate["decrement"] < 1e-8 and certificate["min_eigenvalue"] < 0
    assert certificate["kind"] == "none"


class Ending:
    """A likelihood that is quadratic around zero, as `certify` sees it."""

    def __init__(self, values=(0.2, 1.0), score=0.0, boundary=False, ray=None, gain=0.0):
        p = len(values)
        self.at = SimpleNamespace(value=0.0, score=np.full(p, score), information=np.eye(p), hessian=-np.diag(values))
        self.boundary, self.ray, self.gain = boundary, ray, gain

    def expand(self, theta):
        return self.at

    def value(self, theta):
        return self.gain

    def flat(self, theta):
        return np.zeros((len(theta), 0))

    def at_boundary(self, theta):
        return self.boundary

    def receding(self, theta, information):
        step = np.zeros(len(theta)) if self.ray is None else np.eye(len(theta))[self.ray]
        return step[:, None][:, : self.ray is not None], step

    def diverged(self, theta, step):
        return bool(step.any()), ()


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        (Ending(), "interior"),
        (Ending(score=1e-5), "interior"),
        (Ending(score=1e-3), "none"),
        (Ending(values=(1e-12, 1.0)), "flat"),
        (Ending(values=(-1e-12, 1.0), score=1e-10), "flat"),
        (Ending(values=(1e-12, 1.0), score=1e-3), "none"),
        (Ending(values=(-0.1, 1.0)), "none"),
        (Ending(boundary=True), "none"),
        (Ending(values=(1e-30, 1.0), ray=0), "limit"),
        (Ending(values=(1e-30, 1.0), ray=0, gain=1e-3, score=1e-5), "none"),
        (Ending(values=(1e-30, -0.1), ray=0), "none"),
        (Ending(values=(1e-30, 1.0), ray=0, boundary=True), "none"),
    ],
)
def test_certificate_kinds(ending, kind):
    certificate = certify(ending, np.zeros(2), 1e-8)
    assert certificate["kind"] == kind
    assert certificate["em_rate"] == 1 - certificate["min_eigenvalue"]


@pytest.mark.parametrize("name", ["em", "squarem"])
def test_a_gate_step_that_overshoots_is_halved(name, truths):
    likelihood, theta = coverage(truths, "coverage1", 300)
    best = Newton().solve(likelihood, theta)
    theta[:2] = 6.0, 0.0  # a gate so steep that little information is left, and a Newton step goes much too far
    value, following = likelihood.em_step(theta)
    assert likelihood.value(following) < value
    solution = solver(name).solve(likelihood, theta)
    assert np.all(np.diff(solution.history) >= 0)
    np.testing.assert_allclose(solution.loglik, best.loglik, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["d=1", "three experts"])
def test_em_rate_is_the_rate_of_em(name, truths):
    likelihood, start = PROBLEMS[name](truths)
    solution = Newton().solve(likelihood, start)
    theta = solution.theta + 1e-4
    errors = [1.0]
    while errors[-1] > 1e-8:
        theta = likelihood.em_step(theta)[1]
        errors.append(np.linalg.norm(theta - solution.theta))
    rate = (errors[-1] / errors[-11]) ** 0.1
    np.testing.assert_allclose(solution.certificate["em_rate"], rate, rtol=0, atol=1e-3)


def test_newton_continues_em_and_never_ends_lower(problem):
    likelihood, start = problem
    for max_iter in (1, 10, 100):
        em = EM(max_iter=max_iter).solve(likelihood, 0.8 * start)
        newton = Newton(warm_up=0).solve(likelihood, em.theta)
        assert newton.loglik >= em.loglik - 1e-12 * abs(em.loglik)
        assert newton.converged


@pytest.mark.parametrize("name", SOLVERS)
def test_a_monitor_sees_every_iterate_and_can_stop(name, truths):
    likelihood, theta = coverage(truths, "coverage1", 300)
    seen = []

    def monitor(at, value):
        seen.append((at, value))
        return len(seen) >= 3

    solution = solver(name, monitor=monitor).solve(likelihood, 0.5 * theta)
    assert 3 <= len(seen) <= 10 and solution.loglik >= seen[-1][1] - 1e-9
    for at, value in seen:
        np.testing.assert_allclose(value, likelihood.value(at), rtol=1e-12)


# the trust region -----------------------------------------------------------------------------------------------------


class Quadratic:
    """What a Spectrum looks at: score, information and Hessian of a quadratic function."""

    def __init__(self, values, seed=0):
        rng, p = np.random.default_rng(seed), len(values)
        self.root = rng.normal(size=(p, p))
        self.information = self.root @ self.root.T
        self.hessian = -self.root @ np.diag(values) @ self.root.T
        self.score = self.root @ rng.normal(size=p)

    def gain(self, step):
        return self.score @ step + 0.5 * step @ self.hessian @ step

    def length(self, step):
        return np.linalg.norm(self.root.T @ step)


SHAPES = {"concave": [0.1, 0.5, 0.9], "flat": [1e-14, 0.5, 1], "saddle": [-2, 0.3, 0.9], "convex": [-3, -2, -0.1]}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("radius", [1e-3, 0.5, 2.0, 100.0])
def test_no_step_within_the_radius_gains_more(shape, radius):
    at = Quadratic(SHAPES[shape])
    spectrum = Spectrum(at)
    np.testing.assert_allclose(spectrum.values, SHAPES[shape], atol=1e-8)
    step, gain, length = spectrum.step(radius)
    np.testing.assert_allclose([gain, length], [at.gain(step), at.length(step)], rtol=1e-6)
    assert length <= radius * 1.01
    others = np.linalg.solve(at.root.T, np.random.default_rng(1).normal(size=(3, 2000)))
    others *= radius * np.random.default_rng(2).uniform(0, 1, 2000) / [at.length(o) for o in others.T]
    assert max(at.gain(o) for o in others.T) <= gain * 1.01


def test_a_large_radius_gives_newtons_step():
    at = Quadratic(SHAPES["concave"])
    step, gain, _ = Spectrum(at).step(1e6)
    np.testing.assert_allclose(step, np.linalg.solve(-at.hessian, at.score), rtol=1e-6)
    np.testing.assert_allclose([gain, Spectrum(at).decrement()], at.gain(step), rtol=1e-6)


def test_flat_directions_are_left_out():
    at = Quadratic([0.0, 0.5, 0.9])
    flat = np.linalg.solve(at.root.T, [1.0, 0.0, 0.0])[:, None]
    at.score -= at.root[:, 0] * (at.score @ flat)
    spectrum = Spectrum(at, flat / np.linalg.norm(flat))
    np.testing.assert_allclose(-at.hessian @ spectrum.newton, at.score, atol=1e-9)
    assert len(spectrum.values) == 2 and spectrum.smallest > 0.4
    assert at.length(spectrum.newton) < 100


def test_a_saddle_without_score_is_left_by_the_whole_radius():
    at = Quadratic(SHAPES["saddle"])
    at.score[:] = 0.0
    step, gain, length = Spectrum(at).step(0.5)
    np.testing.assert_allclose([length, gain, at.gain(step)], [0.5, 0.25, 0.25], rtol=1e-6)


@pytest.mark.parametrize("warm_up", [0, 5])
def test_newton_leaves_the_symmetric_saddle(warm_up, truths):
    likelihood, theta = coverage(truths, "coverage1", 300)
    start = pooled(likelihood)
    stuck = EM().solve(likelihood, start)
    assert stuck.loglik - likelihood.value(start) < 1e-6
    solution = Newton(warm_up=warm_up).solve(likelihood, start)
    assert solution.loglik > stuck.loglik + 10
    assert solution.converged


def test_lbfgs_and_newton_agree_far_from_the_truth(truths):
    likelihood, theta = coverage(truths, "coverage3", 400)
    ends = [s.solve(likelihood, 0.3 * theta) for s in (Newton(), LBFGS())]
    np.testing.assert_allclose(ends[0].loglik, ends[1].loglik, rtol=0, atol=1e-6)
