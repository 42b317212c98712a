"""The Voronoi loss of a fitted measure: errors inside the cells of the true atoms, and of their weights."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from .measure import GROUPS
from .rules import EXPONENTS, RULES

ROUNDS, STEPS, HALVINGS = 20, 12, 8  # of cells against translation, of Newton's method, of its step
EDGE = 1e-9  # relative distance from a border at which a cell is taken to be beyond doubt
CLOSE = 1e-10  # relative fall of the loss below which a search has ended


class VoronoiLoss(NamedTuple):
    """A Voronoi loss and what it consists of.

    Attributes
    ----------
    total : float
    weights : float
        The part of the cells' weights.
    groups : dict
        By group of parameters the weighted norm of its errors, first power.
    cells : ndarray of shape (K,)
        The true atom of each fitted one.
    translation : ndarray of shape (g,)
        Of the fitted gate slopes, at which the loss is smallest.
    """

    total: float
    weights: float
    groups: dict
    cells: np.ndarray
    translation: np.ndarray

    @property
    def sizes(self):
        """Fitted atoms of each cell that has any, largest first."""
        counts = np.bincount(self.cells)
        return tuple(sorted(counts[counts > 0].tolist(), reverse=True))


def voronoi_loss(fitted, true, rule="softmax", weights="mass", cap=1.0, top=None, exponents=None, translate=True):
    """Voronoi loss between two mixing measures.

    Fitted atom i belongs to the cell of the true atom nearest to it in (w - t, a, c, v). With weights p_i,

        sum_j sum_{i in cell j} p_i E_ij + sum_j | sum_{i in cell j} p_i - p*_j |,

    E_ij is the norm of the error (w_i - t - w*_j, a_i - a*_j, c_i - c*_j, v_i - v*_j) in a cell of one atom, and in a
    cell of m > 1 of them, for the softmax gate, ||(dw, dc)||^r(m) + ||(da, dv)||^(r(m) / 2) with r(2) = 4, r(3) = 6.
    The loss is the smallest over the translations t that the gate cannot see, cells being found anew at each.

    Parameters
    ----------
    fitted, true : Measure
    rule : str or Rule, default="softmax"
        "softmax", "laplace", "multinomial", "activation", "sigmoid".
    weights : {"mass", "exp"}, default="mass"
        Average gate probabilities; or exp(b), as in the papers, the fitted ones divided by the weighted median of the
        cells' ratios to the true ones, since a common shift of all b cannot be seen.
    cap : float or None, default=1.0
        Norms count up to it: the theory's parameter set is compact, that of a fit is not. None is the papers' form.
    top : int, optional
        Of a top-K gate: only so many cells count, those of largest loss.
    exponents : dict, optional
        r(m) by m, beside the known ones.
    translate : bool, default=True
        False leaves the infimum out: not a loss, for comparison.

    Returns
    -------
    VoronoiLoss

    Raises
    ------
    ValueError
        Where a cell has so many atoms that r(m) is not known, or masses are missing.

    References
    ----------
    .. [1] Nguyen, Nguyen & Ho (2023), Demystifying softmax gating function in Gaussian mixture of experts,
       arXiv:2305.03288.
    .. [2] Nguyen, Akbarian, Yan & Ho (2024), Statistical perspective of top-K sparse softmax gating mixture of experts,
       arXiv:2309.13850.

    Examples
    --------
    >>> from moegate.voronoi import Measure, voronoi_loss
    >>> true = Measure.of(bias=[-8, 0], gate=[25, 0], slope=[-20, 20], intercept=[15, -5], variance=[0.09, 0.16])
    >>> moved = Measure.of(bias=[0, 8], gate=[26, 1], slope=[-20, 20], intercept=[15, -5], variance=[0.09, 0.26])
    >>> round(voronoi_loss(moved, true, weights="exp").total, 3)
    0.1
    """
    rule = RULES[rule] if isinstance(rule, str) else rule
    known = EXPONENTS | (exponents or {})
    problem = Problem(fitted, true, rule, weights, np.inf if cap is None else cap, top, known)
    t = problem.search() if translate and rule.translates else np.zeros((1, problem.difference.shape[-1]))
    values = problem.value(t)
    return problem.described(t[np.argmin(values)])


class Problem:
    """The loss as a function of translations (S, g), all at once."""

    def __init__(self, fitted, true, rule, weights, cap, top, exponents):
        self.fitted, self.true, self.rule, self.cap, self.top = fitted, true, rule, cap, top
        self.exponents, self.kind = exponents, weights
        if weights not in ("mass", "exp"):
            raise ValueError(f'weights expects "mass" or "exp", got {weights!r}.')
        if weights == "mass" and (fitted.mass is None or true.mass is None):
            raise ValueError('weights="mass" expects both measures with their mass; pass it, or weights="exp".')

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

    @property
    def starts(self):
        """Every translation that takes a fitted atom's slope to a true one's."""
        return np.unique(self.difference.reshape(-1, self.difference.shape[-1]), axis=0)

    # the loss at translations ---------------------------------------------------------------------------------------

    def cells(self, t):
        """The true atom nearest to each fitted one, (S, K)."""
        gate = np.sum((self.difference[None] - t[:, None, None]) ** 2, axis=-1)
        return np.argmin(gate + sum(self.squares.values()), axis=-1)

    def weights(self, cells):
        """Weights of the fitted atoms (S, K), of the cells (S, K*) and of the true atoms (K*,)."""
        member = cells[..., None] == np.arange(len(self.true))
        if self.kind == "mass":
            own, true = np.broadcast_to(self.fitted.mass, cells.shape), self.true.mass
        else:
            shift = self.fitted.bias.max()
            true = np.exp(self.true.bias)
            own = np.broadcast_to(np.exp(self.fitted.bias - shift), cells.shape)
            own = own / _median(np.einsum("sk,skj->sj", own, member) / true, true)[:, None]
        return own, np.einsum("sk,skj->sj", own, member), true

    def _own(self, cells):
        """Of each fitted atom and its true one: w_i - w*_j (S, K, g), the other groups' squares (S, K), cell sizes."""
        at = np.arange(cells.shape[1])
        sizes = np.sum(cells[..., None] == np.arange(len(self.true)), axis=1)
        squares = {name: square[at, cells] for name, square in self.squares.items()}
        return self.difference[at, cells], squares, np.take_along_axis(sizes, cells, axis=1)

    def _terms(self, sizes):
        """For each size of a cell which atoms it concerns, and the pairs of groups and power."""
        for m in np.unique(sizes):
            r = self.exponents.get(int(m), max(self.exponents.values()))
            yield sizes == m, [(GROUPS, 1.0)] if m == 1 else self.rule.powers(r)

    def errors(self, t, cells):
        """E_ij of each fitted atom in its cell, (S, K)."""
        difference, squares, sizes = self._own(cells)
        squares = {"gate": np.sum((difference - t[:, None]) ** 2, axis=-1), **squares}
        out = np.zeros(cells.shape)
        for where, terms in self._terms(sizes):
            parts = [np.minimum(np.sqrt(sum(squares[g] for g in groups)), self.cap) ** power for groups, power in terms]
            out = np.where(where, sum(parts), out)
        return out

    def by_cell(self, t, cells):
        """The loss of each cell, (S, K*), errors and weights apart."""
        own, sums, true = self.weights(cells)
        member = cells[..., None] == np.arange(len(self.true))
        return np.einsum("sk,skj->sj", own * self.errors(t, cells), member), np.abs(sums - true)

    def value(self, t, cells=None):
        """The loss at translations, (S,)."""
        errors, weights = self.by_cell(t, self.cells(t) if cells is None else cells)
        return self._summed(errors + weights).sum(axis=-1)

    def _summed(self, by_cell):
        """The cells that count."""
        return by_cell if self.top is None else np.sort(by_cell, axis=-1)[..., -self.top :]

    def described(self, t):
        """The loss at one translation, in parts."""
        t = t[None]
        cells = self.cells(t)
        largest = np.bincount(cells[0]).max()
        if largest not in self.exponents:
            raise ValueError(
                f"A cell has {largest} atoms, and r({largest}) >= 7 is not known; pass exponents={{{largest}: r}}."
            )
        own, difference, squares = self.weights(cells)[0], *self._own(cells)[:2]
        squares = {"gate": np.sum((difference - t[:, None]) ** 2, axis=-1), **squares}
        groups = {n: float(np.sum(own * np.minimum(np.sqrt(s), self.cap))) for n, s in squares.items()}
        weights = float(self.by_cell(t, cells)[1].sum())
        return VoronoiLoss(float(self.value(t)[0]), weights, groups, cells[0], t[0])

    # the smallest loss ----------------------------------------------------------------------------------------------

    def search(self):
        """Translations after alternating between cells and the best translation for them, from all starts.

        In one dimension the borders of the cells are points, and each interval between them is searched by itself.
        """
        starts = self.starts
        low, high = np.full_like(starts, -np.inf), np.full_like(starts, np.inf)
        if starts.shape[1] == 1:
            starts, low, high = self.intervals(starts[:, 0])
        t, value = starts, self.value(starts)
        for _ in range(ROUNDS):
            moved = self.descended(t, self.cells(t), low, high)
            found = self.value(moved)
            better = found < value - CLOSE * np.abs(value)
            if not better.any():
                break
            t, value = np.where(better[:, None], moved, t), np.minimum(found, value)
        return np.vstack([starts, t])

    def intervals(self, starts):
        """Starts in every interval of translations between borders of cells, and the interval's ends, (S, 1) each."""
        D, rest = self.difference[..., 0], sum(self.squares.values())
        j, k = np.triu_indices(D.shape[1], 1)
        with np.errstate(divide="ignore", invalid="ignore"):  # |D_j - t|^2 + rest_j = |D_k - t|^2 + rest_k
            border = (D[:, j] ** 2 + rest[:, j] - D[:, k] ** 2 - rest[:, k]) / (2 * (D[:, j] - D[:, k]))
        border = np.unique(border[np.isfinite(border)])
        edge = EDGE * (1 + np.abs(border))
        inner = np.sort(np.concatenate([border - edge, border + edge]))
        ends = np.concatenate([[-np.inf], inner, [np.inf]])
        middle = (inner[1:-1:2] + inner[2::2]) / 2
        starts = np.unique(np.concatenate([starts, inner, middle]))
        at = np.searchsorted(ends, starts, side="right")
        return starts[:, None], ends[at - 1][:, None], ends[np.minimum(at, len(ends) - 1)][:, None]

    def descended(self, t, cells, low, high):
        """Newton's method on the convex problem with the cells fixed, halved until the loss falls."""
        value = self.value(t, cells)
        for _ in range(STEPS):
            step, moved = self._newton(t, cells), False
            for _ in range(HALVINGS):
                trial = np.clip(t + step, low, high)
                found = self.value(trial, cells)
                better = found < value - CLOSE * np.abs(value)
                t, value = np.where(better[:, None], trial, t), np.where(better, found, value)
                moved |= better.any()
                step = np.where(better[:, None], 0.0, step / 2)
            if not moved:
                break
        return t

    def _newton(self, t, cells):
        """Newton's step of each translation; norms beyond the cap do not pull."""
        difference, squares, sizes = self._own(cells)
        own, away = self.weights(cells)[0], t[:, None] - difference
        gate = np.sum(away**2, axis=-1)
        first, second = np.zeros(gate.shape), np.zeros(gate.shape)
        for where, terms in self._terms(sizes):
            groups, power = next((g, p) for g, p in terms if "gate" in g)
            n2 = gate + sum(squares[g] for g in groups if g != "gate")
            pulls = where & (n2 < self.cap**2) & (n2 > 1e-28)
            n2 = np.where(pulls, n2, 1.0)
            first = np.where(pulls, power * n2 ** (power / 2 - 1), first)
            second = np.where(pulls, power * (power - 2) * n2 ** (power / 2 - 2), second)
        gradient = np.einsum("sk,skg->sg", own * first, away)
        eye = np.eye(t.shape[1])
        hessian = np.sum(own * first, axis=1)[:, None, None] * eye
        hessian = hessian + np.einsum("sk,skg,skh->sgh", own * second, away, away)
        size = 1e-12 * np.abs(hessian).max(axis=(1, 2), initial=0.0) + 1e-300
        return -np.linalg.solve(hessian + size[:, None, None] * eye, gradient[..., None])[..., 0]


def _median(values, weights):
    """Weighted median of each row of values (S, K*), the positive ones."""
    order = np.argsort(values, axis=1)
    sums = np.cumsum(weights[order], axis=1)
    at = np.argmax(sums >= 0.5 * sums[:, -1:] * (1 - 1e-12), axis=1)
    found = np.take_along_axis(values, np.take_along_axis(order, at[:, None], axis=1), axis=1)[:, 0]
    return np.where(found > 0, found, np.max(values, axis=1))
