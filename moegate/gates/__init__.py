"""Gates: probabilities pi(x) on the simplex. One file per published gate."""

from .gate import Gate, GateSpec, Link, Scores
from .softmax import Affine, Softmax, SoftmaxGate

GATES = {"softmax": SoftmaxGate}

__all__ = ["GATES", "Affine", "Gate", "GateSpec", "Link", "Scores", "Softmax", "SoftmaxGate"]
