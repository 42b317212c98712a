"""The experiments: arms, sizes, the range of n fixed beforehand, and what the theorem says."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from moegate import (
    ActivationGate,
    DenseToSparseGate,
    ModifiedSoftmaxGate,
    MoERegressor,
    TopKGate,
    dendrogram,
)
from moegate.voronoi import voronoi_loss

from .arms import UNKNOWN, Arm, measure, true_measure


def sizes(low, high, count):
    """Sample sizes, equally spaced on the logarithm."""
    return tuple(int(n) for n in np.round(np.geomspace(low, high, count)))


@dataclass(frozen=True)
class Experiment:
    """What is run and what is expected of it.

    Parameters
    ----------
    name : str
    arms : tuple of Arm
        All arms see the same data.
    sizes : tuple of int
    replicates : int
    slopes : tuple of str
        Columns whose log-log slope is reported.
    expected : dict
        By column the exponent of n; with `one_sided` an upper bound on the slope.
    span : (int, int)
        The range of n on which slopes are taken.
    one_sided : bool
    quick : (tuple of int, int)
        Sizes and replicates of a quick run.
    """

    name: str
    arms: tuple
    sizes: tuple
    replicates: int
    slopes: tuple
    expected: dict
    span: tuple
    one_sided: bool = False
    quick: tuple = field(default=((500, 1000, 2000), 6))

    @property
    def text(self):
        """What the theorem says, with its status, and what the experiment can tell: its part of theory.md."""
        parts = Path(__file__).with_name("theory.md").read_text().split("\n## ")
        return dict(part.split("\n\n", 1) for part in parts[1:])[self.name].strip()

    @property
    def extras(self):
        """Columns beyond the common ones."""
        return tuple(dict.fromkeys(name for arm in self.arms for name in arm.extras))


GROUPS = ("weights", "gate", "slope", "intercept", "variance")
HALF = dict.fromkeys(("loss", "hellinger", *GROUPS), -0.5)


def _temperature(fit, truth, X, y, rng):
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


def _translation(fit, truth, X, y, rng):
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


def _dendrogram(fit, truth, X, y, rng):
    """The number of experts that the dendrogram chooses, and the loss of the measure merged to the true number."""
    tree = dendrogram(fit, X, y)
    merged = MoERegressor(truth.K, init=tree.merged(truth.K), max_iter=1).fit(X, y)
    merged.theta_ = tree.merged(truth.K)
    loss = voronoi_loss(measure(merged, truth), true_measure(truth), exponents=UNKNOWN).total
    return {"chosen": tree.n_experts, "loss_merged": loss}


class StoppedEM(Arm):
    """EM stopped where an iteration gains less than 1e-6 in mean log-likelihood."""

    def fitted(self, X, y, rng):
        fits = [
            MoERegressor(self.K, init=start, solver="em", tol=1e-6 * len(y), max_iter=5000).fit(X, y)
            for start in self.starts(len(y), rng)
        ]
        return max(fits, key=lambda fit: fit.loglik_)


EXPERIMENTS = (
    Experiment(
        "softmax-exact",
        (Arm("K=2", "G2", 2),),
        sizes(1e4, 1e5, 10),
        100,
        ("loss", *GROUPS, "hellinger"),
        HALF,
        (10_000, 100_000),
    ),
    Experiment(
        "softmax-over3",
        (Arm("K=3", "G2", 3),),
        sizes(1e4, 1e5, 10),
        100,
        ("loss", "weights", "hellinger"),
        {"loss": -0.5, "weights": -0.5, "hellinger": -0.5},
        (10_000, 100_000),
        True,
    ),
    Experiment(
        "softmax-over4",
        (Arm("K=4", "G2", 4),),
        sizes(1e4, 1e5, 10),
        60,
        ("loss", "weights", "hellinger"),
        {"loss": -0.5, "weights": -0.5, "hellinger": -0.5},
        (10_000, 100_000),
        True,
    ),
    Experiment(
        "softmax-density",
        tuple(Arm(f"K={K}", "G2", K) for K in (2, 3, 4)),
        sizes(1e3, 1e5, 10),
        60,
        ("hellinger", "total_variation"),
        {"hellinger": -0.5, "total_variation": -0.5},
        (1_000, 100_000),
    ),
    Experiment(
        "topk-exact",
        (Arm("top-2 of 3", "T3", 3, TopKGate(2), top=2),),
        sizes(500, 16_000, 6),
        30,
        ("loss", *GROUPS, "hellinger"),
        HALF,
        (1_000, 16_000),
        quick=((500, 1000), 3),
    ),
    Experiment(
        "topk-over",
        (
            Arm("top-2 of 4", "T3", 4, TopKGate(2), top=2),
            Arm("top-3 of 4", "T3", 4, TopKGate(3), top=2),
        ),
        sizes(500, 8_000, 5),
        20,
        ("hellinger", "loss"),
        {"hellinger": -0.5},
        (500, 8_000),
        quick=((500, 1000), 2),
    ),
    Experiment(
        "temperature",
        (
            StartedTemperature(
                "tau free", "temperature", 2, extra=_temperature, extras=("error_slope", "error_tau", "error_ratio")
            ),
        ),
        sizes(1e3, 3e4, 8),
        50,
        ("error_slope", "error_tau", "error_ratio", "hellinger"),
        {"error_slope": 0.0, "error_tau": 0.0, "error_ratio": -0.5, "hellinger": -0.5},
        (1_000, 30_000),
    ),
    Experiment(
        "activation",
        (Arm("K=2", "activation", 2, ActivationGate(temperature=0.2), "activation"),),
        sizes(1e3, 3e4, 8),
        50,
        ("loss", *GROUPS, "hellinger"),
        HALF,
        (3_000, 30_000),
    ),
    Experiment(
        "multinomial",
        (Arm("K=2", "M3", 2, rule="multinomial"), Arm("K=3", "M3", 3, rule="multinomial")),
        sizes(1e3, 3e4, 8),
        50,
        ("loss", "gate", "slope", "intercept", "hellinger"),
        {"loss": -0.5, "hellinger": -0.5},
        (3_000, 30_000),
    ),
    Experiment(
        "multinomial-vanishing",
        (
            Arm("standard, K=2", "M3c", 2, rule="multinomial"),
            Arm("modified, K=2", "M3c-modified", 2, ModifiedSoftmaxGate(), "multinomial"),
            Arm("standard, K=3", "M3c", 3, rule="multinomial"),
            Arm("modified, K=3", "M3c-modified", 3, ModifiedSoftmaxGate(), "multinomial"),
        ),
        sizes(1e3, 3e4, 8),
        40,
        ("loss", "hellinger"),
        {"hellinger": -0.5},
        (3_000, 30_000),
    ),
    Experiment(
        "laplace-exact",
        (Arm("d=1", "laplace", 2, "laplace", "laplace"), Arm("d=2", "laplace2", 2, "laplace", "laplace")),
        sizes(1e3, 3e4, 8),
        50,
        ("loss", *GROUPS, "hellinger"),
        HALF,
        (3_000, 30_000),
    ),
    Experiment(
        "laplace-over",
        (Arm("K=3", "laplace", 3, "laplace", "laplace"),),
        sizes(1e3, 3e4, 8),
        50,
        ("loss", "hellinger"),
        {"loss": -0.5, "hellinger": -0.5},
        (3_000, 30_000),
        True,
    ),
    Experiment(
        "hierarchical",
        tuple(Arm(f"{name} exact", name, 4, sizes=(2, 2)) for name in ("SS", "SL", "LL"))
        + tuple(Arm(f"{name} over", name, 6, sizes=(4, 2)) for name in ("SS", "SL", "LL")),
        sizes(1e3, 2e4, 6),
        20,
        ("loss", "gate", "slope", "hellinger"),
        {"loss": -0.5, "hellinger": -0.5},
        (3_000, 20_000),
        True,
        quick=((500, 1000), 2),
    ),
    Experiment(
        "sigmoid",
        (Arm("K=2", "sigmoid", 2, "sigmoid", "sigmoid"), Arm("K=3", "sigmoid", 3, "sigmoid", "sigmoid")),
        sizes(1e3, 3e4, 8),
        50,
        ("loss", "hellinger"),
        {"hellinger": -0.5},
        (3_000, 30_000),
    ),
    Experiment(
        "dendrogram",
        (Arm("K=4", "G2", 4, extra=_dendrogram, extras=("chosen", "loss_merged")),),
        sizes(1e3, 1e5, 8),
        40,
        ("loss_merged", "hellinger"),
        {"loss_merged": -0.5, "hellinger": -0.5},
        (6_000, 100_000),
        quick=((1000, 4000), 4),
    ),
    Experiment(
        "em-gap",
        (Arm("certified", "G2", 3), StoppedEM("EM", "G2", 3)),
        sizes(1e3, 3e4, 6),
        40,
        ("loss", "hellinger"),
        {"loss": -0.5, "hellinger": -0.5},
        (3_000, 30_000),
        quick=((1000, 4000), 4),
    ),
    Experiment(
        "translation",
        (Arm("K=3", "G2", 3, extra=_translation, extras=("loss_fixed",)),),
        sizes(1e4, 1e5, 6),
        40,
        ("loss", "loss_fixed"),
        {"loss": -0.5},
        (10_000, 100_000),
        True,
        quick=((1000, 4000), 4),
    ),
)
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}
