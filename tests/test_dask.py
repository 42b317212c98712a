"""Fits to dask collections equal those in memory, on one process or many; what goes row by row is lazy."""

import os
import signal

import numpy as np
import pandas as pd
import pytest
from watching import EachIteration

from moegate import Checkpoint, MoEClassifier, MoERegressor
from moegate.estimators import collections

da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")


@pytest.fixture(scope="module")
def data():
    """Columns (n, 3), responses (n,), weights (n,) with zeros."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (6000, 3)) * [1, 10, 0.1] + [0, 5, 0]
    first = rng.random(6000) < 1 / (1 + np.exp(-3 * X[:, 0]))
    y = np.where(first, 3 + X[:, 0] + 0.1 * X[:, 1], -2 * X[:, 0] + 4 * X[:, 2]) + 0.5 * rng.standard_normal(6000)
    return X, y, rng.integers(0, 3, 6000).astype(float)


@pytest.fixture(autouse=True)
def nothing_is_small(monkeypatch):
    monkeypatch.setattr(collections, "GATHER_BYTES", 0.0)
    for name in ("START_ROWS", "SUBSAMPLE"):
        monkeypatch.setattr(f"moegate.fitting.{name}", 500)


def spread(array, rows=1700):
    return da.from_array(array, chunks=(rows, *array.shape[1:]))


def assert_same_fit(found, expected):
    assert found.loglik_ == pytest.approx(expected.loglik_, rel=1e-9)
    np.testing.assert_allclose(found.theta_, expected.theta_, rtol=1e-6, atol=1e-6)
    assert found.certificate_["kind"] == expected.certificate_["kind"]
    assert found.certificate_["min_eigenvalue"] == pytest.approx(expected.certificate_["min_eigenvalue"], rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", [{}, {"gate_features": [0]}, {"gate": "sigmoid"}, {"n_experts": 1}], ids=str)
def test_arrays_fit_as_in_memory(data, options, weighted):
    X, y, weight = data
    model = MoERegressor(**{"n_experts": 2, "n_init": 2, "random_state": 0, **options})
    expected = model.fit(X, y, sample_weight=weight if weighted else None)
    expected = pick(expected)
    found = model.fit(spread(X), spread(y), sample_weight=spread(weight) if weighted else None)
    assert_same_fit(found, expected)


def pick(model):
    from copy import copy

    return copy(model)


def test_no_row_comes_here_but_a_sample(data, monkeypatch):
    seen = []
    original = collections.training
    monkeypatch.setattr(
        collections, "training", lambda rows, *args: seen.append(type(rows).__name__) or original(rows, *args)
    )
    model = MoERegressor(n_init=1, random_state=0).fit(spread(data[0]), spread(data[1]))
    assert seen == ["Partitions"]
    assert model.init_results_.stage[0] == "full" and model.init_results_.n_rows[0] == 6000


def test_small_collections_are_fitted_in_memory(data, monkeypatch):
    monkeypatch.setattr(collections, "GATHER_BYTES", 1e9)
    X, y, _ = data
    model = MoERegressor(n_init=1, random_state=0)
    expected = model.fit(X[:300], y[:300]).theta_
    np.testing.assert_array_equal(model.fit(spread(X[:300], 70), y[:300]).theta_, expected)


@pytest.mark.parametrize("labels", [["b", "a"], [3, 7]])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_classes_fit_as_in_memory(data, labels, class_weight):
    X, y, weight = data
    code = np.where(y > np.median(y), *labels)
    model = MoEClassifier(n_experts=2, n_init=2, random_state=0, class_weight=class_weight)
    expected = pick(model.fit(X, code, sample_weight=weight))
    found = model.fit(spread(X), spread(code), sample_weight=spread(weight))
    assert_same_fit(found, expected)
    assert list(found.classes_) == sorted(labels)
    np.testing.assert_array_equal(found.predict(spread(X)).compute(), expected.predict(X))
    for name, args in {"predict_proba": (), "decision_function": (), "responsibilities": (code,)}.items():
        lazy = getattr(found, name)(spread(X), *map(spread, args))
        np.testing.assert_allclose(lazy.compute(), getattr(expected, name)(X, *args), rtol=1e-5, atol=1e-8)


def test_counts_with_exposure_fit_as_in_memory(data):
    rng = np.random.default_rng(1)
    X, exposure = data[0], rng.uniform(0.5, 2, 6000)
    y = rng.poisson(exposure * np.exp(np.where(X[:, 0] + rng.logistic(size=6000) > 0, 2.0, 0.5) + 0.3 * X[:, 0]))
    model = MoERegressor(n_experts=2, experts="poisson", n_init=2, random_state=0)
    expected = pick(model.fit(X, y, exposure=exposure))
    found = model.fit(spread(X), spread(y), exposure=spread(exposure))
    assert_same_fit(found, expected)
    inside, lazy = expected.predict(X, exposure=exposure), found.predict(spread(X), exposure=spread(exposure))
    np.testing.assert_allclose(lazy.compute(), inside, rtol=1e-6)


def test_frames_fit_as_in_memory(data):
    frame = pd.DataFrame(data[0], columns=list("abc")).assign(y=data[1])
    model = MoERegressor(n_init=2, random_state=0, gate_features=["a"])
    expected = pick(model.fit(frame[["a", "b", "c"]], frame.y))
    lazy = dd.from_pandas(frame, npartitions=4)
    lazy = lazy[lazy.a > -10]
    found = model.fit(lazy[["a", "b", "c"]], lazy.y)
    assert_same_fit(found, expected)
    assert list(found.feature_names_in_) == ["a", "b", "c"]
    np.testing.assert_allclose(found.predict(lazy[["a", "b", "c"]]).compute(), expected.predict(frame[["a", "b", "c"]]))


def test_empty_partitions_are_left_out(data):
    frame = pd.DataFrame(data[0], columns=list("abc")).assign(y=data[1], part=np.arange(6000) // 1500)
    lazy = dd.from_pandas(frame, npartitions=4)
    lazy, frame = lazy[lazy.part != 1], frame[frame.part != 1]
    model = MoERegressor(n_init=1, random_state=0)
    expected = pick(model.fit(frame[["a", "b", "c"]], frame.y))
    assert_same_fit(model.fit(lazy[["a", "b", "c"]], lazy.y), expected)


def test_the_result_does_not_depend_on_the_number_of_threads(data):
    import dask

    X, y, _ = data
    model = MoERegressor(n_init=1, random_state=0)
    with dask.config.set(scheduler="synchronous"):
        one = model.fit(spread(X), spread(y)).theta_
    with dask.config.set(scheduler="threads", num_workers=3):
        np.testing.assert_array_equal(model.fit(spread(X), spread(y)).theta_, one)


METHODS = {
    "predict": (),
    "predict_gate": (),
    "predict_experts": (),
    "predict_std": (),
    "predict_quantile": ([0.1, 0.9],),
    "predict_interval": (0.8,),
    "pdf": ([0.0, 1.0, 2.0],),
    "cdf": ("y",),
    "score_samples": ("y",),
    "responsibilities": ("y",),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_by_row_are_lazy(data, name, monkeypatch):
    X, y, _ = data
    model = MoERegressor(n_init=1, random_state=0).fit(X, y)
    expected = getattr(model, name)(X, *(y if a == "y" else a for a in METHODS[name]))
    args = [spread(y) if a == "y" else a for a in METHODS[name]]
    with monkeypatch.context() as patch:
        patch.setattr("dask.local.get_sync", None)
        patch.setattr("dask.threaded.get", None)  # what would compute
        lazy = getattr(model, name)(spread(X), *args)
    assert isinstance(lazy, da.Array) and lazy.shape == expected.shape and lazy.dtype == expected.dtype
    np.testing.assert_allclose(lazy.compute(), expected, rtol=1e-12)


@pytest.fixture
def cluster():
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options, silence_logs=50) as made, distributed.Client(made) as client:
        yield client


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets that distributed leaves
def test_one_worker_process_fits_as_in_memory(data):
    distributed = pytest.importorskip("distributed")
    X, y, _ = data
    model = MoERegressor(n_init=1, random_state=0)
    expected = pick(model.fit(X, y))
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options, silence_logs=50) as made, distributed.Client(made):
        assert_same_fit(model.fit(spread(X), spread(y)), expected)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets that distributed leaves
def test_worker_processes_fit_as_in_memory_and_may_die(data, cluster):
    X, y, _ = data
    model = MoERegressor(n_init=1, random_state=0)
    expected = pick(model.fit(X, y))
    found = model.fit(spread(X), spread(y))
    assert_same_fit(found, expected)
    killed = []

    def kill():
        if not killed:
            killed.extend(cluster.run(os.getpid).values())
            os.kill(killed[0], signal.SIGKILL)

    again = MoERegressor(n_init=1, random_state=0).set_callbacks(at_the_end(kill)).fit(spread(X), spread(y))
    assert killed
    np.testing.assert_allclose(again.theta_, found.theta_, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_lost_cluster_leaves_a_checkpoint(data, tmp_path):
    distributed = pytest.importorskip("distributed")
    X, y, _ = data
    model = MoERegressor(n_init=1, random_state=0)
    expected = pick(model.fit(X, y))
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options, silence_logs=50) as made, distributed.Client(made):
        model.set_callbacks(Checkpoint(tmp_path), at_the_end(made.close))
        with pytest.raises(ConnectionError, match=r"Checkpoint\(folder\)"):
            model.fit(spread(X), spread(y))
    assert Checkpoint(tmp_path).theta.shape == expected.theta_.shape
    assert_same_fit(model.set_callbacks(Checkpoint(tmp_path)).fit(spread(X), spread(y)), expected)


def at_the_end(function):
    """Calls a function at each iteration of the climb on all rows, the second run."""
    return EachIteration(lambda run, iteration, fitted: function() if run == 1 else None)


def test_likelihood_and_criteria_of_spread_rows(data):
    X, y, weight = data
    model = MoERegressor(n_init=1, random_state=0).fit(X, y)
    spread_rows = spread(X), spread(y), spread(weight)
    inside, outside = model.likelihood(X, y, weight), model.likelihood(*spread_rows)
    assert outside.value(model.theta_) == pytest.approx(inside.value(model.theta_), rel=1e-12)
    np.testing.assert_allclose(outside.expand(model.theta_).hessian, inside.expand(model.theta_).hessian, rtol=1e-9)
    assert model.bic(*spread_rows) == pytest.approx(model.bic(X, y, weight), rel=1e-12)
    assert model.icl(*spread_rows) == pytest.approx(model.icl(X, y, weight), rel=1e-12)
    with pytest.raises(TypeError, match="not listed one by one"):
        outside.score_obs(model.theta_)


def test_a_response_in_memory_goes_with_its_rows(data):
    X, y, _ = data
    model = MoERegressor(n_init=1, random_state=0).fit(X, y)
    np.testing.assert_allclose(model.cdf(spread(X), y).compute(), model.cdf(X, y), rtol=1e-12)
    np.testing.assert_allclose(model.cdf(spread(X), 1.5).compute(), model.cdf(X, 1.5), rtol=1e-12)
    np.testing.assert_allclose(model.score_samples(spread(X), y=spread(y)).compute(), model.score_samples(X, y))
    np.testing.assert_allclose(model.predict_quantile(spread(X), q=0.3).compute(), model.predict_quantile(X, 0.3))


@pytest.mark.parametrize("options", [{"gate": "hierarchical"}, {"penalty": "ridge"}, {"solver": "lbfgs"}], ids=str)
def test_hardly_more_rows_than_the_sample(data, options):
    X, y, _ = (a[:1400] for a in data)
    model = MoERegressor(n_experts=2, n_init=1, random_state=0, **options)
    expected = pick(model.fit(X, y))
    assert_same_fit(model.fit(spread(X, 500), spread(y, 500)), expected)
