"""A fit that was killed goes on from its checkpoint to the same maximum."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from watching import EachIteration

from moegate import Checkpoint, MoERegressor, fitting

ROOT = Path(__file__).parents[1]
FUNNEL = fitting.Funnel(3, 2, 3, 1, 1.0)  # leaves long runs something to do


@pytest.fixture(autouse=True)
def long_runs(monkeypatch):
    monkeypatch.setattr(fitting, "USUAL", FUNNEL)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (1500, 2))
    first = rng.random(1500) < 1 / (1 + np.exp(-2 * X[:, 0]))
    return X, np.where(first, 1 + X[:, 0], -2 * X[:, 1] - 1) + 0.7 * rng.standard_normal(1500)


def model(**options):
    return MoERegressor(**{"n_experts": 3, "n_init": 3, "random_state": 0, **options})


class Stop(Exception):
    """What ends a fit in these tests."""


class Crash(EachIteration):
    """Raises, or kills the process, at the end of a given iteration of a given run."""

    def __init__(self, run, iteration, deadly=False):
        super().__init__(self.at_the_end)
        self.run, self.iteration, self.deadly, self.begun = run, iteration, deadly, []

    def at_the_end(self, run, iteration, fitted):
        self.begun.append((run, fitted.loglik_))
        if (run, iteration) == (self.run, self.iteration):
            if self.deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            raise Stop


def crash(data, folder, *at, **options):
    with pytest.raises(Stop):
        model(**options).set_callbacks(Checkpoint(folder), Crash(*at)).fit(*data)


@pytest.mark.parametrize("at", [(0, 0), (0, 6), (2, 3)])
def test_a_fit_cut_off_reaches_the_same_maximum(data, tmp_path, at):
    plain = model().fit(*data)
    crash(data, tmp_path, *at)
    assert len(list(tmp_path.glob("run*.npz"))) == at[0] + 1
    again = model().set_callbacks(Checkpoint(tmp_path)).fit(*data)
    assert again.loglik_ == pytest.approx(plain.loglik_, abs=1e-8)
    np.testing.assert_allclose(again.theta_, plain.theta_, rtol=1e-6)
    assert list(tmp_path.iterdir()) == []  # nothing is left for another fit to stumble over


def test_a_single_run_goes_on_where_it_stood(data, tmp_path):
    start = np.random.default_rng(0).dirichlet([1, 1, 1], len(data[1]))
    crash(data, tmp_path, 0, 6, init=start)
    stood = np.load(tmp_path / "run0.npz")["theta"]
    first, again = Crash(-1, 0), Crash(-1, 0)
    plain = model(init=start).set_callbacks(first).fit(*data)
    resumed = model(init=start).set_callbacks(Checkpoint(tmp_path), again).fit(*data)
    assert again.begun[0][1] >= plain.likelihood(*data).value(stood) > first.begun[0][1]
    assert resumed.loglik_ == pytest.approx(plain.loglik_, abs=1e-8)


def test_the_climb_on_all_rows_goes_on_where_it_stood(data, tmp_path, monkeypatch):
    for name in ("START_ROWS", "SUBSAMPLE"):
        monkeypatch.setattr(fitting, name, 300)
    monkeypatch.setattr(fitting, "PER_PARAMETER", 1)
    easy = {"n_experts": 2, "n_init": 1}
    plain, seen = model(**easy).fit(*data), Crash(-1, 0)
    crash(data, tmp_path, 1, 1, **easy)
    stood = np.load(tmp_path / "run1.npz")["theta"]
    resumed = model(**easy).set_callbacks(Checkpoint(tmp_path), seen).fit(*data)
    assert plain.init_results_.stage[0] == "full" and resumed.loglik_ == pytest.approx(plain.loglik_, abs=1e-8)
    assert next(value for run, value in seen.begun if run == 1) >= plain.likelihood(*data).value(stood) - 1e-9


KILLED = """
import sys
from test_checkpoint import FUNNEL, Checkpoint, Crash, fitting, model
import numpy as np
fitting.USUAL = FUNNEL
X, y = np.load("X.npy"), np.load("y.npy")
model().set_callbacks(Checkpoint("here"), Crash(1, 2, deadly=True)).fit(X, y)
"""


@pytest.mark.slow
def test_a_killed_process_leaves_a_checkpoint(data, tmp_path):
    np.save(tmp_path / "X.npy", data[0]), np.save(tmp_path / "y.npy", data[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    command = [sys.executable, "-c", KILLED]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    again = model().set_callbacks(Checkpoint(tmp_path / "here")).fit(*data)
    assert again.loglik_ == pytest.approx(model().fit(*data).loglik_, abs=1e-8)


def test_the_last_theta_can_be_used_as_init(data, tmp_path):
    assert Checkpoint(tmp_path).theta is None
    crash(data, tmp_path, 1, 2)
    theta = Checkpoint(tmp_path).theta
    np.testing.assert_array_equal(theta, np.load(tmp_path / "run1.npz")["theta"])
    assert model(init=theta).fit(*data).converged_


def test_only_some_iterations_are_written(data, tmp_path):
    with pytest.raises(Stop):
        model().set_callbacks(Checkpoint(tmp_path, every=4), Crash(0, 2)).fit(*data)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Stop):
        model().set_callbacks(Checkpoint(tmp_path, every=4), Crash(0, 4)).fit(*data)
    assert len(list(tmp_path.iterdir())) == 1


def test_an_interrupted_write_leaves_the_file_before(data, tmp_path, monkeypatch):
    crash(data, tmp_path, 0, 1)
    before = (tmp_path / "run0.npz").read_bytes()

    def cut(file, **content):
        file.write(b"half")
        raise Stop

    monkeypatch.setattr(np, "savez", cut)
    with pytest.raises(Stop):
        model().set_callbacks(Checkpoint(tmp_path)).fit(*data)
    assert (tmp_path / "run0.npz").read_bytes() == before


@pytest.mark.parametrize("change", ["shift", "order of y", "weights", "parameters"])
def test_a_checkpoint_of_another_fit_is_refused(data, tmp_path, change):
    """Also of one whose columns and response have the same means and deviations."""
    crash(data, tmp_path, 0, 1)
    X = data[0] + 1 if change == "shift" else data[0]
    y = data[1][::-1] if change == "order of y" else data[1]
    weight = np.full(len(y), 2.0) if change == "weights" else None
    other = model(n_experts=2) if change == "parameters" else model()
    with pytest.raises(ValueError, match="run0.npz expects the data and the parameters"):
        other.set_callbacks(Checkpoint(tmp_path)).fit(X, y, sample_weight=weight)


@pytest.mark.slow
def test_parallel_runs_keep_files_of_their_own(data, tmp_path):
    crash(data, tmp_path, 2, 1)
    again = model(n_jobs=2).set_callbacks(Checkpoint(tmp_path)).fit(*data)
    assert again.loglik_ == pytest.approx(model().fit(*data).loglik_, abs=1e-8)


def test_every_is_checked(data, tmp_path):
    with pytest.raises(ValueError, match="every expects an integer >= 1, got 0"):
        model().set_callbacks(Checkpoint(tmp_path, every=0)).fit(*data)
