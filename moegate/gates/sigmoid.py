"""Normalised sigmoid gate: pi_k(x) proportional to sigmoid(w_k'x + b_k)."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit

from .._kernels import log_softmax, multinomial_pairs, pairs_of, softmax
from .gate import Gate, GateSpec
from .link import Link
from .softmax import Affine


class Elementwise(Link):
    """log pi = log softmax of a function T of each score: J_kj = (delta_kj - pi_j) T'(s_j).

    A subclass gives `transform`, `slope` and `bend`: T and its first two derivatives, arrays of any shape.
    """

    translates = False
    damping = 1e-3  # where the slopes T' are equal, a common translation of the scores is hardly seen

    def transform(self, S):
        """T(s)."""
        raise NotImplementedError

    def slope(self, S):
        """T'(s)."""
        raise NotImplementedError

    def bend(self, S):
        """T''(s)."""
        raise NotImplementedError

    def __call__(self, S):
        return log_softmax(self.transform(S))

    def parts(self, S, m):
        return softmax(self.transform(S))

    def jac(self, S, P, m):
        slope = self.slope(S[..., :m, :])
        return (np.eye(P.shape[-2])[:, :m, None] - P[..., None, :m, :]) * slope[..., None, :, :]

    def pull(self, S, P, R, m):
        return (R[..., :m, :] - P[..., :m, :]) * self.slope(S[..., :m, :])

    def information(self, S, P, m):
        return self._sloped(multinomial_pairs(P[..., :m, :]), S[..., :m, :])

    def coupling(self, S, P, R, m):
        C = -R * R[:m, None]
        C[np.arange(m), np.arange(m)] += R[:m]
        return C * self.slope(S[:m])[:, None]

    def curvature(self, S, P, R, m):
        spread = self._sloped(multinomial_pairs(R[:m]) - multinomial_pairs(P[:m]), S[:m])
        return self._bent(spread, (R[:m] - P[:m]) * self.bend(S[:m]))

    def second(self, S, P, R, m):
        mass = R.sum(axis=0)
        return self._bent(
            -mass * self._sloped(multinomial_pairs(P[:m]), S[:m]), (R[:m] - mass * P[:m]) * self.bend(S[:m])
        )

    def _sloped(self, pairs, S):
        """Pairs (i, j) times T'_i T'_j."""
        slope, (i, j) = self.slope(S), pairs_of(S.shape[-2])
        pairs *= slope[..., i, :]
        pairs *= slope[..., j, :]
        return pairs

    @staticmethod
    def _bent(pairs, diagonal):
        """Pairs with a term added where i = j."""
        i, j = pairs_of(len(diagonal))
        pairs[i == j] += diagonal
        return pairs


@dataclass(frozen=True)
class Sigmoid(Elementwise):
    """pi_k = sigmoid(s_k) / sum_j sigmoid(s_j)."""

    def transform(self, S):
        return log_expit(S)

    def slope(self, S):
        return expit(-S)

    def bend(self, S):
        return -expit(S) * expit(-S)


class SigmoidGate(GateSpec):
    """Normalised sigmoid gate: pi_k(x) = sigmoid(w_k'x + b_k) / sum_j sigmoid(w_j'x + b_j).

    All K rows (w_k, b_k) are identified and estimated: dof = K (d + 1), none for K = 1. As all intercepts fall to minus
    infinity together the gate tends to the softmax gate, so that on data with a softmax gate the likelihood rises along
    that ridge without a maximum. It does not change under affine maps of x.

    References
    ----------
    .. [1] Nguyen, Ho & Rinaldo (2024), Sigmoid gating is more sample efficient than softmax gating in mixture of
       experts, arXiv:2405.13997.

    Examples
    --------
    >>> from moegate import SigmoidGate
    >>> int(SigmoidGate().build(3).scores.free(3, 2).sum())
    6
    """

    def build(self, n_experts):
        return Gate(Affine(reference=n_experts == 1), Sigmoid())  # one expert alone has nothing to estimate
