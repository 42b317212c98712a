"""moegate: statistical estimation of mixtures of experts."""

from .estimators import MoERegressor
from .gates import Gate, SoftmaxGate

__version__ = "0.1.0"

__all__ = ["Gate", "MoERegressor", "SoftmaxGate", "__version__"]
