"""Distances of two conditional densities, averaged over rows: quadrature for normals, sums for counts and classes."""

from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from .quadrature import NODES, REACH, integrals, integrands

CHUNK = 1_000_000  # numbers in one array
TAIL = 10.0, 40.0  # counts beyond a mean that are summed over: square roots of the mean, and more
LEAST = 1e-300  # mean of counts


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
        Probabilities, means and standard deviations of the experts, each (n, K); deviations may be (K,).
    weights : ndarray of shape (n,), optional
        Of the rows; equal by default.

    Returns
    -------
    Distances
        To about 1e-9 of each; the total variation of a row by the roots of p - q, the others by quadrature.

    Examples
    --------
    >>> import numpy as np
    >>> from moegate.voronoi import distances_of_normals
    >>> one = np.ones((1, 1))
    >>> near = distances_of_normals((one, 0 * one, one), (one, one, one))
    >>> round(near.kullback_leibler, 6), round(near.hellinger**2, 6)  # 1/2 and 1 - exp(-1/8)
    (0.5, 0.117503)
    """
    p, q = _parts(p), _parts(q)
    K = p[0].shape[1] + q[0].shape[1]
    size = max(1, CHUNK // (K * K * len(REACH) * len(NODES)))
    cuts = range(size, len(p[0]), size)
    chunks = zip(*(zip(*(np.split(part, cuts) for part in each), strict=True) for each in (p, q)), strict=True)
    return _averaged(np.concatenate([integrals(*chunk) for chunk in chunks], axis=1), weights)


def distances_of_counts(p, q, weights=None):
    """Distances between two mixtures of Poisson distributions at each row.

    Parameters
    ----------
    p, q : tuple of ndarray
        Probabilities and means of the experts, each (n, K).
    weights : ndarray of shape (n,), optional
        Of the rows; equal by default.

    Returns
    -------
    Distances

    Examples
    --------
    >>> import numpy as np
    >>> from moegate.voronoi import distances_of_counts
    >>> one = np.ones((1, 1))
    >>> round(distances_of_counts((one, 2 * one), (one, 3 * one)).kullback_leibler, 6)  # 2 log(2/3) - 2 + 3
    0.18907
    """
    p, q = _parts(p), _parts(q)
    low, high = _window(np.concatenate([p[1], q[1]], axis=1))
    long = np.cumsum((high - low + 1) * (p[0].shape[1] + q[0].shape[1]))
    groups = np.split(np.arange(len(low)), np.flatnonzero(np.diff(long // CHUNK)) + 1)
    parts = [_sums(*([part[g] for part in each] for each in (p, q)), low[g], high[g]) for g in groups]
    return _averaged(np.concatenate(parts, axis=1), weights)


def distances_of_classes(P, Q, weights=None):
    """Distances between two tables of class probabilities (n, M)."""
    P, Q = np.asarray(P, dtype=float), np.asarray(Q, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(P > 0, P * (np.log(P) - np.log(Q)) - P + Q, Q)  # the last two sum to zero
    parts = np.stack([np.abs(P - Q) / 2, (np.sqrt(P) - np.sqrt(Q)) ** 2 / 2, ratio])
    return _averaged(parts.sum(axis=-1), weights)


def _parts(mixture):
    """The arrays of a mixture, each (n, K)."""
    pi, *others = (np.asarray(part, dtype=float) for part in mixture)
    return [pi, *(np.broadcast_to(part, pi.shape) for part in others)]


def _averaged(values, weights):
    tv, hellinger, kl = np.average(values, axis=1, weights=weights)
    return Distances(float(tv), float(np.sqrt(hellinger)), float(kl))


def _window(mean):
    """First and last count of each row that can matter."""
    away = TAIL[0] * np.sqrt(mean) + TAIL[1]
    return np.floor(np.maximum(mean - away, 0.0)).min(axis=1), np.ceil(mean + away).max(axis=1)


def _sums(p, q, low, high):
    """The three distances of each row, (3, n), all its counts in one flat array."""
    long = (high - low + 1).astype(int)
    row = np.repeat(np.arange(len(low)), long)
    y = np.arange(len(row)) - np.repeat(np.cumsum(long) - long, long) + low[row]
    logs = [_log_counts(*(part[row] for part in each), y[:, None]) for each in (p, q)]
    values = [np.abs(np.exp(logs[0]) - np.exp(logs[1])) / 2, *integrands(*logs)]
    return np.stack([np.bincount(row, each, len(low)) for each in values])


def _log_counts(pi, mean, y):
    """Log-probabilities of mixtures of Poisson distributions."""
    mean = np.maximum(mean, LEAST)
    with np.errstate(divide="ignore"):
        terms = np.log(pi) + y * np.log(mean) - mean - gammaln(y + 1)
    return np.logaddexp.reduce(terms, axis=1)
