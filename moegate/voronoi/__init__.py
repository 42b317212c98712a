"""Distances between a fitted mixture of experts and the true one: Voronoi losses of parameters, losses of densities."""

from .density import Distances, distances_of_classes, distances_of_counts, distances_of_normals
from .loss import VoronoiLoss, voronoi_loss
from .measure import Measure
from .rules import EXPONENTS, RULES, Rule
from .tree import Branches, tree_loss

__all__ = [
    "EXPONENTS",
    "RULES",
    "Branches",
    "Distances",
    "Measure",
    "Rule",
    "VoronoiLoss",
    "distances_of_classes",
    "distances_of_counts",
    "distances_of_normals",
    "tree_loss",
    "voronoi_loss",
]
