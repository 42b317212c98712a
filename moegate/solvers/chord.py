"""Newton's method where passes over the rows are dear: the curvature of a sample of them, the score of all."""

from dataclasses import dataclass, replace

import numpy as np

from .newton import Newton
from .solution import ROUNDING, Spectrum, Watch

POSITIVE = 1e-3  # smallest eigenvalue of the sample's information in the EM metric for its steps to be of use
SHRINKING = 0.1  # of the predicted gain, from one step to the next: else the sample's curvature is of no more use


@dataclass(frozen=True)
class Chord:
    """Steps by the Hessian of a sample and the score of all rows; then Newton on all rows.

    A pass for a score costs a fraction of one for a Hessian, and near the maximum a step leaves of the distance to it
    about 1 / sqrt(rows of the sample). They end where the predicted gain is below the solver's `tol` or no longer
    shrinks; a step is taken back where the log-likelihood falls.

    Parameters
    ----------
    sample : Likelihood
        Of some of the rows.
    solver : Newton
        Finishes, and certifies.
    max_iter : int
        Scores of all rows at most.
    monitor : callable, optional
        `monitor(theta, value)` after each iteration; a true answer stops the run.

    References
    ----------
    .. [1] Ortega & Rheinboldt (1970), Iterative solution of nonlinear equations in several variables,
       doi:10.1137/1.9780898719468.
    """

    sample: object
    solver: Newton
    max_iter: int = 8
    monitor: object = None

    def solve(self, likelihood, theta):
        """Climb from theta, a maximum of the sample.

        Parameters
        ----------
        likelihood : Likelihood
            Of all rows.
        theta : ndarray of shape (p,)

        Returns
        -------
        Solution
        """
        watch = Watch(self.monitor)
        theta, history = self._approach(likelihood, theta, watch)
        stopped = {"max_iter": 0, "warm_up": 0, "polished": False} if watch.stopped else {}
        solution = replace(self.solver, monitor=watch, **stopped).solve(likelihood, theta)
        return replace(solution, history=np.append(history, solution.history))

    def _approach(self, likelihood, theta, watch):
        """Theta and the values on the way to it."""
        spectrum = Spectrum(self.sample.expand(theta), self.sample.flat(theta))
        if spectrum.smallest < POSITIVE:
            return theta, []
        share = likelihood.total_weight / self.sample.total_weight
        (value, score), history, before = likelihood.value_and_score(theta), [], np.inf
        for _ in range(self.max_iter):
            along = spectrum.vectors.T @ score
            gain = 0.5 * float(np.sum(along**2 / spectrum.values)) / share
            if gain < self.solver.tol or gain > SHRINKING * before or watch.stopped:
                break
            following = theta + spectrum.vectors @ (along / spectrum.values) / share
            new_value, score = likelihood.value_and_score(following)
            if not new_value >= value - ROUNDING * abs(value):
                break
            theta, value, before = following, new_value, gain
            history.append(value)
            watch(theta, value)
        return theta, history
