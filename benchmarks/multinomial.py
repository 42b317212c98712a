"""Multinomial benchmarks: do cold starts reach the maximum, and is it as far from the truth as theory says?

Run by hand, two minutes: `python benchmarks/multinomial.py`. Prints a table and writes multinomial.csv.

Truths (three classes, x uniform on [-3, 3], two experts; rows are (intercept, slope)): M3 with the gate (1, 3), experts
(4, -3.5), (-4, 3) and (-4, -3), (3, 3.5); M3c, whose first expert is constant, with the gate (-0.5, -3.5), experts
(1, 0), (-0.5, 0) and (-2.5, 1.5), (3.5, -3). With 10 parameters the likelihood ratio statistic against the truth,
2 (loglik(fit) - loglik(truth)), and Wald's, (fit - truth)' observed information (fit - truth), have mean 10 over data
sets. Over-fitted fits (K = 3, standard and modified gate) show how they end.
"""

import csv
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from moegate import ModifiedSoftmaxGate, MoEClassifier

TRUTHS = {
    "M3": ((1, 3), [[(4, -3.5), (-4, 3)], [(-4, -3), (3, 3.5)]]),
    "M3c": ((-0.5, -3.5), [[(1, 0), (-0.5, 0)], [(-2.5, 1.5), (3.5, -3)]]),
}
N, SEEDS = 20_000, 20
COLUMNS = "truth K gate seed loglik_gain wald certificate seconds".split()


def draw(name, n, seed):
    """Columns and classes."""
    gate, experts = TRUTHS[name]
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, n)
    expert = (rng.random(n) > 1 / (1 + np.exp(-gate[0] - gate[1] * x))).astype(int)
    rows = np.concatenate([np.array(experts, dtype=float), np.zeros((2, 1, 2))], axis=1)[expert]
    scores = rows[..., 0] + rows[..., 1] * x[:, None]
    return x[:, None], np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)


def truth(name):
    """theta of the truth: slopes before intercepts."""
    gate, experts = TRUTHS[name]
    return np.concatenate([gate[::-1], np.array(experts, dtype=float)[:, :, ::-1].ravel()])


def fitted(name, seed, K=2, gate="softmax"):
    """One row of the table."""
    X, y = draw(name, N, seed)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moe = MoEClassifier(K, gate=gate, penalty=None, random_state=seed).fit(X, y)
    seconds, gain, wald = time.perf_counter() - began, np.nan, np.nan
    if K == 2 and gate == "softmax":
        likelihood, theta = moe.likelihood(X, y), truth(name)
        gain = 2 * (moe.loglik_ - likelihood.value(theta))
        orders = [moe.model_.permute(moe.theta_, order) for order in ([0, 1], [1, 0])]
        near = min(orders, key=lambda t: np.linalg.norm(t - theta))
        wald = -(near - theta) @ likelihood.value_score_hessian(near)[2] @ (near - theta)
    name_of_gate = gate if isinstance(gate, str) else "modified_softmax"
    return [name, K, name_of_gate, seed, gain, wald, moe.certificate_["kind"], seconds]


def main():
    """Fit, print, write."""
    cases = [(2, "softmax"), (3, "softmax"), (3, ModifiedSoftmaxGate())]
    table = [fitted(name, seed, K, gate) for name in TRUTHS for K, gate in cases for seed in range(SEEDS)]
    with Path(__file__).with_name("multinomial.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([[f"{v:.6g}" if isinstance(v, float) else v for v in row] for row in table])
    print("truth  K  gate               likelihood ratio (least)   Wald   seconds  certificates")
    for name in TRUTHS:
        for K, gate in cases:
            label = gate if isinstance(gate, str) else "modified_softmax"
            rows = [row for row in table if row[:3] == [name, K, label]]
            gain, wald, seconds = (np.array([row[i] for row in rows]) for i in (4, 5, 7))
            kinds = ", ".join(f"{kind} {count}" for kind, count in Counter(row[6] for row in rows).items())
            numbers = f"{gain.mean():16.2f} ({gain.min():5.2f}) {wald.mean():8.2f}" if K == 2 else 33 * " "
            print(f"{name:5s} {K:2d}  {label:18s} {numbers} {np.median(seconds):8.1f}  {kinds}")


if __name__ == "__main__":
    main()
