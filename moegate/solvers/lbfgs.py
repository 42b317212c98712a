"""L-BFGS in whitened coordinates, by the EM metric first and by the observed information in the end."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.sparse.csgraph import connected_components

from .em import EM
from .solution import UNCERTIFIED, Solution, Watch, certify

METRICS = 12  # a new metric where the old one has gone stale, at most so often
STALE = 150  # iterations in one metric at most
SHARES = (0.0, 0.01, 0.1, 0.3, 1.0)  # of the EM metric added to the observed information until it is a metric


@dataclass(frozen=True)
class LBFGS:
    """Quasi-Newton ascent after a few EM steps, for many parameters.

    It is preconditioned by the complete-data information, and once that has gone stale by the observed one, so that it
    ends about as Newton does.

    Parameters
    ----------
    max_iter : int
    tol : float
        Of the certificate, in log-likelihood units.
    warm_up : int
        EM steps before.
    memory : int
        Correction pairs kept.
    certified : bool
        Whether the end is examined, which takes second derivatives.
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
    certified: bool = True
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
        for i in range(METRICS):
            if watch.stopped or len(history) > self.max_iter:
                break
            root = _Root(likelihood.information(theta)) if i == 0 else _observed(likelihood, theta)
            theta, values = self._climb(likelihood, theta, history[-1], root, watch)
            history += values
            if i > 0 and (not values or values[-1] - history[-1 - len(values)] < self.tol):
                break
        certificate = certify(likelihood, theta, self.tol) if self.certified else dict(UNCERTIFIED)
        return Solution(theta, likelihood.value(theta), np.array(history), certificate["kind"] != "none", certificate)

    def _climb(self, likelihood, theta, value, root, watch):
        """Quasi-Newton iterations in one metric: the best point, and the values on the way to it."""
        n, best, values = likelihood.total_weight, theta, [value]

        def objective(v):
            loglik, score = likelihood.value_and_score(theta + root.solve(v))
            if not np.isfinite(loglik):
                return 1e10 * (1 + abs(value) / n), np.zeros_like(v)
            return -loglik / n, -root.solve(score, trans="T") / n

        def callback(intermediate_result):
            nonlocal best
            at, loglik = theta + root.solve(intermediate_result.x), -n * intermediate_result.fun
            if loglik >= values[-1]:
                best = at
                values.append(loglik)
            if watch(at, loglik):
                raise StopIteration

        steps = min(self.max_iter, STALE)
        options = {"maxcor": self.memory, "maxiter": steps, "ftol": 1e-16, "gtol": 1e-11, "maxfun": 10**6}
        minimize(objective, np.zeros(len(theta)), jac=True, method="L-BFGS-B", callback=callback, options=options)
        return best, values[1:]


class _Root:
    """Upper triangular root of a metric per row, block by block: experts share nothing in the EM metric.

    Regularised until it exists; raises LinAlgError where `ridges` do not suffice.
    """

    def __init__(self, metric, ridges=(1e-9, 1e-6, 1e-3)):
        diagonal = np.maximum(np.diag(metric), 1e-12 * np.max(np.diag(metric)))
        n, label = connected_components(metric != 0, directed=False)
        self.blocks = [np.flatnonzero(label == i) for i in range(n)]
        self.roots = [self._factor(metric[np.ix_(at, at)], diagonal[at], ridges) for at in self.blocks]
        self.scale = np.sqrt(diagonal.max())

    @staticmethod
    def _factor(block, diagonal, ridges):
        for ridge in ridges[:-1]:
            try:
                return cholesky(block + ridge * np.diag(diagonal))
            except LinAlgError:
                continue
        return cholesky(block + ridges[-1] * np.diag(diagonal))

    def solve(self, v, trans="N"):
        """Solution of a triangular system."""
        out = np.empty_like(v)
        for at, root in zip(self.blocks, self.roots, strict=True):
            out[at] = solve_triangular(root, v[at], trans=trans)
        return self.scale * out


def _observed(likelihood, theta):
    """Root of the observed information, with as little of the EM metric as makes it positive."""
    at = likelihood.expand(theta)
    for share in SHARES:
        try:
            return _Root(share * at.information - at.hessian, ridges=(1e-9,))
        except LinAlgError:
            continue
    return _Root(at.information)
