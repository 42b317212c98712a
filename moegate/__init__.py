"""moegate: statistical estimation of mixtures of experts."""

from .bootstrap import bootstrap
from .dendrogram import dendrogram
from .estimators import Checkpoint, LassoPath, MoEClassifier, MoEClassifierCV, MoERegressor, MoERegressorCV, lasso_path
from .formula import from_formula
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
from .inference import infer
from .penalties import ElasticNet, GroupLasso, Lasso, Ridge
from .ratio import likelihood_ratio_test
from .selection import select_n_experts

__version__ = "0.1.0"

__all__ = [
    "ActivationGate",
    "Checkpoint",
    "CosineGate",
    "DenseToSparseGate",
    "ElasticNet",
    "Gate",
    "GroupLasso",
    "GumbelGate",
    "HierarchicalGate",
    "LaplaceGate",
    "Lasso",
    "LassoPath",
    "MoEClassifier",
    "MoEClassifierCV",
    "MoERegressor",
    "MoERegressorCV",
    "ModifiedSoftmaxGate",
    "Ridge",
    "SigmoidGate",
    "SoftmaxGate",
    "SparsemaxGate",
    "TopKGate",
    "__version__",
    "bootstrap",
    "dendrogram",
    "from_formula",
    "infer",
    "lasso_path",
    "likelihood_ratio_test",
    "select_n_experts",
]

# Modules with public names that are not above; `import moegate.plotting` where they are needed.
_MODULES = ["datasets", "diagnostics", "experts", "gates", "metrics", "plotting", "voronoi"]


def __dir__():
    return sorted([*__all__, *_MODULES])
