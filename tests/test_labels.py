"""The order of experts: permuting changes names only, in every gate and family, and certificates follow."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from test_gates import SPECS, every_gate

from moegate import MoEClassifier, MoERegressor
from moegate.estimators.labels import canonical
from moegate.runs import Run

K = 3


@pytest.fixture(scope="module")
def columns():
    return np.random.default_rng(0).uniform(-2, 2, (150, 2)) * [1.0, 3.0] + [0.0, 1.0]


def fitted(X, y, quick=MoERegressor, **options):
    """A short fit: where it ends does not matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return quick(K, n_init=1, init="kmeans", max_iter=3, random_state=0, **options).fit(X, y)


def possible(model, wanted):
    """The order next to the one wanted that the gate can take."""
    return list(model.model_.gate.scores.order(np.array(wanted), K))


def check(model, X, y, order):
    """Everything by expert moves together, and what does not depend on labels stays."""
    gate, experts, density = model.predict_gate(X), model.predict_experts(X), model.score_samples(X, y)
    resp, value = model.responsibilities(X, y), model.likelihood(X, y).value(model.theta_)
    arrays = {name: getattr(model, name) for name in ("coef_", "intercept_", "sigma_") if hasattr(model, name)}
    assert model.permute_experts(order) is model
    np.testing.assert_allclose(model.predict_gate(X), gate[:, order], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(model.predict_experts(X), experts[:, order], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.responsibilities(X, y), resp[:, order], rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(model.score_samples(X, y), density, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(model.likelihood(X, y).value(model.theta_), value, rtol=1e-11)
    for name, array in arrays.items():
        np.testing.assert_allclose(getattr(model, name), array[order], rtol=1e-9, atol=1e-12)


@every_gate
def test_gates_permute(name, columns):
    y = np.abs(columns[:, 0]) * columns[:, 1] + np.random.default_rng(1).standard_normal(len(columns))
    model = fitted(columns, y, gate=SPECS[name])
    for wanted in ([1, 2, 0], [2, 1, 0]):
        check(model, columns, y, possible(model, wanted))


@every_gate
def test_there_and_back_is_nothing(name, columns):
    y = np.abs(columns[:, 0]) * columns[:, 1] + np.random.default_rng(1).standard_normal(len(columns))
    model = fitted(columns, y, gate=SPECS[name])
    before = {key: np.copy(value) for key, value in vars(model).items() if isinstance(value, np.ndarray)}
    order = possible(model, [1, 2, 0])
    model.permute_experts(order).permute_experts(np.argsort(order))
    for key, value in before.items():
        np.testing.assert_allclose(getattr(model, key), value, rtol=1e-7, atol=1e-9, err_msg=key)


def test_poisson_experts_permute(columns):
    y = np.random.default_rng(1).poisson(np.exp(0.5 * columns[:, 0])).astype(float)
    check(fitted(columns, y, experts="poisson"), columns, y, [2, 0, 1])


def test_classes_permute(columns):
    y = np.array(["a", "b", "c"])[(np.abs(columns) @ [1.0, 1.0]).astype(int) % 3]
    check(fitted(columns, y, MoEClassifier), columns, y, [2, 0, 1])


def test_columns_that_a_part_does_not_use_stay_zero(columns):
    y = columns @ [1.0, -1.0] + np.random.default_rng(1).standard_normal(len(columns))
    model = fitted(columns, y, gate_features=[1], expert_features=[0])
    check(model, columns, y, [1, 2, 0])
    assert not model.gate_coef_[:, 0].any() and model.gate_coef_[:, 1].all()
    assert model.coef_[:, 0].all() and not model.coef_[:, 1].any()


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 1], [1, 2, 3], [0.0, 1.0, 2.0], [[0, 1, 2]], "210"])
def test_orders_that_are_none_are_refused(columns, order):
    model = fitted(columns, columns[:, 0] ** 2)
    with pytest.raises(ValueError, match=r"order expects every expert 0\.\.2 once"):
        model.permute_experts(order)


def test_a_tree_refuses_what_it_cannot_take(columns):
    model = fitted(columns, columns[:, 0] ** 2, gate=SPECS["hierarchical"])
    with pytest.raises(ValueError, match="order expects branches"):
        model.permute_experts([2, 0, 1])


def test_only_fitted_experts_can_be_permuted():
    with pytest.raises(NotFittedError):
        MoERegressor().permute_experts([1, 0])


def test_the_certificate_names_the_same_expert(truths):
    truth = truths["coverage1"]
    likelihood = truth.likelihood(*truth.draw(100, 0))
    wrong = truth.model.permute(truth.theta, [1, 0])  # expert 1 has more of the gate at the mean, and comes first
    run = Run(0, "init", "long", 100, wrong, 0.0, np.array([]))
    run = replace(run, certificate={**run.certificate, "experts_diverged": (0,)})
    first = canonical(likelihood, run)
    again = canonical(likelihood, replace(run, theta=truth.theta))
    moved, stayed = (run.certificate["experts_diverged"] for run in (first, again))
    np.testing.assert_allclose(first.theta, again.theta)
    assert {moved, stayed} == {(0,), (1,)}


def test_permuting_a_fit_renumbers_its_certificate(columns):
    model = fitted(columns, columns[:, 0] ** 2)
    model.certificate_ = {**model.certificate_, "experts_diverged": (0, 2)}
    model.permute_experts([2, 1, 0])
    assert model.certificate_["experts_diverged"] == (0, 2)
    model.permute_experts([1, 0, 2])  # the old 0 is the new 1
    assert model.certificate_["experts_diverged"] == (1, 2)
    model.permute_experts([1, 2, 0])  # the old 1 comes first, the old 2 second
    assert model.certificate_["experts_diverged"] == (0, 1)
