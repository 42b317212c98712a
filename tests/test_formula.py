"""Formulas make the columns that a user would make by hand."""

import pickle
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from moegate import (
    MoEClassifier,
    MoERegressor,
    bootstrap,
    from_formula,
    infer,
    lasso_path,
    likelihood_ratio_test,
    select_n_experts,
)
from moegate.diagnostics import quantile_residuals
from moegate.formula import FormulaModel, parsed
from moegate.plotting import CalibrationDisplay, FitDisplay, GateDisplay


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.uniform(1, 3, 300), "b": rng.uniform(-2, 2, 300)})
    frame["group"] = np.where(rng.random(300) < 0.5, "left", "right")
    first = rng.random(300) < 1 / (1 + np.exp(-2 * frame["b"]))
    frame["y"] = np.where(first, 1 + frame["a"], -frame["a"]) + 0.3 * rng.standard_normal(300)
    return frame


def test_columns_of_experts_and_gate(data):
    model = from_formula("y ~ a | b", data, n_init=2, random_state=0)
    by_hand = MoERegressor(2, expert_features=["a"], gate_features=["b"], n_init=2, random_state=0)
    by_hand.fit(data[["a", "b"]], data["y"])
    assert model.loglik_ == pytest.approx(by_hand.loglik_)
    np.testing.assert_allclose(model.predict(data), by_hand.predict(data[["a", "b"]]))
    np.testing.assert_allclose(model.predict_gate(data), by_hand.predict_gate(data[["a", "b"]]))
    np.testing.assert_allclose(model.predict_quantile(data, [0.1, 0.9]).T[0] < model.predict(data), True)
    assert model.score(data) == pytest.approx(by_hand.score(data[["a", "b"]], data["y"]))


def test_transformations_categories_and_intercepts(data):
    model = from_formula("y ~ np.log(a) + group | 1", data, n_init=1, random_state=0)
    assert list(model.estimator_.feature_names_in_) == ["np.log(a)", "group[T.right]"]
    assert model.estimator_.gate_features == []
    part = model.predict(data[data["group"] == "left"].head(3))  # levels are those of the fit
    assert part.shape == (3,)
    result = model.infer(data)
    assert "expert[0].group[T.right]" in result.names and "gate[0].intercept" in result.names
    both = from_formula("np.exp(y / 10) ~ a + b", data, n_init=1, random_state=0)
    np.testing.assert_allclose(both.transform(data, response=True)[1], np.exp(data["y"] / 10))
    assert both.estimator_.gate_features == ["a", "b"]


def test_text_responses_make_classifiers(data):
    data = data.assign(label=np.where(data["y"] > 0, "high", "low"))
    model = from_formula("label ~ a + b", data, n_init=1, random_state=0)
    assert isinstance(model.estimator_, MoEClassifier) and model.predict_proba(data).shape == (300, 2)
    assert repr(model).startswith("FormulaModel('label ~ a + b')\n# 2 multinomial experts, gate softmax")


def test_categories_of_numbers_make_classifiers(data):
    numbers = data.assign(label=(data["y"] > 0).astype(int))
    model = from_formula("label ~ a", numbers.astype({"label": "category"}), 1)
    assert model.classes_.tolist() == [0, 1] and model.score(numbers) > 0.5
    assert isinstance(from_formula("label ~ a", numbers, 1).estimator_, MoERegressor)


def test_missing_values_and_bad_formulas(data):
    with pytest.raises(ValueError, match="(?s)`a` contains null values.*SimpleImputer.*or drop the rows"):
        from_formula("y ~ a", data.assign(a=np.where(data["b"] > 1.9, np.nan, data["a"])), n_init=1)
    for formula in ("a + b", "y ~ a | b | a", "~ a", "y ~ a |"):
        with pytest.raises(ValueError, match="formula expects"):
            parsed(formula)
    with pytest.raises(AttributeError, match="call fit first"):
        type(from_formula("y ~ a", data, n_init=1, random_state=0))("y ~ a").predict(data)


def test_frames_of_polars(data):
    model = from_formula("y ~ a + group | b", data, n_init=1, random_state=0)
    frame = pl.from_pandas(data)
    again = from_formula("y ~ a + group | b", frame, n_init=1, random_state=0)
    assert again.loglik_ == model.loglik_ and again.score(frame) == model.score(data)
    np.testing.assert_array_equal(again.predict(frame[:5]), model.predict(data[:5]))


def test_a_dot_is_all_columns_but_the_response(data):
    frame = data[["y", "a", "b"]]
    both = from_formula("y ~ .", frame, 1)
    assert both.estimator_.feature_names_in_.tolist() == ["a", "b"] == both.estimator_.gate_features
    one = from_formula("np.exp(y / 10) ~ . - b | .", frame, 1)
    assert one.estimator_.expert_features == ["a"] and one.estimator_.gate_features == ["a", "b"]
    assert from_formula("y ~ . | a", frame, 1).estimator_.gate_features == ["a"]
    quoted = from_formula("`the y` ~ .", frame.rename(columns={"y": "the y", "a": "an a"}), 1)
    assert quoted.estimator_.expert_features == ["an a", "b"]


def test_levels_that_the_fit_has_not_seen_are_refused(data):
    model = from_formula("y ~ a + C(group) + group:b | group", data, 1)
    new = data.head(4).assign(group=["left", "middle", "right", "top"])
    for frame in (new, pl.from_pandas(new), new.assign(group=pd.Categorical(new["group"]))):
        with pytest.raises(ValueError, match=r"'group' the levels of the fit, 'left', 'right', got 'middle', 'top'; d"):
            model.predict(frame)
    declared = pd.CategoricalDtype(["left", "middle", "right"])  # one of which no row has
    again = from_formula("y ~ group", data.astype({"group": declared}), 1)
    assert again.estimator_.feature_names_in_.tolist() == ["group[T.right]"]
    with pytest.raises(ValueError, match="got 'middle'"):
        again.predict(new.head(2).astype({"group": declared}))
    floors = from_formula("y ~ C(np.floor(a))", data, 1)
    with pytest.raises(ValueError, match=r"'a' the levels of the fit, 1.0, 2.0, got 7.0; drop"):
        floors.predict(data.head(2).assign(a=[1.5, 7.2]))
    with pytest.raises(ValueError, match="outside of the nominated levels.*{'right'}"):
        from_formula("y ~ C(group, levels=['left'])", data, 1)


def test_missing_values_at_predict_point_to_imputers(data):
    with pytest.raises(ValueError, match="(?s)`a` contains null values.*SimpleImputer"):
        from_formula("y ~ a", data, 1).predict(data.head(2).assign(a=[1.0, np.nan]))


def test_formulas_without_columns(data):
    mixture = from_formula("y ~ 1", data, n_init=1, random_state=0)
    by_hand = MoERegressor(2, gate_features=[], expert_features=[], n_init=1, random_state=0)
    assert mixture.loglik_ == by_hand.fit(data[["a"]], data["y"]).loglik_
    assert mixture.predict(data.head(3)).shape == (3,) and mixture.infer(data).bse.shape == (5,)
    assert from_formula("y ~ 0 | 0", data, n_init=1, random_state=0).loglik_ == mixture.loglik_
    for formula in ("y ~ C(group)", "y ~ a + C(group) | a", "y ~ a | b + C(group)"):
        with pytest.raises(ValueError, match=r"the term C\(group\) makes no column.*has one level.*leave it out"):
            from_formula(formula, data.assign(group="left"), n_init=1)
    with pytest.raises(ValueError, match=r"response expects one column, got .*'C\(group\)\[left\]'"):
        from_formula("C(group) ~ a", data, n_init=1)


def test_the_number_of_experts_is_that_of_the_estimator_unless_given(data):
    one = MoERegressor(1, n_init=1, random_state=0)
    assert from_formula("y ~ a", data, estimator=one).model_.n_experts == 1
    assert from_formula("y ~ a", data, 2, estimator=one).model_.n_experts == 2 and one.n_experts == 1
    assert from_formula("y ~ a", data, n_init=1, random_state=0).model_.n_experts == 2


@pytest.fixture(scope="module")
def counts(data):
    rng = np.random.default_rng(1)
    frame = data[["a", "b"]].assign(e=rng.uniform(0.5, 4, 300))
    level = np.where(frame["b"] + rng.logistic(size=300) > 0, 2.0, 0.3)
    return frame.assign(cnt=rng.poisson(frame["e"] * np.exp(level + 0.2 * frame["a"])))


def test_an_exposure_is_a_column_by_its_name_and_no_feature(counts):
    given = {"experts": "poisson", "n_init": 1, "random_state": 0}
    by_hand = MoERegressor(2, exposure="e", **given).fit(counts[["a", "b", "e"]], counts["cnt"])
    for formula, frame in (("cnt ~ a + b", counts), ("cnt ~ .", pl.from_pandas(counts))):
        model = from_formula(formula, frame, exposure="e", **given)
        assert model.loglik_ == pytest.approx(by_hand.loglik_, rel=1e-12) and model.dof_ == by_hand.dof_
        np.testing.assert_allclose(model.predict(frame), by_hand.predict(counts[["a", "b", "e"]]))
        assert model.score(frame) == pytest.approx(by_hand.score(counts[["a", "b", "e"]], counts["cnt"]))
        assert "gate[0].b" in model.infer(frame).names
    np.testing.assert_allclose(
        cross_val_score(from_formula("cnt ~ a + b", counts, 1, exposure="e", **given), counts, cv=2),
        cross_val_score(clone(by_hand).set_params(n_experts=1), counts[["a", "b", "e"]], counts["cnt"], cv=2),
    )
    same = from_formula("cnt ~ . | .", counts, estimator=MoERegressor(exposure="e", **given))
    assert same.estimator_.gate_features == ["a", "b"] and same.loglik_ == model.loglik_
    for formula in ("cnt ~ a + e", "cnt ~ a | np.log(e)"):
        with pytest.raises(ValueError, match="exposure 'e' is no feature, got it among the terms of 'cnt ~ a"):
            from_formula(formula, counts, exposure="e", **given)
    with pytest.raises(ValueError, match=r"exposure names the column 'time', which is not in the data.*\['a', 'b', "):
        from_formula("cnt ~ a", counts, exposure="time", **given)
    with pytest.raises(ValueError, match="exposure expects the name of a column of the data frame, got 2"):
        from_formula("cnt ~ a", counts, estimator=MoERegressor(exposure=2, **given))
    with pytest.raises(ValueError, match="exposure is for Poisson experts"):
        from_formula("label ~ a", counts.assign(label="one"), exposure="e")


def test_exposures_and_weights_are_arrays_too(counts):
    given = {"experts": "poisson", "n_init": 1, "random_state": 0}
    weight = np.arange(300) % 3
    model = from_formula("cnt ~ a + b", counts, exposure=counts["e"], sample_weight=weight, **given)
    named = from_formula("cnt ~ .", counts.assign(w=weight), exposure="e", sample_weight="w", **given)
    assert named.estimator_.expert_features == ["a", "b"]
    assert named.loglik_ == pytest.approx(model.loglik_, rel=1e-12)
    assert clone(named).fit(counts.assign(w=weight)).loglik_ == named.loglik_
    expected = named.predict(counts)
    np.testing.assert_allclose(model.predict(counts, exposure=counts["e"]), expected)
    np.testing.assert_allclose(model.predict(counts, exposure="e"), expected)
    np.testing.assert_allclose(model.predict(counts), expected / counts["e"])
    again = clone(model).fit(counts, exposure="e", sample_weight=weight)
    np.testing.assert_allclose(again.predict(counts), expected / counts["e"])
    names = model.infer(counts.assign(w=weight), sample_weight="w", exposure="e").names
    assert names == named.infer(counts, sample_weight=weight).names


OF_ROWS = "score_samples responsibilities likelihood aic bic icl score".split()


@pytest.mark.parametrize("name", OF_ROWS)
def test_what_needs_a_response_takes_it_from_the_data(data, name):
    model = from_formula("y ~ a | b", data, n_init=1, random_state=0)
    own, rows, weight = model.estimator_, model.transform(data, response=True), np.arange(300) % 3

    def number(found):
        return found.value(own.theta_) if name == "likelihood" else found

    np.testing.assert_allclose(number(getattr(model, name)(data)), number(getattr(own, name)(*rows)))
    if name not in ("score_samples", "responsibilities"):
        expected = number(getattr(own, name)(*rows, weight))
        frame = data.assign(w=weight)
        assert number(getattr(model, name)(data, sample_weight=weight)) == pytest.approx(expected)
        assert number(getattr(model, name)(frame, sample_weight="w")) == pytest.approx(expected)


def test_distributions_take_the_response_or_what_is_given(data):
    model = from_formula("y ~ a | b", data, n_init=1, random_state=0)
    own, (X, y) = model.estimator_, model.transform(data, response=True)
    np.testing.assert_array_equal(model.cdf(data), own.cdf(X, y))
    np.testing.assert_array_equal(model.cdf(data, 0.0), own.cdf(X, 0.0))
    np.testing.assert_array_equal(model.cdf(data, y=0.0), own.cdf(X, 0.0))
    np.testing.assert_array_equal(model.pdf(data, [0.0, 1.0]), own.pdf(X, [0.0, 1.0]))
    for name in ("bic", "score", "score_samples"):  # whose second argument would be taken for weights
        with pytest.raises(TypeError, match=rf"{name} expects the data alone, whose column is the response, .*keyword"):
            getattr(model, name)(data, data["y"])


def test_a_formula_model_is_cloned_searched_and_pickled(data):
    model = from_formula("y ~ a | b", data, 1, random_state=0)
    again = clone(model)
    assert again.formula == model.formula and not hasattr(again, "estimator_")
    assert again.fit(data).loglik_ == pickle.loads(pickle.dumps(model)).loglik_ == model.loglik_
    scores = cross_val_score(model, data, cv=3)
    X = data[["a", "b"]]
    by_hand = MoERegressor(1, expert_features=["a"], gate_features=["b"], random_state=0)
    np.testing.assert_allclose(scores, cross_val_score(by_hand, X, data["y"], cv=KFold(3)), rtol=1e-6)
    grid = {"parameters": [{"n_experts": K, "n_init": 1, "random_state": 0} for K in (1, 2)]}
    assert GridSearchCV(FormulaModel("y ~ a | b"), grid, cv=2).fit(data).best_params_["parameters"]["n_experts"] == 2


def test_functions_of_estimators_name_what_a_formula_model_holds(data):
    model = from_formula("y ~ a | b", data, 1)
    functions = [infer, bootstrap, quantile_residuals, FitDisplay.from_estimator, CalibrationDisplay.from_estimator]
    for function in functions:
        with pytest.raises(
            TypeError, match=r"got FormulaModel.* estimator_ with \*model.transform\(data, response=True\)"
        ):
            function(model, data, data["y"])
    with pytest.raises(TypeError, match="got FormulaModel"):
        GateDisplay.from_estimator(model, data)
    for function in (select_n_experts, lasso_path, partial(likelihood_ratio_test, null=1, alternative=2)):
        with pytest.raises(TypeError, match="Expected a MoERegressor or MoEClassifier, got FormulaModel"):
            function(model, data, data["y"])
    with pytest.raises(ValueError, match="y expects None, since the response is a column of the data"):
        model.fit(data, data["y"])
    with pytest.raises(AttributeError, match="FormulaModel has no '_nothing'.$"):
        getattr(model, "_nothing")  # noqa: B009
    with pytest.raises(NotFittedError, match="call fit first"):
        FormulaModel("y ~ a").score(data)
    rows = model.transform(data, response=True)
    np.testing.assert_allclose(infer(model.estimator_, *rows).bse, model.infer(data).bse)
