"""Modified softmax gate: softmax with scores affine in a bounded transform of the columns."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from .gate import Gate, GateSpec
from .softmax import Affine, Softmax

TRANSFORMS = {"tanh": np.tanh, "sigmoid": expit}


@dataclass(frozen=True)
class Modified(Affine):
    """s_k(x) = w_k'M(x) + b_k, M elementwise on x in user units.

    Parameters
    ----------
    reference : bool
        Whether the last score is pinned at zero.
    transform : callable
        M.
    """

    sized = True

    transform: object = np.tanh

    linear = False
    invariant = False

    def _seen(self, design):
        return replace(design, Z=np.vstack([self.transform(design.x[:-1]), design.x[-1:]]))

    def __call__(self, coef, design, K):
        return super().__call__(coef, self._seen(design), K)

    def ridge(self, K, center, scale, unit, translates):
        """Slopes per unit of M(x), which is bounded."""
        return self._squares(K, np.ones(len(scale)), self.reference or translates)

    def features(self, coef, design):
        Z = self._seen(design).Z
        return np.broadcast_to(Z, coef.shape[:-1] + Z.shape)


class ModifiedSoftmaxGate(GateSpec):
    """Modified softmax gate: pi(x) = softmax(w_k'M(x) + b_k); the experts still see x.

    Identified up to a common translation of (w, b): dof = (K - 1)(d + 1). The last expert is the reference inside the
    solver, the reported coefficients are centred and belong to M(x). M acts on x in the units passed, so that the gate
    changes with them.

    Parameters
    ----------
    transform : {"tanh", "sigmoid"} or callable, default="tanh"
        M, elementwise and bounded; a callable takes an array and returns one of the same shape.

    References
    ----------
    .. [1] Nguyen, Akbarian, Nguyen & Ho (2024), A general theory for softmax gating multinomial logistic mixture of
       experts, arXiv:2310.14188.

    Examples
    --------
    >>> from moegate import ModifiedSoftmaxGate
    >>> ModifiedSoftmaxGate(transform="sigmoid").build(3).scores.n_scores(3)
    2
    """

    def __init__(self, transform="tanh"):
        self.transform = transform

    def build(self, n_experts):
        scores = Modified(transform=self._transform())
        return Gate(scores if n_experts > 1 else Affine(), Softmax())  # one expert alone has no scores

    def _transform(self):
        named = isinstance(self.transform, str)
        transform = TRANSFORMS.get(self.transform) if named else self.transform
        if not callable(transform):
            raise ValueError(
                f"transform expects one of {sorted(TRANSFORMS)} or a callable on arrays, got {self.transform!r}; "
                'use transform="tanh".'
            )
        with np.errstate(all="ignore"):  # zero need not be among the columns' values
            shape = np.shape(transform(np.zeros((2, 3))))
        if shape != (2, 3):
            raise ValueError(
                f"transform expects to act elementwise, but an array of shape (2, 3) gave one of shape {shape}; "
                "return one value for each."
            )
        return transform
