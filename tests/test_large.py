"""Data that memory need not hold: rows are streamed, and all of them are passed few times."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from wells import wells

from moegate import Lasso, MoEClassifier, MoERegressor, fitting, passes
from moegate.blocks import Rows, Selected
from moegate.solvers import Chord, Newton

ROOT = Path(__file__).parents[1]


@pytest.fixture
def mapped(tmp_path):
    """Saves an array and opens it as a memory map."""

    def save(name, array):
        np.save(tmp_path / name, array)
        return np.load(tmp_path / f"{name}.npy", mmap_mode="r")

    return save


@pytest.mark.parametrize("gate_features", [None, [0, 1]])
def test_memory_map_fits_as_the_array_does(mapped, monkeypatch, gate_features):
    monkeypatch.setattr("moegate.blocks.CACHE_BYTES", 0.0)
    monkeypatch.setattr("moegate.estimators.checks.LARGE_BYTES", 0.0)
    X, y = wells(3000, 3)
    model = MoERegressor(n_experts=4, n_init=2, random_state=0, gate_features=gate_features)
    inside = model.fit(X, y).theta_
    outside = model.fit(mapped("X", X), mapped("y", y)).theta_
    np.testing.assert_array_equal(outside, inside)


@pytest.mark.parametrize("dtype", ["float32", "int16", ">f8", "bool"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("weighted", [True, False])
def test_a_map_of_other_numbers_is_read_as_it_lies(mapped, monkeypatch, dtype, order, weighted):
    """Fits and predictions are those of the same numbers as doubles, rows of weight zero left out."""
    X, y = wells(1000, 3)
    X = np.asarray(10 * X if dtype == "int16" else X > 0 if dtype == "bool" else X, dtype=dtype, order=order)
    weight = np.random.default_rng(0).integers(0, 3, len(y)).astype(float) if weighted else None
    model = MoERegressor(n_experts=2, n_init=1, random_state=0, gate_features=[0, 1])
    monkeypatch.setattr("moegate.blocks.CACHE_BYTES", 0.0)
    inside = model.fit(X.astype(float), y, sample_weight=weight)
    expected = inside.theta_, inside.predict(X), inside.score_samples(X, y)
    monkeypatch.setattr("moegate.estimators.checks.LARGE_BYTES", 0.0)
    lies = mapped("X", X)
    outside = model.fit(lies, y, sample_weight=weight)
    found = outside.theta_, outside.predict(lies), outside.score_samples(lies, y)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_a_lasso_on_some_columns_of_a_large_array(mapped, monkeypatch):
    X, y = wells(500, 4)
    model = MoERegressor(2, penalty=Lasso(0.05), expert_features=[0, 2], gate_features=[2, 3], n_init=1, random_state=0)
    inside = model.fit(X, y).theta_
    monkeypatch.setattr("moegate.estimators.checks.LARGE_BYTES", 0.0)
    np.testing.assert_allclose(model.fit(mapped("X", X), y).theta_, inside)


def test_selected_columns_are_taken_block_by_block():
    X = np.arange(20.0).reshape(5, 4)
    some = Selected(X, [3, 1])
    np.testing.assert_array_equal(some[1:3], X[1:3][:, [3, 1]])
    assert some.shape == (5, 2) and len(some) == 5
    fewer = Selected(X, [3, 1], np.array([4, 0, 2]))
    np.testing.assert_array_equal(fewer[1:3], X[[0, 2]][:, [3, 1]])
    assert fewer.shape == (3, 2) and len(fewer) == 3


PEAK = """
import numpy as np, threading, time, sys
from moegate import MoERegressor
X, y = np.load("X.npy", mmap_mode="r"), np.load("y.npy", mmap_mode="r")
n, weighted = int(sys.argv[1]), int(sys.argv[2])
weight = np.load("weight.npy", mmap_mode="r")[:n] if weighted else None
def anonymous():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) / 1024
peak, going = [anonymous()], True
def watch():
    while going:
        peak.append(anonymous()); time.sleep(0.002)
thread = threading.Thread(target=watch); thread.start()
model = MoERegressor(n_experts=2, n_init=1, random_state=0, gate_features=[0, 1])
model.fit(X[:n], y[:n], sample_weight=weight)
going = False; thread.join()
print(model.certificate_["kind"], max(peak) - peak[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process from /proc")
@pytest.mark.parametrize(("dtype", "weighted"), [("float64", 0), ("float32", 0), ("float64", 1), ("float32", 1)])
def test_anonymous_memory_does_not_grow_with_rows(tmp_path, dtype, weighted):
    """Growth beyond the state of each row that a fit keeps (a mask, a key), while X takes 120 MB, or half of it.

    Where weights are zero the place, the response and the weight of each other row are kept besides.
    """
    X, y = wells(1_500_000, 10)
    np.save(tmp_path / "X.npy", X.astype(dtype)), np.save(tmp_path / "y.npy", y)
    np.save(tmp_path / "weight.npy", np.arange(len(y)) % 5 / 2.0)
    (tmp_path / "peak.py").write_text(textwrap.dedent(PEAK))
    grown = []
    for n in (300_000, 1_500_000):
        command = [sys.executable, "peak.py", str(n), str(weighted)]
        out = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=environment())
        kind, megabytes = out.stdout.split()
        assert kind == "interior"
        grown.append(float(megabytes))
    assert grown[1] - grown[0] < 40


def environment():
    """Of a process that imports this package, with one thread."""
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def test_few_passes_over_all_rows_after_the_subsample(monkeypatch):
    n, passes, stages = 100_000, [], []
    total, rivals = Rows.total, fitting._rivals
    monkeypatch.setattr(Rows, "total", lambda rows, *args: passes.append(rows.n_rows) or total(rows, *args))
    monkeypatch.setattr(fitting, "_rivals", lambda *args: stages.append(len(passes)) or rivals(*args))
    X, y = wells(n, 4)
    model = MoERegressor(n_experts=4, n_init=2, random_state=0).fit(X, y)
    assert model.certificate_["kind"] == "interior" and model.certificate_["decrement"] < 1e-8
    assert model.init_results_.stage[0] == "full" and model.init_results_.n_rows[0] == n
    assert passes[stages[0] :].count(n) <= 12


def test_the_end_of_a_large_fit_is_that_of_newton_on_all_rows():
    X, y = wells(80_000, 2)
    model = MoERegressor(n_experts=4, n_init=2, random_state=0).fit(X, y)
    again = MoERegressor(n_experts=4, init=model.theta_).fit(X, y)
    assert again.loglik_ == pytest.approx(model.loglik_, rel=1e-11)
    np.testing.assert_allclose(again.theta_, model.theta_, rtol=1e-6, atol=1e-6)


def test_one_expert_and_classes_need_no_array_by_rows_and_experts(monkeypatch):
    monkeypatch.setattr("moegate.blocks.CACHE_BYTES", 0.0)
    X, y = wells(2000, 2)
    one = MoERegressor(n_experts=1).fit(X, y)
    design = np.column_stack([X, np.ones(len(X))])
    np.testing.assert_allclose([*one.coef_[0], one.intercept_[0]], np.linalg.lstsq(design, y)[0], rtol=1e-9)
    assert MoEClassifier(n_experts=1).fit(X, y > 0).certificate_["kind"] == "interior"


@pytest.fixture(scope="module")
def climbs():
    """A likelihood of 30,000 rows, one of a tenth of them, and the maximum of that."""
    X, y = wells(30_000, 2)
    model = MoERegressor(n_experts=4, n_init=2, random_state=0).fit(X, y)
    whole = model.likelihood(X, y)
    sample = model.likelihood(X[::10], y[::10])
    return whole, sample, Newton().solve(sample, model.theta_).theta


def test_chord_reaches_the_maximum_of_newton_with_fewer_hessians(climbs, monkeypatch):
    whole, sample, theta = climbs
    expected = Newton(warm_up=0).solve(whole, theta)
    seen, total = [], Rows.total
    monkeypatch.setattr(
        Rows,
        "total",
        lambda rows, function, over=None: seen.append((rows.n_rows, function.func)) or total(rows, function, over),
    )
    found = Chord(sample, Newton(warm_up=0)).solve(whole, theta)
    assert found.loglik == pytest.approx(expected.loglik, rel=1e-13) and found.certificate["kind"] == "interior"
    np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-7)
    assert np.all(np.diff(found.history) >= -1e-12 * abs(found.loglik))
    assert seen.count((30_000, passes.hessian)) <= 2 and seen.count((30_000, passes.score)) >= 3


def test_chord_leaves_a_bad_sample_to_newton(climbs):
    whole, sample, theta = climbs
    far = theta + 0.3 * np.random.default_rng(0).standard_normal(len(theta)) * np.abs(theta)
    found = Chord(sample, Newton(warm_up=5)).solve(whole, far)
    assert found.converged and np.all(np.diff(found.history) >= -1e-12 * abs(found.loglik))


def test_a_stopped_chord_is_honest(climbs):
    whole, sample, theta = climbs
    calls = []
    found = Chord(sample, Newton(warm_up=0), monitor=lambda *at: calls.append(at) or True).solve(whole, theta)
    assert len(calls) == 1 and found.loglik == whole.value(found.theta)
    assert not found.converged and found.certificate["decrement"] > 1e-8
