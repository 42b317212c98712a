"""L-BFGS in coordinates whitened by the EM metric: gradient passes only, for many parameters."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import minimize

from .em import EM
from .solution import Solution, Watch, certify

METRICS = 5  # a new metric where the old one has gone stale, at most so often


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
        watch = Watch(self.monitor)
        theta, _, history = EM(max_iter=self.warm_up, tol=self.tol, monitor=watch).run(likelihood, theta)
        for _ in range(METRICS):
            if watch.stopped or len(history) > self.max_iter:
                break
            theta, values = self._climb(likelihood, theta, history[-1], watch)
            history += values
            if not values or values[-1] - history[-1 - len(values)] < self.tol:
                break
        certificate = certify(likelihood, theta, self.tol)
        return Solution(theta, likelihood.value(theta), np.array(history), certificate["kind"] != "none", certificate)

    def _climb(self, likelihood, theta, value, watch):
        """Quasi-Newton iterations in one metric: the best point, and the values on the way to it."""
        root, n = _root(likelihood.information(theta)), likelihood.total_weight
        best, values = theta, [value]

        def objective(v):
            loglik, score = likelihood.value_and_score(theta + solve_triangular(root, v))
            if not np.isfinite(loglik):
                return 1e10 * (1 + abs(value) / n), np.zeros_like(v)
            return -loglik / n, -solve_triangular(root, score, trans="T") / n

        def callback(intermediate_result):
            nonlocal best
            at, loglik = theta + solve_triangular(root, intermediate_result.x), -n * intermediate_result.fun
            if loglik >= values[-1]:
                best = at
                values.append(loglik)
            if watch(at, loglik):
                raise StopIteration

        options = {"maxcor": self.memory, "maxiter": self.max_iter, "ftol": 1e-16, "gtol": 1e-11, "maxfun": 10**6}
        minimize(objective, np.zeros(len(theta)), jac=True, method="L-BFGS-B", callback=callback, options=options)
        return best, values[1:]


def _root(information):
    """Upper triangular root of the metric per row, regularised until it exists."""
    diagonal = np.maximum(np.diag(information), 1e-12 * np.max(np.diag(information)))
    for ridge in (1e-9, 1e-6, 1e-3):
        try:
            return cholesky(information + ridge * np.diag(diagonal)) / np.sqrt(diagonal.max())
        except LinAlgError:
            continue
    return np.diag(np.sqrt(diagonal / diagonal.max()))
