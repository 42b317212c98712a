"""A first look at three real data sets: a table and three pictures. Run `python -m moegate.demo [--folder DIR]`."""

import argparse
import sys
import time
import warnings
from pathlib import Path

from sklearn.exceptions import ConvergenceWarning

from .datasets import load_diabetes, load_engel, load_grunfeld
from .estimators import MoERegressor

SIZES = (1, 2, 3)  # numbers of experts compared


DATA = {"engel": load_engel, "diabetes": load_diabetes, "grunfeld": load_grunfeld}


def fit(X, y, n_experts):
    """A fit with the defaults, and its seconds; warnings are told by the table instead."""
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        moe = MoERegressor(n_experts, random_state=0).fit(X, y)
    return moe, time.perf_counter() - began


def rows(name, X, y):
    """Fits of one data set for every K, best BIC marked, as (lines of the table, the fit with the best BIC)."""
    fits = [fit(X, y, K) for K in SIZES]
    bic = [moe.bic(X, y) for moe, _ in fits]
    lines = [
        f"{name:9s} {len(y):4d} {K:2d} {moe.loglik_:12.3f} {value:11.2f}{'*' if value == min(bic) else ' '} "
        f"{moe.certificate_['kind']:9s} {moe.certificate_['min_eigenvalue']:9.2g} {seconds:6.1f}"
        for K, (moe, seconds), value in zip(SIZES, fits, bic, strict=True)
    ]
    return lines, fits[bic.index(min(bic))][0]


def draw(name, moe, X, y, folder):
    """One picture: data and experts, gate probabilities, and the paths of all starts."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from .plotting import FitDisplay, GateDisplay, LoglikDisplay

    figure, axes = plt.subplots(1, 3, figsize=(16, 4.6), layout="constrained")
    FitDisplay.from_estimator(moe, X, y, ax=axes[0])
    GateDisplay.from_estimator(moe, X, ax=axes[1])
    LoglikDisplay.from_estimator(moe, ax=axes[2])
    figure.suptitle(f"{name}: {moe.n_experts} experts, log-likelihood {moe.loglik_:.2f}")
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def main(argv=None):
    """Fit, print the table, write the pictures."""
    parser = argparse.ArgumentParser(prog="python -m moegate.demo", description=__doc__.split(" Run ")[0])
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="for the pictures (default: %(default)s)")
    folder = parser.parse_args(argv).folder
    folder.mkdir(parents=True, exist_ok=True)
    print("data         n  K  log-likelihood    BIC    certificate  eigenvalue  seconds")
    paths = []
    for name, load in DATA.items():
        X, y = load()
        lines, best = rows(name, X, y)
        print(*lines, sep="\n", flush=True)
        paths.append(draw(name, best, X, y, folder))
    print(
        "\n* smallest BIC (smaller is better). Certificate: interior = a strict local maximum of the likelihood;"
        "\n  limit = the likelihood has converged but the gate's slopes grow without end, because the columns separate"
        "\n  experts. Eigenvalue: the smallest of the observed information in the EM metric; EM converges at the rate"
        "\n  1 - eigenvalue."
        f"\nPictures of the fits with the smallest BIC: {', '.join(map(str, paths))}"
    )


if __name__ == "__main__":
    sys.exit(main())
