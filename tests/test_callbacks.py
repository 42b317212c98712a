"""scikit-learn's callbacks see every run and iteration, change nothing by looking, and may stop a fit."""

from collections import Counter
from functools import partial

import joblib
import numpy as np
import pytest
from sklearn.callback import FitCallback, ProgressBar, ScoringMonitor
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import make_scorer, mean_squared_error
from sklearn.model_selection import GridSearchCV

from moegate import MoERegressor
from moegate.metrics import log_density_score

quick = partial(MoERegressor, n_init=2, random_state=0)


@pytest.fixture(scope="module")
def data():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    return X[["bmi", "bp"]].to_numpy(), y.to_numpy()


@pytest.fixture(scope="module")
def plain(data):
    return quick().fit(*data)


class Recorder:
    """Counts the tasks that begin and end by name, and keeps the log-likelihoods of the states that it is shown."""

    def __init__(self):
        self.begun, self.ended, self.open, self.values, self.calls = Counter(), Counter(), [], [], []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.begun[context.task_name] += 1
        self.open.append(context)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        assert self.open.pop() is context  # tasks are nested
        self.ended[context.task_name] += 1
        value = fitted_estimator.likelihood(X, y, **(metadata or {})).value(fitted_estimator.theta_)
        self.values.append((context.task_name, value, fitted_estimator.loglik_))


class Stop(Recorder):
    """Stops at the given tasks of a name, counted from one; forever from the first on by default."""

    def __init__(self, name, at=range(1, 10**6)):
        super().__init__()
        self.name, self.at = name, at

    def on_fit_task_end(self, estimator, context, *, X=None, y=None):
        self.ended[context.task_name] += 1
        return context.task_name == self.name and self.ended[self.name] in self.at


def test_recorder_is_a_callback():
    assert isinstance(Recorder(), FitCallback)


def test_every_task_that_begins_ends_and_runs_hold_their_iterations(data, plain):
    seen = Recorder()
    model = quick().set_callbacks(seen).fit(*data)
    assert seen.begun == seen.ended and not seen.open and seen.calls == ["setup", "teardown"]
    assert seen.begun["fit"] == 1 and seen.begun["run"] == 2
    assert seen.begun["iteration"] >= 2
    np.testing.assert_array_equal(model.theta_, plain.theta_)  # looking changes nothing


def test_callbacks_are_shown_the_estimator_as_it_stands(data):
    seen = Recorder()
    weight = 1.0 + np.arange(len(data[1])) % 2
    start = np.random.default_rng(0).dirichlet([1, 1], len(weight))
    model = quick(init=start).set_callbacks(seen).fit(*data, sample_weight=weight)
    names, values, reported = zip(*seen.values, strict=True)
    np.testing.assert_allclose(values, reported, rtol=1e-9)
    assert names[-2:] == ("run", "fit") and values[-1] == pytest.approx(model.loglik_, rel=1e-12)
    assert len(values) > 5 and np.all(np.diff(values) >= -1e-9 * abs(values[-1]))


def test_nothing_is_evaluated_for_an_unwatched_fit(data, monkeypatch):
    calls = []
    learned = MoERegressor._learned
    monkeypatch.setattr(MoERegressor, "_learned", lambda *args: calls.append(0) or learned(*args))
    quick().fit(*data)
    assert len(calls) == 1


@pytest.mark.parametrize("solver", ["newton", "lbfgs", "em", "squarem"])
@pytest.mark.parametrize("at", [range(2, 10**6), [2], [8]], ids=["from the second on", "the second", "the eighth"])
def test_a_stopped_fit_is_usable_and_honest(data, solver, at):
    X, y = data
    start = np.random.default_rng(0).dirichlet([1, 1, 1], len(y))
    stop = Stop("iteration", at)
    model = quick(n_experts=3, init=start, solver=solver).set_callbacks(stop)
    with pytest.warns(ConvergenceWarning, match="Not converged after"):
        model.fit(X, y)
    assert stop.ended["iteration"] == at[0] and model.n_iter_ <= at[0] + 2
    assert not model.converged_ and model.certificate_["kind"] == "none"
    assert model.likelihood(X, y).value(model.theta_) == pytest.approx(model.loglik_, rel=1e-10)
    assert np.all(np.isfinite(model.predict(X))) and np.all(model.predict_std(X) > 0)
    assert model.loglik_ > model.loglik_history_[0]
    model.set_callbacks().set_params(warm_start=True, solver="auto").fit(X, y)
    assert model.converged_  # and can go on from there


def test_a_stopped_run_stops_the_fit(data):
    stop = Stop("run", [1])
    model = quick(n_init=4).set_callbacks(stop).fit(*data)
    assert stop.ended["run"] == 1 and stop.ended["fit"] == 1
    assert np.sum(model.init_results_.stage == "long") == 1
    assert model.converged_  # the first run is the most promising, and it was finished


def test_a_fit_stopped_before_it_saw_all_rows_reports_them_all(data, monkeypatch):
    for name in ("START_ROWS", "SUBSAMPLE"):
        monkeypatch.setattr(f"moegate.fitting.{name}", 100)
    monkeypatch.setattr("moegate.fitting.PER_PARAMETER", 1)
    with pytest.warns(ConvergenceWarning, match="Not converged"):
        model = quick().set_callbacks(Stop("run", [1])).fit(*data)
    assert model.likelihood(*data).value(model.theta_) == pytest.approx(model.loglik_, rel=1e-10)


def test_an_error_inside_a_fit_still_tears_down(data):
    seen = Recorder()
    with pytest.raises(ValueError, match="init expects"):
        quick(init=np.ones(3)).set_callbacks(seen).fit(*data)
    assert seen.calls in ([], ["setup", "teardown"])


def test_callbacks_do_not_stay_in_a_pickle_of_another_fit(data):
    model = quick().set_callbacks(Recorder()).fit(*data)
    assert not any("context" in name for name in vars(model))


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_progress_bar(data, plain, capsys, n_jobs):
    model = quick(n_jobs=n_jobs).set_callbacks(ProgressBar()).fit(*data)
    np.testing.assert_array_equal(model.theta_, plain.theta_)
    out = capsys.readouterr().out
    assert "MoERegressor - fit" in out and out.count("run") >= 2


def test_progress_bar_inside_a_grid_search(data, capsys):
    search = GridSearchCV(quick(n_init=1), {"n_experts": [1, 2]}, cv=2, error_score="raise")
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(*data)
    out = capsys.readouterr().out
    assert "GridSearchCV" in out and "MoERegressor - fit" in out
    assert search.best_estimator_.predict(data[0]).shape == data[1].shape


def test_scoring_monitor_records_every_iteration(data):
    seen = Recorder()
    scoring = {"density": log_density_score, "mse": make_scorer(mean_squared_error)}
    monitor = ScoringMonitor(scoring=scoring)
    model = quick().set_callbacks(monitor, seen).fit(*data)
    log = monitor.get_logs().data_as_pandas
    assert len(log) == sum(seen.ended.values()) and set(log.task_name) == {"fit", "run", "iteration"}
    end = log[log.task_name == "fit"].iloc[0]
    assert end.density == pytest.approx(model.loglik_ / len(data[1]), rel=1e-12)
    assert end.mse == pytest.approx(np.mean((model.predict(data[0]) - data[1]) ** 2), rel=1e-12)


def test_scoring_monitor_hears_from_parallel_runs(data, plain):
    monitor = ScoringMonitor(scoring="r2")
    model = quick(n_jobs=2).set_callbacks(monitor).fit(*data)
    np.testing.assert_array_equal(model.theta_, plain.theta_)
    log = monitor.get_logs().data_as_pandas
    assert Counter(log.task_name)["run"] == 2 and Counter(log.task_name)["iteration"] >= 2
    assert log[log.task_name == "fit"].r2.iloc[0] == pytest.approx(model.score(*data), rel=1e-12)


def test_threads_are_watched_too(data, plain):
    stop = Stop("nothing")
    with joblib.parallel_config("threading", n_jobs=2):
        model = quick().set_callbacks(stop).fit(*data)
    assert stop.begun == stop.ended and stop.ended["run"] == 2
    np.testing.assert_array_equal(model.theta_, plain.theta_)
