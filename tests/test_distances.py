"""Distances of conditional densities against adaptive quadrature, formulas and sums."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar
from scipy.special import logsumexp
from scipy.stats import poisson

from moegate.voronoi import distances_of_classes, distances_of_counts, distances_of_normals
from moegate.voronoi.quadrature import integrals

PANEL = (-9, -6, -4, -2, -1, 0, 1, 2, 4, 6, 9)


def mixture(rng, n, K):
    return rng.dirichlet(np.ones(K), n), 2 * rng.standard_normal((n, K)), rng.uniform(0.02, 1.5, (n, K))


def split(mix, rng, size):
    """A mixture near another, its first expert in two."""
    pi, mean, sigma = (np.concatenate([part, part[:, :1]], axis=1) for part in mix)
    pi[:, [0, -1]] *= [0.4, 0.6]
    return pi, mean + size * rng.standard_normal(mean.shape), sigma * np.exp(size * rng.standard_normal(mean.shape))


def log_density(mix, i, y):
    pi, mean, sigma = (part[i] for part in mix)
    return logsumexp(np.log(pi) - np.log(sigma) - 0.5 * np.log(2 * np.pi) - 0.5 * ((y - mean) / sigma) ** 2)


def by_quad(p, q, i):
    """The three distances of one row, the range cut at deviations of the experts and at the roots of p - q."""
    ratio = lambda y: log_density(p, i, y) - log_density(q, i, y)  # noqa: E731
    ends = np.unique(np.concatenate([m[i] + s[i] * k for _, m, s in (p, q) for k in PANEL]))
    fine = np.unique(np.concatenate([np.linspace(a, b, 40) for a, b in zip(ends, ends[1:], strict=False)]))
    sign = np.sign([ratio(y) for y in fine])
    roots = [brentq(ratio, fine[k], fine[k + 1], xtol=1e-14) for k in np.flatnonzero(sign[:-1] * sign[1:] < 0)]
    ends = np.unique(np.concatenate([ends, roots]))
    functions = (
        lambda y: abs(np.exp(log_density(p, i, y)) - np.exp(log_density(q, i, y))) / 2,
        lambda y: (np.exp(log_density(p, i, y) / 2) - np.exp(log_density(q, i, y) / 2)) ** 2 / 2,
        lambda y: np.exp(log_density(p, i, y)) * ratio(y),
    )
    pairs = list(zip(ends, ends[1:], strict=False))
    return [sum(quad(f, a, b, epsabs=1e-13, epsrel=1e-11, limit=200)[0] for a, b in pairs) for f in functions]


@pytest.mark.parametrize("near", [None, 0.1, 0.01])
def test_distances_are_those_of_quadrature(near):
    rng = np.random.default_rng(0)
    p = mixture(rng, 4, 2)
    q = mixture(rng, 4, 3) if near is None else split(p, rng, near)
    expected = np.transpose([by_quad(p, q, i) for i in range(4)])
    np.testing.assert_allclose(integrals(p, q), expected, rtol=1e-8)
    found = distances_of_normals(p, q)
    tv, hellinger, kl = expected.mean(axis=1)
    assert found == pytest.approx((tv, np.sqrt(hellinger), kl), rel=1e-8)
    assert distances_of_normals(p, q, weights=[0, 0, 1, 0]).kullback_leibler == pytest.approx(expected[2, 2], rel=1e-8)


def test_each_row_keeps_the_bounds_between_distances():
    rng = np.random.default_rng(1)
    p = mixture(rng, 300, 3)
    for q in (mixture(rng, 300, 2), split(p, rng, 0.01)):
        tv, squared, kl = integrals(p, q)
        assert np.all(squared <= tv * (1 + 1e-9)) and np.all(tv <= np.sqrt(2 * squared) * (1 + 1e-9))
        assert np.all(2 * squared <= kl * (1 + 1e-9)) and np.all(tv <= np.sqrt(kl / 2) * (1 + 1e-9))
    np.testing.assert_allclose(integrals(p, p), 0, atol=1e-13)


def test_distances_of_two_normals_have_their_formulas():
    one = np.ones((1, 1))
    for s in (1e-3, 1.0, 1e3):
        found = distances_of_normals((one, 0 * one, s * one), (one, s * one, 2 * s * one))
        kl = np.log(2) + (1 + 1) / 8 - 0.5
        h2 = 1 - np.sqrt(4 / 5) * np.exp(-1 / 20)
        assert found.kullback_leibler == pytest.approx(kl, rel=1e-8)
        assert found.hellinger == pytest.approx(np.sqrt(h2), rel=1e-8)


def test_densities_that_underflow_have_finite_divergence():
    one = np.ones((1, 1))
    found = distances_of_normals((one, 0 * one, 0.3 * one), (one, 20 * one, 0.4 * one))
    assert found.kullback_leibler == pytest.approx(np.log(4 / 3) + (0.09 + 400) / 0.32 - 0.5, rel=1e-9)
    assert found.total_variation == pytest.approx(1, abs=1e-12) and found.hellinger == pytest.approx(1, abs=1e-9)


def test_logarithms_with_a_corner_are_followed():
    """Between two narrow experts far apart the log density turns within 0.01 of a deviation of the other density."""
    p = tuple(np.array([part]) for part in ([1.0], [0.3], [1.0]))
    q = tuple(np.array([part]) for part in ([0.4, 0.6], [-10.0, 11.0], [0.3, 0.3]))
    ends = [-9, -3, -0.1, 0.4, 0.45, 0.495, 0.505, 0.55, 0.6, 3, 9]
    f = lambda y: np.exp(log_density(p, 0, y)) * (log_density(p, 0, y) - log_density(q, 0, y))  # noqa: E731
    kl = sum(quad(f, a, b, epsabs=1e-12, epsrel=1e-12, limit=200)[0] for a, b in zip(ends, ends[1:], strict=False))
    assert integrals(p, q)[2, 0] == pytest.approx(kl, rel=1e-9)


def test_experts_that_are_never_chosen_change_nothing():
    rng = np.random.default_rng(2)
    p, q = mixture(rng, 3, 2), mixture(rng, 3, 2)
    more = [np.column_stack([part, np.full(3, value)]) for part, value in zip(q, (0.0, 1.0, 0.1), strict=True)]
    assert distances_of_normals(p, more) == pytest.approx(distances_of_normals(p, q), rel=1e-9)


def test_two_roots_between_nodes_are_found():
    """p exceeds q over an interval shorter than the distance of the nodes."""
    p = tuple(np.array([part]) for part in ([0.9, 0.1], [0.0, 6.0], [1.0, 1.0]))

    def other(beta):
        return tuple(np.array([part]) for part in ([1 - beta, beta], [0.5, 6.3], [1.0, 1.2]))

    def highest(beta):
        excess = lambda y: np.expm1(log_density(p, 0, y) - log_density(other(beta), 0, y))  # noqa: E731
        return -minimize_scalar(lambda y: -excess(y), bounds=(5, 6), method="bounded", options={"xatol": 1e-12}).fun

    q = other(brentq(lambda beta: highest(beta) - 1e-5, 0.1, 0.3))
    assert integrals(p, q)[0] == pytest.approx(by_quad_near(p, q), rel=1e-12)


def by_quad_near(p, q):
    """Total variation by distribution functions between all roots on a very fine grid."""
    from moegate.voronoi.quadrature import Normals

    one, two = Normals.of(*p), Normals.of(*q)
    y = np.linspace(-9, 17, 400_001)
    ratio = lambda y: one.log_density(y) - two.log_density(y)  # noqa: E731
    sign = np.sign(ratio(y[None])[0])
    at = np.flatnonzero(sign[:-1] * sign[1:] < 0)
    assert len(at) == 3 and np.diff(y[at]).min() < 0.02
    roots = [brentq(lambda t: ratio(np.array([[t]]))[0, 0], y[k], y[k + 1], xtol=1e-14) for k in at]
    D = np.concatenate([[0], [one.cdf(np.array([r]))[0] - two.cdf(np.array([r]))[0] for r in roots], [0]])
    return np.abs(np.diff(D)).sum() / 2


def test_distances_of_classes():
    P, Q = np.array([[0.2, 0.8], [0.5, 0.5]]), np.array([[0.3, 0.7], [0.5, 0.5]])
    found = distances_of_classes(P, Q)
    assert found.total_variation == pytest.approx(0.05)
    assert found.kullback_leibler == pytest.approx(np.mean(np.sum(P * np.log(P / Q), axis=1)))
    assert distances_of_classes(P, Q, weights=[0, 1]).hellinger == 0


def test_distances_of_counts_are_sums():
    rng = np.random.default_rng(3)
    p, q = [(rng.dirichlet(np.ones(K), 5), rng.gamma(1.0, 20.0, (5, K))) for K in (2, 3)]
    y = np.arange(2000)
    P, Q = (np.sum(pi[..., None] * poisson.pmf(y, mean[..., None]), axis=1) for pi, mean in (p, q))
    log = [logsumexp(np.log(pi)[..., None] + poisson.logpmf(y, mean[..., None]), axis=1) for pi, mean in (p, q)]
    found = distances_of_counts(p, q)
    assert found.total_variation == pytest.approx(np.abs(P - Q).sum(axis=1).mean() / 2, rel=1e-10)
    assert found.hellinger**2 == pytest.approx(1 - np.sqrt(P * Q).sum(axis=1).mean(), rel=1e-10)
    assert found.kullback_leibler == pytest.approx(np.sum(P * (log[0] - log[1]), axis=1).mean(), rel=1e-9)


def test_distances_of_counts_at_large_and_tiny_means():
    one = np.ones((3, 1))
    for mean in (1e-8, 1e4):
        found = distances_of_counts((one, mean * one), (one, 1.1 * mean * one))
        assert found.kullback_leibler == pytest.approx(mean * (0.1 - np.log(1.1)), rel=1e-7)
        assert found.hellinger**2 == pytest.approx(-np.expm1(-mean * (np.sqrt(1.1) - 1) ** 2 / 2), rel=1e-7)
