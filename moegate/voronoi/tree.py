"""Voronoi loss of a tree of gates: branches are matched with branches, then the children inside each pair."""

from itertools import permutations
from typing import NamedTuple

import numpy as np

from .loss import voronoi_loss


class Branches(NamedTuple):
    """A tree of two levels.

    Attributes
    ----------
    root : Measure
        One atom for each branch, without expert parameters.
    children : list of Measure
        The experts of each branch; their mass is that of the whole tree, so that it sums to the branch's.
    """

    root: object
    children: list


def tree_loss(fitted, true, root="softmax", children="softmax", **given):
    """The smallest sum, over the ways to match branches, of the root's loss and those of the branches' children.

    Children count with their mass in the whole tree, or, under weights="exp", with exp(b) of the branch and the child.

    Parameters
    ----------
    fitted, true : Branches
        With equally many branches; a branch may have more fitted children than true ones.
    root, children : str or Rule, default="softmax"
        Rules of the two levels.
    **given
        Passed to `voronoi_loss`.

    Returns
    -------
    total : float
    root_loss : VoronoiLoss
    child_losses : list of VoronoiLoss
        In the order of the true branches, under weights="exp" before they are multiplied by the branch's.

    Raises
    ------
    ValueError
        For different numbers of branches.
    """
    B = len(true.children)
    if len(fitted.children) != B:
        raise ValueError(f"tree_loss expects as many branches as the truth, {B}, got {len(fitted.children)}.")
    return min((_matched(fitted, true, order, root, children, given) for order in permutations(range(B))), key=_total)


def _total(found):
    return found[0]


def _matched(fitted, true, order, root, children, given):
    top = _root_loss(fitted.root.take(list(order)), true.root, root, given)
    pairs = zip(order, true.children, strict=True)
    below = [voronoi_loss(fitted.children[b], child, children, **given) for b, child in pairs]
    share = true.root.shares if given.get("weights") == "exp" else np.ones(len(below))
    return top.total + float(share @ [loss.total for loss in below]), top, below


def _root_loss(fitted, true, rule, given):
    """The root's loss with branch b in the cell of branch b: a label in place of an expert keeps them apart."""
    far = 1e6 * np.arange(len(true.bias))[:, None]
    labelled = (type(m).of(m.bias, m.gate, m.slope, far, None, m.mass) for m in (fitted, true))
    return voronoi_loss(*labelled, rule, **given)
