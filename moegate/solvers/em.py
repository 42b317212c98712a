"""EM, and EM with squared extrapolation: monotone reference solvers."""

from dataclasses import dataclass

import numpy as np

from .solution import Solution, certify


@dataclass(frozen=True)
class EM:
    """Expectation-maximisation with exact expert steps and one Newton step for the gate.

    Slow where experts overlap: its rate is 1 - lambda, lambda the smallest eigenvalue of the observed information in
    the metric of the complete-data information. A gate step that loses likelihood is halved.

    Parameters
    ----------
    max_iter : int
    tol : float
        Stop when an iteration gains less, in log-likelihood units.
    monitor : callable, optional
        `monitor(theta, value)` after each iteration; a true answer stops the run.

    References
    ----------
    .. [1] Dempster, Laird & Rubin (1977), doi:10.1111/j.2517-6161.1977.tb01600.x.
    .. [2] Jordan & Jacobs (1994), Hierarchical mixtures of experts and the EM algorithm, doi:10.1162/neco.1994.6.2.181.
    """

    max_iter: int = 1000
    tol: float = 1e-8
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
        theta, value, history = self.run(likelihood, theta)
        certificate = certify(likelihood, theta, self.tol)
        return Solution(theta, value, np.array(history), certificate["kind"] != "none", certificate)

    def run(self, likelihood, theta):
        """Iterate without certifying: theta, its value, the history of values."""
        value, following = likelihood.em_step(theta)
        history = [value]
        for _ in range(self.max_iter):
            theta, value, following = self._advance(likelihood, theta, value, following)
            history.append(value)
            stop = self.monitor is not None and self.monitor(theta, value)
            if stop or value - history[-2] < self.tol:
                break
        return theta, value, history

    def _advance(self, likelihood, theta, value, following):
        """One step, halved while it loses likelihood: the new point, its value and its own next iterate."""
        for _ in range(30):
            new_value, further = likelihood.em_step(following)
            if new_value >= value:
                return following, new_value, further
            following = theta + (following - theta) / 2
        return theta, value, theta

    def run_all(self, likelihood, thetas):
        """`run` from each row of thetas (S, p), unwatched and together: thetas, values (S,), list of histories."""
        values, following = likelihood.em_steps(thetas)
        thetas, histories, going = thetas.copy(), [[value] for value in values.tolist()], np.arange(len(thetas))
        for _ in range(self.max_iter):
            before = values[going]
            self._advance_all(likelihood, thetas, values, following, going)
            for member, value in zip(going, values[going].tolist(), strict=True):
                histories[member].append(value)
            with np.errstate(invalid="ignore"):  # -inf where it began
                going = going[~(values[going] - before < self.tol)]
            if not going.size:
                break
        return thetas, values, histories

    def _advance_all(self, likelihood, thetas, values, following, going):
        """`_advance` of the members `going`, in place."""
        for _ in range(30):
            new_values, further = likelihood.em_steps(following[going])
            up = new_values >= values[going]
            done, going = going[up], going[~up]
            thetas[done], values[done], following[done] = following[done], new_values[up], further[up]
            if not going.size:
                return
            following[going] = thetas[going] + (following[going] - thetas[going]) / 2
        following[going] = thetas[going]


@dataclass(frozen=True)
class SQUAREM(EM):
    """EM with squared extrapolation; a jump that loses likelihood is replaced by the plain steps.

    References
    ----------
    .. [1] Varadhan & Roland (2008), doi:10.1111/j.1467-9469.2007.00585.x.
    """

    def run_all(self, likelihood, thetas):
        runs = [self.run(likelihood, theta) for theta in thetas]
        return np.array([run[0] for run in runs]), np.array([run[1] for run in runs]), [run[2] for run in runs]

    def _advance(self, likelihood, theta, value, following):
        once, value_once, following_once = super()._advance(likelihood, theta, value, following)
        r, v = once - theta, following_once - 2 * once + theta
        norm = np.linalg.norm(v)
        alpha = -1.0 if norm == 0 else min(-1.0, -np.linalg.norm(r) / norm)
        jump = theta - 2 * alpha * r + alpha**2 * v
        jump_value, jump_following = likelihood.em_step(jump)
        if jump_value >= value_once:
            return jump, jump_value, jump_following
        return super()._advance(likelihood, once, value_once, following_once)
