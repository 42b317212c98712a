import mpmath
import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from moegate import _kernels as kernels

SIZES = [1, 2, 3, 5]

EXTREMES = {
    "equal": [0.0, 0.0, 0.0],
    "one": [-3.25],
    "huge": [1e300, 1e300],
    "far below": [-1e300, -1e300, -1e300],
    "would underflow": [-800.0, -801.5, -803.0],
    "would overflow": [710.0, 709.0, 711.25],
    "a small share": [0.0, -36.0],
    "a share below the smallest double": [0.0, -800.0, 1.0],
    "a share of nothing": [-np.inf, 0.5, -2.0],
    "a subnormal share": [0.0, -744.0],
}


def exact(column):
    """Log-sum-exp and shares of one column with 60 digits."""
    with mpmath.workdps(60):
        terms = [mpmath.exp(mpmath.mpf(a)) for a in column]
        total = mpmath.fsum(terms)
        return float(mpmath.log(total)), [float(t / total) for t in terms]


def columns(K, scale, B=200):
    return scale * np.random.default_rng(K).standard_normal((K, B))


@pytest.mark.parametrize("K", SIZES)
@pytest.mark.parametrize("scale", [1e-8, 1.0, 50.0, 1e4])
def test_log_sum_exp_and_responsibilities_equal_scipy(K, scale):
    A = columns(K, scale)
    density, peak, resp = kernels.responsibilities(A.copy())
    log_density = np.log(density) + peak
    for value in (kernels.log_sum_exp(A), log_density):
        np.testing.assert_allclose(value, logsumexp(A, axis=0), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(resp, softmax(A, axis=0), rtol=1e-12, atol=1e-300)
    L, P, total = kernels.softmax(A)
    for value in (kernels.log_softmax(A), L - np.log(total)):
        np.testing.assert_allclose(value, A - logsumexp(A, axis=0), rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(P, np.exp(A - logsumexp(A, axis=0)), rtol=1e-10, atol=1e-200)


@pytest.mark.parametrize("scale", [1.0, 50.0, 1e4])
@pytest.mark.parametrize("m", [0, 1, 3])
def test_softmax_with_pinned_scores(m, scale):
    S = columns(4, scale)
    S[m:] = 0.0
    L, P, total = kernels.softmax(S, m)
    np.testing.assert_allclose(P, softmax(S, axis=0), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(L - np.log(total), S - logsumexp(S, axis=0), rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("size", [1, 511, 512, 5000])
def test_sum_of_logs(size):
    x = np.exp(np.random.default_rng(size).uniform(-700, 700, (2, size)))
    np.testing.assert_allclose(kernels.sum_of_logs(x), np.log(x).sum(axis=-1), rtol=1e-13, atol=1e-9)
    x[0, size // 2] = 0.0
    with np.errstate(divide="ignore"):
        assert kernels.sum_of_logs(x)[0] == -np.inf


@pytest.mark.parametrize("name", EXTREMES)
def test_extremes_equal_mpmath(name):
    value, shares = exact(EXTREMES[name])
    A = np.array(EXTREMES[name])[:, None]
    np.testing.assert_allclose(kernels.log_sum_exp(A), value, rtol=1e-15, atol=1e-16)
    density, peak, resp = kernels.responsibilities(A.copy())
    log_density = np.log(density) + peak
    np.testing.assert_allclose(log_density, value, rtol=1e-15, atol=1e-16)
    np.testing.assert_allclose(resp[:, 0], shares, rtol=1e-14, atol=5e-324)


def test_a_column_without_density_is_minus_infinity():
    A = np.array([[-np.inf, 0.0], [-np.inf, 0.0]])
    assert list(kernels.log_sum_exp(A)) == [-np.inf, np.log(2)]


def test_one_column_does_not_disturb_another():
    A = np.hstack([columns(3, 1.0), np.array([[-np.inf], [0.0], [-np.inf]]), np.full((3, 1), -1e300)])
    np.testing.assert_array_equal(kernels.log_sum_exp(A)[:-2], kernels.log_sum_exp(A[:, :-2]))


@pytest.mark.parametrize("K", SIZES)
def test_responsibilities_are_shares_and_overwrite(K):
    A = columns(K, 20.0)
    resp = kernels.responsibilities(A)[-1]
    assert resp is A
    assert np.all(resp >= 0)
    np.testing.assert_allclose(resp.sum(axis=0), 1, rtol=0, atol=4e-16)


@pytest.mark.parametrize("Q", SIZES)
def test_weighted_grams_of_products_equal_the_sum_over_rows(Q):
    rng = np.random.default_rng(Q)
    V, weights = rng.standard_normal((Q, 50)), rng.standard_normal((4, 50))
    i, j = np.triu_indices(Q)
    np.testing.assert_array_equal(kernels.products(V), V[i] * V[j])
    grams = kernels.unpack_grams(weights @ kernels.products(V).T, Q)
    np.testing.assert_allclose(grams, np.einsum("tb,ib,jb->tij", weights, V, V), atol=1e-12)


@pytest.mark.parametrize("m", SIZES)
def test_pairs_unpack_to_a_symmetric_array(m):
    full = np.random.default_rng(m).standard_normal((m, m, 3))
    full = full + full.swapaxes(0, 1)
    assert kernels.n_pairs(m) == len(kernels.pairs_of(m)[0])
    np.testing.assert_array_equal(kernels.symmetric(full[kernels.pairs_of(m)], m), full)


@pytest.mark.parametrize("m", SIZES)
def test_multinomial_pairs_are_the_covariance_of_one_draw(m):
    P = np.random.default_rng(m).dirichlet(np.ones(m + 1), 20).T[:m]
    expected = np.einsum("ij,ib->ijb", np.eye(m), P) - np.einsum("ib,jb->ijb", P, P)
    out = np.full((kernels.n_pairs(m), P.shape[1]), np.nan)
    assert kernels.multinomial_pairs(P, out) is out
    for pairs in (out, kernels.multinomial_pairs(P)):
        np.testing.assert_allclose(kernels.symmetric(pairs, m), expected, rtol=0, atol=1e-16)
