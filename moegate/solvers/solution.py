"""What a solver returns, and the certificate that says how its run ended."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import brentq

ROUNDING = 1e-12  # relative to the value: gains below it cannot be seen


@dataclass(frozen=True)
class Solution:
    """End of a solver's run.

    Attributes
    ----------
    theta : ndarray of shape (p,)
    loglik : float
        Value at `theta`.
    history : ndarray
        Value after each iteration; it never falls.
    converged : bool
        Whether the certificate is of kind "interior" or "limit".
    certificate : dict
        See `certify`.
    """

    theta: np.ndarray
    loglik: float
    history: np.ndarray
    converged: bool
    certificate: dict

    @property
    def n_iter(self):
        """Number of iterations."""
        return len(self.history)


class Watch:
    """A monitor that remembers having stopped a run; without a monitor it never does."""

    def __init__(self, monitor):
        self.monitor, self.stopped = monitor, False

    def __call__(self, theta, value):
        """Ask the monitor; true to stop."""
        self.stopped |= self.monitor is not None and bool(self.monitor(theta, value))
        return self.stopped


class Spectrum:
    """Eigenvalues of the observed information in the EM metric, -H v = lambda M v, at one point.

    Directions that the model cannot see are left out. 1 - lambda is the rate at which EM loses its distance to the
    maximum along v; lambda < 0 means a saddle; lambda <= 1 where M is the complete-data Hessian, as for the softmax
    gate.

    Parameters
    ----------
    at : Expansion
        With score, information M and Hessian H.
    flat : ndarray of shape (p, f)
        Directions to leave out.
    """

    def __init__(self, at, flat=None):
        M, H = at.information, at.hessian
        scale = 1 / np.sqrt(np.maximum(np.diag(M), 1e-300 + 1e-14 * np.max(np.diag(M), initial=0.0)))
        basis = np.diag(scale) if flat is None or flat.shape[1] == 0 else scale[:, None] * _complement(flat, scale)
        basis = basis @ _whitening(basis.T @ M @ basis)
        self.values, vectors = eigh(-basis.T @ H @ basis)
        self.vectors = basis @ vectors
        self.score = self.vectors.T @ at.score

    @property
    def smallest(self):
        """Smallest eigenvalue; one where there is nothing to estimate."""
        return float(np.min(self.values, initial=1.0))

    def decrement(self, floor=1e-12):
        """Predicted remaining gain of a Newton step, in log-likelihood units."""
        return 0.5 * float(np.sum(self.score**2 / np.maximum(np.abs(self.values), floor)))

    @property
    def em_decrement(self):
        """Predicted gain of an EM step: half the squared score in the EM metric."""
        return 0.5 * float(np.sum(self.score**2))

    @property
    def newton(self):
        """The undamped Newton step, where the smallest eigenvalue is positive."""
        return self.vectors @ self._over(0.0)

    def step(self, radius):
        """Maximiser of the quadratic model within a distance `radius` in the EM metric.

        Returns
        -------
        step : ndarray of shape (p,)
        gain : float
            What the quadratic model predicts.
        length : float
            In the EM metric.
        """
        c = self._coordinates(radius)
        gain = c @ self.score - 0.5 * np.sum(self.values * c**2)
        return self.vectors @ c, float(gain), float(np.linalg.norm(c))

    def _coordinates(self, radius):
        """Step in the eigenbasis: score / (lambda + mu), with mu >= 0 as small as the radius allows."""
        floor = max(0.0, -self.smallest)
        if floor == 0 and self._length(0.0) <= radius:
            return self._over(0.0)
        top = floor + np.linalg.norm(self.score) / radius
        bottom = floor + 1e-13 * max(1.0, top)
        if self._length(bottom) <= radius:
            return self._escape(bottom, radius)
        ends = np.log(bottom - floor), np.log(2 * top - floor)
        with np.errstate(divide="ignore"):  # a length of zero
            excess = brentq(lambda t: np.log(self._length(floor + np.exp(t)) / radius), *ends, xtol=1e-3, disp=False)
        return self._over(floor + np.exp(excess))

    def _over(self, mu):
        """score / (lambda + mu), zero where the score is: a saturated gate has lambda = score = 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.score == 0, 0.0, self.score / (self.values + mu))

    def _length(self, mu):
        return np.linalg.norm(self._over(mu))

    def _escape(self, mu, radius):
        """Off a saddle whose descent direction the score does not see: fill the radius along it."""
        c = self._over(mu)
        c[0] += np.sqrt(max(radius**2 - c @ c, 0.0))
        return c


def _whitening(M, floor=1e-9):
    """W with W'MW = I, for a positive semi-definite M; directions that M does not see are taken as of size `floor`."""
    values, vectors = eigh(M)
    return vectors / np.sqrt(np.maximum(values, floor * np.max(np.abs(values), initial=1.0)))


def _complement(flat, scale):
    """Basis of the directions, in the coordinates divided by `scale`, orthogonal to the flat ones."""
    Q = np.linalg.qr(flat / scale[:, None], mode="complete")[0]
    return Q[:, flat.shape[1] :]


def certify(likelihood, theta, tol, at=None):
    """How far theta is from a maximum, and of what kind.

    Parameters
    ----------
    likelihood : Likelihood
    theta : ndarray of shape (p,)
    tol : float
        Log-likelihood units.
    at : Expansion, optional
        Of the likelihood at theta, if already made.

    Returns
    -------
    dict
        `kind`: "interior" where the Newton decrement is below `tol` and the smallest eigenvalue positive; "limit" where
        that holds but for directions in which the gate's information has vanished and going on gains nothing, so that
        the supremum lies at infinity; "border" where the gate has no information although it stays (it selects one
        expert for each row), or where `Continuation` says so; "none" otherwise. `decrement`: what a Newton step would
        still gain. `min_eigenvalue` of the observed information in the EM metric, and `em_rate` = 1 - min_eigenvalue;
        at a limit both of the other directions. `at_boundary`: an expert on its scale floor. `gate_diverged`: the gate
        of a limit.
    """
    at = likelihood.expand(theta) if at is None else at
    flat, boundary = likelihood.flat(theta), likelihood.at_boundary(theta)
    receding, step = likelihood.receding(theta, at.information)
    diverged = bool(np.max(np.abs(step), initial=0.0) > 1e-9 * np.max(np.abs(theta), initial=0.0))
    spectrum = Spectrum(at, np.hstack([flat, receding]))
    gain = likelihood.value(theta + step) - at.value if diverged else 0.0
    settled = gain <= 10 * max(tol, ROUNDING * abs(at.value))
    kind = "limit" if diverged else "border" if receding.shape[1] else "interior"
    sound = spectrum.decrement() < tol and spectrum.smallest > 0 and settled and not boundary
    return {
        "kind": kind if sound else "none",
        "decrement": spectrum.decrement(),
        "min_eigenvalue": spectrum.smallest,
        "em_rate": 1 - spectrum.smallest,
        "at_boundary": boundary,
        "gate_diverged": diverged,
    }
