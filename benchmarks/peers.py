"""The same fits by other packages: `pip install stepmix cgmm`, then `python benchmarks/peers.py`; writes peers.md.

The R packages were not run here: flexmix's row is from tests/reference, which holds the script as well.
"""

import importlib.metadata
import json
import warnings
from pathlib import Path

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from moegate import MoERegressor
from moegate.datasets import load_diabetes, load_engel

ROOT = Path(__file__).parents[1]
STRUCTURAL = {"method": "newton-raphson", "max_iter": 1}
STEPMIX = {
    "n_components": 2,
    "measurement": "gaussian_diag",
    "structural": "covariate",
    "structural_params": STRUCTURAL,
    "n_init": 8,
    "max_iter": 3000,
    "progress_bar": 0,
    "random_state": 0,
}


def standardised(column):
    return (column - column.mean()) / column.std(ddof=1)


def flexmix():
    """Log-likelihood of Engel's data with two experts, best of 20 starts."""
    rows = json.loads((ROOT / "tests" / "reference" / "flexmix_reference.json").read_text())
    return next(row["loglik"] for row in rows if row["case"] == "engel" and row["k_asked"] == 2)


def cgmm(X, y, **options):
    from cgmm import MixtureOfExpertsRegressor

    fit = MixtureOfExpertsRegressor(2, n_init=20, random_state=0, **options).fit(X.to_numpy(), y.to_numpy())
    return fit.score(X.to_numpy(), y.to_numpy()) * len(y)


def conditional(X, y):
    """Log-likelihood of y given one column of a Gaussian mixture of both."""
    joint = np.column_stack([X, y])
    fit = GaussianMixture(2, n_init=20, tol=1e-8, max_iter=5000, random_state=0).fit(joint)
    scale = np.sqrt(fit.covariances_[:, 0, 0])
    marginal = logsumexp(np.log(fit.weights_) + norm.logpdf(joint[:, :1], fit.means_[:, 0], scale), axis=1)
    return float(np.sum(fit.score_samples(joint) - marginal))


def regressions():
    """Rows of the first table: a fit in standardised columns, and in the units of the data."""
    X, y = load_engel()
    pairs = [(standardised(X), standardised(y)), (X, y)]
    tight = {"gating_penalty": 0.0, "tol": 1e-8, "max_iter": 5000, "gating_max_iter": 200}
    yield "moegate", [MoERegressor(2, random_state=0).fit(*pair).loglik_ for pair in pairs]
    yield "flexmix (R), best of 20 starts", [flexmix(), None]
    yield "cgmm, best of 20 starts", [cgmm(*pair) for pair in pairs]
    yield "cgmm, the same without its gate penalty, tolerance 1e-8", [cgmm(*pair, **tight) for pair in pairs]
    yield "GaussianMixture of (x, y), best of 20 starts", [conditional(*pair) for pair in pairs]


def constant_experts():
    """Rows of the second table: weights one, weights two for 100 rows, and these rows twice."""
    from stepmix.stepmix import StepMix

    X, y = load_diabetes()
    X = X[["bmi"]].apply(standardised)
    twice, weight = np.r_[np.arange(len(y)), np.arange(100)], np.where(np.arange(len(y)) < 100, 2.0, 1.0)

    def step(rows, **given):
        Y, Z = y.iloc[rows].to_frame(), X.iloc[rows]
        fit = StepMix(**STEPMIX).fit(Y, Z, **given)
        return fit.score(Y, Z, **given) * given.get("sample_weight", np.ones(len(rows))).sum(), (
            fit.get_parameters()["measurement"]["means"].ravel()
        )

    def moe(rows, **given):
        fit = MoERegressor(2, expert_features=[], random_state=0).fit(X.iloc[rows], y.iloc[rows], **given)
        return fit.loglik_, fit.intercept_

    every = np.arange(len(y))
    for name, fitted in (("moegate", moe), ("StepMix", step)):
        yield name, [fitted(every), fitted(every, sample_weight=weight), fitted(twice)]


def report():
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("stepmix", "cgmm", "scikit-learn"))
    lines = [
        "# Other packages\n",
        f"`python benchmarks/peers.py`, with {versions}; flexmix's row is from tests/reference.\n",
        "Engel's data, two experts on income: log-likelihood of food expenditure given income.\n",
        "| | columns standardised | units of the data |\n|---|---|---|",
    ]
    lines += [
        f"| {name} | " + " | ".join("" if v is None else f"{v:.2f}" for v in values) + " |"
        for name, values in regressions()
    ]
    lines += [
        "\nThe last row has another gate, quadratic in x, and maximises the likelihood of (x, y).\n",
        "Diabetes, two experts without columns, the gate on bmi: log-likelihood and means of the experts. "
        "StepMix: best of 8 starts.\n",
        "| | weights one | weights two for 100 rows | these rows twice |\n|---|---|---|---|",
    ]
    for name, fits in constant_experts():
        cells = [f"{loglik:.2f} ({', '.join(f'{m:.1f}' for m in sorted(means))})" for loglik, means in fits]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        (ROOT / "benchmarks" / "peers.md").write_text(report())
