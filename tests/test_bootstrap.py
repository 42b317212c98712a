"""The bootstrap and the likelihood ratio test: reproducible, aligned, honest about what failed."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import chi2
from sklearn.exceptions import ConvergenceWarning

from moegate import HierarchicalGate, MoEClassifier, MoERegressor, bootstrap, infer, likelihood_ratio_test
from moegate.bootstrap import matched


def simulated(n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.uniform(-2, 2, (n, 2)), columns=["a", "b"])
    first = rng.random(n) < 1 / (1 + np.exp(-1.5 * X["a"] - 0.3))
    return X, np.where(first, 2 + X["a"], -2 - X["a"]) + 0.5 * rng.standard_normal(n)


@pytest.fixture(scope="module")
def fit():
    X, y = simulated()
    return MoERegressor(2, n_init=3, random_state=0).fit(X, y), X, y


@pytest.mark.parametrize("kind", ["parametric", "rows"])
def test_standard_errors_are_near_those_of_the_information(fit, kind):
    """60 refits: a standard deviation has a relative error of 9%."""
    model, X, y = fit
    ratio = bootstrap(model, X, y, 60, kind, random_state=0).bse / infer(model, X, y).bse
    assert 0.9 < np.median(ratio) < 1.15 and np.all((ratio > 0.6) & (ratio < 1.6))


def test_result_does_not_depend_on_workers_and_leaves_the_estimator_alone(fit):
    model, X, y = fit
    before = joblib.hash(vars(model))
    one = bootstrap(model, X, y, 4, "rows", random_state=3)
    two = bootstrap(model, X, y, 4, "rows", random_state=3, n_jobs=2)
    np.testing.assert_array_equal(one.thetas, two.thetas)
    assert joblib.hash(vars(model)) == before
    other = bootstrap(model, X, y, 4, "rows", random_state=4)
    assert not np.allclose(one.thetas, other.thetas)


def test_experts_are_brought_into_the_order_of_the_fit():
    rng = np.random.default_rng(0)
    R = rng.dirichlet([0.3, 0.3, 0.3], 200)
    order, doubt = matched(R, R[:, [2, 0, 1]])
    np.testing.assert_array_equal(R[:, [2, 0, 1]][:, order], R)
    assert not doubt
    blurred = np.column_stack([R[:, 0], np.full(200, 0.5) * (1 - R[:, 0]), np.full(200, 0.5) * (1 - R[:, 0])])
    assert matched(R, blurred)[1]


def test_refits_are_not_mixed_up(fit):
    """The experts' intercepts are four apart and ten standard errors: a swap would show as a spread of four."""
    model, X, y = fit
    result = bootstrap(model, X, y, 30, "rows", random_state=0)
    assert result.bse[["expert[0].intercept", "expert[1].intercept"]].max() < 0.5
    assert not result.ambiguous.any() and result.failed == 0
    assert "0 with an ambiguous order" in repr(result)


def test_weights_are_repeated_rows(fit):
    _, X, y = fit
    weight = np.random.default_rng(0).integers(0, 3, len(y))
    model = MoERegressor(1).fit(X, y, sample_weight=weight)
    result = bootstrap(model, X, y, 100, sample_weight=weight, random_state=0)
    ratio = result.bse / infer(model, X, y, sample_weight=weight).bse
    assert np.all((ratio > 0.75) & (ratio < 1.25))
    halved = MoERegressor(1).fit(X, y, sample_weight=0.5 * weight)
    whole = bootstrap(model, X, y, 100, "rows", sample_weight=weight, random_state=0)
    half = bootstrap(halved, X, y, 100, "rows", sample_weight=0.5 * weight, random_state=0)
    assert np.all((half.bse / whole.bse > 1.1) & (half.bse / whole.bse < 1.8))  # half the rows: sqrt 2
    with pytest.raises(ValueError, match="whole numbers"):
        bootstrap(halved, X, y, 5, sample_weight=0.5 * weight)


def test_limits(fit):
    model, X, y = fit
    result = bootstrap(model, X, y, 40, random_state=0)
    percentile, basic = result.conf_int(0.1), result.conf_int(0.1, "basic")
    low, high = np.quantile(result.replicates, [0.05, 0.95], axis=0)
    np.testing.assert_allclose(percentile.to_numpy(), np.column_stack([low, high]))
    np.testing.assert_allclose(basic["lower"] + percentile["upper"], 2 * result.values)
    assert list(result.to_frame().index) == list(infer(model, X, y).names)


def test_classes_counts_and_trees():
    X, y = simulated(200)
    labels = np.where(y > 0, "high", "low")
    model = MoEClassifier(1).fit(X, labels)
    assert "expert[0].low.a" in bootstrap(model, X, labels, 5, random_state=0).names
    counts = np.random.default_rng(0).poisson(np.exp(0.5 * X["a"]) * 2.0)
    model = MoERegressor(1, experts="poisson").fit(X, counts, exposure=np.full(200, 2.0))
    result = bootstrap(model, X, counts, 100, exposure=np.full(200, 2.0), random_state=0)
    ratio = result.bse / infer(model, X, counts, exposure=np.full(200, 2.0)).bse
    assert np.all((ratio > 0.75) & (ratio < 1.3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = MoERegressor(3, gate=HierarchicalGate(branches=(2, 1)), n_init=2, random_state=0).fit(X, y)
    assert np.isfinite(bootstrap(tree, X, y, 3, random_state=0).thetas).all()


def test_rare_classes_are_counted_as_failed():
    X, y = simulated(60)
    labels = np.array(["rare", *np.where(y[1:] > 0, "high", "low")])
    model = MoEClassifier(1).fit(X, labels)
    result = bootstrap(model, X, labels, 30, "rows", random_state=0)
    assert 0 < result.failed < 30 and len(result.thetas) == 30 - result.failed


def test_classes_that_a_density_does_not_give_are_counted_as_failed():
    X, y = simulated(300)
    labels = np.where(np.arange(300) < 2, "rare", np.where(y > 0, "high", "low"))
    result = bootstrap(MoEClassifier(1).fit(X, labels), X, labels, 30, random_state=0)
    assert 0 < result.failed < 30 and len(result.thetas) == 30 - result.failed
    assert all("'rare'" in reason and "were drawn" in reason for reason in result.failures)


def test_degenerate_refits_are_flagged():
    """One expert more than the truth, and rows drawn twice: one refit in 40 ends with a spike."""
    X, y = simulated()
    model = MoERegressor(3, n_init=5, random_state=0).fit(X, y)
    result = bootstrap(model, X, y, 40, "rows", random_state=0)
    sigma = result.replicates[:, [name.endswith("sigma") for name in result.names]].min(axis=1)
    np.testing.assert_array_equal(result.degenerate, sigma < 1e-3)
    assert result.degenerate.any() and f"{result.degenerate.sum()} degenerate" in repr(result)


def test_ambiguous_order_is_flagged_where_experts_are_equal():
    rng = np.random.default_rng(0)
    X, y = rng.uniform(-2, 2, (200, 1)), rng.standard_normal(200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MoERegressor(2, gate_features=[], n_init=3, random_state=0).fit(X, y)
        result = bootstrap(model, X, y, 20, random_state=0)
    assert result.ambiguous.any() and not result.ambiguous.all()


def test_borders_of_a_gate_warn():
    X, y = simulated()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MoERegressor(3, gate="sparsemax", n_init=2, random_state=0).fit(X, y)
    assert model.certificate_["kind"] == "border"
    with pytest.warns(ConvergenceWarning, match="does not hold for where its borders lie"):
        bootstrap(model, X, y, 2, random_state=0)


def test_bootstrap_refusals(fit):
    model, X, y = fit
    with pytest.raises(ValueError, match="rows and weights of the fit"):
        bootstrap(model, X, y + 1, 5)
    with pytest.raises(ValueError, match="sample_weight expects shape"):
        bootstrap(model, X, y, 5, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match="exposure is for Poisson"):
        bootstrap(model, X, y, 5, exposure=np.ones(len(y)))
    with pytest.raises(ValueError, match="reference expects an expert"):
        bootstrap(model, X, y, 5, reference=2)
    with pytest.raises(ValueError, match="kind expects"):
        bootstrap(model, X, y, 5, "pairs")
    with pytest.raises(ValueError, match="n_boot expects"):
        bootstrap(model, X, y, 1)


def test_class_weights_are_not_applied_twice(fit):
    _, X, y = fit
    labels = y > 0
    model = MoEClassifier(1, class_weight={False: 1.0, True: 5.0}).fit(X, labels)
    with pytest.raises(ValueError, match=r'class_weight=\{.*use kind="rows"'):
        bootstrap(model, X, labels, 5)
    limits = bootstrap(model, X, labels, 40, "rows", random_state=0).conf_int().loc["expert[0].True.intercept"]
    assert limits["lower"] < model.intercept_[0, 1] - model.intercept_[0, 0] < limits["upper"]
    weighted = MoEClassifier(n_init=1, penalty=None, class_weight="balanced", random_state=0)
    with pytest.raises(ValueError, match="class_weight=None"):
        likelihood_ratio_test(weighted, X, y > 1, {"expert_features": []}, {"expert_features": ["a"]})


def test_ratio_of_columns_is_that_of_nested_regressions(fit):
    _, X, y = fit
    test = likelihood_ratio_test(MoERegressor(1), X, y, {"expert_features": ["a"]}, {"expert_features": ["a", "b"]})
    small, large = sm.OLS(y, sm.add_constant(X[["a"]])).fit(), sm.OLS(y, sm.add_constant(X)).fit()
    assert test.method == "chi2" and test.df == 1
    assert test.statistic == pytest.approx(2 * (large.llf - small.llf), rel=1e-6)
    assert test.pvalue == pytest.approx(chi2.sf(test.statistic, 1))


def test_ratio_of_gate_columns_agrees_with_wald(fit):
    model, X, y = fit
    test = likelihood_ratio_test(MoERegressor(2, n_init=3, random_state=0), X, y, {"gate_features": ["b"]}, {})
    assert test.method == "chi2" and test.df == 1 and test.pvalue < 1e-10
    noise = likelihood_ratio_test(MoERegressor(2, n_init=3, random_state=0), X, y, {"gate_features": ["a"]}, {})
    assert noise.statistic == pytest.approx(infer(model, X, y).zvalues["gate[0].b"] ** 2, rel=0.1, abs=0.1)


def test_number_of_experts_by_bootstrap(fit):
    _, X, y = fit
    moe = MoERegressor(n_init=2, random_state=0)
    test = likelihood_ratio_test(moe, X, y, 1, 2, n_boot=9, random_state=0)
    assert test.method == "bootstrap" and test.pvalue == pytest.approx(0.1) and len(test.simulated) == 9
    assert test.statistic > test.simulated.max()
    again = likelihood_ratio_test(moe, X, y, 1, 2, n_boot=9, random_state=0, n_jobs=2)
    np.testing.assert_array_equal(test.simulated, again.simulated)
    assert not hasattr(moe, "theta_")


def test_searches_are_reproducible_where_the_estimator_has_no_seed():
    """Three experts on the data of one: without a seed of the searches these end in different maxima."""
    rng = np.random.default_rng(1)
    X = rng.uniform(-2, 2, (200, 1))
    y = X[:, 0] + rng.standard_normal(200)
    one, same, other = (
        likelihood_ratio_test(MoERegressor(n_init=1), X, y, 1, 3, n_boot=3, random_state=seed) for seed in (0, 0, 1)
    )
    assert one.statistic == same.statistic
    np.testing.assert_array_equal(one.simulated, same.simulated)
    assert not np.allclose(one.simulated, other.simulated)


def test_data_that_cannot_be_fitted_count_as_large():
    X, _ = simulated(300)
    labels = np.where(np.arange(300) == 0, "rare", "common")
    moe = MoEClassifier(penalty=None, n_init=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test = likelihood_ratio_test(moe, X[["a"]], labels, 1, 2, n_boot=6, random_state=0)
    large = np.sum(test.simulated >= test.statistic)
    assert 0 < test.failed < 6 and test.pvalue == pytest.approx((1 + test.failed + large) / 7)


def test_chi_square_only_where_it_holds():
    X, y = simulated()
    moe = MoERegressor(2, n_init=2, random_state=0)
    test = likelihood_ratio_test(moe, X, y, {"gate": "softmax", "gate_features": []}, {"gate": "softmax"})
    assert test.method == "chi2" and test.df == 2
    apart = np.where(X["a"] > 0, 5.0, -5.0) + 0.1 * np.random.default_rng(0).standard_normal(len(y))
    cases = [
        ("differ in gate", y, {"gate": "cosine", "gate_features": ["a"]}, {"gate": "laplace"}),
        ("coefficients at zero", y, {"gate": "laplace", "gate_features": ["a"]}, {"gate": "laplace"}),
        ("coefficients at zero", y, {"expert_features": ["a"], "gate_features": ["b"]}, {"gate_features": ["a"]}),
        ("end at 'limit'", apart, {"gate_features": ["a"]}, {}),
        ("jumps or bends", y, {"gate": "sparsemax", "gate_features": ["a"]}, {"gate": "sparsemax"}),
    ]
    for words, response, null, alternative in cases:
        with pytest.raises(ValueError, match=f'does not hold where.*{words}.*method="bootstrap"'):
            likelihood_ratio_test(moe, X, response, null, alternative, method="chi2")


def test_a_worse_alternative_warns():
    X, y = simulated()
    even = np.random.default_rng(0).dirichlet([50, 50, 50], len(y))
    short = {"n_experts": 3, "max_iter": 1, "solver": "em", "init": even}
    with pytest.warns(ConvergenceWarning) as caught:
        likelihood_ratio_test(MoERegressor(random_state=0), X, y, {"n_experts": 2}, short, n_boot=1)
    words = " ".join(str(warning.message) for warning in caught)
    assert "has not reached a maximum" in words and "smaller likelihood than the null" in words


def test_ratio_refusals(fit):
    _, X, y = fit
    with pytest.raises(ValueError, match="n_boot expects"):
        likelihood_ratio_test(MoERegressor(n_init=1), X, y, 1, 2, n_boot=0)
    with pytest.raises(ValueError, match="null expects a number of experts or a dict"):
        likelihood_ratio_test(MoERegressor(n_init=1), X, y, 1.0, 2)
    with pytest.raises(ValueError, match="chi2.*does not hold between numbers of experts"):
        likelihood_ratio_test(MoERegressor(n_init=1), X, y, 1, 2, method="chi2")
    with pytest.raises(ValueError, match="smaller model"):
        likelihood_ratio_test(MoERegressor(n_init=1), X, y, 2, 1)
    with pytest.raises(ValueError, match="without a penalty"):
        likelihood_ratio_test(MoEClassifier(n_init=1), X, y > 0, 1, 2)
    with pytest.raises(ValueError, match="method expects"):
        likelihood_ratio_test(MoERegressor(n_init=1), X, y, 1, 2, method="f")
