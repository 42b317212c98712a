"""Cosine gate: softmax of the cosine between x and a direction for each expert, plain or perturbed."""

import numbers
from dataclasses import dataclass

import numpy as np

from .gate import Gate, GateSpec
from .laplace import Shifted
from .scores import Scores
from .softmax import Softmax


@dataclass(frozen=True)
class Cosine(Shifted):
    """s_k(x) = w_k'x / ((||w_k|| + t1)(||x|| + t2)) + b_k = c_k'u + b_k; the first part is zero where x is.

    c_k = w_k / (||w_k|| + t1) lies in the unit ball, without t1 on its surface; u = x / (||x|| + t2).

    Parameters
    ----------
    reference : bool
        Whether b_K is pinned at zero.
    perturbation : tuple of float
        (t1, t2).
    """

    perturbation: tuple = (0.0, 0.0)

    @property
    def damping(self):
        """Of the perturbed gate's M-step: at the edge of the ball w is long and hardly seen."""
        return 1e-2 if self.perturbation[0] else Scores.damping

    def gauge(self, coef):
        """Plain directions have length one."""
        if self.perturbation[0]:
            return coef
        return np.column_stack([self._ball(coef[:, :-1]), coef[:, -1]])

    def _norms(self, w):
        """||w|| and ||w|| + t1, (..., K, 1), both one where they would vanish."""
        norm = np.linalg.norm(w, axis=-1, keepdims=True)
        norm = np.where(norm > 0, norm, 1.0 if self.perturbation[0] == 0 else 1e-300)
        return norm, norm + self.perturbation[0]

    def _direction(self, x):
        """u, (d, B)."""
        norm = np.linalg.norm(x, axis=0) + self.perturbation[1]
        return x / np.where(norm > 0, norm, 1.0)

    def _ball(self, w):
        """c."""
        return w / self._norms(w)[1]

    def values(self, v, x):
        return self._ball(v) @ self._direction(x)

    def fill(self, out, v, x):
        norm, size = self._norms(v)
        along = v / (norm * size)
        J = np.eye(v.shape[-1]) / size[..., None] - norm[..., None] * along[..., :, None] * along[..., None, :]
        np.matmul(J, self._direction(x), out=out)

    def curvature(self, coef, design, G):
        """Of c_k'g with g = sum_b G_kb u_b: -(gw' + wg') / nD^2 - w'g (I / nD^2 - ww' (1 / n^3D^2 + 2 / n^2D^3))."""
        w, g = coef[:, :-1], G @ self._direction(design.x[:-1]).T
        (n, D), each = self._norms(w), lambda a, b: a[:, :, None] * b[:, None, :]
        e, h = w / n, g / D**2
        bent = np.eye(w.shape[1]) / n[..., None] - (1 / n + 2 / D)[..., None] * each(e, e)
        return self._padded(-(each(h, e) + each(e, h)) - np.sum(e * h, axis=1)[:, None, None] * n[..., None] * bent)

    def flat(self, coef):
        K, d = coef.shape[0], coef.shape[1] - 1
        if K == 1 or d == 0:
            return super().flat(coef)
        w, (norm, size) = coef[:, :-1], self._norms(coef[:, :-1])
        moves = self._turns(w / norm, norm) if self.perturbation[0] == 0 else self._translations(w / norm, norm, size)
        return np.pad(moves, [(0, 0), (0, 1), (0, 0)])

    @staticmethod
    def _turns(unit, norm):
        """The length of each w, and a common move orthogonal to all: dw_k = ||w_k|| v with v'w_j = 0."""
        lengths = np.einsum("kl,ki->kil", np.eye(len(unit)), unit)
        _, values, vectors = np.linalg.svd(unit)
        rank = int(np.sum(values > 1e-9 * values[0]))
        return np.concatenate([lengths, (norm / np.linalg.norm(norm))[..., None] * vectors[rank:].T], axis=-1)

    def _translations(self, unit, norm, size):
        """A common move of all c: dw_k = (dc_k/dw_k)^-1 v = D (v + (n / t1) ee'v)."""
        ratio = norm / self.perturbation[0]
        moves = np.eye(unit.shape[1]) + ratio[..., None] * unit[:, :, None] * unit[:, None, :]
        moves = size[..., None] * moves
        return np.linalg.qr(moves.reshape(unit.size, -1))[0].reshape(moves.shape)

    def natural(self, coef, K):
        """Unit vectors; of the perturbed gate the coefficients c of u, centred, as are its intercepts."""
        ball = np.column_stack([self._ball(coef[:, :-1]), coef[:, -1]])
        ball = ball if self.perturbation[0] == 0 else ball - ball.mean(axis=0)
        return {"gate_coef": ball[:, :-1], "gate_intercept": ball[:, -1]}

    def slopes(self, coef):
        return coef[:, :-1] if self.perturbation[0] else super().slopes(coef)

    def contrasts(self, translates):
        return {(): ("gate_coef",) * (self.perturbation[0] > 0) + ("gate_intercept",)}

    def ridge(self, K, center, scale, unit, translates):
        """None: the scores are bounded, and the lengths of the w are not or hardly seen."""
        return self._squares(K, np.zeros(len(scale)))

    def initial(self, K, center):
        d = len(center)
        return np.tile(np.append(np.ones(d) / np.sqrt(max(d, 1)), 0.0), (K, 1))

    def begin(self, x, resp):
        """From the mean direction of x to that under each expert's responsibilities, no intercepts.

        Unit vectors w; of the perturbed gate c of length 1/2, well inside the ball.
        """
        u, weight, mass = self._direction(x.T), resp.sum(axis=1), resp.sum(axis=0)
        w = (u @ (resp / np.where(mass > 0, mass, 1.0)) - (u @ weight / weight.sum())[:, None] * (mass > 0)).T
        norm = np.linalg.norm(w, axis=1, keepdims=True)
        w = np.where(norm > 1e-12, w / np.where(norm > 1e-12, norm, 1.0), 1 / np.sqrt(max(x.shape[1], 1)))
        return np.column_stack([w * (self.perturbation[0] or 1.0), np.zeros(len(w))])


class CosineGate(GateSpec):
    """Cosine gate: pi(x) = softmax(w_k'x / ((||w_k|| + t1)(||x|| + t2)) + b_k).

    Plain (t1 = 0), the length of each w_k cannot be seen and, with more columns than experts, neither can turns of all
    w_k that keep their differences: dof = K d - 1 - (d - K, where positive), up to coinciding directions; with one
    column only the signs of the w_k and K - 1 intercepts are left. `gate_coef_` are unit vectors. Perturbed (t1 > 0),
    it is the softmax gate on x / (||x|| + t2) with coefficients w_k / (||w_k|| + t1) in the unit ball: dof =
    (K - 1)(d + 1), and `gate_coef_` are those coefficients, centred. Both change with the origin of x; the plain gate
    does not change under rotations and a common scale.

    Parameters
    ----------
    perturbation : float or pair of float, default=0.0
        (t1, t2), or one number for both.

    References
    ----------
    .. [1] Nguyen, Akbarian, Pham, Nguyen, Zhang & Ho (2025), Statistical advantages of perturbing cosine router in
       mixture of experts, arXiv:2405.14131.

    Examples
    --------
    >>> from moegate import CosineGate
    >>> CosineGate(perturbation=0.1).build(3).scores.perturbation
    (0.1, 0.1)
    """

    def __init__(self, perturbation=0.0):
        self.perturbation = perturbation

    def build(self, n_experts):
        pair = self.perturbation
        pair = (pair, pair) if isinstance(pair, numbers.Real) else tuple(np.ravel(pair))
        if len(pair) != 2 or not all(isinstance(t, numbers.Real) and 0 <= t < np.inf for t in pair):
            raise ValueError(
                f"perturbation expects a number >= 0 or a pair of them, got {self.perturbation!r}; "
                "use 0.0 for the plain cosine."
            )
        return Gate(Cosine(perturbation=(float(pair[0]), float(pair[1]))), Softmax())
