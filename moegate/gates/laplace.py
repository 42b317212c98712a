"""Laplace gate: softmax of minus the Euclidean distance to a centre."""

from dataclasses import dataclass, replace

import numpy as np

from .gate import Gate, GateSpec
from .scores import Scores
from .softmax import Softmax

SMOOTHING = 1e-4  # of the columns' scale


@dataclass(frozen=True)
class Shifted(Scores):
    """s_k(x) = g(x; v_k) + b_k with one row of parameters (v_k, b_k) for each of the K experts, x in user units.

    A subclass gives g by `values` and its derivatives by v by `fill`.

    Parameters
    ----------
    reference : bool
        Whether b_K is pinned at zero: a common shift of all b cannot be seen. The v are all free.
    """

    reference: bool = True

    stacked = True

    def free(self, K, q):
        mask = np.full((K, q), K > 1)  # one expert alone has nothing to estimate
        mask[-1, -1] &= not self.reference
        return mask

    def permute(self, coef, order, K):
        rows = coef[list(order)]
        rows[:, -1] -= rows[-1, -1] if self.reference else 0.0
        return rows

    def __call__(self, coef, design, K):
        S = self.values(coef[..., :-1], design.x[:-1])
        S += coef[..., -1:]
        return S

    def features(self, coef, design):
        F = np.empty(coef.shape + design.x.shape[-1:])
        self.fill(F[..., :-1, :], coef[..., :-1], design.x[:-1])
        F[..., -1, :] = 1.0
        return F

    def values(self, v, x):
        """g, (..., K, B), from v (..., K, d) and x (d, B)."""
        raise NotImplementedError

    def fill(self, out, v, x):
        """Write the derivatives of g by v into out (..., K, d, B)."""
        raise NotImplementedError

    def slopes(self, coef):
        """Intercepts about their median: with bounded slopes of g a score runs away with them, in either direction."""
        return coef[:, -1:] - np.median(coef[:, -1])

    def _padded(self, second):
        """Second derivatives (K, d, d) by v alone, zeros for b added."""
        return np.pad(second, [(0, 0), (0, 1), (0, 1)])


@dataclass(frozen=True)
class Laplace(Shifted):
    """s_k(x) = -sqrt(||x - m_k||^2 + smoothing^2) + b_k: the Euclidean norm, rounded off at its kink.

    Parameters
    ----------
    reference : bool
        Whether b_K is pinned at zero.
    smoothing : float
        In units of x.
    reach : tuple of float, optional
        With one column its smallest and largest value: a centre beyond them cannot be told from an intercept.
    """

    smoothing: float = 1e-8
    reach: tuple = None

    sized = True
    damping = 1e-3  # of the M-step: next to each other, centres know little of their common place

    def calibrated(self, scale, reach=None):
        size = np.sqrt(np.mean(np.square(scale))) if np.size(scale) else 1.0
        if reach is not None and np.size(scale) == 1:
            self = replace(self, reach=tuple(float(end[0]) for end in reach))
        return replace(self, smoothing=SMOOTHING * float(size))

    def exact(self):
        """The same scores with the norm itself; its derivative at a centre is taken as zero."""
        return replace(self, smoothing=0.0)

    def _apart(self, v, x, out=None):
        """x - m (..., K, d, B) and its smoothed norm (..., K, B)."""
        apart = np.subtract(x, v[..., None], out=out)
        norm = np.einsum("...db,...db->...b", apart, apart)
        norm += self.smoothing**2
        return apart, np.sqrt(norm, out=norm)

    def values(self, v, x):
        norm = self._apart(v, x)[1]
        return np.negative(norm, out=norm)

    def fill(self, out, v, x):
        norm = self._apart(v, x, out)[1]
        out *= (1 / np.where(norm > 0, norm, np.inf))[..., None, :]

    def curvature(self, coef, design, G):
        """-(I - ee') / ||x - m||, e the direction from the centre."""
        apart, norm = self._apart(coef[:, :-1], design.x[:-1])
        near = 1 / np.where(norm > 0, norm, np.inf)
        outer = (apart * (G * near**3)[:, None]) @ np.swapaxes(apart, 1, 2)
        return self._padded(outer - np.sum(G * near, axis=1)[:, None, None] * np.eye(apart.shape[1]))

    def flat(self, coef):
        """Moves of a centre beyond the only column's values, made good by the intercepts."""
        if self.reach is None or len(coef) == 1:
            return super().flat(coef)
        low, high = self.reach
        side = (coef[:, 0] > high).astype(float) - (coef[:, 0] < low)
        moves = []
        for k in np.flatnonzero(side):
            move = np.zeros(coef.shape)
            move[k, 0] = 1.0
            if self.reference and k == len(coef) - 1:
                move[:k, 1] = -side[k]
            else:
                move[k, 1] = side[k]
            moves.append(move.ravel())
        basis = np.linalg.qr(np.array(moves).T)[0] if moves else np.zeros((coef.size, 0))
        return basis.reshape(*coef.shape, -1)

    def natural(self, coef, K):
        return {"gate_center": coef[:, :-1], "gate_intercept": coef[:, -1]}

    def ridge(self, K, center, scale, unit, translates):
        """Distances of the centres from the mean of x, in units of the columns' scale."""
        return self._squares(K, 1 / unit)[0], self.initial(K, center)

    def initial(self, K, center):
        return np.tile(np.append(center, 0.0), (K, 1))

    def begin(self, x, resp):
        """Centres at the means of x under each expert's responsibilities, no intercepts."""
        mass, weight = resp.sum(axis=0), resp.sum(axis=1)
        mean = np.average(x, axis=0, weights=weight)
        centers = np.where((mass > 0)[:, None], resp.T @ x / np.where(mass > 0, mass, 1.0)[:, None], mean)
        spread = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weight))
        if np.all(np.ptp(centers, axis=0) <= 1e-6 * spread):
            centers = centers + 0.1 * np.linspace(-1, 1, len(mass))[:, None] * spread
        return np.column_stack([centers, np.zeros(len(mass))])


class LaplaceGate(GateSpec):
    """Laplace gate: pi(x) = softmax(-||x - m_k|| + b_k), the Euclidean norm not squared.

    The centres m_k are identified, the intercepts up to a common shift: b_K = 0, and dof = K d + K - 1. With one column
    a centre outside the range of x is not identified: moving it is an intercept, and dof is less by one. The gate does
    not change under rigid motions of x, but with its units. It is estimated with the norm replaced by
    sqrt(norm^2 + eps^2), eps = 1e-4 of the columns' scale; `exact` on the scores goes back.

    References
    ----------
    .. [1] Han, Nguyen, Harris, Ho & Saria (2024), FuseMoE: mixture-of-experts transformers for fleximodal fusion,
       arXiv:2402.03226.

    Examples
    --------
    >>> from moegate import LaplaceGate
    >>> LaplaceGate().build(2).scores.free(2, 3).tolist()
    [[True, True, True], [True, True, False]]
    """

    def build(self, n_experts):
        return Gate(Laplace(), Softmax())
