"""Gumbel gate: pi_k(x) = E softmax((s(x) + g) / temperature)_k over Gumbel noise g, by a one-dimensional integral.

A draw from softmax((s + g) / t) is the index of the largest s_k + g_k + t g'_k, with g' further Gumbel noise. Hence
pi_k is the probability that s_k + Z_k is the largest, Z_k = g_k + t g'_k: with F the distribution function of Z,

    pi_k = int e r_k dz,   r_k = (F' / F)(z - s_k),   e = prod_j F(z - s_j),

and for different i, j, k: d pi_k / d s_i = -int e r_k r_i dz, d2 pi_k / d s_i d s_j = int e r_k r_i r_j dz, while
d2 pi_k / d s_i^2 = int e r_k (F'' / F)(z - s_i) dz. The derivatives by s_k follow: a translation changes nothing. The
integrand is analytic and decays on both sides, so that the trapezoidal rule converges geometrically.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from numbers import Integral, Real

import numpy as np
from numpy.polynomial.chebyshev import chebinterpolate, chebvander

from .._kernels import n_pairs, pairs_of
from .gate import Gate, GateSpec
from .link import Link
from .softmax import Affine, Softmax

ENOUGH = 40  # nodes for an error of 1e-12
FAR = 36.0  # distance below the largest score from where on log pi falls linearly
BEND, TERMS = 12.0, 36  # Chebyshev series by the distance d below the largest score, after a rational map of d
ROWS = 1024  # rows at once: what they need stays in the processor's cache


def _noise(z, ratio):
    """log F, F' / F and F'' / F of g + ratio g': like z, one after another on the last axis."""
    w, step = np.linspace(-120.0, 5.0, 501, retstep=True)  # -g'
    weight, factor, x = step * np.exp(w - np.exp(w)), np.exp(-ratio * w), np.exp(-z)
    power = x[..., None] * factor
    G = np.exp(-power)
    F, first, second = G @ weight, x * (G @ (weight * factor)), x**2 * (G @ (weight * factor**2))
    log_F = np.where(F > 0.5, np.log1p(np.expm1(-power) @ weight), np.log(F))
    return np.concatenate([log_F, first / F, (second - first) / F], axis=-1)


@lru_cache(maxsize=32)
def _series(ratio, n_nodes):
    """Weights of the nodes z, and coefficients by d of exp(d) log F(z + d), of exp(d) F' / F and of exp(d) F'' / F.

    The nodes are even in u, z = u + exp(u - 2): they thin out where the integrand falls like exp(-z). F is less than
    exp(-FAR) below the lowest, 1 - F is above the highest.

    Returns
    -------
    weights : ndarray of shape (n_nodes,)
    coefficients : list of ndarray of shape (TERMS, n_nodes)
    """
    share = FAR * ratio / (1 + ratio)
    u, step = np.linspace(-np.log(FAR - share) - ratio * np.log(share), 5.4, n_nodes, retstep=True)
    z, weights = u + np.exp(u - 2), step * (1 + np.exp(u - 2))

    def scaled(t):
        d = BEND * (1 + t[:, None]) / (1 + 2 * BEND / FAR - t[:, None])
        return _noise(z + d, ratio) * np.exp(d)

    return weights, np.split(chebinterpolate(scaled, TERMS - 1), 3, axis=1)


def _chunks(S, size=ROWS):
    """Indices of a few rows of one member of a stack."""
    for member in np.ndindex(S.shape[:-2]):
        for start in range(0, S.shape[-1], size):
            yield (*member, ..., slice(start, start + size))


def _close(A, k):
    """Fill in A[k] so that the sum over the first axis is zero."""
    A[k] = 0.0
    A[k] = -A.sum(axis=0)


def _limited(x):
    """Derivative of max(x, largest - FAR) by x, (K, K, B); None where no score is that low."""
    far = x.max(axis=0) - x > FAR
    if not far.any():
        return None
    top = np.arange(len(x))[:, None] == x.argmax(axis=0)
    return np.eye(len(x))[:, :, None] * ~far + far[:, None] * top


@dataclass(frozen=True)
class GumbelSoftmax(Link):
    """log pi_k = log E softmax((s + g) / temperature)_k with exact first and second derivatives.

    Where a score is more than 36 max(1, temperature) below the largest, log pi continues with the slope
    1 / max(1, temperature). The probabilities are exact to 1e-6 with 24 nodes and to 1e-12 with 40.

    Parameters
    ----------
    temperature : float
    n_nodes : int
        Nodes of the trapezoidal rule at most: no more than 40 are used.
    """

    temperature: float = 1.0
    n_nodes: int = 96
    _last: tuple = field(default=(), init=False, repr=False, compare=False)

    def __post_init__(self):
        if not (isinstance(self.temperature, Real) and 0 < self.temperature < np.inf):
            raise ValueError(f"temperature expects a positive number, got {self.temperature!r}.")
        if not (isinstance(self.n_nodes, Integral) and self.n_nodes >= 24):
            raise ValueError(f"n_nodes expects an integer of at least 24, got {self.n_nodes!r}.")

    def __getstate__(self):
        return {**self.__dict__, "_last": ()}

    def __call__(self, S):
        return self._at(S)[0].copy()

    def jac(self, S, P, m):
        return self._at(S)[1][..., :m, :]

    def second(self, S, P, R, m):
        out, (i, j), J = np.empty((n_pairs(m), S.shape[1])), pairs_of(m), self._at(S)[1]
        for at in _chunks(S, min(ROWS, 8 + 2**16 // len(S) ** 3)):
            out[at] = self._second(S[at] / self._unit, R[at], J[at] * self._unit)[i, j]
        return out / self._unit**2

    def path(self, K):
        """From the softmax, whose passes cost a small part of this link's."""
        return (Softmax(), self)

    @property
    def _unit(self):
        """The scale of the larger noise: in this unit of the scores the noise is g + ratio g' with ratio <= 1."""
        return max(1.0, self.temperature)

    @property
    def _table(self):
        return _series(min(self.temperature, 1 / self.temperature), min(self.n_nodes, ENOUGH))

    def _at(self, S):
        """Log-probabilities (..., K, B) and their derivatives (..., K, K, B), those of the last scores kept."""
        last = self._last
        if not (last and np.array_equal(last[0], S)):
            L, J = np.empty(S.shape), np.empty(S.shape[:-1] + S.shape[-2:])
            for at in _chunks(S):
                L[at], J[at] = self._first(S[at] / self._unit)
            J /= self._unit
            J.flags.writeable = False
            last = S.copy(), L, J
            object.__setattr__(self, "_last", last)
        return last[1:]

    def _integrand(self, x, order):
        """exp(-d), the root of e times the weights (B, nodes), and exp(d) F' / F, exp(d) F'' / F to some order."""
        d, (weights, (log_F, *ratios)) = np.minimum(x.max(axis=0) - x, FAR), self._table
        T, near = chebvander(((1 + 2 * BEND / FAR) * d - BEND) / (BEND + d), TERMS - 1), np.exp(-d)
        root = np.einsum("kb,kbt->tb", near / 2, T).T @ log_F
        np.exp(root, out=root)
        root *= np.sqrt(weights)
        return near, root, *((T.reshape(d.size, -1) @ C).reshape(*d.shape, -1) for C in ratios[:order])

    def _first(self, x):
        """Log-probabilities (K, B) and their derivatives (K, K, B)."""
        K, (near, root, A) = len(x), self._integrand(x, 1)
        A *= root
        p, J = np.einsum("bq,kbq->kb", root, A), np.zeros((K, *x.shape))
        for k in range(1, K):
            J[k, :k] = J[:k, k] = -np.einsum("bq,ibq->ib", A[k], A[:k])
        J *= near / p[:, None]
        for k in range(K):
            _close(J[k], k)
        M, I = _limited(x), np.eye(K)[:, :, None]
        return np.log(p) + (x - x.max(axis=0)), J if M is None else np.einsum("kib,ijb->kjb", J - I, M) + I

    def _second(self, x, R, J):
        """sum_k R_k d2 log pi_k / dx_i dx_j, (K, K, B)."""
        K, (near, root, r, bend) = len(x), self._integrand(x, 2)
        r *= near[..., None]
        A, D, each = root**2 * r, np.zeros((K, K, *x.shape)), np.arange(K)
        for k in range(K):
            D[k, each, each] = near * np.einsum("bq,ibq->ib", A[k], bend)
            for i in range(k):
                D[k, i, :i] = D[k, :i, i] = np.einsum("bq,jbq->jb", A[k] * r[i], r[:i])
                D[i, k, :i] = D[i, :i, k] = D[:i, k, i] = D[:i, i, k] = D[k, i, :i]
        for k in range(K):
            D[k, k] = D[k, :, k] = 0.0
            _close(D[k], k)
            _close(np.swapaxes(D[k], 0, 1), k)
        out, M = np.einsum("kb,kijb->ijb", R / A.sum(axis=-1), D), _limited(x)
        if M is not None:
            J, out = J - np.eye(K)[:, :, None] + M, np.einsum("ikb,ijb,jlb->klb", M, out, M)
        return out - np.einsum("kb,kib,kjb->ijb", R, J, J)


class GumbelGate(GateSpec):
    """Gumbel-softmax gate with affine scores: pi_k(x) = E softmax((w'x + b + g) / temperature)_k.

    The average is over independent standard Gumbel noise g_k for each expert. It is computed by quadrature, without
    draws, and is symmetric in the experts; it is not softmax(s / temperature). As the temperature falls to zero the
    gate tends to the softmax gate; temperature t with (w, b) is temperature 1 / t with (w, b) / t. Identified up to a
    common translation of (w, b). It does not change under affine maps of x.

    Parameters
    ----------
    temperature : float, default=1.0
    n_nodes : int, default=96
        Nodes of the quadrature at most, 24 or more: 40 give the probabilities to 1e-12, and no more are used.

    References
    ----------
    .. [1] Jang, Gu & Poole (2017), Categorical reparameterization with Gumbel-softmax, arXiv:1611.01144.
    .. [2] Chernov (2025), (GG) MoE vs. MLP on tabular data, arXiv:2502.03608.
    .. [3] Trefethen & Weideman (2014), The exponentially convergent trapezoidal rule, doi:10.1137/130932132.

    Examples
    --------
    >>> import numpy as np
    >>> from moegate.gates.gumbel import GumbelGate
    >>> gate = GumbelGate(temperature=1.0).build(3)
    >>> np.exp(gate.link(np.array([[1.0], [0.5], [0.0]]))).ravel()
    array([0.45..., 0.32..., 0.22...])
    """

    def __init__(self, temperature=1.0, n_nodes=96):
        self.temperature = temperature
        self.n_nodes = n_nodes

    def build(self, n_experts):
        return Gate(Affine(), GumbelSoftmax(self.temperature, self.n_nodes))
