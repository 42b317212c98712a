"""What every gate of the registry must do, one shared test each; particulars are in the files of the gates."""

import pickle

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from test_likelihood import assert_close, differences

from moegate import (
    CosineGate,
    DenseToSparseGate,
    Gate,
    GumbelGate,
    HierarchicalGate,
    ModifiedSoftmaxGate,
    MoERegressor,
    SoftmaxGate,
    TopKGate,
)
from moegate.blocks import Rows, Units
from moegate.experts import Gaussian
from moegate.gates import GATES, Affine, Laplace, Sigmoid, Slopes, Softmax, Sparsemax, Tempered, TopK
from moegate.likelihood import Likelihood
from moegate.model import MixtureOfExperts
from moegate.solvers import EM, LBFGS, SQUAREM, Continuation, Newton

K, D, N = 3, 2, 150
SPECS = {
    **{name: spec() for name, spec in GATES.items() if name != "top_k"},
    "top_k": TopKGate(2),
    "hierarchical": HierarchicalGate(root="laplace", children="softmax", branches=(2, 1)),
    "laplace top_k": Gate(Laplace(), TopK(2)),
    "tempered sigmoid": Gate(Affine(reference=False), Tempered(Sigmoid(), 0.5)),
    "sparse tree": HierarchicalGate(root="sparsemax", children=Gate(Laplace(), Softmax()), branches=(2, 1)),
}
every_gate = pytest.mark.parametrize("name", SPECS)


def target(name, seed=1):
    """A likelihood and a random theta off the kinks, the Laplace norm smoothed so that differences resolve it."""
    rng = np.random.default_rng(seed)
    gate = SPECS[name].build(K).calibrated(np.full(D, 2e3))
    model = MixtureOfExperts(gate, Gaussian(), K, D)
    X, y = rng.uniform(-2, 2, (N, D)), rng.standard_normal(N)
    rows = Rows(X, y, rng.uniform(0.5, 2, N), Units.identity(D))
    coef = rng.normal(size=model.gate_free.shape)
    return Likelihood(model, rows), model.join(coef, np.column_stack([rng.normal(size=(K, D + 1)), np.ones(K)]))


def test_every_gate_of_the_theory_has_a_name():
    names = "softmax top_k dense_to_sparse activation modified_softmax laplace sigmoid cosine sparsemax gumbel"
    assert sorted(GATES) == sorted([*names.split(), "hierarchical"])


@every_gate
def test_probabilities_lie_on_the_simplex(name):
    likelihood, theta = target(name)
    P = np.hstack([np.exp(likelihood.model.log_gate(theta, block)) for block in likelihood.rows])
    assert P.shape == (K, N) and P.min() >= 0
    np.testing.assert_allclose(P.sum(axis=0), 1, atol=1e-9)


@every_gate
def test_score_equals_differences(name):
    likelihood, theta = target(name)
    assert_close(likelihood.value_and_score(theta)[1], differences(likelihood.value, theta), 1e-7)


@every_gate
def test_hessian_equals_differences(name):
    likelihood, theta = target(name)
    expected = differences(lambda t: likelihood.value_and_score(t)[1], theta)
    assert_close(likelihood.value_score_hessian(theta)[2], expected, 1e-7)


@every_gate
def test_information_is_positive_semidefinite(name):
    likelihood, theta = target(name)
    values = np.linalg.eigvalsh(likelihood.information(theta))
    assert values[0] > -1e-9 * values[-1]


@every_gate
@pytest.mark.parametrize("scale", [1e3, 0.0])
def test_extremes_and_ties_give_numbers(name, scale):
    likelihood, theta = target(name)
    model = likelihood.model
    gate, experts = model.split(theta)
    at = model.join(np.sign(gate) * scale, experts)
    with np.errstate(all="raise", under="ignore", divide="ignore"):
        value, score = likelihood.value_and_score(at)
    assert np.isfinite(value) and np.isfinite(score).all()
    assert np.isfinite(likelihood.information(at)).all() and np.isfinite(likelihood.value_score_hessian(at)[2]).all()
    value, following = likelihood.em_step(at)
    assert np.isfinite(following).all()


@every_gate
def test_flat_directions_do_not_change_the_value_and_are_not_counted(name):
    likelihood, theta = target(name)
    flat = likelihood.flat(theta)
    _, score, hessian = likelihood.value_score_hessian(theta)
    np.testing.assert_allclose(flat.T @ flat, np.eye(flat.shape[1]), atol=1e-12)
    np.testing.assert_allclose(flat.T @ score, 0, atol=1e-8 * np.linalg.norm(score))
    assert likelihood.model.dof(theta) == theta.size - flat.shape[1]


@every_gate
def test_a_stack_equals_its_members(name):
    likelihood, theta = target(name)
    thetas = theta + 0.1 * np.random.default_rng(1).standard_normal((3, theta.size))
    values, following = likelihood.em_steps(thetas)
    for at, value, further in zip(thetas, values, following, strict=True):
        expected = likelihood.em_step(at)
        np.testing.assert_allclose(value, expected[0], rtol=1e-11)
        np.testing.assert_allclose(further, expected[1], rtol=1e-6, atol=1e-8)


@every_gate
def test_gates_survive_pickle_and_clone(name):
    spec = SPECS[name]
    built = spec.build(K)
    assert pickle.loads(pickle.dumps(built)) == built
    model = clone(MoERegressor(K, gate=spec))
    assert model.gate.build(K) == built


SAME = {
    "top-K with k = K": (TopKGate(K), SoftmaxGate()),
    "temperature 1": (DenseToSparseGate(1.0), SoftmaxGate()),
    "zero perturbation": (CosineGate(0.0), CosineGate()),
    "one branch": (HierarchicalGate(children="laplace", branches=(K,)), GATES["laplace"]()),
    "a transform that does nothing": (ModifiedSoftmaxGate(np.asarray), SoftmaxGate()),
}


@pytest.mark.parametrize("case", SAME)
def test_special_cases_are_the_simpler_gate(case):
    ends = []
    for spec in SAME[case]:
        model = MixtureOfExperts(spec.build(K), Gaussian(), K, D)
        rng = np.random.default_rng(0)
        rows = Rows(rng.standard_normal((N, D)), rng.standard_normal(N), None, Units.identity(D))
        theta = model.join(rng.normal(size=model.gate_free.shape), np.ones((K, D + 2)))
        ends.append(Likelihood(model, rows).value_score_hessian(theta))
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-7)


def test_a_cold_gumbel_gate_is_nearly_the_softmax():
    S = np.random.default_rng(0).normal(0, 2, (3, 400))
    P = np.exp(GumbelGate(0.05).build(3).link(S))
    np.testing.assert_allclose(P, softmax(S, axis=0), atol=1e-2)


def test_the_gumbel_gate_is_the_mean_of_a_million_draws():
    rng, S = np.random.default_rng(1), np.array([[1.0], [0.3], [-0.5]])
    draws = softmax((S + rng.gumbel(size=(3, 1_000_000))) / 0.7, axis=0)
    P = np.exp(GumbelGate(0.7).build(3).link(S))
    assert np.all(np.abs(P[:, 0] - draws.mean(axis=1)) < 4 * draws.std(axis=1) / 1e3)


def data(n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, (n, D))
    expert = np.argmax(np.column_stack([2 * X[:, 0], 2 * X[:, 1], np.zeros(n)]) + rng.gumbel(size=(n, 3)), axis=1)
    return X, 2.0 * expert + X[:, 0] + 0.4 * rng.standard_normal(n)


@every_gate
@pytest.mark.parametrize("solver", [EM(20), SQUAREM(10), LBFGS(30), Newton(30), Continuation(30)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_likelihood_never_falls(name, solver):
    X, y = data()
    model = MoERegressor(K, gate=SPECS[name], solver=solver, n_init=1, init="kmeans", random_state=0).fit(X, y)
    history = model.loglik_history_
    assert np.all(np.diff(history) >= -1e-10 * abs(history[-1]))
    assert model.loglik_ == pytest.approx(history[-1], rel=1e-12)
    assert model.loglik_ == pytest.approx(model.likelihood(X, y).value(model.theta_), rel=1e-11)
    np.testing.assert_allclose(model.predict_gate(X).sum(axis=1), 1, atol=1e-9)


@every_gate
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_named_coefficients_stand_for_every_gate(name):
    X, y = data()
    model = MoERegressor(K, gate=SPECS[name], n_init=1, init="kmeans", max_iter=3, random_state=0).fit(X, y)
    named = [key for key in model.model_.unpack(model.theta_) if key.startswith("gate_")]
    assert named and all(hasattr(model, f"{key}_") for key in named)
    assert abs(model.exact_loglik_ - model.loglik_) < 0.05


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_parameters_of_a_gate_can_be_searched():
    X, y = data(150)
    model = MoERegressor(K, gate=TopKGate(2), n_init=1, random_state=0)
    search = GridSearchCV(model, {"gate__k": [2, 3]}, cv=2).fit(X, y)
    assert search.best_params_["gate__k"] in (2, 3)


WRONG = {
    "a sigmoid needs all scores": (Gate(Affine(), Sigmoid()), "one free score per expert"),
    "slopes are for a top-K link": (Gate(Affine(), TopK(2, "slope")), "Slopes"),
    "and nothing else": (Gate(Slopes(), TopK(2)), "only then"),
    "a tempered sigmoid too": (Gate(Affine(), Tempered(Sigmoid(), 2.0)), "one free score per expert"),
}


@pytest.mark.parametrize("case", WRONG)
def test_impossible_compositions_say_what_is_missing(case):
    gate, message = WRONG[case]
    X, y = data(60)
    with pytest.raises(ValueError, match=message):
        MoERegressor(K, gate=gate).fit(X, y)


def test_the_solver_follows_what_a_gate_declares():
    from moegate.fitting import automatic_solver

    kinds = {name: type(automatic_solver(target(name)[0], 10, 1e-8)) for name in SPECS}
    assert {name for name, kind in kinds.items() if kind is Continuation} == {
        "top_k",
        "sparsemax",
        "gumbel",
        "laplace top_k",
        "sparse tree",
    }
    made = Gate(Affine(), Sparsemax())
    assert not made.smooth and len(made.path(K)) > 1


def test_compositions_of_other_things_are_refused():
    for gate in (Gate("laplace", "softmax"), Gate(Laplace(), None), Gate(TopK(2), Laplace()), Gate(Laplace, Softmax())):
        with pytest.raises(ValueError, match=r"Gate\(scores, link\) expects"):
            gate.build(K)
    with pytest.raises(ValueError, match="between 1 and n_experts=3"):
        Gate(Laplace(), TopK(9)).build(K)
    with pytest.raises(ValueError, match="temperature expects"):
        Gate(Affine(), Tempered(Softmax(), -1.0)).build(K)


@pytest.mark.parametrize("gate", ["laplace", "modified_softmax", HierarchicalGate(root="laplace", branches=(2, 1))])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_columns_in_units_that_do_not_suit_a_gate_are_told(gate):
    X, y = data(80)
    with pytest.warns(UserWarning, match="Standardise the columns"):
        MoERegressor(K, gate=gate, n_init=1, init="kmeans", max_iter=3, random_state=0).fit(1e4 * X, y)


@pytest.mark.filterwarnings("ignore:The gate sees:UserWarning")
def test_scores_that_are_not_finite_are_refused():
    X, y = data(80)
    with pytest.raises(ValueError, match="finite scores"):
        MoERegressor(K, gate=ModifiedSoftmaxGate(np.log), random_state=0).fit(X - 5, y)


@pytest.mark.parametrize("left", [0.0, 1e-310, 1e-53])
def test_a_saturated_gate_stays_where_it_is(left):
    gate, information = SoftmaxGate().build(2), left * np.diag([1.0, 1e-3, 0.0])
    assert np.abs(gate.m_step(left * np.ones(3), information, np.array([100.0, left]))).max() < 1e-20
