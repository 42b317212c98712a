"""What a solver returns, and the certificate that says how its run ended."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cholesky, eigh, solve_triangular
from scipy.optimize import brentq
from scipy.sparse.linalg import LinearOperator, eigsh

ROUNDING = 1e-12  # relative to the value: gains below it cannot be seen
UNCERTIFIED = {
    "kind": "none",
    "decrement": np.nan,
    "min_eigenvalue": np.nan,
    "em_rate": np.nan,
    "at_boundary": False,
    "gate_diverged": False,
    "experts_diverged": (),
}
DENSE = 600  # parameters up to which all eigenvalues are computed
FLAT = 1e-8  # eigenvalue in the EM metric below which a direction changes nothing


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
        Whether the certificate is not of kind "none".
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

    def decrement(self, floor=FLAT):
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


class Ends:
    """The smallest eigenvalue and the decrement of a `Spectrum` without the others: for many parameters.

    By the Cholesky factor of the observed information, and Lanczos iterations on its inverse.
    """

    def __init__(self, at, flat):
        M, A, score = at.information, -at.hessian, at.score
        if flat.shape[1]:
            Q = _complement(flat, np.ones(len(flat)))
            M, A, score = Q.T @ M @ Q, Q.T @ A @ Q, Q.T @ score
        try:
            root = cholesky(A)
        except LinAlgError:
            top = np.max(np.diag(M))
            self.smallest = float(
                eigh(A, M + 1e-9 * top * np.eye(len(M)), subset_by_index=[0, 0], eigvals_only=True)[0]
            )
            self._decrement = np.inf if self.smallest < -FLAT else 0.5 * float(score @ np.linalg.lstsq(A, score)[0])
            return

        def inverse(v):
            return solve_triangular(root, M @ solve_triangular(root, v), trans="T")

        operator = LinearOperator(M.shape, matvec=inverse, dtype=float)
        largest = eigsh(operator, k=1, which="LA", tol=1e-6, v0=np.ones(len(M)), return_eigenvectors=False)
        self.smallest = float(1 / largest[0])
        self._decrement = 0.5 * float(np.sum(solve_triangular(root, score, trans="T") ** 2))

    def decrement(self):
        """Predicted remaining gain of a Newton step, in log-likelihood units."""
        return self._decrement


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
        `kind`: "interior" where the Newton decrement is below `tol` and the smallest eigenvalue positive; "flat" where
        it is zero, below 1e-8: the maximum is not a point, and some parameters are not identified; "limit" where the
        decrement is small but for directions in which the information of the gate or of an expert has vanished and
        going on gains nothing, so that the supremum lies at infinity; "border" where the gate has no information
        although it stays (it selects one expert for each row), or where `Continuation` says so; "none" otherwise.
        `decrement`: what a Newton step would still gain. `min_eigenvalue` of the observed information in the EM
        metric, and `em_rate` = 1 - min_eigenvalue; at a limit both of the other directions. `at_boundary`: an expert on
        its scale floor. `gate_diverged`, `experts_diverged`: whether it is the gate, and which experts, whose
        parameters a limit has at infinity.
    """
    at = likelihood.expand(theta) if at is None else at
    flat, boundary = likelihood.flat(theta), likelihood.at_boundary(theta)
    receding, step = likelihood.receding(theta, at.information)
    gate, experts = likelihood.diverged(theta, step)
    spectrum = (Spectrum if len(theta) <= DENSE else Ends)(at, np.hstack([flat, receding]))
    gain = likelihood.value(theta + step) - at.value if gate or experts else 0.0
    settled = gain <= 10 * max(tol, ROUNDING * abs(at.value))
    level = abs(spectrum.smallest) < FLAT
    kind = "limit" if gate or experts else "border" if receding.shape[1] else "flat" if level else "interior"
    sound = spectrum.decrement() < tol and (spectrum.smallest > 0 or level) and settled and not boundary
    return {
        "kind": kind if sound else "none",
        "decrement": spectrum.decrement(),
        "min_eigenvalue": spectrum.smallest,
        "em_rate": 1 - spectrum.smallest,
        "at_boundary": boundary,
        "gate_diverged": gate,
        "experts_diverged": experts,
    }
