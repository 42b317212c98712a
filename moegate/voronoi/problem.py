"""A Voronoi loss as a function of the translation of the gate's slopes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .measure import GROUPS, Measure
from .rules import Rule

FLAT = 1e-28  # squared norm below which Newton's method sees a kink


@dataclass(frozen=True)
class Problem:
    """The loss between two measures at translations (S, g), all at once.

    Parameters
    ----------
    fitted, true : Measure
    rule : Rule
    kind : {"mass", "exp"}
        The weights.
    cap : float
    top : int or None
    exact : bool
        Whether all cells take first powers.
    exponents : dict
        r(m). A cell of another size counts with its weight alone, which is less than its loss.
    """

    fitted: Measure
    true: Measure
    rule: Rule
    kind: str
    cap: float
    top: int
    exact: bool
    exponents: dict

    @cached_property
    def difference(self):
        """w_i - w*_j, (K, K*, g)."""
        gates = [np.column_stack([m.gate, m.bias]) if self.rule.bias else m.gate for m in (self.fitted, self.true)]
        return gates[0][:, None] - gates[1][None]

    @cached_property
    def squares(self):
        """Squared errors of the other groups, each (K, K*)."""
        pairs = [(getattr(self.fitted, name), getattr(self.true, name)) for name in GROUPS[1:]]
        return {n: np.sum((a[:, None] - b[None]) ** 2, axis=-1) for n, (a, b) in zip(GROUPS[1:], pairs, strict=True)}

    @cached_property
    def _rest(self):
        """Sum of `squares`."""
        return sum(self.squares.values())

    @cached_property
    def starts(self):
        """Every translation that takes a fitted atom's slope to a true one's."""
        return np.unique(self.difference.reshape(-1, self.difference.shape[-1]), axis=0)

    @cached_property
    def moving(self):
        """Groups that share a norm with the gate's slopes, in cells of one atom and of more."""
        return {GROUPS, *(groups for groups, _ in self.rule.cells if "gate" in groups)}

    # cells and weights ----------------------------------------------------------------------------------------------

    def cells(self, t):
        """The true atom nearest to each fitted one, (S, K)."""
        away = self.difference - t[:, None, None]
        return np.argmin(np.einsum("skjg,skjg->skj", away, away) + self._rest, axis=-1)

    def member(self, cells):
        """Which fitted atoms are in which cells, (S, K, K*), as numbers."""
        return (cells[..., None] == np.arange(len(self.true))).astype(float)

    @cached_property
    def _weights(self):
        """Weights of the fitted and of the true atoms, without the gauge."""
        if self.kind == "mass":
            return self.fitted.mass, self.true.mass
        return self.fitted.shares, self.true.shares

    def weights(self, member):
        """Weights of the fitted atoms (S, K), of the cells (S, K*) and of the true atoms (K*,)."""
        own, true = self._weights
        cells = own @ member
        if self.kind == "mass":
            return np.broadcast_to(own, member.shape[:2]), cells, true
        unit = _median(cells / true, true)[:, None]
        return own / unit, cells / unit, true

    # the loss -------------------------------------------------------------------------------------------------------

    def _own(self, t, cells):
        """Of each fitted atom and its true one: t - w_i + w*_j (S, K, g), and the groups' squares, (S, K) each."""
        at = np.arange(cells.shape[1])
        away = t[:, None] - self.difference[at, cells]
        squares = {name: square[at, cells] for name, square in self.squares.items()}
        return away, {"gate": np.einsum("skg,skg->sk", away, away), **squares}

    def _terms(self, member, cells):
        """For each size of a cell which atoms it concerns, and the pairs of groups and power."""
        if self.exact:
            yield np.ones(cells.shape, dtype=bool), [(GROUPS, 1.0)]
            return
        sizes = np.take_along_axis(member.sum(axis=1), cells, axis=1).astype(int)
        for m in np.unique(sizes):
            if m in self.exponents:
                yield sizes == m, [(GROUPS, 1.0)] if m == 1 else self.rule.powers(self.exponents[m])

    def _errors(self, t, cells, member):
        """E_ij of each fitted atom in its cell, (S, K)."""
        squares, out = self._own(t, cells)[1], np.zeros(cells.shape)
        for where, terms in self._terms(member, cells):
            parts = [np.minimum(np.sqrt(sum(squares[g] for g in groups)), self.cap) ** power for groups, power in terms]
            out = np.where(where, sum(parts), out)
        return out

    def by_cell(self, t, cells):
        """The loss of each cell, (S, K*), errors and weights apart."""
        member = self.member(cells)
        own, sums, true = self.weights(member)
        weighted = own * self._errors(t, cells, member)
        return (weighted[:, None] @ member)[:, 0], np.abs(sums - true)

    def value(self, t, cells=None):
        """The loss at translations, (S,)."""
        errors, weights = self.by_cell(t, self.cells(t) if cells is None else cells)
        return np.sum((errors + weights) * self.counted(errors + weights), axis=-1)

    def counted(self, by_cell):
        """Which cells count, (S, K*): those of largest loss."""
        if self.top is None or self.top >= by_cell.shape[1]:
            return np.ones(by_cell.shape, dtype=bool)
        rank = np.argsort(np.argsort(-by_cell, axis=1, kind="stable"), axis=1)
        return rank < self.top

    def groups(self, t, cells):
        """By group the weighted norms of the errors, first power, (S,) each."""
        own, squares = self.weights(self.member(cells))[0], self._own(t, cells)[1]
        return {n: np.sum(own * np.minimum(np.sqrt(s), self.cap), axis=1) for n, s in squares.items()}

    # its derivatives ------------------------------------------------------------------------------------------------

    def pulls(self, t, cells):
        """First and second derivative of each atom's loss by half its squared distance, (S, K), and t - w_i + w*_j.

        With the cells fixed the gradient is the sum of first times distance. What lies beyond the cap does not count.
        """
        member, (away, squares) = self.member(cells), self._own(t, cells)
        first, second = np.zeros(cells.shape), np.zeros(cells.shape)
        for where, terms in self._terms(member, cells):
            groups, power = next((g, p) for g, p in terms if "gate" in g)
            n2 = sum(squares[g] for g in groups)
            counts = where & (n2 < self.cap**2) & (n2 > FLAT)
            n2 = np.where(counts, n2, 1.0)
            first = np.where(counts, power * n2 ** (power / 2 - 1), first)
            second = np.where(counts, power * (power - 2) * n2 ** (power / 2 - 2), second)
        own = self.weights(member)[0] * np.take_along_axis(self.counted(sum(self.by_cell(t, cells))), cells, axis=1)
        return own * first, own * second, away


def _median(values, weights):
    """Weighted median of each row of values (S, K*), or the smallest positive one where it is zero."""
    order = np.argsort(values, axis=1)
    sums = np.cumsum(weights[order], axis=1)
    at = np.argmax(sums >= 0.5 * sums[:, -1:] * (1 - 1e-12), axis=1)
    found = np.take_along_axis(values, np.take_along_axis(order, at[:, None], axis=1), axis=1)[:, 0]
    return np.where(found > 0, found, np.min(np.where(values > 0, values, np.inf), axis=1))
