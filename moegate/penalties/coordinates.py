"""Coordinates of a model's parameters in which a penalty has corners."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sparse:
    """A sum of weighted absolute values or norms of coordinates u, with theta = u[plus] - u[minus].

    There are more coordinates than parameters where a softmax has no reference: one row for each expert, or class. The
    sum then is the smallest over the common translations that the softmax cannot see.

    Parameters
    ----------
    plus, minus : ndarray of int, shape (p,)
        `minus` is -1 where nothing is subtracted.
    weights : ndarray of shape (q,)
        Of the coordinates; zero is free.
    groups : ndarray of int, shape (q,)
        Coordinates of one group share a norm; each has its own where absolute values are summed.
    ridge : Quadratic or None
        Of the parameters theta.
    """

    plus: np.ndarray
    minus: np.ndarray
    weights: np.ndarray
    groups: np.ndarray
    ridge: object = None

    def linear(self, u):
        """Linear combinations of coordinates of which the parameters are made."""
        return u[self.plus] - np.where(self.minus >= 0, u[self.minus], 0.0)

    def theta(self, u):
        """Parameters of coordinates."""
        return self.linear(u)

    def pull(self, score, u):
        """Gradient by the coordinates at u, of one by the parameters."""
        out = np.zeros(len(self.weights))
        np.add.at(out, self.plus, score)
        np.subtract.at(out, self.minus[self.minus >= 0], score[self.minus >= 0])
        return out

    def pull2(self, A, u):
        """J'AJ, with J the derivatives of the parameters at u."""
        return self._pulled(self._pulled(A, u).T, u)

    def bend(self, score, u):
        """Second derivatives of the parameters by the coordinates, weighted by the score: zero if linear."""
        return 0.0

    def _pulled(self, A, u):
        """J'A."""
        out, less = np.zeros((len(self.weights), A.shape[1])), self.minus >= 0
        np.add.at(out, self.plus, A)
        np.subtract.at(out, self.minus[less], A[less])
        return out

    def coordinates(self, theta):
        """Coordinates of parameters, in the gauge in which the penalty is smallest."""
        count = np.maximum(np.bincount(self.plus, minlength=len(self.weights)), 1)
        u = np.bincount(self.plus, weights=theta, minlength=len(self.weights)) / count
        for family in self._families():
            u[family] -= self._centre(u[family], family)
        return u

    def _families(self):
        """Sets of coordinates that share an unseen translation."""
        for reference in np.unique(self.minus[self.minus >= 0]):
            yield np.append(self.plus[self.minus == reference], reference)

    def _centre(self, values, family):
        """Median of the coordinates, the lower of two; their mean where they share a norm."""
        if len(np.unique(self.groups[family])) < len(family):
            return values.mean()
        return np.sort(values)[(len(values) - 1) // 2]

    def norms(self, u):
        """Absolute value of each coordinate, or the norm of its group."""
        return np.sqrt(np.bincount(self.groups, weights=u**2))[self.groups]

    def value(self, u):
        """The penalty, but for the ridge."""
        first = np.unique(self.groups, return_index=True)[1]
        return float(np.sum((self.weights * self.norms(u))[first]))

    def prox(self, z, size):
        """Minimiser of the penalty + sum (v - z)^2 / (2 size), for one size (q,) within each group."""
        norm = self.norms(z)
        return z * np.maximum(0.0, 1.0 - size * self.weights / np.where(norm > 0, norm, 1.0))

    def among(self, keep):
        """The penalty of some coordinates, whole groups, for its norms, value, prox and residual."""
        none = np.zeros(0, dtype=int)
        return Sparse(none, none, self.weights[keep], np.unique(self.groups[keep], return_inverse=True)[1])

    def residual(self, u, score):
        """How far each group is from the conditions of a maximum, (q,): 0 where they hold.

        score = weight u / ||u|| where u is not zero, ||score|| <= weight where it is.
        """
        norm = self.norms(u)
        direction = np.where(norm > 0, u / np.where(norm > 0, norm, 1.0), 0.0)
        inside = self.norms(score - self.weights * direction)
        return np.where(norm > 0, inside, np.maximum(0.0, self.norms(score) - self.weights))
