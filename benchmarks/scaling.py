"""Cost of a pass against rows, columns, experts and workers; rounds to a certificate; what 1e9 rows would take.

    python benchmarks/scaling.py [--rows 1e4 1e5 1e6] [--most 1e7] [--ratio 1e5 1e7] [--fit 1e5 1e6]
                                 [--workers-rows 1e6] [--folder DIR]

One BLAS thread a process. A pass is that of Newton: value, score, information and observed Hessian. Columns are read
from a memory map where there are more than a million rows. Writes scaling.md and scaling.png beside this file.
"""

import argparse
import pickle
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread

import numpy as np
from conftest import machine
from numpy.lib.format import open_memmap
from threadpoolctl import threadpool_limits

from moegate import MoERegressor, blocks, passes
from moegate.blocks import Rows, Units
from moegate.estimators import collections
from moegate.experts import Gaussian
from moegate.gates import SoftmaxGate
from moegate.likelihood import Likelihood
from moegate.model import MixtureOfExperts

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from wells import wells  # noqa: E402

HERE, MAPPED, PIECE = Path(__file__).parent, 1_000_000, 100_000
ROUNDS = 3


def data(n, d, folder):
    """Piece by piece, into memory or into a map of a file."""
    shapes = {"X": (n, d), "y": (n,)}
    if n <= MAPPED:
        X, y = (np.empty(shape) for shape in shapes.values())
    else:
        X, y = (open_memmap(Path(folder) / f"{name}-{n}-{d}.npy", "w+", shape=s) for name, s in shapes.items())
    for at in range(0, n, PIECE):
        end = min(at + PIECE, n)
        X[at:end], y[at:end] = wells(end - at, d, at)
    return X, y


def point(n_experts, d):
    """A model and parameters near which nothing is extreme."""
    model, rng = MixtureOfExperts(SoftmaxGate().build(n_experts), Gaussian(), n_experts, d), np.random.default_rng(0)
    experts = np.column_stack([0.3 * rng.standard_normal((n_experts, d + 1)), np.full(n_experts, 1.0)])
    return model, model.join(0.3 * rng.standard_normal(model.gate_free.shape), experts)


def median_seconds(*functions, rounds=ROUNDS):
    """Median seconds of each function over rounds in which they take turns, so that all see the same moments."""

    def once(function):
        began = time.perf_counter()
        function()
        return time.perf_counter() - began

    return np.median([[once(function) for function in functions] for _ in range(rounds)], axis=0).tolist()


def streamed(n, d, n_experts, folder):
    """The likelihood of n rows that are streamed."""
    X, y = data(n, d, folder)
    blocks.CACHE_BYTES = 0.0  # few rows are not kept either
    model, _ = point(n_experts, d)
    return Likelihood(model, Rows(X, y, None, Units(np.zeros(d), np.ones(d), 0.0, 4.0)))


def pass_cost(n, d, n_experts, folder):
    """Seconds of one pass over n rows that are streamed, and the bytes of its sums."""
    likelihood, (model, theta) = streamed(n, d, n_experts, folder), point(n_experts, d)
    sums = passes.hessian(model, theta, next(likelihood.rows.stream()))
    likelihood.value(theta)
    seconds, score = median_seconds(*(partial(f, theta) for f in (likelihood.expand, likelihood.value_and_score)))
    size = {"d": d, "K": n_experts, "seconds": seconds, "score seconds": score}
    return {"n": n, **size, "ns a row": 1e9 * seconds / n, "bytes": len(pickle.dumps(sums))}


def row_ratio(few, many, d, n_experts, folder):
    """Nanoseconds a row of Hessian passes over few and over many rows, taken in turns; as many rows in each turn.

    A turn of the few is as many passes as have the rows of the many, so that both are timed for as long.
    """
    _, theta = point(n_experts, d)
    small, large = (streamed(n, d, n_experts, folder) for n in (few, many))
    repeats = max(1, many // few)
    small.expand(theta), large.value(theta)
    turns = lambda: [small.expand(theta) for _ in range(repeats)], lambda: large.expand(theta)
    seconds = median_seconds(*turns, rounds=5)
    ns = [1e9 * t / n for t, n in zip(seconds, (few * repeats, many), strict=True)]
    return {"few": few, "many": many, "d": d, "K": n_experts, "ns few": ns[0], "ns many": ns[1], "ratio": ns[1] / ns[0]}


@contextmanager
def anonymous_peak(status=Path("/proc/self/status")):
    """Anonymous memory of this process in MB, every 10 ms, where the system says so."""
    seen, ended = [], Event()

    def watch():
        while status.exists() and not ended.wait(0.01):
            line = next(line for line in status.read_text().splitlines() if line.startswith("RssAnon"))
            seen.append(int(line.split()[1]) / 1024)

    thread = Thread(target=watch)
    thread.start()
    yield seen
    ended.set()
    thread.join()


def fit_cost(n, d, n_experts, folder):
    """Passes over all rows of a default fit after its subsample stage, and its seconds."""
    X, y = data(n, d, folder)
    seen, total = [], Rows.total
    Rows.total = lambda rows, function, over=None: seen.append((rows.n_rows, function)) or total(rows, function, over)
    with anonymous_peak() as peak:
        began = time.perf_counter()
        model = MoERegressor(n_experts=n_experts, n_init=4, random_state=0).fit(X, y)
        seconds, Rows.total = time.perf_counter() - began, total
    last = max(i for i, (rows, _) in enumerate(seen) if rows < n)
    after = [getattr(f, "func", None) for _, f in seen[last + 1 :]]
    counted = {"passes": len(after), "scores": after.count(passes.score), "hessians": after.count(passes.hessian)}
    counted["anonymous MB"] = max(peak, default=np.nan)
    counted["certificate"] = model.certificate_["kind"]
    return {"n": n, "d": d, "K": n_experts, "seconds": seconds, **counted}


def worker_cost(n, d, n_experts, workers):
    """Seconds of one pass on dask worker processes of one thread, and of a round over next to no rows."""
    import dask.array as da
    from distributed import Client, LocalCluster

    options = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    model, theta = point(n_experts, d)
    with LocalCluster(**options) as cluster, Client(cluster):
        X, y = generated(n, d, da)
        estimator = MoERegressor(n_experts)
        parts = collections.spread(X, (y, None, None))
        _, largest = collections.learn(estimator, parts)
        rows = collections.partitions(estimator, parts, largest, True)
        likelihood, few = Likelihood(model, rows), Likelihood(model, rows.__class__(rows.parts[:1], *fields(rows)))
        likelihood.expand(theta), few.expand(theta)
        one, all_rows = median_seconds(lambda: few.expand(theta), lambda: likelihood.expand(theta), rounds=5)
    return {"n": n, "d": d, "K": n_experts, "workers": workers, "seconds": all_rows, "one_partition": one}


def fields(rows):
    return rows.moments, rows.largest_response, rows.units, rows.response, rows.columns


def generated(n, d, da):
    """The same pieces, made by the workers."""
    from dask import delayed

    made = [delayed(wells, nout=2)(PIECE, d, at) for at in range(0, n, PIECE)]
    X = da.concatenate([da.from_delayed(pair[0], (PIECE, d), float) for pair in made])
    return X, da.concatenate([da.from_delayed(pair[1], (PIECE,), float) for pair in made])


def table(rows):
    """Markdown of dicts with the same keys."""
    head = list(rows[0])
    lines = [[f"{row[c]:.3g}" if isinstance(row[c], float) else str(row[c]) for c in head] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *lines])


def slopes(costs):
    """Exponent of n in the seconds, from the two largest n of each (d, K)."""
    out = {}
    for d, K in sorted({(c["d"], c["K"]) for c in costs}):
        part = sorted((c["n"], c["seconds"]) for c in costs if (c["d"], c["K"]) == (d, K))
        if len(part) > 1:
            (n, a), (m, b) = part[-2:]
            out[d, K] = np.log(b / a) / np.log(m / n)
    return out


def picture(costs, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
    for (d, K), slope in slopes(costs).items():
        part = sorted((c["n"], c["seconds"]) for c in costs if (c["d"], c["K"]) == (d, K))
        ax.loglog(*zip(*part, strict=True), "o-", label=f"d = {d}, K = {K}: slope {slope:.2f}")
    ax.set(xlabel="rows", ylabel="seconds of a Hessian pass")
    ax.legend(frameon=False)
    figure.savefig(path, dpi=120)


def extrapolation(costs, fits, workers, rows=10**9, machines=100):
    """Sentences on many rows and workers, from the measured parts alone."""
    cost = max((c for c in costs if (c["d"], c["K"]) == (5, 3)), key=lambda c: c["n"])
    share, hessians, scores = rows / machines, fits[-1]["hessians"], fits[-1]["scores"]
    work, less = (share * cost[name] / cost["n"] for name in ("seconds", "score seconds"))
    memory = share * (cost["d"] + 1) * 8 / 1e9
    depth = int(np.ceil(np.log2(share / PIECE * machines)))
    return (
        f"For {rows:.0e} rows, d = {cost['d']}, K = {cost['K']} on {machines} workers each holds {share:.0e} rows "
        f"({memory:.2g} GB). A Hessian pass takes {work:.3g} s of work on each, at the measured "
        f"{cost['ns a row']:.0f} ns a row, a pass for the score {less:.3g} s. A pass sends sums of "
        f"{cost['bytes'] / 1e3:.0f} kB from each "
        f"partition of {PIECE} rows through a tree of depth {depth}. With {hessians} Hessian and {scores} score passes "
        f"after the subsample, as in the fit above, that is {hessians * work + scores * less:.0f} s of work and "
        f"{hessians + scores} rounds. This is arithmetic on measured parts: "
        f"what a scheduler needs for {rows / PIECE:.0f} tasks a round has not been measured."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, nargs="+", default=[1e4, 1e5, 1e6])
    parser.add_argument("--most", type=float, nargs="*", default=[1e7], help="more rows, for d = 5, K = 3 only")
    parser.add_argument("--ratio", type=float, nargs=2, default=[1e5, 1e7], help="rows of the two that take turns")
    parser.add_argument("--fit", type=float, nargs="+", default=[1e5, 1e6])
    parser.add_argument("--workers-rows", type=float, default=1e6)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    asked = parser.parse_args()
    with threadpool_limits(1):
        cells = [(int(n), d, K) for d in (5, 20) for K in (3, 8) for n in asked.rows]
        cells += [(int(n), 5, 3) for n in asked.most]
        costs = [pass_cost(*cell, asked.folder) for cell in cells]
        ratio = row_ratio(*map(int, asked.ratio), 5, 3, asked.folder)
        fits = [fit_cost(int(n), 10, 4, asked.folder) for n in asked.fit]
        workers = [worker_cost(int(asked.workers_rows), 10, 4, w) for w in (1, 2)]
    write(costs, ratio, fits, workers)


def write(costs, ratio, fits, workers):
    picture(costs, HERE / "scaling.png")
    gain = workers[0]["seconds"] / workers[1]["seconds"]
    named = ", ".join(f"d = {d}, K = {K}: {slope:.2f}" for (d, K), slope in slopes(costs).items())
    parts = [
        "# Cost against rows",
        f"Made by `python benchmarks/scaling.py` on {machine()}. One BLAS thread a process; medians of {ROUNDS}.",
        "## A Hessian pass, rows streamed in blocks",
        table(costs),
        f"Exponent of n between the two largest: {named}.",
        f"In turns in one process, medians of five, d = {ratio['d']}, K = {ratio['K']}: {ratio['ns few']:.0f} ns a row "
        f"for {ratio['few']} rows and {ratio['ns many']:.0f} ns for {ratio['many']}, a ratio of {ratio['ratio']:.2f}.",
        "![Seconds of a pass against rows](scaling.png)",
        "## Default fits, K = 4, d = 10, well separated",
        "`passes` over all rows after the subsample stage, among them those for scores and for Hessians.",
        table(fits),
        "## dask worker processes, one thread each",
        f"Two workers take 1/{gain:.2f} of the time of one; `one_partition` is a round over {PIECE} rows.",
        table(workers),
        "## 1e9 rows on 100 workers",
        extrapolation(costs, fits, workers),
    ]
    (HERE / "scaling.md").write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
