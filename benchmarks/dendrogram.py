"""How often does the dendrogram criterion find the number of experts, beside BIC and ICL, and what does it save?

Run by hand, half an hour on two cores: `python benchmarks/dendrogram.py`. Appends one row a replicate to
dendrogram.csv, skips those that are there (stop and go on at will), and writes the table dendrogram.md. `--replicates`,
`--processes`, `--out` (path of the csv).

Truths (rows are gate slope and intercept, then slope, intercept and standard deviation of the expert): G2, two experts,
x uniform on [0, 1] (Nguyen, Nguyen & Ho 2023, arXiv:2305.03288), n log-uniform in five ranges; close3, three experts,
x uniform on [-2, 2], at four n. Fits are cold, `n_init=3`, for K = 1..4, and the criteria choose among those up to the
K from which the dendrogram starts. What DSC takes: that fit, the merging, and one climb from the merged start of the
number chosen; what the sweep takes: all fits up to that K.
"""

import argparse
import csv
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from moegate import MoERegressor, dendrogram

TRUTHS = {
    "G2": ([[25, -8], [0, 0]], [[-20, 15, 0.3], [20, -5, 0.4]], (0, 1)),
    "close3": ([[-3, 0], [0, 1], [3, 0]], [[0.8, -0.5, 0.5], [-0.8, 0.3, 0.5], [0.8, 0.5, 0.5]], (-2, 2)),
}
RANGES = {
    "G2": [(101, 388), (401, 1553), (1608, 6223), (6443, 24946), (25827, 100_000)],
    "close3": [(300, 300), (1000, 1000), (3000, 3000), (10_000, 10_000)],
}
FROM = {"G2": (3, 4), "close3": (4,)}  # K at which the dendrogram starts
SIZES = (1, 2, 3, 4)
N_INIT = 3
KEY = ("truth", "low", "high", "replicate")
COLUMNS = (
    *KEY,
    "n",
    *(f"{name}_{K}" for K in SIZES for name in ("loglik", "bic", "icl", "kind", "degenerate", "seconds")),
    *(f"{name}_from_{K}" for K in (3, 4) for name in ("dsc", "plain", "seconds_tree", "seconds_refit")),
)


def draw(truth, n, rng):
    """Columns (n, 1) and responses (n,)."""
    gate, experts, box = TRUTHS[truth]
    x = rng.uniform(*box, n)
    scores = np.outer(x, np.array(gate)[:, 0]) + np.array(gate)[:, 1]
    a, c, sigma = np.array(experts)[np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)].T
    return x[:, None], a * x + c + sigma * rng.standard_normal(n)


def timed(function, *args, **options):
    """What a function returns, and its seconds."""
    began = time.perf_counter()
    return function(*args, **options), time.perf_counter() - began


def replicate(truth, low, high, number):
    """One row: the fits of all sizes, and the dendrograms."""
    rng = np.random.default_rng([list(TRUTHS).index(truth), low, number])
    n = int(round(np.exp(rng.uniform(np.log(low), np.log(high)))))
    X, y = draw(truth, n, rng)
    row, fits = {"truth": truth, "low": low, "high": high, "replicate": number, "n": n}, {}
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        for K in SIZES:
            fits[K], seconds = timed(MoERegressor(K, n_init=N_INIT, random_state=number).fit, X, y)
            row |= {f"loglik_{K}": fits[K].loglik_, f"bic_{K}": fits[K].bic(X, y), f"icl_{K}": fits[K].icl(X, y)}
            row |= {f"kind_{K}": fits[K].certificate_["kind"], f"seconds_{K}": seconds}
            row[f"degenerate_{K}"] = int(fits[K].init_results_["degenerate"].iloc[0])
        for K in FROM[truth]:
            tree, seconds = timed(dendrogram, fits[K], X, y)
            row |= {f"dsc_from_{K}": tree.n_experts, f"seconds_tree_from_{K}": seconds}
            row[f"plain_from_{K}"] = dendrogram(fits[K], X, y, dissimilarity="plain").n_experts
            refit = MoERegressor(tree.n_experts, init=tree.merged(tree.n_experts))
            row[f"seconds_refit_from_{K}"] = timed(refit.fit, X, y)[1]
    return {name: f"{value:.10g}" if isinstance(value, float) else value for name, value in row.items()}


def done(path):
    """Complete rows of the csv; a line that was cut off is dropped from it."""
    rows = []
    if path.exists():
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if None not in row and None not in row.values()]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return rows


def run(path, replicates, processes):
    """Fill the csv, small sizes first."""
    there = {tuple(row[name] for name in KEY) for row in done(path)}
    cases = [(truth, *ends, r) for truth in TRUTHS for ends in RANGES[truth] for r in range(replicates)]
    left = sorted((case for case in cases if tuple(map(str, case)) not in there), key=lambda case: case[2])
    with ProcessPoolExecutor(processes) as pool, path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        for at, future in enumerate(as_completed([pool.submit(replicate, *case) for case in left]), 1):
            writer.writerow(future.result())
            file.flush()
            print(f"\r{at} of {len(left)}", end="", flush=True)
    print()


def chosen(row, criterion, largest):
    """The number of experts with the smallest criterion among the sound fits up to a size."""
    sizes = [K for K in SIZES[:largest] if row[f"degenerate_{K}"] == "0"] or SIZES[:largest]
    return min(sizes, key=lambda K: float(row[f"{criterion}_{K}"]))


def seconds(row, largest):
    """Of the dendrogram's way, and of the sweep up to the same size."""
    tree = sum(float(row[f"{name}_from_{largest}"]) for name in ("seconds_tree", "seconds_refit"))
    return float(row[f"seconds_{largest}"]) + tree, sum(float(row[f"seconds_{K}"]) for K in SIZES[:largest])


def line(rows, truth, largest, ends):
    """One line of the table."""
    right = len(TRUTHS[truth][0])
    picks = [[int(row[f"{name}_from_{largest}"]) for row in rows] for name in ("dsc", "plain")]
    picks += [[chosen(row, criterion, largest) for row in rows] for criterion in ("bic", "icl")]
    shares = [f"{np.mean(np.array(pick) == right):.2f}" for pick in picks]
    over = f"{np.mean(np.array(picks[0]) > right):.2f}"
    times = np.array([seconds(row, largest) for row in rows])
    n = f"{ends[0]}-{ends[1]}" if ends[0] < ends[1] else str(ends[0])
    medians = [f"{t:.2f}" for t in np.median(times, axis=0)]
    return [truth, right, largest, n, len(rows), *shares, over, *medians, f"{np.median(times[:, 1] - times[:, 0]):.2f}"]


HEADER = "truth,K*,from K,n,replicates,DSC,DSC plain,BIC,ICL,DSC above K*,s: DSC,s: sweep,s: saved".split(",")
TEXT = """# The dendrogram criterion beside BIC and ICL

Share of replicates that choose the true K*: DSC from one fit of K experts (`moegate.dendrogram`, with the gate slopes
in the dissimilarity, and plain without them), BIC and ICL (-2 log-likelihood + penalty, smaller is better) from fits of
1..K. Cold fits, `n_init={n_init}`; degenerate fits are not eligible for BIC and ICL. DSC cannot choose one expert, and
no criterion can choose more than K. The standard error of a share near .8 is .04 with 100 replicates. Seconds: medians
a replicate, one core; DSC is the fit of K, the merging and a climb from the merged start, the sweep the fits of 1..K.
By `python benchmarks/dendrogram.py`; all numbers are in dendrogram.csv.

{table}

Total: {total:.0f} s of fitting, of which {sweep:.0f} s are fits below K = 4, which the dendrogram from 4 does without;
the merging took {tree:.1f} s, the climbs from merged starts {refit:.1f} s.
"""


def report(path):
    """Write and print the table of what is in the csv."""
    rows = done(path)
    table = [HEADER, ["---"] * len(HEADER)]
    for truth in TRUTHS:
        for largest in FROM[truth]:
            for ends in RANGES[truth]:
                part = [row for row in rows if (row["truth"], row["low"], row["high"]) == (truth, *map(str, ends))]
                if part:
                    table.append(line(part, truth, largest, ends))
    lines = "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in table)

    def total(*names):
        return sum(float(row[name] or 0) for row in rows for name in names)

    sums = {
        "total": total(*(f"seconds_{K}" for K in SIZES)),
        "sweep": total(*(f"seconds_{K}" for K in SIZES[:-1])),
        "tree": total(*(f"seconds_tree_from_{K}" for K in (3, 4))),
        "refit": total(*(f"seconds_refit_from_{K}" for K in (3, 4))),
    }
    text = TEXT.format(n_init=N_INIT, table=lines, **sums)
    path.with_suffix(".md").write_text(text)
    print(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    run(options.out, options.replicates, options.processes)
    report(options.out)


if __name__ == "__main__":
    main()
