"""Coverage of 95% confidence intervals, by parameter group: observed and sandwich, true and misspecified models.

    python benchmarks/coverage.py [--replicates 2000] [--workers 2]

Truths (columns uniform on [-2, 2]^d, two Gaussian experts, a softmax gate with gentler slopes than benchmark G2):
d = 1 has the gate (1.5, 0.3), lines 0.8 x - 0.5 and -0.8 x + 0.5, standard deviations 0.5 and 0.6; d = 3 the gate
slopes (1, -0.8, 0), intercept 0.3, slopes (0.8, -0.5, 0) and (-0.8, 0, 0.5), intercepts -1 and 1, the same deviations.
In the designs "het" the noise has standard deviation times sqrt(0.25 + 0.5625 x1^2): the model is wrong, and the target
is the parameter of the nearest model, taken from a fit to 1.5e6 rows.

Fits start at the truth and end at a certified maximum. Rows are appended to coverage.csv.gz, one for each replicate of
a design (share of a group's intervals that cover); what is there is not run again. coverage.md is made from it.
"""

import argparse
import csv
import gzip
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from moegate import MoERegressor, infer

HERE = Path(__file__)
ROWS = HERE.with_suffix(".csv.gz")
TRUTHS = {  # gate slopes and intercept; slopes, intercepts and standard deviations of the experts
    1: ((1.5,), 0.3, ((0.8,), (-0.8,)), (-0.5, 0.5), (0.5, 0.6)),
    3: ((1.0, -0.8, 0.0), 0.3, ((0.8, -0.5, 0.0), (-0.8, 0.0, 0.5)), (-1.0, 1.0), (0.5, 0.6)),
}
DESIGNS = [(d, noise, n) for noise in ("exact", "het") for d in (1, 3) for n in (500, 5000)]
GROUPS = ("gate slopes", "gate intercept", "expert slopes", "expert intercepts", "standard deviations")
KINDS = ("observed", "sandwich")
COLUMNS = ["d", "noise", "n", "replicate", "certificate", "kind", *GROUPS]
PSEUDO_ROWS = 1_500_000


def draw(d, noise, n, rng):
    """Columns and responses."""
    w, b, slopes, intercepts, sigma = map(np.array, TRUTHS[d])
    X = rng.uniform(-2, 2, (n, d))
    expert = (rng.random(n) > 1 / (1 + np.exp(-X @ w - b))).astype(int)
    spread = np.sqrt(0.25 + 0.5625 * X[:, 0] ** 2) if noise == "het" else 1.0
    mean = np.sum(X * slopes[expert], axis=1) + intercepts[expert]
    return X, mean + sigma[expert] * spread * rng.standard_normal(n)


def truth(d):
    """theta of the generating model."""
    w, b, slopes, intercepts, sigma = map(np.array, TRUTHS[d])
    experts = np.column_stack([slopes, intercepts, np.ones(2)]) / sigma[:, None]
    return np.concatenate([w, [b], experts.ravel()])


def fitted(d, X, y, start):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MoERegressor(2, init=start).fit(X, y)


def in_order(fit, target):
    """theta with the experts in the order nearest to the target's."""
    orders = [fit.model_.permute(fit.theta_, order) for order in ([0, 1], [1, 0])]
    return min(orders, key=lambda theta: np.linalg.norm(theta - target))


def pseudo_true(d):
    """theta of the model nearest to the misspecified truth."""
    fit = fitted(d, *draw(d, "het", PSEUDO_ROWS, np.random.default_rng(10**6 + d)), truth(d))
    return in_order(fit, truth(d))


def group(name):
    """Of a parameter, its group."""
    if name.startswith("gate"):
        return GROUPS[name.endswith("intercept")]
    return GROUPS[4 if name.endswith("sigma") else 3 if name.endswith("intercept") else 2]


def natural(fit, theta):
    """Natural parameters in the order of `infer`: gate contrasts with the last expert, lines, deviations."""
    parts = fit.model_.unpack(theta)
    gate = np.append(parts["gate_coef"][0] - parts["gate_coef"][1], np.diff(parts["gate_intercept"][::-1]))
    experts = [(*parts["coef"][k], parts["intercept"][k], parts["sigma"][k]) for k in range(2)]
    return np.concatenate([gate, *experts])


def replicate(design, seed, target):
    """Rows of the table for one data set."""
    d, noise, n = design
    with threadpool_limits(1):
        X, y = draw(d, noise, n, np.random.default_rng([d, n, noise == "het", seed]))
        fit = fitted(d, X, y, target)
        swap = not np.array_equal(in_order(fit, target), fit.theta_)
        goal = natural(fit, fit.model_.permute(target, [1, 0]) if swap else target)
        rows = []
        for kind in KINDS:
            frame = infer(fit, X, y, kind=kind).to_frame()
            covered = (frame["lower"] <= goal) & (goal <= frame["upper"])
            shares = covered.groupby([group(name) for name in frame.index]).mean()
            certificate = fit.certificate_["kind"]
            rows.append([d, noise, n, seed, certificate, kind, *(f"{shares[name]:.4f}" for name in GROUPS)])
        return rows


def table():
    """Rows on file."""
    if not ROWS.exists():
        return []
    with gzip.open(ROWS, "rt") as file:
        return list(csv.reader(file))[1:]


def append(rows):
    with gzip.open(ROWS, "at", newline="") as file:
        csv.writer(file).writerows(rows)


def run(replicates, workers):
    """Append what is missing, in batches."""
    done = defaultdict(set)
    for row in table():
        done[int(row[0]), row[1], int(row[2])].add(int(row[3]))
    if not ROWS.exists():
        append([COLUMNS])
    for design in DESIGNS:
        missing = sorted(set(range(replicates)) - done[design])
        target = pseudo_true(design[0]) if missing and design[1] == "het" else truth(design[0])
        for at in range(0, len(missing), 200):
            batch = missing[at : at + 200]
            parts = Parallel(workers)(delayed(replicate)(design, seed, target) for seed in batch)
            append([row for part in parts for row in part])
        print(*design, len(missing), flush=True)


def report():
    """coverage.md."""
    rows_of, lines = defaultdict(list), ["# Coverage of 95% confidence intervals\n"]
    lines += ["Share of intervals that cover, by `python benchmarks/coverage.py`, which states the designs; `het` is"]
    lines += ["misspecified and its target the pseudo-true parameter.\n"]
    lines += ["| d | noise | n | replicates | covariance | " + " | ".join(GROUPS) + " |", "|---" * 10 + "|"]
    for row in table():
        rows_of[int(row[0]), row[1], int(row[2]), row[5]].append([float(v) for v in row[6:]])
    for d, noise, n in DESIGNS:
        for kind in KINDS:
            rows = rows_of[d, noise, n, kind]
            means = np.mean(rows, axis=0) if rows else []
            lines.append(
                f"| {d} | {noise} | {n} | {len(rows)} | {kind} | " + " | ".join(f"{m:.3f}" for m in means) + " |"
            )
    HERE.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    run(given.replicates, given.workers)
    report()
