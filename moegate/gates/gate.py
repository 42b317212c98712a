"""A gate is scores, how well x matches each expert, followed by a link, from scores to log-probabilities.

A gate file adds one score, one link or the tree, and one short specification that users pass. The Likelihood asks a
gate only for the methods of `Gate`; a new piece needs `Scores.__call__` and `features`, or `Link.__call__` and `jac`,
and inherits the rest.

Shapes: K experts, m scores that carry parameters (m = K, or K - 1 where the last score is the reference), w
parameters of one score, B rows. Pairs are i <= j, listed on one axis. What an EM step needs (scores, features, `parts`,
`pull`, `information`) takes further axes in front where `stacked` says so: a stack of parameter vectors.
"""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.base import BaseEstimator

from .._kernels import n_pairs, pairs_of


class Scores:
    """Scores s_j(x; phi_j) with one parameter vector each; the base class holds what most scores share."""

    stacked = False  # takes coefficients with further axes in front, (S, m, w)
    linear = False  # the features are the design rows themselves
    invariant = False  # affine maps of x are absorbed by the parameters
    damping = 1e-9  # of an M-step, relative to the information: more where that is nearly singular far from the end
    reference = False  # the last score is pinned: a common translation of all scores must change nothing

    def n_scores(self, K):
        """Number m of scores that carry parameters."""
        return K

    def n_rows(self, K):
        """Number of rows of the array of scores, the m first."""
        return K

    def free(self, K, q):
        """Mask (m, w) of the parameters that are estimated; the others are pinned at zero."""
        return np.ones((self.n_scores(K), q), dtype=bool)

    def flat(self, coef):
        """Orthonormal directions (m, w, f) that the scores or the link cannot see, zero where parameters are pinned."""
        return np.zeros(coef.shape + (0,))

    def gauge(self, coef):
        """The parameters that stand for all that these scores cannot tell apart."""
        return coef

    def move(self, coef, U):
        """Parameters after a linear change U of affine coefficients; the same where the scores see x in user units."""
        return coef @ U.T if self.invariant else coef

    def natural(self, coef, K):
        """Named arrays for people."""
        return {"gate_coef": coef[:, :-1], "gate_intercept": coef[:, -1]}

    def permute(self, coef, order, K):
        """Parameters of the same scores with the experts in another order."""
        return coef[list(order)]

    def calibrated(self, scale):
        """The same scores with constants that fit the spread of the columns, (d,), in user units."""
        return self

    def exact(self):
        """The same scores without what smooths their kinks."""
        return self

    def initial(self, K, center):
        """Parameters of an even gate, or nearly; `center` of the columns in user units."""
        return np.zeros(self.free(K, len(center) + 1).shape)

    def begin(self, x, resp):
        """Parameters (m, w) from which a start's first M-step begins.

        Parameters
        ----------
        x : ndarray of shape (n, d)
            Columns of the gate in user units.
        resp : ndarray of shape (n, K)
            Responsibilities of the start, times the row weights.
        """
        return self.initial(resp.shape[1], np.mean(x, axis=0))

    def arrange(self, x, resp):
        """Responsibilities of a start with their columns in an order that suits the gate."""
        return resp

    def order(self, wanted, K):
        """The order of experts next to the one wanted among those that `permute` can take."""
        return list(wanted)

    def features(self, coef, design):
        """Derivative of each score by its own parameters: (m, w, B)."""
        raise NotImplementedError

    def curvature(self, coef, design, G):
        """Sum over rows of G_j times the second derivative of s_j: (m, w, w), or None where it is zero.

        By central differences of `features` unless written out.
        """
        second = differences(lambda c: np.einsum("jb,jwb->jw", G, self.features(c, design)), coef)
        return (np.moveaxis(second, 0, -1) + np.moveaxis(second, 0, 1)) / 2

    def slopes(self, coef):
        """The parameters whose growth without end means a diverging gate, (m, ...)."""
        return coef[:, :-1]


class Link:
    """Log-probabilities of the experts from the scores; the base class derives everything from `jac`."""

    smooth = True
    stacked = True  # takes scores with further axes in front, (S, K, B)
    damping = 1e-9  # as that of scores; the larger counts
    translates = True  # a common translation of all scores changes nothing

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

    def flat(self, coef):
        """Orthonormal directions (m, w, f) of the parameters that this link cannot see, whatever the scores."""
        return np.zeros(coef.shape + (0,))

    def gauge(self, coef):
        """The parameters that stand for all that this link cannot tell apart."""
        return coef

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


def differences(function, at, step=6e-6):
    """Central differences of `function` by the last axis of `at`, for all rows of `at` at once; new axis first."""
    out = []
    for i in range(at.shape[-1]):
        h = np.zeros_like(at)
        h[..., i] = step * np.maximum(1.0, np.abs(at[..., i]))
        width = np.moveaxis(h[..., i], -1, 0)
        change = function(at + h) - function(at - h)
        out.append(change / (2 * width.reshape(width.shape + (1,) * (change.ndim - width.ndim))))
    return np.array(out)


def score_differences(function, S, m, step=6e-6):
    """Central differences of a (m, B) function of the scores by each of the first m scores, (m, m, B)."""
    out = np.empty((m, m, S.shape[1]))
    for i in range(m):
        h = np.zeros_like(S)
        h[i] = step * np.cbrt(np.maximum(1.0, np.abs(S[i])))  # links bend on the scale of one, whatever the size of S
        out[i] = (function(S + h) - function(S - h)) / ((S[i] + h[i]) - (S[i] - h[i]))
    return out


@dataclass(frozen=True)
class Gate:
    """log pi_k(x) = link(scores(x)): what the model and the Likelihood use, and what `gate=` takes as a composition.

    Parameters
    ----------
    scores : Scores
    link : Link

    Examples
    --------
    >>> from moegate.gates import Affine, Gate, Softmax
    >>> Gate(Affine(), Softmax()).smooth
    True
    """

    scores: Scores
    link: Link

    def build(self, n_experts):
        """The gate itself, checked: what a specification's `build` returns."""
        lack = self.link.missing(self.scores)
        if lack:
            raise ValueError(
                f"gate cannot compose {type(self.scores).__name__} with {type(self.link).__name__}, which needs {lack}."
            )
        return self

    def calibrated(self, scale):
        """The same gate for columns of the given spread, (d,), in user units."""
        return replace(self, scores=self.scores.calibrated(scale))

    @property
    def smooth(self):
        return self.link.smooth

    @property
    def stacked(self):
        return self.scores.stacked and self.link.stacked

    def exact(self):
        """The same gate without what smooths the kinks of its scores."""
        return replace(self, scores=self.scores.exact())

    def log_prob(self, coef, design, K):
        """Log-probabilities of the experts, (K, B)."""
        return self.link(self.scores(coef, design, K))

    def m_step(self, score, information):
        """Step of one Newton (Fisher scoring) iteration on the complete-data log-likelihood, from one pass.

        Parameters
        ----------
        score : ndarray of shape (p,)
            Of the free parameters.
        information : ndarray of shape (p, p)
        """
        if not score.size:
            return score
        damped, diagonal = information.copy(), np.diagonal(information, axis1=-2, axis2=-1)
        more = max(self.scores.damping, self.link.damping)
        np.einsum("...ii->...i", damped)[:] += more * diagonal + 1e-12 * diagonal.max(axis=-1, keepdims=True) + 1e-300
        return np.linalg.solve(damped, score[..., None])[..., 0]

    def flat(self, coef):
        """Orthonormal directions (m, w, f) of the gate's parameters that the model cannot see."""
        return np.concatenate([self.scores.flat(coef), self.link.flat(coef)], axis=-1)

    def gauge(self, coef):
        """The parameters that are reported of all that the gate cannot tell apart."""
        return self.link.gauge(self.scores.gauge(coef))

    def permute(self, coef, order, K):
        """The same gate with its experts in another order."""
        return self.scores.permute(coef, order, K)

    def path(self, K):
        """Gates ending in this one, for a solver that continues from an easier gate."""
        return tuple(replace(self, link=link) for link in self.link.path(K))


class GateSpec(BaseEstimator):
    """What users pass as `gate=`: constructor parameters only; `build` makes the frozen Gate that computes."""

    def build(self, n_experts):
        """The Gate for a number of experts.

        Parameters
        ----------
        n_experts : int

        Returns
        -------
        Gate
        """
        raise NotImplementedError
