"""Starts next to a truth: every way to share fitted atoms out over the true ones, a little moved."""

from itertools import combinations_with_replacement

import numpy as np

GATE, EXPERTS, POWER = 0.005, 0.05, 0.083  # deviations of the moves at n = 1, and the power of n by which they fall


def shares(K, true):
    """Numbers of fitted atoms for each of the true ones, all ways; every true atom has one."""
    extras = combinations_with_replacement(range(true), K - true)
    ways = {tuple(np.bincount(extra, minlength=true) + 1) for extra in extras}
    return sorted(ways) if K > true else [(1,) * true]


def near(truth, K, n, rng, draws=1):
    """Parameter vectors theta of K experts next to a truth, `draws` for each way."""
    return [_moved(truth, share, n, rng) for share in shares(K, truth.K) for _ in range(draws)]


def _moved(truth, share, n, rng):
    atom = np.repeat(np.arange(truth.K), share)
    rows = truth.R[atom]
    if truth.gate.kind != "sigmoid":
        rows[:, -1] -= np.log(np.array(share)[atom]) * truth.gate.temperature
    rows = rows + GATE * n**-POWER * rng.standard_normal(rows.shape)
    gate = _pinned(truth, rows)
    size = EXPERTS * n**-POWER
    if truth.classes:
        experts = np.array(truth.classes, dtype=float)[atom].reshape(len(atom), -1)
        return np.concatenate([gate, (experts + size * rng.standard_normal(experts.shape)).ravel()])
    lines = np.column_stack([truth.A, truth.intercepts])[atom]
    lines = lines + size * rng.standard_normal(lines.shape)
    variance = np.array(truth.sigma)[atom] ** 2 * np.exp(size * rng.standard_normal(len(atom)))
    experts = np.column_stack([lines, np.ones(len(atom))]) / np.sqrt(variance)[:, None]
    return np.concatenate([gate, experts.ravel()])


def _pinned(truth, rows):
    """Free parameters of the gate: differences to the last row, or all but the last intercept, or all."""
    if truth.translates:
        return (rows - rows[-1])[:-1].ravel()
    if truth.gate.kind == "sigmoid":
        return rows.ravel()
    rows = rows.copy()
    rows[:, -1] -= rows[-1, -1]
    return rows.ravel()[:-1]


def near_tree(truth, sizes, n, rng):
    """theta of a tree with `sizes` children next to a truth, the first branch's extra children shared out all ways."""
    out = []
    for first in shares(sizes[0], truth.sizes[0]):
        share = [*first, *(1,) * (truth.K - truth.sizes[0])]
        out.append(_moved_tree(truth, share, sizes, n, rng))
    return out


def _moved_tree(truth, share, sizes, n, rng):
    atom = np.repeat(np.arange(truth.K), share)
    rows = truth.R[atom]
    rows[:, -1] -= np.log(np.array(share)[atom])
    rows = rows + GATE * n**-POWER * rng.standard_normal(rows.shape)
    root = np.array(truth.root_rows, dtype=float)
    gates = [_gate(truth.root.kind, root + GATE * n**-POWER * rng.standard_normal(root.shape))]
    ends = np.cumsum(sizes)
    gates += [_gate(truth.gate.kind, rows[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
    lines = np.column_stack([truth.A, truth.intercepts])[atom]
    lines = lines + EXPERTS * n**-POWER * rng.standard_normal(lines.shape)
    experts = np.column_stack([lines, np.ones(len(atom))]) / np.array(truth.sigma)[atom][:, None]
    return np.concatenate([*gates, experts.ravel()])


def _gate(kind, rows):
    """Free parameters of one gate of a tree."""
    if kind == "softmax":
        return (rows - rows[-1])[:-1].ravel()
    rows = rows.copy()
    rows[:, -1] -= rows[-1, -1]
    return rows.ravel()[:-1]
