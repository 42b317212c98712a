"""L-BFGS in coordinates whitened by the EM metric: gradient passes only, for many parameters."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import minimize

from .em import EM
from .solution import Solution, certify


@dataclass(frozen=True)
class LBFGS:
    """Quasi-Newton ascent preconditioned by the complete-data information after a few EM steps.

    Parameters
    ----------
    max_iter : int
    tol : float
        Of the certificate, in log-likelihood units.
    warm_up : int
        EM steps before.
    memory : int
        Correction pairs kept.
    monitor : callable, optional
        `monitor(theta, value)` after each iteration; a true answer stops the run.

    References
    ----------
    .. [1] Liu & Nocedal (1989), On the limited memory BFGS method, doi:10.1007/BF01589116.
    .. [2] Jamshidian & Jennrich (1997), Acceleration of the EM algorithm by quasi-Newton methods,
       doi:10.1111/1467-9868.00083.
    """

    max_iter: int = 5000
    tol: float = 1e-8
    warm_up: int = 5
    memory: int = 20
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
        theta, _, history = EM(max_iter=self.warm_up, tol=self.tol, monitor=self.monitor).run(likelihood, theta)
        gain = np.inf
        for _ in range(5):  # a new metric where the old one has gone stale
            before = history[-1]
            theta, values = self._climb(likelihood, theta, history[-1])
            history += values
            gain = history[-1] - before
            if gain < self.tol or len(history) > self.max_iter:
                break
        certificate = certify(likelihood, theta, self.tol)
        return Solution(theta, history[-1], np.array(history), certificate["kind"] != "none", certificate)

    def _climb(self, likelihood, theta, value):
        root = _root(likelihood.information(theta))
        n, values, best = likelihood.total_weight, [], [theta, value]

        def objective(v):
            at = theta + solve_triangular(root, v)
            loglik, score = likelihood.value_and_score(at)
            if not np.isfinite(loglik):
                return 1e10 * (1 + abs(value) / n), np.zeros_like(v)
            return -loglik / n, -solve_triangular(root, score, trans="T") / n

        def callback(intermediate_result):
            loglik = -n * intermediate_result.fun
            at = theta + solve_triangular(root, intermediate_result.x)
            if loglik >= best[1]:
                best[:] = at, loglik
                values.append(loglik)
            if self.monitor is not None and self.monitor(at, loglik):
                raise StopIteration

        options = {"maxcor": self.memory, "maxiter": self.max_iter, "ftol": 1e-16, "gtol": 1e-11, "maxfun": 10**6}
        minimize(objective, np.zeros(len(theta)), jac=True, method="L-BFGS-B", callback=callback, options=options)
        value = likelihood.value(best[0])
        return best[0], values[:-1] + [max(value, *values[-2:-1])] if values else []


def _root(information):
    """Upper triangular root of the metric per row, regularised until it exists."""
    diagonal = np.maximum(np.diag(information), 1e-12 * np.max(np.diag(information)))
    for ridge in (1e-9, 1e-6, 1e-3):
        try:
            return cholesky(information + ridge * np.diag(diagonal)) / np.sqrt(diagonal.max())
        except LinAlgError:
            continue
    return np.diag(np.sqrt(diagonal / diagonal.max()))
