"""Pictures of a fitted mixture of experts, by scikit-learn's Display pattern (matplotlib is imported when drawing)."""

from .calibration import CalibrationDisplay
from .classes import ClassDisplay
from .fit import FitDisplay
from .gate import GateDisplay
from .loglik import LoglikDisplay

__all__ = ["CalibrationDisplay", "ClassDisplay", "FitDisplay", "GateDisplay", "LoglikDisplay"]
