"""Activation gate: softmax of an activation of the linear scores, over a temperature."""

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtr

from .dense_to_sparse import Tempered, check_temperature
from .gate import Gate, GateSpec
from .laplace import Shifted
from .sigmoid import Elementwise
from .softmax import Affine, Softmax

GRID = np.array([-3.0, -1.1, -0.3, 0.2, 0.7, 1.9])


def _slope_of_sigmoid(t):
    return expit(t) * expit(-t)


def _bend_of_sigmoid(t):
    return _slope_of_sigmoid(t) * (1 - 2 * expit(t))


def _slope_of_tanh(t):
    return 1 - np.tanh(t) ** 2


def _bend_of_tanh(t):
    return -2 * np.tanh(t) * _slope_of_tanh(t)


def _normal(t):
    return np.exp(-0.5 * t * t) / np.sqrt(2 * np.pi)


def _gelu(t):
    return t * ndtr(t)


def _slope_of_gelu(t):
    return ndtr(t) + t * _normal(t)


def _bend_of_gelu(t):
    return (2 - t * t) * _normal(t)


@dataclass(frozen=True)
class Difference:
    """Derivative of a function by central differences, elementwise."""

    function: object
    step: float = 6e-6

    def __call__(self, t):
        h = self.step * np.maximum(1.0, np.abs(t))
        return (self.function(t + h) - self.function(t - h)) / ((t + h) - (t - h))


class Activation(NamedTuple):
    """A function of one variable and its first two derivatives."""

    value: object
    slope: object
    bend: object

    @property
    def homogeneous(self):
        """Whether f(2t) = 2 f(t): a common scale of t then passes through it."""
        return bool(np.allclose(self.value(2 * GRID), 2 * self.value(GRID), rtol=1e-12, atol=1e-14))

    @property
    def affine(self):
        """Whether the slope is the same everywhere."""
        return bool(np.ptp(self.slope(GRID)) < 1e-12)


ACTIVATIONS = {
    "sigmoid": Activation(expit, _slope_of_sigmoid, _bend_of_sigmoid),
    "tanh": Activation(np.tanh, _slope_of_tanh, _bend_of_tanh),
    "gelu": Activation(_gelu, _slope_of_gelu, _bend_of_gelu),
}


def apart(x, resp):
    """Starting slopes w (K, d) of standardised columns, and the columns' standard deviations.

    Each expert's w goes along its mean's distance from that of all rows, and all along the first expert's besides: a
    common move of all w, which is first seen in second derivatives, would else stay at zero for long.
    """
    weight = resp.sum(axis=1)
    moved = x - np.average(x, axis=0, weights=weight)
    sd = np.maximum(np.sqrt(np.average(moved**2, axis=0, weights=weight)), 1e-300)
    means = resp.T @ (moved / sd) / np.maximum(resp.sum(axis=0), 1e-300)[:, None]
    return means + means[0], sd


@dataclass(frozen=True)
class Inside(Affine):
    """w_k'x + b_k for a link that applies an activation: its own starting slopes."""

    def begin(self, x, resp):
        coef, (moves, _) = super().begin(x, resp), apart(x, resp)
        coef[:, :-1] = moves[: len(coef)]
        return coef


@dataclass(frozen=True)
class Activated(Shifted):
    """s_k(x) = f(w_k'x) + b_k, x in user units.

    Parameters
    ----------
    reference : bool
        Whether b_K is pinned at zero.
    activation : Activation
        f; where its second derivative is a difference of the first, so is the curvature.
    """

    activation: Activation = ACTIVATIONS["sigmoid"]

    damping = 1e-3  # where the slopes f' are equal, a common move of all w is hardly seen

    def begin(self, x, resp):
        coef, (moves, sd) = super().begin(x, resp), apart(x, resp)
        coef[:, :-1] = moves[: len(coef)] / sd
        return coef

    def values(self, v, x):
        return self.activation.value(v @ x)

    def fill(self, out, v, x):
        np.multiply(self.activation.slope(v @ x)[..., None, :], x, out=out)

    def curvature(self, coef, design, G):
        x = design.x[:-1]
        return self._padded((x * (G * self.activation.bend(coef[:, :-1] @ x))[:, None]) @ x.T)

    def slopes(self, coef):
        return coef[:, :-1]

    def contrasts(self, translates):
        return {(): ("gate_coef",) * self.activation.affine + ("gate_intercept",) * (self.reference or translates)}

    def ridge(self, K, center, scale, unit, translates):
        return self._squares(K, unit, self.activation.affine)

    def flat(self, coef):
        """A common translation of all w where f is affine."""
        K, d = coef.shape[0], coef.shape[1] - 1
        if K == 1 or not self.activation.affine:
            return super().flat(coef)
        return np.tile(np.eye(d + 1, d) / np.sqrt(K), (K, 1, 1))


@dataclass(frozen=True)
class ActivatedSoftmax(Elementwise):
    """log pi = log softmax of f(s) / temperature.

    Parameters
    ----------
    activation : Activation
        f; its second derivative may be a difference of the first.
    temperature : float
    """

    activation: Activation = ACTIVATIONS["sigmoid"]
    temperature: float = 1.0

    def transform(self, S):
        return self.activation.value(S) / self.temperature

    def slope(self, S):
        return self.activation.slope(S) / self.temperature

    def bend(self, S):
        return self.activation.bend(S) / self.temperature


class ActivationGate(GateSpec):
    """Activation dense-to-sparse gate: pi(x) = softmax((f(w_k'x) + b_k) / tau), or softmax(f(w_k'x + b_k) / tau).

    With the bias outside the intercepts are identified up to a common shift, b_K = 0, and all K slopes are: dof =
    K d + K - 1. f acts on x in the units passed, so that the gate changes with them. With the bias inside all K rows
    are identified, dof = K (d + 1), and the gate does not change under affine maps of x. With sigmoid or tanh and two
    experts, (w_1, w_2) and (-w_2, -w_1) are the same gate (inside: so are the intercepts' swap and sign).

    Parameters
    ----------
    activation : {"sigmoid", "tanh", "gelu"} or pair of callables, default="sigmoid"
        f, or f and its derivative on arrays; the second derivative of a pair is a central difference.
    temperature : float, default=1.0
        tau.
    bias : {"outside", "inside"}, default="outside"

    Warns
    -----
    UserWarning
        When the gate is built, for f with f(2t) = 2 f(t) such as the identity or ReLU: only slopes and intercepts over
        temperature are then identified.

    References
    ----------
    .. [1] Nguyen, Akbarian & Ho (2024), Is temperature sample efficient for softmax Gaussian mixture of experts?,
       arXiv:2401.13875.

    Examples
    --------
    >>> from moegate import ActivationGate
    >>> ActivationGate(activation="tanh", temperature=0.5).build(2).link.temperature
    0.5
    """

    def __init__(self, activation="sigmoid", temperature=1.0, bias="outside"):
        self.activation = activation
        self.temperature = temperature
        self.bias = bias

    def build(self, n_experts):
        activation, temperature = self._activation(), check_temperature(self.temperature)
        if self.bias not in ("outside", "inside"):
            raise ValueError(f'bias expects "outside" or "inside", got {self.bias!r}; use bias="outside".')
        if activation.homogeneous:
            warnings.warn(
                "activation is positively homogeneous, f(2t) = 2 f(t): the temperature is not identified, only slopes "
                "and intercepts over temperature are. Use sigmoid, tanh or gelu where it shall matter.",
                UserWarning,
                stacklevel=2,
            )
        if self.bias == "outside":
            return Gate(Activated(activation=activation), Tempered(Softmax(), temperature))
        return Gate(Inside(n_experts == 1 or activation.affine), ActivatedSoftmax(activation, temperature))

    def _activation(self):
        if isinstance(self.activation, str) and self.activation in ACTIVATIONS:
            return ACTIVATIONS[self.activation]
        pair = self.activation if isinstance(self.activation, tuple | list) else ()
        if len(pair) != 2 or not all(callable(part) for part in pair):
            raise ValueError(
                f"activation expects one of {sorted(ACTIVATIONS)} or a pair of callables, f and its derivative, "
                f'got {self.activation!r}; use activation="sigmoid".'
            )
        return Activation(*pair, Difference(pair[1]))
