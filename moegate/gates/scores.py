"""Scores: how well x matches each expert; the contract, and what most scores share.

m scores carry parameters (m = K, or K - 1 where the last is the reference), w parameters each.
"""

import numpy as np


class Scores:
    """Scores s_j(x; phi_j) with one parameter vector each; the base class holds what most scores share."""

    stacked = False  # takes coefficients with further axes in front, (S, m, w)
    linear = False  # the features are the design rows themselves
    sized = False  # x counts in its own units: the scores have no slope of their own
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

    def calibrated(self, scale, reach=None):
        """The same scores with constants that fit the columns.

        Parameters
        ----------
        scale : ndarray of shape (d,)
            Spread of the columns, in user units.
        reach : pair of ndarray of shape (d,), optional
            Their smallest and largest values.
        """
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

    def contrasts(self, translates):
        """Named arrays of which only differences between experts are seen, by path in a tree, see `Gate.contrasts`."""
        return {(): ("gate_intercept",) if self.reference or translates else ()}

    def ridge(self, K, center, scale, unit, translates):
        """What a ridge penalty takes of the parameters phi: the squared norm (phi - at)' A (phi - at) of all slopes.

        Parameters
        ----------
        K : int
        center, scale : ndarray of shape (d,)
            Of the gate's columns.
        unit : ndarray of shape (d,)
            In which slopes are measured: `scale`, or ones for slopes in user units.
        translates : bool
            Whether the link does not see a common translation.

        Returns
        -------
        A : ndarray of shape (m w, m w)
        at : ndarray of shape (m, w)
        """
        return self._squares(K, unit / scale if self.invariant else unit)

    def _squares(self, K, size, centred=False):
        """Squared slopes times squared sizes (d,), of all m scores or, `centred`, about their mean over K experts."""
        m = self.n_scores(K)
        across = np.eye(m) - centred / K
        return np.kron(across, np.diag(np.append(size, 0.0) ** 2)), np.zeros((m, len(size) + 1))


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
