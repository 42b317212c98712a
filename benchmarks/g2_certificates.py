"""Over-specified G2, three experts on two: does the best run from near the truth end certified, and what does EM miss?

Run by hand, ten minutes: `python benchmarks/g2_certificates.py`. Prints a table and writes g2_certificates.csv.

Truth (Nguyen, Nguyen & Ho 2023, arXiv:2305.03288): pi_1 = 1 / (1 + exp(8 - 25 x)), x uniform on [0, 1], experts
-20 x + 15 and 20 x - 5 with standard deviations 0.3 and 0.4. Starts: every way to fit three experts on the two, the
last on the last, each gate row and expert next to the true one. EM stops where an iteration gains less than 1e-6 a row.
Runs that end in a spike (a degenerate expert) come after sound ones, as in a fit.
"""

import csv
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from moegate.estimators.data import make_rows
from moegate.experts import Gaussian
from moegate.gates import SoftmaxGate
from moegate.likelihood import Likelihood
from moegate.model import MixtureOfExperts
from moegate.runs import degenerate_experts
from moegate.solvers import EM, Newton

SIZES, REPLICATES = (1_000, 10_000, 100_000), 20
GATE = np.array([[25.0, -8.0], [0.0, 0.0]])  # w, b
EXPERTS = np.array([[-20.0, 15.0, 0.3], [20.0, -5.0, 0.4]])  # a, c, sigma
SURJECTIONS = {(0, 0, 1): 1, (0, 1, 1): 2, (1, 0, 1): 2}  # true atom of each fitted one: which one is split
COLUMNS = "n replicate kind split spikes loglik decrement min_eigenvalue passes seconds newton_gain".split()


class Counted(Likelihood):
    """A likelihood that counts its passes over the data."""

    passes = 0

    def _pass(self, *args, **kwargs):
        self.passes += 1
        return super()._pass(*args, **kwargs)


def draw(n, rng):
    """Columns (n, 1) and responses (n,)."""
    x = rng.uniform(0, 1, n)
    a, c, sigma = EXPERTS[np.where(rng.random(n) * (1 + np.exp(8 - 25 * x)) < 1, 0, 1)].T
    return x[:, None], a * x + c + sigma * rng.standard_normal(n)


def near_truth(atoms, n, rng):
    """theta in user units, each atom next to a true one."""
    near = n**-0.083
    gate = GATE[list(atoms)] + 0.005 * near * rng.standard_normal((3, 2))
    experts = EXPERTS[list(atoms)] + 0.05 * near * rng.standard_normal((3, 3))
    psi = np.column_stack([experts[:, :2], np.ones(3)]) / np.maximum(experts[:, 2:], 0.05)
    return np.concatenate([(gate - gate[-1])[:-1].ravel(), psi.ravel()])


def problem(n, replicate):
    """A likelihood of three experts, with the scale floor that the estimator sets, and the starts by split."""
    rng = np.random.default_rng([n, replicate])
    X, y = draw(n, rng)
    family = Gaussian(residual_scale=np.sqrt(1 - np.corrcoef(X[:, 0], y)[0, 1] ** 2))
    model = MixtureOfExperts(SoftmaxGate().build(3), family, 3, 1)
    likelihood = Counted(model, make_rows(X, y, None, True))
    starts = [(split, near_truth(atoms, n, rng)) for atoms, split in SURJECTIONS.items()]
    return likelihood, [(split, model.to_scaled(theta, likelihood.rows.units)) for split, theta in starts]


def climbed(likelihood, split, start):
    """One run: sound or not, its value, Newton's end, its passes and seconds, and where it began."""
    likelihood.passes, began = 0, time.perf_counter()
    end = Newton().solve(likelihood, start)
    cost = likelihood.passes, time.perf_counter() - began
    return not degenerate_experts(likelihood, end.theta), end.loglik, split, end, cost, start


def newton_gain(likelihood, start):
    """What Newton gains from where EM stops."""
    em, value, _ = EM(tol=1e-6 * likelihood.total_weight, max_iter=10_000).run(likelihood, start)
    return Newton(warm_up=0).solve(likelihood, em).loglik - value


def row(n, replicate):
    """The best sound run of one replicate."""
    likelihood, starts = problem(n, replicate)
    runs = [climbed(likelihood, *start) for start in starts]
    sound, loglik, split, end, cost, start = max(runs, key=lambda run: run[:2])
    kind, *rest = (end.certificate[name] for name in ("kind", "decrement", "min_eigenvalue"))
    spikes = sum(not run[0] for run in runs)
    return dict(zip(COLUMNS, (n, replicate, kind, split, spikes, loglik, *rest, *cost, newton_gain(likelihood, start))))


def summary(rows):
    """One line for one n."""
    kinds = [r["kind"] for r in rows]
    counts = [kinds.count(kind) for kind in ("interior", "limit", "none")]
    passes, seconds, gain = (np.median([r[c] for r in rows]) for c in COLUMNS[-3:])
    numbers = *counts, round(passes), f"{seconds:.2f}", f"{gain:.2f}", f"{min(r['newton_gain'] for r in rows):.2g}"
    return f"{rows[0]['n']:8d}" + "".join(f"{number:>10}" for number in numbers)


def main():
    print("medians of passes, seconds and Newton's gain over EM's end; the smallest gain")
    print("       n  interior     limit      none    passes   seconds      gain  smallest")
    rows = []
    for n in SIZES:
        rows += [row(n, replicate) for replicate in range(REPLICATES)]
        print(summary(rows[-REPLICATES:]), flush=True)
    for r in rows:
        if r["kind"] == "none":
            print("not certified:", r)
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({c: f"{v:.10g}" if isinstance(v, float) else v for c, v in r.items()} for r in rows)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
