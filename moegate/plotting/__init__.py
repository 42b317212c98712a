"""Pictures of a fitted mixture of experts, by scikit-learn's Display pattern (matplotlib is imported when drawing)."""

from .calibration import CalibrationDisplay
from .classes import ClassDisplay
from .dendrogram import DendrogramDisplay
from .fit import FitDisplay
from .gate import GateDisplay
from .loglik import LoglikDisplay
from .path import LassoPathDisplay
from .selection import SelectionDisplay

__all__ = [
    "CalibrationDisplay",
    "ClassDisplay",
    "DendrogramDisplay",
    "FitDisplay",
    "GateDisplay",
    "LassoPathDisplay",
    "LassoPathDisplay",
    "LoglikDisplay",
    "SelectionDisplay",
]
