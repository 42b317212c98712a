"""Dense-to-sparse gate: softmax of scores divided by a temperature, from dense (high) to sparse (low)."""

import numbers
import warnings
from dataclasses import dataclass

import numpy as np

from .gate import Gate, GateSpec
from .link import Link
from .softmax import Affine, Softmax


@dataclass(frozen=True)
class Tempered(Link):
    """Another link on s / temperature.

    Parameters
    ----------
    link : Link
    temperature : float
    schedule : tuple of float
        Higher temperatures, decreasing, that a continuation passes through first.
    """

    link: Link
    temperature: float = 1.0
    schedule: tuple = ()

    @property
    def smooth(self):
        return self.link.smooth

    @property
    def stacked(self):
        return self.link.stacked

    @property
    def translates(self):
        return self.link.translates

    @property
    def sees_scale(self):
        return self.link.sees_scale

    @property
    def exponent(self):
        return None if self.link.exponent is None else self.link.exponent / self.temperature

    @property
    def damping(self):
        return self.link.damping

    def missing(self, scores):
        return self.link.missing(scores)

    def flat(self, coef, scores):
        return self.link.flat(coef, scores)

    def gauge(self, coef, scores):
        return self.link.gauge(coef, scores)

    def check(self, K):
        check_temperature(self.temperature)
        self.link.check(K)

    def path(self, K):
        inner = self.link.path(K)
        warm = [Tempered(inner[0], temperature) for temperature in self.schedule]
        return (*warm, *(Tempered(link, self.temperature) for link in inner[:-1]), self)

    def __call__(self, S):
        return self.link(S / self.temperature)

    def parts(self, S, m):
        return self.link.parts(S / self.temperature, m)

    def jac(self, S, P, m):
        return self.link.jac(S / self.temperature, P, m) / self.temperature

    def pull(self, S, P, R, m):
        return self.link.pull(S / self.temperature, P, R, m) / self.temperature

    def information(self, S, P, m):
        return self.link.information(S / self.temperature, P, m) / self.temperature**2

    def coupling(self, S, P, R, m):
        return self.link.coupling(S / self.temperature, P, R, m) / self.temperature

    def curvature(self, S, P, R, m):
        return self.link.curvature(S / self.temperature, P, R, m) / self.temperature**2

    def second(self, S, P, R, m):
        return self.link.second(S / self.temperature, P, R, m) / self.temperature**2


def check_temperature(value, hint=""):
    """A finite number above zero."""
    number = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
    if not number or not 0 < value < np.inf:
        raise ValueError(f"temperature expects a finite number > 0{hint}, got {value!r}; use 1.0 for the plain gate.")
    return float(value)


class DenseToSparseGate(GateSpec):
    """Softmax gate with a temperature: pi(x) = softmax((w_k'x + b_k) / tau).

    Only w / tau and b / tau are identified, up to a common translation: dof = (K - 1)(d + 1), whatever is done with
    the temperature. `gate_coef_` are the w, the last expert the reference inside the solver. It does not change under
    affine maps of x.

    Parameters
    ----------
    temperature : float or "learn", default=1.0
        tau. A learned temperature adds no degree of freedom: "learn" fits the gate of temperature one, whose
        coefficients are w / tau, and warns.
    schedule : sequence of float, optional
        Decreasing temperatures above `temperature` that a fit passes through before it.

    Warns
    -----
    UserWarning
        For "learn", when the gate is built.

    References
    ----------
    .. [1] Nguyen, Akbarian & Ho (2024), Is temperature sample efficient for softmax Gaussian mixture of experts?,
       arXiv:2401.13875.

    Examples
    --------
    >>> from moegate import DenseToSparseGate
    >>> gate = DenseToSparseGate(temperature=0.5, schedule=(4, 2, 1)).build(2)
    >>> [step.link.temperature for step in gate.path(2)]
    [4.0, 2.0, 1.0, 0.5]
    """

    def __init__(self, temperature=1.0, schedule=None):
        self.temperature = temperature
        self.schedule = schedule

    def build(self, n_experts):
        learned = isinstance(self.temperature, str) and self.temperature == "learn"
        temperature = 1.0 if learned else check_temperature(self.temperature, ' or "learn"')
        gate = Gate(Affine(), Tempered(Softmax(), temperature, self._schedule(temperature)))
        if learned:
            warnings.warn(
                "The temperature itself is not identified with linear scores: gate_coef_ and gate_intercept_ are "
                "slopes and intercepts over temperature. Pass a number to fix it.",
                UserWarning,
                stacklevel=2,
            )
        return gate

    def _schedule(self, temperature):
        steps = np.asarray([] if self.schedule is None else self.schedule)
        numeric = steps.ndim == 1 and (not steps.size or steps.dtype.kind in "iuf") and np.all(np.isfinite(steps))
        if not numeric or np.any(np.diff(np.append(steps, temperature)) >= 0):
            raise ValueError(
                f"schedule expects decreasing temperatures above the last one, {temperature:g}, "
                f"got {self.schedule!r}; pass for example {(4 * temperature, 2 * temperature)}, or None."
            )
        return tuple(float(step) for step in steps)
