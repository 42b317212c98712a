"""Trust-region Newton on the exact observed Hessian, in the metric of EM."""

from dataclasses import dataclass

import numpy as np

from .em import EM
from .solution import ROUNDING, Solution, Spectrum, Watch, certify

SLOW = 1e-3  # log-likelihood gained by an iteration below which the gate may be on its way to infinity


@dataclass(frozen=True)
class Newton:
    """A few EM steps, then trust-region Newton: (-H + mu M) step = score, H the observed Hessian, M the EM metric.

    The generalised eigenproblem -H v = lambda M v makes every damping mu cheap: mu = 0 is Newton, a large mu a short EM
    step. The radius, a length in the EM metric, follows the ratio of gained to predicted likelihood.

    Parameters
    ----------
    max_iter : int
        Newton iterations.
    tol : float
        Stop when the predicted remaining gain falls below, in log-likelihood units.
    warm_up : int
        EM steps before the first Newton step.
    polished : bool
        Whether the end is driven to rounding.
    monitor : callable, optional
        `monitor(theta, value)` after each iteration; a true answer stops the run.

    References
    ----------
    .. [1] Moré & Sorensen (1983), Computing a trust region step, doi:10.1137/0904038.
    """

    max_iter: int = 500
    tol: float = 1e-8
    warm_up: int = 5
    polished: bool = True
    monitor: object = None

    def solve(self, likelihood, theta):
        """Climb from theta.

        Parameters
        ----------
        likelihood : Likelihood
        theta : ndarray of shape (p,)

        Returns
        -------
        Solution
        """
        watch, history = Watch(self.monitor), []
        if self.warm_up:
            theta, _, history = EM(max_iter=self.warm_up, tol=self.tol, monitor=watch).run(likelihood, theta)
        climb = _Climb(likelihood, theta)
        history = history or [climb.at.value]
        idle = 0  # iterations without a visible gain
        for _ in range(self.max_iter):
            if watch.stopped or ((idle == 3 or climb.at_rest(self.tol)) and not climb.recede(self.tol)):
                break
            gain = climb.advance()
            if gain < SLOW:
                climb.recede(self.tol)
            history.append(climb.at.value)
            idle = idle + 1 if gain < max(1e-3 * self.tol, ROUNDING * abs(climb.at.value)) else 0
            watch(climb.theta, climb.at.value)
        if self.polished and not watch.stopped and climb.polish() | climb.recede(self.tol):
            history.append(climb.at.value)
        certificate = certify(likelihood, climb.theta, self.tol, climb.at)
        return Solution(climb.theta, climb.at.value, np.array(history), certificate["kind"] != "none", certificate)


class _Climb:
    """The moving state of a trust-region Newton run: where it is, the expansion there, the radius."""

    def __init__(self, likelihood, theta):
        self.likelihood = likelihood
        self._move(theta, likelihood.expand(theta))
        saddle = self.spectrum.smallest < 0
        self.radius = max(10 * np.sqrt(2 * self.spectrum.em_decrement), 1.0 if saddle else 1e-300)

    def _move(self, theta, at):
        self.theta, self.at = theta, at
        self.spectrum = self._spectrum(theta, at)

    def _spectrum(self, theta, at):
        """Spectrum without the directions of a diverging gate, in which only rounding is left: see `recede`."""
        directions, self.ray = self.likelihood.receding(theta, at.information)
        return Spectrum(at, np.hstack([self.likelihood.flat(theta), directions]))

    def at_rest(self, tol):
        """Whether a Newton step has nothing left to gain and there is no way up a saddle."""
        return self.spectrum.decrement() < tol and self.spectrum.smallest > -1e-9

    def recede(self, tol):
        """Double a diverging gate, in directions that the Newton step does not see; whether that gained."""
        if not np.any(self.ray):
            return False
        at = self.likelihood.expand(self.theta + self.ray)
        if not at.value > self.at.value + max(tol, ROUNDING * abs(self.at.value)):
            return False
        self._move(self.theta + self.ray, at)
        return True

    def advance(self):
        """One accepted step, or an EM step where none is found; returns the gain."""
        before = self.at.value
        if not any(self._try() for _ in range(25)):
            self._em_step()
        return self.at.value - before

    def _try(self):
        """Take the step within the radius if it gains enough of what it predicts; adapt the radius."""
        step, predicted, length = self.spectrum.step(self.radius)
        at = self.likelihood.expand(self.theta + step)
        gained, rounding = at.value - self.at.value, ROUNDING * abs(self.at.value)
        ratio = gained / max(predicted, rounding)
        if ratio > 0.75:
            self.radius = max(self.radius, 3 * length)
        elif not ratio > 0.25:
            self.radius = length / 4
        if not (gained > 1e-4 * predicted or (predicted < rounding and gained > -rounding)):
            return False
        self._move(self.theta + step, at)
        return True

    def _em_step(self):
        theta, _, _ = EM(max_iter=1, tol=-np.inf).run(self.likelihood, self.theta)
        self._move(theta, self.likelihood.expand(theta))
        self.radius = np.sqrt(2 * self.spectrum.em_decrement) + 1e-300

    def polish(self):
        """Newton steps until the score is zero to rounding, as long as the value does not fall; whether it moved."""
        return sum(self._polished() for _ in range(3)) > 0

    def _polished(self):
        if self.spectrum.smallest < 1e-9 or self.spectrum.em_decrement < 1e-20:
            return False
        theta = self.theta + self.spectrum.newton
        at = self.likelihood.expand(theta)
        if not at.value >= self.at.value - ROUNDING * abs(self.at.value):
            return False
        polished = self._spectrum(theta, at)
        if polished.em_decrement > 0.5 * self.spectrum.em_decrement:
            return False
        self.theta, self.at, self.spectrum = theta, at, polished
        return True
