"""Sparsemax gate: the Euclidean projection of the scores on the simplex (Martins & Astudillo 2016)."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from .._kernels import pairs_of
from .gate import Gate, GateSpec
from .link import Link
from .softmax import Affine, Softmax

WIDTHS = tuple(4.0**-i for i in range(9))  # of the soft corners along the path
SMALL = 0.05  # probabilities below it do not sharpen the metric further: 1 / pi has no mean at the border
NEWTONS = 30


def projection(S):
    """Euclidean projection of each column on the simplex, (K, B) -> (K, B)."""
    down = -np.sort(-S, axis=-2)
    excess = np.cumsum(down, axis=-2) - 1
    size = np.arange(1, S.shape[-2] + 1)[:, None]
    support = np.sum(size * down > excess, axis=-2, keepdims=True)
    return np.maximum(S - np.take_along_axis(excess, support - 1, axis=-2) / support, 0.0)


@dataclass(frozen=True)
class Sparsemax(Link):
    """Projection on the simplex; derivatives hold where the support does not change, and pi is linear there."""

    smooth = False

    def __call__(self, S):
        with np.errstate(divide="ignore"):
            return np.log(projection(S))

    def parts(self, S, m):
        P = projection(S)
        with np.errstate(divide="ignore"):
            return np.log(P), P, None

    def _centred(self, P, m):
        """Derivative of the probabilities by the scores, (K, m, B)."""
        on = (P > 0).astype(float)
        D = -on[..., :, None, :] * (on / on.sum(axis=-2, keepdims=True))[..., None, :m, :]
        j = np.arange(m)
        D[..., j, j, :] += on[..., :m, :]
        return D

    def jac(self, S, P, m):
        return self._centred(P, m) / np.where(P > 0, P, 1.0)[..., :, None, :]

    def information(self, S, P, m):
        D, i, j = self._centred(P, m), *pairs_of(m)
        return np.einsum("...kb,...kpb->...pb", 1 / np.maximum(P, SMALL), D[..., i, :] * D[..., j, :])

    def curvature(self, S, P, R, m):
        g, (i, j) = self.pull(S, P, R, m), pairs_of(m)
        return -g[i] * g[j]

    def path(self, K):
        """From the softmax over projections with soft corners, each sharper than the one before."""
        return (Softmax(), *(SoftSparsemax(width) for width in WIDTHS), self)


@dataclass(frozen=True)
class SoftSparsemax(Link):
    """pi_k = width log(1 + exp((s_k - t) / width)) with t such that they sum to one: no probability is zero.

    It tends to the sparsemax link as the width goes to zero. The corners' slopes follow from pi: 1 - exp(-pi / width).

    Parameters
    ----------
    width : float
        In units of the scores.
    """

    width: float

    def _z(self, S):
        """(s - t) / width: by Newton's method, which climbs to t from below, since the sum is convex in t."""
        w = self.width
        t = S.max(axis=-2, keepdims=True) - (1 + w * np.log1p(-np.exp(-1 / w)))  # the largest alone makes one
        for _ in range(NEWTONS):
            z = (S - t) / w
            step = (w * np.logaddexp(0.0, z).sum(axis=-2, keepdims=True) - 1) / expit(z).sum(axis=-2, keepdims=True)
            t = t + step
            if np.max(np.abs(step), initial=0.0) < 1e-14 * (1 + w):
                break
        return (S - t) / w

    def __call__(self, S):
        z = self._z(S)
        with np.errstate(divide="ignore"):
            return np.log(self.width) + np.where(z < -30, z, np.log(np.logaddexp(0.0, np.maximum(z, -40))))

    def _slopes(self, P, m):
        """Slope of each corner, slope / pi, and derivatives of s_k - t by the scores, (K, B), (K, B), (K, m, B)."""
        slope = -np.expm1(-P / self.width)
        D = np.repeat(-(slope / slope.sum(axis=-2, keepdims=True))[..., None, :m, :], P.shape[-2], axis=-3)
        j = np.arange(m)
        D[..., j, j, :] += 1
        return slope, np.where(P > 0, slope / np.where(P > 0, P, 1.0), 1 / self.width), D

    def jac(self, S, P, m):
        _, relative, D = self._slopes(P, m)
        return relative[..., :, None, :] * D

    def curvature(self, S, P, R, m):
        slope, relative, D = self._slopes(P, m)
        q, g, (i, j) = R * relative, self.pull(S, P, R, m), pairs_of(m)
        bend = (1 - slope) / self.width * (q - slope * q.sum(axis=0) / slope.sum(axis=0))
        return np.einsum("kb,kpb->pb", bend, D[:, i] * D[:, j]) - g[i] * g[j]


class SparsemaxGate(GateSpec):
    """Sparsemax gate: pi(x) is the point of the simplex nearest to the scores s_k = w_k'x + b_k.

    Identified up to a common translation of (w, b). Probabilities are exactly zero on a part of the space, and the
    likelihood has kinks where a row leaves the support of an expert: a fit follows a path of softer corners, see
    `moegate.solvers.Continuation`.

    References
    ----------
    .. [1] Martins & Astudillo (2016), From softmax to sparsemax, arXiv:1602.02068.

    Examples
    --------
    >>> from moegate import MoERegressor, SparsemaxGate
    >>> MoERegressor(gate=SparsemaxGate()).get_params()["gate"]
    SparsemaxGate()
    """

    def build(self, n_experts):
        return Gate(Affine(), Sparsemax())
