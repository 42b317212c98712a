"""The simulations: reproducible whatever runs them, resumable whenever they are killed, right about slopes."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moegate.sparse import SparseFit
from simulations.arms import measure, true_measure
from simulations.designs import BY_NAME, EXPERIMENTS
from simulations.oracle import ORACLE, divergence, log_density, responsibilities, wide
from simulations.rates import Slope, slope, verdict
from simulations.report import report
from simulations.run import quickened, run, seed
from simulations.starts import near, near_tree, shares
from simulations.table import Table
from simulations.trees import TREES
from simulations.truths import TRUTHS

ROOT = Path(__file__).parents[1]
ELSEWHERE = {"top-2 of 4, kept", *(arm.name for arm in ORACLE)}  # arms that are no maximum likelihood fits


def small(name, sizes=(200, 400), replicates=3):
    return replace(BY_NAME[name], sizes=sizes, replicates=replicates)


def without_seconds(table):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in table.read()]


def quiet(line):
    pass


def test_workers_do_not_matter(tmp_path):
    experiment = small("softmax-exact")
    tables = [run(experiment, Table(experiment, tmp_path / str(workers)), workers, show=quiet) for workers in (1, 2)]
    assert len(tables[0].read()) == 6
    assert without_seconds(tables[0]) == without_seconds(tables[1])


@pytest.mark.slow
def test_killed_three_times_the_table_is_that_of_one_run(tmp_path):
    experiment, folder = quickened(BY_NAME["softmax-over3"]), tmp_path / "killed"
    command = [sys.executable, "-m", "simulations", "run", experiment.name, "--quick", "--workers", "1"]
    command += ["--folder", str(folder)]
    given = {"cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    killed, rng, kills = Table(experiment, folder), np.random.default_rng(), 0
    while kills < 3:
        process = subprocess.Popen(command, start_new_session=True, **given)
        began = killed.path.exists() and killed.path.read_text()
        deadline = time.monotonic() + 60
        while not killed.path.exists() or killed.path.read_text() == began:  # until it has started to write
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.5))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        if len(killed.read()) == 18:
            break
    assert kills > 1
    subprocess.run(command, check=True, **given)
    whole = run(experiment, Table(experiment, tmp_path / "whole"), 1, show=quiet)
    assert without_seconds(killed) == without_seconds(whole) and len(whole.read()) == 18


def test_a_torn_line_is_done_again(tmp_path):
    experiment = small("softmax-exact")
    table = run(experiment, Table(experiment, tmp_path), 1, show=quiet)
    before, text = without_seconds(table), table.path.read_text()
    table.path.write_text(text[:-20])
    assert len(table.read()) == 5
    lines = []
    run(experiment, table, 1, show=lines.append)
    assert without_seconds(table) == before and len(lines) == 1


def test_packing_keeps_the_rows_and_their_bytes(tmp_path):
    experiment = small("softmax-exact", (200,), 2)
    table = run(experiment, Table(experiment, tmp_path), 1, show=quiet)
    rows = table.read()
    table.pack()
    assert table.read() == rows and not table.path.exists()
    again = run(experiment, table, 1, show=lambda line: pytest.fail("nothing is missing"))
    first = table.packed.read_bytes()
    again.pack()
    assert table.packed.read_bytes() == first


def test_two_writers_leave_one_row_for_each_key(tmp_path):
    experiment = small("softmax-exact", (200,), 2)
    table = run(experiment, Table(experiment, tmp_path), 1, show=quiet)
    rows = table.read()
    table.append(rows)
    assert table.read() == rows and len(rows) == 2


def test_dask_gives_the_same_table(tmp_path):
    experiment = small("softmax-exact", (200,), 2)
    loky = run(experiment, Table(experiment, tmp_path / "loky"), 1, show=quiet)
    dask = run(experiment, Table(experiment, tmp_path / "dask"), 1, "dask", show=quiet)
    assert without_seconds(dask) == without_seconds(loky)


def test_fits_kept_near_the_truth_select_both_copies():
    """Two of three atoms cannot stand for the true density where both copies are selected; three of four can."""
    small, large = BY_NAME["topk-over"].arms[2:]
    rows = [arm.run(4000, np.random.SeedSequence(1)) for arm in (small, large)]
    assert [row["certificate"] for row in rows] == ["box", "box"]
    assert rows[0]["loglik"] < rows[0]["loglik_truth"] and rows[0]["hellinger"] > 0.04
    assert rows[1]["loglik"] > rows[1]["loglik_truth"] and rows[1]["hellinger"] < 0.04
    assert {row["cells"] for row in rows} == {"2-1-1"}


def test_an_expert_too_many_may_go_unused():
    """Of these data, fits of four experts from starts next to the truth all end below it."""
    arm = BY_NAME["topk-over"].arms[0]
    row = arm.run(1500, seed("topk-over", arm.truth, 1500, 7))
    assert row["loglik"] > row["loglik_truth"] and row["certificate"] == "border" and row["cells"] == "1-1-1"


@pytest.mark.parametrize("name", ["SS", "SL", "LL"])
def test_trees_are_what_the_library_calls_the_same(name):
    tree, arm = TREES[name], next(arm for arm in BY_NAME["hierarchical"].arms if arm.name == f"{name} exact")
    X, y = tree.draw(300, np.random.default_rng(0))
    theta = near_tree(tree, tree.sizes, 1e60, np.random.default_rng(0))[0]
    fit = arm.fitted(X, y, np.random.default_rng(0))
    assert fit.likelihood(X, y).value(theta) == pytest.approx(tree.loglik(X, y), rel=1e-4)


@pytest.mark.parametrize("name", sorted({arm.name for e in EXPERIMENTS for arm in e.arms} - ELSEWHERE))
def test_every_arm_runs_and_climbs_above_the_truth(name):
    arm = next(arm for e in EXPERIMENTS for arm in e.arms if arm.name == name)
    row = arm.run(400, np.random.SeedSequence(3))
    assert row["loglik"] > row["loglik_truth"] and 0 < row["hellinger"] < 1
    assert arm.rule is None or row["loss"] > 0


@pytest.mark.parametrize("name", sorted(TRUTHS.keys() - {"close3", "temperature"}))  # not fitted exactly, or elsewhere
def test_truths_are_what_the_library_calls_the_same(name):
    """The log-likelihood in plain numpy is the library's at the start that has not been moved."""
    truth = TRUTHS[name]
    arm = (
        next(arm for e in EXPERIMENTS for arm in e.arms if arm.truth == name and arm.K == truth.K)
        if name != "close3"
        else None
    )
    if arm is None:
        pytest.skip("no experiment fits it exactly")
    X, y = truth.draw(300, np.random.default_rng(0))
    theta = near(truth, truth.K, 1e60, np.random.default_rng(0))[0]
    fit = arm.fitted(X, y, np.random.default_rng(0))
    assert fit.likelihood(X, y).value(theta) == pytest.approx(truth.loglik(X, y), rel=1e-4)


def test_draws_follow_the_truth():
    truth = TRUTHS["M3"]
    X, y = truth.draw(40_000, np.random.default_rng(0))
    P = np.einsum("nk,nkr->nr", truth.probabilities(X), truth.class_probabilities(X))
    np.testing.assert_allclose(np.bincount(y) / len(y), P.mean(axis=0), atol=0.01)
    truth = TREES["LL"]
    X, y = truth.draw(40_000, np.random.default_rng(0))
    pi, means, _ = truth.parts(X)
    assert pi.sum(axis=1) == pytest.approx(1)
    assert y.mean() == pytest.approx(np.sum(pi * means, axis=1).mean(), abs=0.05)


def test_measures_at_the_truth_have_no_loss():
    truth = TRUTHS["G2"]
    X, y = truth.draw(200_000, np.random.default_rng(0))
    fit = BY_NAME["softmax-exact"].arms[0].fitted(X, y, np.random.default_rng(0))
    fitted, true = measure(fit, truth), true_measure(truth)
    np.testing.assert_allclose(np.sort(fitted.mass), np.sort(true.mass), atol=0.005)
    np.testing.assert_allclose(np.sort(fitted.slope.ravel()), [-20, 20], atol=0.1)


def test_shares_are_all_ways_to_share_out():
    assert shares(2, 2) == [(1, 1)]
    assert shares(4, 2) == [(1, 3), (2, 2), (3, 1)]
    assert len(shares(5, 3)) == 6


def rows_of(exponent, spread=0.1, sizes=(100, 1000, 10_000), replicates=200):
    rng = np.random.default_rng(0)
    return [
        {"n": str(n), "loss": str(3 * n**exponent * np.exp(spread * rng.standard_normal()))}
        for n in sizes
        for _ in range(replicates)
    ]


def test_slopes_are_recovered_with_their_interval():
    found = slope(rows_of(-0.5), "loss", (100, 10_000))
    assert found.lower < -0.5 < found.upper and found.upper - found.lower < 0.02
    partial = slope(rows_of(-0.25), "loss", (1000, 10_000))
    assert partial.slope == pytest.approx(-0.25, abs=0.02) and len(partial.sizes) == 3


@pytest.mark.parametrize(
    ("interval", "expected", "one_sided", "words"),
    [
        ((-0.52, -0.48), -0.5, False, "agrees"),
        ((-0.3, -0.2), -0.5, False, "disagrees"),
        ((-0.9, -0.1), -0.5, False, "cannot tell yet"),
        ((-0.9, -0.6), -0.5, True, "agrees"),
        ((-0.5, -0.3), -0.5, True, "cannot tell yet"),
        ((-0.2, -0.1), -0.5, True, "disagrees"),
        ((-0.2, -0.1), None, True, "no claim"),
        ((-0.2, 0.1), 0.0, True, "agrees"),
        ((-0.2, 0.2), 0.0, True, "cannot tell yet"),
    ],
)
def test_verdicts(interval, expected, one_sided, words):
    nothing = np.array([])
    found = Slope(nothing, nothing, nothing, nothing, sum(interval) / 2, *interval)
    assert verdict(found, expected, one_sided) == words


def test_report_has_a_line_for_each_column(tmp_path):
    experiment = small("softmax-exact")
    run(experiment, Table(experiment, tmp_path), 1, show=quiet)
    page = report([experiment], tmp_path, tmp_path / "README.md")
    assert all(f"| softmax-exact | K=2 | {column} |" in page for column in experiment.slopes)
    assert (tmp_path / "softmax-exact.png").stat().st_size > 10_000 and (tmp_path / "README.md").read_text() == page


def test_every_experiment_has_its_words():
    names = "softmax-exact softmax-over3 softmax-over4 softmax-density topk-exact topk-over temperature activation "
    names += "multinomial multinomial-vanishing laplace-exact laplace-over hierarchical sigmoid other-gates dendrogram "
    names += "em-gap translation lasso-oracle"
    assert [e.name for e in EXPERIMENTS] == names.split()
    for experiment in EXPERIMENTS:
        assert len(experiment.text) > 50 and experiment.span[0] >= experiment.sizes[0]
        assert quickened(experiment).replicates < experiment.replicates


# the lasso ----------------------------------------------------------------------------------------------------------


def test_divergence_is_that_of_drawn_responses():
    def moved(pi, means, sigma):
        return pi * 0.8 + 0.1, means + 0.1, sigma * 1.2

    truth = wide(50)
    X, y = truth.draw(100_000, np.random.default_rng(0))
    parts = truth.parts(X)
    gaps = log_density(parts, y[:, None]) - log_density(moved(*parts), y[:, None])
    some = [part[:20_000] for part in parts]
    assert divergence(some, some) == 0
    assert divergence(some, moved(*some)) == pytest.approx(gaps.mean(), abs=4 * gaps.std() / np.sqrt(100_000))
    one, other = (tuple(np.full((1, 1), v) for v in values) for values in ((1.0, 0.0, 1.0), (1.0, 0.5, 2.0)))
    assert divergence(one, other) == pytest.approx(np.log(2) + 1.25 / 8 - 0.5)


def test_the_oracle_arm_solves_and_beats_the_truth():
    arm = next(arm for arm in ORACLE if arm.name == "p=50, c=1")
    truth = arm.model
    assert truth.size == 13 and truth.grid.shape == (1000, 50)
    X, y = truth.draw(200, np.random.default_rng(0))
    assert responsibilities(truth, X, y).sum(axis=1) == pytest.approx(1)
    assert log_density(truth.parts(X), y[:, None]).sum() == pytest.approx(truth.loglik(X, y))
    row = arm.run(200, np.random.SeedSequence(3))
    assert row["kkt"] <= 1e-6 and row["certificate"] != "none" and row["loglik"] > row["loglik_truth"]
    assert row["ratio"] == pytest.approx(row["kl"] / (arm.alpha(200) * 13)) and 0 < row["ratio"] < 1
    more = arm.run(800, np.random.SeedSequence(3))
    assert more["kl"] < row["kl"] and 5 < more["n_nonzero"] < 60


def test_the_report_has_slopes_in_p(tmp_path):
    experiment = BY_NAME["lasso-oracle"]
    rng = np.random.default_rng(0)
    rows = [
        {"arm": arm.name, "n": n, "replicate": r, "certificate": "interior", "loglik": 1, "loglik_truth": 0}
        | {"ratio": 0.3 * arm.p**0.3 * np.exp(0.05 * rng.standard_normal()), "kl": 0.1, "seconds": 1}
        for arm in experiment.arms
        for n in experiment.sizes
        for r in range(8)
    ]
    table = Table(experiment, tmp_path)
    table.begin()
    table.append(
        [dict.fromkeys(table.columns, "nan") | {name: str(value) for name, value in row.items()} for row in rows]
    )
    page = report([experiment], tmp_path)
    line = next(line for line in page.splitlines() if "| in p, c=0.5 | ratio" in line)
    assert float(line.split("|")[5]) == pytest.approx(0.3, abs=0.02)
    assert (
        "| <= 0 |" in line
        and "disagrees" in line
        and "| p=50, c=0.5 | ratio | <= 0 |" in page
        and "| p=50, c=1 | ratio |  |" in page
    )


def test_a_lasso_whose_columns_come_and_go_ends(monkeypatch):
    """A climb on which columns with tiny gradients entered at a coarse tolerance, left again, and so on for ever."""
    arm = next(arm for arm in BY_NAME["lasso-oracle"].arms if arm.name == "p=200, c=0.25")
    made, original = [], SparseFit.problem
    monkeypatch.setattr(SparseFit, "problem", lambda self, *columns: made.append(1) or original(self, *columns))
    monkeypatch.setattr(SparseFit, "outside", counted(SparseFit.outside, made, 2000))
    row = arm.run(400, seed("lasso-oracle", arm.truth, 400, 15))
    assert row["certificate"] == "interior" and row["kkt"] < 1e-6


def counted(function, made, most):
    """A function that fails where more than so many problems have been made."""

    def checked(*args):
        assert len(made) < most
        return function(*args)

    return checked
