"""MoERegressor among scikit-learn's tools: its own checks, frames, grid search, pipelines, clone and pickle."""

import pickle
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from moegate import MoEClassifier, MoERegressor, SoftmaxGate
from moegate.experts import EXPERTS, Gaussian
from moegate.metrics import log_density_score

quick = partial(MoERegressor, n_init=1, random_state=0)


@pytest.mark.filterwarnings("ignore")  # the checks fit toy data on which a mixture is not identified
@parametrize_with_checks(
    [
        MoERegressor(n_init=2, random_state=0),
        MoERegressor(gate=SoftmaxGate(), gate_features=[], solver="em", max_iter=50, n_init=1, random_state=0),
        MoEClassifier(n_init=2, random_state=0),
        MoEClassifier(1, penalty=None, class_weight="balanced"),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(as_frame=True, return_X_y=True)
    return X[["bmi", "bp"]], y


@pytest.fixture(scope="module")
def fitted(diabetes):
    return quick().fit(*diabetes)


@pytest.mark.parametrize(("frame", "series"), [(pd.DataFrame, pd.Series), (pl.from_pandas, pl.from_pandas)])
def test_frames_give_the_fit_of_their_values(diabetes, frame, series):
    X, y = diabetes
    data = frame(X)
    model = quick().fit(data, series(y))
    array = quick().fit(X.to_numpy(), y.to_numpy())
    assert list(model.feature_names_in_) == ["bmi", "bp"] and not hasattr(array, "feature_names_in_")
    np.testing.assert_allclose(model.theta_, array.theta_, rtol=1e-9)  # the memory's order may change the rounding
    np.testing.assert_allclose(model.predict(data), array.predict(X.to_numpy()), rtol=1e-12)
    np.testing.assert_allclose(model.bic(data, series(y)), array.bic(X.to_numpy(), y.to_numpy()), rtol=1e-12)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.from_pandas])
@pytest.mark.parametrize("method", ["predict", "predict_gate", "predict_experts", "predict_std", "sample"])
def test_renamed_or_reordered_columns_are_refused(diabetes, fitted, frame, method):
    X, _ = diabetes
    for other in (X.rename(columns={"bmi": "weight"}), X[["bp", "bmi"]]):
        with pytest.raises(ValueError, match="feature names should match"):
            getattr(fitted, method)(frame(other))
    with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing"):
        getattr(fitted, method)(frame(X[["bmi"]]))


@pytest.mark.parametrize("method", ["score_samples", "responsibilities", "cdf", "likelihood", "bic", "pdf"])
def test_renamed_columns_are_refused_with_a_response_too(diabetes, fitted, method):
    X, y = diabetes
    with pytest.raises(ValueError, match="feature names should match"):
        getattr(fitted, method)(X.rename(columns={"bmi": "weight"}), y)


def test_columns_by_name_index_mask_slice_and_callable_are_the_same(diabetes):
    X, y = diabetes
    specs = [["bp"], "bp", [1], [-1], [False, True], slice(1, 2), np.array([1]), lambda X: ["bp"]]
    fits = [quick(gate_features=spec, expert_features=spec).fit(X, y) for spec in specs]
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.theta_, fits[0].theta_)
    np.testing.assert_array_equal(fits[0].coef_[:, 0], 0)
    assert np.all(fits[0].coef_[:, 1] != 0)


@pytest.mark.parametrize("scoring", [None, log_density_score])
def test_grid_search_over_experts_scores_held_out_rows(scoring):
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, 300)
    left = rng.uniform(size=300) > 1 / (1 + np.exp(-3 * x))
    X, y = x[:, None], np.where(left, -x, x) + 0.2 * rng.standard_normal(300)
    search = GridSearchCV(quick(), {"n_experts": [1, 2]}, scoring=scoring, cv=3, error_score="raise").fit(X, y)
    assert search.best_params_ == {"n_experts": 2}
    scores = cross_val_score(quick(n_experts=2), X, y, scoring=scoring, cv=3)
    assert search.cv_results_["mean_test_score"][1] == pytest.approx(scores.mean(), rel=1e-12)


def test_log_density_score_is_the_weighted_mean(diabetes, fitted):
    X, y = diabetes
    weight = np.arange(len(y)) % 3
    assert log_density_score(fitted, X, y) == pytest.approx(fitted.loglik_ / len(y), rel=1e-12)
    expected = fitted.score_samples(X, y) @ weight / weight.sum()
    assert log_density_score(fitted, X, y, weight) == pytest.approx(expected, rel=1e-12)


def test_a_scaler_before_changes_no_prediction(diabetes, fitted):
    X, y = diabetes
    pipeline = make_pipeline(StandardScaler(), quick()).fit(X, y)
    np.testing.assert_allclose(pipeline.predict(X), fitted.predict(X), rtol=1e-7)
    assert pipeline.score(X, y) == pytest.approx(fitted.score(X, y), abs=1e-8)


def test_clone_has_the_parameters_and_no_fit(diabetes, fitted):
    copy = clone(fitted.set_params(n_jobs=1))
    assert copy.get_params() == fitted.get_params() and not hasattr(copy, "theta_")
    with pytest.raises(NotFittedError):
        copy.predict(diabetes[0])
    np.testing.assert_array_equal(copy.fit(*diabetes).theta_, fitted.theta_)


@pytest.mark.parametrize("name", ["gaussian", "poisson"])
def test_experts_are_a_name_or_an_object(diabetes, name):
    X, y = diabetes
    own = clone(quick(max_iter=30, tol=1.0, experts=EXPERTS[name]())).fit(X, y)
    named = quick(max_iter=30, tol=1.0, experts=name).fit(X, y)
    np.testing.assert_array_equal(own.theta_, named.theta_)
    assert f"2 {name} experts" in repr(own) and own.get_params()["experts"] == EXPERTS[name]()
    with pytest.raises(ValueError, match=r"experts expects one of .* or an object such as Gaussian\(\), whose"):
        quick(experts=Gaussian(shared=True)).fit(X, y)
    with pytest.raises(ValueError, match="Classes are for MoEClassifier"):
        quick(experts=EXPERTS["multinomial"]()).fit(X, y)


def test_pickle_keeps_predictions(diabetes, fitted):
    X, y = diabetes
    copy = pickle.loads(pickle.dumps(fitted))
    for method in ("predict", "predict_std", "predict_gate", "predict_experts", "predict_interval"):
        np.testing.assert_array_equal(getattr(copy, method)(X), getattr(fitted, method)(X))
    assert copy.bic(X, y) == fitted.bic(X, y) and copy.init_results_.equals(fitted.init_results_)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"penalty": "ridge"}, {"penalty": None}),
        ({}, {"penalty": "ridge", "gate": "laplace"}),
        ({"experts": "gaussian"}, {"experts": "poisson"}),
        ({"gate": "hierarchical", "n_experts": 4}, {"gate": "softmax", "n_experts": 2}),
        ({"warm_start": True}, {"penalty": "ridge"}),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_refit_leaves_its_own_attributes_alone(diabetes, before, after):
    X, y = (diabetes[0] - diabetes[0].mean()) / diabetes[0].std(), diabetes[1].round()
    first, fresh = quick(max_iter=20, **before), quick(max_iter=20, **before).set_params(**after)
    again = first.fit(X, y).set_params(**after).fit(X.to_numpy(), y)
    assert vars(again).keys() == vars(fresh.fit(X.to_numpy(), y)).keys()


def test_a_pickle_holds_no_training_data():
    x = np.linspace(-1, 1, 20_000)
    model = quick(n_experts=1).fit(x[:, None], np.abs(x) + 0.1 * np.sin(1e4 * x))
    assert len(pickle.dumps(model)) < x.nbytes / 4


@pytest.mark.parametrize("method", ["predict", "predict_std", "predict_gate", "predict_experts", "sample"])
def test_methods_before_fit_say_so(method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(MoERegressor(), method)([[0.0]])


@pytest.mark.parametrize(
    "method", ["score_samples", "responsibilities", "cdf", "likelihood", "aic", "bic", "icl", "pdf"]
)
def test_methods_with_a_response_before_fit_say_so(method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(MoERegressor(), method)([[0.0]], [0.0])


def test_parameters_are_stored_as_passed_and_read_back():
    gate, columns = SoftmaxGate(), ["bmi"]
    model = MoERegressor(3, gate=gate, gate_features=columns)
    assert model.get_params()["gate"] is gate and model.get_params()["gate_features"] is columns
    assert model.set_params(n_experts=4, gate="softmax", tol=1e-6).get_params()["n_experts"] == 4
    assert repr(MoERegressor(gate=gate)) == "MoERegressor(gate=SoftmaxGate())"
    with pytest.raises(ValueError, match="Invalid parameter 'n_expert'"):
        model.set_params(n_expert=2)


def test_fit_changes_no_parameter(diabetes):
    model = quick(gate_features=["bmi"], init="kmeans")
    before = model.get_params()
    assert model.fit(*diabetes).get_params() == before


def test_a_gate_by_name_equals_its_object(diabetes, fitted):
    np.testing.assert_array_equal(quick(gate=SoftmaxGate()).fit(*diabetes).theta_, fitted.theta_)


def test_weights_pass_through_a_pipeline(diabetes):
    X, y = diabetes
    weight = np.where(np.arange(len(y)) < 200, 1.0, 0.0)
    pipeline = make_pipeline(quick()).fit(X, y, moeregressor__sample_weight=weight)
    np.testing.assert_allclose(pipeline.predict(X), quick().fit(X[:200], y[:200]).predict(X), rtol=1e-9)
