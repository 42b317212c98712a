"""The gates of a tree, and where their scores, parameters and leaves stand.

Logs of the gates on a path add: the complete-data information is block diagonal over gates, and a branch's gate sees
the responsibilities of its own leaves with the branch's total responsibility as observation weight.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..._kernels import pairs_of
from ..gate import Gate

TINY = 1e-300  # keeps shares of nothing at zero


class Node(NamedTuple):
    """One gate of a tree and where its parts stand."""

    gate: Gate
    branch: int  # that it divides; None for the root
    K: int  # children that it chooses among
    m: int  # its scores that carry parameters
    leaves: slice  # leaves below it
    own: slice  # its parameters, among those of the tree
    rows: np.ndarray  # its scores, among those of the tree
    pairs: np.ndarray  # pairs of its parameters


@dataclass(frozen=True)
class Tree:
    """What the scores and the link of a tree share: the gates, and how their scores stand in one array.

    First come the scores that carry parameters, gate by gate with the root first, then the others.

    Parameters
    ----------
    root : Gate
        Chooses a branch.
    children : tuple of Gate or None
        The gate of each branch; None where a branch is one leaf.
    sizes : tuple of int
        Leaves of each branch.
    """

    root: Gate
    children: tuple
    sizes: tuple

    @cached_property
    def spans(self):
        """Leaves of each branch."""
        return [slice(end - size, end) for end, size in zip(np.cumsum(self.sizes).tolist(), self.sizes)]

    @cached_property
    def nodes(self):
        """The root's Node and those of the branches with a gate."""
        gates = [(self.root, None, len(self.sizes), slice(0, sum(self.sizes)))]
        branches = zip(self.children, range(len(self.sizes)), self.sizes, self.spans)
        gates += [branch for branch in branches if branch[0] is not None]
        own = [gate.scores.n_scores(K) for gate, _, K, _ in gates]
        ends, m = np.cumsum(own).tolist(), sum(own)
        others = m + np.cumsum([0, *(gate.scores.n_rows(K) - n for (gate, _, K, _), n in zip(gates, own))])
        i, j = pairs_of(m)
        nodes = []
        for (gate, branch, K, leaves), n, end, low, high in zip(gates, own, ends, others, others[1:]):
            rows, pairs = np.r_[end - n : end, low:high], np.flatnonzero((i >= end - n) & (j < end))
            nodes.append(Node(gate, branch, K, n, leaves, slice(end - n, end), rows, pairs))
        return nodes

    def by_branch(self, A):
        """Sums of A (..., K, B) over the leaves of each branch, (..., branches, B)."""
        return np.stack([A[..., span, :].sum(axis=-2) for span in self.spans], axis=-2)

    def shares(self, A):
        """For each gate the shares of its children in its part of A (..., K, B), and that part (..., 1, B)."""
        sums = self.by_branch(A)
        yield sums, 1.0
        for node in self.nodes[1:]:
            part = sums[..., node.branch, None, :]
            yield A[..., node.leaves, :] / np.maximum(part, TINY), part

    def directions(self, coef, parts):
        """Directions (m, w, f) from those of each gate."""
        out, at = np.zeros((*coef.shape, sum(part.shape[2] for part in parts))), 0
        for node, part in zip(self.nodes, parts):
            out[node.own, :, at : at + part.shape[2]] = part
            at += part.shape[2]
        return out
