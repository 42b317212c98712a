"""moegate: statistical estimation of mixtures of experts."""

from .estimators import MoERegressor
from .gates import (
    ActivationGate,
    CosineGate,
    DenseToSparseGate,
    Gate,
    GumbelGate,
    HierarchicalGate,
    LaplaceGate,
    ModifiedSoftmaxGate,
    SigmoidGate,
    SoftmaxGate,
    SparsemaxGate,
    TopKGate,
)

__version__ = "0.1.0"

__all__ = [
    "ActivationGate",
    "CosineGate",
    "DenseToSparseGate",
    "Gate",
    "GumbelGate",
    "HierarchicalGate",
    "LaplaceGate",
    "MoERegressor",
    "ModifiedSoftmaxGate",
    "SigmoidGate",
    "SoftmaxGate",
    "SparsemaxGate",
    "TopKGate",
    "__version__",
]
