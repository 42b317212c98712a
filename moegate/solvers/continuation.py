"""Continuation from an easier gate, and a climb over the jumps and kinks of a gate that is not smooth."""

from dataclasses import dataclass, replace

import numpy as np

from .newton import Newton
from .solution import Spectrum, Watch

STAGE_STEPS = 6  # Newton iterations at each stage of a path
SIZES = 2.0 ** -np.arange(0, 24, 3)  # of trial moves, relative to a parameter's own size
ROUNDS = 20  # of trial moves and Newton at most
LEVEL = 0.01  # eigenvalue of the information in the EM metric below which a direction is level or bends up
NOTHING = 0.01  # log-likelihood that a trial move must gain to go on


@dataclass(frozen=True)
class Continuation:
    """Newton along the likelihood's path of gates; where the last one is not smooth, Newton and trial moves in turn.

    A likelihood that jumps or has kinks where the gate selects other experts for a row has its maximum on such borders
    as a rule, where no derivative vanishes. The path leads there through smooth neighbours; at its end many moves of
    gate and experts are tried, and the result is a maximum held by the borders if none gains 0.01 in log-likelihood and
    the information of the experts, which move no border, is positive: the certificate's kind is "border", or "interior"
    where the derivatives vanish too. The smallest eigenvalue of all parameters is that of the selection as it stands,
    and may be negative where a jump stands in the way of the gate.

    Parameters
    ----------
    max_iter : int
        Newton iterations at the end of the path.
    tol : float
        Log-likelihood units.
    warm_up : int
        EM steps before Newton at the end of the path.
    monitor : callable, optional
        `monitor(theta, value)` after each iteration at the end of the path; a true answer stops the run.
    """

    max_iter: int = 500
    tol: float = 1e-8
    warm_up: int = 5
    monitor: object = None

    def solve(self, likelihood, theta):
        """Climb from theta along the path.

        Parameters
        ----------
        likelihood : Likelihood
        theta : ndarray of shape (p,)

        Returns
        -------
        Solution
        """
        start, step = theta, Newton(max_iter=STAGE_STEPS, tol=1e-3, warm_up=0, polished=False)
        for stage in likelihood.path()[:-1]:
            if np.isfinite(stage.value(theta)):
                theta = step.solve(stage, theta).theta
        if not likelihood.value(theta) > likelihood.value(start):
            theta = start  # the path has led away from it
        watch = Watch(self.monitor)
        newton = Newton(max_iter=self.max_iter, tol=self.tol, warm_up=self.warm_up, monitor=watch)
        solution = newton.solve(likelihood, theta)
        return solution if likelihood.smooth else self._at_borders(likelihood, newton, solution, watch)

    def _at_borders(self, likelihood, newton, solution, watch):
        """Trial moves, and Newton after each that gains; the certificate says how it ended."""
        rng, held = np.random.default_rng(0), False
        for _ in range(min(ROUNDS, self.max_iter)):
            theta, value = best_trial(likelihood, solution.theta, rng)
            held = not value > solution.loglik + max(NOTHING, self.tol)
            if held or watch.stopped:
                break
            further = newton.solve(likelihood, theta)
            solution = replace(further, history=np.append(solution.history, further.history))
        return _certified(likelihood, solution, held)


def _certified(likelihood, solution, held):
    """The solution whose certificate knows of borders."""
    certificate = dict(solution.certificate)
    if not held:
        certificate["kind"] = "none"
    elif certificate["kind"] == "none" and not certificate["at_boundary"] and _concave(likelihood, solution.theta):
        diverged = certificate["gate_diverged"] or certificate["experts_diverged"]
        certificate["kind"] = "limit" if diverged else "border"
    return replace(solution, certificate=certificate, converged=certificate["kind"] != "none")


def _concave(likelihood, theta):
    """Whether the information of the experts, the gate as it is, has positive eigenvalues alone where it has any."""
    here, at = likelihood.expand(theta), np.setdiff1d(np.arange(len(theta)), likelihood.gate_arguments)
    vanished, inside = likelihood.receding(theta, here.information)[0][at], np.ix_(at, at)
    vanished = vanished[:, np.any(vanished != 0, axis=0)]
    alone = here._replace(score=here.score[at], information=here.information[inside], hessian=here.hessian[inside])
    return Spectrum(alone, vanished).smallest > 0


def directions(likelihood, theta, rng):
    """Of trial moves, (S, p): parameters of the gate, random ones of the gate, the experts alone, all by curvature.

    Where the curvature is not clearly negative a Newton step says nothing of how far to go: there, moves that would
    gain two units, too, if the curvature held.
    """
    at, p = likelihood.gate_arguments, len(theta)
    gate = np.zeros((2 * len(at), p))
    size = np.maximum(np.abs(theta[at]), 1.0)
    gate[:, at] = np.vstack([np.eye(len(at)), rng.standard_normal((len(at), len(at)))]) * size
    here = likelihood.expand(theta)
    spectrum, experts = Spectrum(here, likelihood.flat(theta)), np.setdiff1d(np.arange(p), at)
    alone = np.zeros((1, p))
    alone[0, experts] = np.linalg.lstsq(-here.hessian[np.ix_(experts, experts)], here.score[experts])[0]
    curved = spectrum.vectors * (spectrum.score / np.maximum(np.abs(spectrum.values), 1e-6))
    level = spectrum.values < LEVEL
    uphill = spectrum.vectors[:, level] * 2 / np.sqrt(np.maximum(np.abs(spectrum.values[level]), LEVEL**2))
    return np.vstack([gate, alone, curved.T, curved.sum(axis=1), uphill.T])


def best_trial(likelihood, theta, rng):
    """The best of many moves, each tried in both directions and in many sizes."""
    moves = directions(likelihood, theta, rng)
    thetas = theta + (np.concatenate([SIZES, -SIZES])[:, None, None] * moves).reshape(-1, len(theta))
    values = likelihood.values(thetas)
    best = np.argmax(values)
    return thetas[best], values[best]
