"""The strength of a lasso by cross-validation and criteria, and what `infer` says of a refit."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import Lasso as SklearnLasso
from sklearn.model_selection import KFold
from sklearn.utils.estimator_checks import parametrize_with_checks

from moegate import Lasso, MoEClassifierCV, MoERegressor, MoERegressorCV, infer, lasso_path

FAILING = {"check_fit2d_1feature": "the response of ten rows is constant outside a fold"}
QUICK = {"n_init": 1, "alphas": 3, "random_state": 0}


@pytest.mark.filterwarnings("ignore")  # the checks fit toy data on which a mixture is not identified
@parametrize_with_checks(
    [MoERegressorCV(1, cv=2, **QUICK), MoEClassifierCV(1, criterion="bic", **QUICK)],
    expected_failed_checks=lambda estimator: FAILING if estimator.criterion == "cv" else {},
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((240, 8))
    first = rng.random(240) < 1 / (1 + np.exp(-2 * X[:, 1]))
    return X, np.where(first, 2 + 1.5 * X[:, 0], -2 - 1.5 * X[:, 2]) + 0.5 * rng.standard_normal(240)


@pytest.fixture(scope="module")
def relaxed(data):
    return MoERegressorCV(2, criterion="relaxed_bic", alphas=8, n_init=2, random_state=0).fit(*data)


def test_scores_are_those_of_fits_without_the_fold(data):
    """One expert: the log-density of scikit-learn's lasso at alpha times the fitted deviation."""
    X, y = data
    folds = KFold(3, shuffle=True, random_state=1)
    moe = MoERegressorCV(1, alphas=[0.5, 0.1, 0.02], cv=folds).fit(X, y)
    for f, (train, test) in enumerate(folds.split(X)):
        Z = (X - X[train].mean(axis=0)) / X[train].std(axis=0)
        for i, alpha in enumerate((0.5, 0.1, 0.02)):
            one = MoERegressor(1, penalty=Lasso(alpha)).fit(X[train], y[train])
            peer = SklearnLasso(alpha * one.sigma_[0], tol=1e-12).fit(Z[train], y[train])
            z = (y[test] - peer.predict(Z[test])) / one.sigma_[0]
            expected = np.mean(-0.5 * z**2 - np.log(one.sigma_[0]) - 0.5 * np.log(2 * np.pi))
            assert moe.cv_scores_[i, f] == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(moe.cv_mean_, moe.cv_scores_.mean(axis=1))
    np.testing.assert_allclose(moe.cv_error_, moe.cv_scores_.std(axis=1, ddof=1) / np.sqrt(3))
    assert moe.alpha_ == moe.alphas_[np.argmax(moe.cv_mean_)] and moe.path_.alphas is moe.alphas_


def test_the_fit_is_that_of_the_strength_chosen(data):
    X, y = data
    moe = MoERegressorCV(2, alphas=5, cv=3, n_init=2, random_state=0).fit(X, y)
    alone = MoERegressor(2, penalty=Lasso(moe.alpha_), n_init=2, random_state=0).fit(X, y)
    np.testing.assert_allclose(moe.coef_, alone.coef_, atol=1e-4)
    np.testing.assert_allclose(moe.predict(X), alone.predict(X), atol=1e-3)
    assert moe.objective_ >= alone.objective_ - 1e-6 and not hasattr(moe, "free_")
    np.testing.assert_array_equal(moe.best_estimator_.theta_, moe.theta_)
    two = clone(moe).set_params(n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(two.cv_scores_, moe.cv_scores_)
    assert pickle.loads(pickle.dumps(moe)).score(X, y) == moe.score(X, y)


def test_a_criterion_needs_no_folds(data, relaxed):
    X, y = data
    assert relaxed.alpha_ == relaxed.path_.alphas[relaxed.path_.best()] and not hasattr(relaxed, "cv_scores_")
    assert relaxed.dof_ == relaxed.free_.shape[1] == 5 + np.count_nonzero(relaxed.coef_) + 1
    again = clone(relaxed).set_params(criterion="bic").fit(pd.DataFrame(X).rename(columns="c{}".format), y)
    assert again.alpha_ == again.path_.alphas[again.path_.best("bic")] and list(again.feature_names_in_)[0] == "c0"
    again.set_params(criterion="cv", cv=2, alphas=[0.1, 0.05]).fit(X, y)
    assert not hasattr(again, "feature_names_in_") and again.cv_scores_.shape == (2, 2)


def test_weights_are_repeated_rows_and_exposure_is_passed_on(data):
    X, y = data
    weight = np.arange(240) % 3
    given = {"criterion": "relaxed_bic", "alphas": 4, "n_init": 1, "random_state": 0}
    weighted = MoERegressorCV(1, **given).fit(X, y, weight)
    repeated = MoERegressorCV(1, **given).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.alphas_, repeated.alphas_)
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-6)
    folds = [(np.flatnonzero(weight != 2), np.flatnonzero(weight == 2)), (np.arange(120), np.arange(120, 240))]
    scored = MoERegressorCV(1, alphas=[0.1], cv=folds).fit(X, y, weight)
    alone = MoERegressor(1, penalty=Lasso(0.1)).fit(X, y, np.where(weight == 2, 0, weight))
    held = alone.likelihood(X, y, np.where(weight == 2, weight, 0))
    assert scored.cv_scores_[0, 0] == pytest.approx(held.value(alone.theta_) / held.total_weight, abs=1e-8)
    rng = np.random.default_rng(0)
    exposure = rng.uniform(1, 5, 240)
    counts = rng.poisson(exposure * np.exp(0.5 * X[:, 0]))
    moe = MoERegressorCV(1, experts="poisson", alphas=[0.05, 0.01], cv=2, random_state=0).fit(X, counts, None, exposure)
    assert moe.coef_[0, 0] == pytest.approx(0.5, abs=0.15) and np.all(np.isfinite(moe.cv_scores_))


def test_classes(data):
    X, y = data
    labels = np.array(["low", "middle", "high"])[np.digitize(y, [-1, 1])]
    moe = MoEClassifierCV(1, alphas=4, cv=3, class_weight="balanced", random_state=0).fit(X, labels)
    assert moe.predict_proba(X).shape == (240, 3) and moe.best_estimator_.score(X, labels) == moe.score(X, labels)
    labels[:3] = "rare"
    with pytest.raises(ValueError, match="every class outside each fold"):
        MoEClassifierCV(1, alphas=2, cv=[(np.arange(3, 240), np.arange(3))] * 2).fit(X, labels)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"criterion": "aic"}, "criterion expects"),
        ({"alphas": 0}, "alphas expects an integer"),
        ({"alphas": [0.1, np.nan]}, "alphas expects a list"),
        ({"alphas": []}, "alphas expects a list"),
        ({"penalty": "ridge"}, "MoERegressorCV expects a penalty .*'lasso'.*, got 'ridge'; .* GridSearchCV"),
        ({"penalty": None}, "MoERegressorCV expects a penalty .* got None"),
        ({"cv": [(np.arange(200), np.arange(200, 240))]}, "two folds or more"),
    ],
)
def test_refusals(data, given, message):
    with pytest.raises(ValueError, match=message):
        MoERegressorCV(1, **({"alphas": [0.1]} | given)).fit(*data)


# errors after selection ---------------------------------------------------------------------------------------------


def test_errors_of_a_refit_are_those_of_its_columns_and_warn(data):
    """One expert: ordinary least squares on the columns that are left."""
    X, y = data
    path = lasso_path(MoERegressor(1, penalty=Lasso()), X, y, alphas=[0.1])
    moe = path.estimator(0)
    used = np.flatnonzero(moe.coef_[0])
    assert 0 < len(used) < 8
    plain = MoERegressor(1, expert_features=used, gate_features=[]).fit(X, y)
    with pytest.warns(UserWarning, match="after selection"):
        mine = infer(moe, X, y)
    theirs = infer(plain, X, y)
    for name in theirs.names:
        assert mine.bse[name] == pytest.approx(theirs.bse[name], rel=1e-5)


def test_zeros_of_a_refit_are_held(data, relaxed):
    X, y = data
    with pytest.warns(UserWarning, match="not valid"):
        result = infer(relaxed, X, y)
    zero = result.values == 0
    assert zero.any() and result.held.tolist() == zero.tolist()
    assert result.bse[zero].isna().all() and (result.bse[~zero] > 0).all()
    step = 1e-5  # along each free coordinate, by differences of the score
    scaled = relaxed.likelihood(X, y)
    basis = np.linalg.solve(scaled.transform, relaxed.free_)
    rows = [scaled.value_and_score(relaxed.theta_ + s * step * e)[1] @ basis for e in basis.T for s in (1, -1)]
    hessian = np.array(rows[::2]) - np.array(rows[1::2])
    cov = basis @ np.linalg.inv(-hessian / (2 * step)) @ basis.T
    np.testing.assert_allclose(result.cov_theta, cov, atol=1e-4 * np.abs(cov).max())
    text = str(result.summary())
    assert "WARNING" in text and "held" in text and "after selection" in text.replace("\n", " ")
    assert np.isnan(result.fewer.fewer_bic)


def test_the_order_of_experts_keeps_what_was_free(data, relaxed):
    X, y = data
    moe = pickle.loads(pickle.dumps(relaxed)).permute_experts([1, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        one, other = infer(relaxed, X, y), infer(moe, X, y)
    assert other.bse["expert[1].sigma"] == pytest.approx(one.bse["expert[0].sigma"], rel=1e-6)


def test_a_fit_under_the_penalty_is_refused_with_the_remedy(data):
    X, y = data
    with pytest.raises(ValueError, match=r"without a penalty.*selected.*LassoPath.estimator"):
        infer(MoERegressor(1, penalty=Lasso(0.1)).fit(X, y), X, y)
