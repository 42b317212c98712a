"""A mixing measure: the atoms of a mixture of experts, each with its weight."""

from dataclasses import dataclass, replace

import numpy as np

GROUPS = ("gate", "slope", "intercept", "variance")


@dataclass(frozen=True)
class Measure:
    """Atoms (gate, slope, intercept, variance) with weights exp(bias).

    Parameters
    ----------
    bias : ndarray of shape (K,)
        Gate intercepts b_k.
    gate : ndarray of shape (K, g)
        Gate slopes w_k, or centres.
    slope : ndarray of shape (K, q)
        Expert slopes a_k; of classes flattened, less those of the last class.
    intercept : ndarray of shape (K, r)
        Expert intercepts c_k.
    variance : ndarray of shape (K, s)
        Expert variances v_k; s = 0 where there is none.
    mass : ndarray of shape (K,), optional
        Average gate probabilities E pi_k(x).

    Examples
    --------
    >>> import numpy as np
    >>> from moegate.voronoi import Measure
    >>> Measure.of(bias=[-8, 0], gate=[25, 0], slope=[-20, 20], intercept=[15, -5], variance=[0.09, 0.16]).gate.shape
    (2, 1)
    """

    bias: np.ndarray
    gate: np.ndarray
    slope: np.ndarray
    intercept: np.ndarray
    variance: np.ndarray
    mass: np.ndarray = None

    @classmethod
    def of(cls, bias, gate, slope, intercept, variance=None, mass=None):
        """From anything that has one entry or row for each atom."""
        bias = np.asarray(bias, dtype=float)
        K = len(bias)
        groups = [np.zeros((K, 0)) if part is None else part for part in (gate, slope, intercept, variance)]
        tables = [np.asarray(part, dtype=float).reshape(K, -1) for part in groups]
        return cls(bias, *tables, None if mass is None else np.asarray(mass, dtype=float))

    @classmethod
    def from_named(cls, named, mass=None):
        """From the named arrays of `model_.unpack(theta_)`.

        Parameters
        ----------
        named : dict
            `gate_coef` or `gate_center`, `gate_intercept`, `coef`, `intercept`, and of Gaussian experts `sigma`.
        mass : array-like of shape (K,), optional
            `predict_gate(X).mean(axis=0)`.
        """
        gate = named["gate_center"] if "gate_center" in named else named["gate_coef"]
        slope, intercept = named["coef"], named["intercept"]
        if intercept.ndim == 2:  # classes: only differences to the last one are identified
            slope, intercept = slope[:, :-1] - slope[:, -1:], intercept[:, :-1] - intercept[:, -1:]
        variance = named["sigma"] ** 2 if "sigma" in named else None
        return cls.of(named["gate_intercept"], gate, slope, intercept, variance, mass)

    def __len__(self):
        return len(self.bias)

    @property
    def shares(self):
        """Weights exp(b_k) with the sum one, (K,)."""
        out = np.exp(self.bias - self.bias.max())
        return out / out.sum()

    def take(self, order):
        """The atoms in another order, or some of them."""
        parts = {name: getattr(self, name)[order] for name in ("bias", *GROUPS)}
        return replace(self, **parts, mass=None if self.mass is None else self.mass[order])

    def swapped(self):
        """Of two experts behind sigmoid or tanh activations, the other form (w_1, w_2) -> (-w_2, -w_1) of the gate."""
        if len(self) != 2:
            raise ValueError(f"swapped expects two atoms, got {len(self)}.")
        return replace(self, gate=-self.gate[::-1])
