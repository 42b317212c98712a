"""Trees of gates: stacked scores and the link that multiplies probabilities along a path."""

from .link import TreeLink
from .scores import TreeScores

__all__ = ["TreeLink", "TreeScores"]
