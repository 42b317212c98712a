"""The scores of a tree of gates, their starts and their labels."""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations, islice

import numpy as np
from scipy.linalg import block_diag

from ..scores import Scores
from .nodes import TINY, Tree

MOST_SUBSETS = 20_000  # of the columns of a start, among which a branch's are sought


@dataclass(frozen=True)
class TreeScores(Tree, Scores):
    """The scores of all gates of a tree; every gate sees the same columns."""

    def _all(self, name):
        return all(getattr(node.gate.scores, name) for node in self.nodes)

    @property
    def stacked(self):
        return self._all("stacked")

    @property
    def linear(self):
        return self._all("linear")

    @property
    def invariant(self):
        return self._all("invariant")

    @property
    def sized(self):
        return any(node.gate.scores.sized for node in self.nodes)

    @property
    def damping(self):
        return max(max(node.gate.scores.damping, node.gate.link.damping) for node in self.nodes)

    def gauge(self, coef):
        return np.vstack([node.gate.scores.gauge(coef[node.own]) for node in self.nodes])

    def n_scores(self, K):
        return self.nodes[-1].own.stop

    def n_rows(self, K):
        """Rows of the array of scores: the children of all gates."""
        return sum(len(node.rows) for node in self.nodes)

    def __call__(self, coef, design, K):
        S = np.empty((*coef.shape[:-2], self.n_rows(K), design.Z.shape[1]))
        for node in self.nodes:
            scores = node.gate.scores(coef[..., node.own, :], design, node.K)
            S[..., node.own, :] = scores[..., : node.m, :]
            S[..., node.rows[node.m :], :] = scores[..., node.m :, :]
        return S

    def features(self, coef, design):
        F = np.empty((*coef.shape, design.Z.shape[1]))
        for node in self.nodes:
            scores = node.gate.scores
            F[..., node.own, :, :] = design.Z if scores.linear else scores.features(coef[..., node.own, :], design)
        return F

    def curvature(self, coef, design, G):
        parts = [node.gate.scores.curvature(coef[node.own], design, G[node.own]) for node in self.nodes]
        if all(part is None for part in parts):
            return None
        shape = coef.shape[1:] * 2
        return np.concatenate([np.zeros((v.m, *shape)) if part is None else part for v, part in zip(self.nodes, parts)])

    # parameters

    def free(self, K, q):
        return np.vstack([node.gate.scores.free(node.K, q) for node in self.nodes])

    def initial(self, K, center):
        return np.vstack([node.gate.scores.initial(node.K, center) for node in self.nodes])

    def move(self, coef, U):
        return np.vstack([node.gate.scores.move(coef[node.own], U) for node in self.nodes])

    def flat(self, coef):
        return self.directions(coef, [node.gate.scores.flat(coef[node.own]) for node in self.nodes])

    def calibrated(self, scale, reach=None):
        return self._each(lambda gate: gate.calibrated(scale, reach))

    def exact(self):
        return self._each(lambda gate: gate.exact())

    def _each(self, change):
        """The same tree of changed gates."""
        return replace(self, root=change(self.root), children=tuple(child and change(child) for child in self.children))

    def slopes(self, coef):
        """Of each leaf the size of the steepest on its path, (K, 1)."""
        out = np.zeros((sum(self.sizes), 1))
        for node in self.nodes:
            size = np.zeros(node.K)
            size[: node.m] = np.linalg.norm(node.gate.scores.slopes(coef[node.own]).reshape(node.m, -1), axis=1)
            size = np.repeat(size, self.sizes) if node.branch is None else size
            out[node.leaves, 0] = np.maximum(out[node.leaves, 0], size)
        return out

    def ridge(self, K, center, scale, unit, translates):
        parts, at = zip(*(node.gate.ridge(node.K, center, scale, unit) for node in self.nodes), strict=True)
        return block_diag(*parts), np.vstack(at)

    def natural(self, coef, K):
        """`gate_nodes`: what each gate calls its parameters, by the branches taken on the way to it."""
        out = {}
        for node in self.nodes:
            parts = node.gate.scores.natural(coef[node.own], node.K)
            path = () if node.branch is None else (node.branch,)
            out.update({path + below: part for below, part in parts.get("gate_nodes", {(): parts}).items()})
        return {"gate_nodes": out}

    def contrasts(self, translates):
        out = {}
        for node in self.nodes:
            path = () if node.branch is None else (node.branch,)
            out.update({path + below: names for below, names in node.gate.contrasts().items()})
        return out

    # starts

    def begin(self, x, resp):
        parts = [self.by_branch(resp.T).T, *(resp[:, node.leaves] for node in self.nodes[1:])]
        return np.vstack([node.gate.scores.begin(x, part) for node, part in zip(self.nodes, parts)])

    def arrange(self, x, resp):
        """Columns in an order in which those that are near in x share a branch."""
        parts = [resp[:, group] for group in _clustered(x, resp, self.sizes)]
        return np.hstack([p if gate is None else gate.scores.arrange(x, p) for gate, p in zip(self.children, parts)])

    # labels

    def order(self, wanted, K):
        """Branches of the same gate and size by their first wanted expert, and so on inside each branch."""
        rank = np.argsort(wanted)
        inside = [self._inside(b, rank) for b in range(len(self.sizes))]
        first = [rank[leaves].min() for leaves in inside]
        taken, out = set(), []
        for b in range(len(self.sizes)):
            best = min((c for c in self._alike(b) if c not in taken), key=first.__getitem__)
            taken.add(best)
            out += inside[best].tolist()
        return out

    def _inside(self, b, rank):
        """Leaves of a branch in the order that its gate can take."""
        leaves = np.arange(len(rank))[self.spans[b]]
        if self.children[b] is None:
            return leaves
        return leaves[self.children[b].scores.order(np.argsort(rank[leaves]), len(leaves))]

    def _alike(self, b):
        """Branches that can stand in the place of branch b."""
        kind = self.sizes[b], self.children[b]
        return [c for c in range(len(self.sizes)) if (self.sizes[c], self.children[c]) == kind]

    def permute(self, coef, order, K):
        order = np.asarray(order)
        sources = [self._source(b, order[span]) for b, span in enumerate(self.spans)]
        at, parts = {node.branch: coef[node.own] for node in self.nodes}, []
        for node in self.nodes:
            source, inner = None, sources
            if node.branch is not None:
                source = sources[node.branch]
                inner = order[node.leaves] - self.spans[source].start
            parts.append(node.gate.permute(at[source], inner, node.K))
        return np.vstack(parts)

    def _source(self, b, leaves):
        """The branch whose leaves now stand in the place of branch b."""
        for c in self._alike(b):
            if sorted(leaves) == list(range(self.spans[c].start, self.spans[c].stop)):
                return c
        raise ValueError(
            f"order expects branches of the same gate and size to change places as wholes, in a tree with branches "
            f"{self.sizes}, got experts {leaves.tolist()} in one place; pass what `order` returns."
        )


def _clustered(x, resp, sizes):
    """Columns of resp (n, K) in groups of the given sizes, near each other in x (n, d).

    One group after the other is parted from the rest so that the columns' means, weighted by their mass, scatter least
    within the group and within the rest.
    """
    mass, spread = resp.sum(axis=0), x.std(axis=0)
    total = resp.T @ ((x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0))
    groups, left = [], np.arange(len(mass))
    for size in sizes[:-1]:
        member = _subsets(len(left), size)
        sides = np.stack([member, ~member]).astype(float)
        between = np.sum((sides @ total[left]) ** 2, axis=2) / np.maximum(sides @ mass[left], TINY)
        chosen = member[np.argmax(np.round(between.sum(axis=0), 9))]
        groups.append(left[chosen])
        left = left[~chosen]
    return [*groups, left]


@lru_cache(maxsize=256)
def _subsets(K, size):
    """Which of K are in each subset of a size, or in the first of very many, (T, K)."""
    subsets = list(islice(combinations(range(K), size), MOST_SUBSETS))
    member = np.zeros((len(subsets), K), dtype=bool)
    member[np.arange(len(subsets))[:, None], subsets] = True
    return member
