"""MoEClassifier: against logistic regressions, its methods, labels and weights, and what it says of a fit's end."""

import pickle
import re
import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.api as sm
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from moegate import HierarchicalGate, ModifiedSoftmaxGate, MoEClassifier, Ridge, TopKGate
from moegate.gates import GATES
from moegate.metrics import log_density_score

quick = partial(MoEClassifier, n_init=2, random_state=0)


def standardised(frame):
    return StandardScaler().fit_transform(np.asarray(frame, dtype=float))


def load_fair():
    """An affair or none, n = 6366 (Fair 1978)."""
    data = sm.datasets.fair.load_pandas().data
    return standardised(data[["rate_marriage", "yrs_married", "religious"]]), (data["affairs"] > 0).to_numpy()


def load_anes96():
    """Party identification in seven groups, n = 944 (American National Election Study 1996)."""
    data = sm.datasets.anes96.load_pandas().data
    return standardised(data[["logpopul", "selfLR", "age", "educ", "income"]]), data["PID"].astype(int).to_numpy()


LOADERS = {
    "iris": partial(datasets.load_iris, return_X_y=True),
    "wine": partial(datasets.load_wine, return_X_y=True),
    "breast_cancer": partial(datasets.load_breast_cancer, return_X_y=True),
    "fair": load_fair,
    "anes96": load_anes96,
}


def xor(n=400, seed=0, labels=("different", "same")):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, (n, 2))
    return X, np.where(X[:, 0] * X[:, 1] + 0.3 * rng.standard_normal(n) > 0, labels[1], labels[0])


@pytest.fixture(scope="module")
def fitted():
    return quick().fit(*xor())


# one expert -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("alpha", [1e-3, 0.1])
def test_one_expert_is_scikit_learns_logistic_regression(name, alpha):
    X, y = LOADERS[name]()
    moe = MoEClassifier(1, penalty=Ridge(alpha)).fit(X, y)
    M, n = len(moe.classes_), len(y)
    peer = LogisticRegression(C=(2 if M == 2 else 1) / (n * alpha), tol=1e-9, max_iter=10_000, solver="newton-cg")
    peer.fit(standardised(X), y)
    slopes = moe.coef_[0] * X.std(axis=0)
    ours = slopes[1:] - slopes[:1] if M == 2 else slopes
    np.testing.assert_allclose(ours, peer.coef_, rtol=1e-5, atol=1e-5)
    assert moe.certificate_["kind"] == "interior"


@pytest.mark.parametrize("name", ["fair", "anes96"])
def test_one_expert_without_penalty_is_statsmodels_mnlogit(name):
    X, y = LOADERS[name]()
    moe = MoEClassifier(1, penalty=None).fit(X, y)
    peer = sm.MNLogit(y.astype(int), sm.add_constant(X)).fit(method="newton", maxiter=100, disp=False)
    assert moe.loglik_ == pytest.approx(peer.llf, abs=1e-6)
    rows = np.column_stack([moe.intercept_[0], moe.coef_[0]])
    np.testing.assert_allclose((rows - rows[0])[1:], np.asarray(peer.params).T, rtol=1e-5, atol=1e-6)
    assert moe.bic(X, y) == pytest.approx(peer.bic, abs=1e-5) and moe.aic(X, y) == pytest.approx(peer.aic, abs=1e-5)


def test_raw_slopes_are_those_of_raw_columns():
    X, y = datasets.load_iris(return_X_y=True)
    moe = MoEClassifier(1, penalty=Ridge(0.05, standardize=False)).fit(X, y)
    peer = LogisticRegression(C=1 / (150 * 0.05), tol=1e-10, max_iter=10_000).fit(X, y)
    np.testing.assert_allclose(moe.coef_[0], peer.coef_, atol=1e-5)


def test_balanced_classes_weigh_as_in_scikit_learn():
    X, y = LOADERS["breast_cancer"]()
    keep = np.r_[np.flatnonzero(y == 0)[:60], np.flatnonzero(y == 1)]
    X, y = X[keep, :4], y[keep]
    total = len(y)
    moe = MoEClassifier(1, penalty=Ridge(0.1), class_weight="balanced").fit(X, y)
    peer = LogisticRegression(C=2 / (total * 0.1), class_weight="balanced", tol=1e-10, max_iter=10_000)
    weight = moe.class_weight_[y]
    center, scale = np.average(X, axis=0, weights=weight), None
    scale = np.sqrt(np.average((X - center) ** 2, axis=0, weights=weight))
    peer.fit((X - center) / scale, y)
    np.testing.assert_allclose((moe.coef_[0, 1] - moe.coef_[0, 0]) * scale, peer.coef_[0], rtol=1e-5, atol=1e-5)


# methods --------------------------------------------------------------------------------------------------------------


def test_probabilities_are_the_mixture_of_the_experts(fitted):
    X, y = xor()
    proba = fitted.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    mixed = np.einsum("nk,nkm->nm", fitted.predict_gate(X), fitted.predict_experts(X))
    np.testing.assert_allclose(proba, mixed, rtol=1e-10)
    scores = np.einsum("kmd,nd->nkm", fitted.coef_, X) + fitted.intercept_
    by_hand = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_experts(X), by_hand, rtol=1e-9)
    np.testing.assert_allclose(fitted.predict_log_proba(X), np.log(proba), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(fitted.predict(X), fitted.classes_[proba.argmax(axis=1)])
    assert fitted.score(X, y) > 0.85


def test_log_probabilities_of_labels_and_their_mean(fitted):
    X, y = xor()
    log_proba = fitted.predict_log_proba(X)
    code = np.searchsorted(fitted.classes_, y)
    np.testing.assert_allclose(fitted.score_samples(X, y), log_proba[np.arange(len(y)), code], rtol=1e-10)
    assert fitted.score_samples(X, y).sum() == pytest.approx(fitted.loglik_, rel=1e-10)
    expected = np.sum(np.exp(log_proba) * log_proba, axis=1)
    np.testing.assert_allclose(fitted.score_samples(X), expected, rtol=1e-9)
    assert log_density_score(fitted, X, y) == pytest.approx(fitted.loglik_ / len(y), rel=1e-10)


def test_responsibilities_follow_from_bayes(fitted):
    X, y = xor()
    code = np.searchsorted(fitted.classes_, y)
    joint = fitted.predict_gate(X) * fitted.predict_experts(X)[np.arange(len(y)), :, code]
    resp = fitted.responsibilities(X, y)
    np.testing.assert_allclose(resp, joint / joint.sum(axis=1, keepdims=True), rtol=1e-9)


def test_decision_function_is_the_log_odds_or_the_log_probabilities(fitted):
    X, _ = xor()
    log_proba = fitted.predict_log_proba(X)
    np.testing.assert_allclose(fitted.decision_function(X), log_proba[:, 1] - log_proba[:, 0], rtol=1e-12)
    iris = quick(1).fit(*datasets.load_iris(return_X_y=True))
    X, _ = datasets.load_iris(return_X_y=True)
    np.testing.assert_array_equal(iris.decision_function(X), iris.predict_log_proba(X))


def test_samples_have_the_classes_frequencies(fitted):
    X = np.repeat([[1.0, 1.0], [1.0, -1.0]], 20_000, axis=0)
    drawn = fitted.sample(X, random_state=1)
    assert set(drawn) <= set(fitted.classes_)
    for at in (slice(0, 20_000), slice(20_000, None)):
        share, p = np.mean(drawn[at] == "same"), fitted.predict_proba(X[at][:1])[0, 1]
        assert abs(share - p) < 4.5 * np.sqrt(p * (1 - p) / 20_000)
    np.testing.assert_array_equal(drawn, fitted.sample(X, random_state=1))


def test_coefficients_are_centred_over_classes():
    moe = quick(n_experts=2).fit(*datasets.load_iris(return_X_y=True))
    assert moe.coef_.shape == (2, 3, 4) and moe.intercept_.shape == (2, 3)
    np.testing.assert_allclose(moe.coef_.sum(axis=1), 0, atol=1e-9)


def test_pickle_and_columns(fitted):
    X, y = xor()
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.predict_proba(X), fitted.predict_proba(X))
    frame = pd.DataFrame(X, columns=["a", "b"])
    moe = quick(expert_features=["a"], gate_features=["b"]).fit(frame, pd.Series(y))
    assert not moe.coef_[..., 1].any() and not moe.gate_coef_[:, 0].any() and moe.score(frame, y) > 0.85


def test_grid_search_over_penalty_and_experts():
    X, y = xor(200)
    grid = {"n_experts": [1, 2], "penalty__alpha": [1e-3, 1e-2]}
    search = GridSearchCV(MoEClassifier(penalty=Ridge(), n_init=1, random_state=0), grid, scoring="neg_log_loss", cv=3)
    assert search.fit(X, y).best_params_["n_experts"] == 2


# labels and weights ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [("no", "yes"), (3, 7), (False, True), (-1.0, 1.0), ("b", "a")])
def test_labels_of_every_kind(labels):
    X, y = xor(200, labels=labels)
    moe = quick().fit(X, y)
    assert moe.classes_.tolist() == sorted(labels) and moe.predict(X).dtype == np.asarray(y).dtype
    assert moe.score(X, y) > 0.85


@pytest.mark.parametrize("K", [1, 2])
def test_a_permutation_of_the_labels_permutes_the_answer(K):
    X, y = datasets.load_iris(return_X_y=True)
    order = np.array([2, 0, 1])
    one, other = (quick(K, penalty=Ridge(0.01)).fit(X, labels) for labels in (y, order[y]))
    assert other.objective_ == pytest.approx(one.objective_, abs=1e-7)
    np.testing.assert_allclose(other.predict_proba(X)[:, order], one.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(other.coef_[:, order], one.coef_, atol=1e-4 * np.abs(one.coef_).max())
    np.testing.assert_array_equal(other.predict(X), order[one.predict(X)])


def test_weights_are_repeated_rows_and_class_weights_are_weights():
    X, y = xor(120)
    weight = np.arange(120) % 3
    weighted = quick().fit(X, y, sample_weight=weight)
    repeated = quick().fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.theta_, repeated.theta_, rtol=1e-6)
    by_class = quick(class_weight={"same": 3.0, "different": 1.0}).fit(X, y)
    by_row = quick().fit(X, y, sample_weight=np.where(y == "same", 3.0, 1.0))
    np.testing.assert_allclose(by_class.theta_, by_row.theta_, rtol=1e-6)
    assert by_class.likelihood(X, y).value(by_class.theta_) == pytest.approx(by_class.loglik_, rel=1e-10)


def refuses(message, X, y, **parameters):
    with pytest.raises(ValueError, match=re.compile(message, re.S)):
        weight = parameters.pop("sample_weight", None)
        quick(**parameters).fit(X, y, sample_weight=weight)


def test_bad_labels_and_weights_are_told():
    X, y = xor(30)
    refuses("y has one class only, 'a', in .*: a classification needs at least two", X, ["a"] * 30)
    refuses("n_experts=31 experts need at least as many rows, got n_samples=30", X, y, n_experts=31)
    refuses("leaves no row of class 'same'.*drop the rows", X, y, sample_weight=(y == "different").astype(float))
    refuses("class_weight expects finite numbers > 0", X, y, class_weight={"same": 0.0})
    refuses("class_weight expects None, a dict by label", X, y, class_weight="even")
    refuses(
        "experts expects one of .'multinomial'., or .*got 'gaussian'. Classes are for MoEClassifier",
        X,
        y,
        experts="gaussian",
    )
    refuses("Unknown label type: continuous", X, X[:, 0])
    refuses("NaN", X, np.where(X[:, 0] > 0, np.nan, 1.0))
    refuses("penalty expects None", X, y, penalty=3)


def test_unseen_labels_are_told(fitted):
    X, y = xor(30)
    for method in (fitted.score_samples, fitted.responsibilities, fitted.bic, fitted.likelihood):
        with pytest.raises(ValueError, match="y expects the labels of the fit, 'different', 'same', got 'other'"):
            method(X, np.where(np.arange(30) == 3, "other", y))
        with pytest.raises(ValueError, match="y expects the labels of the fit"):
            method(X, np.arange(30))


def test_exposure_is_for_counts(fitted):
    X, y = xor(30)
    with pytest.raises(ValueError, match="exposure is for Poisson experts"):
        fitted.score_samples(X, y, exposure=np.ones(30))


# gates and ends of a fit ----------------------------------------------------------------------------------------------

SPECS = {name: spec() for name, spec in GATES.items() if name != "top_k"} | {
    "top 2": TopKGate(2),
    "laplace tree": HierarchicalGate(root="laplace", branches=(1, 2)),
}


@pytest.mark.parametrize("gate", SPECS)
def test_every_gate_classifies(gate):
    X, y = xor(300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moe = quick(3, gate=SPECS[gate], penalty=Ridge(1e-2)).fit(X, y)
        one = quick(1, penalty=Ridge(1e-2)).fit(X, y)
    assert moe.converged_ and moe.objective_ > one.objective_ + 20
    assert np.all(np.diff(moe.objective_history_) >= -1e-9 * abs(moe.objective_))


def test_separable_classes_diverge_without_a_penalty_and_not_with_it():
    X, y = datasets.load_iris(return_X_y=True)
    X, y = X[:100], y[:100]
    with pytest.warns(ConvergenceWarning, match="coefficients of expert 0 have not: they grow without end.*penalty"):
        free = quick(1, penalty=None).fit(X, y)
    assert free.certificate_["kind"] == "limit" and free.certificate_["experts_diverged"] == (0,)
    assert free.loglik_ > -1e-6 and free.converged_
    held = quick(1).fit(X, y)
    assert held.certificate_["kind"] == "interior" and np.abs(held.coef_).max() < 10


def test_a_class_that_an_expert_has_not_diverges_alone():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1))
    y = np.where(X[:, 0] > 1.2, 2, rng.integers(0, 2, 200))
    with pytest.warns(ConvergenceWarning, match="expert 0 have not"):
        moe = quick(1, penalty=None).fit(X, y)
    assert moe.certificate_["kind"] == "limit" and moe.certificate_["decrement"] < 1e-8
    assert moe.certificate_["min_eigenvalue"] > 0.5  # of what does not diverge


def test_experts_of_one_constant_are_flat_and_named():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 1)), rng.integers(0, 5, 300)
    with pytest.warns(ConvergenceWarning, match="flat at its maximum.*expert 0, 1 can change together.*not identified"):
        moe = quick(2, penalty=None, gate_features=[], expert_features=[]).fit(X, y)
    assert moe.certificate_["kind"] == "flat" and abs(moe.certificate_["min_eigenvalue"]) < 1e-8
    shares = np.bincount(y) / 300
    np.testing.assert_allclose(moe.predict_proba(X[:1])[0], shares, atol=1e-6)


def draw_m3(n, seed, gate, experts):
    """Benchmark truths of three classes: gate (intercept, slope), experts' (intercept, slope) of two classes."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, n)
    expert = (rng.random(n) > 1 / (1 + np.exp(-gate[0] - gate[1] * x))).astype(int)
    rows = np.concatenate([np.array(experts, dtype=float), np.zeros((2, 1, 2))], axis=1)[expert]
    scores = rows[..., 0] + rows[..., 1] * x[:, None]
    return x[:, None], np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)


M3 = {
    "M3": ((1, 3), [[(4, -3.5), (-4, 3)], [(-4, -3), (3, 3.5)]]),
    "M3c": ((-0.5, -3.5), [[(1, 0), (-0.5, 0)], [(-2.5, 1.5), (3.5, -3)]]),
}


@pytest.mark.parametrize("name", M3)
@pytest.mark.parametrize("seed", range(2))
def test_cold_starts_reach_the_truth_of_the_benchmarks(name, seed):
    gate, experts = M3[name]
    X, y = draw_m3(20_000, seed, gate, experts)
    moe = MoEClassifier(2, penalty=None, random_state=seed).fit(X, y)
    rows = np.concatenate([np.array(experts, dtype=float), np.zeros((2, 1, 2))], axis=1)
    theta = np.concatenate([[gate[1], gate[0]], (rows[:, :2, ::-1]).ravel()])
    ratio = 2 * (moe.loglik_ - moe.likelihood(X, y).value(theta))
    assert moe.certificate_["kind"] == "interior" and 0 <= ratio < 35.6  # chi-square of 10: once in 10,000


def test_a_vanishing_expert_with_the_modified_gate():
    X, y = draw_m3(5_000, 0, *M3["M3c"])
    moe = MoEClassifier(2, gate=ModifiedSoftmaxGate(), penalty=None, random_state=0).fit(X, y)
    assert moe.certificate_["kind"] == "interior"
    constant = np.ptp(moe.predict_experts(np.array([[-2.0], [2.0]])), axis=0).max(axis=1)
    assert constant.min() < 0.2 < constant.max()


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical, pl.Enum(["a", "b"])])
def test_labels_of_polars(kind):
    X, y = pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0] * 10}), pl.Series(["a", "b", "b", "a"] * 10, dtype=kind)
    model = MoEClassifier(n_init=1, random_state=0).fit(X, y)
    assert model.classes_.tolist() == ["a", "b"] and model.score(X, y) == 1
    with pytest.raises(ValueError, match="y expects a label in every row, got none in row 1"):
        model.fit(X, pl.Series(["a", None] * 20, dtype=kind))


def test_labels_of_several_kinds_are_refused():
    with pytest.raises(ValueError, match="y expects labels of one kind, got int, str; write all as text"):
        MoEClassifier().fit(np.arange(4.0)[:, None], np.array(["a", 1, "b", 1], dtype=object))
