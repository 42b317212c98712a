"""What a fit answers to bad data and bad parameters: expected, got, remedy; never a traceback from linear algebra."""

import re
import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.api as sm
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from moegate import MoERegressor, Ridge, bootstrap, dendrogram, infer, select_n_experts
from moegate.diagnostics import quantile_residuals
from moegate.estimators.report import ending_message
from moegate.plotting import FitDisplay, GateDisplay
from moegate.runs import Run
from moegate.solvers import UNCERTIFIED

quick = partial(MoERegressor, n_init=1, random_state=0)


def simulate(n=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, (n, 2))
    left = rng.uniform(size=n) > 1 / (1 + np.exp(-2 * X[:, 0]))
    return X, np.where(left, X[:, 1] - 2 * X[:, 0], 1 + X[:, 0]) + 0.4 * rng.standard_normal(n)


X, Y = simulate()
ONES = np.ones(len(Y))


def changed(array, at, value):
    out = array.copy()
    out[at] = value
    return out


def refuses(message, X=X, y=Y, sample_weight=None, **options):
    with pytest.raises(ValueError, match=message):
        quick(**options).fit(X, y, sample_weight)


def warned(*args, **options):
    """A fit and its convergence warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = quick(**options).fit(*args)
    assert all(issubclass(w.category, ConvergenceWarning) for w in caught)
    return model, [str(w.message) for w in caught]


# data ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_missing_and_infinite_values_point_to_imputers(value):
    what = "NaN" if np.isnan(value) else "infinity"
    refuses(rf"(?s)Input X contains {what}.*SimpleImputer.*drop the rows", X=changed(X, (3, 1), value))
    refuses(rf"(?s)Input y contains {what}.*SimpleImputer.*drop the rows", y=changed(Y, 3, value))
    refuses(rf"(?s)Input X contains {what}.*SimpleImputer", X=pd.DataFrame(changed(X, (3, 1), value)))


def test_missing_values_at_predict_point_to_imputers():
    model = quick().fit(X, Y)
    for call in (lambda: model.predict([[np.nan, 0]]), lambda: model.score_samples(X, changed(Y, 0, np.nan))):
        with pytest.raises(ValueError, match=r"(?s)contains NaN.*SimpleImputer"):
            call()


def test_a_null_of_polars_is_a_missing_value():
    refuses(r"(?s)Input X contains NaN.*SimpleImputer", X=pl.DataFrame({"a": [None, *X[1:, 0]], "b": X[:, 1]}))


@pytest.mark.parametrize("none", [None, pd.NA, np.nan])
def test_a_response_without_a_number_is_refused(none):
    y = changed(Y.astype(object), 3, none)
    for given in (y, pd.Series(y), list(y)):
        refuses("y expects a number in every row, got none in row 3; drop the rows without", y=given)
    assert quick().fit(X, Y.astype(object)).loglik_ == quick().fit(X, Y).loglik_


def test_a_query_of_polars_is_to_be_collected():
    refuses(r"X expects rows, got a LazyFrame of a query; collect\(\) it first", X=pl.DataFrame(X).lazy())


TEXT = ["low", "high"] * (len(Y) // 2)


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"a": X[:, 0], "b": TEXT}),
        pd.DataFrame({"a": X[:, 0], "b": pd.Categorical(TEXT)}),
        pl.DataFrame({"a": X[:, 0], "b": TEXT}),
        np.array([TEXT, TEXT]).T,
    ],
    ids=["pandas", "categorical", "polars", "numpy"],
)
def test_text_columns_point_to_encoders(data):
    refuses(r"(?s)could not convert string to float: .*(low|high).*OneHotEncoder", X=data)


@pytest.mark.parametrize("y", [TEXT, np.array(TEXT, dtype=object), pd.Series(TEXT)], ids=["list", "object", "pandas"])
def test_a_text_response_is_refused(y):
    refuses(r"(?s)(could not convert|[Uu]nable to convert).*Encode", y=y)


@pytest.mark.parametrize("X", [np.empty((30, 0)), pd.DataFrame(index=range(30))])
def test_no_columns_point_to_mixtures_without_columns(X):
    with pytest.raises(
        ValueError, match=r"(?s)0 feature.*constant column with gate_features=\[\], expert_features=\[\]"
    ):
        quick().fit(X, np.arange(30.0))


def test_shapes_of_X_and_y():
    refuses(r"(?s)Expected 2D array, got 1D array instead.*reshape\(-1, 1\)", X=X[:, 0])
    refuses(r"y should be a 1d array, got an array of shape \(200, 2\)", y=np.column_stack([Y, Y]))
    refuses(r"inconsistent numbers of samples: \[200, 199\]", y=Y[:-1])
    refuses(r"requires y to be passed", y=None)
    refuses(r"0 feature\(s\) \(shape=\(200, 0\)\) while a minimum of 1 is required", X=X[:, :0])
    refuses(r"0 sample\(s\)", X=X[:0], y=Y[:0])


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (changed(ONES, 7, -2), r"sample_weight expects non-negative numbers, got -2 in row 7"),
        (0 * ONES, r"sample_weight is zero in every row.*give some rows a positive weight"),
        (ONES[1:], r"sample_weight expects shape \(200,\), one per row of X, got \(199,\)"),
        (np.column_stack([ONES, ONES]), r"sample_weight expects shape \(200,\), one per row of X, got \(200, 2\)"),
        (changed(ONES, 0, np.nan), r"Input sample_weight contains NaN"),
        (changed(ONES, 0, np.inf), r"Input sample_weight contains infinity"),
    ],
    ids=["negative", "zero", "short", "2-d", "nan", "inf"],
)
def test_weights(weight, message):
    refuses(message, sample_weight=weight)


def test_a_constant_response_is_refused():
    refuses(r"y is constant \(3\): a regression needs a response that varies; check the column", y=3 * ONES)
    refuses(r"y is constant \(3e\+08\)", y=3e8 + 1e-6 * Y)


def test_a_response_that_varies_only_where_the_weight_is_zero_is_constant():
    refuses(r"y is constant", y=changed(Y, slice(100), 1.0), sample_weight=changed(ONES, slice(100, None), 0))


def test_more_experts_than_rows_are_refused():
    refuses(
        r"n_experts=5 experts need at least as many rows, got n_samples=4; lower n_experts", X[:4], Y[:4], n_experts=5
    )


def test_rows_of_no_weight_do_not_count_as_rows():
    refuses(
        r"n_experts=5 experts need at least as many rows", sample_weight=changed(ONES, slice(4, None), 0), n_experts=5
    )


# parameters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["n_experts", "n_init", "max_iter"])
@pytest.mark.parametrize(
    ("value", "got"),
    [
        (0, "got 0"),
        (-1, "got -1"),
        (2.5, "got 2.5 of type float"),
        ("a", "got 'a' of type str"),
        (True, "got True of type bool"),
        (None, "got None of type NoneType"),
    ],
)
def test_counts(name, value, got):
    refuses(rf"{name} expects an integer >= 1, {got}", **{name: value})


def test_numpy_integers_are_counts():
    assert quick(n_experts=np.int64(2)).fit(X, Y).coef_.shape == (2, 2)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1, "a finite number > 0, got -1"),
        (0, "a finite number > 0, got 0"),
        (np.nan, "a finite number > 0, got nan"),
        (np.inf, "a finite number > 0, got inf"),
        ("a", "a number > 0, got 'a' of type str"),
        (True, "a number > 0, got True of type bool"),
    ],
)
def test_tolerances(value, message):
    refuses(f"tol expects {message}", tol=value)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("gate", ["softmax", r"SoftmaxGate\(\)"]),
        ("experts", ["gaussian"]),
        ("solver", ["auto", "newton", "lbfgs", "em", "squarem", r"Newton\(\)"]),
        (
            "init",
            ["auto", "regressions", "random", "dirichlet", "hyperplane", "kmeans", "quantile", "responsibilities"],
        ),
    ],
)
def test_unknown_names_list_the_known_ones(name, known):
    refuses(rf"{name} expects one of .*{'.*'.join(sorted(known, key=known.index))}.*got 'nope'", **{name: "nope"})


@pytest.mark.parametrize("name", ["gate", "experts", "solver"])
@pytest.mark.parametrize("value", [None, 3, MoERegressor, ["softmax"]])
def test_objects_of_the_wrong_kind_are_named(name, value):
    refuses(rf"{name} expects one of .*, got ", **{name: value})


def test_no_start_is_named():
    refuses(r"init expects one of \['auto', .*got None; leave it out", init=None)


@pytest.mark.parametrize("data", [X, pd.DataFrame(X, columns=["a", "b"])])
def test_a_slice_of_columns_is_one_of_names_or_of_numbers(data):
    if hasattr(data, "columns"):
        for given, used in [(slice("b", "b"), [1]), (slice("a", None), [0, 1]), (slice(None, "a"), [0])]:
            moe = quick(1, expert_features=given).fit(data, Y)
            assert np.flatnonzero(moe.coef_[0]).tolist() == used
        refuses("expert_features names the column 'c', which is not in X", X=data, expert_features=slice("a", "c"))
    else:
        refuses("gate_features names the column 'b', which is not in X; X has no", gate_features=slice("b", "c"))
    refuses(r"gate_features expects a slice .*got slice\(0.5", X=data, gate_features=slice(0.5, 1))


def test_penalties_are_named():
    refuses(r"penalty expects None, one of \[.*'lasso', 'ridge'\], or an object .* got 'l1'", penalty="l1")
    refuses(r"Ridge alpha expects a finite number >= 0, got -1", penalty=Ridge(-1))
    refuses(r"Ridge gate_alpha expects a finite number >= 0, got 'a'", penalty=Ridge(gate_alpha="a"))


@pytest.mark.parametrize("name", ["gate_features", "expert_features"])
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["a", "a"], r"expects each column once, got \['a', 'a'\]; remove the repeated columns"),
        (["a", 0], r"expects each column once, got \['a', 0\]"),
        ([1, -1], r"expects each column once, got \[1, -1\]"),
        (lambda X: [0, 0], r"expects each column once"),
        (["c"], r"names the column 'c', which is not in X; the columns are \['a', 'b'\]"),
        ([2], r"asks for column 2, but X has 2 columns, numbered from 0"),
        ([-3], r"asks for column -3, but X has 2 columns"),
        ([0.0], r"expects column indices or names, got 0.0 of type float"),
        ([True], r"as a mask expects 2 entries, one per column of X, got 1"),
    ],
    ids=["twice", "name and index", "negative", "callable", "unknown", "beyond", "before", "float", "mask"],
)
def test_selected_columns(name, columns, message):
    refuses(rf"{name} {message}", X=pd.DataFrame(X, columns=["a", "b"]), **{name: columns})


def test_names_need_a_frame():
    refuses(r"gate_features names the column 'a', which is not in X; X has no column names", gate_features=["a"])


@pytest.mark.parametrize("shape", [(200, 3), (199, 2), (2, 2, 2), ()], ids=str)
def test_responsibilities_of_the_wrong_shape(shape):
    refuses(rf"init expects responsibilities of shape \(200, 2\).*got {re.escape(str(shape))}", init=np.ones(shape))


@pytest.mark.parametrize("value", [1.0, -1.0, np.nan])
def test_responsibilities_that_are_no_probabilities(value):
    refuses(r"init expects responsibilities that are non-negative and sum to one", init=np.full((200, 2), value))


def test_parameters_of_the_wrong_length():
    refuses(r"init expects parameters of shape \(11,\) for this model and these columns, got \(5,\)", init=np.ones(5))


@pytest.mark.parametrize("init", [np.full(11, np.nan), -np.ones(11), np.zeros(11)], ids=["nan", "negative", "zero"])
def test_parameters_outside_the_model(init):
    refuses(r"(init expects|at the init parameters)", init=init)


@pytest.mark.parametrize("init", [MoERegressor(), MoERegressor, ["a", "b"]], ids=["unfitted", "class", "text"])
def test_what_is_no_start(init):
    refuses(r"init expects .*fitted .*got", init=init)


def test_levels_and_coverages():
    model = quick(n_experts=1).fit(X, Y)
    for q in (0, 1, -0.1, [0.5, 1.0], [], np.nan):
        with pytest.raises(ValueError, match="q expects one or more levels strictly between 0 and 1, got"):
            model.predict_quantile(X, q)
    for coverage in (0, 1.0, 95):
        with pytest.raises(ValueError, match="coverage expects a probability strictly between 0 and 1, got"):
            model.predict_interval(X, coverage)


# redundant columns --------------------------------------------------------------------------------------------------

NOISE = np.random.default_rng(5).standard_normal(len(Y))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (3 * ONES, "Column 'z' is constant"),
        (0 * ONES, "Column 'z' is constant"),
        (1e9 * ONES, "Column 'z' is constant"),
        (X[:, 0], "Column 'z' is a linear combination of column 'a'"),
        (X[:, 0] * (1 + 1e-12 * NOISE), "Column 'z' is a linear combination of column 'a'"),
        (5e6 + 3 * X[:, 1], "Column 'z' is a linear combination of column 'b'"),
        (X.sum(axis=1), "Column 'z' is a linear combination of column 'a', column 'b'"),
    ],
    ids=["constant", "zero", "large constant", "copy", "copy to 1e-12", "affine", "sum"],
)
def test_a_redundant_column_is_reported_and_left_out(column, message):
    model, texts = warned(pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "z": column}), Y)
    assert texts and all(text.startswith(message) and "fixed at zero" in text for text in texts)
    without = quick().fit(X, Y)
    assert model.loglik_ == pytest.approx(without.loglik_, abs=1e-9)
    np.testing.assert_allclose(model.coef_, np.column_stack([without.coef_, [0, 0]]), rtol=1e-8)
    np.testing.assert_allclose(model.gate_coef_, np.column_stack([without.gate_coef_, [0, 0]]), rtol=1e-7)


def test_only_the_component_that_uses_a_redundant_column_reports_it():
    data = np.column_stack([X, X[:, 0]])
    model = quick(gate_features=[0, 1], expert_features=[1, 2]).fit(data, Y)  # no warning: each uses it once
    without = quick().fit(X, Y)
    assert model.loglik_ == pytest.approx(without.loglik_, abs=1e-8)


def test_a_column_constant_among_rows_with_weight_is_constant():
    column, weight = np.arange(200.0) < 100, np.arange(200) < 100
    model, texts = warned(np.column_stack([X, column]), Y, weight.astype(float))
    assert texts and all(text.startswith("Column 2 is constant") for text in texts)
    assert model.loglik_ == pytest.approx(quick().fit(X[:100], Y[:100]).loglik_, abs=1e-9)


def test_no_column_left_is_a_mixture_without_covariates():
    model, texts = warned(np.ones((200, 2)), Y)
    assert texts and model.certificate_["kind"] == "interior"
    np.testing.assert_array_equal(model.gate_coef_, np.zeros((2, 2)))


# too little, or too much structure ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "K"), [(4, 2), (9, 2), (10, 2), (14, 3), (17, 3)])
def test_fewer_rows_than_parameters_answer_with_a_remedy(n, K):
    model, texts = warned(X[:n], Y[:n], n_experts=K)
    assert any("ower n_experts" in text for text in texts)
    assert np.all(np.isfinite(model.predict(X))) and np.isfinite(model.loglik_)


def test_too_few_rows_answer_with_one_regression():
    model, texts = warned(X[:9], Y[:9])
    assert texts == [
        "2 experts with 3 coefficients each need at least 10 distinct rows, got 9: every fit has a degenerate expert. "
        "All experts were set to the fit of one. Lower n_experts, or pass fewer columns (expert_features)."
    ]
    assert not model.converged_ and model.certificate_["kind"] == "none"
    assert model.loglik_ == pytest.approx(quick(n_experts=1).fit(X[:9], Y[:9]).loglik_, abs=1e-8)


def test_more_columns_than_rows_answer_with_a_remedy():
    data = np.random.default_rng(0).standard_normal((10, 20))
    model, texts = warned(data, Y[:10], n_experts=1)
    assert sum("linear combination" in text for text in texts) >= 1 and any(
        "exact linear function" in text for text in texts
    )
    np.testing.assert_allclose(model.predict(data), Y[:10], rtol=1e-5)


def test_a_separable_gate_is_a_limit_and_says_so():
    rng = np.random.default_rng(1)
    y = np.where(X[:, 0] > 0, 5 + X[:, 1], X[:, 1] - 5) + 0.3 * rng.standard_normal(200)
    model, (text,) = warned(X, y)
    assert model.certificate_["kind"] == "limit" and model.certificate_["gate_diverged"] and model.converged_
    assert "The likelihood has converged but the gate has not: the slopes of expert" in text
    assert "fewer gate_features" in text
    sides = [quick(n_experts=1).fit(X[side], y[side]).loglik_ for side in (X[:, 0] > 0, X[:, 0] <= 0)]
    assert model.loglik_ == pytest.approx(sum(sides), abs=1e-6)  # the supremum: each side its own regression
    np.testing.assert_allclose(model.predict_gate(X).max(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("y", [Y > 1, (Y > 1).astype(int)])
def test_a_degenerate_fit_to_two_values_names_the_classifier(y):
    assert "two values only: MoEClassifier is for classes." in warned(X, y)[1][0]
    assert "MoEClassifier" not in "".join(warned(X, changed(Y, slice(150), 1.0))[1])


def test_an_exact_linear_relation_is_reported():
    model, (text,) = warned(X, 1 + X[:, 0], n_experts=1)
    assert "exact linear function" in text and "expert 0" in text
    assert not model.converged_ and model.certificate_["at_boundary"]
    np.testing.assert_allclose(model.predict(X), 1 + X[:, 0], atol=1e-7)


def spike(X, y, value, K):
    """The fit whose expert 0 takes the tied responses and whose others share the rest."""
    labels = np.where(y == value, 0, 1 + np.arange(len(y)) % (K - 1))
    return warned(X, y, n_experts=K, init=np.eye(K)[labels])[0]


def test_a_spike_on_tied_responses_never_beats_a_sound_fit():
    tied = changed(Y, slice(60), 0.0)
    model = quick(n_init=2).fit(X, tied)
    assert model.certificate_["kind"] == "interior" and model.sigma_.min() > 0.1
    assert spike(X, tied, 0, 2).loglik_ > model.loglik_ + 100


def test_sound_starts_are_found_among_many_spikes():
    tied = changed(Y, slice(30), 0.0)
    model = quick(n_experts=3, n_init=3).fit(X, tied)
    assert model.certificate_["kind"] == "interior" and model.sigma_.min() > 0.1


def test_tied_visits_of_randhie():
    data = sm.datasets.randhie.load_pandas().data[::40]
    X, y = data[["lncoins", "disea"]], data["mdvis"]
    model = quick(n_experts=3, n_init=2).fit(X, y)
    assert model.converged_ and model.sigma_.min() > 0.05 * np.std(y) and np.mean(y == 0) > 0.3
    assert spike(X, y, 0, 3).loglik_ > model.loglik_ + 100


def test_spikes_without_a_sound_rival_are_named():
    y = (NOISE > 0.5).astype(float)
    model, (text,) = warned(X, y, expert_features=[])
    for k in (0, 1):
        rows = np.sum(y == round(model.intercept_[k]))
        assert f"expert {k} rests on {rows:.1f} rows" in text
    assert "Degenerate fit" in text and "tied responses" in text and "ower n_experts" in text
    assert not model.converged_ and model.certificate_["kind"] == "none" and model.certificate_["at_boundary"]


@pytest.mark.parametrize(
    ("more", "max_iter", "remedies"),
    [
        (
            {"decrement": 3e-8, "min_eigenvalue": 0.1},
            500,
            "Raise tol (now 1e-08), since steps gain no more, raise n_init",
        ),
        ({"decrement": 3e-8, "min_eigenvalue": 0.1}, 2, "Raise max_iter (now 2), raise n_init (now 10) or lower n_exp"),
        ({"min_eigenvalue": -0.1}, 500, "Raise n_init (now 10) or lower n_experts."),
        ({"min_eigenvalue": 0.1, "kkt": 1e-3}, 500, "Raise n_init (now 10), raise the penalty's alpha or lower n_exp"),
    ],
)
def test_the_remedy_of_an_unfinished_fit_is_that_of_its_cause(more, max_iter, remedies):
    run = Run(0, "random", "long", 9, np.zeros(1), 0.0, np.zeros(2), certificate=UNCERTIFIED | more)
    likelihood = quick(n_experts=1).fit(X, Y).likelihood(X, Y)
    assert remedies in ending_message(run, likelihood, MoERegressor(max_iter=max_iter))


@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs", "em", "squarem"])
def test_too_few_iterations_are_reported(solver):
    start = np.random.default_rng(0).dirichlet([1, 1], len(Y))
    model, texts = warned(X, Y, init=start, solver=solver, max_iter=1)
    assert "Not converged after" in texts[0] and "Raise max_iter (now 1)" in texts[0]
    assert not model.converged_ and model.certificate_["kind"] == "none"
    assert model.likelihood(X, Y).value(model.theta_) == pytest.approx(model.loglik_, rel=1e-10)


# certified numbers --------------------------------------------------------------------------------------------------

# NIST StRD, data set Longley: const, GNPDEFL, GNP, UNEMP, ARMED, POP, YEAR
LONGLEY = [
    -3482258.63459582,
    15.0618722713733,
    -0.358191792925910e-01,
    -2.02022980381683,
    -1.03322686717359,
    -0.511041056535807e-01,
    1829.15146461355,
]


def test_longley_to_seven_digits():
    data = sm.datasets.longley.load_pandas()
    model = MoERegressor(n_experts=1).fit(data.exog, data.endog)
    np.testing.assert_allclose([model.intercept_[0], *model.coef_[0]], LONGLEY, rtol=1e-7)
    assert model.sigma_[0] * np.sqrt(16 / 9) == pytest.approx(304.854073561965, rel=1e-7)


def test_criteria_warn_of_weights_that_are_no_frequencies():
    model = quick(n_experts=1).fit(X, Y)
    with pytest.warns(UserWarning, match="scale the weights to a mean of one"):
        model.bic(X, Y, np.full(len(Y), 1 / len(Y)))


@pytest.mark.parametrize("factor", [1e160, 1e-200])
def test_units_beyond_double_precision(factor):
    with pytest.raises(ValueError, match="change its unit"):
        quick().fit(X, Y * factor)


def test_pipelines_and_searches_are_not_taken_for_a_fit():
    pipe = make_pipeline(StandardScaler(), quick()).fit(X, Y)
    for function in (infer, bootstrap, dendrogram, quantile_residuals, FitDisplay.from_estimator):
        with pytest.raises(TypeError, match=r"got Pipeline; .* its last step, pipe\[-1\], with the columns"):
            function(pipe, X, Y)
    with pytest.raises(TypeError, match="got Pipeline"):
        GateDisplay.from_estimator(pipe, X)
    with pytest.raises(ValueError, match="select_n_experts expects MoERegressor or MoEClassifier, no pipeline"):
        select_n_experts(pipe, X, Y)
    assert infer(pipe[-1], pipe[:-1].transform(X), Y).nobs == len(Y)


def test_warnings_name_the_line_that_fits():
    wide = np.random.default_rng(0).standard_normal((30, 40))
    with pytest.warns() as caught:
        quick().fit(wide, Y[:30])
        quick(gate="laplace").fit(1e4 * X, Y)
    assert {w.filename for w in caught} == {__file__} and len(caught) >= 3
    assert "Column 29 is a linear combination of column 0, column 1, column 2, column 3, column 4 and 24 more;" in str(
        caught[0].message
    )


@pytest.mark.parametrize("noise", [0, 1e-5, 1e-3])
def test_exact_relations_that_do_not_count_are_told_of(noise):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2, 200)).T
    y = np.where(X[:, 1] > 0, 2 * X[:, 0] + 1, -X[:, 0]) + noise * rng.normal(size=200)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit = MoERegressor(2, random_state=0).fit(X, y)
    told = [str(w.message) for w in caught if "put aside: expert 0 fits 113 rows exactly" in str(w.message)]
    assert len(told) == (noise < 1e-4) and (fit.score(X, y) < 0.9) == (noise < 1e-4)
    assert all("add noise of 0.001 standard deviations" in text for text in told)


def test_spikes_on_a_few_rows_are_put_aside_without_a_word():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((150, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = MoERegressor(2, random_state=0).fit(X, X[:, 0] + rng.standard_normal(150))
    table = fit.init_results_
    assert table.loc[table["degenerate"], "loglik"].max() > fit.loglik_ + 30
