"""Lasso, elastic net, group lasso: against scikit-learn, the conditions of a maximum, and slow descent."""

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet as SklearnElasticNet
from sklearn.linear_model import Lasso as SklearnLasso
from sklearn.linear_model import LogisticRegression

from moegate import ElasticNet, GroupLasso, LaplaceGate, Lasso, MoEClassifier, MoERegressor, Ridge, infer, lasso_path
from moegate.blocks import Rows, Units
from moegate.datasets import load_engel
from moegate.experts import Gaussian
from moegate.experts.multinomial import Multinomial
from moegate.gates import SoftmaxGate
from moegate.model import MixtureOfExperts
from moegate.solvers.proximal import Proximal, damped


@pytest.fixture(scope="module")
def data():
    """Standardised columns, a response of two experts, and its first half as one."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 12))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    first = rng.random(200) < 1 / (1 + np.exp(-2 * X[:, 1]))
    y = np.where(first, 1 + 1.5 * X[:, 0] - X[:, 2], -1 - 1.5 * X[:, 0] + X[:, 4]) + 0.5 * rng.standard_normal(200)
    return X, 1.5 * X[:, 0] - X[:, 3] + rng.standard_normal(200), y


@pytest.mark.parametrize("alpha", [0.3, 0.05, 0.01])
def test_one_expert_is_the_lasso(data, alpha):
    X, y, _ = data
    moe = MoERegressor(1, penalty=Lasso(alpha)).fit(X, y)
    peer = SklearnLasso(alpha=alpha * moe.sigma_[0], tol=1e-12, max_iter=100_000).fit(X, y)
    np.testing.assert_allclose(moe.coef_[0], peer.coef_, atol=1e-6)
    assert moe.intercept_[0] == pytest.approx(peer.intercept_) and moe.certificate_["kkt"] < 1e-8
    np.testing.assert_array_equal(moe.coef_[0] == 0, peer.coef_ == 0)


def test_one_expert_is_the_elastic_net(data):
    X, y, _ = data
    moe = MoERegressor(1, penalty=ElasticNet(0.1, l1_ratio=0.4)).fit(X, y)
    l1, l2 = 0.1 * 0.4 * moe.sigma_[0], 0.1 * 0.6
    peer = SklearnElasticNet(alpha=l1 + l2, l1_ratio=l1 / (l1 + l2), tol=1e-12, max_iter=100_000).fit(X, y)
    np.testing.assert_allclose(moe.coef_[0], peer.coef_, atol=1e-6)


@pytest.mark.parametrize("C", [0.1, 1.0])
def test_one_expert_is_a_logistic_lasso(data, C):
    X, y, _ = data
    for labels in (y > 0, np.digitize(y, [-1, 1])):
        peer = LogisticRegression(l1_ratio=1, C=C, solver="saga", tol=1e-9, max_iter=100_000).fit(X, labels)
        moe = MoEClassifier(1, penalty=Lasso(1 / (200 * C))).fit(X, labels)
        mine = moe.coef_[0, 1:] - moe.coef_[0, :1]
        theirs = peer.coef_ if len(peer.coef_) == 1 else peer.coef_[1:] - peer.coef_[:1]
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_strength_zero_is_maximum_likelihood(data):
    X, _, y = data
    free = MoERegressor(2, n_init=3, random_state=0).fit(X, y)
    none = MoERegressor(2, penalty=Lasso(0.0), n_init=3, random_state=0).fit(X, y)
    assert none.loglik_ == pytest.approx(free.loglik_, abs=1e-6)
    np.testing.assert_allclose(none.coef_, free.coef_, atol=1e-4)


@pytest.mark.parametrize("given", [{}, {"variance": "shared"}])
@pytest.mark.parametrize("penalty", [Lasso(0.0), GroupLasso(0.0)])
def test_strength_zero_keeps_every_column(penalty, given):
    """More columns than those on which starts compete."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 30))
    y = X @ (0.3 * rng.standard_normal(30)) + rng.standard_normal(200)
    free, none = MoERegressor(1).fit(X, y), MoERegressor(1, penalty=penalty, **given).fit(X, y)
    assert none.loglik_ == pytest.approx(free.loglik_, abs=1e-8) and none.dof_ == free.dof_


def test_strength_zero_counts_what_is_identified(data):
    X, labels, y = data
    given = {"n_init": 2, "random_state": 0}
    three = MoERegressor(3, penalty=Lasso(0.0), variance="shared", **given).fit(X[:, :2], y)
    assert three.dof_ == 2 * 3 + 3 * 3 + 1
    classes = MoEClassifier(1, penalty=Lasso(0.0)).fit(X, np.digitize(y, [-1, 1]))
    assert classes.certificate_["kind"] == "interior" and classes.dof_ == 2 * (X.shape[1] + 1)


def test_a_large_strength_leaves_intercepts_alone(data):
    X, y, _ = data
    one = MoERegressor(1, penalty=Lasso(5.0)).fit(X, y)
    assert not one.coef_.any() and one.columns_ == ()
    assert one.intercept_[0] == pytest.approx(y.mean()) and one.sigma_[0] == pytest.approx(y.std())
    empty = MoERegressor(2, penalty=Lasso(5.0), n_init=3, random_state=0)
    plain = MoERegressor(2, gate_features=[], expert_features=[], n_init=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert empty.fit(X, y).loglik_ == pytest.approx(plain.fit(X, y).loglik_, abs=1e-4)
    assert not empty.coef_.any() and not empty.gate_coef_.any()


PENALTIES = [
    Lasso(0.02),
    Lasso(0.05, gate_alpha=0.01),
    ElasticNet(0.03),
    GroupLasso(0.02),
    Lasso(0.02, standardize=False),
]


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
@pytest.mark.parametrize("K", [2, 3])
def test_the_conditions_of_a_maximum_hold_and_the_objective_never_falls(data, penalty, K):
    X, _, y = data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        moe = MoERegressor(K, penalty=penalty, n_init=2, random_state=0).fit(X * np.arange(1, 13), y)
    assert np.all(np.diff(moe.objective_history_) >= -1e-9)
    found, spike = moe.certificate_, moe.init_results_["degenerate"].iloc[0]
    if found["kind"] == "interior":
        assert found["kkt"] < 1e-6 and found["min_eigenvalue"] > 0 and found["slack"] > 0
    assert moe.objective_ <= moe.loglik_ and (K == 3 or found["kind"] == "interior")
    assert found["kind"] in ("interior", "limit") or spike  # no start had three sound experts


def objective(moe, X, y, alpha, theta):
    """Mean log-likelihood less the lasso in plain numpy for K = 2; theta is the gate, then (a, c, 1) / sigma."""
    d = X.shape[1]
    gate, experts = theta[: d + 1], theta[d + 1 :].reshape(2, d + 2)
    if experts[:, -1].min() <= 0:
        return -np.inf
    Z = np.column_stack([X, np.ones(len(X))])
    scores = np.column_stack([Z @ gate, np.zeros(len(X))])
    log_pi = scores - np.logaddexp(scores[:, :1], scores[:, 1:])
    z = np.outer(y, experts[:, -1]) - Z @ experts[:, :-1].T
    joint = log_pi + np.log(experts[:, -1]) - 0.5 * z**2 - 0.5 * np.log(2 * np.pi)
    return np.mean(np.logaddexp(joint[:, 0], joint[:, 1])) - alpha * (
        np.abs(gate[:d]).sum() + np.abs(experts[:, :d]).sum()
    )


def test_no_worse_than_slow_descent(data):
    """The objective in plain numpy, split into positive and negative parts and climbed by bounded quasi-Newton."""
    X, _, y = data
    alpha = 0.05
    moe = MoERegressor(2, penalty=Lasso(alpha), n_init=3, random_state=0).fit(X, y)
    gate = np.append(moe.gate_coef_[0] - moe.gate_coef_[1], moe.gate_intercept_[0] - moe.gate_intercept_[1])
    experts = np.column_stack([moe.coef_, moe.intercept_, np.ones(2)]) / moe.sigma_[:, None]
    theta = np.concatenate([gate, experts.ravel()])
    value = objective(moe, X, y, alpha, theta)
    assert value == pytest.approx(moe.objective_ / len(y), abs=1e-9)

    def negative(v):
        return -objective(moe, X, y, alpha, v[: len(v) // 2] - v[len(v) // 2 :])

    rng = np.random.default_rng(0)
    for scale in (0.0, 0.3):
        start = theta + scale * rng.standard_normal(len(theta)) * (theta != 0)
        parts = np.concatenate([np.maximum(start, 0), np.maximum(-start, 0)])
        slow = minimize(negative, parts, method="L-BFGS-B", bounds=[(0, None)] * len(parts), options={"maxfun": 40_000})
        assert value >= -slow.fun - 1e-7
    for i in np.flatnonzero(theta == 0):  # a zero is better than its neighbours
        for step in (-1e-4, 1e-4):
            assert objective(moe, X, y, alpha, theta + step * np.eye(len(theta))[i]) < value


def test_more_columns_than_rows():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((120, 400))
    first = rng.random(120) < 1 / (1 + np.exp(-3 * X[:, 1]))
    y = np.where(first, 2 + 2 * X[:, 0], -2 - 2 * X[:, 3]) + 0.5 * rng.standard_normal(120)
    moe = MoERegressor(2, penalty=Lasso(0.12), n_init=3, random_state=0).fit(X, y)
    assert moe.certificate_["kind"] == "interior" and moe.certificate_["kkt"] < 1e-6
    found = set(np.flatnonzero(moe.coef_.any(axis=0)).tolist())
    assert {0, 3} <= found and len(found) < 15 and moe.coef_.shape == (2, 400)
    assert (
        moe.dof_
        == moe.certificate_["n_nonzero"]
        == 5 + np.count_nonzero(moe.coef_) + np.count_nonzero(moe.gate_coef_[0])
    )
    assert moe.predict(X[:3]).shape == (3,) and moe.score(X, y) > 0.6
    relaxed = MoERegressor(2, init=moe.responsibilities(X, y), expert_features=sorted(found), gate_features=[1]).fit(
        X, y
    )
    assert relaxed.loglik_ > moe.loglik_
    with pytest.raises(ValueError, match="without a penalty"):
        infer(moe, X, y)


def test_responsibilities_are_a_start_with_many_columns():
    """More columns than starts are tried on."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((150, 40))
    first = rng.random(150) < 0.5
    y = np.where(first, 2 + 2 * X[:, 0], -2 - 2 * X[:, 3]) + 0.5 * rng.standard_normal(150)
    given = np.column_stack([first, ~first]).astype(float)
    moe = MoERegressor(2, penalty=Lasso(0.1), init=given).fit(X, y)
    auto = MoERegressor(2, penalty=Lasso(0.1), n_init=3, random_state=0).fit(X, y)
    assert moe.objective_ == pytest.approx(auto.objective_, abs=1e-5)


def test_groups_enter_together(data):
    X, _, y = data
    moe = MoERegressor(2, penalty=GroupLasso(0.05), n_init=3, random_state=0).fit(X, y)
    used = moe.coef_ != 0
    np.testing.assert_array_equal(used[0], used[1])
    assert 0 < used[0].sum() < 12


def test_the_order_of_experts_and_classes_does_not_matter(data):
    X, y, mixed = data
    moe = MoERegressor(3, penalty=Lasso(0.05), n_init=3, random_state=0)
    labels = np.digitize(y, [-1, 1])
    one = MoEClassifier(1, penalty=Lasso(0.01)).fit(X, labels)
    other = MoEClassifier(1, penalty=Lasso(0.01)).fit(X, 2 - labels)
    np.testing.assert_allclose(one.coef_[0], other.coef_[0, ::-1], atol=1e-6)
    model = MixtureOfExperts(SoftmaxGate().build(3), Gaussian(), 3, 4)
    built = Lasso(1.0).build(model, Units.identity(4))
    theta = np.random.default_rng(0).standard_normal(model.n_params)
    value = built.value(built.coordinates(theta))
    for order in ([1, 0, 2], [2, 0, 1]):
        assert built.value(built.coordinates(model.permute(theta, order))) == pytest.approx(value)
    assert np.allclose(built.theta(built.coordinates(theta)), theta)
    assert moe.penalty.alpha == 0.05 and mixed is not None


def test_the_symmetric_penalty_is_the_smallest_over_translations():
    model = MixtureOfExperts(SoftmaxGate().build(4), Multinomial(3), 4, 2)
    built = Lasso(1.0, gate_alpha=2.0).build(model, Units.identity(2))
    theta = np.random.default_rng(0).standard_normal(model.n_params)
    gate, experts = model.split(theta)
    rows = np.vstack([gate[:, :2], np.zeros((1, 2))])
    expected = 2 * sum(np.abs(rows[:, j] - np.median(rows[:, j])).sum() for j in range(2))
    classes = np.concatenate([experts.reshape(4, 2, 3)[..., :2], np.zeros((4, 1, 2))], axis=1)
    expected += np.abs(classes - np.median(classes, axis=1, keepdims=True)).sum()
    assert built.value(built.coordinates(theta)) == pytest.approx(expected)


def test_gradients_of_coordinates_are_those_of_differences(data):
    X, y, _ = data
    model = MixtureOfExperts(SoftmaxGate().build(3), Gaussian(), 3, 12)
    from moegate.likelihood import Likelihood

    likelihood = Likelihood(model, Rows(X, y, None, Units.identity(12)))
    built = Lasso(1.0).build(model, Units.identity(12))
    u = 0.1 * np.random.default_rng(0).standard_normal(len(built.weights))
    u[built.plus[-1]] = u[built.plus[-14 - 1]] = u[built.plus[-28 - 1]] = 1.0
    score = built.pull(likelihood.value_and_score(built.theta(u))[1], u)
    for i in (0, 5, len(u) - 1):
        step = 1e-5 * np.eye(len(u))[i]
        slope = (likelihood.value(built.theta(u + step)) - likelihood.value(built.theta(u - step))) / 2e-5
        assert score[i] == pytest.approx(slope, rel=1e-5, abs=1e-5)


def test_refusals(data):
    X, y, _ = data
    for given, message in [
        ({"penalty": Lasso(-1)}, "alpha expects"),
        ({"penalty": Lasso(reference="first")}, "reference expects"),
        ({"penalty": ElasticNet(l1_ratio=0)}, "l1_ratio expects"),
        ({"penalty": Lasso}, r"Lasso\(alpha\)"),
        ({"gate": LaplaceGate()}, "linear in its parameters"),
        ({"gate": "sparsemax"}, "smooth gate"),
        ({"solver": "newton"}, 'solver expects "auto" or "proximal"'),
        ({"init": np.zeros(5)}, "init expects"),
    ]:
        with pytest.raises(ValueError, match=message):
            MoERegressor(2, **({"penalty": Lasso(0.1), "n_init": 1} | given)).fit(X, y)
    assert not Ridge().sparse and MoERegressor(2, penalty="lasso", n_init=1, random_state=0).fit(X, y).coef_.shape == (
        2,
        12,
    )


@pytest.mark.parametrize("penalty", [Lasso(), GroupLasso(), Lasso(gate_alpha=0.005)], ids=repr)
def test_path(data, penalty):
    X, _, y = data
    path = lasso_path(MoERegressor(2, penalty=penalty, n_init=2, random_state=0), X, y, n_alphas=5)
    assert not path.coef[0].any() and not path.gate_coef[0].any() and path.coef[1].any() | path.gate_coef[1].any()
    assert np.all(path.kkt < 1e-6) and set(path.certificates) <= {"interior", "limit"}
    assert np.all(np.diff(path.objective) > -1e-9) and path.n_nonzero[0] == 5
    alone = MoERegressor(2, penalty=penalty.at(path.alphas[3]), n_init=3, random_state=0).fit(X, y)
    assert path.objective[3] >= alone.objective_ - 1e-6
    assert path.bic[3] == pytest.approx(alone.bic(X, y), abs=1e-3)
    np.testing.assert_allclose(path.coef[3], alone.coef_, atol=1e-5)


def test_path_of_classes_and_refusal(data):
    X, y, _ = data
    path = lasso_path(MoEClassifier(1, penalty=Lasso()), X, np.digitize(y, [-1, 1]), n_alphas=4)
    assert path.coef.shape == (4, 1, 3, 12) and not path.coef[0].any() and np.all(path.kkt < 1e-6)
    given = lasso_path(MoERegressor(1, penalty=Lasso()), X, y, alphas=[0.01, 0.1])
    assert given.alphas.tolist() == [0.1, 0.01]
    with pytest.raises(ValueError, match="lasso_path expects penalty"):
        lasso_path(MoERegressor(1), X, y)


def test_a_gate_that_empties_an_expert_leaves_the_inner_problem_convex():
    X, y = load_engel()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of others the first is an error
        path = lasso_path(MoERegressor(2, n_init=1, random_state=0, penalty=Lasso()), X, y, alphas=[0.01, 0.1, 0.3])
    assert np.all(path.kkt < 1e-6)


def test_an_expert_that_the_gate_empties_is_a_limit_in_any_units():
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(300, 3)) * [1, 20, 0.1] + [0, 100, 3]
    Z = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    y = np.argmax(Z + rng.gumbel(size=(300, 3)), axis=1)
    for X in (raw, Z):
        with pytest.warns(ConvergenceWarning, match="has no rows"):
            fit = MoEClassifier(3, penalty=Lasso(0.02), random_state=0, n_init=2).fit(X, y)
        assert fit.certificate_["kind"] == "limit" and fit.certificate_["gate_diverged"]


@pytest.mark.parametrize("left", [0.0, 1e-14, 1e-9])
def test_the_inner_quadratic_is_positive_in_units_of_its_diagonal(left):
    hessian, information = np.diag([1.0, 0.5, -1e-9]), np.diag([1.0, 1.0, left])
    for B in damped(hessian, information):
        size = np.sqrt(np.diag(B))
        assert np.diag(B).min() > 1e-14 and np.linalg.eigvalsh(B / np.outer(size, size))[0] > 0


@pytest.fixture(scope="module")
def path(data):
    return lasso_path(MoERegressor(2, penalty=Lasso(), n_init=2, random_state=0), data[0], data[2], n_alphas=8)


def test_a_refit_keeps_the_zeros_and_is_the_maximum_of_the_rest(data, path):
    """Against bounded quasi-Newton on the likelihood in plain numpy, whose zeros are held."""
    X, _, y = data
    moe = path.estimator(4)
    gate = np.append(moe.gate_coef_[0] - moe.gate_coef_[1], moe.gate_intercept_[0] - moe.gate_intercept_[1])
    theta = np.concatenate(
        [gate, (np.column_stack([moe.coef_, moe.intercept_, np.ones(2)]) / moe.sigma_[:, None]).ravel()]
    )
    np.testing.assert_array_equal(moe.coef_ == 0, path.coef[4] == 0)
    np.testing.assert_array_equal(moe.gate_coef_ == 0, path.gate_coef[4] == 0)
    bounds = [(None, None) if t else (0, 0) for t in theta]
    slow = minimize(lambda v: -objective(moe, X, y, 0.0, v), theta * 1.05, method="L-BFGS-B", bounds=bounds)
    assert objective(moe, X, y, 0.0, theta) >= -slow.fun - 1e-9
    assert 200 * objective(moe, X, y, 0.0, theta) == pytest.approx(moe.loglik_) == pytest.approx(path.relaxed_loglik[4])
    assert moe.certificate_["kind"] == "interior" and moe.dof_ == np.count_nonzero(theta)
    assert path.relaxed_bic[4] == pytest.approx(moe.bic(X, y))


def test_refits_climb_above_the_path_and_choose_fewer_columns(data, path):
    assert np.all(path.relaxed_loglik >= path.loglik - 1e-9)
    assert path.best() == np.argmin(path.relaxed_bic) and path.best("bic") == np.argmin(path.bic)
    assert path.n_nonzero[path.best()] < path.n_nonzero[path.best("bic")]
    chosen = path.estimator()
    truth = np.zeros((2, 12), dtype=bool)
    truth[0, [0, 2]] = truth[1, [0, 4]] = True
    used = chosen.coef_ != 0
    assert used[truth].all() or used[::-1][truth].all()
    assert chosen.penalty.alpha == path.alphas[path.best()]
    plain = path.estimator(3, relaxed=False)
    np.testing.assert_array_equal(plain.coef_, path.coef[3])
    assert plain.certificate_["kkt"] == path.kkt[3] and plain.predict(data[0]).shape == (200,)
    with pytest.raises(ValueError, match="criterion expects"):
        path.best("aic")
    with pytest.raises(ValueError, match="alphas expects"):
        lasso_path(MoERegressor(1, penalty=Lasso()), data[0], data[1], alphas=[-0.1])


@pytest.mark.parametrize("penalty", [Lasso(), GroupLasso(), Lasso(reference="last")], ids=repr)
def test_refits_of_three_experts_and_of_classes(data, penalty):
    """A gate or classes without a reference: a zero is one where the absolute values are least."""
    X, _, y = data
    labels = np.digitize(y, [-1, 1])
    for moe, response in (
        (MoERegressor(3, penalty=penalty, n_init=2, random_state=0), y),
        (MoEClassifier(1, penalty=penalty), labels),
    ):
        path = lasso_path(moe, X, response, n_alphas=4, eps=0.2)
        for at, (run, basis) in enumerate(path._relaxed):
            problem = path.knots[at].problem
            start = np.linalg.lstsq(basis, path.knots[at].run.theta)[0]
            np.testing.assert_allclose(basis @ start, path.knots[at].run.theta, atol=1e-12)
            assert np.linalg.matrix_rank(basis) == basis.shape[1]
            if not run.degenerate:
                assert run.loglik >= path.loglik[at] - 1e-9
                score = basis.T @ problem.likelihood.unpenalised().value_and_score(run.theta)[1]
                assert np.abs(score).max() < 0.02 or run.certificate["kind"] != "interior"


def test_a_refit_with_a_degenerate_expert_is_not_chosen():
    """Columns as many as the rows: the refit fits some rows exactly, and says nothing."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 60)), rng.standard_normal(40)
    path = lasso_path(MoERegressor(2, penalty=Lasso(), n_init=1, random_state=0), X, y, alphas=[0.6, 0.05])
    assert np.isnan(path.relaxed_loglik[-1]) and np.isinf(path.relaxed_bic[-1]) and path.best() == 0
    late = lasso_path(MoERegressor(2, penalty=Lasso(), n_init=1, random_state=0), X, y, alphas=[0.05, 0.04])
    with pytest.warns(UserWarning, match="Every refit"):
        assert late.best() == np.argmin(late.bic)


def test_slopes_chosen_among_many_columns_cost_more():
    """BIC of the refit falls with the number of columns that fit noise; the criterion does not."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 500))
    y = 2 * X[:, 0] + rng.standard_normal(100)
    path = lasso_path(MoERegressor(1, penalty=Lasso()), X, y, n_alphas=10, eps=0.1)
    free = np.array([basis.shape[1] for _, basis in path._relaxed])
    expected = -2 * path.relaxed_loglik + 2 * np.log(100) + 2 * np.log(500) * (free - 2)
    np.testing.assert_allclose(path.relaxed_bic, np.where(np.isnan(expected), np.inf, expected))
    plain = -2 * path.relaxed_loglik + np.log(100) * free
    assert np.flatnonzero(path.coef[path.best()][0]).tolist() == [0] and free[np.nanargmin(plain)] > 20


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_solver_for_a_lasso_may_meet_strength_zero():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (200, 2))
    y = X[:, 0] * np.sign(X[:, 1]) + 0.3 * rng.standard_normal(200)
    plain, *others = (
        MoERegressor(2, penalty=penalty, solver=solver, n_init=2, random_state=0).fit(X, y)
        for penalty, solver in ((None, "auto"), (Lasso(0), "proximal"), (Lasso(0), Proximal()))
    )
    assert [fit.loglik_ for fit in others] == [plain.loglik_] * 2
    with pytest.raises(ValueError, match="solver expects one of"):
        MoERegressor(2, solver=Proximal()).fit(X, y)
