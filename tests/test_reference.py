"""Maxima on real data: flexmix's results in R (tests/reference), and the best modes known."""

import json
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from moegate import MoEClassifier, MoERegressor

ROWS = json.loads((Path(__file__).parent / "reference" / "flexmix_reference.json").read_text())
GAUSSIAN = [row for row in ROWS if row["family"] == "gaussian"]
DISCRETE = [row for row in ROWS if row["family"] != "gaussian"]
BEST = {  # certified maxima, no degenerate expert
    ("engel", 2): -48.378,
    ("engel", 3): -25.199,
    ("diabetes", 2): -436.831,
    ("diabetes", 3): -414.463,
    ("diabetes", 4): -398.067,
    ("grunfeld", 2): 135.301,
}
WARN = pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning")


def standardised(column):
    """With R's standard deviation, as in the reference script."""
    return np.asarray((column - column.mean()) / column.std(ddof=1), dtype=float)


def columns(frame, *names):
    return np.column_stack([standardised(frame[name]) for name in names])


def problem(case):
    """Columns, response and options of a case of the reference."""
    if case.startswith("engel"):
        data = sm.datasets.engel.load_pandas().data
        options = {"gate_features": []} if case == "engel_gate_const" else {}
        return columns(data, "income"), standardised(data["foodexp"]), options
    if case == "diabetes":
        X, y = load_diabetes(return_X_y=True, as_frame=True)
        return columns(X, "bmi", "bp", "s5"), standardised(y), {}
    if case == "ccard":
        data = sm.datasets.ccard.load_pandas().data
        X = np.column_stack([standardised(data["INCOME"]), data["OWNRENT"]])
        return X, standardised(data["AVGEXP"]), {"gate_features": [0]}
    if case == "randhie_poisson":
        data = sm.datasets.randhie.load_pandas().data
        return np.column_stack([data["lncoins"], standardised(data["disea"]), data["lpi"]]), data["mdvis"], {}
    if case == "fair_binomial":
        data = sm.datasets.fair.load_pandas().data
        return columns(data, "rate_marriage", "yrs_married", "religious"), data["affairs"] > 0, {}
    data = sm.datasets.grunfeld.load_pandas().data
    return columns(data, "value", "capital"), standardised(data["invest"]), {}


@WARN
@pytest.mark.slow
@pytest.mark.parametrize("row", GAUSSIAN, ids=lambda row: f"{row['case']}-{row['k_asked']}")
def test_at_least_flexmix(row):
    X, y, options = problem(row["case"])
    moe = MoERegressor(row["k_asked"], n_init=20, random_state=0, **options).fit(X, y)
    assert moe.loglik_ >= row["loglik"] - 1e-3
    assert moe.converged_
    assert moe.dof_ == row["df"]
    assert not moe.init_results_["degenerate"].iloc[0]


@WARN
@pytest.mark.parametrize("row", DISCRETE, ids=lambda row: f"{row['case']}-{row['k_asked']}")
def test_classes_and_counts_reach_at_least_flexmix(row):
    X, y, _ = problem(row["case"])
    if row["family"] == "poisson":
        moe = MoERegressor(row["k_asked"], experts="poisson", random_state=0).fit(X, y)
    else:
        moe = MoEClassifier(row["k_asked"], penalty=None, random_state=0).fit(X, y)
    assert moe.loglik_ >= row["loglik"] - 1e-3
    assert moe.converged_
    assert moe.dof_ == row["df"]


@WARN
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("case", "n_experts"), list(BEST))
def test_best_known_mode(case, n_experts, seed):
    """`python benchmarks/modes.py` shows the share over 20 seeds."""
    X, y, options = problem(case)
    moe = MoERegressor(n_experts, random_state=seed, **options).fit(X, y)
    assert moe.loglik_ == pytest.approx(BEST[case, n_experts], abs=2e-3)
    assert moe.certificate_["kind"] == ("limit" if (case, n_experts) == ("engel", 3) else "interior")


def test_limit_says_so():
    X, y, _ = problem("engel")
    with pytest.warns(ConvergenceWarning, match="gate has not: the slopes of expert . "):
        moe = MoERegressor(3, random_state=0).fit(X, y)
    assert moe.converged_ and moe.certificate_["gate_diverged"]
