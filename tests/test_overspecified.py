"""Three experts on G2's two: the surface is nearly flat, so that EM stops early and a careless Newton fails."""

import numpy as np
import pytest

from moegate.estimators.data import make_rows
from moegate.likelihood import Likelihood
from moegate.model import MixtureOfExperts
from moegate.solvers import EM, Newton

SURJECTIONS = [(0, 0, 1), (0, 1, 1), (1, 0, 1)]  # true atom of each fitted expert


def near_truth(truth, atoms, n, rng):
    """theta in user units: each fitted expert and its gate row next to a true one."""
    noise = n**-0.083 * rng.standard_normal((3, 5))
    gate = np.vstack([truth.gate, np.zeros(2)])[list(atoms)] + 0.005 * noise[:, :2]
    experts = np.column_stack([truth.slopes, truth.intercepts, truth.sigma])[list(atoms)] + 0.05 * noise[:, 2:]
    psi = np.column_stack([experts[:, :2], np.ones(3)]) / experts[:, 2:]
    return np.concatenate([(gate - gate[-1])[:-1].ravel(), psi.ravel()])


@pytest.fixture(scope="module", params=[(1_000, 0), (1_000, 1), (10_000, 0), (10_000, 1)])
def starts(request, truths):
    """A likelihood of three experts, and a start near the truth for each surjection."""
    truth, (n, seed) = truths["G2"], request.param
    model = MixtureOfExperts(truth.model.gate, truth.model.experts, 3, 1)
    likelihood, rng = Likelihood(model, make_rows(*truth.draw(n, seed), None, True)), np.random.default_rng(seed)
    thetas = [near_truth(truth, atoms, n, rng) for atoms in SURJECTIONS]
    return likelihood, [model.to_scaled(theta, likelihood.rows.units) for theta in thetas]


@pytest.fixture(scope="module")
def ends(starts):
    likelihood, thetas = starts
    return [Newton().solve(likelihood, theta) for theta in thetas]


def test_best_run_has_a_certificate(ends):
    best = max(ends, key=lambda end: end.loglik)
    assert best.certificate["kind"] in ("interior", "limit") and best.converged
    assert best.certificate["decrement"] < 1e-8 and best.certificate["min_eigenvalue"] > 0


def test_the_better_split_is_above_the_truth(starts, ends, truths):
    likelihood, _ = starts
    truth = truths["G2"]
    at_truth = truth.likelihood(likelihood.rows.X, likelihood.rows.y).value(truth.theta)
    exact = Newton().solve(truth.likelihood(likelihood.rows.X, likelihood.rows.y), truth.theta)
    assert at_truth < exact.loglik < max(end.loglik for end in ends)


def test_newton_gains_what_em_leaves(starts):
    likelihood, thetas = starts
    gains = []
    for theta in thetas:
        em, value, _ = EM(tol=1e-6 * likelihood.rows.n_rows).run(likelihood, theta)
        gains.append(Newton(warm_up=0).solve(likelihood, em).loglik - value)
    assert min(gains) > -1e-9 and max(gains) > 0.1


def test_history_never_falls(ends):
    for end in ends:
        assert np.all(np.diff(end.history) >= -1e-12 * abs(end.loglik))
        assert len(end.history) < 200
