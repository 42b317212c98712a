"""Known trees of gates: a root that chooses a branch, and a gate in each branch."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from moegate.voronoi import Branches, Measure

from .truths import Gate, Truth


@dataclass(frozen=True)
class Tree(Truth):
    """A tree of two levels; `rows` holds the gate rows of the children, branch by branch.

    Parameters
    ----------
    root : Gate
    root_rows : tuple
        (slope, intercept) for each branch.
    sizes : tuple of int
        Children of each branch.
    """

    root: Gate = Gate()
    root_rows: tuple = ()
    sizes: tuple = (2, 2)

    @cached_property
    def spans(self):
        """Leaves of each branch."""
        ends = np.cumsum(self.sizes)
        return [slice(int(end - size), int(end)) for end, size in zip(ends, self.sizes, strict=True)]

    def probabilities(self, X):
        first = self.root(np.array(self.root_rows, dtype=float), X)
        return np.hstack([first[:, [b]] * self.gate(self.R[span], X) for b, span in enumerate(self.spans)])

    @property
    def measure(self):
        """As Branches, masses being means over the grid."""
        mass, roots = self.probabilities(self.grid).mean(axis=0), np.array(self.root_rows, dtype=float)
        of_branch = [mass[span].sum() for span in self.spans]
        root = Measure.of(roots[:, -1], roots[:, :-1], None, None, None, of_branch)
        variance = np.array(self.sigma) ** 2
        parts = (self.R[:, -1], self.R[:, :-1], self.A, np.array(self.intercepts), variance, mass)
        return Branches(root, [Measure.of(*(part[span] for part in parts)) for span in self.spans])


EXPERTS = {"slopes": (1, -1, 1, -1), "intercepts": (-4.5, -1.5, 1.5, 4.5), "sigma": (0.5,) * 4, "box": (-3, 3)}
CHILDREN = {"softmax": ((-1, 0.5), (0, 0), (1, -0.5), (0, 0)), "laplace": ((-2, 0.5), (-0.5, 0), (0.5, -0.5), (2, 0))}
ROOTS = {"softmax": ((-1, 0), (0, 0)), "laplace": ((-1, 0), (1, 0))}
TREES = {
    f"{root[0].upper()}{child[0].upper()}": Tree(
        Gate(child), CHILDREN[child], **EXPERTS, root=Gate(root), root_rows=ROOTS[root]
    )
    for root, child in (("softmax", "softmax"), ("softmax", "laplace"), ("laplace", "laplace"))
}


def branches_of(fit, truth, sizes):
    """The fitted tree as Branches."""
    nodes, mass = fit.gate_nodes_, fit.predict_gate(truth.grid).mean(axis=0)
    ends = np.cumsum(sizes)
    spans = [slice(int(end - size), int(end)) for end, size in zip(ends, sizes, strict=True)]

    def gate(parts):
        return parts["gate_intercept"], parts["gate_center"] if "gate_center" in parts else parts["gate_coef"]

    root = Measure.of(*gate(nodes[()]), None, None, None, [mass[span].sum() for span in spans])
    children = [
        Measure.of(*gate(nodes[(b,)]), fit.coef_[span], fit.intercept_[span], fit.sigma_[span] ** 2, mass[span])
        for b, span in enumerate(spans)
    ]
    return Branches(root, children)
