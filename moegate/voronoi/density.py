"""Distances between two conditional densities, averaged over rows: quadrature for normal experts, sums for classes."""

from typing import NamedTuple

import numpy as np

REACH = np.array([-9.0, -6.5, -4.5, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.5, 6.5, 9.0])  # panel ends, in deviations
NODES = 8  # of Gauss and Legendre in a panel
CHUNK = 2_000_000  # numbers in one array of the quadrature


class Distances(NamedTuple):
    """Mean distances of two conditional densities p and q.

    Attributes
    ----------
    total_variation : float
        E (1/2) integral |p - q|.
    hellinger : float
        Square root of E (1/2) integral (sqrt p - sqrt q)^2.
    kullback_leibler : float
        E integral p log(p / q), p the first one.
    """

    total_variation: float
    hellinger: float
    kullback_leibler: float


def distances_of_normals(p, q, weights=None):
    """Distances between two mixtures of normals at each row.

    Parameters
    ----------
    p, q : tuple of ndarray
        Probabilities, means and standard deviations of the experts, each (n, K).
    weights : ndarray of shape (n,), optional
        Of the rows; equal by default.

    Returns
    -------
    Distances

    Examples
    --------
    >>> import numpy as np
    >>> from moegate.voronoi import distances_of_normals
    >>> one = np.ones((1, 1))
    >>> near = distances_of_normals((one, 0 * one, one), (one, one, one))
    >>> round(near.kullback_leibler, 6), round(near.hellinger**2, 6)  # 1/2 and 1 - exp(-1/8)
    (0.5, 0.117503)
    """
    p, q = (tuple(np.asarray(part, dtype=float) for part in each) for each in (p, q))
    n, K = p[0].shape[0], p[0].shape[1] + q[0].shape[1]
    size = max(1, CHUNK // (K * K * len(REACH) * NODES))
    parts = [_integrals(*([part[at : at + size] for part in each] for each in (p, q))) for at in range(0, n, size)]
    return _averaged(np.concatenate(parts, axis=1), weights)


def distances_of_classes(P, Q, weights=None):
    """Distances between two tables of class probabilities (n, M)."""
    P, Q = np.asarray(P, dtype=float), np.asarray(Q, dtype=float)
    return _averaged(_integrands(P, Q).sum(axis=-1), weights)


def _averaged(integrals, weights):
    tv, hellinger, kl = np.average(integrals, axis=1, weights=weights)
    return Distances(float(tv), float(np.sqrt(hellinger)), float(kl))


def _integrands(p, q):
    """Of total variation, squared Hellinger distance and divergence, (3, ...)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(p > 0, p * (np.log(p) - np.log(q)) - p + q, q)  # the last two integrate to zero
    return np.stack([np.abs(p - q) / 2, (np.sqrt(p) - np.sqrt(q)) ** 2 / 2, ratio])


def _integrals(p, q):
    """The three integrals at each row, (3, n)."""
    ends = [mean[..., None] + sigma[..., None] * REACH for _, mean, sigma in (p, q)]
    ends = np.sort(np.concatenate([end.reshape(len(end), -1) for end in ends], axis=1), axis=1)
    node, weight = np.polynomial.legendre.leggauss(NODES)
    half = np.diff(ends, axis=1)[..., None] / 2
    y = ends[:, :-1, None] + half * (1 + node)
    values = _integrands(*(_density(each, y.reshape(len(y), -1)) for each in (p, q)))
    return np.sum(values * (half * weight).reshape(len(y), -1), axis=-1)


def _density(mixture, y):
    """Density of each row's mixture at its points y (n, m)."""
    out = np.zeros(y.shape)
    for pi, mean, sigma in zip(*(part.T for part in mixture), strict=True):
        z = (y - mean[:, None]) / sigma[:, None]
        out += (pi / sigma / np.sqrt(2 * np.pi))[:, None] * np.exp(-0.5 * z * z)
    return out
