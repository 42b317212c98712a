"""How often `summary()` warns that one expert less would do: in over-specified fits it should, in exact ones not.

    python benchmarks/banner.py [--replicates 200] [--workers 2]

Gaussian data, n = 500: one expert, y = x + noise on [-2, 2], fitted with K = 2; the two-expert truth of the coverage
benchmark with d = 1 (gate (1.5, 0.3), lines 0.8 x - 0.5 and -0.8 x + 0.5, deviations 0.5 and 0.6), fitted with K = 2
and K = 3; and close3, three experts (gates (-3, 0), (0, 1), (3, 0), slopes (0.8, -0.8, 0.8), intercepts (-0.5, 0.3,
0.5), deviation 0.5), for information: at n = 500 its third expert can hardly be seen. Fits, and those with one expert
less, are default ones. Rows go to banner.csv, a table to banner.md.
"""

import argparse
import csv
import warnings
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from moegate import MoERegressor, infer

HERE, N = Path(__file__), 500
TRUTHS = {  # gate rows (slope, intercept), slopes, intercepts, deviations
    "one expert": ([(0, 0)], [1], [0], [1]),
    "two experts": ([(1.5, 0.3), (0, 0)], [0.8, -0.8], [-0.5, 0.5], [0.5, 0.6]),
    "close3": ([(-3, 0), (0, 1), (3, 0)], [0.8, -0.8, 0.8], [-0.5, 0.3, 0.5], [0.5] * 3),
}
CASES = [("one expert", 2), ("two experts", 3), ("two experts", 2), ("close3", 3)]


def draw(name, rng):
    """Columns and responses."""
    gate, slopes, intercepts, sigma = map(np.array, TRUTHS[name])
    x = rng.uniform(-2, 2, N)
    scores = np.outer(x, gate[:, 0]) + gate[:, 1]
    expert = np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)
    return x[:, None], slopes[expert] * x + intercepts[expert] + sigma[expert] * rng.standard_normal(N)


def replicate(name, K, seed):
    """Truth, K, seed, certificate, whether the banner shows."""
    X, y = draw(name, np.random.default_rng([len(name), K, seed]))
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = MoERegressor(K, random_state=seed).fit(X, y)
        summary = str(infer(fit, X, y).summary())
    return [name, K, seed, fit.certificate_["kind"], int(f"BIC prefers {K - 1}" in summary)]


def main(replicates, workers):
    """Fit, write."""
    tasks = [(name, K, seed) for name, K in CASES for seed in range(replicates)]
    rows = Parallel(workers)(delayed(replicate)(*task) for task in tasks)
    with HERE.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["truth", "K", "seed", "certificate", "banner"])
        writer.writerows(rows)
    lines = [
        "# When `summary()` says that one expert less would do\n",
        f"{replicates} data sets of n = {N} each, by `python benchmarks/banner.py`, which states the truths.\n",
        "| truth | K fitted | share with the warning | interior fits |",
        "|---|---|---|---|",
    ]
    for name, K in CASES:
        part = [row for row in rows if row[:2] == [name, K]]
        shown, interior = np.mean([row[4] for row in part]), np.mean([row[3] == "interior" for row in part])
        lines.append(f"| {name} | {K} | {shown:.3f} | {interior:.3f} |")
    HERE.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    main(given.replicates, given.workers)
