"""Coordinates in which Gaussian experts have one scale, and in which slopes count in units of the response."""

from dataclasses import dataclass, replace

import numpy as np

from .coordinates import Sparse


@dataclass(frozen=True)
class Raw(Sparse):
    """A penalty of slopes a_k in units of the response: u has a_k, c_k and one 1 / sigma, theta (a_k, c_k, 1) / sigma.

    theta is linear in u but for the products a_k / sigma and c_k / sigma.

    Parameters
    ----------
    plus, minus, weights, groups, ridge
        As of `Sparse`: of a linear map, before the products are made.
    shape : (int, int)
        Of the experts' coefficients, the last of theta.
    """

    shape: tuple = (0, 0)

    @property
    def products(self):
        """Which parameters are multiplied with 1 / sigma, (p,)."""
        K, P = self.shape
        out = np.zeros(len(self.plus), dtype=bool)
        out[len(out) - K * P :] = np.arange(K * P) % P < P - 1
        return out

    @property
    def precision(self):
        """Position of 1 / sigma in u."""
        return int(self.plus[-1])

    def theta(self, u):
        return self.linear(u) * self._factor(u)

    def _factor(self, u):
        return np.where(self.products, u[self.precision], 1.0)

    def coordinates(self, theta):
        """Coordinates of parameters; of scales that differ the root of the mean variance."""
        K, P = self.shape
        gate, experts = np.split(theta, [len(theta) - K * P])
        experts = experts.reshape(K, P)
        one = np.full(K, np.mean(experts[:, -1] ** -2.0) ** -0.5)
        return super().coordinates(np.append(gate, np.column_stack([experts[:, :-1] / experts[:, -1:], one])))

    def pull(self, score, u):
        out = super().pull(score * self._factor(u), u)
        out[self.precision] += self.linear(u)[self.products] @ score[self.products]
        return out

    def bend(self, score, u):
        row, out = super().pull(np.where(self.products, score, 0.0), u), np.zeros((len(u), len(u)))
        out[self.precision] += row
        out[:, self.precision] += row
        return out

    def _pulled(self, A, u):
        """J'A."""
        out = super()._pulled(A * self._factor(u)[:, None], u)
        out[self.precision] += self.linear(u)[self.products] @ A[self.products]
        return out


def tied(penalty, shape):
    """The penalty with one scale for all experts, whose coefficients (K, P) come last in theta and end in the scale."""
    K, P = shape
    plus = penalty.plus.copy()
    scales = len(plus) - K * P + P * np.arange(1, K + 1) - 1
    gone = plus[scales[1:]]
    plus[scales] = plus[scales[0]]
    keep = np.setdiff1d(np.arange(len(penalty.weights)), gone)
    place = np.zeros(len(penalty.weights), dtype=int)
    place[keep] = np.arange(len(keep))
    return replace(
        penalty,
        plus=place[plus],
        minus=np.where(penalty.minus >= 0, place[penalty.minus], -1),
        weights=penalty.weights[keep],
        groups=np.unique(penalty.groups[keep], return_inverse=True)[1],
    )


def raw(penalty, shape):
    """The same with slopes in units of the response."""
    return Raw(**vars(tied(penalty, shape)), shape=shape)
