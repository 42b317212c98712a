"""Softmax gate: pi_k(x) proportional to exp(w_k'x + b_k) (Jacobs et al. 1991)."""

from dataclasses import dataclass

import numpy as np

from .._kernels import log_softmax, multinomial_pairs, softmax
from .gate import Gate, GateSpec
from .link import Link
from .scores import Scores


@dataclass(frozen=True)
class Affine(Scores):
    """s_k(x) = w_k'x + b_k.

    Parameters
    ----------
    reference : bool
        Whether the last score is pinned at zero: a common translation of all (w, b) cannot be seen.
    """

    reference: bool = True

    stacked = True
    linear = True
    invariant = True

    def n_scores(self, K):
        return K - self.reference

    def __call__(self, coef, design, K):
        *stack, m, _ = coef.shape
        S = np.empty((*stack, K, design.Z.shape[1]))
        np.matmul(coef, design.Z, out=S[..., :m, :])
        S[..., m:, :] = 0.0
        return S

    def features(self, coef, design):
        return np.broadcast_to(design.Z, (len(coef),) + design.Z.shape)

    def curvature(self, coef, design, G):
        return None

    def _all(self, coef, K):
        """Rows of all K experts, (K, w)."""
        return np.vstack([coef, np.zeros((K - len(coef), coef.shape[1]))])

    def natural(self, coef, K):
        rows = self._all(coef, K)
        rows = rows - rows.mean(axis=0) if self.reference else rows
        return {"gate_coef": rows[:, :-1], "gate_intercept": rows[:, -1]}

    def contrasts(self, translates):
        return {(): ("gate_coef", "gate_intercept") if self.reference or translates else ()}

    def ridge(self, K, center, scale, unit, translates):
        """About the mean over experts where a common translation cannot be seen, so that no expert is the reference."""
        return self._squares(K, unit / scale if self.invariant else unit, self.reference or translates)

    def permute(self, coef, order, K):
        rows = self._all(coef, K)[list(order)]
        return (rows - rows[-1])[:-1] if self.reference else rows


@dataclass(frozen=True)
class Softmax(Link):
    """log pi = s - log sum exp(s); every derivative has a closed form."""

    exponent = 1.0

    def __call__(self, S):
        return log_softmax(S)

    def parts(self, S, m):
        return softmax(S, m)

    def jac(self, S, P, m):
        return np.eye(len(P))[:, :m, None] - P[:m]

    def pull(self, S, P, R, m):
        return R[..., :m, :] - P[..., :m, :]

    def information(self, S, P, m):
        return multinomial_pairs(P[..., :m, :])

    def coupling(self, S, P, R, m):
        C = R[:m, None] * -R
        C[np.arange(m), np.arange(m)] += R[:m]
        return C

    def curvature(self, S, P, R, m):
        return multinomial_pairs(R[:m]) - multinomial_pairs(P[:m])

    def second(self, S, P, R, m):
        return -R.sum(axis=0) * multinomial_pairs(P[:m])


class SoftmaxGate(GateSpec):
    """Softmax gate with affine scores: pi_k(x) = exp(w_k'x + b_k) / sum_j exp(w_j'x + b_j).

    Identified up to a common translation of (w, b): the last expert is the reference inside the solver, the reported
    coefficients are centred. It does not change under affine maps of x.

    References
    ----------
    .. [1] Jacobs, Jordan, Nowlan & Hinton (1991), Adaptive mixtures of local experts, doi:10.1162/neco.1991.3.1.79.
    .. [2] Nguyen, Nguyen & Ho (2023), Demystifying softmax gating function in Gaussian mixture of experts,
       arXiv:2305.03288.

    Examples
    --------
    >>> from moegate import MoERegressor, SoftmaxGate
    >>> MoERegressor(gate=SoftmaxGate()).get_params()["gate"]
    SoftmaxGate()
    """

    def build(self, n_experts):
        return Gate(Affine(), Softmax())
