"""Ridge: the penalised likelihood and its derivatives for every gate and family, and the estimators that it makes."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import sklearn.linear_model
from sklearn.exceptions import ConvergenceWarning
from test_likelihood import assert_close, differences

from moegate import ElasticNet, Lasso, MoEClassifier, MoERegressor, Ridge
from moegate.blocks import Rows, Units
from moegate.experts import Gaussian, Multinomial, Poisson
from moegate.gates import GATES, CosineGate, HierarchicalGate, LaplaceGate, ModifiedSoftmaxGate, TopKGate
from moegate.likelihood import Likelihood
from moegate.model import MixtureOfExperts
from moegate.solvers import EM, LBFGS, Newton

N, D, K = 50, 2, 3
FAMILIES = {"gaussian": Gaussian(1.0), "multinomial": Multinomial(3), "poisson": Poisson()}
SPECS = {name: spec() for name, spec in GATES.items() if name != "top_k"} | {
    "top 2": TopKGate(2),
    "tree": HierarchicalGate(root="laplace", children="modified_softmax", branches=(1, 2)),
}
RIDGES = {"plain": Ridge(0.3), "gate apart": Ridge(0.2, gate_alpha=0.7), "raw": Ridge(0.3, standardize=False)}
every_gate = pytest.mark.parametrize("gate", SPECS)
every_family = pytest.mark.parametrize("family", FAMILIES)


def case(gate="softmax", family="gaussian", ridge="plain", seed=0):
    """A penalised likelihood in scaled units, and a random theta."""
    rng = np.random.default_rng(seed)
    units = Units(np.array([0.5, -0.5]), np.array([0.7, 2.0]), 0.2, 1.4)
    y = {"gaussian": rng.normal(size=N), "multinomial": rng.integers(0, 3, N), "poisson": rng.poisson(2, N)}[family]
    response = FAMILIES[family].response
    rows = Rows(rng.normal(size=(N, D)), y.astype(float), rng.uniform(0.2, 3, N), units, response, size=20)
    model = MixtureOfExperts(SPECS[gate].build(K).calibrated(np.full(D, 2e3)), FAMILIES[family], K, D)
    coef = 0.7 * rng.normal(size=model.gate_free.shape) * model.gate_free
    experts = 0.7 * rng.normal(size=model.expert_shape)
    if response:
        experts[:, -1] = rng.uniform(0.5, 2, K)
    return Likelihood(model, rows, penalty=RIDGES[ridge].build(model, units)), model.join(coef, experts)


@every_gate
@every_family
@pytest.mark.parametrize("ridge", RIDGES)
def test_derivatives_equal_differences(gate, family, ridge):
    likelihood, theta = case(gate, family, ridge)
    value, score, hessian = likelihood.value_score_hessian(theta)
    assert value < likelihood.unpenalised().value(theta)
    assert_close(score, differences(likelihood.value, theta), 1e-6)
    plain = likelihood.unpenalised()
    assert_close(score - plain.value_and_score(theta)[1], -differences(lambda t: penalty(likelihood, t), theta), 1e-6)
    pulled = differences(lambda t: likelihood.value_and_score(t)[1] - plain.value_and_score(t)[1], theta)
    assert_close(hessian - plain.value_score_hessian(theta)[2], pulled, 1e-6)
    assert_close(likelihood.information(theta) - plain.information(theta), -pulled, 1e-6)


def penalty(likelihood, theta):
    return likelihood.unpenalised().value(theta) - likelihood.value(theta)


@every_gate
@every_family
def test_a_stack_equals_one_by_one(gate, family):
    likelihood, theta = case(gate, family)
    thetas = theta + 0.1 * np.random.default_rng(1).normal(size=(3, len(theta)))
    values, following = likelihood.em_steps(thetas)
    np.testing.assert_allclose(likelihood.values(thetas), values, rtol=1e-12)
    for one, value, after in zip(thetas, values, following):
        single = likelihood.em_step(one)
        np.testing.assert_allclose(value, single[0], rtol=1e-12)
        np.testing.assert_allclose(after, single[1], rtol=1e-8, atol=1e-10)


@every_family
def test_the_penalty_is_that_of_the_formula(family):
    likelihood, theta = case("softmax", family)
    model, units = likelihood.model, likelihood.rows.units
    named = model.unpack(model.to_user(theta, units))
    gate, slopes = named["gate_coef"] * units.scale, named["coef"] * units.scale
    if family == "gaussian":
        slopes = slopes / named["sigma"][:, None]
    expected = 0.3 / 2 * likelihood.total_weight * (np.sum(gate**2) + np.sum(slopes**2))
    np.testing.assert_allclose(penalty(likelihood, theta), expected, rtol=1e-9)


def test_raw_slopes_count_per_unit_of_x():
    likelihood, theta = case("softmax", "poisson", "raw")
    named = likelihood.model.unpack(likelihood.model.to_user(theta, likelihood.rows.units))
    expected = 0.3 / 2 * likelihood.total_weight * (np.sum(named["gate_coef"] ** 2) + np.sum(named["coef"] ** 2))
    np.testing.assert_allclose(penalty(likelihood, theta), expected, rtol=1e-9)


@pytest.mark.parametrize("gate", ["softmax", "sigmoid", "activation", "modified_softmax", "laplace", "top 2"])
@every_family
def test_no_expert_is_the_reference(gate, family):
    likelihood, theta = case(gate, family)
    for order in ([2, 0, 1], [0, 2, 1]):
        there = likelihood.model.permute(theta, order)
        np.testing.assert_allclose(penalty(likelihood, there), penalty(likelihood, theta), rtol=1e-12)


def test_centres_are_drawn_to_the_mean_of_the_columns():
    likelihood, theta = case("laplace", "poisson")
    model, units = likelihood.model, likelihood.rows.units
    coef, experts = model.split(theta)
    far = model.join(coef, 0 * experts)
    moved = (coef[:, :-1] - units.center) / units.scale
    np.testing.assert_allclose(penalty(likelihood, far), 0.15 * likelihood.total_weight * np.sum(moved**2), rtol=1e-12)


@pytest.mark.parametrize("spec", [CosineGate(), CosineGate(0.3), TopKGate(1)])
def test_gates_that_see_no_scale_are_left_free(spec):
    with pytest.warns(UserWarning, match="k=1") if isinstance(spec, TopKGate) else nullcontext():
        gate = spec.build(K)
    model = MixtureOfExperts(gate, Poisson(), K, D)
    assert not Ridge(1.0).build(model, Units.identity(D)).gate.any()


def two_regimes(family):
    """A penalised likelihood on 300 rows that two different experts share, and a theta with a little of each."""
    rng = np.random.default_rng(5)
    X = rng.uniform(-2, 2, (300, D))
    eta = np.where(rng.random(300) < 1 / (1 + np.exp(-2 * X[:, 0])), 1 + X[:, 1], -1 - X[:, 1])
    y = {
        "gaussian": eta + 0.3 * rng.standard_normal(300),
        "multinomial": np.argmax(np.array([eta, 0 * eta, -eta]) + rng.gumbel(size=(3, 300)), axis=0),
        "poisson": rng.poisson(np.exp(eta)),
    }[family]
    units = Units(X.mean(axis=0), X.std(axis=0), y.mean(), y.std()) if family == "gaussian" else Units.identity(D)
    rows = Rows(X, y.astype(float), None, units, FAMILIES[family].response)
    model = MixtureOfExperts(SPECS["softmax"].build(2), FAMILIES[family], 2, D)
    likelihood = Likelihood(model, rows, penalty=Ridge(0.01).build(model, units))
    begin = np.eye(2)[(X[:, 0] < 0).astype(int)]
    return likelihood, likelihood.m_step(model.initial(units), begin)


@every_family
@pytest.mark.parametrize("solver", [EM(200), Newton(), LBFGS()], ids=lambda s: type(s).__name__)
def test_solvers_climb_the_penalised_likelihood(family, solver):
    likelihood, theta = two_regimes(family)
    solution = solver.solve(likelihood, theta)
    assert np.all(np.diff(solution.history) >= -1e-9 * abs(solution.loglik))
    assert solution.loglik == pytest.approx(likelihood.value(solution.theta), rel=1e-12)
    if not isinstance(solver, EM):
        assert solution.certificate["kind"] == "interior"
        assert np.abs(likelihood.value_and_score(solution.theta)[1]).max() < 1e-4


def test_gaussian_em_steps_are_exact_for_experts_on_given_responsibilities():
    likelihood, theta = case("softmax", "gaussian")
    resp = np.random.default_rng(3).dirichlet(np.ones(K), N)
    once = likelihood.m_step(theta, resp)
    twice = likelihood.m_step(once, resp)
    g = likelihood.model.n_gate
    np.testing.assert_allclose(twice[g:], once[g:], rtol=1e-10)


def test_one_gaussian_expert_is_ridge_regression():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3)) * [1, 10, 0.1]
    y = X @ [1.0, 0.2, -3.0] + rng.normal(size=80)
    moe = MoERegressor(1, penalty=Ridge(0.2)).fit(X, y)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    ridge = sklearn.linear_model.Ridge(alpha=80 * 0.2).fit(Z, y)
    np.testing.assert_allclose(moe.coef_[0] * X.std(axis=0), ridge.coef_, rtol=1e-7)
    assert moe.objective_ < moe.loglik_ < MoERegressor(1).fit(X, y).loglik_
    assert moe.objective_history_[-1] == moe.objective_ and not hasattr(moe, "loglik_history_")


def test_an_alpha_of_zero_is_no_penalty():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (200, 1))
    y = np.where(rng.random(200) < 0.5, 1 + X[:, 0], -1 - X[:, 0]) + 0.3 * rng.standard_normal(200)
    free, zero = (MoERegressor(n_init=2, penalty=p, random_state=0).fit(X, y) for p in (None, Ridge(0.0)))
    np.testing.assert_allclose(zero.theta_, free.theta_, rtol=1e-6)
    assert not hasattr(zero, "objective_") and zero.loglik_history_[-1] == zero.loglik_


@pytest.mark.parametrize("estimator", [MoERegressor(n_init=2, random_state=0), MoEClassifier(n_init=2, random_state=0)])
def test_units_of_the_columns_do_not_matter(estimator):
    rng = np.random.default_rng(1)
    X = rng.uniform(-2, 2, (150, 2))
    y = (X[:, 0] * X[:, 1] + 0.3 * rng.standard_normal(150) > 0).astype(int)
    y = y + 0.1 * rng.standard_normal(150) if isinstance(estimator, MoERegressor) else y
    estimator.set_params(penalty=Ridge(0.02))
    one = estimator.fit(X, y).objective_
    assert estimator.fit(X * [100, 0.01] + [5, -3], y).objective_ == pytest.approx(one, rel=1e-9)


def test_a_stronger_penalty_shrinks():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(200, 2))
    y = rng.poisson(np.exp(0.5 * X[:, 0]))
    sizes = []
    for alpha in (0.0, 0.1, 1.0, 10.0):
        moe = MoERegressor(1, experts="poisson", penalty=Ridge(alpha)).fit(X, y)
        sizes.append(np.linalg.norm(moe.coef_))
    assert np.all(np.diff(sizes) < 0) and sizes[-1] < 0.2 * sizes[0]
    np.testing.assert_allclose(moe.predict(X).mean(), y.mean(), rtol=1e-6)  # the intercept is free


def test_ridge_has_parameters_that_a_grid_search_can_set():
    estimator = MoEClassifier(penalty=Ridge())
    assert estimator.set_params(penalty__alpha=0.5).penalty.alpha == 0.5
    assert repr(Ridge(0.1)) == "Ridge(alpha=0.1)"


def test_modified_gates_count_slopes_of_the_transformed_columns():
    model = MixtureOfExperts(ModifiedSoftmaxGate().build(2), Poisson(), 2, D)
    A = Ridge(1.0).build(model, Units(np.zeros(D), np.array([3.0, 0.1]))).gate
    np.testing.assert_allclose(A, np.diag([0.5, 0.5, 0.0]))


def test_likelihood_of_a_fit_is_not_penalised():
    X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
    moe = MoEClassifier(1, penalty=Ridge(0.1)).fit(X, y)
    assert moe.likelihood(X, y).value(moe.theta_) == pytest.approx(moe.loglik_, rel=1e-12)
    assert moe.likelihood(X, y).penalty is None


@pytest.mark.parametrize("penalty", [Ridge(0.05), Lasso(0.05), ElasticNet(0.05)])
def test_the_table_of_runs_has_both_log_likelihoods(penalty):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    y = np.where(rng.random(200) < 0.5, 1 + X[:, 0], -1 - X[:, 0]) + 0.3 * rng.standard_normal(200)
    fit = MoERegressor(2, penalty=penalty, n_init=2, random_state=0).fit(X, y, 2 * np.ones(200))
    top, runs = fit.init_results_.iloc[0], fit.init_results_
    assert top.loglik == pytest.approx(fit.loglik_, rel=1e-9)
    assert top.objective == pytest.approx(fit.objective_, rel=1e-12)
    assert np.all(runs.objective < runs.loglik)
    np.testing.assert_allclose([history[-1] for history in runs.history], runs.objective, rtol=1e-9)
    assert "objective" not in MoERegressor(1).fit(X, y).init_results_


def test_other_rows_have_their_own_weight():
    likelihood, theta = case()
    few = likelihood.on(likelihood.rows.take(np.arange(10)))
    share = few.total_weight / likelihood.total_weight
    np.testing.assert_allclose(penalty(few, theta), share * penalty(likelihood, theta), rtol=1e-9)
    assert replace(likelihood.rows, weight=None, _cache=[]).total_weight == N


def test_an_expert_that_the_penalty_empties_is_named():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (200, 2))
    y = (X[:, 0] > 0).astype(int)
    moe = MoEClassifier(2, gate=LaplaceGate(), penalty=Ridge(0.05), n_init=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match="Expert 1 has no rows: the penalised likelihood is largest without it"):
        moe.fit(X, y)
    assert moe.certificate_["kind"] == "limit" and np.abs(moe.gate_center_).max() < 3
    one = MoEClassifier(1, penalty=Ridge(0.05)).fit(X, y)
    np.testing.assert_allclose(moe.predict_proba(X), one.predict_proba(X), atol=1e-6)
