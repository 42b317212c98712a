"""Hierarchical gate: a tree of gates, any gate at any node (Jordan & Jacobs 1994)."""

import numbers

import numpy as np

from .gate import Gate, GateSpec
from .softmax import Affine, Softmax
from .tree import TreeLink, TreeScores


class HierarchicalGate(GateSpec):
    """Tree of gates: pi_k(x) = product of the gates' probabilities of the branches on the path to expert k.

    The root chooses a branch, and the gate of the branch one of its leaves, which are numbered branch by branch. A
    branch of one leaf has no gate, and a tree of one branch is that branch's gate. Every gate sees all columns and is
    identified as it is alone, a softmax up to a translation at each of its nodes: dof is the sum over the nodes. Labels
    change places within a branch, and whole branches of the same gate and size do. A tree of softmax gates is another
    family than the softmax over its leaves.

    Parameters
    ----------
    root : str, GateSpec or Gate, default="softmax"
        Gate over branches.
    children : str, GateSpec, Gate or tuple of them, default="softmax"
        Gate inside a branch: one for all, or one for each branch. It may be a HierarchicalGate.
    branches : tuple of int, optional
        Leaves of each branch; their sum is n_experts. None is two branches, as equal as can be.

    References
    ----------
    .. [1] Jordan & Jacobs (1994), Hierarchical mixtures of experts and the EM algorithm, doi:10.1162/neco.1994.6.2.181.
    .. [2] Nguyen, Han, Harris, Saria & Ho (2024), On expert estimation in hierarchical mixture of experts: beyond
       softmax gating functions, arXiv:2410.02935.

    Examples
    --------
    >>> from moegate import HierarchicalGate
    >>> HierarchicalGate(branches=(2, 3)).build(5).scores.free(5, q=2).shape
    (4, 2)
    >>> deeper = HierarchicalGate(children=HierarchicalGate(branches=(1, 2)), branches=(3, 3))
    >>> list(deeper.build(6).scores.natural(np.zeros((5, 2)), 6)["gate_nodes"])
    [(), (0,), (0, 1), (1,), (1, 1)]
    """

    def __init__(self, root="softmax", children="softmax", branches=None):
        self.root = root
        self.children = children
        self.branches = branches

    def build(self, n_experts):
        sizes = self._sizes(n_experts)
        kinds = zip(self._kinds(len(sizes)), sizes)
        children = tuple(None if size == 1 else _built(kind, size, "children") for kind, size in kinds)
        if len(sizes) == 1:
            return children[0] or Gate(Affine(), Softmax())
        root = _built(self.root, len(sizes), "root")
        if isinstance(root.scores, TreeScores):
            raise ValueError(
                f"HierarchicalGate root expects a gate of one node, got {self.root!r}; pass trees as children."
            )
        return Gate(TreeScores(root, children, sizes), TreeLink(root, children, sizes))

    def _sizes(self, K):
        """Leaves of each branch."""
        if self.branches is None:
            return (K - K // 2, K // 2) if K > 1 else (1,)
        sizes = tuple(self.branches) if np.iterable(self.branches) else (self.branches,)
        if not all(isinstance(size, numbers.Integral) and size > 0 for size in sizes) or sum(sizes) != K:
            raise ValueError(
                f"HierarchicalGate branches expects positive integers with the sum n_experts={K}, one for each branch, "
                f"got {self.branches!r}; pass for example {(K - K // 2, K // 2)}, or None for two equal branches."
            )
        return tuple(int(size) for size in sizes)

    def _kinds(self, n):
        """What is asked for in each branch."""
        if not isinstance(self.children, tuple | list):
            return (self.children,) * n
        if len(self.children) != n:
            raise ValueError(
                f"HierarchicalGate children expects one gate or one for each of the {n} branches, got "
                f"{len(self.children)}; a branch of one leaf has a place too, which is not used."
            )
        return tuple(self.children)


def _built(gate, n, argument):
    """The gate for n experts from its name, specification or composition."""
    from . import GATES

    if isinstance(gate, str) and gate in GATES:
        return GATES[gate]().build(n)
    if isinstance(gate, GateSpec | Gate):
        return gate.build(n)
    raise ValueError(
        f"HierarchicalGate {argument} expects one of {sorted(GATES)}, a gate such as SoftmaxGate(), or a composition "
        f"Gate(scores, link), got {gate!r}."
    )
