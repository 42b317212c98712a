"""A gate is scores, how well x matches each expert, followed by a link, from scores to log-probabilities.

A gate file adds one score, one link or the tree, and one short specification that users pass. The Likelihood asks a
gate only for the methods of `Gate`; a new piece needs `Scores.__call__` and `features`, or `Link.__call__` and `jac`,
and inherits the rest.

Shapes: K experts, m scores that carry parameters (m = K, or K - 1 where the last score is the reference), w
parameters of one score, B rows. Pairs are i <= j, listed on one axis. What an EM step needs (scores, features, `parts`,
`pull`, `information`) takes further axes in front where `stacked` says so: a stack of parameter vectors.
"""

from dataclasses import dataclass, fields, is_dataclass, replace

import numpy as np
from sklearn.base import BaseEstimator

from .link import Link
from .scores import Scores

SATURATED = 1e-30  # information per row below which a gate is saturated


def brief(piece):
    """A piece as it would be written: without the fields that have their default."""
    if not is_dataclass(piece):
        return repr(piece)
    values = [(field, getattr(piece, field.name)) for field in fields(piece)]
    shown = ", ".join(f"{field.name}={brief(value)}" for field, value in values if value is not field.default)
    return f"{type(piece).__name__}({shown})"


def _rounded(step, information):
    """Multiples of a power of two near 2e-7 / sqrt(information of a row)."""
    grid = np.exp2(np.floor(-0.5 * np.log2(np.maximum(information, 1e-300))) - 22)
    return np.round(step / grid) * grid


@dataclass(frozen=True)
class Gate:
    """log pi_k(x) = link(scores(x)): what the model and the Likelihood use, and what `gate=` takes as a composition.

    Parameters
    ----------
    scores : Scores
    link : Link

    Examples
    --------
    >>> from moegate.gates import Affine, Gate, Softmax
    >>> Gate(Affine(), Softmax()).smooth
    True
    """

    scores: Scores
    link: Link

    def __repr__(self):
        return f"Gate({brief(self.scores)}, {brief(self.link)})"

    def build(self, n_experts):
        """The gate itself, checked: what a specification's `build` returns."""
        for part, kind, example in ((self.scores, Scores, "Affine()"), (self.link, Link, "Softmax()")):
            if not isinstance(part, kind):
                raise ValueError(f"Gate(scores, link) expects {kind.__name__} such as {example}, got {part!r}.")
        self.link.check(n_experts)
        lack = self.link.missing(self.scores)
        if lack:
            raise ValueError(
                f"gate cannot compose {type(self.scores).__name__} with {type(self.link).__name__}, which needs {lack}."
            )
        return self

    def calibrated(self, scale, reach=None):
        """The same gate with constants that fit the columns, see `Scores.calibrated`."""
        return replace(self, scores=self.scores.calibrated(scale, reach))

    @property
    def smooth(self):
        return self.link.smooth

    @property
    def selects_one(self):
        return self.link.selects_one

    @property
    def stacked(self):
        return self.scores.stacked and self.link.stacked

    def exact(self):
        """The same gate without what smooths the kinks of its scores."""
        return replace(self, scores=self.scores.exact())

    def log_prob(self, coef, design, K):
        """Log-probabilities of the experts, (K, B)."""
        return self.link(self.scores(coef, design, K))

    def m_step(self, score, information, mass):
        """Step of one Newton (Fisher scoring) iteration on the complete-data log-likelihood, from one pass.

        A gate that is saturated, whose information has vanished in all rows, stays where it is, as do parameters that
        nothing is known of: all of a gate that selects one expert for each row. Where the step may overshoot it is
        rounded to a small part of a standard error, so that rounding errors, which depend on the order of the rows,
        do not grow from step to step.

        Parameters
        ----------
        score : ndarray of shape (..., p)
            Of the free parameters.
        information : ndarray of shape (..., p, p)
        mass : ndarray of shape (..., K)
            Weight of each expert.
        """
        if not score.size:
            return score
        damped, diagonal = information.copy(), np.diagonal(information, axis1=-2, axis2=-1)
        more, rows = max(self.scores.damping, self.link.damping), mass.sum(axis=-1, keepdims=True)
        least, unknown = 1e-12 * diagonal.max(axis=-1, keepdims=True) + SATURATED * rows, diagonal <= 0
        np.einsum("...ii->...i", damped)[:] += more * diagonal + least + unknown
        step = np.linalg.solve(damped, np.where(unknown, 0.0, score)[..., None])[..., 0]
        return step if more <= Scores.damping else _rounded(step, diagonal / np.maximum(rows, 1e-300))

    def flat(self, coef):
        """Orthonormal directions (m, w, f) of the gate's parameters that the model cannot see."""
        return np.concatenate([self.scores.flat(coef), self.link.flat(coef, self.scores)], axis=-1)

    def gauge(self, coef):
        """The parameters that are reported of all that the gate cannot tell apart."""
        return self.link.gauge(self.scores.gauge(coef), self.scores)

    def permute(self, coef, order, K):
        """The same gate with its experts in another order."""
        return self.scores.permute(coef, order, K)

    def contrasts(self):
        """Named arrays that are seen up to a common shift only, by path in a tree: () is its root, or a single gate."""
        return self.scores.contrasts(self.link.translates)

    def ridge(self, K, center, scale, unit):
        """What a ridge penalty takes of the parameters, see `Scores.ridge`: none where their scale is not seen."""
        A, at = self.scores.ridge(K, center, scale, unit, self.link.translates)
        return (A, at) if self.link.sees_scale else (np.zeros_like(A), at)

    def path(self, K):
        """Gates ending in this one, for a solver that continues from an easier gate."""
        return tuple(replace(self, link=link) for link in self.link.path(K))


class GateSpec(BaseEstimator):
    """What users pass as `gate=`: constructor parameters only; `build` makes the frozen Gate that computes."""

    def build(self, n_experts):
        """The Gate for a number of experts.

        Parameters
        ----------
        n_experts : int

        Returns
        -------
        Gate
        """
        raise NotImplementedError
