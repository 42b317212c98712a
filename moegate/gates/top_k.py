"""Top-K sparse softmax gate: the softmax over the k largest scores, exactly zero elsewhere (Shazeer et al. 2017)."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import comb
from numbers import Integral

import numpy as np

from .._kernels import log_softmax, pairs_of, softmax
from .gate import Gate, GateSpec
from .link import Link
from .softmax import Affine, Softmax

WIDTHS = tuple(2.0**-i for i in (*range(10), 11, 13, 15, 17))  # of soft borders, in units of the scores
MOST_SUBSETS = 500  # with more the number of selected experts falls one by one instead


def scale_direction(coef, scores, k):
    """The one direction (m, w, 1) in which linear scores all grow, which changes nothing where k = 1 is selected."""
    largest = np.max(np.abs(coef), initial=0.0)
    if k > 1 or not scores.linear or largest == 0:
        return np.zeros(coef.shape + (0,))
    coef = coef / largest  # its norm may overflow
    return coef[..., None] / np.linalg.norm(coef)


def selected(S, k):
    """Mask (K, B) of the k largest of each column; of equal ones the first are taken."""
    ahead = np.zeros(S.shape, dtype=np.int16)  # how many stand before each
    for i in range(S.shape[-2] - 1):
        before = S[..., i : i + 1, :] >= S[..., i + 1 :, :]
        ahead[..., i + 1 :, :] += before
        ahead[..., i, :] += np.sum(~before, axis=-2, dtype=np.int16)
    return ahead < k


@dataclass(frozen=True)
class TopK(Softmax):
    """Softmax over the k largest scores: the softmax's derivatives hold where the selection does not change.

    Parameters
    ----------
    k : int
    rank_on : {"logit", "slope"}
        With "slope" the second half of the scores ranks, see `Slopes`.
    """

    k: int
    rank_on: str = "logit"

    smooth = False
    exponent = None

    @property
    def sees_scale(self):
        return self.k > 1

    @property
    def selects_one(self):
        return self.k == 1

    def _masked(self, S):
        if self.rank_on == "logit":
            return np.where(selected(S, self.k), S, -np.inf)
        K = S.shape[-2] // 2
        return np.where(selected(S[..., K:, :], self.k), S[..., :K, :], -np.inf)

    def __call__(self, S):
        return log_softmax(self._masked(S))

    def parts(self, S, m):
        return softmax(self._masked(S))

    def flat(self, coef, scores):
        return scale_direction(coef, scores, self.k)

    def gauge(self, coef, scores):
        direction = scale_direction(coef, scores, self.k)
        return direction[..., 0] if direction.size else coef

    def check(self, K):
        if isinstance(self.k, bool) or not isinstance(self.k, Integral) or not 1 <= self.k <= K:
            raise ValueError(f"A top-K gate expects an integer k between 1 and n_experts={K}, got {self.k!r}.")
        if self.rank_on not in ("logit", "slope"):
            raise ValueError(f"A top-K gate expects rank_on 'logit' or 'slope', got {self.rank_on!r}.")
        if self.k == 1 < K:
            warnings.warn(
                "A top-K gate with k=1 selects one expert for each x: only the borders are identified, not the scale "
                "of the scores; coefficients of linear scores are reported with norm one in standardised columns.",
                UserWarning,
                stacklevel=2,
            )

    def missing(self, scores):
        slopes = isinstance(scores, Slopes)
        if (self.rank_on == "slope") != slopes:
            return "Slopes() for its scores with rank_on='slope', and only then"
        return None if slopes else super().missing(scores)

    def path(self, K):
        """From the dense softmax over soft borders, each half as wide as the one before."""
        if self.rank_on == "slope" or comb(K, self.k) > MOST_SUBSETS:
            return tuple(TopK(k, self.rank_on) for k in range(K, self.k, -1)) + (self,)
        return (Softmax(), *(SoftTopK(K, self.k, width) for width in WIDTHS), self)


@dataclass(frozen=True)
class SoftTopK(Link):
    """Top-K with soft borders: pi = sum_T q_T softmax_T(s) over all subsets T of k experts, q_T proportional to
    exp(sum_{j in T} s_j / width).

    It tends to the top-K link as the width goes to zero. Every derivative is exact: the subset is one more latent
    variable.

    Parameters
    ----------
    n_experts, k : int
    width : float
        In units of the scores.
    """

    n_experts: int
    k: int
    width: float

    @cached_property
    def members(self):
        """Which experts each subset has, (T, K)."""
        T = list(combinations(range(self.n_experts), self.k))
        return np.array([[float(j in t) for j in range(self.n_experts)] for t in T])

    def _subsets(self, S):
        """exp(s) over its largest (K, B), subset weights q (T, B), inverse sums of exp(s) over the subsets (T, B)."""
        M = self.members
        E = np.exp(S - S.max(axis=-2, keepdims=True))
        return E, softmax(M @ S / self.width)[1], 1 / np.maximum(M @ E, 1e-300)

    @property
    def sees_scale(self):
        return self.k > 1

    def flat(self, coef, scores):
        """As that of the top-K link: with k = 1 the scale, which would soften the borders again, stays."""
        return scale_direction(coef, scores, self.k)

    def __call__(self, S):
        E, Q, inverse = self._subsets(S)
        with np.errstate(divide="ignore"):
            return np.log(E * (self.members.T @ (Q * inverse)))

    def _shares(self, S):
        """Weights of subsets given the expert (K, T, B), shares of experts within them (T, K, B), and q (T, B)."""
        E, Q, inverse = self._subsets(S)
        M = self.members
        given = M.T[:, :, None] * (Q * inverse)[..., None, :, :]
        given /= np.maximum(given.sum(axis=-2, keepdims=True), 1e-300)
        return given, M[:, :, None] * E[..., None, :, :] * inverse[..., :, None, :], Q

    def jac(self, S, P, m):
        given, shares, Q = self._shares(S)
        M = self.members
        V = M[:, :m, None] / self.width - shares[..., :, :m, :]
        J = np.einsum("...ktb,...tjb->...kjb", given, V) - (M.T[:m] @ Q)[..., None, :, :] / self.width
        return J + np.eye(self.n_experts)[:, :m, None]

    def curvature(self, S, P, R, m):
        """By Louis' identity with the subset as a second latent variable."""
        given, shares, Q = self._shares(S)
        i, j = pairs_of(m)
        M = self.members[:, :m, None]
        joint = R[:, None] * given  # posterior of expert and subset, (K, T, B)
        r = joint.sum(axis=0)
        V, p, own = M / self.width - shares[:, :m], shares[:, :m], joint[:m]
        g = np.einsum("tb,tjb->jb", r, V) + R[:m]
        mean = self.members.T[:m] @ Q
        out = np.einsum("tb,tpb->pb", r, V[:, i] * V[:, j] + p[:, i] * p[:, j]) - g[i] * g[j]
        out += np.einsum("ptb,tpb->pb", own[i], V[:, j]) + np.einsum("ptb,tpb->pb", own[j], V[:, i])
        out -= (np.einsum("tb,tp->pb", Q, (M[:, i] * M[:, j])[..., 0]) - mean[i] * mean[j]) / self.width**2
        out[i == j] += R[:m] - np.einsum("tb,tjb->jb", r, p)
        return out


@dataclass(frozen=True)
class Slopes(Affine):
    """Affine scores followed by w_k'x without the intercepts, x in user units, for a link that ranks on them."""

    def n_rows(self, K):
        return 2 * K

    def __call__(self, coef, design, K):
        slopes = np.zeros((*coef.shape[:-2], K, design.Z.shape[1]))
        slopes[..., : coef.shape[-2], :] = coef[..., :-1] @ (design.x[:-1] / design.scale[:-1, None])
        return np.concatenate([super().__call__(coef, design, K), slopes], axis=-2)


class TopKGate(GateSpec):
    """Top-K gate: pi_k(x) = exp(s_k) / sum_T exp(s_j) on the set T of the k largest scores s_k = w_k'x + b_k, else 0.

    Identified as the softmax gate is; with k = 1 only the borders are, since the scale of the scores does not matter
    (a warning says so).
    The likelihood jumps where the selection of a row changes, and EM cannot change it: a fit starts from the dense
    gate and follows a path of softer selections, see `moegate.solvers.Continuation`. Borders are change points: their
    error is of order 1/n, and standard errors of the other parameters hold given the selection. With k = 1, on data
    that no hard selection explains, there are many local maxima: fits start from splits of the columns by parallel
    hyperplanes too; raise n_init, and compare seeds.

    Parameters
    ----------
    k : int, default=1
        Experts selected for each x; k = n_experts is the softmax gate.
    rank_on : {"logit", "slope"}, default="logit"
        Whether the largest scores or the largest w_k'x are selected.

    References
    ----------
    .. [1] Nguyen, Akbarian, Yan & Ho (2024), Statistical perspective of top-K sparse softmax gating mixture of experts,
       arXiv:2309.13850.
    .. [2] Shazeer et al. (2017), Outrageously large neural networks, arXiv:1701.06538.

    Examples
    --------
    >>> from moegate import MoERegressor, TopKGate
    >>> MoERegressor(3, gate=TopKGate(k=2)).get_params()["gate__k"]
    2
    """

    def __init__(self, k=1, rank_on="logit"):
        self.k = k
        self.rank_on = rank_on

    def build(self, n_experts):
        link = TopK(self.k, self.rank_on)
        link.check(n_experts)
        if self.k == n_experts:
            return Gate(Affine(), Softmax())
        return Gate(Affine() if self.rank_on == "logit" else Slopes(), link)
