"""One variance for all experts and slopes penalised in units of the response, as in the R package RMoE."""

import numpy as np
import pytest
from brute_lasso import climb
from sklearn.linear_model import Lasso as SklearnLasso

from moegate import ElasticNet, GroupLasso, Lasso, MoEClassifier, MoERegressor, MoERegressorCV, infer, lasso_path
from moegate.blocks import Rows, Units
from moegate.bootstrap import bootstrap
from moegate.experts import Gaussian
from moegate.gates import SoftmaxGate
from moegate.likelihood import Likelihood
from moegate.model import MixtureOfExperts
from moegate.sparse import Problem

RMOE = {"scaled": False, "reference": "last", "standardize": False}
SLOPES = np.array([(0, 1.5, 0, 0, 0, 1), (1, -1.5, 0, 0, 2, 0)], dtype=float)


def design(seed, n=300):
    """The simulated Gaussian design of Huynh and Chamroukhi (arXiv:1907.06994), and the truth's responsibilities."""
    rng, at = np.random.default_rng(seed), np.arange(6)
    X = rng.multivariate_normal(np.zeros(6), 0.5 ** np.abs(at[:, None] - at), n)
    pi = 1 / (1 + np.exp(-(1 + X @ [2, 0, 0, -1, 0, 0])))
    expert = (rng.random(n) > pi).astype(int)
    y = np.sum(X * SLOPES[expert], axis=1) + rng.standard_normal(n)
    joint = np.stack([pi, 1 - pi], axis=1) * np.exp(-0.5 * (y[:, None] - X @ SLOPES.T) ** 2)
    return X, y, joint / joint.sum(axis=1, keepdims=True)


def model(alpha=5 / 300, **options):
    return MoERegressor(2, variance="shared", penalty=Lasso(alpha, **RMOE), n_init=5, random_state=0, **options)


@pytest.mark.parametrize("seed", range(5))
def test_at_least_as_high_as_slow_coordinate_descent(seed):
    """Raw penalties lambda = gamma = 5 on 300 rows; starts of the descent: the truth, chance, and the fit."""
    X, y, truth = design(seed)
    moe = model().fit(X, y)
    random = np.random.default_rng(seed).dirichlet([1, 1], len(y))
    slow = max(climb(X, y, resp, 5.0, 5.0) for resp in (truth, random, moe.responsibilities(X, y)))
    assert moe.objective_ >= slow - 1e-10
    assert moe.objective_ == pytest.approx(slow, abs=1e-3)  # the descent stops a little below the same maximum
    assert moe.certificate_["kkt"] <= 1e-6 / 300 and moe.certificate_["kind"] == "interior"
    assert moe.sigma_[0] == moe.sigma_[1]
    assert np.all(np.diff(moe.objective_history_) >= 0)


@pytest.mark.parametrize("shared", [True, False], ids=["raw", "tied"])
@pytest.mark.parametrize("K", [2, 3])
def test_derivatives_by_the_coordinates_are_those_of_differences(shared, K):
    X, y, _ = design(0)
    family = MixtureOfExperts(SoftmaxGate().build(K), Gaussian(shared=True), K, 6)
    units = Units(np.zeros(6), np.full(6, 2.0), 0.3, 1.5)
    likelihood = Likelihood(family, Rows(X, y, None, units))
    built = Lasso(1.0, scaled=not shared).build(family, units)
    problem = Problem(likelihood, built, tuple(range(6)), tuple(range(6)))
    u = 0.2 * np.random.default_rng(0).standard_normal(len(built.weights))
    u[built.plus[-1]] = 1.3
    at, h = problem.expand(u), 1e-5
    for i in range(len(u)):
        step = h * np.eye(len(u))[i]
        up, down = problem.expand(u + step), problem.expand(u - step)
        assert at.score[i] == pytest.approx((up.value - down.value) / (2 * h), rel=1e-6, abs=1e-8)
        np.testing.assert_allclose(-at.hessian[i], (up.score - down.score) / (2 * h), rtol=1e-5, atol=1e-7)
    assert np.linalg.eigvalsh(at.information).min() > -1e-12
    np.testing.assert_allclose(built.theta(built.coordinates(built.theta(u))), built.theta(u), rtol=1e-12)


def test_scales_that_differ_become_one():
    family = MixtureOfExperts(SoftmaxGate().build(2), Gaussian(shared=True), 2, 1)
    built = Lasso(1.0, scaled=False).build(family, Units.identity(1))
    u = built.coordinates(np.array([0.1, 0.2, 2.0, 4.0, 2.0, -3.0, 1.0, 1.0]))
    theta = built.theta(u)
    sigma = np.sqrt((0.5**2 + 1) / 2)
    np.testing.assert_allclose(theta[2:] * sigma, [1, 2, 1, -3, 1, 1])


def test_one_expert_is_the_lasso():
    X, y, _ = design(1)
    moe = MoERegressor(1, variance="shared", penalty=Lasso(0.1, **RMOE)).fit(X, y)
    peer = SklearnLasso(alpha=0.1 * moe.sigma_[0] ** 2, tol=1e-12, max_iter=100_000).fit(X, y)
    np.testing.assert_allclose(moe.coef_[0], peer.coef_, atol=1e-6)
    assert moe.sigma_[0] == pytest.approx(np.std(y - peer.predict(X)), rel=1e-6)


def test_strength_zero_is_maximum_likelihood_with_one_variance():
    """Against EM in plain numpy without a penalty, and below the fit with free variances by a chi-square of one."""
    X, y, truth = design(2)
    none, free = model(0.0).fit(X, y), MoERegressor(2, n_init=5, random_state=0).fit(X, y)
    assert none.loglik_ == pytest.approx(climb(X, y, truth, 0.0, 0.0), abs=1e-4)
    assert free.loglik_ - 8 < none.loglik_ < free.loglik_
    assert none.dof_ == free.dof_ - 1
    scaled = MoERegressor(2, variance="shared", penalty=Lasso(0.0), n_init=5, random_state=0).fit(X, y)
    assert scaled.loglik_ == pytest.approx(none.loglik_, abs=1e-6)


def test_a_large_strength_leaves_intercepts_alone():
    X, y, _ = design(3)
    one = MoERegressor(1, variance="shared", penalty=Lasso(50.0, **RMOE)).fit(X, y)
    assert not one.coef_.any() and one.columns_ == ()
    assert one.intercept_[0] == pytest.approx(y.mean()) and one.sigma_[0] == pytest.approx(y.std())


@pytest.mark.parametrize("unit", [100.0, 0.01])
def test_units_of_the_response_matter_as_they_must(unit):
    """Slopes in other units are that many times larger: the strength of the experts has to be as many times smaller."""
    X, y, _ = design(4)
    expected = model().fit(X, y)
    penalty = Lasso(5 / 300 / unit, gate_alpha=5 / 300, **RMOE)
    found = MoERegressor(2, variance="shared", penalty=penalty, n_init=5, random_state=0).fit(X, unit * y)
    np.testing.assert_allclose(found.coef_, unit * expected.coef_, rtol=1e-5, atol=1e-7 * unit)
    np.testing.assert_allclose(found.gate_coef_, expected.gate_coef_, atol=1e-5)


def test_groups_and_weights():
    X, y, _ = design(0)
    weight = np.random.default_rng(0).integers(0, 3, 300)
    given = {"variance": "shared", "n_init": 3, "random_state": 0, "penalty": GroupLasso(0.05, scaled=False)}
    moe = MoERegressor(2, **given).fit(X, y, sample_weight=weight)
    again = MoERegressor(2, **given).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert moe.certificate_["kkt"] <= 1e-8 and again.objective_ == pytest.approx(moe.objective_, abs=1e-6)
    on = moe.coef_ != 0
    np.testing.assert_array_equal(on[0], on[1])


def test_path_refit_and_choice():
    X, y, _ = design(0)
    path = lasso_path(model(), X, y, n_alphas=8, eps=0.01)
    assert not path.coef[0].any() and path.n_nonzero[0] == 4 and path.kkt.max() < 1e-8  # gate, two intercepts, scale
    refit = path.estimator()
    assert refit.sigma_[0] == pytest.approx(refit.sigma_[1], rel=1e-10)
    assert np.all(refit.coef_[:, 1] != 0) and refit.dof_ == path.n_nonzero[path.best()]
    with pytest.warns(UserWarning, match="same rows"):
        assert np.isfinite(infer(refit, X, y).bse).any()
    cv = MoERegressorCV(
        2, variance="shared", penalty=Lasso(**RMOE), criterion="relaxed_bic", alphas=5, n_init=2, random_state=0
    ).fit(X, y)
    assert cv.sigma_[0] == pytest.approx(cv.sigma_[1], rel=1e-10)


def test_no_bootstrap_of_a_choice_of_columns():
    X, y, _ = design(0)
    with pytest.raises(ValueError, match="bootstrap expects a fit whose columns stay the same"):
        bootstrap(model().fit(X, y), X, y, n_boot=2)


def test_refusals():
    X, y, _ = design(0)
    for given, message in [
        ({"variance": "equal"}, 'variance expects "free" or "shared", got \'equal\''),
        ({"variance": "shared"}, r"expects a lasso, got penalty=None; .* pass penalty=Lasso\(0\)"),
        ({"variance": "shared", "penalty": "ridge"}, "expects a lasso"),
        ({"variance": "shared", "experts": "poisson", "penalty": Lasso()}, "is for Gaussian experts"),
        ({"penalty": Lasso(scaled=False)}, 'pass variance="shared", or scaled=True'),
    ]:
        with pytest.raises(ValueError, match=message):
            MoERegressor(2, **given).fit(X, np.abs(y).round())
    with pytest.raises(ValueError, match="fewer columns than rows, got 6 and 6"):
        model().fit(X[:6], y[:6])
    assert "scaled" not in ElasticNet().get_params()
    labels = y > 0
    same = [MoEClassifier(2, penalty=Lasso(0.005, scaled=s), n_init=2, random_state=0).fit(X, labels) for s in (0, 1)]
    assert same[0].objective_ == same[1].objective_  # classes have no scale
