"""Stacked parameter vectors: each member of a stack is what it would be alone, bit for bit."""

from dataclasses import dataclass

import numpy as np
import pytest

from moegate import MoERegressor
from moegate.blocks import Rows, Units
from moegate.experts import Gaussian
from moegate.experts.gaussian import least_squares
from moegate.fitting import _chunks, begin
from moegate.gates import Affine, Gate, Softmax, SoftmaxGate
from moegate.initialization import Sample, starts
from moegate.likelihood import Likelihood
from moegate.model import MixtureOfExperts
from moegate.runs import pooled
from moegate.solvers import EM, SQUAREM

COLUMNS = {"all": (None, None), "some": ((1,), (2, 0)), "none": ((), ())}


def likelihood(K=3, columns="all", weighted=False, size=4096, gate=None):
    rng = np.random.default_rng(K)
    X = rng.standard_normal((150, 3))
    y = np.where(X[:, 0] > 0.3, 2 * X[:, 1], -X[:, 2]) + 0.4 * rng.standard_normal(150)
    units = Units(X.mean(axis=0), X.std(axis=0), float(y.mean()), float(y.std()))
    weight = rng.uniform(0, 2, 150) if weighted else None
    model = MixtureOfExperts(gate or SoftmaxGate().build(K), Gaussian(1.0), K, 3, *COLUMNS[columns])
    return Likelihood(model, Rows(X, y, weight, units, size=size))


def points(target, n=9, spread=0.3):
    """Admissible points but for the third, whose scale is negative, and the fourth, which overflows."""
    model = target.model
    noise = np.random.default_rng(1).uniform(-spread, spread, (n, model.n_params))
    thetas = model.initial(target.rows.units) + noise
    thetas[2, -1] = -1.0
    model.split(thetas[3])[1][:, 0] = 1e200
    return thetas


def alone(function, members):
    return [np.array(part) for part in zip(*map(function, members), strict=True)]


CASES = [(1, "all", False, 4096), (2, "some", True, 4096), (3, "all", True, 40), (4, "none", False, 64)]
CASES += [(3, "some", False, 4096)]


@pytest.mark.parametrize(("K", "columns", "weighted", "size"), CASES)
def test_em_steps_are_em_steps(K, columns, weighted, size):
    target = likelihood(K, columns, weighted, size)
    assert target.stacked
    thetas = points(target)
    values, following = target.em_steps(thetas)
    for got, expected in zip((values, following), alone(target.em_step, thetas), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert list(np.flatnonzero(~np.isfinite(values))) == [2, 3]
    np.testing.assert_array_equal(following[2:4], thetas[2:4])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", [4096, 40])
def test_m_steps_are_m_steps(weighted, size):
    target = likelihood(3, "some", weighted, size)
    origin, resps = pooled(target), np.random.default_rng(0).dirichlet(np.full(3, 0.3), (5, 150))
    expected = np.array([target.m_step(origin, resp) for resp in resps])
    origins = np.tile(origin, (5, 1))
    np.testing.assert_array_equal(target.m_steps(origins, resps), expected)
    np.testing.assert_array_equal(target.m_steps(-origins, resps), -origins)


@pytest.mark.parametrize("solver", [EM(12, 1e-3), EM(60, 0.05), EM(12, -np.inf), EM(0, 0.0), SQUAREM(6, 1e-3)])
@pytest.mark.parametrize("spread", [0.3, 4.0])
def test_runs_together_are_runs_alone(solver, spread):
    target = likelihood(3, "some", True)
    thetas = points(target, 12, spread)
    thetas[:, -1] = np.where(thetas[:, -1] > 0, thetas[:, -1], 1.0)
    ends, values, histories = solver.run_all(target, thetas)
    for i, theta in enumerate(thetas):
        end, value, history = solver.run(target, theta)
        np.testing.assert_array_equal(ends[i], end)
        np.testing.assert_array_equal(histories[i], history)
        assert values[i] == value


@dataclass
class Overshooting:
    """A concave likelihood whose EM step is too long by a factor of its own for each member."""

    factors: tuple

    def em_step(self, theta):
        if not theta[0] < 50:
            return -np.inf, theta
        return -float(theta @ theta), theta - self.factors[int(theta[1] > 0)] * theta

    def em_steps(self, thetas):
        return tuple(np.array(part) for part in zip(*map(self.em_step, thetas), strict=True))


FACTORS = [(0.5, 5.0), (1e12, 0.9), (-1.0, 3.0), (0.99 * 2.0**30, 1.01 * 2.0**30)]  # thirty halvings help, or do not


@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize("tol", [1e-6, -np.inf])
def test_steps_that_lose_are_halved_member_by_member(factors, tol):
    target, solver = Overshooting(factors), EM(max_iter=25, tol=tol)
    thetas = np.array([[1.0, 2.0], [3.0, -1.0], [60.0, 0.0], [0.1, -0.2], [-4.0, 1.0]])
    ends, values, histories = solver.run_all(target, thetas)
    for i, theta in enumerate(thetas):
        end, value, history = solver.run(target, theta)
        np.testing.assert_array_equal(ends[i], end)
        assert (values[i], histories[i]) == (value, history)
    assert (min(map(len, histories)) < 26) == (tol > 0) and max(map(len, histories)) == 26


def test_a_singular_member_does_not_change_the_others():
    V = np.random.default_rng(0).standard_normal((6, 3, 4, 30))
    V[2, 1, 1] = V[2, 1, 0]  # two equal columns
    V[4, 0] = 0.0
    grams = V @ np.swapaxes(V, -1, -2)
    for got, expected in zip(least_squares(grams), alone(least_squares, grams), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_an_empty_expert_stays_in_its_member_only():
    rng = np.random.default_rng(0)
    V, coef = rng.standard_normal((4, 3, 4, 30)), 1 + rng.uniform(size=(4, 3, 4))
    size = np.array([[1, 1, 1], [1, 0, 1e-15], [1e-14, 1e-14, 1e-14], [1e-24, 1e-9, 1e-9]])
    grams, experts = size[..., None, None] * (V @ np.swapaxes(V, -1, -2)), Gaussian(1.0)
    new = experts.m_step(coef, None, grams, 30 * size)
    expected = [experts.m_step(c, None, g, 30 * s) for c, g, s in zip(coef, grams, size, strict=True)]
    np.testing.assert_array_equal(new, expected)
    stays = [[False] * 3, [False, True, True], [False] * 3, [True, False, False]]
    np.testing.assert_array_equal((new == coef).all(axis=-1), stays)


def test_a_start_does_not_depend_on_its_company():
    target = likelihood(3)
    sample, origin, work = Sample.from_rows(target.rows, target.model.experts), pooled(target), starts("auto", 20, 0)
    together = begin(target, sample, origin, work)
    apart = [begin(target, sample, origin, [start])[0] for start in work]
    for a, b in zip(together, apart, strict=True):
        assert (a.start, a.kind, a.loglik, a.degenerate) == (b.start, b.kind, b.loglik, b.degenerate)
        np.testing.assert_array_equal(a.theta, b.theta)
        np.testing.assert_array_equal(a.history, b.history)


@pytest.mark.parametrize("n_rows", [10, 235, 20_000, 10**7])
def test_chunks_hold_every_start_once(n_rows):
    chunks = _chunks(list(range(150)), n_rows)
    assert sum(chunks, []) == list(range(150))
    assert all(len(chunk) == 1 or len(chunk) * n_rows <= 30_000 for chunk in chunks)


@dataclass(frozen=True)
class Lonely(Softmax):
    """A link that takes one matrix of scores."""

    stacked = False

    def __call__(self, S):
        assert S.ndim == 2
        return super().__call__(S)


def test_a_component_that_does_not_stack_takes_turns():
    target, stacked = likelihood(gate=Gate(Affine(), Lonely())), likelihood()
    assert stacked.stacked and not target.stacked
    thetas, resps = points(target), np.random.default_rng(0).dirichlet(np.ones(3), (4, 150))
    for got, expected in zip(target.em_steps(thetas), stacked.em_steps(thetas), strict=True):
        np.testing.assert_array_equal(got, expected)
    origins = np.tile(pooled(target), (4, 1))
    np.testing.assert_array_equal(target.m_steps(origins, resps), stacked.m_steps(origins, resps))


def test_a_transform_takes_turns():
    plain = likelihood(2)
    C = np.random.default_rng(0).standard_normal((plain.n_params, plain.n_params)) + 5 * np.eye(plain.n_params)
    target = Likelihood(plain.model, plain.rows, C)
    assert not target.stacked
    thetas = np.linalg.solve(C, points(plain)[:2].T).T
    np.testing.assert_allclose(target.em_steps(thetas)[0], plain.em_steps(points(plain)[:2])[0], rtol=1e-9)


def test_a_parallel_fit_equals_a_serial_one():
    X = np.random.default_rng(0).standard_normal((300, 2))
    y = np.abs(X[:, 0]) + 0.3 * np.random.default_rng(1).standard_normal(300)
    serial, parallel = (MoERegressor(3, n_init=2, random_state=0, n_jobs=n).fit(X, y) for n in (None, 2))
    np.testing.assert_array_equal(serial.theta_, parallel.theta_)
    for a, b in zip(serial.init_results_.history, parallel.init_results_.history, strict=True):
        np.testing.assert_array_equal(a, b)
