"""Arms that fit or measure in a way of their own."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from moegate import DenseToSparseGate, MoERegressor, dendrogram
from moegate.estimators.labels import named
from moegate.voronoi import voronoi_loss

from .arms import UNKNOWN, Arm, best, distances, measure, true_measure
from .truths import affine

APART = 0.15  # scores, for a point to count as inside a selection
STEPS = np.linspace(-1, 1, 16)  # of a scan


def temperature_columns(fit, truth, X, y, rng):
    """Slope, temperature and their ratio against the truth: the fit's temperature is where its start was."""
    tau = fit.gate.temperature
    w = fit.gate_coef_[0, 0] - fit.gate_coef_[1, 0]
    order = 1.0 if fit.intercept_[0] < fit.intercept_[1] else -1.0
    slope, wanted = order * w, truth.R[0, 0] - truth.R[1, 0]
    ratio = abs(slope / tau - wanted / truth.gate.temperature)
    return {"error_slope": abs(slope - wanted), "error_tau": abs(tau - truth.gate.temperature), "error_ratio": ratio}


class StartedTemperature(Arm):
    """The temperature starts anywhere between a quarter and four, and, not being identified, stays there."""

    def fitted(self, X, y, rng):
        tau = float(np.exp(rng.uniform(np.log(0.25), np.log(4))))
        start = self.starts(len(y), rng)[0]
        start[:2] *= tau / self.model.gate.temperature
        return MoERegressor(self.K, gate=DenseToSparseGate(tau), init=start).fit(X, y)


def translation_columns(fit, truth, X, y, rng):
    """The loss without the infimum over translations, in the gauge of the solver: the last expert's row is zero."""
    fitted, true = measure(fit, truth), true_measure(truth)
    own = type(fitted)(
        fitted.bias - fitted.bias[-1],
        fitted.gate - fitted.gate[-1],
        fitted.slope,
        fitted.intercept,
        fitted.variance,
        fitted.mass,
    )
    return {"loss_fixed": voronoi_loss(own, true, exponents=UNKNOWN, translate=False).total}


def inside_columns(fit, truth, X, y, rng):
    """The Hellinger distance where the k-th and the next score of the truth are well apart: away from the borders."""
    scores = np.sort(affine(truth.R, truth.grid), axis=0)[::-1]
    apart = scores[truth.gate.k - 1] - scores[truth.gate.k] > APART
    return {"hellinger_inside": distances(fit, truth, truth.grid[apart])["hellinger"]}


def dendrogram_columns(fit, truth, X, y, rng):
    """The number of experts that the dendrogram chooses, and the loss of the measure merged to the true number."""
    tree = dendrogram(fit, X, y)
    merged = MoERegressor(truth.K, init=tree.merged(truth.K), max_iter=1).fit(X, y)
    merged.theta_ = tree.merged(truth.K)
    loss = voronoi_loss(measure(merged, truth), true_measure(truth), exponents=UNKNOWN).total
    return {"chosen": tree.n_experts, "loss_merged": loss}


class SparingArm(Arm):
    """The better of fits of K and of K - 1 experts: one that a top-K gate never selects changes nothing."""

    def fitted(self, X, y, rng):
        return best([Arm.fitted(arm, X, y, rng) for arm in (self, replace(self, K=self.K - 1))])


class StoppedEM(Arm):
    """EM stopped where an iteration gains less than 1e-6 in mean log-likelihood."""

    free = False

    def fitted(self, X, y, rng):
        fits = [
            MoERegressor(self.K, init=start, solver="em", tol=1e-6 * len(y), max_iter=5000).fit(X, y)
            for start in self.starts(len(y), rng)
        ]
        return max(fits, key=lambda fit: fit.loglik_)


@dataclass(frozen=True)
class BoxedArm(Arm):
    """Fits of two copies of the second expert, whose gate stays within `box` of the truth: both copies are selected.

    The likelihood of a top-K gate jumps where the selection changes, so that quasi-Newton climbs of the experts and of
    all, and scans along the coordinates of the gate, take turns. The certificate is "box" where a whole round gains
    less than 1e-3 in log-likelihood: at a jump no derivative is zero.
    """

    box: float = 0.3
    rounds: int = 40

    free = False

    def starts(self, n, rng):
        return super().starts(n, rng)[1:2]  # (1, 2, 1)

    def fitted(self, X, y, rng):
        start = self.starts(len(y), rng)[0]
        fit = MoERegressor(self.K, gate=self.gate, init=start, max_iter=1).fit(X, y)
        free = len(start) - 3 * self.K
        width = np.where(np.arange(len(start)) < free, self.box, 1.0)
        low, high = start - width, start + width
        likelihood, at_gate = fit.likelihood(X, y), np.arange(len(start)) < free
        theta, kind, reached = start, "none", -np.inf
        for _ in range(self.rounds):
            held = (np.where(at_gate, theta, end) for end in (low, high))
            theta = climbed(likelihood, climbed(likelihood, theta, *held), low, high)
            theta, value = scanned(likelihood, theta, low, high, free)
            if value < reached + 1e-3:
                kind = "box"
                break
            reached = value
        fit.theta_, fit.loglik_, fit.n_iter_ = theta, value, self.rounds
        vars(fit).update(named(theta, fit.model_, fit.columns_, fit.n_features_in_))
        fit.certificate_ = {"kind": kind, "decrement": np.nan, "min_eigenvalue": np.nan}
        return fit


def climbed(likelihood, theta, low, high):
    """The end of a local climb in a box."""
    n = likelihood.total_weight
    return minimize(
        lambda at: tuple(-part / n for part in likelihood.value_and_score(at)[:2]),
        theta,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": 500, "gtol": 1e-6},
    ).x


def scanned(likelihood, theta, low, high, free):
    """The best of the points along each gate coordinate in turn, and its value."""
    best = likelihood.value(theta)
    for at in range(free):
        tried = np.tile(theta, (3 * len(STEPS), 1))
        tried[:, at] = np.clip(theta[at] + np.concatenate([w * STEPS for w in (0.003, 0.03, 0.3)]), low[at], high[at])
        values = [likelihood.value(row) for row in tried]
        if max(values) > best + 1e-6:
            theta, best = tried[int(np.argmax(values))], max(values)
    return theta, best
