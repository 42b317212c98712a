"""Gates: probabilities pi(x) on the simplex. One file per published gate."""

from .activation import Activated, ActivatedSoftmax, ActivationGate
from .cosine import Cosine, CosineGate
from .dense_to_sparse import DenseToSparseGate, Tempered
from .gate import Gate, GateSpec
from .gumbel import GumbelGate, GumbelSoftmax
from .hierarchical import HierarchicalGate
from .laplace import Laplace, LaplaceGate
from .link import Link
from .modified_softmax import Modified, ModifiedSoftmaxGate
from .scores import Scores
from .sigmoid import Sigmoid, SigmoidGate
from .softmax import Affine, Softmax, SoftmaxGate
from .sparsemax import SoftSparsemax, Sparsemax, SparsemaxGate
from .top_k import Slopes, SoftTopK, TopK, TopKGate

GATES = {
    "softmax": SoftmaxGate,
    "dense_to_sparse": DenseToSparseGate,
    "activation": ActivationGate,
    "modified_softmax": ModifiedSoftmaxGate,
    "laplace": LaplaceGate,
    "sigmoid": SigmoidGate,
    "cosine": CosineGate,
    "top_k": TopKGate,
    "sparsemax": SparsemaxGate,
    "gumbel": GumbelGate,
    "hierarchical": HierarchicalGate,
}

__all__ = [
    "Activated",
    "ActivatedSoftmax",
    "ActivationGate",
    "Affine",
    "Cosine",
    "CosineGate",
    "DenseToSparseGate",
    "GATES",
    "Gate",
    "GateSpec",
    "GumbelGate",
    "GumbelSoftmax",
    "HierarchicalGate",
    "Laplace",
    "LaplaceGate",
    "Link",
    "Modified",
    "ModifiedSoftmaxGate",
    "Scores",
    "Sigmoid",
    "SigmoidGate",
    "Slopes",
    "SoftSparsemax",
    "SoftTopK",
    "Softmax",
    "SoftmaxGate",
    "Sparsemax",
    "SparsemaxGate",
    "Tempered",
    "TopK",
    "TopKGate",
]
