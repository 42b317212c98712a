"""Starts: several kinds of responsibilities from which an EM run begins.

Randomness attaches to the values of a row (a keyed hash) or to a direction, never to a row's number: shuffled rows, and
a row repeated instead of weighted, start alike. Kinds are mixed because each misses modes that others find.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv, xlogy

from .blocks import QUANTUM, mix, row_keys

LLOYD_STEPS = 10


@dataclass(frozen=True)
class Sample:
    """What starts see: scaled columns x (n, d), scaled response y (n, r), weights (n,), one key per row (n,)."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    keys: np.ndarray

    @classmethod
    def from_rows(cls, rows, experts):
        """From the data that a likelihood holds: the response as the expert family shows it, standardised.

        Several columns of it, the indicators of classes, stand in an order that the classes' codes do not change.
        """
        x = np.concatenate([block.V[: rows.n_columns].T for block in rows])
        weight = np.ones(len(x)) if rows.weight is None else rows.weight
        seen = experts.seen(np.asarray(rows.y, dtype=float), rows.offset)
        center = np.average(seen, axis=0, weights=weight)
        y = seen - center
        y = y / np.maximum(np.sqrt(np.average(y**2, axis=0, weights=weight)), 1e-300)
        y = y[:, np.lexsort(np.round([*(weight * x.T @ y / weight.sum()), center], 9))]
        return cls(x, y, weight, row_keys(np.column_stack([x, y]), QUANTUM))

    @property
    def n_rows(self):
        return len(self.x)

    @property
    def joint(self):
        """Columns and response side by side, (n, d + r)."""
        return np.column_stack([self.x, self.y])

    def uniforms(self, key, n):
        """Independent uniforms (rows, n) that depend on a row's values and on the key."""
        keys = np.random.SeedSequence(key).generate_state(n, np.uint64)
        bits = mix(mix(self.keys[:, None]) + keys)
        return (bits >> np.uint64(11)).astype(float) * 2.0**-53 + 2.0**-54


def hyperplane(sample, K, rng):
    """Slabs between parallel hyperplanes, in columns and response, at weighted quantiles."""
    return _slabs(sample, sample.joint @ rng.standard_normal(sample.joint.shape[1]), K)


def quantile(sample, K, rng):
    """Slabs at weighted quantiles of one column or of the response."""
    return _slabs(sample, sample.joint[:, rng.integers(sample.joint.shape[1])], K)


def strips(sample, K, rng):
    """Slabs of random widths between parallel hyperplanes in the columns alone, or along one column."""
    d = sample.x.shape[1]
    axis = rng.standard_normal(d) if rng.random() < 0.5 else np.eye(d)[rng.integers(d)]
    return _slabs(sample, sample.x @ axis, K, np.sort(rng.random(K - 1)))


def _slabs(sample, position, K, shares=None):
    order = np.argsort(position, kind="stable")
    reached = np.cumsum(sample.weight[order])
    shares = np.arange(1, K) / K if shares is None else shares
    cuts = position[order[np.searchsorted(reached, reached[-1] * shares)]]
    return _hard(np.sum(position[:, None] > cuts, axis=1), K)


def random(sample, K, rng):
    """Every row to an expert at random."""
    return _hard((sample.uniforms(_key(rng), 1)[:, 0] * K).astype(int), K)


def dirichlet(sample, K, rng):
    """Responsibilities from a Dirichlet(0.1, ..., 0.1)."""
    gamma = gammaincinv(0.1, sample.uniforms(_key(rng), K)) + 1e-300
    return gamma / gamma.sum(axis=1, keepdims=True)


def regressions(sample, K, rng):
    """Nearest of K regressions, each through a random few rows."""
    design = np.column_stack([sample.x, np.ones(len(sample.x))])
    draws = sample.uniforms(_key(rng), K)
    coef = [_regression(design, sample.y, _distinct_smallest(u, design.shape[1] + 2)) for u in draws.T]
    distances = [np.linalg.norm(sample.y - design @ c, axis=1) for c in coef]
    return _hard(np.argmin(np.rint(np.array(distances) / QUANTUM), axis=0), K)


def _regression(design, y, at):
    return np.linalg.lstsq(design[at], y[at], rcond=None)[0]


def _distinct_smallest(u, n):
    """Rows with the n smallest distinct draws: a repeated row counts once."""
    return np.unique(u, return_index=True)[1][:n]


def kmeans(sample, K, rng):
    """Clusters of rows, in columns and response, around K random rows: a few weighted Lloyd steps."""
    joint = sample.joint
    centers = joint[_distinct_smallest(sample.uniforms(_key(rng), 1)[:, 0], K)]
    for _ in range(LLOYD_STEPS):
        labels = np.argmin(np.sum(centers**2, axis=1) - 2 * joint @ centers.T, axis=1)
        resp = _hard(labels, K) * sample.weight[:, None]
        mass = resp.sum(axis=0)[: len(centers), None]
        centers = np.where(mass > 0, resp.T[: len(centers)] @ joint / np.maximum(mass, 1e-300), centers)
    return _hard(labels, K)


def _key(rng):
    return rng.integers(2**63)


def _hard(labels, K):
    return np.eye(K)[labels]


KINDS = {
    "regressions": regressions,
    "random": random,
    "dirichlet": dirichlet,
    "hyperplane": hyperplane,
    "kmeans": kmeans,
    "quantile": quantile,
}


MIXED = tuple(kind for other in list(KINDS)[1:] for kind in ("regressions", other))  # half of them regressions


@dataclass(frozen=True)
class Start:
    """One start: its number, its kind and its own stream of random numbers."""

    number: int
    kind: str
    seed: np.random.SeedSequence

    def responsibilities(self, sample, K):
        """Starting responsibilities, (n, K)."""
        return KINDS[self.kind](sample, K, np.random.default_rng(self.seed))


def starts(init, n, entropy):
    """n starts of one kind, or of the mixed kinds in turn for "auto"; one independent stream each."""
    kinds = MIXED if init == "auto" else [init]
    seeds = np.random.SeedSequence(entropy).spawn(n)
    return [Start(i, kinds[i % len(kinds)], seed) for i, seed in enumerate(seeds)]


def split(sample, resp):
    """Starts of one expert more: each expert in turn halved across the longest or the shortest axis of its rows.

    Axes are the principal ones of columns and response, weighted by the responsibilities: the longest goes along the
    expert's regression, the shortest from below it to above it.

    Parameters
    ----------
    sample : Sample
    resp : ndarray of shape (n, K)

    Returns
    -------
    list of 2 K ndarrays of shape (n, K + 1)
    """
    out = []
    for k, share in enumerate(resp.T):
        for axis in _principal(sample.joint, share * sample.weight):
            position = sample.joint @ axis
            above = share * (position > _median(position, share * sample.weight))
            out.append(np.column_stack([np.delete(resp, k, axis=1), above, share - above]))
    return out


def _principal(points, weight):
    """The longest and the shortest axis that has some length."""
    center = np.average(points, axis=0, weights=weight + 1e-300)
    A = points - center
    values, vectors = np.linalg.eigh(A.T @ (A * weight[:, None]))
    return vectors[:, -1], vectors[:, np.argmax(values > 1e-9 * values[-1])]


def _median(position, weight):
    order = np.argsort(position, kind="stable")
    reached = np.cumsum(weight[order])
    return position[order[np.searchsorted(reached, reached[-1] / 2)]]


def merge(resp, weight, n=2):
    """Starts of one expert less: the n pairs merged whose merging takes most from the responsibilities' entropy.

    Parameters
    ----------
    resp : ndarray of shape (n, K)
    weight : ndarray of shape (n,)
    n : int

    Returns
    -------
    list of ndarray of shape (n, K - 1)

    References
    ----------
    .. [1] Baudry, Raftery, Celeux, Lo & Gottardo (2010), Combining mixture components for clustering,
       doi:10.1198/jcgs.2010.08111.
    """
    own, pairs = xlogy(resp, resp), zip(*np.triu_indices(resp.shape[1], 1))
    gains = {}
    for i, j in pairs:
        both = resp[:, i] + resp[:, j]
        gains[i, j] = weight @ (xlogy(both, both) - own[:, i] - own[:, j])
    best = sorted(gains, key=gains.get, reverse=True)[:n]
    return [np.column_stack([np.delete(resp, (i, j), axis=1), resp[:, i] + resp[:, j]]) for i, j in best]
