"""Proximal Newton ascent of a likelihood less a penalty with corners."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, cholesky, eigh, eigvalsh

from .solution import UNCERTIFIED, Solution

STEPS, TURNS = 2000, 40  # of the inner problem's gradient method, and of its sign patterns
HALVINGS = 30
ENOUGH = 1e-3  # of the distance from the inner problem's conditions where it begins, to be left in the end
PATIENCE, STALLED = 30, 1e-6  # iterations in which the mean value must gain so much: else it creeps to infinity
SUFFICIENT = 1e-4  # share of the predicted gain that a step must bring


@dataclass(frozen=True)
class Proximal:
    """Proximal Newton: the penalty itself, plus a quadratic model of the rest, is minimised and a line search climbs.

    It climbs a problem with `value(u)`, `expand(u)` (value, score, observed information, EM metric, all means over
    rows) and `penalty` (`value`, `prox`, `residual`), and never falls.

    Parameters
    ----------
    max_iter : int
    tol : float
        Of the conditions of a maximum, in units of the mean log-likelihood.
    monitor : callable, optional
        `monitor(u, value)` after each iteration; a true answer stops the run.

    References
    ----------
    .. [1] Lee, Sun & Saunders (2014), Proximal Newton-type methods for minimizing composite functions,
       doi:10.1137/130921428.
    .. [2] Beck & Teboulle (2009), A fast iterative shrinkage-thresholding algorithm, doi:10.1137/080716542.
    """

    max_iter: int = 200
    tol: float = 1e-9
    monitor: object = None

    def solve(self, problem, u):
        """Climb from u.

        Parameters
        ----------
        problem : object
        u : ndarray of shape (q,)

        Returns
        -------
        Solution
            Its `loglik` is the penalised mean log-likelihood, its certificate has `kkt` and `min_eigenvalue` of the
            observed information among the coordinates that are not zero.
        """
        history = [problem.value(u) - problem.penalty.value(u)]
        for _ in range(self.max_iter):
            at = problem.expand(u)
            kkt = float(np.max(problem.penalty.residual(u, at.score), initial=0.0))
            if kkt <= self.tol:
                break
            u, value = self._step(problem, u, at, history[-1])
            if value <= history[-1]:
                break
            history.append(value)
            if value - history[-min(len(history), PATIENCE)] < STALLED and len(history) > PATIENCE:
                break
            if self.monitor is not None and self.monitor(u, value):
                break
        certificate = certified(problem, u)
        return Solution(u, history[-1], np.array(history), certificate["kind"] != "none", certificate)

    def _step(self, problem, u, at, value):
        """The first damping whose step climbs; u itself where none does. Zeros that are in order stay."""
        penalty = problem.penalty
        moves = (penalty.norms(u) > 0) | (penalty.weights == 0) | (penalty.residual(u, at.score) > 0)
        keep, target = np.flatnonzero(moves), u.copy()
        few, start, score = penalty.among(keep), u[keep], at.score[keep]
        hessian, information = (A[np.ix_(keep, keep)] for A in (at.hessian, at.information))
        for B in damped(hessian, information):
            target[keep] = minimised(B, score + B @ start, start, few)
            found = self._searched(problem, u, target, at.score, value)
            if found is not None:
                return found
        return u, value

    @staticmethod
    def _searched(problem, u, target, score, value):
        """Halve towards u until the penalised value rises enough."""
        step, now = target - u, problem.penalty.value(u)
        predicted = score @ step - problem.penalty.value(target) + now
        size = 1.0
        for _ in range(HALVINGS if predicted > 0 else 0):
            trial = target if size == 1 else u + size * step
            reached = problem.value(trial) - problem.penalty.value(trial)
            if np.isfinite(reached) and reached >= value + SUFFICIENT * size * predicted:
                return trial, reached
            size /= 2
        return None


def damped(hessian, information):
    """The observed information, with shares of a metric: the least that makes it positive, then more.

    The metric is that of EM, positive also in directions in which nothing is left of it.
    """
    metric = information + 1e-10 * np.abs(np.diag(information)).max(initial=1e-300) * np.eye(len(information))
    try:
        cholesky(hessian, lower=True)
        least = 0.0
    except LinAlgError:
        lowest = eigh(hessian, metric, eigvals_only=True, subset_by_index=[0, 0])[0]
        least = 1.1 * max(-lowest, 0.0) + 1e-3
    return (hessian + (least + more) * metric for more in (0.0, 0.03, 0.3, 3.0, 30.0, 300.0))


def minimised(B, b, start, penalty):
    """Minimiser of z'Bz / 2 - b'z + penalty(z): accelerated gradient steps, then Newton on the pattern of zeros.

    Parameters
    ----------
    B : ndarray of shape (q, q)
        Positive semi-definite.
    b : ndarray of shape (q,)
    start : ndarray of shape (q,)
    penalty : Sparse

    Returns
    -------
    ndarray of shape (q,)
    """
    scale = np.sqrt(np.maximum(np.diag(B), 1e-12 * np.abs(np.diag(B)).max(initial=1e-300)))
    scale = np.sqrt(np.bincount(penalty.groups, weights=scale**2) / np.bincount(penalty.groups))[penalty.groups]
    last = len(B) - 1
    size = 1.0 / (scale**2 * eigvalsh(B / np.outer(scale, scale), subset_by_index=[last, last])[0])
    enough = max(1e-12 * (1 + np.abs(b).max()), ENOUGH * np.max(penalty.residual(start, b - B @ start)))
    z, ahead, t, best = start, start, 1.0, start
    for i in range(STEPS):
        new = penalty.prox(ahead - size * (B @ ahead - b), size)
        if (ahead - new) @ ((new - z) / size) > 0:
            t, ahead = 1.0, z  # restart: momentum leads uphill (O'Donoghue & Candes 2015)
            continue
        after = (1 + np.sqrt(1 + 4 * t * t)) / 2
        ahead, z, t = new + (t - 1) / after * (new - z), new, after
        if i % 20 == 19:
            best = _polished(B, b, z, penalty)
            if np.max(penalty.residual(best, b - B @ best)) < enough:
                return best
    return min((z, best), key=lambda v: v @ B @ v / 2 - b @ v + penalty.value(v))


def _polished(B, b, z, penalty):
    """Newton's method among the coordinates that are not zero, where the penalty is smooth."""
    for _ in range(TURNS):
        at = np.flatnonzero((z != 0) | (penalty.weights == 0))
        norm, new = penalty.norms(z)[at], z.copy()
        slope = penalty.weights[at] * z[at] / np.where(norm > 0, norm, 1.0)
        curve = _curvature(z, at, penalty)
        gradient = B[np.ix_(at, at)] @ z[at] - b[at] + slope
        new[at] -= solved(B[np.ix_(at, at)] + curve, gradient)
        alone = penalty.weights[at] * 0 + np.bincount(penalty.groups)[penalty.groups[at]] == 1
        crossed = alone & (penalty.weights[at] > 0) & (np.sign(new[at]) != np.sign(z[at]))
        new[at[crossed]] = 0.0
        if np.max(np.abs(new - z), initial=0.0) <= 1e-14 * np.max(np.abs(z), initial=1e-300):
            return new
        z = new
    return z


def solved(A, b):
    """A^-1 b of a positive matrix, the shortest solution of a singular one."""
    try:
        return cho_solve(cho_factor(A), b)
    except LinAlgError:
        return np.linalg.lstsq(A, b, rcond=1e-12)[0]


def _curvature(z, at, penalty):
    """Second derivatives of the norms of groups among some coordinates: weight / ||z|| (I - zz' / ||z||^2)."""
    group, norm = penalty.groups[at], penalty.norms(z)[at]
    out = np.zeros((len(at), len(at)))
    if len(np.unique(group)) == len(group):
        return out
    safe = np.where(norm > 0, norm, 1.0)
    unit, ratio = z[at] / safe, np.where(norm > 0, penalty.weights[at] / safe, 0.0)
    same = group[:, None] == group
    return np.where(same, ratio[:, None] * (np.eye(len(at)) - np.outer(unit, unit)), 0.0)


def certified(problem, u):
    """How far u is from a maximum, and of what kind.

    `kind` is "interior" where the conditions hold to 1e-6 and the penalised information among the coordinates that are
    not zero is positive, "flat" where its smallest eigenvalue in the EM metric is zero.
    """
    at, penalty = problem.expand(u), problem.penalty
    kkt = float(np.max(penalty.residual(u, at.score), initial=0.0))
    keep = np.flatnonzero((u != 0) | (penalty.weights == 0))
    bend = _curvature(u, keep, penalty)
    B, M = (A[np.ix_(keep, keep)] + bend for A in (at.hessian, at.information))
    M = M + 1e-12 * np.abs(np.diag(M)).max(initial=1.0) * np.eye(len(keep))
    smallest = float(eigh(B, M, eigvals_only=True, subset_by_index=[0, 0])[0]) if keep.size else 1.0
    kind = "none" if kkt > 1e-6 or smallest < -1e-8 else "flat" if smallest < 1e-8 else "interior"
    return dict(UNCERTIFIED) | {"kind": kind, "min_eigenvalue": smallest, "em_rate": 1 - smallest, "kkt": kkt}
