"""Level of the bootstrap likelihood ratio test of one expert against two, and the chi-square's beside it.

    python benchmarks/lr_level.py [--replicates 2000] [--workers 2]

Null data: one Gaussian expert, y = x + noise, x uniform on [-2, 2], n = 200. Each data set has its statistic and one
simulated under its fitted null model, by the same search (n_init = 3): the warp-speed method of Giacomini, Politis &
White (2013), doi:10.1017/S0266466612000655, which takes the quantiles of all simulated statistics together. Rows are
appended to lr_level.csv, and what is there is not run again; lr_level.md is made from it.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import chi2
from threadpoolctl import threadpool_limits

from moegate import MoERegressor, likelihood_ratio_test

HERE, N, BATCH = Path(__file__), 200, 100
ROWS = HERE.with_suffix(".csv")


def replicate(seed):
    """Seed, statistic, simulated statistic."""
    rng = np.random.default_rng([N, seed])
    X = rng.uniform(-2, 2, (N, 1))
    y = X[:, 0] + rng.standard_normal(N)
    with threadpool_limits(1):
        moe = MoERegressor(n_init=3, random_state=seed)
        test = likelihood_ratio_test(moe, X, y, 1, 2, n_boot=1, random_state=seed)
    return [seed, f"{test.statistic:.6g}", f"{test.simulated[0]:.6g}"]


def table():
    """Rows on file, (r, 3)."""
    if not ROWS.exists():
        return np.empty((0, 3))
    with ROWS.open() as file:
        return np.array(list(csv.reader(file))[1:], dtype=float).reshape(-1, 3)


def run(replicates, workers):
    """Append what is missing."""
    if not ROWS.exists():
        ROWS.write_text("seed,statistic,simulated\n")
    missing = sorted(set(range(replicates)) - set(table()[:, 0].astype(int)))
    for at in range(0, len(missing), BATCH):
        rows = Parallel(workers)(delayed(replicate)(seed) for seed in missing[at : at + BATCH])
        with ROWS.open("a", newline="") as file:
            csv.writer(file).writerows(rows)
        print(at + len(rows), "of", len(missing), flush=True)


def report():
    """lr_level.md."""
    rows, df = table(), 5
    statistic, simulated = rows[:, 1], rows[:, 2]
    lines = [
        "# Level of the likelihood ratio test of one expert against two\n",
        f"{len(rows)} null data sets of n = {N}, by `python benchmarks/lr_level.py`, which states the design. Share",
        f"rejected; its standard error at 5% is {np.sqrt(0.05 * 0.95 / len(rows)):.3f}.\n",
        "| level | by bootstrap | by chi-square with 5 degrees of freedom | quantile of the statistic | "
        "of the chi-square |",
        "|---|---|---|---|---|",
    ]
    for level in (0.1, 0.05, 0.01):
        quantile, wrong = np.quantile(simulated, 1 - level), chi2.isf(level, df)
        shares = np.mean(statistic > quantile), np.mean(statistic > wrong)
        lines.append(
            f"| {level} | {shares[0]:.3f} | {shares[1]:.3f} | {np.quantile(statistic, 1 - level):.2f} | {wrong:.2f} |"
        )
    HERE.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    run(given.replicates, given.workers)
    report()
