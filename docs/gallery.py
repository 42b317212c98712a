"""Pictures of README and documentation: `python docs/gallery.py` runs gallery.md and draws the gates side by side.

gates_1d.png and gates_2d.png show the fitted gate of every kind on the same data, front.png the README's example.
"""

import re
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch
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
from moegate.plotting import GateDisplay
from moegate.plotting._style import expert_color, expert_label

HERE, N, K = Path(__file__).parent, 600, 3
GATES = {
    "softmax": SoftmaxGate(),
    "top-K, k = 2": TopKGate(2),
    "top-K, k = 1": TopKGate(1),
    "dense to sparse, temperature 0.2": DenseToSparseGate(0.2),
    "activation: sigmoid, temperature 0.2": ActivationGate(temperature=0.2),
    "modified softmax: tanh": ModifiedSoftmaxGate(),
    "Laplace": LaplaceGate(),
    "normalised sigmoid": SigmoidGate(),
    "cosine": CosineGate(),
    "perturbed cosine": CosineGate(0.5),
    "sparsemax": SparsemaxGate(),
    "Gumbel, temperature 1": GumbelGate(),
    "tree: softmax, then (2, 1)": HierarchicalGate(branches=(2, 1)),
    "tree: Laplace, then softmax (2, 1)": HierarchicalGate(root="laplace", branches=(2, 1)),
}


def drawn(d, seed=0):
    """Three levels of y, each around a place of its own in the columns."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-3, 3, (N, d))
    angle = 2 * np.pi * np.arange(K) / K
    places = np.linspace(-2, 2, K)[:, None] if d == 1 else 1.8 * np.column_stack([np.cos(angle), np.sin(angle)])
    scores = -2 * np.linalg.norm(X[:, None] - places, axis=2)
    expert = np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)
    return X, 2.0 * expert + 0.3 * X[:, 0] + 0.4 * rng.standard_normal(N)


def by_level(fit, X):
    """Experts by their level, so that each has the same colour in all panels."""
    return np.argsort(fit.predict_experts(np.zeros((1, X.shape[1])))[0])


def panels(d):
    """One panel for each gate that has something to say about d columns."""
    X, y = drawn(d)
    kinds = {name: gate for name, gate in GATES.items() if d > 1 or "cosine" not in name}
    columns = 4
    rows = -(-len(kinds) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.1 * columns, 2.6 * rows), sharex=True, sharey=True, layout="constrained"
    )
    for ax, (name, gate) in zip(axes.flat, kinds.items()):
        fit = MoERegressor(K, gate=gate, random_state=0).fit(X, y)
        display = GateDisplay.from_estimator(fit, X, grid_resolution=150, subsample=150)
        grids, order = display.grids, by_level(fit, X)
        plt.close(display.figure_)
        GateDisplay(
            grids=grids, gate=display.gate[..., order], points=display.points, feature_names=display.feature_names
        ).plot(ax=ax)
        ax.get_legend().remove()
        ax.set_title(f"{name}\nlog-likelihood {fit.loglik_:.1f}", fontsize="small")
    for ax in axes.flat[len(kinds) :]:
        ax.set_visible(False)
    for number, ax in enumerate(axes.flat):
        ax.label_outer()
        if len(kinds) - columns <= number < len(kinds):
            ax.tick_params(labelbottom=True)
            ax.set_xlabel("x0")
    handles = [Patch(color=expert_color(k), label=expert_label(k)) for k in range(K)]
    figure.legend(handles=handles, loc="outside lower center", ncols=K, frameon=False, fontsize="small")
    return figure


def write_page():
    """Run the code of gallery.md; each picture is the display that the code above it has made."""
    text, names = (HERE / "gallery.md").read_text(), {}
    for code, picture in re.findall(r"^```python\n(.*?)^```\n\n!\[[^]]*\]\((.*?)\)", text, re.DOTALL | re.MULTILINE):
        exec(compile(code, "gallery.md", "exec"), names)
        names["display"].figure_.savefig(HERE / picture, dpi=90)


def main():
    """Write the pictures."""
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        write_page()
        for d in (1, 2):
            panels(d).savefig(HERE / f"gates_{d}d.png", dpi=110)


if __name__ == "__main__":
    main()
