"""The link of a tree of gates: log-probabilities add along the path to a leaf."""

from dataclasses import dataclass, replace

import numpy as np

from ..._kernels import n_pairs
from ..link import Link, pair_sums
from .nodes import TINY, Tree
from .scores import TreeScores

SAFE = 1e-200  # probability of a branch above which those of its leaves tell its gate's


@dataclass(frozen=True)
class TreeLink(Tree, Link):
    """log pi_k: the sum of the log-probabilities of the gates on the path to k."""

    translates = False

    @property
    def smooth(self):
        return all(node.gate.smooth for node in self.nodes)

    @property
    def stacked(self):
        return all(node.gate.link.stacked for node in self.nodes)

    def missing(self, scores):
        if isinstance(scores, TreeScores) and _layout(scores) == _layout(self):
            return None
        return "TreeScores of the same gates and branches (use HierarchicalGate)"

    def flat(self, coef, scores):
        return self.directions(coef, [v.gate.link.flat(coef[v.own], v.gate.scores) for v in self.nodes])

    def gauge(self, coef, scores):
        return np.vstack([v.gate.link.gauge(coef[v.own], v.gate.scores) for v in self.nodes])

    def path(self, K):
        """The gates' own paths side by side; those that are shorter wait at their beginning."""
        paths = [node.gate.link.path(node.K) for node in self.nodes]
        n = max(map(len, paths))
        return tuple(self._with([path[max(0, len(path) - n + t)] for path in paths]) for t in range(n - 1)) + (self,)

    def _with(self, links):
        gates = iter([replace(node.gate, link=link) for node, link in zip(self.nodes, links)])
        root = next(gates)
        return replace(self, root=root, children=tuple(child and next(gates) for child in self.children))

    def __call__(self, S):
        L, _, total = self.parts(S, self.nodes[-1].own.stop)
        return L if total is None else L - np.log(total)[..., None, :]

    def parts(self, S, m):
        root, *rest = self.nodes
        L_root, P_root, total = root.gate.link.parts(S[..., root.rows, :], root.m)
        L, P = (np.repeat(A, self.sizes, axis=-2) for A in (L_root, P_root))
        for node in rest:
            logs, probabilities, divisor = node.gate.link.parts(S[..., node.rows, :], node.m)
            L[..., node.leaves, :] += logs if divisor is None else logs - np.log(divisor)[..., None, :]
            P[..., node.leaves, :] *= probabilities
        return L, P, total

    def _parts_of(self, S, P, A=None):
        """Each gate with its scores, its probabilities, and its shares and part of A or else of P."""
        own = list(self.shares(P))
        for node, (p, reach), (a, part) in zip(self.nodes, own, own if A is None else self.shares(A)):
            s = S[..., node.rows, :]
            if np.min(reach, initial=1.0) < SAFE:
                p = node.gate.link.parts(s, node.m)[1]
            yield node, s, p, a, part

    def jac(self, S, P, m):
        out = np.zeros((*P.shape[:-1], m, P.shape[-1]))
        for node, s, p, _, _ in self._parts_of(S, P):
            J = node.gate.link.jac(s, p, node.m)
            out[..., node.leaves, node.own, :] = np.repeat(J, self.sizes, axis=-3) if node.branch is None else J
        return out

    def pull(self, S, P, R, m):
        out = np.empty((*S.shape[:-2], m, S.shape[-1]))
        for node, s, p, r, part in self._parts_of(S, P, R):
            np.multiply(node.gate.link.pull(s, p, r, node.m), part, out=out[..., node.own, :])
        return out

    def information(self, S, P, m):
        out = np.zeros((*S.shape[:-2], n_pairs(m), S.shape[-1]))
        for node, s, p, _, part in self._parts_of(S, P):
            out[..., node.pairs, :] = node.gate.link.information(s, p, node.m) * part
        return out

    def second(self, S, P, R, m):
        out = np.zeros((n_pairs(m), S.shape[-1]))
        for node, s, p, r, part in self._parts_of(S, P, R):
            out[node.pairs] = node.gate.link.second(s, p, r, node.m) * part
        return out

    def coupling(self, S, P, R, m):
        among = self._among_branches(S, P, R, m)[0]
        share = R / np.repeat(np.maximum(self.by_branch(R), TINY), self.sizes, axis=0)
        out = np.moveaxis(np.repeat(among, self.sizes, axis=0) * share[:, None], 0, 1)
        for node, s, p, r, part in self._parts_of(S, P, R):
            if node.branch is not None:
                out[node.own, node.leaves] += node.gate.link.coupling(s, p, r, node.m) * part
        return out

    def curvature(self, S, P, R, m):
        out = pair_sums(*self._among_branches(S, P, R, m))
        for node, s, p, r, part in self._parts_of(S, P, R):
            out[node.pairs] += node.gate.link.curvature(s, p, r, node.m) * part
        return out

    def _among_branches(self, S, P, R, m):
        """R_b (h_b - sum_c R_c h_c), h_b the score of branch b, and the h of the branches' own gates, (b, m, B) both.

        For the covariance of the score: that of the h over branches and the mean of those inside the branches.
        """
        sums = self.by_branch(R)
        spread, pulls = (np.zeros((len(sums), m, R.shape[-1])) for _ in range(2))
        for node, s, p, r, part in self._parts_of(S, P, R):
            if node.branch is None:
                spread[:, node.own] = np.moveaxis(node.gate.link.coupling(s, p, r, node.m), 0, 1)
            else:
                pulls[node.branch, node.own] = node.gate.link.pull(s, p, r, node.m)
                spread[:, node.own] = sums[:, None] * (pulls[:, node.own] - pulls[node.branch, node.own] * part)
        return spread, pulls


def _layout(tree):
    return tree.sizes, [(node.own, len(node.rows)) for node in tree.nodes]
