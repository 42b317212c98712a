"""The lasso's oracle inequality: Kullback-Leibler distance of the fit over alpha times the truth's absolute slopes."""

from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np

from moegate import Lasso, MoERegressor

from .arms import Arm
from .truths import Gate, Truth

POINTS, NODES = 1000, 40  # of the columns and, for each true expert there, of the response
KKT = 1e-6  # above which a fit is no solution
COLUMNS, STRENGTHS = (50, 200, 1000, 2000), (0.25, 0.5, 1.0, 2.0)
BINDING = 0.5  # c up to which the bound is below the distance of a fit without columns somewhere in the range of n


@dataclass(frozen=True)
class Wide(Truth):
    """A truth with many columns, of which a few count."""

    @cached_property
    def grid(self):
        """Fixed points of the box, drawn once for each number of columns."""
        return np.random.default_rng(self.d).uniform(*self.box, (POINTS, self.d))

    @cached_property
    def size(self):
        """Sum of absolute slopes of the gate, against the last expert, and of a_k / sigma_k."""
        gate = np.abs(self.R[:-1, :-1] - self.R[-1, :-1]).sum()
        return float(gate + np.sum(np.abs(self.A) / np.array(self.sigma)[:, None]))


@cache
def wide(p):
    """Slopes (1.5, -1, 0, ...) and (-1.5, 0, 1, 0, ...), gate (2, 0, 0, 1, 0, ...), deviations 0.5, on p columns."""
    none = (0.0,) * (p - 4)
    slopes = ((1.5, -1, 0, 0, *none), (-1.5, 0, 1, 0, *none))
    gate = ((2, 0, 0, 1, *none, 0), (0,) * (p + 1))
    return Wide(Gate(), gate, slopes, (1, -1), (0.5, 0.5), (-1, 1))


def responsibilities(truth, X, y):
    """Of the true experts, (n, K)."""
    pi, means, sigma = truth.parts(X)
    joint = pi * np.exp(-0.5 * ((y[:, None] - means) / sigma) ** 2) / sigma
    return joint / joint.sum(axis=1, keepdims=True)


def log_density(parts, y):
    """Of normal mixtures (n, K) at responses (n, m)."""
    pi, means, sigma = (part[:, :, None] for part in parts)
    logs = np.log(pi) - np.log(sigma) - 0.5 * ((y[:, None] - means) / sigma) ** 2 - 0.5 * np.log(2 * np.pi)
    top = logs.max(axis=1)
    return top + np.log(np.exp(logs - top[:, None]).sum(axis=1))


def divergence(true, fitted):
    """Mean over points of the Kullback-Leibler distance of normal mixtures (pi, means, deviations), (n, K) each.

    By Gauss-Hermite quadrature around each true expert.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights, out = weights / weights.sum(), 0.0
    for k in range(true[0].shape[1]):
        y = true[1][:, [k]] + true[2][:, [k]] * nodes
        out += np.mean(true[0][:, k] * ((log_density(true, y) - log_density(fitted, y)) @ weights))
    return float(out)


def oracle_columns(fit, truth, X, y, rng):
    """The distance, and over alpha times the truth's size where the fit is a solution; what it used."""
    grid, found = truth.grid, fit.certificate_
    sigma = np.broadcast_to(fit.sigma_, (len(grid), len(fit.sigma_)))
    kl = divergence(truth.parts(grid), (fit.predict_gate(grid), fit.predict_experts(grid), sigma))
    solved = found["kkt"] <= KKT and found["kind"] != "none"
    ratio = kl / (fit.penalty.alpha * truth.size) if solved else np.nan
    return {"kl": kl, "ratio": ratio, "kkt": found["kkt"], "n_nonzero": found["n_nonzero"]}


@dataclass(frozen=True)
class LassoArm(Arm):
    """Fits at alpha = c sqrt(log p / n), from the library's starts and from the truth's responsibilities."""

    p: int = 50
    c: float = 1.0

    @property
    def model(self):
        return wide(self.p)

    def alpha(self, n):
        """Strength."""
        return self.c * np.sqrt(np.log(self.p) / n)

    def run(self, n, seed):
        """Columns of one replicate; the log-likelihoods are the penalised ones, of fit and truth."""
        row = super().run(n, seed)
        return row | {"loglik_truth": row["loglik_truth"] - n * self.alpha(n) * self.model.size}

    def fitted(self, X, y, rng):
        penalty = Lasso(self.alpha(len(y)), standardize=False)
        own = MoERegressor(self.K, penalty=penalty, n_init=2, random_state=int(rng.integers(2**31 - 1)))
        near = MoERegressor(self.K, penalty=penalty, init=responsibilities(self.model, X, y))
        best = max((own.fit(X, y), near.fit(X, y)), key=lambda fit: fit.objective_)
        best.loglik_ = best.objective_
        return best

    def losses(self, fit, truth):
        """None: there are no cells."""
        none = dict.fromkeys("loss loss_uncapped weights gate slope intercept variance".split(), np.nan)
        return {**none, "cells": ""}


ORACLE = tuple(
    LassoArm(
        f"p={p}, c={c:g}",
        f"oracle-{p}",
        2,
        extra=oracle_columns,
        extras=("kl", "ratio", "kkt", "n_nonzero"),
        claims={"ratio": 0.0} if c <= BINDING else {},
        upper=True,
        p=p,
        c=c,
    )
    for c in STRENGTHS
    for p in COLUMNS
)


def across(rows):
    """Pairs of an arm for each c and its rows of all sizes, with p in the place of n."""
    for c in STRENGTHS:
        arms = {arm.name: arm.p for arm in ORACLE if arm.c == c}
        part = [row | {"n": str(arms[row["arm"]])} for row in rows if row["arm"] in arms]
        if part:
            yield replace(ORACLE[0], name=f"in p, c={c:g}", c=c), part
