"""One arm of an experiment: how it fits data from a truth, and what it measures of the fit."""

import time
import warnings
from dataclasses import dataclass, field

import numpy as np
from sklearn.base import clone

from moegate import HierarchicalGate, MoEClassifier, MoERegressor
from moegate.voronoi import RULES, Measure, distances_of_classes, distances_of_normals, tree_loss, voronoi_loss

from .starts import near, near_tree
from .trees import TREES, branches_of
from .truths import TRUTHS

LOSSES = "loss loss_uncapped weights gate slope intercept variance".split()
MEASURED = (  # columns of every row, beside the task's own and the seconds
    *"loglik loglik_truth certificate decrement min_eigenvalue iterations cells".split(),
    *LOSSES,
    *"hellinger total_variation".split(),
)
UNKNOWN = dict.fromkeys(range(4, 9), 8)  # exponents r(m) beyond those known: at least 7
HALF = dict.fromkeys("loss hellinger total_variation weights gate slope intercept variance".split(), -0.5)
TREE_RULES = {  # the root's and the children's: without Laplace at both levels gate and experts interact
    "SS": (RULES["softmax"], RULES["softmax"]),
    "SL": (RULES["softmax"], RULES["softmax"]._replace(translates=False)),
    "LL": (RULES["laplace"], RULES["laplace"]),
}


@dataclass(frozen=True)
class Arm:
    """Fits of one kind.

    Parameters
    ----------
    name : str
    truth : str
    K : int
        Experts fitted.
    gate : str or gate
        What is fitted.
    rule : str, optional
        Of the Voronoi loss; without one only densities are compared.
    start : {"near", "cold"}
    draws : int
        Starts for each way to share the atoms out, if near.
    options : dict
        Further parameters of the estimator.
    extra : callable, optional
        `extra(fit, truth, X, y, rng)` returns further columns.
    extras : tuple of str
        Their names.
    sizes : tuple of int
        Children of each branch, of a tree.
    top : int, optional
        Cells that count, of a top-K gate.
    claims : dict
        The theory's exponent of n, by column.
    upper : bool
        Whether the theorem bounds them from above only.
    times : int
        How many times the experiment's replicates: of fits that cost little.
    """

    name: str
    truth: str
    K: int
    gate: object = "softmax"
    rule: str = "softmax"
    start: str = "near"
    draws: int = 1
    options: dict = field(default_factory=dict)
    extra: object = None
    extras: tuple = ()
    sizes: tuple = ()
    top: int = None
    claims: dict = field(default_factory=dict)
    upper: bool = False
    times: int = 1

    free = True  # whether its fits go for the maximum, without a box or an early stop

    @property
    def model(self):
        """The truth itself."""
        return TREES[self.truth] if self.sizes else TRUTHS[self.truth]

    def run(self, n, seed):
        """Columns of one replicate, as a dict."""
        truth, data, own = self.model, *map(np.random.default_rng, seed.spawn(2))
        X, y = truth.draw(n, data)
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = self.fitted(X, y, own)
            row = {"loglik": fit.loglik_, "loglik_truth": truth.loglik(X, y), "iterations": fit.n_iter_}
            kind, *numbers = (fit.certificate_[name] for name in ("kind", "decrement", "min_eigenvalue"))
            row |= {"certificate": kind, "decrement": numbers[0], "min_eigenvalue": numbers[1]}
            row |= self.losses(fit, truth) | distances(fit, truth)
            if self.extra is not None:
                row |= self.extra(fit, truth, X, y, own)
        return row | {"seconds": time.process_time() - began}

    # fitting --------------------------------------------------------------------------------------------------------

    def fitted(self, X, y, rng):
        """The best fit, from starts next to the truth or from the library's own."""
        estimator = MoEClassifier(self.K, penalty=None) if self.model.classes else MoERegressor(self.K)
        gate = self.gate
        if self.sizes:
            gate = HierarchicalGate(root=self.model.root.kind, children=self.model.gate.kind, branches=self.sizes)
        estimator.set_params(gate=gate, **self.options)
        if self.start == "cold":
            return estimator.set_params(random_state=int(rng.integers(2**31 - 1))).fit(X, y)
        return best([clone(estimator).set_params(init=start).fit(X, y) for start in self.starts(len(y), rng)])

    def starts(self, n, rng):
        """Parameter vectors next to the truth."""
        if self.sizes:
            return near_tree(self.model, self.sizes, n, rng)
        return near(self.model, self.K, n, rng, self.draws)

    # measuring ------------------------------------------------------------------------------------------------------

    def losses(self, fit, truth):
        """Voronoi losses: by average gate mass, capped; and in the papers' form, by exp(b) and without a cap."""
        if self.rule is None:
            return dict.fromkeys(LOSSES, np.nan) | {"cells": ""}
        if self.sizes:
            return tree_losses(fit, truth, self.sizes, TREE_RULES[self.truth])
        fitted, true = measure(fit, truth), true_measure(truth)
        given = {"rule": self.rule, "exponents": UNKNOWN, "top": self.top}
        loss = voronoi_loss(fitted, true, **given)
        paper = np.nan if self.rule == "sigmoid" else voronoi_loss(fitted, true, weights="exp", cap=None, **given).total
        cells = "-".join(map(str, loss.sizes))
        return {"loss": loss.total, "loss_uncapped": paper, "weights": loss.weights, "cells": cells, **loss.groups}


def best(fits):
    """The most likely fit, of those that are not degenerate if there is one."""
    return max(fits, key=lambda fit: (not fit.init_results_["degenerate"].iloc[0], fit.loglik_))


def measure(fit, truth):
    """The fitted mixing measure."""
    return Measure.from_named(fit.model_.unpack(fit.theta_), fit.predict_gate(truth.grid).mean(axis=0))


def true_measure(truth):
    """The true mixing measure."""
    mass = truth.probabilities(truth.grid).mean(axis=0)
    gate = truth.R[:, -1], truth.R[:, :-1]
    if truth.classes:
        rows = np.array(truth.classes, dtype=float)
        return Measure.of(*gate, rows[..., :-1], rows[..., -1], None, mass)
    return Measure.of(*gate, truth.A, truth.intercepts, np.array(truth.sigma) ** 2, mass)


def tree_losses(fit, truth, sizes, rules):
    """The losses of a tree, its groups those of the children; `gate` counts the root too."""
    total, root, children = tree_loss(branches_of(fit, truth, sizes), truth.measure, *rules, exponents=UNKNOWN)
    groups = {name: sum(child.groups[name] for child in children) for name in children[0].groups}
    groups["gate"] += root.groups["gate"]
    cells = "|".join("-".join(map(str, child.sizes)) for child in children)
    weights = root.weights + sum(child.weights for child in children)
    return {"loss": total, "loss_uncapped": np.nan, "weights": weights, "cells": cells, **groups}


def distances(fit, truth, grid=None):
    """Hellinger distance and total variation of the conditional densities, averaged over a grid."""
    grid = truth.grid if grid is None else grid
    if truth.classes:
        Q = np.einsum("nk,nkr->nr", truth.probabilities(grid), truth.class_probabilities(grid))
        found = distances_of_classes(fit.predict_proba(grid), Q)
    else:
        sigma = np.broadcast_to(fit.sigma_, (len(grid), len(fit.sigma_)))
        found = distances_of_normals((fit.predict_gate(grid), fit.predict_experts(grid), sigma), truth.parts(grid))
    return {"hellinger": found.hellinger, "total_variation": found.total_variation}
