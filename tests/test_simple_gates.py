"""Gates of one link on one kind of scores: temperature, activation, modified softmax, Laplace, sigmoid, cosine."""

import pickle
import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.special import expit, log_softmax
from sklearn.base import clone
from test_likelihood import assert_close, differences

from moegate import (
    ActivationGate,
    CosineGate,
    DenseToSparseGate,
    LaplaceGate,
    ModifiedSoftmaxGate,
    MoERegressor,
    SigmoidGate,
    SoftmaxGate,
)
from moegate.blocks import Rows, Units
from moegate.experts import Gaussian
from moegate.gates import GATES, Affine, Gate, Laplace, Link, Sigmoid, Tempered
from moegate.likelihood import Likelihood
from moegate.model import MixtureOfExperts
from moegate.solvers import EM

N = 150


def softplus(t):
    return np.logaddexp(0.0, t)


def identity(t):
    return t


def half(t):
    return t / 2


SPECS = {
    "temperature": DenseToSparseGate(0.5),
    "schedule": DenseToSparseGate(0.7, schedule=[3.0, 1.5]),
    "activation sigmoid": ActivationGate(temperature=0.4),
    "activation tanh": ActivationGate("tanh"),
    "activation gelu": ActivationGate("gelu"),
    "activation pair": ActivationGate((softplus, expit), temperature=0.8),
    "inside sigmoid": ActivationGate(temperature=0.4, bias="inside"),
    "inside tanh": ActivationGate("tanh", bias="inside"),
    "inside gelu": ActivationGate("gelu", bias="inside"),
    "inside pair": ActivationGate((softplus, expit), bias="inside"),
    "modified tanh": ModifiedSoftmaxGate(),
    "modified sigmoid": ModifiedSoftmaxGate("sigmoid"),
    "modified callable": ModifiedSoftmaxGate(np.arctan),
    "laplace": LaplaceGate(),
    "sigmoid": SigmoidGate(),
    "cosine": CosineGate(),
    "perturbed": CosineGate(0.3),
    "perturbed weights": CosineGate((0.3, 0.0)),
    "perturbed columns": CosineGate((0.0, 0.3)),
    "tempered sigmoid": Gate(Affine(reference=False), Tempered(Sigmoid(), 0.6)),
    "laplace sigmoid": Gate(Laplace(reference=False), Sigmoid()),
}
BY_DIFFERENCES = ("activation pair", "inside pair")
INVARIANT = ("temperature", "schedule", "sigmoid", "tempered sigmoid", *(name for name in SPECS if "inside" in name))
every_gate = pytest.mark.parametrize("name", SPECS)
every_size = pytest.mark.parametrize(("K", "d"), [(2, 1), (2, 2), (3, 1), (3, 2)])


def gate_of(name, K, d=2):
    """With a smoothing of the Laplace norm that differences can resolve."""
    return SPECS[name].build(K).calibrated(np.full(d, 2e3))


def case(name, K, d, seed=0, weighted=True):
    """A likelihood in scaled units on rows in two blocks, and a random theta."""
    rng = np.random.default_rng([seed, K, d])
    units = Units(np.linspace(0.5, -0.5, d), np.linspace(0.8, 1.6, d), 0.7, 2.5)
    weight = rng.uniform(0.2, 3, N) if weighted else None
    rows = Rows(rng.standard_normal((N, d)) + 0.3, rng.standard_normal(N), weight, units, size=100)
    model = MixtureOfExperts(gate_of(name, K, d), Gaussian(), K, d)
    experts = np.column_stack([rng.normal(size=(K, d + 1)), rng.uniform(0.5, 2, K)])
    gate = rng.normal(size=model.gate_free.shape) * model.gate_free
    return Likelihood(model, rows), model.join(gate, experts)


def first_block(likelihood):
    return next(iter(likelihood.rows))


def scores_of(likelihood, theta):
    """Scores and number m of those that move."""
    model = likelihood.model
    coef = model.split(theta)[0]
    return model.gate.scores(coef, first_block(likelihood).design(model.gate_rows), model.n_experts), len(coef)


# value and derivatives ------------------------------------------------------------------------------------------------


@every_gate
@every_size
def test_probabilities_lie_on_the_simplex(name, K, d):
    likelihood, theta = case(name, K, d)
    for size in (1.0, 30.0):
        theta[: likelihood.model.n_gate] *= size
        P = np.exp(likelihood.model.log_gate(theta, first_block(likelihood)))
        assert P.min() >= 0
        np.testing.assert_allclose(P.sum(axis=0), 1.0, rtol=1e-13)


@every_gate
@every_size
def test_score_and_hessian_equal_differences(name, K, d):
    likelihood, theta = case(name, K, d)
    _, score, hessian = likelihood.value_score_hessian(theta)
    assert_close(score, differences(likelihood.value, theta), 1e-7)
    by_differences = differences(lambda t: likelihood.value_and_score(t)[1], theta)
    assert_close(hessian, by_differences, 1e-5 if name in BY_DIFFERENCES else 1e-7)
    assert_close(likelihood.score_obs(theta).sum(axis=0), score, 1e-11)


@every_gate
@every_size
def test_information_is_positive_semidefinite_and_an_em_step_gains(name, K, d):
    likelihood, theta = case(name, K, d)
    information = likelihood.information(theta)
    assert np.linalg.eigvalsh(information)[0] > -1e-10 * np.abs(information).max()
    value, following = likelihood.em_step(theta)
    assert likelihood.value(theta + (following - theta) / 16) > value


@every_gate
def test_closed_forms_of_the_link_equal_those_from_its_jacobian(name):
    likelihood, theta = case(name, 3, 2)
    link, (S, m) = likelihood.model.gate.link, scores_of(likelihood, theta)
    P, R = np.exp(link(S)), np.random.default_rng(1).dirichlet(np.ones(3), S.shape[1]).T
    J = np.moveaxis(differences(lambda s: link(S + s[:, None]), np.zeros(3)), -1, 1)[:, :m]
    np.testing.assert_allclose(link.jac(S, P, m), J, atol=1e-9)
    for method in ("pull", "coupling", "second", "curvature"):
        closed, general = (getattr(owner, method) for owner in (type(link), Link))
        np.testing.assert_allclose(closed(link, S, P, R, m), general(link, S, P, R, m), atol=1e-8, err_msg=method)
    np.testing.assert_allclose(link.information(S, P, m), Link.information(link, S, P, m), atol=1e-12)


@every_gate
def test_extreme_and_tied_scores_give_numbers(name):
    link = SPECS[name].build(3).link
    S = np.array([[1e3, -1e3, 1e3, -1e3, 0.0, 1e3], [-1e3, -1e3, 1e3, 1e3, 0.0, -1e3], [0.0, 0.0, 0, -1e3, 0.0, 1e3]])
    R = np.array([[1.0, 0, 0, 1 / 3, 0.2, 0.5], [0.0, 1, 0, 1 / 3, 0.3, 0.5], [0.0, 0, 1, 1 / 3, 0.5, 0.0]])
    for m in (2, 3):
        L, P, total = link.parts(S, m)
        np.testing.assert_allclose(L - (0.0 if total is None else np.log(total)), link(S), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(P.sum(axis=0), 1.0, rtol=1e-13)
        for values in (
            link.pull(S, P, R, m),
            link.information(S, P, m),
            link.coupling(S, P, R, m),
            link.curvature(S, P, R, m),
        ):
            assert np.isfinite(values).all()
    np.testing.assert_allclose(link(np.full((3, 4), -700.0)), -np.log(3), rtol=1e-12)


@every_gate
@pytest.mark.parametrize("size", [1e3, 1e-3, 0.0])
def test_extreme_coefficients_give_numbers(name, size):
    likelihood, theta = case(name, 3, 2)
    theta[: likelihood.model.n_gate] *= size
    at = likelihood.expand(theta)
    assert all(np.isfinite(part).all() for part in at)


@every_gate
@pytest.mark.parametrize("K", [2, 3])
def test_a_stack_equals_its_members(name, K):
    likelihood, theta = case(name, K, 2)
    model, rng = likelihood.model, np.random.default_rng(2)
    thetas = theta + 0.3 * rng.standard_normal((5, len(theta))) * (np.arange(len(theta)) < model.n_gate)
    assert likelihood.stacked
    for got, *expected in zip(likelihood.em_steps(thetas), *map(likelihood.em_step, thetas), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    coefs, design = model.split(thetas)[0], first_block(likelihood).design(model.gate_rows)
    scores = model.gate.scores
    np.testing.assert_array_equal(scores(coefs, design, K), [scores(c, design, K) for c in coefs])
    if not scores.linear:
        np.testing.assert_allclose(scores.features(coefs, design), [scores.features(c, design) for c in coefs], 1e-12)


# what is identified ---------------------------------------------------------------------------------------------------

DOF = {  # of the gate, by K and d
    "temperature": lambda K, d: (K - 1) * (d + 1),
    "activation tanh": lambda K, d: K * d + K - 1,
    "inside tanh": lambda K, d: K * (d + 1),
    "modified tanh": lambda K, d: (K - 1) * (d + 1),
    "laplace": lambda K, d: K * d + K - 1,
    "sigmoid": lambda K, d: K * (d + 1),
    "cosine": lambda K, d: K * d - 1 - max(d - K, 0),
    "perturbed": lambda K, d: (K - 1) * (d + 1),
    "perturbed weights": lambda K, d: (K - 1) * (d + 1),
    "perturbed columns": lambda K, d: K * d - 1 - max(d - K, 0),
}


@pytest.mark.parametrize("name", DOF)
@pytest.mark.parametrize(("K", "d"), [(2, 1), (2, 2), (2, 4), (3, 1), (3, 3), (3, 5)])
def test_flat_directions_are_all_that_the_model_cannot_see(name, K, d):
    likelihood, theta = case(name, K, d)
    model, n = likelihood.model, likelihood.model.n_gate
    flat, rows = likelihood.flat(theta), likelihood.score_obs(theta)
    np.testing.assert_allclose(flat.T @ flat, np.eye(flat.shape[1]), atol=1e-12)
    np.testing.assert_allclose(rows @ flat, 0.0, atol=1e-12)
    sizes = np.linalg.eigvalsh(likelihood.information(theta)[:n, :n])
    assert np.sum(sizes > 1e-7 * sizes[-1]) == DOF[name](K, d) == n - flat.shape[1]
    assert model.dof(theta) == DOF[name](K, d) + K * (d + 2)


@pytest.mark.parametrize("name", ["cosine", "perturbed", "perturbed columns"])
@pytest.mark.parametrize(("K", "d"), [(2, 2), (2, 4), (3, 2), (3, 5)])
def test_the_value_does_not_change_to_second_order_along_flat_curves(name, K, d):
    """Along a straight flat line it changes with the square of the step, as the score in the curve's bend times it."""
    likelihood, theta = case(name, K, d)
    model, value = likelihood.model, likelihood.value(theta)
    changes = [[likelihood.value(theta + t * v) - value for v in likelihood.flat(theta).T] for t in (1e-2, 1e-3)]
    assert np.all(np.abs(changes[1]) <= 0.02 * np.abs(changes[0]) + 1e-9)
    gate, experts = model.split(theta)
    other = np.random.default_rng(0).uniform(0.2, 4, (K, 1)) if name != "perturbed" else np.ones((K, 1))
    lengthened = np.column_stack([gate[:, :-1] * other, gate[:, -1]])
    np.testing.assert_allclose(likelihood.value(model.join(lengthened, experts)), value, rtol=1e-13)


def test_a_perturbed_cosine_gate_translates():
    likelihood, theta = case("perturbed", 3, 2)
    model, (gate, experts) = likelihood.model, likelihood.model.split(theta)
    norm = np.linalg.norm(gate[:, :-1], axis=1, keepdims=True)
    ball = gate[:, :-1] / (norm + 0.3) + [0.03, -0.02]
    length = np.linalg.norm(ball, axis=1, keepdims=True)
    assert length.max() < 1
    moved = np.column_stack([ball * 0.3 / (1 - length), gate[:, -1]])  # w = c t1 / (1 - ||c||)
    np.testing.assert_allclose(likelihood.value(model.join(moved, experts)), likelihood.value(theta), rtol=1e-13)
    named, same = (model.gate.scores.natural(coef, 3) for coef in (gate, moved))
    np.testing.assert_allclose(named["gate_coef"], same["gate_coef"], atol=1e-14)


def test_an_affine_activation_has_the_flat_directions_of_the_softmax():
    for bias in ("outside", "inside"):
        with pytest.warns(UserWarning, match="positively homogeneous"):
            gate = ActivationGate((identity, np.ones_like), bias=bias).build(3)
        likelihood = case("sigmoid", 3, 2)[0]
        there = Likelihood(replace(likelihood.model, gate=gate), likelihood.rows)
        theta = np.random.default_rng(0).uniform(0.5, 1, there.n_params)
        assert there.model.dof(theta) == 6 + 12
        np.testing.assert_allclose(there.score_obs(theta) @ there.flat(theta), 0.0, atol=1e-12)


@every_gate
@every_size
def test_experts_have_no_order(name, K, d):
    likelihood, theta = case(name, K, d)
    order = np.roll(np.arange(K), 1)
    there = likelihood.model.permute(theta, order)
    np.testing.assert_allclose(likelihood.value(there), likelihood.value(theta), rtol=1e-12)
    resp = likelihood.responsibilities(theta)
    np.testing.assert_allclose(likelihood.responsibilities(there), resp[:, order], rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(likelihood.model.permute(there, np.argsort(order)), theta, rtol=1e-12, atol=1e-14)


@every_gate
@every_size
def test_units_do_not_change_the_density(name, K, d):
    likelihood, theta = case(name, K, d)
    model, rows = likelihood.model, likelihood.rows
    user = model.to_user(theta, rows.units)
    plain = Likelihood(model, replace(rows, units=Units.identity(d), _cache=[]))
    np.testing.assert_allclose(plain.score_samples(user), likelihood.score_samples(theta), rtol=1e-9)
    np.testing.assert_allclose(model.to_scaled(user, rows.units), theta, rtol=1e-12)
    assert model.gate.scores.invariant == (name in INVARIANT)
    if not model.gate.scores.invariant:
        np.testing.assert_array_equal(user[: model.n_gate], theta[: model.n_gate])


# special cases --------------------------------------------------------------------------------------------------------


def log_gate(gate, coef, X, units=None):
    """Log-probabilities (K, n) of a gate at rows X, coefficients in user units."""
    K, block = len(coef), next(iter(Rows(X, None, None, units or Units.identity(X.shape[1]), response=False)))
    return gate.log_prob(coef[: gate.scores.n_scores(K)], block.design(tuple(range(X.shape[1] + 1))), K)


def draw(K, d, n=60):
    """Rows X, and coefficients (K, d + 1), the last row zero."""
    rng = np.random.default_rng([K, d])
    coef = rng.normal(size=(K, d + 1))
    coef[-1] = 0.0
    return rng.normal(size=(n, d)) + 0.2, coef


def affine(coef, X):
    return coef[:, :-1] @ X.T + coef[:, -1:]


@every_size
def test_formulas(K, d):
    X, coef = draw(K, d)
    w, b, S = coef[:, :-1], coef[:, -1:], affine(coef, X)
    distance = np.linalg.norm(X[None] - w[:, None], axis=2)
    norms = np.linalg.norm(w, axis=1)[:, None], np.linalg.norm(X, axis=1)
    expected = [
        (SoftmaxGate(), S),
        (DenseToSparseGate(), S),
        (DenseToSparseGate(0.3), S / 0.3),
        (ActivationGate(temperature=0.3), (expit(w @ X.T) + b) / 0.3),
        (ActivationGate("tanh", 2.0, "inside"), np.tanh(S) / 2.0),
        (ModifiedSoftmaxGate("sigmoid"), w @ expit(X.T) + b),
        (ModifiedSoftmaxGate(identity), S),
        (LaplaceGate(), b - distance),
        (SigmoidGate(), np.log(expit(S))),
        (CosineGate(0.2), w @ X.T / ((norms[0] + 0.2) * (norms[1] + 0.2)) + b),
        (CosineGate((0.2, 0.0)), w @ X.T / ((norms[0] + 0.2) * norms[1]) + b),
        (CosineGate(), w @ X.T / (np.where(norms[0] > 0, norms[0], 1.0) * norms[1]) + b),
    ]
    for spec, scores in expected:
        got = log_gate(spec.build(K), coef, X)
        np.testing.assert_allclose(got, log_softmax(scores, axis=0), rtol=1e-10, atol=1e-12, err_msg=str(spec))


def test_activation_of_the_identity_is_the_softmax_and_bias_does_not_matter_at_zero():
    X, coef = draw(3, 2)
    with pytest.warns(UserWarning, match="temperature is not identified"):
        gate = ActivationGate((identity, np.ones_like), temperature=0.7).build(3)
    np.testing.assert_allclose(log_gate(gate, coef, X), log_softmax(affine(coef, X) / 0.7, axis=0), rtol=1e-12)
    coef[:, -1] = 0.0
    gates = [ActivationGate("gelu", 0.7, bias).build(3) for bias in ("outside", "inside")]
    np.testing.assert_allclose(*(log_gate(gate, coef, X) for gate in gates), rtol=1e-12)


def test_the_sigmoid_gate_tends_to_the_softmax_as_its_intercepts_fall():
    X, coef = draw(3, 2)
    softmax = log_gate(SoftmaxGate().build(3), coef, X)
    coef[:, -1] -= 30.0
    np.testing.assert_allclose(log_gate(SigmoidGate().build(3), coef, X), softmax, rtol=1e-9)


def test_one_expert_has_no_gate_parameters():
    for name, spec in SPECS.items():
        if isinstance(spec, Gate):
            continue
        model = MixtureOfExperts(spec.build(1), Gaussian(), 1, 2)
        assert model.n_gate == 0, name
        likelihood = Likelihood(model, case("sigmoid", 2, 2)[0].rows)
        theta = np.array([0.3, -0.2, 0.1, 1.2])
        assert_close(likelihood.value_score_hessian(theta)[1], differences(likelihood.value, theta), 1e-7)
        assert likelihood.em_step(theta)[0] == pytest.approx(likelihood.value(theta))


def test_laplace_pins_the_last_intercept_and_no_centre():
    assert not LaplaceGate().build(3).scores.free(3, 3)[-1, -1]
    assert LaplaceGate().build(3).scores.free(3, 3).sum() == 8


def test_laplace_smooths_the_norm_only_next_to_a_centre():
    scores = Laplace().calibrated(np.array([3.0, 4.0]))
    assert scores.smoothing == pytest.approx(1e-4 * np.sqrt(12.5))
    X, coef = draw(3, 2)
    X[0] = coef[1, :-1]
    design = next(iter(Rows(X, None, None, Units.identity(2), response=False))).design((0, 1, 2))
    exact, smooth = scores.exact()(coef, design, 3), scores(coef, design, 3)
    np.testing.assert_allclose(exact, coef[:, -1:] - np.linalg.norm(X - coef[:, None, :-1], axis=2), atol=1e-14)
    assert exact[1, 0] - smooth[1, 0] == pytest.approx(scores.smoothing)
    assert np.all(exact - smooth <= scores.smoothing * (1 + 1e-9)) and np.median(exact - smooth) < 1e-7
    F = scores.exact().features(coef, design)
    np.testing.assert_array_equal(F[1, :2, 0], 0.0)
    assert np.isfinite(F).all() and np.isfinite(scores.exact().curvature(coef, design, np.ones((3, 60)))).all()


def test_laplace_starts_at_the_centres_of_its_experts():
    scores, (X, _) = Laplace(), draw(3, 2)
    weight = np.random.default_rng(0).uniform(0, 2, (60, 1))
    resp = np.random.default_rng(1).dirichlet(np.ones(3), 60) * weight
    resp[:, 2] = 0.0
    begin = scores.begin(X, resp)
    expected = [np.average(X, axis=0, weights=r) for r in (resp[:, 0], resp[:, 1], resp.sum(axis=1))]
    np.testing.assert_allclose(begin, np.column_stack([expected, np.zeros(3)]), rtol=1e-12)
    same = scores.begin(X, np.ones((60, 3)) / 3)
    assert np.all(np.ptp(same[:, :-1], axis=0) > 0.1 * X.std(axis=0))
    np.testing.assert_allclose(same[:, :-1].mean(axis=0), X.mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("far", [0, 1, 2])
def test_the_centre_that_runs_away_is_named(far):
    likelihood, theta = case("laplace", 3, 2)
    model, (gate, experts) = likelihood.model, likelihood.model.split(theta)
    gate[far] += [1e6, 0.0, 1e6]  # next to linear scores
    gate[:, -1] -= gate[-1, -1]
    assert likelihood.steepest_gate(model.join(gate, experts))[0] == far


def test_cosine_starts_towards_its_experts_and_takes_rows_of_zeros():
    scores, X = CosineGate().build(2).scores, np.array([[1.0, 0.1], [2.0, -0.2], [0.0, 0.0], [-0.1, 3.0], [0.1, 1.0]])
    resp = np.eye(2)[[0, 0, 0, 1, 1]]
    w = scores.begin(X, resp)[:, :-1]
    np.testing.assert_allclose(np.linalg.norm(w, axis=1), 1.0)
    assert w[0] @ [1, -1] > 1.2 and w[1] @ [-1, 1] > 1.2
    np.testing.assert_allclose(np.linalg.norm(scores.begin(X, np.ones((5, 2)))[:, :-1], axis=1), 1.0)
    perturbed = CosineGate(0.2).build(2).scores
    ball = perturbed.begin(X, resp)[:, :-1]
    np.testing.assert_allclose(np.linalg.norm(ball, axis=1), 0.2)
    design = next(iter(Rows(X, None, None, Units.identity(2), response=False))).design((0, 1, 2))
    coef = np.array([[1.0, 2.0, 0.4], [3.0, -1.0, 0.0]])
    np.testing.assert_array_equal(scores(coef, design, 2)[:, 2], [0.4, 0.0])
    assert np.isfinite(scores.features(coef, design)).all()


def test_reported_coefficients():
    coef = np.array([[3.0, 4.0, 0.5], [0.0, 2.0, 0.0]])
    named = CosineGate().build(2).scores.natural(coef, 2)
    np.testing.assert_allclose(named["gate_coef"], [[0.6, 0.8], [0.0, 1.0]])
    named = LaplaceGate().build(2).scores.natural(coef, 2)
    np.testing.assert_array_equal(named["gate_center"], coef[:, :-1])
    np.testing.assert_array_equal(named["gate_intercept"], [0.5, 0.0])
    named = ModifiedSoftmaxGate().build(2).scores.natural(coef[:1], 2)
    np.testing.assert_allclose(named["gate_coef"], [[1.5, 2.0], [-1.5, -2.0]])


# specifications -------------------------------------------------------------------------------------------------------


def test_names_stand_for_the_gates():
    specs = {
        "dense_to_sparse": DenseToSparseGate,
        "activation": ActivationGate,
        "modified_softmax": ModifiedSoftmaxGate,
        "laplace": LaplaceGate,
        "sigmoid": SigmoidGate,
        "cosine": CosineGate,
    }
    assert specs.items() <= GATES.items()


@every_gate
def test_gates_survive_pickle_and_clone(name):
    gate = SPECS[name].build(3)
    assert pickle.loads(pickle.dumps(gate)) == gate
    model = clone(MoERegressor(gate=SPECS[name]))
    assert model.gate.build(3) == gate


def test_parameters_of_the_gate_are_parameters_of_the_model():
    model = MoERegressor(gate=DenseToSparseGate()).set_params(gate__temperature=0.25)
    assert model.gate.build(2).link.temperature == 0.25
    model = MoERegressor(gate=ActivationGate()).set_params(gate__activation="gelu", gate__bias="inside")
    assert model.gate.build(2).link.activation.value(1.0) == pytest.approx(0.841345, abs=1e-6)
    assert MoERegressor(gate=CosineGate()).set_params(gate__perturbation=0.2).gate.perturbation == 0.2


def test_a_schedule_is_a_path_that_ends_at_the_gate():
    gate = DenseToSparseGate(0.5, schedule=[4, 2]).build(2)
    path = gate.path(2)
    assert [step.link.temperature for step in path] == [4.0, 2.0, 0.5] and path[-1] == gate
    assert [step.link.temperature for step in DenseToSparseGate(0.5).build(2).path(2)] == [0.5]


def test_a_learned_temperature_is_one():
    with pytest.warns(UserWarning, match="temperature itself is not identified"):
        gate = DenseToSparseGate("learn").build(2)
    assert gate.link.temperature == 1.0


def test_a_temperature_passes_on_what_its_link_declares():
    tempered = Tempered(Sigmoid(), 0.5)
    assert not tempered.translates and tempered.smooth and tempered.stacked
    with pytest.raises(ValueError, match="reference=False"):
        Gate(Affine(), tempered).build(2)
    with pytest.raises(ValueError, match="reference=False"):
        Gate(Laplace(), Sigmoid()).build(2)


@pytest.mark.parametrize("pair", [(identity, np.ones_like), (half, np.ones_like)])
def test_homogeneous_activations_warn(pair):
    with pytest.warns(UserWarning, match="positively homogeneous"):
        ActivationGate(pair).build(2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ActivationGate((softplus, expit)).build(2)


WRONG = [
    (DenseToSparseGate(0.0), "temperature expects .*got 0.0; use"),
    (DenseToSparseGate("hot"), "temperature expects .*'hot'"),
    (DenseToSparseGate(True), "temperature expects"),
    (DenseToSparseGate(1.0, schedule=[2, 3]), r"schedule expects .*got \[2, 3\]; pass"),
    (DenseToSparseGate(1.0, schedule=[2, 1]), "schedule expects"),
    (DenseToSparseGate(1.0, schedule=["a"]), "schedule expects"),
    (DenseToSparseGate(1.0, schedule=2.0), "schedule expects"),
    (ActivationGate("relu"), "activation expects .*'relu'; use"),
    (ActivationGate(np.tanh), "activation expects .*pair"),
    (ActivationGate(temperature=-1), "temperature expects"),
    (ActivationGate(bias="in"), "bias expects .*'in'; use"),
    (ModifiedSoftmaxGate("relu"), "transform expects .*'relu'; use"),
    (ModifiedSoftmaxGate(np.sum), "transform expects .*elementwise"),
    (CosineGate(-0.1), "perturbation expects .*-0.1; use"),
    (CosineGate((0.1, 0.2, 0.3)), "perturbation expects"),
    (CosineGate("small"), "perturbation expects"),
]


@pytest.mark.parametrize(("spec", "message"), WRONG)
def test_wrong_parameters_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        spec.build(2)


# fits -----------------------------------------------------------------------------------------------------------------


@every_gate
def test_the_likelihood_never_falls_along_em(name):
    likelihood, theta = case(name, 3, 2)
    history = EM(max_iter=25, tol=-np.inf).run(likelihood, theta)[2]
    assert min(np.diff(history)) >= 0 and history[-1] > history[0] + 1


LINES = ((1.0,), (1.0,)), (-1.5, 1.5), (0.4, 0.5)
AROUND = ((1.0, 0.0),) * 3, (-2.0, 0.0, 2.0), (0.4, 0.5, 0.4)
ANGLES = [(np.cos(t), np.sin(t), b) for t, b in ((0.0, 0.3), (2.1, -0.3), (4.2, 0.0))]
DESIGNS = {  # gate, its parameters, experts (slopes, intercepts, scales), half the box
    "temperature": (DenseToSparseGate(0.5), [(2, 0.5)], LINES, 2),
    "activation": (ActivationGate(temperature=0.2), [(-0.25, 0), (-1.25, 0)], LINES, 3),
    "activation, steep": (ActivationGate(temperature=0.1), [(2.5, 0.25), (0.25, 0)], LINES, 3),
    "inside": (ActivationGate(temperature=0.2, bias="inside"), [(2, 0.5), (-1.25, 0)], LINES, 3),
    "laplace, d = 1": (LaplaceGate(), [(-1.5, 0), (-0.5, 0)], (((2.0,), (-1.5,)), (-1.5, 0.5), (0.4, 0.5)), 3),
    "laplace, d = 2": (
        LaplaceGate(),
        [(-0.5, 1.5, 0), (0, -0.5, 0)],
        (((1.0, 0.0), (0.0, 1.0)), (-1.5, 1.5), (0.4, 0.5)),
        3,
    ),
    "sigmoid": (SigmoidGate(), [(1, -2.5), (3.5, 1.5)], LINES, 3),
    "cosine": (CosineGate(), ANGLES, AROUND, 3),
    "perturbed": (CosineGate(0.1), ANGLES, AROUND, 3),
    "modified": (ModifiedSoftmaxGate(), [(2, 0.5)], LINES, 3),
}


@cache
def data_of(name, seed, n=2000):
    """Data from a known model, and the log-likelihood of that model."""
    spec, gate, (slopes, intercepts, scales), box = DESIGNS[name]
    K, d = np.shape(slopes)
    rng = np.random.default_rng(seed)
    X = rng.uniform(-box, box, (n, d))
    model = MixtureOfExperts(spec.build(K).calibrated(X.std(axis=0)), Gaussian(), K, d)
    theta = model.join(np.array(gate, float), np.column_stack([slopes, intercepts, np.ones(K)]) / np.c_[list(scales)])
    plain = Rows(X, None, None, Units.identity(d), response=False)
    y = np.concatenate([model.sample(theta, block, rng) for block in plain])
    return X, y, Likelihood(model, Rows(X, y, None, Units.identity(d))).value(theta)


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_cold_fits_reach_the_truth(name, seed):
    X, y, truth = data_of(name, seed)
    spec, _, (_, _, scales), _ = DESIGNS[name]
    fit = MoERegressor(len(scales), gate=spec, random_state=seed).fit(X, y)
    assert truth <= fit.loglik_ < truth + 2 * fit.dof_
    assert fit.certificate_["kind"] == "interior" and not fit.init_results_["degenerate"].iloc[0]
    assert np.all(np.diff(fit.loglik_history_) >= -1e-9)


@pytest.mark.parametrize("name", ["laplace", "cosine", "perturbed", "sigmoid", "activation sigmoid", "modified tanh"])
@pytest.mark.parametrize("columns", [[], [0]])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_gate_of_one_column_or_none_is_fitted(name, columns):
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (200, 2))
    y = np.where(rng.random(200) < expit(2 * X[:, 0]), 2.0 + X[:, 1], -2.0) + 0.4 * rng.standard_normal(200)
    fit = MoERegressor(gate=SPECS[name], gate_features=columns, n_init=1, random_state=0).fit(X, y)
    P = fit.predict_gate(X)
    np.testing.assert_allclose(P.sum(axis=1), 1.0, rtol=1e-12)
    assert np.isfinite(fit.loglik_) and np.ptp(P[:, 0]) > (0.05 if columns else -1)


@pytest.mark.parametrize("centers", [(-3.5, 0.2, 1.0), (0.2, 1.0, 2.5), (-3.0, 0.5, 4.0)])
def test_a_centre_beyond_the_only_column_is_an_intercept(centers):
    rng = np.random.default_rng(0)
    X, y = rng.uniform(-2, 2, (N, 1)), rng.standard_normal(N)
    gate = LaplaceGate().build(3).calibrated(np.array([1.0]), (X.min(axis=0), X.max(axis=0)))
    model = MixtureOfExperts(gate, Gaussian(1.0), 3, 1)
    likelihood = Likelihood(model, Rows(X, y, None, Units.identity(1)))
    theta = model.join(
        np.column_stack([centers, [0.3, -0.2, 0.0]]), np.column_stack([rng.normal(size=(3, 2)), np.ones(3)])
    )
    outside = sum(abs(m) > 2 for m in centers)
    flat = likelihood.flat(theta)
    assert flat.shape == (theta.size, outside) and model.dof(theta) == theta.size - outside
    for direction in flat.T:
        assert likelihood.value(theta + 0.3 * direction) == pytest.approx(likelihood.value(theta), abs=1e-6)
    assert not likelihood.model.gate.exact().scores.smoothing


@pytest.mark.parametrize("bias", ["outside", "inside"])
@pytest.mark.parametrize("seed", [0, 3, 4])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rounding_does_not_choose_the_fit_of_an_activation_gate(bias, seed):
    """Repeated and weighted rows differ in the last digits of their sums, which unstable steps would multiply."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([1 + 1.5 * rng.normal(size=150), rng.uniform(-1, 1, 150)])
    first = rng.random(150) < 1 / (1 + np.exp(2 - 2 * X[:, 0]))
    y = rng.poisson(np.exp(np.clip(np.where(first, 1 + 0.3 * X[:, 0], -0.5 - 0.3 * X[:, 1]), -5, 5)))
    weight = rng.integers(0, 4, 150)
    fits = [
        MoERegressor(2, gate=ActivationGate(bias=bias), experts="poisson", n_init=2, random_state=0).fit(*rows)
        for rows in ((X, y, weight), (np.repeat(X, weight, axis=0), np.repeat(y, weight)))
    ]
    assert fits[0].loglik_ == pytest.approx(fits[1].loglik_, abs=1e-4)
