"""Lasso: time and memory of a path against columns, and which slopes are found.

    python benchmarks/lasso.py [--replicates 50] [--columns 250 500 1000 2000]

Paths of 30 knots, n = 300, K = 2, columns uniform on [-1, 1], slopes (1.5, -1), (-1.5, 0, 1), gate (2, 0, 0, 1). Then
the simulated designs of Huynh and Chamroukhi (arXiv:1907.06994), n = 300, six columns N(0, 0.5^|i - j|), K = 2, with
Gaussian, logistic and Poisson experts; the strength is the one of least criterion on a path of 12 knots from the
largest down to a hundredth of it, by `relaxed_bic` and by `bic`. Writes lasso.md beside this file.
"""

import argparse
import resource
import time
import warnings
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from conftest import machine
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from moegate import Lasso, MoEClassifier, MoERegressor, lasso_path

HERE = Path(__file__).parent
RULES = ("relaxed_bic", "bic")
PATHS = "p,seconds,per knot,refits,KKT,not certified,nonzero at the last,chosen,MB more,MB of X".split(",")
FOUND = "experts,rule,replicates,their sensitivity,specificity,gate's sensitivity,specificity".split(",")
DESIGNS = {  # slopes of the two experts, intercepts, gate slopes, gate intercept
    "gaussian": (((0, 1.5, 0, 0, 0, 1), (1, -1.5, 0, 0, 2, 0)), (0, 0), (2, 0, 0, -1, 0, 0), 1),
    "logistic": (((-1, 2, 0, 0, 1.5, 0), (1, 0, 0, -2, 0, 0)), (0, 0), (0, 0, 1, 0, 0, -1.5), 1),
    "poisson": (((1, 0, -2, 0, 1.5, 0), (0, 2, 0, -1, 0, 0)), (0, 0), (0, 0, 1, 0, -1.5, 0), 1),
}


def wide(p, seed=0, n=300):
    """Columns and responses of the paths."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, p))
    first = rng.random(n) < 1 / (1 + np.exp(-(2 * X[:, 0] + X[:, 3])))
    mean = np.where(first, 1 + 1.5 * X[:, 0] - X[:, 1], -1 - 1.5 * X[:, 0] + X[:, 2])
    return X, mean + 0.5 * rng.standard_normal(n)


def path_of(p):
    """One line of the first table, in a process of its own: the seconds of the path, then those that refits add."""
    X, y = wide(p)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.perf_counter()
        path = lasso_path(MoERegressor(2, penalty=Lasso(), random_state=0), X, y)
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began = time.perf_counter()
        at = path.best()
        refits = time.perf_counter() - began
    none = path.certificates.count("none")
    return (
        p,
        seconds,
        seconds / len(path.alphas),
        refits,
        path.kkt.max(),
        none,
        path.n_nonzero[-1],
        path.n_nonzero[at],
        peak - before,
        X.nbytes / 2**20,
    )


def drawn(family, seed, n=300):
    """Columns and responses of a design."""
    slopes, intercepts, gate, bias = (np.array(part, dtype=float) for part in DESIGNS[family])
    rng, at = np.random.default_rng(seed), np.arange(6)
    X = rng.multivariate_normal(np.zeros(6), 0.5 ** np.abs(at[:, None] - at), n)
    expert = (rng.random(n) > 1 / (1 + np.exp(-(X @ gate + bias)))).astype(int)
    eta = np.sum(X * slopes[expert], axis=1) + intercepts[expert]
    if family == "gaussian":
        return X, eta + rng.standard_normal(n)
    return X, rng.poisson(np.exp(eta)) if family == "poisson" else (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int)


def recovery(family, seed):
    """True and found slopes of experts and gate by criterion, experts in the order that agrees best."""
    X, y = drawn(family, seed)
    estimator = MoEClassifier if family == "logistic" else MoERegressor
    given = {"experts": "poisson"} if family == "poisson" else {}
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moe = estimator(2, penalty=Lasso(), n_init=3, random_state=seed, **given)
        path = lasso_path(moe, X, y, n_alphas=12, eps=0.01)
        return {rule: compared(family, path, path.best(rule)) for rule in RULES}


def compared(family, path, at):
    """True and found slopes of the experts, then of the gate, at a knot."""
    coef = path.coef[at].reshape(2, -1, 6)
    found, wanted = np.any(coef != 0, axis=1), np.array(DESIGNS[family][0]) != 0
    best = max((found, found[::-1]), key=lambda order: np.sum(order == wanted))
    gate = np.any(path.gate_coef[at] != 0, axis=0)
    return wanted, best, np.array(DESIGNS[family][2]) != 0, gate


def shares(pairs):
    """Sensitivity and specificity of (true, found)."""
    true, found = (np.concatenate([np.ravel(pair[i]) for pair in pairs]) for i in (0, 1))
    return found[true].mean(), 1 - found[~true].mean()


def measured_paths(columns):
    """Lines of the first table."""
    for p in columns:
        with get_context("spawn").Pool(1) as pool:
            yield "| " + " | ".join(f"{value:.3g}" for value in pool.apply(path_of, (p,))) + " |"


def measured_recovery(replicates, jobs):
    """Lines of the second table."""
    for family in DESIGNS:
        rows = Parallel(jobs)(delayed(recovery)(family, seed) for seed in range(replicates))
        for rule in RULES:
            pairs = [row[rule] for row in rows]
            numbers = *shares([pair[:2] for pair in pairs]), *shares([pair[2:] for pair in pairs])
            yield f"| {family} | {rule} | {replicates} | " + " | ".join(f"{value:.3f}" for value in numbers) + " |"


def table(names, lines):
    """A table with its head."""
    return "\n".join(["| " + " | ".join(names) + " |", "| --- " * len(names) + "|", *lines]) + "\n"


def main():
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicates", type=int, default=50, help="0: keep the table on file")
    parser.add_argument("--columns", type=int, nargs="*", default=[250, 500, 1000, 2000], help="none: keep the table")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    head, paths, found = (HERE / "lasso.md").read_text().split("\n## ")
    if given.columns:
        head = f"# Lasso\n\nMade by `python benchmarks/lasso.py` on {machine()}. One BLAS thread.\n"
        paths = "Paths\n\n" + table(PATHS, measured_paths(given.columns))
    if given.replicates:
        found = "Slopes found\n\n" + table(FOUND, measured_recovery(given.replicates, given.jobs))
    (HERE / "lasso.md").write_text("\n## ".join((head, paths, found)))


if __name__ == "__main__":
    main()
