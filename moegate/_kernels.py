"""The hot numerics, experts-first: log-sum-exp, responsibilities, weighted Gram matrices.

Conventions: arrays are (K, B), experts by rows of a block; all functions take clean float64. Any further axes stand in
front: a stack of S parameter vectors makes arrays (S, K, B), whose members do not see each other.
"""

from functools import lru_cache

import numpy as np

LOWEST = np.finfo(float).min  # keeps a column of -inf from becoming nan
TINY = 1e-280  # density below which products of probabilities may have lost digits
ASIDE = 2.0**-10  # the largest term is shifted to just below zero: exp of an exact zero is a slow special case


def peaks(A):
    """Largest term of each column, and a little more, (K, B) -> (B,)."""
    top = np.maximum.reduce(A, axis=-2, initial=LOWEST)
    top += ASIDE
    return top


def log_sum_exp(A):
    """Log of the sum of exponentials over experts, (K, B) -> (B,)."""
    top = np.maximum.reduce(A, axis=-2, initial=LOWEST)
    E = np.exp(A - top[..., None, :])
    with np.errstate(divide="ignore"):
        return np.log(np.add.reduce(E, axis=-2)) + top


def responsibilities(A, total=None):
    """Log-sum-exp over experts and the normalised exponentials, in place.

    Parameters
    ----------
    A : ndarray of shape (K, B)
        Log joint densities; overwritten by the responsibilities.
    total : ndarray of shape (B,), optional
        A common divisor of the joint densities.

    Returns
    -------
    density, peak : ndarray of shape (B,)
        The logarithm of the sum is log(density) + peak.
    resp : ndarray of shape (K, B)
        The array `A`, whose columns now sum to one.
    """
    top = peaks(A)
    A -= top[..., None, :]
    np.exp(A, out=A)
    density = np.add.reduce(A, axis=-2)
    A *= (1.0 / density)[..., None, :]
    if total is not None:
        density /= total
    return density, top, A


def shares(A):
    """`responsibilities` from joint densities instead of their logarithms, in place; None where a sum is too small."""
    density = np.add.reduce(A, axis=-2)
    if not np.min(density, initial=1.0) > TINY:
        return None
    A *= (1.0 / density)[..., None, :]
    return density, np.zeros(density.shape[-1]), A


def sum_of_logs(x):
    """Sum of log(x) over the last axis, by one logarithm for 512 factors in [1/2, 1)."""
    factors, exponents = np.frexp(x)
    products = np.multiply.reduceat(factors, np.arange(0, x.shape[-1], 512), axis=-1)
    return np.log(products).sum(axis=-1) + np.log(2.0) * exponents.sum(axis=-1)


def softmax(S, m=None):
    """Softmax over experts: its logarithm plus a common term, itself, and the exponential of that term.

    Parameters
    ----------
    S : ndarray of shape (K, B)
    m : int, optional
        The scores from the m-th on are zero.

    Returns
    -------
    L, P : ndarray of shape (K, B)
        log P = L - log(total).
    total : ndarray of shape (B,)
    """
    if m is not None and m < S.shape[-2]:
        L, P = S, np.ones_like(S)
        with np.errstate(over="ignore"):
            np.exp(S[..., :m, :], out=P[..., :m, :])
        total = np.add.reduce(P, axis=-2)
        if not np.isfinite(total).all():
            return softmax(S)
    else:
        L = S - peaks(S)[..., None, :]
        P = np.exp(L)
        total = np.add.reduce(P, axis=-2)
    P *= (1.0 / total)[..., None, :]
    return L, P, total


def log_softmax(S):
    """Log of the softmax over experts, (K, B) -> (K, B)."""
    L, _, total = softmax(S)
    L -= np.log(total)[..., None, :]
    return L


def n_pairs(m):
    """Number of pairs i <= j among m."""
    return m * (m + 1) // 2


def products(V):
    """Row-wise products V_i V_j for i <= j, (Q, B) -> (Q (Q + 1) / 2, B)."""
    Q, B = V.shape
    out, at = np.empty((n_pairs(Q), B)), 0
    for i in range(Q):
        np.multiply(V[i:], V[i], out=out[at : at + Q - i])
        at += Q - i
    return out


@lru_cache(maxsize=256)
def pairs_of(m):
    """Indices i and j of the pairs i <= j among m, in their order."""
    return np.triu_indices(m)


@lru_cache(maxsize=256)
def _position(m):
    """Position of (i, j) among the pairs, (m, m)."""
    at = np.zeros((m, m), dtype=int)
    at[pairs_of(m)] = np.arange(n_pairs(m))
    return np.maximum(at, at.T)


def symmetric(pairs, m, axis=0):
    """Unpack values listed by pairs i <= j on one axis to a full (m, m, ...) array."""
    return np.take(pairs, _position(m), axis=axis)


def unpack_grams(flat, Q):
    """Gram matrices (T, Q, Q) from `weights @ products(V).T` of shape (T, Q (Q + 1) / 2)."""
    return flat[..., _position(Q)]


def wide_grams(V, weights):
    """Gram matrices (..., T, Q, Q) of rows (Q, B) with weights (..., T, B), one by one: no product of rows is kept."""
    Q = len(V)
    out = np.empty((*weights.shape[:-1], Q, Q))
    for at in np.ndindex(weights.shape[:-1]):
        np.matmul(weights[at] * V, V.T, out=out[at])
    return out


def multinomial_pairs(P, out=None):
    """P_i (delta_ij - P_j) by pairs i <= j: the covariance of one draw, (m, B) -> (m (m + 1) / 2, B)."""
    *stack, m, B = P.shape
    out = np.empty((*stack, n_pairs(m), B)) if out is None else out
    at = 0
    for i in range(m):
        rows = out[..., at : at + m - i, :]
        np.multiply(P[..., i:, :], -P[..., i : i + 1, :], out=rows)
        rows[..., 0, :] += P[..., i, :]
        at += m - i
    return out
