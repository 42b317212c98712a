"""What comes as a dask collection: bad input is named, and what cannot work there says so."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.compose import make_column_selector
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

from moegate import Lasso, MoEClassifier, MoERegressor, from_formula, infer, select_n_experts
from moegate.bootstrap import bootstrap
from moegate.diagnostics import posterior_table, quantile_residuals
from moegate.estimators import collections
from moegate.plotting import FitDisplay

da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
dask = pytest.importorskip("dask")
bag = pytest.importorskip("dask.bag")


@pytest.fixture(scope="module")
def data():
    """Columns (n, 3), responses (n,), weights (n,) with zeros."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (6000, 3))
    first = rng.random(6000) < 1 / (1 + np.exp(-3 * X[:, 0]))
    y = np.where(first, 3 + X[:, 0], -2 * X[:, 0] + X[:, 2]) + 0.5 * rng.standard_normal(6000)
    return X, y, rng.integers(0, 3, 6000).astype(float)


@pytest.fixture(autouse=True)
def nothing_is_small(monkeypatch):
    monkeypatch.setattr(collections, "GATHER_BYTES", 0.0)
    for name in ("START_ROWS", "SUBSAMPLE"):
        monkeypatch.setattr(f"moegate.fitting.{name}", 500)


@pytest.fixture(scope="module")
def fit(data):
    X, y, weight = data
    return MoERegressor(n_init=1, random_state=0).fit(X, y, sample_weight=weight)


def spread(array, rows=1700):
    return da.from_array(array, chunks=(rows, *array.shape[1:]))


def frame(data):
    table = pd.DataFrame(data[0], columns=list("abc")).assign(y=data[1])
    return table, dd.from_pandas(table, npartitions=4)


def fitted(*args, **options):
    return MoERegressor(n_init=1, random_state=0).fit(*args, **options)


# what works -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["observed", "opg", "sandwich"])
@pytest.mark.parametrize("weights", ["frequency", "sampling"])
def test_standard_errors_are_those_in_memory(data, fit, kind, weights):
    if weights == "sampling" and kind != "sandwich":
        pytest.skip("refused")
    expected = infer(fit, *data, kind=kind, weights=weights)
    found = infer(fit, *map(spread, data), kind=kind, weights=weights)
    np.testing.assert_allclose(found.bse, expected.bse, rtol=1e-9)
    assert str(found.summary()) == str(expected.summary())


@pytest.mark.parametrize("criterion", ["bic", "icl"])
def test_the_number_of_experts_is_chosen(data, criterion):
    X, y, _ = (a[:3000] for a in data)
    chosen = select_n_experts(MoERegressor(n_init=1, random_state=0), spread(X), spread(y), (1, 2), criterion=criterion)
    inside = select_n_experts(MoERegressor(n_init=1, random_state=0), X, y, (1, 2), criterion=criterion)
    assert chosen.n_experts == inside.n_experts == 2
    np.testing.assert_allclose(chosen.table[criterion], inside.table[criterion], rtol=1e-9)


def test_one_weight_or_exposure_for_all_rows(data):
    X, y, _ = data
    assert fitted(spread(X), spread(y), sample_weight=2.0).loglik_ == pytest.approx(2 * fitted(X, y).loglik_, rel=1e-9)
    counts = np.random.default_rng(0).poisson(np.exp(np.where(X[:, 1] + y > 1, 2.5, 0.5) + 0.3 * X[:, 0]))
    model = MoERegressor(experts="poisson", n_init=1, random_state=0)
    logliks = [model.fit(X, counts, exposure=2.0).loglik_]
    logliks += [model.fit(*map(spread, (X, counts)), exposure=2.0).loglik_]
    logliks += [model.fit(X, counts, exposure=np.full(6000, 2.0)).loglik_]
    np.testing.assert_allclose(logliks, logliks[0], rtol=1e-9)


def test_scores_without_known_lengths(data, fit):
    X, y, weight = data
    keep = spread(X[:, 0] > -1)
    lazy = spread(X)[keep], spread(y)[keep], spread(weight)[keep]
    inside = [a[X[:, 0] > -1] for a in data]
    assert fit.score(*lazy) == pytest.approx(fit.score(*inside), rel=1e-9)
    labels = np.where(y > 1, "u", "v")
    classes = MoEClassifier(n_init=1, random_state=0).fit(X, labels)
    assert classes.score(spread(X), spread(labels)) == pytest.approx(classes.score(X, labels), rel=1e-12)
    table, lazy = frame(data)
    named = fitted(table[list("abc")], table.y)
    assert named.score(lazy[list("abc")], lazy.y) == pytest.approx(named.score(table[list("abc")], table.y), rel=1e-9)


def test_draws_are_lazy_and_the_same_each_time(data, fit):
    X = spread(data[0])
    lazy = fit.sample(X, random_state=3)
    assert isinstance(lazy, da.Array) and lazy.shape == (6000,)
    with dask.config.set(scheduler="synchronous"):
        drawn = lazy.compute()
    np.testing.assert_array_equal(fit.sample(X, random_state=3).compute(), drawn)
    same = spread(np.zeros((3400, 3)))
    parts = fit.sample(same, random_state=3).compute()
    assert not np.any(parts[:1700] == parts[1700:])  # partitions draw apart
    low, high = fit.predict_interval(data[0], 0.9).T
    assert np.mean((drawn > low) & (drawn < high)) == pytest.approx(0.9, abs=0.02)


def test_partitions_without_rows_have_no_predictions(data):
    table, _ = frame(data)
    lazy = dd.from_pandas(table.sort_values("a").reset_index(drop=True), npartitions=4)
    lazy = lazy[lazy.a > 1.5][list("abc")]
    model = fitted(table[list("abc")], table.y)
    expected = model.predict_experts(table.sort_values("a")[table.sort_values("a").a > 1.5][list("abc")])
    np.testing.assert_allclose(model.predict_experts(lazy).compute(), expected)


def test_columns_chosen_by_a_function(data):
    table, lazy = frame(data)
    model = MoERegressor(n_init=1, random_state=0, gate_features=make_column_selector(pattern="a|b"))
    expected = model.fit(table[list("abc")], table.y).loglik_
    assert model.fit(lazy[list("abc")], lazy.y).loglik_ == pytest.approx(expected, rel=1e-9)
    assert model.gate_coef_[:, 2].tolist() == [0.0, 0.0]


def test_a_response_of_one_column_is_taken(data):
    table, lazy = frame(data)
    expected = fitted(table[list("abc")], table.y)
    for X, y in ((spread(data[0]), spread(data[1])[:, None]), (lazy[list("abc")], lazy[["y"]])):
        with pytest.warns(DataConversionWarning) as caught:
            assert fitted(X, y).loglik_ == pytest.approx(expected.loglik_, rel=1e-9)
        assert len(caught) == 1


# what is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 5999])
def test_bad_values_in_any_partition_are_found(data, at):
    X, y, _ = data
    X = X.copy()
    X[at, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        MoERegressor().fit(spread(X), spread(y))


def test_a_response_that_is_none_or_a_table(data):
    X = spread(data[0])
    with pytest.raises(ValueError, match="y expects one response per row, got None; pass it to fit"):
        MoERegressor().fit(X, None)
    with pytest.raises(ValueError, match=r"y expects shape \(n,\), got 3 columns; pass one of them"):
        MoERegressor().fit(X, X)


def test_lengths_that_differ(data):
    X, y, _ = data
    with pytest.raises(ValueError, match="equal lengths"):
        MoERegressor().fit(spread(X), spread(y[:-1]))
    with pytest.raises(ValueError, match="equal lengths"):
        MoERegressor().fit(spread(X), y[:-1])


def test_responsibilities_do_not_travel(data):
    X, y, _ = data
    with pytest.raises(ValueError, match="responsibilities"):
        MoERegressor(init=np.full((6000, 2), 0.5)).fit(spread(X), spread(y))


def test_redundant_columns_are_named(data):
    X = np.column_stack([data[0], data[0][:, 0] + data[0][:, 1]])
    with pytest.warns(ConvergenceWarning, match="[Cc]olumn 3 is a linear combination of column 0, column 1") as caught:
        model = MoERegressor(n_init=1, random_state=0).fit(spread(X), spread(data[1]))
    assert model.columns_ == (0, 1, 2) and caught[0].filename == __file__


def test_a_bad_row_is_named_with_its_partition(data):
    X, y, weight = data
    weight = weight.copy()
    weight[3500] = -1
    with pytest.raises(ValueError, match=r"got -1 in row 100.\nThis is partition 2"):
        MoERegressor().fit(*map(spread, (X, y, weight)))


@pytest.mark.parametrize("inside", [True, False])
def test_missing_labels(data, inside):
    table, _ = frame(data)
    labels = pd.Series(np.where(data[1] > 1, "u", "v")).astype("string")
    labels[5] = pd.NA
    table = table.assign(label=labels)
    table = table if inside else dd.from_pandas(table, npartitions=3)
    with pytest.raises(ValueError, match="y expects a label in every row, got none in row 5"):
        MoEClassifier().fit(table[["a", "b"]], table.label)


@pytest.mark.parametrize("inside", [True, False])
def test_a_class_of_weight_zero_is_named(data, inside):
    X, y, _ = data
    labels, to = np.digitize(y, [0, 2]), (lambda a: a) if inside else spread
    with pytest.raises(ValueError, match="sample_weight leaves no row of class 2: .* drop the rows of that class"):
        MoEClassifier().fit(to(X), to(labels), sample_weight=to((labels < 2).astype(float)))


@pytest.mark.parametrize("name", ["X", "y", "sample_weight"])
def test_masked_entries(data, name):
    X, y, weight = data
    masked = {"X": X, "y": y, "sample_weight": weight}
    masked[name] = np.ma.masked_greater(masked[name], 1.9)
    with pytest.raises(ValueError, match=f"Input {name} contains masked entries"):
        MoERegressor().fit(**masked)
    whole = np.ma.masked_greater(X, 1e9)
    assert fitted(whole, y).loglik_ == fitted(X, y).loglik_


def test_no_table(data, fit):
    X = data[0]
    others = [(dask.delayed(X), "Delayed"), (bag.from_sequence([1]), "Bag"), (frame(data)[1].a, "Series;")]
    for wrong, got in [(spread(X[:, 0]), "shape"), *others]:
        with pytest.raises(ValueError, match=rf"X expects a dask array of shape \(n, d\) or a dask frame, got {got}"):
            fit.predict(wrong)
    with pytest.raises(TypeError, match="dense data is required"):
        fit.predict(spread(X).map_blocks(sparse.csr_matrix)).compute()


def test_what_needs_memory_says_so(data, fit):
    rows, lazy = tuple(map(spread, data[:2])), frame(data)[1]
    calls = {
        "bootstrap": lambda: bootstrap(fit, *rows, n_boot=2),
        "quantile_residuals": lambda: quantile_residuals(fit, *rows),
        "posterior_table": lambda: posterior_table(fit, *rows),
        "FitDisplay.from_estimator": lambda: FitDisplay.from_estimator(fit, *rows),
        "from_formula": lambda: from_formula("y ~ a | b", lazy),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=f"{name} expects data in memory, got a dask collection"):
            call()


def test_a_lasso_says_that_it_brings_the_rows(data):
    X, y, _ = (a[:500] for a in data)
    model = MoERegressor(penalty=Lasso(0.05), n_init=1, random_state=0)
    with pytest.warns(UserWarning, match="A penalty that selects columns needs all rows in memory: 0 MB"):
        lazy = model.fit(spread(X), spread(y)).loglik_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.fit(X, y).loglik_ == lazy
