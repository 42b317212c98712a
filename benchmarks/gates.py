"""Every gate reaches its maximum likelihood: default fits from cold starts against the truth's log-likelihood.

    python benchmarks/gates.py [name ...] [--seeds 20]

Data with n = 2000 are drawn from a known model with the gate; the fit's log-likelihood must not be below the truth's.
On a regular design twice the difference is about chi-square with as many degrees of freedom as the model has, so its
mean over the seeds tests the solver from both sides. Rows go to gates.csv, a table of all rows there to gates.md.
"""

import argparse
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from moegate import (
    ActivationGate,
    CosineGate,
    DenseToSparseGate,
    GumbelGate,
    HierarchicalGate,
    LaplaceGate,
    ModifiedSoftmaxGate,
    MoERegressor,
    SigmoidGate,
    SoftmaxGate,
    SparsemaxGate,
    TopKGate,
)
from moegate.blocks import Rows, Units
from moegate.experts import Gaussian
from moegate.model import MixtureOfExperts

HERE, N = Path(__file__).parent, 2000
TWO = {"slopes": [1, 1], "intercepts": [-1.5, 1.5], "sigma": [0.4, 0.5]}
TWO_2D = {"slopes": [(1, 0.5), (1, 0.5)], "intercepts": [-1.5, 1.5], "sigma": [0.4, 0.5]}
THREE = {"slopes": [1, 1, 1], "intercepts": [-2, 0, 2], "sigma": [0.4, 0.5, 0.4]}
THREE_2D = {"slopes": [(1, 0.5)] * 3, "intercepts": [-2, 0, 2], "sigma": [0.4, 0.5, 0.4]}
FOUR = {"slopes": [1] * 4, "intercepts": [-3, -1, 1, 3], "sigma": [0.4] * 4}
TREE = {"slopes": [1, -1, 1, -1], "intercepts": [-4.5, -1.5, 1.5, 4.5], "sigma": [0.5] * 4}
TREE_2D = {"slopes": [(1, 0.5), (-1, 0.5)] * 2, "intercepts": [-4.5, -1.5, 1.5, 4.5], "sigma": [0.5] * 4}


@dataclass(frozen=True)
class Truth:
    """A known model: a gate with its coefficients (m, d + 1), Gaussian experts, columns uniform on a box."""

    gate: object
    coef: list
    slopes: list
    intercepts: list
    sigma: list
    box: tuple
    regular: bool = True  # a design on which twice the gain is about chi-square

    @property
    def n_experts(self):
        return len(self.sigma)

    @property
    def theta(self):
        """The truth in user units."""
        slopes = np.reshape(self.slopes, (self.n_experts, -1)).astype(float)
        experts = np.column_stack([slopes, self.intercepts, np.ones(self.n_experts)])
        return self.model.join(np.array(self.coef, dtype=float), experts / np.array(self.sigma)[:, None])

    @property
    def model(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gate = self.gate.build(self.n_experts)
        return MixtureOfExperts(
            gate, Gaussian(), self.n_experts, np.reshape(self.slopes, (self.n_experts, -1)).shape[1]
        )

    def draw(self, n, seed):
        """Columns (n, d) and responses (n,)."""
        rng = np.random.default_rng(seed)
        X = rng.uniform(*self.box, (n, self.model.n_columns))
        (block,) = Rows(X, np.zeros(n), None, Units.identity(X.shape[1]), response=False, size=n)
        return X, self.model.sample(self.theta, block, rng)


def tree(root, children):
    return HierarchicalGate(root=root, children=children, branches=(2, 2))


LAPLACE_LEAVES = [(-2, 0.5), (-0.5, 0), (0.5, -0.5), (2, 0)]
TRUTHS = {
    "softmax, d = 1": Truth(SoftmaxGate(), [(1.5, 0.3)], [0.8, -0.8], [-0.5, 0.5], [0.5, 0.6], (-2, 2)),
    "softmax, d = 2": Truth(SoftmaxGate(), [(1, -0.8, 0.3)], **TWO_2D, box=(-2, 2)),
    "top_k, 2 of 3, d = 1": Truth(TopKGate(2), [(-3, 0), (-1.5, 1)], **THREE, box=(-2, 2), regular=False),
    "top_k, 2 of 3, d = 2": Truth(TopKGate(2), [(-3, 0, 0), (-1.5, -1.5, 1)], **THREE_2D, box=(-2, 2), regular=False),
    "top_k, 2 of 4, d = 1": Truth(TopKGate(2), [(-3, 0), (-2, 1), (-1, 1)], **FOUR, box=(-2, 2), regular=False),
    "top_k, 1 of 2, d = 1": Truth(TopKGate(1), [(1, 0.3)], [1, -1], [-0.5, 1], [0.4, 0.5], (-2, 2), regular=False),
    "dense_to_sparse, d = 1": Truth(DenseToSparseGate(0.5), [(2, 0.5)], **TWO, box=(-2, 2)),
    "dense_to_sparse, d = 2": Truth(DenseToSparseGate(0.5), [(1, -0.5, 0.25)], **TWO_2D, box=(-2, 2)),
    "dense_to_sparse, learn": Truth(DenseToSparseGate("learn"), [(4, 1)], **TWO, box=(-2, 2)),
    "dense_to_sparse, schedule": Truth(DenseToSparseGate(0.5, schedule=(4, 2, 1)), [(2, 0.5)], **TWO, box=(-2, 2)),
    "activation, d = 1": Truth(ActivationGate(temperature=0.2), [(-0.25, 0), (-1.25, 0)], **TWO, box=(-3, 3)),
    "activation, d = 2": Truth(
        ActivationGate(temperature=0.2), [(-0.25, 1, 0), (-1.25, 0.5, 0)], **TWO_2D, box=(-3, 3)
    ),
    "modified_softmax, d = 1": Truth(ModifiedSoftmaxGate(), [(2, 0.5)], **TWO, box=(-3, 3)),
    "modified_softmax, d = 2": Truth(ModifiedSoftmaxGate(), [(2, -1, 0.5)], **TWO_2D, box=(-3, 3)),
    "laplace, d = 1": Truth(LaplaceGate(), [(-1.5, 0), (-0.5, 0)], [2, -1.5], [-1.5, 0.5], [0.4, 0.5], (-3, 3)),
    "laplace, d = 2": Truth(
        LaplaceGate(), [(-0.5, 1.5, 0), (0, -0.5, 0)], [(1, 0), (0, 1)], [-1.5, 1.5], [0.4, 0.5], (-3, 3)
    ),
    "sigmoid, d = 1": Truth(SigmoidGate(), [(1, -2.5), (3.5, 1.5)], **TWO, box=(-3, 3)),
    "sigmoid, d = 2": Truth(SigmoidGate(), [(1, 1, -2.5), (3.5, -1, 1.5)], **TWO_2D, box=(-3, 3)),
    "cosine, d = 2": Truth(
        CosineGate(),
        [(1, 0, 0.3), (np.cos(2.1), np.sin(2.1), -0.3), (np.cos(4.2), np.sin(4.2), 0)],
        [(1, 0)] * 3,
        [-2, 0, 2],
        [0.4, 0.5, 0.4],
        (-3, 3),
    ),
    "cosine, perturbed, d = 2": Truth(
        CosineGate(0.5), [(3, 0, 0.3), (-1, 2, -0.3), (-1, -2, 0)], **THREE_2D, box=(-3, 3)
    ),
    "sparsemax, d = 1": Truth(SparsemaxGate(), [(0.8, 0.2)], **TWO, box=(-2, 2), regular=False),
    "sparsemax, K = 3, d = 1": Truth(SparsemaxGate(), [(-0.8, 0), (0, 0.3)], **THREE, box=(-2, 2), regular=False),
    "sparsemax, K = 3, d = 2": Truth(
        SparsemaxGate(), [(-0.8, 0.3, 0), (0, 0.5, 0.3)], **THREE_2D, box=(-2, 2), regular=False
    ),
    "gumbel, d = 1": Truth(GumbelGate(), [(3, 0.5)], **TWO, box=(-2, 2)),
    "gumbel, d = 2": Truth(GumbelGate(), [(2, -1, 0.5)], **TWO_2D, box=(-2, 2)),
    "hierarchical, SS": Truth(tree("softmax", "softmax"), [(-1, 0), (-1, 0.5), (1, -0.5)], **TREE, box=(-3, 3)),
    "hierarchical, SL": Truth(tree("softmax", "laplace"), [(-1, 0), *LAPLACE_LEAVES], **TREE, box=(-3, 3)),
    "hierarchical, LL": Truth(tree("laplace", "laplace"), [(-1, 0), (1, 0), *LAPLACE_LEAVES], **TREE, box=(-3, 3)),
    "hierarchical, SS, d = 2": Truth(
        tree("softmax", "softmax"), [(-1, 0.5, 0), (-1, -0.5, 0.5), (1, 1, -0.5)], **TREE_2D, box=(-3, 3)
    ),
}


def row(name, seed):
    """One data set, one default fit."""
    truth = TRUTHS[name]
    X, y = truth.draw(N, seed)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.process_time()
        fit = MoERegressor(truth.n_experts, gate=truth.gate, random_state=seed).fit(X, y)
        seconds = time.process_time() - began
    history = fit.loglik_history_
    return {
        "design": name,
        "seed": seed,
        "gain": round(fit.loglik_ - fit.likelihood(X, y).value(truth.theta), 4),
        "dof": fit.dof_,
        "certificate": fit.certificate_["kind"],
        "falls": bool(np.any(np.diff(history) < -1e-9 * abs(history[-1]))),
        "degenerate": bool(fit.init_results_["degenerate"].iloc[0]),
        "seconds": round(seconds, 1),
    }


def table(rows):
    """One line a design."""
    lines = [
        "# Default fits from cold starts against the truth",
        "",
        f"Made by `python benchmarks/gates.py`: n = {N}, CPU seconds of one fit, rows in gates.csv. On regular",
        "designs the mean of 2 (log-likelihood of fit - of truth) must lie in the band dof +- 3 sqrt(2 dof / seeds).",
        "",
        "| design | seeds | at least the truth | smallest gain | mean of 2 gain | band | certificates | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, part in rows.groupby("design", sort=False):
        p, S, mean = part["dof"].median(), len(part), 2 * part["gain"].mean()
        half = 3 * np.sqrt(2 * p / S)
        inside = "" if abs(mean - p) <= half else " OUTSIDE"
        band = f"{p - half:.1f} to {p + half:.1f}{inside}" if TRUTHS[name].regular else ""
        kinds = ", ".join(f"{kind} {count}" for kind, count in part["certificate"].value_counts().items())
        lines.append(
            f"| {name} | {S} | {np.sum(part['gain'] >= 0)} | {part['gain'].min():.2f} | {mean:.1f} | {band} | {kinds} "
            f"| {part['seconds'].median():.1f} |"
        )
    return "\n".join([*lines, ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="designs whose name contains one of these; all without")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--dry", action="store_true", help="print and write nothing")
    arguments = parser.parse_args()
    names = [name for name in TRUTHS if not arguments.names or any(part in name for part in arguments.names)]
    tasks = (delayed(row)(name, seed) for name in names for seed in range(arguments.seeds))
    new = pd.DataFrame(Parallel(n_jobs=arguments.jobs)(tasks))
    if arguments.dry:
        print(table(new))
        return
    path = HERE / "gates.csv"
    old = pd.read_csv(path) if path.exists() else new[:0]
    rows = pd.concat([old[~old["design"].isin(names)], new])
    rows = rows.sort_values(["design", "seed"], key=lambda c: c.map(list(TRUTHS).index) if c.name == "design" else c)
    rows.to_csv(path, index=False)
    (HERE / "gates.md").write_text(table(rows))
    print(table(new))


if __name__ == "__main__":
    main()
