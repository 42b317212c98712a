"""Distances of two mixtures of normals at every row: panels between the experts' deviations, halved where they must be.

Total variation needs no quadrature of an integrand with corners: between the roots of p - q it is a difference of
distribution functions.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

REACH = np.array([-9.0, -5.0, -2.5, 0.0, 2.5, 5.0, 9.0])  # ends of panels, in deviations of each expert
RELATIVE, ABSOLUTE = 1e-8, 1e-15  # error allowed in a panel: of the row's integral, and beside it
HALVINGS, BISECTIONS = 14, 26
APART = 0.3  # distance of a panel's ends, in deviations of the expert at its upper one, below which that is left out
# Gauss and Kronrod's rule of 7 and 15 nodes on [-1, 1] (Kronrod 1965); Gauss's are the odd nodes.
NODES = np.array([0.9914553711208126, 0.9491079123427585, 0.8648644233597691, 0.7415311855993945])
NODES = np.concatenate([NODES, [0.5860872354676911, 0.4058451513773972, 0.2077849550078985]])
KRONROD = np.array([0.0229353220105292, 0.0630920926299786, 0.1047900103222502, 0.1406532597155259])
KRONROD = np.concatenate([KRONROD, [0.1690047266392679, 0.1903505780647854, 0.2044329400752989]])
NODES = np.concatenate([-NODES, [0.0], NODES[::-1]])
KRONROD = np.concatenate([KRONROD, [0.2094821410847278], KRONROD[::-1]])
GAUSS = np.zeros(15)
GAUSS[1::2] = np.polynomial.legendre.leggauss(7)[1]


class Normals(NamedTuple):
    """A mixture of normals at every row."""

    log_weight: np.ndarray  # log pi - log sigma - log(2 pi) / 2, (n, K)
    weight: np.ndarray  # (n, K)
    mean: np.ndarray
    sigma: np.ndarray

    @classmethod
    def of(cls, pi, mean, sigma):
        with np.errstate(divide="ignore"):
            return cls(np.log(pi) - np.log(sigma) - 0.5 * np.log(2 * np.pi), pi, mean, sigma)

    def rows(self, row):
        """The mixtures of some rows."""
        return Normals(*(part[row] for part in self))

    def _terms(self, y):
        """Of the experts at points y (n, m): these standardised, parts of the density over the largest, its log."""
        z = (y[:, None] - self.mean[..., None]) / self.sigma[..., None]
        terms = self.log_weight[..., None] - 0.5 * z * z
        top = terms.max(axis=1)
        return z, np.exp(terms - top[:, None]), top

    def log_density(self, y):
        """Log density of each row's mixture at its points y (n, m)."""
        _, parts, top = self._terms(y)
        return top + np.log(parts.sum(axis=1))

    def log_density_at(self, y):
        """Log density of each row's mixture at its point y (n,)."""
        return self.log_density(y[:, None])[:, 0]

    def slope_at(self, y):
        """Derivative of the log density at y (n,)."""
        z, parts, _ = self._terms(y[:, None])
        return -np.sum(parts * z / self.sigma[..., None], axis=1)[:, 0] / parts.sum(axis=1)[:, 0]

    def cdf(self, y):
        """Distribution function of each row's mixture at y (n,)."""
        return np.sum(self.weight * ndtr((y[:, None] - self.mean) / self.sigma), axis=1)


def integrals(p, q):
    """Total variation, squared Hellinger distance and divergence of each row, (3, n).

    Parameters
    ----------
    p, q : tuple of ndarray
        Probabilities, means and standard deviations, each (n, K).
    """
    p, q = Normals.of(*p), Normals.of(*q)
    panels = _panels(np.concatenate([p.mean, q.mean], axis=1), np.concatenate([p.sigma, q.sigma], axis=1))
    y, logs = _logs(p, q, *panels)
    return np.vstack([_total_variation(p, q, panels[0], y, logs[0] - logs[1]), _adaptive(p, q, *panels, logs)])


def integrands(p, q):
    """Of the squared Hellinger distance and of the divergence, from log densities, (2, ...); neither is negative.

    The divergence takes p log(p / q) - p + q, whose last terms integrate to zero.
    """
    ratio, density = p - q, np.exp(p)
    hellinger = 0.5 * np.exp(np.maximum(p, q)) * np.expm1(-0.5 * np.abs(ratio)) ** 2
    near = density * (ratio + np.expm1(-np.maximum(ratio, -1.0)))
    return np.stack([hellinger, np.where(ratio > -1, near, density * (ratio - 1) + np.exp(q))])


def _panels(mean, sigma):
    """Row, lower and upper end of all panels, in order; experts that are nearly alike share theirs."""
    ends = (mean[..., None] + sigma[..., None] * REACH).reshape(len(mean), -1)
    order = np.argsort(ends, axis=1)
    ends = np.take_along_axis(ends, order, axis=1)
    least = APART * np.take_along_axis(np.repeat(sigma, len(REACH), axis=1), order, axis=1)
    kept = np.diff(ends, axis=1, prepend=-np.inf) > least
    kept[:, -1] = True
    row, at = np.nonzero(kept)
    inside = row[:-1] == row[1:]
    ends = ends[row, at]
    return row[:-1][inside], ends[:-1][inside], ends[1:][inside]


def _logs(p, q, row, low, high):
    """Nodes of the panels (P, 15), and both log densities there, (2, P, 15)."""
    y = low[:, None] + (high - low)[:, None] / 2 * (1 + NODES)
    return y, np.stack([mixture.rows(row).log_density(y) for mixture in (p, q)])


def _adaptive(p, q, row, low, high, logs):
    """Integrals of `integrands` over the panels, (2, n): over halves where rules of 7 and 15 nodes differ."""
    n, total, allowed = len(p.mean), 0.0, None
    for depth in range(HALVINGS):
        values = integrands(*logs) * (high - low)[:, None] / 2
        fine, rough = values @ KRONROD, values @ GAUSS
        error = np.minimum(np.abs(fine - rough), (200 * np.abs(fine - rough)) ** 1.5)
        allowed = RELATIVE * _by_row(row, fine, n) + ABSOLUTE if allowed is None else allowed
        halved = np.any(error > allowed[:, row], axis=0) & (depth < HALVINGS - 1)
        total = total + _by_row(row[~halved], fine[:, ~halved], n)
        if not halved.any():
            break
        row, low, high = row[halved], low[halved], high[halved]
        middle = (low + high) / 2
        row, low, high = np.tile(row, 2), np.concatenate([low, middle]), np.concatenate([middle, high])
        logs = _logs(p, q, row, low, high)[1]
    return total


def _by_row(row, values, n):
    """Sums of values (2, P) over the panels of each row."""
    return np.stack([np.bincount(row, each, n) for each in values])


# total variation ------------------------------------------------------------------------------------------------------


def _total_variation(p, q, row, y, ratio):
    """Half the integral of |p - q| for each row: P - Q at its maxima less P - Q at its minima."""
    n = len(p.mean)
    row, low, high, sign = _brackets(p, q, np.repeat(row, y.shape[1]), y.ravel(), ratio.ravel())
    p, q = p.rows(row), q.rows(row)
    root = _root(lambda y: sign * (p.log_density_at(y) - q.log_density_at(y)), low, high)
    return np.bincount(row, sign * (p.cdf(root) - q.cdf(root)), n)


def _brackets(p, q, row, y, ratio):
    """Intervals with one root of log p - log q each: row, ends, and the sign at the lower end.

    Beside the changes of sign between points these are the two halves of intervals inside which it turns at zero.
    """
    sign, same = np.where(ratio >= 0, 1.0, -1.0), row[:-1] == row[1:]
    at = np.flatnonzero(same & (sign[:-1] != sign[1:]))
    changes = row[at], y[at], y[at + 1], sign[at]
    size, alike = np.abs(ratio), same & (sign[:-1] == sign[1:])
    at = 1 + np.flatnonzero(alike[:-1] & alike[1:] & (size[1:-1] <= size[:-2]) & (size[1:-1] < size[2:]))
    row, low, high, sign = row[at], y[at - 1], y[at + 1], sign[at]
    one, other = p.rows(row), q.rows(row)
    turn = _root(lambda y: -sign * (one.slope_at(y) - other.slope_at(y)), low, high)
    crossed = sign * (one.log_density_at(turn) - other.log_density_at(turn)) < 0
    row, low, turn, high, sign = (part[crossed] for part in (row, low, turn, high, sign))
    halves = zip(changes, (row, low, turn, sign), (row, turn, high, -sign), strict=True)
    return tuple(np.concatenate(parts) for parts in halves)


def _root(function, low, high):
    """Where a function, positive at low and not at high, changes its sign: bisection of all intervals at once."""
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        left = function(middle) > 0
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    return (low + high) / 2
