"""Gates with exact zeros, top-K and sparsemax, and the continuation that fits them."""

import pickle
import tracemalloc
import warnings
from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.datasets import load_diabetes
from test_likelihood import assert_close, differences

from moegate import MoERegressor, SoftmaxGate, SparsemaxGate, TopKGate
from moegate._kernels import pairs_of
from moegate.blocks import Rows, Units
from moegate.experts import Gaussian
from moegate.gates import Affine, Gate, Laplace, Slopes, SoftSparsemax, SoftTopK, Sparsemax, TopK
from moegate.likelihood import Likelihood
from moegate.model import MixtureOfExperts
from moegate.solvers import Continuation, Newton, continuation

LINKS = {
    "top 1 of 3": TopK(1),
    "top 2 of 4": TopK(2),
    "sparsemax": Sparsemax(),
    "soft top 2": SoftTopK(4, 2, 0.3),
    "soft top 1": SoftTopK(4, 1, 0.8),
    "soft corners": SoftSparsemax(0.2),
}
SOFT = [name for name in LINKS if LINKS[name].smooth]


def scores(K=4, B=200, seed=0, scale=1.0):
    S = scale * np.random.default_rng(seed).standard_normal((K, B))
    S[-1] = 0.0
    return S


def target(link, K=4, d=2, n=120, scores_of=Affine):
    rng = np.random.default_rng(1)
    model = MixtureOfExperts(Gate(scores_of(), link), Gaussian(1.0), K, d)
    experts = np.column_stack([rng.normal(size=(K, d + 1)), rng.uniform(0.5, 2, K)])
    rows = Rows(rng.standard_normal((n, d)), rng.standard_normal(n), rng.uniform(0.5, 2, n), Units.identity(d))
    return Likelihood(model, rows), model.join(rng.normal(size=(K - 1, d + 1)), experts)


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e3])
def test_probabilities_lie_on_the_simplex(name, scale):
    S = scores(scale=scale)
    L, P, total = LINKS[name].parts(S, 3)
    assert P.min() >= 0 and total is None or np.all(total > 0)
    np.testing.assert_allclose(P.sum(axis=0), 1, atol=1e-12)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(np.exp(LINKS[name](S)), P, atol=1e-12)


def test_top_k_is_the_softmax_of_the_largest():
    S = scores()
    P = TopK(2).parts(S, 3)[1]
    for column, p in zip(S.T, P.T, strict=True):
        best = np.argsort(-column)[:2]
        expected = np.zeros(4)
        expected[best] = np.exp(column[best]) / np.exp(column[best]).sum()
        np.testing.assert_allclose(p, expected, atol=1e-14)


def test_ties_select_exactly_k():
    P = TopK(2).parts(np.zeros((5, 3)), 4)[1]
    np.testing.assert_allclose(P, np.array([0.5, 0.5, 0, 0, 0])[:, None] * np.ones(3), rtol=1e-15)


def test_sparsemax_is_the_nearest_point_of_the_simplex():
    for column in scores(3, 5, scale=0.7).T:
        found = minimize(
            lambda p, s=column: np.sum((p - s) ** 2),
            np.full(3, 1 / 3),
            bounds=[(0, 1)] * 3,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
            tol=1e-14,
        ).x
        np.testing.assert_allclose(Sparsemax().parts(column[:, None], 2)[1][:, 0], found, atol=1e-6)


@pytest.mark.parametrize(
    ("soft", "hard"),
    [(SoftTopK(4, 2, 1e-5), TopK(2)), (SoftTopK(4, 1, 1e-5), TopK(1)), (SoftSparsemax(1e-5), Sparsemax())],
)
def test_soft_links_tend_to_the_sparse_ones(soft, hard):
    S = scores()
    np.testing.assert_allclose(soft.parts(S, 3)[1], hard.parts(S, 3)[1], atol=2e-4)


@pytest.mark.parametrize("name", LINKS)
def test_score_and_hessian_equal_differences(name):
    likelihood, theta = target(LINKS[name])
    value, score, hessian = likelihood.value_score_hessian(theta)
    assert value == likelihood.value(theta)
    assert_close(score, differences(likelihood.value, theta), 1e-6)
    assert_close(hessian, differences(lambda t: likelihood.value_and_score(t)[1], theta), 1e-6)


@pytest.mark.parametrize("name", LINKS)
def test_information_is_positive_semidefinite(name):
    likelihood, theta = target(LINKS[name])
    values = np.linalg.eigvalsh(likelihood.information(theta))
    assert values[0] > -1e-9 * values[-1]


def test_many_values_take_little_memory():
    likelihood, theta = target(TopK(2), n=8000)
    thetas = np.tile(theta, (300, 1))
    likelihood.values(thetas[:3])
    tracemalloc.start()
    likelihood.values(thetas)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # all at once would take 4 x 8000 x 300 numbers, 77 MB, several times over


@pytest.mark.parametrize("name", LINKS)
def test_a_stack_equals_its_members(name):
    likelihood, theta = target(LINKS[name])
    thetas = theta + 0.1 * np.random.default_rng(0).standard_normal((4, theta.size))
    values, following = likelihood.em_steps(thetas)
    for t, value, next_t in zip(thetas, values, following, strict=True):
        expected = likelihood.em_step(t)
        np.testing.assert_allclose(value, expected[0], rtol=1e-12)
        np.testing.assert_allclose(next_t, expected[1], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(likelihood.values(thetas), values, rtol=1e-12)


@pytest.mark.parametrize("name", SOFT)
def test_curvature_of_the_soft_links_at_extremes_is_finite(name):
    for S in (scores(scale=1e3), np.zeros((4, 3))):
        P = LINKS[name].parts(S, 3)[1]
        assert np.isfinite(LINKS[name].curvature(S, P, P, 3)).all()
        assert np.isfinite(np.swapaxes(LINKS[name].jac(S, P, 3), 1, 2)[P > 1e-12]).all()


def test_k_of_k_is_the_softmax_gate_and_k_of_one_leaves_the_scale():
    assert TopKGate(3).build(3) == SoftmaxGate().build(3)
    with pytest.warns(UserWarning, match="only the borders"):
        gate = TopKGate(1).build(3)
    coef = np.random.default_rng(0).standard_normal((2, 3))
    (direction,) = np.moveaxis(gate.flat(coef), -1, 0)
    np.testing.assert_allclose(direction, coef / np.linalg.norm(coef))
    assert np.linalg.norm(gate.gauge(coef)) == pytest.approx(1)
    distances = Gate(Laplace(), TopK(1))  # whose scale is that of x
    assert distances.flat(coef).shape[-1] == 0 and distances.gauge(coef) is coef


@pytest.mark.parametrize("k", [0, 4, 1.5, True, "two"])
def test_wrong_k_is_refused(k):
    with pytest.raises(ValueError, match="integer k between 1 and n_experts=3"):
        TopKGate(k).build(3)


def test_ranking_on_slopes_leaves_the_intercepts_out():
    with pytest.raises(ValueError, match="rank_on"):
        TopKGate(2, rank_on="size").build(3)
    likelihood, theta = target(TopK(2, "slope"), scores_of=Slopes)
    (block,) = likelihood.rows
    coef = likelihood.model.split(theta)[0]
    slopes = np.vstack([coef[:, :-1] @ block.V[:2], np.zeros(120)])
    P = np.exp(likelihood.model.log_gate(theta, block))
    np.testing.assert_array_equal(
        np.argsort(-slopes, axis=0)[:2].sum(axis=0), np.array([np.flatnonzero(p) for p in P.T]).sum(1)
    )
    with pytest.raises(ValueError, match="cannot compose"):
        Gate(Affine(), TopK(2, "slope")).build(4)


def test_ranking_on_slopes_sees_columns_in_user_units():
    likelihood, _ = target(TopK(2, "slope"), scores_of=Slopes)
    rng, model = np.random.default_rng(3), likelihood.model
    X, units = rng.normal(5, 3, (50, 2)), Units(np.array([5.0, 5.0]), np.array([3.0, 2.0]), 1.0, 2.0)
    theta = model.join(rng.normal(size=(3, 3)), np.column_stack([rng.normal(size=(4, 3)), np.ones(4)]))
    (user,), (scaled,) = (Rows(X, np.zeros(50), None, u) for u in (Units.identity(2), units))
    moved = model.to_scaled(theta, units)
    np.testing.assert_allclose(np.exp(model.log_gate(moved, scaled)), np.exp(model.log_gate(theta, user)), atol=1e-12)


@pytest.mark.parametrize("name", ["top 2 of 4", "sparsemax"])
def test_experts_have_no_order(name):
    likelihood, theta = target(LINKS[name])
    for order in permutations(range(4)):
        value = likelihood.value(likelihood.model.permute(theta, order))
        assert value == pytest.approx(likelihood.value(theta), abs=1e-9)


def test_gates_survive_pickle():
    for gate in (TopKGate(2), SparsemaxGate()):
        built = gate.build(4)
        assert pickle.loads(pickle.dumps(built)) == built


# fits ---------------------------------------------------------------------------------------------------------------

TOP = {"coef": [(-3, 0), (-1.5, 1)], "shift": [-2, 0, 2], "gate": TopKGate(2)}
CORNERS = {"coef": [(-0.8, 0), (0, 0.3)], "shift": [-2, 0, 2], "gate": SparsemaxGate()}


def drawn(truth, seed, n=1000):
    """Data from parallel lines under a gate, and the truth's theta."""
    rng, K = np.random.default_rng(seed), len(truth["shift"])
    model = MixtureOfExperts(truth["gate"].build(K), Gaussian(), K, 1)
    sigma = np.full(K, 0.4)
    experts = np.column_stack([np.ones(K), truth["shift"], np.ones(K)]) / sigma[:, None]
    theta = model.join(np.array(truth["coef"], dtype=float), experts)
    X = rng.uniform(-2, 2, (n, 1))
    (block,) = Rows(X, np.zeros(n), None, Units.identity(1), response=False)
    return X, model.sample(theta, block, rng), theta


@pytest.mark.parametrize("truth", [TOP, CORNERS], ids=["top_k", "sparsemax"])
@pytest.mark.parametrize("seed", [0, 1])
def test_cold_fits_reach_the_truth(truth, seed):
    X, y, theta = drawn(truth, seed)
    fit = MoERegressor(3, gate=truth["gate"], random_state=0).fit(X, y)
    likelihood = fit.likelihood(X, y)
    assert fit.loglik_ >= likelihood.value(theta)
    assert fit.loglik_ == pytest.approx(likelihood.value(fit.theta_), rel=1e-12)
    assert fit.certificate_["kind"] in ("interior", "border") and fit.converged_
    assert np.all(np.diff(fit.loglik_history_) >= -1e-9 * abs(fit.loglik_))
    gate = fit.predict_gate(X)
    np.testing.assert_allclose(gate.sum(axis=1), 1)
    assert np.any(gate == 0)


def test_em_alone_never_falls():
    X, y, _ = drawn(TOP, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        em = MoERegressor(3, gate=TopKGate(2), solver="em", random_state=0, n_init=2, max_iter=100).fit(X, y)
    assert np.all(np.diff(em.loglik_history_) >= -1e-9 * abs(em.loglik_))


def test_no_border_certificate_where_experts_are_at_a_saddle():
    """Equal experts on rows from two lines: no gate's jump holds them together."""
    X, y, truth = drawn(TOP, 0)
    likelihood = Likelihood(
        MixtureOfExperts(TopKGate(2).build(3), Gaussian(), 3, 1), Rows(X, y, None, Units.identity(1))
    )
    line = np.polyfit(X[:, 0], y, 1)
    equal = truth.copy()
    equal[4:] = np.tile([*line, 1.0], 3) / np.std(y - np.polyval(line, X[:, 0]))
    stands = Newton(max_iter=0).solve(likelihood, equal)
    assert stands.certificate["kind"] == "none" and likelihood.value(stands.theta) < likelihood.value(truth)
    assert continuation._certified(likelihood, stands, held=True).certificate["kind"] == "none"


def best_cut(x, y):
    """Log-likelihood of two normal regressions on the sides of the best cut of one column."""
    order, A = np.argsort(x), np.column_stack([np.ones(len(x)), x])

    def side(at):
        residual = y[at] - A[at] @ np.linalg.lstsq(A[at], y[at])[0]
        return -len(at) / 2 * (np.log(2 * np.pi * np.mean(residual**2)) + 1)

    return max(side(order[:i]) + side(order[i:]) for i in range(10, len(x) - 10))


@pytest.mark.filterwarnings("ignore:A top-K gate with k=1")
@pytest.mark.parametrize("seed", [5, 8])
def test_one_of_two_is_as_good_as_the_best_cut(seed):
    """Of data with a soft border, whose dense fit says little of where a hard border is best."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=200)
    y = np.where(x + 0.5 * rng.normal(size=200) > 0, 1 + x, -1 - x) + 0.5 * rng.normal(size=200)
    fit = MoERegressor(2, gate=TopKGate(1), n_init=4, random_state=0).fit(x[:, None], y)
    assert fit.loglik_ > best_cut(x, y) - 1


@pytest.mark.filterwarnings("ignore:A top-K gate with k=1")
def test_given_responsibilities_move_a_gate_that_selects_one():
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    X = X[["bmi"]]
    low = (X["bmi"] < 24.4).to_numpy(dtype=float)
    fit = MoERegressor(2, gate=TopKGate(1), init=np.column_stack([low, 1 - low])).fit(X, y)
    assert fit.loglik_ == pytest.approx(fit.score_samples(X, y).sum(), abs=1e-6)
    assert fit.loglik_ == pytest.approx(-2440.77968, abs=1e-3)


def test_a_gate_of_huge_scores_is_scaled_without_overflow():
    coef = np.array([[3e200, -4e200]])
    assert_close(TopK(1).gauge(coef, Affine()), np.array([[0.6, -0.8]]), 1e-12)


def test_parameters_that_nothing_is_known_of_stay():
    gate = Gate(Affine(), TopK(1))
    step = gate.m_step(np.array([3.0, 1.0]), np.diag([0.0, 2.0]), np.ones(2))
    assert_close(step, np.array([0.0, 0.5]), 1e-6)


def test_one_of_two_finds_the_border():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (500, 1))
    y = np.where(X[:, 0] > 0.3, 1 - X[:, 0], X[:, 0]) + 0.3 * rng.standard_normal(500)
    with pytest.warns(UserWarning, match="only the borders"):
        fit = MoERegressor(2, gate=TopKGate(1), random_state=0).fit(X, y)
    ends = np.sort(X[:, 0])
    chosen = fit.predict_gate(ends[:, None])
    assert set(np.unique(chosen)) == {0.0, 1.0}
    (border,) = np.flatnonzero(np.diff(chosen[:, 0]))
    assert ends[border] - 0.1 <= 0.3 <= ends[border + 1] + 0.1
    assert fit.dof_ == 2 * 3 + 1 and fit.certificate_["kind"] == "border"


@pytest.mark.parametrize(
    "gate", [TopKGate(2), TopKGate(2, "slope"), Gate(Laplace(), TopK(2)), Gate(Laplace(), TopK(1))]
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_fit_stands_at_its_theta_and_is_not_left_for_a_worse_one(gate):
    rng = np.random.default_rng(4)
    X = rng.standard_normal((150, 2))
    y = np.abs(X[:, 0]) + 0.5 * X[:, 1] + 0.5 * rng.standard_normal(150)
    fit = MoERegressor(3, gate=gate, n_init=2, random_state=0).fit(X, y)
    assert fit.loglik_ == pytest.approx(fit.score_samples(X, y).sum(), abs=1e-6)
    again = MoERegressor(3, gate=gate, init=fit.theta_, random_state=0).fit(X, y)
    assert again.loglik_ >= fit.loglik_ - 1e-6
    likelihood = fit.likelihood(X, y)
    if fit.certificate_["kind"] == "border":
        experts = np.arange(len(likelihood.gate_arguments), len(fit.theta_))
        for i in experts:
            for step in (1e-2, -1e-2, 1e-3, -1e-3):
                theta = fit.theta_ + step * np.eye(len(fit.theta_))[i]
                assert likelihood.value(theta) < fit.loglik_ + 0.01


@pytest.mark.parametrize("name", ["sparsemax", "top_k"])
def test_one_expert_needs_no_gate(name):
    X, y, _ = drawn(TOP, 0, 60)
    flat, sparse = (MoERegressor(1, gate=gate).fit(X, y) for gate in ("softmax", name))
    assert sparse.loglik_ == pytest.approx(flat.loglik_)


def test_a_rank_on_slopes_is_fitted():
    X, y, _ = drawn({**TOP, "gate": TopKGate(2, "slope"), "coef": [(-1.5, 0), (0.5, 1)]}, 0)
    fit = MoERegressor(3, gate=TopKGate(2, rank_on="slope"), random_state=0, n_init=4).fit(X, y)
    assert np.all(np.sum(fit.predict_gate(X) > 0, axis=1) == 2)


def test_the_path_ends_at_the_likelihood_itself():
    likelihood, theta = target(TopK(2))
    path = likelihood.path()
    assert path[-1] is likelihood and path[0].model.gate == SoftmaxGate().build(4)
    assert all(stage.rows is likelihood.rows for stage in path)
    smooth, start = target(SoftmaxGate().build(4).link)
    ends = [solver.solve(smooth, start).loglik for solver in (Continuation(), Newton())]
    assert ends[0] == ends[1]


def test_many_subsets_take_the_short_path():
    assert [link.k for link in TopK(8).path(20)] == list(range(20, 7, -1))


def test_pairs_of_curvature_are_listed_like_the_others():
    S = scores()
    P = Sparsemax().parts(S, 3)[1]
    assert Sparsemax().curvature(S, P, P, 3).shape[0] == len(pairs_of(3)[0])


@pytest.mark.parametrize("columns", [[], [2]])
@pytest.mark.filterwarnings("ignore")
def test_one_of_two_needs_no_columns(columns):
    X = np.random.default_rng(0).uniform(-2, 2, (200, 3))
    X[:, 2] = 1.0
    fit = MoERegressor(2, gate=TopKGate(1), gate_features=columns, n_init=2, random_state=0).fit(
        X, X[:, 1] + X[:, 0] ** 2
    )
    assert np.isfinite(fit.loglik_)
