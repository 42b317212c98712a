"""What must not matter to a fit: units, order of rows, how a repeated row is written, order of experts, n_jobs."""

from functools import partial

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from moegate import MoERegressor

fit_of = partial(MoERegressor, n_init=2, random_state=0)


def simulate(n=300):
    rng = np.random.default_rng(4)
    X = rng.uniform(-2, 2, (n, 2))
    k = (X @ [[2.0, 0.0, -2.0], [0.0, 1.0, 0.0]] + rng.gumbel(size=(n, 3))).argmax(axis=1)
    means = X @ [[1.0, -1.0, 0.0], [0.0, 0.5, 2.0]] + [0.0, 3.0, -4.0]
    return X, means[np.arange(n), k] + np.array([0.3, 0.6, 1.0])[k] * rng.standard_normal(n), 3


def engel():
    data = sm.datasets.engel.load_pandas().data
    return data[["income"]].to_numpy(), data["foodexp"].to_numpy(), 2


def grunfeld(columns=("value", "capital"), K=2):
    data = sm.datasets.grunfeld.load_pandas().data
    return data[list(columns)].to_numpy(float), data["invest"].to_numpy(float), K


def diabetes():
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    return X[["bmi", "bp", "s5"]].to_numpy(), y.to_numpy(), 2


def short(model):
    """Where the short runs ended, by the number of their start: the same search, not only the same end."""
    return model.init_results_.query("stage == 'short'").sort_values("start").loglik.to_numpy()


class Case:
    """One data set, its fit, and the comparison of another fit with it."""

    def __init__(self, X, y, K):
        self.X, self.y, self.K = X, y, K
        self.model = fit_of(K).fit(X, y)
        assert self.model.certificate_["kind"] == "interior"

    def fit(self, X=None, y=None, weight=None, **options):
        return fit_of(self.K, **options).fit(self.X if X is None else X, self.y if y is None else y, weight)

    def same(self, other, X=None, a=1.0, b=0.0, copies=1.0):
        """The other fit, at X, is this one with its response as a y + b and its rows counted so many times."""
        model, X, n = self.model, self.X if X is None else X, len(self.y)
        assert other.loglik_ == pytest.approx(copies * (model.loglik_ - n * np.log(abs(a))), abs=1e-6 * max(1, copies))
        size = 1e-6 * abs(a) * np.std(self.y)
        np.testing.assert_allclose(other.predict(X), a * model.predict(self.X) + b, atol=size)
        np.testing.assert_allclose(other.predict_std(X), abs(a) * model.predict_std(self.X), atol=size)
        np.testing.assert_allclose(other.predict_gate(X), model.predict_gate(self.X), atol=1e-6)  # and their order
        np.testing.assert_allclose(other.predict_experts(X), a * model.predict_experts(self.X) + b, atol=10 * size)
        np.testing.assert_allclose(other.sigma_, abs(a) * model.sigma_, rtol=1e-6)
        quantiles = self.model.predict_quantile(self.X, 0.9 if a > 0 else 0.1)
        np.testing.assert_allclose(other.predict_quantile(X, 0.9), a * quantiles + b, atol=10 * size)


@pytest.fixture(scope="module", params=[engel, grunfeld, diabetes, simulate], ids=lambda make: make.__name__)
def case(request):
    return Case(*request.param())


@pytest.mark.parametrize(("a", "b"), [(1e-3, 0), (1e6, -3e6), (1, 1e4), (-7, 2)], ids=str)
def test_units_of_the_response(case, a, b):
    case.same(case.fit(y=a * case.y + b), a=a, b=b)


@pytest.mark.parametrize(("a", "b"), [(1e-3, 0), (1e6, 0), (1, 5e3), (-7, 2)], ids=str)
def test_units_of_the_columns(case, a, b):
    a, b = np.resize([a, 1 / a], case.X.shape[1]), np.resize([b, 0], case.X.shape[1])
    X = a * case.X + b * np.std(case.X, axis=0) * a
    other = case.fit(X)
    case.same(other, X)
    np.testing.assert_allclose(other.coef_ * a, case.model.coef_, rtol=1e-5)
    np.testing.assert_allclose(other.gate_coef_ * a, case.model.gate_coef_, rtol=1e-4, atol=1e-9)


def test_raw_and_standardised_columns(case):
    X = (case.X - case.X.mean(axis=0)) / case.X.std(axis=0)
    y = (case.y - case.y.mean()) / case.y.std()
    case.same(case.fit(X, y), X, a=1 / case.y.std(), b=-case.y.mean() / case.y.std())


@pytest.mark.parametrize("options", [{"n_experts": 1}, {"gate_features": []}, {"expert_features": []}], ids=str)
def test_units_of_columns_that_only_one_part_uses(case, options):
    raw, moved = (
        MoERegressor(**options, n_init=1, random_state=0).fit(a * case.X + b, case.y) for a, b in ((1, 0), (1e3, -1e4))
    )
    assert moved.loglik_ == pytest.approx(raw.loglik_, abs=1e-6)


def test_order_of_the_rows(case):
    order = np.random.default_rng(0).permutation(len(case.y))
    model = case.fit(case.X[order], case.y[order])
    case.same(model)
    np.testing.assert_allclose(short(model), short(case.model), rtol=1e-8)


def test_order_of_the_columns(case):
    X = case.X[:, ::-1]
    other = case.fit(X)
    case.same(other, X)
    np.testing.assert_allclose(other.coef_[:, ::-1], case.model.coef_, rtol=1e-5)


def test_weight_two_is_the_row_twice(case):
    doubled, weighted = (
        case.fit(np.tile(case.X, (2, 1)), np.tile(case.y, 2)),
        case.fit(weight=np.full(len(case.y), 2.0)),
    )
    for model in (doubled, weighted):
        case.same(model, copies=2)
    np.testing.assert_allclose(doubled.theta_, weighted.theta_, rtol=1e-6)


def test_whole_weights_are_repeated_rows(case):
    weight = 1 + np.arange(len(case.y)) % 3
    weighted = case.fit(weight=weight)
    repeated = case.fit(np.repeat(case.X, weight, axis=0), np.repeat(case.y, weight))
    assert weighted.loglik_ == pytest.approx(repeated.loglik_, abs=1e-7)
    np.testing.assert_allclose(weighted.theta_, repeated.theta_, rtol=1e-6)
    np.testing.assert_allclose(short(weighted), short(repeated), rtol=1e-8)
    for criterion in ("aic", "bic", "icl"):
        expected = getattr(repeated, criterion)(np.repeat(case.X, weight, axis=0), np.repeat(case.y, weight))
        assert getattr(weighted, criterion)(case.X, case.y, weight) == pytest.approx(expected, abs=1e-6)


def test_weight_zero_is_no_row(case):
    kept = np.arange(len(case.y)) % 5 != 2
    X, y = case.X.copy(), case.y.copy()
    X[~kept], y[~kept] = -1e6, 1e6  # whatever it says
    weighted, dropped = case.fit(X, y, kept.astype(float)), case.fit(X[kept], y[kept])
    assert weighted.loglik_ == pytest.approx(dropped.loglik_, abs=1e-9)
    np.testing.assert_allclose(weighted.theta_, dropped.theta_, rtol=1e-8)
    np.testing.assert_allclose(short(weighted), short(dropped), rtol=1e-8)


def test_experts_stand_in_canonical_order(case):
    model = case.model
    at_mean = model.predict_gate(case.X.mean(axis=0, keepdims=True))[0]
    assert np.all(np.diff(at_mean) < 0)
    R = model.responsibilities(case.X, case.y)
    for order in (np.roll(np.arange(case.K), 1), np.arange(case.K)[::-1]):
        case.same(case.fit(init=R[:, order]))


def test_a_parallel_fit_is_the_serial_one(case):
    model = case.fit(n_jobs=2)
    np.testing.assert_array_equal(model.theta_, case.model.theta_)
    assert model.loglik_ == case.model.loglik_ and model.certificate_ == case.model.certificate_
    table, serial = model.init_results_, case.model.init_results_
    assert table.drop(columns="history").equals(serial.drop(columns="history"))
    for a, b in zip(table.history, serial.history, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("gate_features", "K"), [([0, 1], 2), (None, 3)])
def test_a_raw_calendar_year(gate_features, K):
    X, y, _ = grunfeld(("value", "capital", "year"))
    since = X - [0, 0, 1935]
    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    fits = [fit_of(K, gate_features=gate_features).fit(Z, y) for Z in (X, since, standard)]
    for fit, Z in zip(fits[1:], (since, standard), strict=True):
        assert fit.loglik_ == pytest.approx(fits[0].loglik_, abs=1e-6)
        np.testing.assert_allclose(fit.predict(Z), fits[0].predict(X), atol=1e-5 * y.std())


def test_a_raw_calendar_year_at_a_limit():
    X, y, _ = grunfeld(("value", "capital", "year"))
    fits = []
    for Z in (X, (X - X.mean(axis=0)) / X.std(axis=0)):
        with pytest.warns(ConvergenceWarning, match="the gate has not"):
            fits.append(fit_of(2).fit(Z, y))
        assert fits[-1].certificate_["kind"] == "limit"
    assert fits[1].loglik_ == pytest.approx(fits[0].loglik_, abs=1e-6)
