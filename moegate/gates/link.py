"""Links: from scores to log-probabilities; the contract, and what follows from the first derivatives alone.

Pairs are i <= j among the m scores that carry parameters, listed on one axis.
"""

import numpy as np

from .._kernels import n_pairs, pairs_of


class Link:
    """Log-probabilities of the experts from the scores; the base class derives everything from `jac`."""

    smooth = True
    selects_one = False  # one expert for each row, whatever the others' scores
    stacked = True  # takes scores with further axes in front, (S, K, B)
    damping = 1e-9  # as that of scores; the larger counts
    translates = True  # a common translation of all scores changes nothing
    sees_scale = True  # a common factor of all scores matters
    exponent = None  # where pi_k is proportional to exp(exponent * s_k): that number

    def __call__(self, S):
        """Log-probabilities (K, B) from scores (K, B)."""
        raise NotImplementedError

    def parts(self, S, m):
        """L and the probabilities P, (K, B) each, with log P = L - log(total); total (B,), or None for one.

        The scores from the m-th on are pinned at zero.
        """
        L = self(S)
        return L, np.exp(L), None

    def jac(self, S, P, m):
        """Derivatives of each log-probability by the first m scores, (K, m, B)."""
        raise NotImplementedError

    def pull(self, S, P, R, m):
        """Score in the space of scores: sum_k R_k dL_k / ds_j, (m, B)."""
        return np.einsum("...kb,...kjb->...jb", R, self.jac(S, P, m))

    def information(self, S, P, m):
        """Fisher information in the space of scores, sum_k pi_k J_ki J_kj by pairs."""
        J = self.jac(S, P, m)
        return pair_sums(P[..., None, :] * J, J)

    def coupling(self, S, P, R, m):
        """Derivative of the responsibilities by the scores: R_k (J_kj - g_j), (m, K, B)."""
        J = self.jac(S, P, m)
        return np.moveaxis(R[:, None] * (J - np.einsum("kb,kjb->jb", R, J)), 0, 1)

    def curvature(self, S, P, R, m):
        """Second derivative of log sum_k exp(L_k + log f_k) by the scores, by pairs.

        `second` plus the covariance of the J_k under R.
        """
        C = np.moveaxis(self.coupling(S, P, R, m), 0, 1)
        return self.second(S, P, R, m) + pair_sums(C, self.jac(S, P, m))

    def flat(self, coef, scores):
        """Orthonormal directions (m, w, f) of the scores' parameters that this link cannot see."""
        return np.zeros(coef.shape + (0,))

    def gauge(self, coef, scores):
        """The scores' parameters that stand for all that this link cannot tell apart."""
        return coef

    def check(self, K):
        """Raise ValueError where the link cannot serve K experts."""

    def missing(self, scores):
        """What the scores lack for this link, in words; None where they fit."""
        if scores.n_rows(2) != 2:
            return "one score per expert"
        if scores.reference and not self.translates:
            return "one free score per expert: a common translation of its scores matters (use reference=False)"
        return None

    def path(self, K):
        """Links ending in this one, for a solver that continues from an easier one."""
        return (self,)

    def second(self, S, P, R, m):
        """sum_k R_k d2L_k / ds_i ds_j by pairs, by central differences of `pull` unless written out."""
        i, j = pairs_of(m)
        D = score_differences(lambda s: self.pull(s, self.parts(s, m)[1], R, m), S, m)
        return (D[i, j] + D[j, i]) / 2


def pair_sums(A, B):
    """sum_k A_ki B_kj by pairs i <= j, (K, m, B) twice -> (m (m + 1) / 2, B)."""
    *stack, _, m, rows = A.shape
    out, at = np.empty((*stack, n_pairs(m), rows)), 0
    for i in range(m):
        np.einsum("...kb,...kjb->...jb", A[..., i, :], B[..., i:, :], out=out[..., at : at + m - i, :])
        at += m - i
    return out


def score_differences(function, S, m, step=6e-6):
    """Central differences of a (m, B) function of the scores by each of the first m scores, (m, m, B)."""
    out = np.empty((m, m, S.shape[1]))
    for i in range(m):
        h = np.zeros_like(S)
        h[i] = step * np.cbrt(np.maximum(1.0, np.abs(S[i])))  # links bend on the scale of one, whatever the size of S
        out[i] = (function(S + h) - function(S - h)) / ((S[i] + h[i]) - (S[i] - h[i]))
    return out
