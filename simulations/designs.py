"""The experiments: arms, sizes, the range of n fixed beforehand, and what the theorem says."""

import numpy as np

from moegate import ActivationGate, ModifiedSoftmaxGate, TopKGate

from .arms import HALF, Arm
from .experiment import Experiment
from .oracle import COLUMNS, ORACLE, across
from .special import (
    BoxedArm,
    SparingArm,
    StartedTemperature,
    StoppedEM,
    dendrogram_columns,
    inside_columns,
    temperature_columns,
    translation_columns,
)


def sizes(low, high, count):
    """Sample sizes, equally spaced on the logarithm."""
    return tuple(int(n) for n in np.round(np.geomspace(low, high, count)))


GROUPS = ("weights", "gate", "slope", "intercept", "variance")
DENSITY = {"hellinger": -0.5, "total_variation": -0.5}
TEMPERATURE = {"error_slope": 0.0, "error_tau": 0.0, "error_ratio": -0.5, "hellinger": -0.5}
OVER = {"claims": {"loss": -0.5, "weights": -0.5, "hellinger": -0.5}, "upper": True}
T3 = {"truth": "T3", "rule": "softmax", "top": 2}
DENSE = {"rule": None, "claims": {"hellinger": -0.5, "total_variation": -0.5}}  # where no Voronoi loss is defined
TREE_NAMES = ("SS", "SL", "LL")

EXPERIMENTS = (
    Experiment(
        "softmax-exact",
        (Arm("K=2", "G2", 2, claims=HALF),),
        sizes(1e4, 1e5, 20),
        100,
        ("loss", *GROUPS, "hellinger"),
        (10_000, 100_000),
    ),
    Experiment(
        "softmax-over3",
        (Arm("K=3", "G2", 3, **OVER),),
        sizes(1e4, 1e5, 20),
        100,
        ("loss", "weights", "hellinger"),
        (10_000, 100_000),
    ),
    Experiment(
        "softmax-over4",
        (Arm("K=4", "G2", 4, **OVER),),
        sizes(1e4, 1e5, 20),
        100,
        ("loss", "weights", "hellinger"),
        (10_000, 100_000),
    ),
    Experiment(
        "softmax-density",
        tuple(Arm(f"K={K}", "G2", K, claims=DENSITY) for K in (2, 3, 4)),
        sizes(1e3, 1e5, 10),
        60,
        ("hellinger", "total_variation"),
        (1_000, 100_000),
    ),
    Experiment(
        "topk-exact",
        (
            Arm(
                "top-2 of 3",
                K=3,
                gate=TopKGate(2),
                extra=inside_columns,
                extras=("hellinger_inside",),
                claims=HALF | {"hellinger_inside": -0.5},
                **T3,
            ),
        ),
        sizes(1500, 16_000, 6),
        30,
        ("loss", *GROUPS, "hellinger", "hellinger_inside"),
        (1_500, 16_000),
        ((500, 1000), 3),
    ),
    Experiment(
        "topk-over",
        (
            SparingArm("top-2 of 4", K=4, gate=TopKGate(2), draws=2, claims={"hellinger": -0.5}, upper=True, **T3),
            Arm("top-3 of 4", K=4, gate=TopKGate(3), draws=2, claims={"hellinger": -0.5}, upper=True, **T3),
            BoxedArm("top-2 of 4, kept", K=4, gate=TopKGate(2), claims={"hellinger": 0.0}, **T3),
            BoxedArm("top-3 of 4, kept", K=4, gate=TopKGate(3), claims={"hellinger": -0.5}, upper=True, **T3),
        ),
        sizes(1500, 8_000, 4),
        16,
        ("hellinger", "loss"),
        (1_500, 8_000),
        ((500, 1000), 2),
    ),
    Experiment(
        "temperature",
        (
            StartedTemperature(
                "tau free",
                "temperature",
                2,
                extra=temperature_columns,
                extras=("error_slope", "error_tau", "error_ratio"),
                claims=TEMPERATURE,
            ),
        ),
        sizes(1e3, 3e4, 8),
        50,
        ("error_slope", "error_tau", "error_ratio", "hellinger"),
        (1_000, 30_000),
    ),
    Experiment(
        "activation",
        (Arm("K=2", "activation", 2, ActivationGate(temperature=0.2), "activation", claims=HALF),),
        sizes(1e3, 3e4, 8),
        50,
        ("loss", *GROUPS, "hellinger"),
        (3_000, 30_000),
    ),
    Experiment(
        "multinomial",
        (
            Arm("K=2", "M3", 2, rule="multinomial", claims=HALF),
            Arm("K=3", "M3", 3, rule="multinomial", **OVER),
        ),
        sizes(1e3, 3e4, 8),
        50,
        ("loss", "gate", "slope", "intercept", "hellinger"),
        (3_000, 30_000),
    ),
    Experiment(
        "multinomial-vanishing",
        (
            Arm("standard, K=2", "M3c", 2, rule="multinomial", claims=HALF),
            Arm("modified, K=2", "M3c-modified", 2, ModifiedSoftmaxGate(), "multinomial", claims=HALF),
            Arm("standard, K=3", "M3c", 3, rule="multinomial", claims=DENSITY, upper=True),
            Arm("modified, K=3", "M3c-modified", 3, ModifiedSoftmaxGate(), "multinomial", claims=DENSITY, upper=True),
        ),
        sizes(1e3, 3e4, 8),
        40,
        ("loss", "hellinger"),
        (3_000, 30_000),
    ),
    Experiment(
        "laplace-exact",
        (
            Arm("d=1", "laplace", 2, "laplace", "laplace", claims=HALF),
            Arm("d=2", "laplace2", 2, "laplace", "laplace", claims=HALF),
        ),
        sizes(1e3, 3e4, 8),
        200,
        ("loss", *GROUPS, "hellinger"),
        (3_000, 30_000),
    ),
    Experiment(
        "laplace-over",
        (Arm("K=3", "laplace", 3, "laplace", "laplace", **OVER),),
        sizes(1e3, 3e4, 8),
        50,
        ("loss", "hellinger"),
        (3_000, 30_000),
    ),
    Experiment(
        "hierarchical",
        tuple(Arm(f"{name} exact", name, 4, sizes=(2, 2), claims=HALF, times=5) for name in TREE_NAMES)
        + tuple(Arm(f"{name} over", name, 6, sizes=(4, 2), **OVER) for name in TREE_NAMES),
        sizes(2e3, 2e4, 5),
        12,
        ("loss", "gate", "slope", "hellinger"),
        (3_000, 20_000),
        ((500, 1000), 2),
    ),
    Experiment(
        "sigmoid",
        (
            Arm("K=2", "sigmoid", 2, "sigmoid", "sigmoid", claims=HALF),
            Arm("K=3", "sigmoid", 3, "sigmoid", "sigmoid", claims=DENSITY),
        ),
        sizes(1e3, 3e4, 8),
        50,
        ("loss", "hellinger"),
        (3_000, 30_000),
    ),
    Experiment(
        "other-gates",
        (
            Arm("softmax, d=1", "coverage", 2, times=3, **DENSE),
            Arm("softmax, d=3", "coverage3", 2, **DENSE),
            Arm("cosine", "cosine", 3, "cosine", times=3, **DENSE),
            Arm("tanh", "tanh", 2, "modified_softmax", times=5, **DENSE),
            Arm("gumbel", "gumbel", 2, "gumbel", times=5, **DENSE),
            Arm("sparsemax", "sparsemax", 2, "sparsemax", **DENSE),
            Arm("top-2 of 4", "T4", 4, TopKGate(2), **DENSE),
        ),
        sizes(3e3, 3e4, 5),
        20,
        ("hellinger", "total_variation"),
        (3_000, 30_000),
        ((500, 1000), 2),
    ),
    Experiment(
        "dendrogram",
        (
            Arm(
                "K=4",
                "G2",
                4,
                extra=dendrogram_columns,
                extras=("chosen", "loss_merged"),
                claims={"loss_merged": -0.5, "hellinger": -0.5},
            ),
        ),
        sizes(1e3, 1e5, 8),
        40,
        ("loss_merged", "hellinger"),
        (6_000, 100_000),
        ((1000, 4000), 4),
    ),
    Experiment(
        "em-gap",
        (Arm("certified", "G2", 3, **OVER), StoppedEM("EM", "G2", 3)),
        sizes(1e3, 3e4, 6),
        40,
        ("loss", "hellinger"),
        (3_000, 30_000),
        ((1000, 4000), 4),
    ),
    Experiment(
        "translation",
        (Arm("K=3", "G2", 3, extra=translation_columns, extras=("loss_fixed",), **OVER),),
        sizes(1e4, 1e5, 6),
        40,
        ("loss", "loss_fixed"),
        (10_000, 100_000),
        ((1000, 4000), 4),
    ),
    Experiment(
        "lasso-oracle",
        ORACLE,
        (100, 200, 400, 800),
        16,
        ("ratio", "kl"),
        (100, 800),
        ((100, 200), 1),
        across,
        (COLUMNS[0], COLUMNS[-1]),
        lambda arm: f"c={arm.c:g}",
    ),
)
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}
