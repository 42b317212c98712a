"""moegate: statistical estimation of mixtures of experts."""

from .dendrogram import dendrogram
from .estimators import MoEClassifier, MoERegressor
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
from .penalties import Ridge
from .selection import select_n_experts

__version__ = "0.1.0"

__all__ = [
    "ActivationGate",
    "CosineGate",
    "DenseToSparseGate",
    "Gate",
    "GumbelGate",
    "HierarchicalGate",
    "LaplaceGate",
    "MoEClassifier",
    "MoERegressor",
    "ModifiedSoftmaxGate",
    "Ridge",
    "SigmoidGate",
    "SoftmaxGate",
    "SparsemaxGate",
    "TopKGate",
    "__version__",
    "dendrogram",
    "select_n_experts",
]
