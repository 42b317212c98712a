"""Starts: independent streams from one seed, the classic restart bugs, what `init` takes, and a table that is true."""

import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from watching import EachIteration

from moegate import HierarchicalGate, MoERegressor, TopKGate
from moegate.estimators.data import make_rows
from moegate.experts import Gaussian
from moegate.initialization import KINDS, Sample, starts
from moegate.runs import Run, best
from moegate.solvers import Solution, certify

quick = partial(MoERegressor, n_init=1, random_state=0)


@pytest.fixture(scope="module")
def data():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    return X[["bmi", "bp"]].to_numpy(), y.to_numpy()


@pytest.fixture(scope="module")
def fitted(data):
    return quick(n_init=3).fit(*data)


def sample(X, y, weight=None):
    return Sample.from_rows(make_rows(X, y, weight, True), Gaussian())


def alike(a, b):
    """Share of the short runs that end alike; not quite zero, since there are few slabs at quantiles."""
    return np.mean(np.isclose(a, b, rtol=1e-12, atol=0))


def ends(model):
    """What the short runs reached, by the number of their start."""
    runs = model.init_results_
    return runs[runs.stage == "short"].sort_values("start").loglik.to_numpy()


# the kinds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("K", [2, 4])
def test_responsibilities_are_probabilities_that_use_every_expert(data, kind, K):
    for start in starts(kind, 3, entropy=1):
        R = start.responsibilities(sample(*data), K)
        assert R.shape == (len(data[1]), K) and R.min() >= 0
        np.testing.assert_allclose(R.sum(axis=1), 1, rtol=1e-12)
        assert R.sum(axis=0).min() >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_starts_follow_the_rows_when_shuffled(data, kind):
    X, y = data
    order = np.random.default_rng(0).permutation(len(y))
    for start in starts(kind, 2, entropy=1):
        R, shuffled = (start.responsibilities(sample(X[at], y[at]), 3) for at in (slice(None), order))
        np.testing.assert_allclose(shuffled, R[order], atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_starts_take_a_weight_for_a_repeated_row(data, kind):
    X, y = data
    weight = 1 + np.arange(len(y)) % 3
    for start in starts(kind, 2, entropy=1):
        R = start.responsibilities(sample(X, y, weight.astype(float)), 3)
        repeated = start.responsibilities(sample(np.repeat(X, weight, axis=0), np.repeat(y, weight)), 3)
        np.testing.assert_allclose(repeated, np.repeat(R, weight, axis=0), atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_starts_do_not_see_units(data, kind):
    X, y = data
    start = starts(kind, 1, entropy=1)[0]
    R = start.responsibilities(sample(X, y), 3)
    np.testing.assert_allclose(start.responsibilities(sample(1e4 * X - 300, 0.01 * y + 5), 3), R, atol=1e-9)


@pytest.mark.parametrize("kind", ["auto", "regressions", "random", "dirichlet", "hyperplane", "kmeans"])
def test_starts_of_one_seed_differ(data, kind):
    R = [start.responsibilities(sample(*data), 3) for start in starts(kind, 12, entropy=1)]
    for i in range(12):
        assert all(np.abs(R[i] - R[j]).max() > 0.1 for j in range(i))


def test_every_kind_takes_part():
    assert {start.kind for start in starts("auto", 10, 0)} == set(KINDS)
    assert {start.kind for start in starts("kmeans", 10, 0)} == {"kmeans"}


def test_a_start_does_not_depend_on_how_many_there_are(data):
    few, many = starts("auto", 3, entropy=5), starts("auto", 30, entropy=5)
    for a, b in zip(few, many, strict=False):
        np.testing.assert_array_equal(*(s.responsibilities(sample(*data), 2) for s in (a, b)))


# the restart bugs -----------------------------------------------------------------------------------------------------


def test_the_starts_of_a_fit_differ(fitted):
    values = ends(fitted)
    assert len(values) == 45 and len(np.unique(values.round(6))) > 30


def test_random_state_changes_the_starts_and_repeats_them(data, fitted):
    again, other = quick(n_init=3).fit(*data), quick(n_init=3, random_state=1).fit(*data)
    np.testing.assert_array_equal(again.theta_, fitted.theta_)
    for a, b in zip(again.init_results_.history, fitted.init_results_.history, strict=True):
        np.testing.assert_array_equal(a, b)
    assert alike(ends(other), ends(fitted)) < 0.25
    assert other.loglik_ == pytest.approx(fitted.loglik_, abs=1e-6)


def test_a_fit_again_does_not_go_on_from_the_last_one(data, fitted):
    model = quick(n_init=3).fit(data[0][:100], data[1][:100]).fit(*data)
    np.testing.assert_array_equal(model.theta_, fitted.theta_)


def test_random_state_objects_move_on(data):
    rng = np.random.RandomState(0)
    first, second = (ends(quick(random_state=rng).fit(*data)) for _ in range(2))
    assert alike(first, second) < 0.25
    np.testing.assert_array_equal(first, ends(quick(random_state=np.random.RandomState(0)).fit(*data)))


def test_no_random_state_differs_from_fit_to_fit(data):
    first, second = (ends(quick(random_state=None).fit(*data)) for _ in range(2))
    assert alike(first, second) < 0.25


# warm starts ----------------------------------------------------------------------------------------------------------


def test_a_warm_start_at_the_maximum_stays(data, fitted):
    model = quick().fit(*data).set_params(warm_start=True).fit(*data)
    assert model.loglik_ == pytest.approx(fitted.loglik_, abs=1e-9) and model.n_iter_ <= 3
    np.testing.assert_allclose(model.theta_, fitted.theta_, rtol=1e-6)
    assert list(model.init_results_.kind) == ["warm_start"]


def test_a_warm_start_begins_at_the_last_parameters(data):
    X, y = data
    model = quick(warm_start=True).fit(X[:200], y[:200])
    begin = model.likelihood(X, y).value(model.theta_)
    assert model.fit(X, y).loglik_history_[0] == pytest.approx(begin, rel=1e-12)
    assert model.loglik_ > begin + 1


def test_the_first_warm_start_is_a_search(data, fitted):
    model = quick(n_init=3, warm_start=True).fit(*data)
    np.testing.assert_array_equal(model.theta_, fitted.theta_)


def test_warm_start_ignores_the_seed(data):
    model = quick(warm_start=True, max_iter=5).fit(*data)
    fits = [model.set_params(random_state=seed).fit(*data).theta_ for seed in (0, 1)]
    np.testing.assert_allclose(*fits, rtol=1e-9)


@pytest.mark.parametrize("change", [{"n_experts": 3}, {"gate_features": []}, {"expert_features": [0]}])
def test_a_warm_start_of_another_shape_is_refused(data, change):
    model = quick(n_experts=2, warm_start=True).fit(*data).set_params(**change)
    with pytest.raises(
        ValueError, match=r"warm_start expects parameters of shape \(\d+,\) .*, got \(11,\); fit without"
    ):
        model.fit(*data)
    assert model.set_params(warm_start=False).fit(*data).loglik_ < 0


# solvers of the user's own --------------------------------------------------------------------------------------------


class OwnSolver:
    """No dataclass; climbs by EM steps alone."""

    monitor = None

    def solve(self, likelihood, theta):
        history = [likelihood.value(theta)]
        for _ in range(30):
            theta = likelihood.em_step(theta)[1]
            history.append(likelihood.value(theta))
        certificate = certify(likelihood, theta, 1.0)
        return Solution(theta, history[-1], np.array(history), certificate["kind"] != "none", certificate)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_solver_needs_nothing_but_solve(data):
    model = quick(solver=OwnSolver()).fit(*data)
    assert model.n_iter_ == 31 and np.all(np.diff(model.loglik_history_) >= -1e-8)
    heard = quick(solver=OwnSolver()).set_callbacks(EachIteration(print)).fit(*data)
    assert heard.loglik_ == pytest.approx(model.loglik_, rel=1e-12)
    with pytest.raises(ValueError, match='solver expects "auto" or "proximal" under a lasso'):
        quick(solver=OwnSolver(), penalty="lasso").fit(*data)


# init -----------------------------------------------------------------------------------------------------------------


def test_parameters_are_where_the_run_begins(data, fitted):
    theta = fitted.theta_ * 1.02
    model = quick(init=theta).fit(*data)
    assert model.loglik_history_[0] == pytest.approx(fitted.likelihood(*data).value(theta), rel=1e-10)
    assert model.loglik_ == pytest.approx(fitted.loglik_, abs=1e-7)
    assert list(model.init_results_.kind) == ["init"]


def test_a_list_of_parameters_is_an_array_of_parameters(data, fitted):
    assert quick(init=fitted.theta_.tolist()).fit(*data).n_iter_ <= 3


def test_a_fitted_estimator_is_its_parameters(data, fitted):
    model = quick(init=fitted).fit(*data)
    assert model.n_iter_ <= 3 and model.loglik_ == pytest.approx(fitted.loglik_, abs=1e-9)
    with pytest.raises(ValueError, match=r"init expects parameters of shape \(18,\) .*, got \(11,\)"):
        quick(n_experts=3, init=fitted).fit(*data)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"gate": "dense_to_sparse"}, {"gate": "softmax"}),
        ({"gate": "softmax"}, {"gate": "sigmoid"}),
        ({"experts": "gaussian", "expert_features": [0]}, {"experts": "poisson", "expert_features": None}),
        (
            {"n_experts": 4, "gate": HierarchicalGate(branches=(1, 3))},
            {"n_experts": 4, "gate": HierarchicalGate(branches=(3, 1))},
        ),
        (
            {"n_experts": 4, "gate": HierarchicalGate(children="softmax")},
            {"n_experts": 4, "gate": HierarchicalGate(children="modified_softmax")},
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_with_another_gate_or_other_experts_is_refused(data, first, then):
    X, y = data
    begun = quick(max_iter=5, **first).fit(X, y.round())
    with pytest.raises(ValueError, match=r"init expects a fit with a gate and experts of the same kind, .* got "):
        quick(init=begun, **then).fit(X, y.round())
    with pytest.raises(ValueError, match=r"warm_start expects a fit .* fit without warm_start"):
        begun.set_params(warm_start=True, **then).fit(X, y.round())


def test_a_fit_of_the_same_kind_may_have_other_constants(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        begun = quick(4, max_iter=20, gate=TopKGate(3)).fit(*data)
        assert list(quick(4, max_iter=20, gate=TopKGate(2), init=begun).fit(*data).init_results_.kind) == ["init"]


def test_responsibilities_of_a_fit_lead_back_to_it(data, fitted):
    model = quick(init=fitted.responsibilities(*data)).fit(*data)
    assert model.loglik_ == pytest.approx(fitted.loglik_, abs=1e-7) and len(model.init_results_) == 1


def test_the_order_of_the_experts_in_responsibilities_does_not_matter(data, fitted):
    model = quick(init=fitted.responsibilities(*data)[:, ::-1]).fit(*data)
    np.testing.assert_allclose(model.predict_gate(data[0]), fitted.predict_gate(data[0]), atol=1e-6)


def test_responsibilities_belong_to_their_rows(data, fitted):
    (X, y), R = data, fitted.responsibilities(*data).round(1)
    order = np.random.default_rng(0).permutation(len(y))
    model, shuffled = (quick(init=R[at]).fit(X[at], y[at]) for at in (slice(None), order))
    np.testing.assert_allclose(shuffled.loglik_history_[:3], model.loglik_history_[:3], rtol=1e-10)
    np.testing.assert_allclose(shuffled.theta_, model.theta_, rtol=1e-7)


def test_responsibilities_of_rows_without_weight_are_not_seen(data, fitted):
    (X, y), R = data, fitted.responsibilities(*data).round(1)
    kept = np.arange(len(y)) % 4 != 1
    R[~kept] = [1, 0]
    weighted = quick(init=R).fit(X, y, kept.astype(float))
    dropped = quick(init=R[kept]).fit(X[kept], y[kept])
    np.testing.assert_allclose(weighted.loglik_history_[:3], dropped.loglik_history_[:3], rtol=1e-10)
    np.testing.assert_allclose(weighted.theta_, dropped.theta_, rtol=1e-7)


def test_responsibilities_of_repeated_rows_stay_with_them(data, fitted):
    (X, y), R = data, fitted.responsibilities(*data).round(1)
    weight = 1 + np.arange(len(y)) % 3
    weighted = quick(init=R).fit(X, y, weight)
    repeated = quick(init=np.repeat(R, weight, axis=0)).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(repeated.loglik_history_[:3], weighted.loglik_history_[:3], rtol=1e-10)
    np.testing.assert_allclose(repeated.theta_, weighted.theta_, rtol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_by_name(data, fitted, kind):
    model = quick(init=kind, n_init=2).fit(*data)
    assert set(model.init_results_.kind) == {kind}
    assert model.converged_ and model.loglik_ <= fitted.loglik_ + 1e-6  # one kind alone may miss the best maximum


# the table ------------------------------------------------------------------------------------------------------------

COLUMNS = "start kind loglik n_iter converged degenerate stage n_rows certificate history".split()


@pytest.fixture(scope="module")
def tied(data):
    """A response with many equal values, which attract spikes, and a fit to it."""
    X, y = data
    y = np.where(np.arange(len(y)) < 30, 100.0, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return quick(n_experts=3, n_init=4).fit(X, y), y


def check_table(model, n_rows):
    runs = model.init_results_
    assert list(runs.columns) == COLUMNS and set(runs.stage) == {"short", "middle", "long"}
    assert [len(h) for h in runs.history] == list(runs.n_iter) and np.all(runs.n_iter > 0)
    np.testing.assert_allclose([h[-1] for h in runs.history], runs.loglik, rtol=1e-10)
    assert all(np.all(np.diff(h) >= -1e-10 * abs(h[-1])) for h in runs.history)
    np.testing.assert_array_equal(runs.converged, runs.certificate.isin(["interior", "limit"]))
    assert np.all(runs.n_rows == n_rows)


def test_the_table_is_true(data, fitted, tied):
    for model in (fitted, tied[0]):
        check_table(model, len(data[1]))


def test_the_table_holds_every_start_and_the_long_runs_are_some_of_them(fitted):
    runs = fitted.init_results_.set_index("start")
    short, long = runs[runs.stage == "short"], runs[runs.stage == "long"]
    assert sorted(short.index) == list(range(45)) and len(long) == 3
    assert all(
        long.kind[start] == short.kind[start] and long.loglik[start] >= short.loglik[start] for start in long.index
    )


def test_the_winner_is_the_best_sound_long_run(fitted, tied):
    for model in (fitted, tied[0]):
        long = model.init_results_.query("stage == 'long'")
        row = long.sort_values(["degenerate", "loglik"], ascending=[True, False]).iloc[0]
        assert row.loglik == model.loglik_ and row.n_iter == model.n_iter_ == len(model.loglik_history_)
        np.testing.assert_array_equal(row.history, model.loglik_history_)
        assert (row.certificate, row.converged) == (model.certificate_["kind"], model.converged_)


def test_the_reported_likelihood_is_that_of_the_parameters(data, fitted):
    assert fitted.likelihood(*data).value(fitted.theta_) == pytest.approx(fitted.loglik_, rel=1e-12)


def test_a_degenerate_run_comes_last_whatever_its_likelihood():
    ending = {"kind": "random", "n_rows": 9, "theta": np.zeros(1), "history": np.zeros(1)}
    spike = Run(0, stage="long", loglik=1e6, degenerate=(1,), **ending)
    sound, better = (Run(i, stage="long", loglik=float(i), **ending) for i in (1, 2))
    unfinished = Run(3, stage="short", loglik=99.0, **ending)
    assert best([spike, sound, better, unfinished]) is better
    assert best([spike, unfinished]) is spike


def test_sound_runs_displaced_by_spikes_are_climbed_after_all():
    """Long runs that end in spikes on the tied zeros must not hide the sound ends of other starts."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (300, 1))
    first = rng.random(300) < 1 / (1 + np.exp(-3 * x[:, 0]))
    y = np.where(first, 1 + x[:, 0], -1 - x[:, 0]) + 0.4 * rng.standard_normal(300)
    y = np.where(np.random.default_rng(9).random(300) < 0.3, 0, np.abs(y))
    model = MoERegressor(3, random_state=0).fit(x, y)
    assert model.certificate_["kind"] == "interior"
    assert not model.init_results_["degenerate"].iloc[0]
    ends = model.init_results_.drop_duplicates("start")  # the last run of each start comes first
    assert ends[ends["loglik"] > model.loglik_ + 0.01]["degenerate"].all()
