"""The Voronoi loss of a fitted measure: errors inside the cells of the true atoms, and of their weights."""

from typing import NamedTuple

import numpy as np

from .measure import GROUPS
from .problem import Problem
from .rules import EXPONENTS, RULES
from .search import search


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


def voronoi_loss(
    fitted, true, rule="softmax", weights="mass", cap=1.0, top=None, exponents=None, translate=True, exact=None
):
    """Voronoi loss between two mixing measures.

    Fitted atom i belongs to the cell of the true atom nearest to it in (w - t, a, c, v). With weights p_i,

        sum_j sum_{i in cell j} p_i E_ij + sum_j | sum_{i in cell j} p_i - p*_j |,

    E_ij is the norm of the error (w_i - t - w*_j, a_i - a*_j, c_i - c*_j, v_i - v*_j) in a cell of one atom, and in a
    cell of m > 1 of them, for the softmax gate, ||(dw, dc)||^r(m) + ||(da, dv)||^(r(m) / 2) with r(2) = 4, r(3) = 6.
    The loss is the smallest over the translations t that the gate cannot see, cells being found anew at each: with one
    gate slope exactly, with more by a search along lines, which can miss it where fit and truth are far apart.

    Parameters
    ----------
    fitted, true : Measure
    rule : str or Rule, default="softmax"
        "softmax", "laplace", "multinomial", "activation", "sigmoid".
    weights : {"mass", "exp"}, default="mass"
        Average gate probabilities; or exp(b), as in the papers, the true ones with the sum one, the fitted ones divided
        by the weighted median of the cells' ratios to them, since a common shift of all b cannot be seen.
    cap : float or None, default=1.0
        Norms count up to it: the theory's parameter set is compact, that of a fit is not. None is the papers' form.
    top : int, optional
        Of a top-K gate: only so many cells count, those of largest loss: the maximum over subsets of true atoms.
    exponents : dict, optional
        r(m) by m, beside the known ones.
    translate : bool, default=True
        False leaves the infimum out: not a loss, for comparison.
    exact : bool, optional
        Whether every cell takes first powers, of however many atoms; by default where fit and truth have equally many.

    Returns
    -------
    VoronoiLoss

    Raises
    ------
    ValueError
        For a cell of so many atoms that r(m) is not known, at the smallest value that the loss could have; for missing
        masses; for exp(b) of a gate whose weights these are not; for atoms of different dimensions.

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
    rule = _named(rule)
    _check(fitted, true, rule, weights)
    given = [rule, weights, np.inf if cap is None else cap, top, len(fitted) == len(true) if exact is None else exact]
    forms = (fitted, fitted.swapped()) if rule.swaps and len(fitted) == len(true) == 2 else (fitted,)
    problems = [Problem(form, true, *given, EXPONENTS | (exponents or {})) for form in forms]
    return min((_smallest(problem, translate) for problem in problems), key=lambda loss: loss.total)


def _smallest(problem, translate):
    """The loss at the best translation, in parts."""
    origin = np.zeros(problem.difference.shape[-1])
    t = search(problem) if translate and problem.rule.translates else origin
    cells = problem.cells(t[None])
    largest = int(np.bincount(cells[0]).max())
    if not problem.exact and largest not in problem.exponents:
        raise ValueError(
            f"A cell has {largest} atoms, and r({largest}) >= 7 is not known; pass exponents={{{largest}: r}}."
        )
    errors, weights = problem.by_cell(t[None], cells)
    counted = problem.counted(errors + weights)
    groups = {name: float(part[0]) for name, part in problem.groups(t[None], cells).items()}
    total, weights = (float(np.sum(part * counted)) for part in (errors + weights, weights))
    return VoronoiLoss(total, weights, groups, cells[0], t)


def _named(rule):
    if not isinstance(rule, str):
        return rule
    if rule not in RULES:
        raise ValueError(f"rule expects one of {sorted(RULES)} or a Rule, got {rule!r}.")
    return RULES[rule]


def _check(fitted, true, rule, weights):
    if weights not in ("mass", "exp"):
        raise ValueError(f'weights expects "mass" or "exp", got {weights!r}.')
    if weights == "mass" and (fitted.mass is None or true.mass is None):
        raise ValueError('weights="mass" expects both measures with their mass; pass it, or weights="exp".')
    if weights == "exp" and rule.bias:
        raise ValueError('weights="exp" expects a gate with weights exp(b), which this rule\'s is not; pass "mass".')
    for name in GROUPS:
        widths = [getattr(measure, name).shape[1] for measure in (fitted, true)]
        if widths[0] != widths[1]:
            raise ValueError(f"{name} expects as many columns as that of the truth, {widths[1]}, got {widths[0]}.")
