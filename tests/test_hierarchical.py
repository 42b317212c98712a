"""Trees of gates: against direct computation, flat gates, differences, and what a tree may and may not permute."""

import pickle
from itertools import permutations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import norm
from sklearn.base import clone

from moegate import (
    CosineGate,
    DenseToSparseGate,
    GumbelGate,
    HierarchicalGate,
    LaplaceGate,
    MoERegressor,
    SigmoidGate,
    SoftmaxGate,
    SparsemaxGate,
    TopKGate,
)
from moegate.blocks import Rows, Units
from moegate.experts import Gaussian
from moegate.gates import Affine, Gate, Link, Softmax, Tempered
from moegate.gates.tree import TreeLink, TreeScores
from moegate.likelihood import Likelihood
from moegate.model import MixtureOfExperts
from moegate.solvers import EM

Tree = HierarchicalGate
SHAPES = {  # trees of softmax gates: branches within branches, 1 is a leaf
    "(2, 2)": ((1, 1), (1, 1)),
    "(2, 3)": ((1, 1), (1, 1, 1)),
    "(1, 3)": (1, (1, 1, 1)),
    "(1, 1, 1)": (1, 1, 1),
    "depth 3": ((1, (1, 1)), ((1, 1), (1, 1))),
}
MIXED = {
    "SL": (Tree(children=LaplaceGate(), branches=(2, 2)), 4),
    "LL": (Tree(LaplaceGate(), LaplaceGate(), (2, 1, 3)), 6),
    "four kinds": (Tree(SigmoidGate(), (LaplaceGate(), CosineGate(0.1), DenseToSparseGate(0.5)), (3, 2, 2)), 7),
    "tree of a tree": (Tree(LaplaceGate(), (Tree("softmax", LaplaceGate(), (1, 2)), "softmax"), (3, 2)), 5),
}


def leaves(shape):
    return 1 if shape == 1 else sum(map(leaves, shape))


def of_shape(shape):
    """The HierarchicalGate of softmax gates of a shape."""
    if all(part == 1 for part in shape):
        return SoftmaxGate()
    return Tree(children=tuple("softmax" if p == 1 else of_shape(p) for p in shape), branches=tuple(map(leaves, shape)))


SOFTMAX = {
    name: (Tree(branches=(1, 1, 1)) if name == "(1, 1, 1)" else of_shape(s), leaves(s)) for name, s in SHAPES.items()
}
SPARSE = Tree(TopKGate(2), (SparsemaxGate(), "softmax", "softmax"), (3, 2, 1))
CASES = SOFTMAX | MIXED
SMOOTH = CASES | {
    "Gumbel": (Tree(children=GumbelGate(0.7), branches=(2, 3)), 5),
    "softened": (SPARSE.build(6).path(6)[6], 6),
}
every_case = pytest.mark.parametrize("name", CASES)
every_smooth = pytest.mark.parametrize("name", SMOOTH)


def likelihood(gate, K, n=150, d=2, units=True):
    """A likelihood on weighted rows in blocks, and a random theta."""
    rng = np.random.default_rng([K, d])
    units = Units(rng.normal(size=d), rng.uniform(0.5, 2, d), 0.1, 2.0) if units else Units.identity(d)
    X, y, weight = 1.5 * rng.standard_normal((n, d)), rng.standard_normal(n), rng.uniform(0.2, 2, n)
    model = MixtureOfExperts(gate if isinstance(gate, Gate) else gate.build(K), Gaussian(), K, d)
    experts = np.column_stack([rng.normal(size=(K, d + 1)), rng.uniform(0.5, 2, K)])
    theta = model.join(rng.normal(size=model.gate_free.shape), experts)
    return Likelihood(model, Rows(X, y, weight, units, size=64)), theta


def case(name, **options):
    return likelihood(*SMOOTH[name], **options)


def scores_of(target, theta):
    """Scores S of the first block, gate probabilities P, responsibilities R, m."""
    model, block = target.model, next(iter(target.rows))
    coef = model.split(theta)[0]
    S = model.gate.scores(coef, block.design(model.gate_rows), model.n_experts)
    return S, np.exp(model.log_gate(theta, block)), target.responsibilities(theta)[: S.shape[1]].T, len(coef)


def differences(function, at, step=8e-4):
    """Central differences of order 4."""
    steps = step * np.eye(len(at))
    return np.array(
        [
            (8 * (function(at + h) - function(at - h)) - function(at + 2 * h) + function(at - 2 * h)) / (12 * step)
            for h in steps
        ]
    )


def assert_close(actual, expected, tolerance):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(1e-300, np.abs(expected).max()))


# what a tree is -------------------------------------------------------------------------------------------------------


def direct(shape, coef, Z):
    """log pi of a tree of softmax gates, (K, B); takes its rows from the list coef, root first."""
    if shape == 1:
        return np.zeros((1, Z.shape[1]))
    own = [coef.pop(0) for _ in shape[1:]]
    logs = log_softmax(np.vstack([row @ Z for row in own] + [np.zeros(Z.shape[1])]), axis=0)
    return np.vstack([log + direct(part, coef, Z) for log, part in zip(logs, shape, strict=True)])


@pytest.mark.parametrize("name", SHAPES)
def test_tree_of_softmax_gates_by_hand(name):
    target, theta = case(name, units=False)
    gate, experts = target.model.split(theta)
    Z = np.column_stack([target.rows.X, np.ones(target.rows.n_rows)]).T
    rows = list(gate)
    log_pi = direct(SHAPES[name], rows, Z)
    assert not rows
    sigma = 1 / experts[:, -1:]
    log_f = norm.logpdf(target.rows.y, sigma * (experts[:, :-1] @ Z), sigma)
    np.testing.assert_allclose(target.value(theta), target.rows.weight @ logsumexp(log_pi + log_f, axis=0), rtol=1e-12)
    np.testing.assert_allclose(target.responsibilities(theta), softmax(log_pi + log_f, axis=0).T, rtol=1e-9)


@every_smooth
def test_probabilities_are_products_along_the_path(name):
    target, theta = case(name)
    model, block = target.model, next(iter(target.rows))
    coef, design = model.split(theta)[0], block.design(model.gate_rows)
    pairs = zip(model.gate.scores.nodes, model.gate.link.nodes, strict=True)
    root, *nodes = [np.exp(b.gate.link(a.gate.scores(coef[a.own], design, a.K))) for a, b in pairs]
    expected = np.repeat(root, model.gate.scores.sizes, axis=0)
    for node, own in zip(model.gate.scores.nodes[1:], nodes, strict=True):
        expected[node.leaves] *= own
    pi = np.exp(model.log_gate(theta, block))
    np.testing.assert_allclose(pi, expected, rtol=1e-12)
    np.testing.assert_allclose(pi.sum(axis=0), 1, rtol=1e-13)
    S, P, _, m = scores_of(target, theta)
    L, probabilities, total = model.gate.link.parts(S, m)
    np.testing.assert_allclose(probabilities, P, rtol=1e-12)
    np.testing.assert_allclose(L - (0.0 if total is None else np.log(total)), np.log(P), rtol=1e-10, atol=1e-12)


def same(target, theta, other):
    """Two gates with the same parameters are the same in value, score, information and Hessian."""
    at, there = target.expand(theta), other.expand(theta)
    np.testing.assert_allclose(at.value, there.value, rtol=1e-13)
    for one, two in zip(at[1:], there[1:], strict=True):
        assert_close(one, two, 1e-12)
    np.testing.assert_allclose(target.em_step(theta)[1], other.em_step(theta)[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [SoftmaxGate(), LaplaceGate(), SigmoidGate()], ids=str)
@pytest.mark.parametrize("K", [2, 3])
def test_branches_of_one_leaf_are_the_root_and_one_branch_is_its_gate(kind, K):
    target, theta = likelihood(Tree(root=kind, branches=(1,) * K), K)
    same(target, theta, likelihood(kind, K)[0])
    parts = SoftmaxGate().build(1), (kind.build(K),), (K,)
    target, theta = likelihood(Gate(TreeScores(*parts), TreeLink(*parts)), K)
    same(target, theta, likelihood(kind, K)[0])
    assert Tree(children=kind, branches=(K,)).build(K) == kind.build(K)


def test_one_expert_has_no_gate():
    for gate in (Tree(), Tree(LaplaceGate(), LaplaceGate()), Tree(branches=(1,))):
        target, theta = likelihood(gate, 1)
        assert target.model.n_gate == 0
        same(target, theta, likelihood(SoftmaxGate(), 1)[0])


@pytest.mark.parametrize(("K", "sizes"), [(2, (1, 1)), (3, (2, 1)), (4, (2, 2)), (7, (4, 3))])
def test_two_branches_as_equal_as_can_be(K, sizes):
    assert Tree().build(K) == Tree(branches=sizes).build(K) == Tree(branches=list(sizes)).build(K)


def test_a_tempered_tree_is_a_tree_of_tempered_gates():
    tempered = DenseToSparseGate(0.5)
    inner = Tree(branches=(2, 2)).build(4)
    target, theta = likelihood(Gate(inner.scores, Tempered(inner.link, 0.5)).build(4), 4)
    same(target, theta, likelihood(Tree(tempered, tempered, (2, 2)), 4)[0])


# derivatives ----------------------------------------------------------------------------------------------------------


@every_smooth
def test_score_and_hessian_equal_differences(name):
    target, theta = case(name)
    value, score, hessian = target.value_score_hessian(theta)
    assert_close(score, differences(target.value, theta), 1e-7)
    assert_close(hessian, differences(lambda t: target.value_and_score(t)[1], theta), 1e-7)
    assert_close(target.value_and_score(theta)[1], score, 1e-12)
    assert_close(target.score_obs(theta).sum(axis=0), score, 1e-11)
    assert value == pytest.approx(target.value(theta), rel=1e-13)


@every_smooth
def test_link_equals_what_its_jacobian_says(name):
    target, theta = case(name)
    S, P, R, m = scores_of(target, theta)
    link = target.model.gate.link
    for method, shares in (("pull", (R,)), ("information", ()), ("coupling", (R,)), ("curvature", (R,))):
        own, base = (getattr(kind, method)(link, S, P, *shares, m) for kind in (TreeLink, Link))
        assert_close(own, base, 1e-9)
    assert_close(link.second(S, P, R, m), Link.second(link, S, P, R, m), 1e-8)
    assert_close(link.information(S, P, m), -link.second(S, P, P, m), 1e-8)


@every_case
def test_information_is_positive_semidefinite_and_has_no_blocks_between_gates(name):
    target, theta = case(name)
    information = target.information(theta)
    assert np.linalg.eigvalsh(information)[0] > -1e-10 * np.abs(information).max()
    gates = np.concatenate([np.full(v.gate.scores.free(v.K, 3).sum(), i) for i, v in enumerate(nodes(target))])
    apart = gates[:, None] != gates
    n = len(gates)
    assert apart.any() == (name != "(1, 1, 1)") and not information[:n, :n][apart].any()


def nodes(target):
    return target.model.gate.scores.nodes


def multinomial(labels, weight, Z, K):
    """Weighted multinomial logit with the last class for reference, (K - 1, q)."""
    copies = np.rint(labels * weight[:, None]).astype(int)
    y = np.concatenate([np.repeat((np.arange(K) + 1) % K, c) for c in copies])  # statsmodels' reference is class 0
    fit = sm.MNLogit(y, np.repeat(Z, copies.sum(axis=1), axis=0)).fit(method="newton", disp=False, tol=1e-14)
    return np.asarray(fit.params).T


def test_m_steps_end_at_logits_with_the_branches_responsibilities_as_weights():
    target, theta = likelihood(Tree(branches=(2, 3)), 5, units=False)
    theta[: target.model.n_gate] = 0.0
    rng, weight = np.random.default_rng(1), np.ones(150)
    resp = rng.multinomial(8, [0.4, 0.05, 0.1, 0.15, 0.3], size=150)
    target = target.on(Rows(target.rows.X, target.rows.y, None, target.rows.units))
    for _ in range(200):
        theta = target.m_step(theta, resp / 8)
    root, first, second = np.split(target.model.split(theta)[0], [1, 2])
    Z = np.column_stack([target.rows.X, np.ones(150)])
    by_branch = np.column_stack([resp[:, :2].sum(axis=1), resp[:, 2:].sum(axis=1)])
    for got, labels in ((root, by_branch), (first, resp[:, :2]), (second, resp[:, 2:])):
        expected = multinomial(labels, weight, Z, labels.shape[1])
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-8)


@every_smooth
def test_em_never_falls(name):
    target, theta = case(name)
    history = np.array(EM(max_iter=40, tol=-np.inf).run(target, theta)[2])
    assert np.all(np.diff(history) >= 0) and history[-1] > history[0] + 1


@every_smooth
def test_stack_equals_one_by_one(name):
    target, theta = case(name)
    assert target.stacked
    thetas = theta * (1 + 0.2 * np.random.default_rng(0).uniform(-1, 1, (5, len(theta))))
    values, following = target.em_steps(thetas)
    for got, one in zip(zip(values, following, strict=True), map(target.em_step, thetas), strict=True):
        np.testing.assert_allclose(got[0], one[0], rtol=1e-13)
        np.testing.assert_allclose(got[1], one[1], rtol=1e-9, atol=1e-12)


# extremes -------------------------------------------------------------------------------------------------------------


@every_case
def test_extreme_scores_and_ties(name):
    target, theta = case(name)
    S, _, R, m = scores_of(target, theta)
    rng, link = np.random.default_rng(0), target.model.gate.link
    free = np.zeros(S.shape, dtype=bool)
    free[:m] = True
    for values in ([-1e3, 0.0, 1e3], [1e3], [0.0], [-1e3]):
        at = np.where(free, rng.choice(values, S.shape), 0.0)
        L, P = link(at), link.parts(at, m)[1]
        np.testing.assert_allclose(np.exp(L).sum(axis=0), 1, rtol=1e-12)
        np.testing.assert_allclose(P, np.exp(L), rtol=1e-9, atol=1e-300)
        out = [link.jac(at, P, m), link.pull(at, P, R, m), link.information(at, P, m), link.coupling(at, P, R, m)]
        assert all(np.isfinite(A).all() for A in [*out, link.curvature(at, P, R, m), link.second(at, P, R, m)])


def test_a_branch_that_has_died_out_still_hears_its_responsibilities():
    gate = Tree(branches=(2, 3)).build(5)
    S, R = np.zeros((7, 1)), np.array([[0.0, 0.0, 0.5, 0.3, 0.2]]).T
    S[:4, 0] = 1e3, 0.7, -0.4, 0.2
    P = gate.link.parts(S, 4)[1]
    assert P[2:].max() == 0
    own = R[2:4, 0] - softmax([-0.4, 0.2, 0.0])[:2]
    np.testing.assert_allclose(gate.link.pull(S, P, R, 4)[:, 0], [-1, 0, *own], rtol=1e-14)


# parameters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [("(2, 2)", 9), ("(2, 3)", 12), ("depth 3", 18), ("SL", 3 + 2 * 5), ("four kinds", 9 + 8 + 3 + 3)],
)
def test_dof_is_the_sum_over_gates(name, expected):
    target, theta = case(name)
    assert target.model.dof(theta) == expected + 4 * target.model.n_experts
    D = target.model.flat(theta)
    np.testing.assert_allclose(D.T @ D, np.eye(D.shape[1]), atol=1e-12)
    for direction in D.T:
        np.testing.assert_allclose(target.value(theta + 1e-5 * direction), target.value(theta), rtol=1e-9)


def test_scales_that_a_gate_cannot_see():
    with pytest.warns(UserWarning, match="only the borders"):
        gate = Tree(children=TopKGate(1), branches=(2, 2)).build(4)
    target, theta = likelihood(gate, 4)
    assert target.model.dof(theta) == 9 - 2 + 16
    there = target.model.gauged(theta)
    np.testing.assert_allclose(target.value(there), target.value(theta), rtol=1e-12)
    coef, before = target.model.split(there)[0], target.model.split(theta)[0]
    np.testing.assert_allclose(np.linalg.norm(coef[1:], axis=1), 1)
    np.testing.assert_array_equal(coef[0], before[0])


@every_case
def test_units_change_no_probability(name):
    target, theta = case(name)
    model, units = target.model, target.rows.units
    user = Rows(target.rows.X, target.rows.y, None, Units.identity(2))
    pi = np.concatenate([np.exp(model.log_gate(theta, block)) for block in target.rows], axis=1)
    there = np.concatenate([np.exp(model.log_gate(model.to_user(theta, units), block)) for block in user], axis=1)
    np.testing.assert_allclose(there, pi, rtol=1e-9)
    np.testing.assert_allclose(model.to_scaled(model.to_user(theta, units), units), theta, rtol=1e-9, atol=1e-11)


def test_named_parameters_by_node():
    target, theta = case("tree of a tree")
    coef = target.model.split(theta)[0]
    named = target.model.unpack(theta)["gate_nodes"]
    assert list(named) == [(), (0,), (0, 1), (1,)]
    np.testing.assert_array_equal(named[()]["gate_center"], coef[:2, :-1])
    np.testing.assert_allclose(named[(0,)]["gate_coef"][0], coef[2, :-1] / 2)
    np.testing.assert_array_equal(named[(0, 1)]["gate_center"], coef[3:5, :-1])
    np.testing.assert_allclose(named[(1,)]["gate_intercept"], [coef[5, -1] / 2, -coef[5, -1] / 2])


def test_steepest_gate_is_a_leaf():
    target, theta = likelihood(Tree(branches=(2, 1, 2)), 5, units=False)
    for row, leaf, size in ((0, 0, 50.0), (1, 2, 50.0), (2, 0, 50.0), (3, 3, 50.0)):
        gate, experts = target.model.split(theta)
        gate = 0.1 * np.ones_like(gate)
        gate[row, :2] = 30.0, 40.0
        assert target.steepest_gate(target.model.join(gate, experts)) == (leaf, pytest.approx(size))


# labels ---------------------------------------------------------------------------------------------------------------

ORDERS = [  # gate, K, the order wanted, the order that it can take
    (Tree(branches=(2, 2)), 4, [3, 0, 1, 2], [3, 2, 0, 1]),
    (Tree(branches=(2, 2)), 4, [1, 3, 2, 0], [1, 0, 3, 2]),
    (Tree(branches=(2, 1, 2)), 5, [4, 2, 0, 1, 3], [4, 3, 2, 0, 1]),
    (Tree(branches=(1, 3)), 4, [3, 2, 1, 0], [0, 3, 2, 1]),
    (Tree(branches=(1, 1, 1)), 3, [2, 0, 1], [2, 0, 1]),
    (Tree(children=("softmax", LaplaceGate()), branches=(2, 2)), 4, [3, 2, 1, 0], [1, 0, 3, 2]),
    (Tree(children=Tree(branches=(1, 2)), branches=(3, 3)), 6, [5, 0, 1, 2, 3, 4], [3, 5, 4, 0, 1, 2]),
    (Tree(branches=(4,)), 4, [2, 0, 3, 1], [2, 0, 3, 1]),
]


@pytest.mark.parametrize(("gate", "K", "wanted", "expected"), ORDERS)
def test_nearest_order(gate, K, wanted, expected):
    assert list(gate.build(K).scores.order(np.array(wanted), K)) == expected


@every_case
def test_orders_that_the_tree_can_take_change_only_labels(name):
    target, theta = case(name)
    model, rng = target.model, np.random.default_rng(0)
    K, value, resp = model.n_experts, target.value(theta), target.responsibilities(theta)
    for _ in range(20):
        wanted = rng.permutation(K)
        order = model.gate.scores.order(wanted, K)
        there = model.permute(theta, order)
        np.testing.assert_allclose(target.value(there), value, rtol=1e-12)
        np.testing.assert_allclose(target.responsibilities(there), resp[:, order], rtol=1e-8, atol=1e-12)
        again = np.argsort(order)[wanted]  # the same wish in the new labels
        assert list(model.gate.scores.order(again, K)) == list(range(K))


def test_all_other_orders_are_refused():
    gate = Tree(branches=(2, 2)).build(4)
    coef = np.random.default_rng(0).normal(size=(3, 2))
    allowed = {tuple(gate.scores.order(wanted, 4)) for wanted in permutations(range(4))}
    assert len(allowed) == 8
    for order in permutations(range(4)):
        if order in allowed:
            gate.permute(coef, order, 4)
        else:
            with pytest.raises(ValueError, match="order expects branches"):
                gate.permute(coef, order, 4)


@pytest.mark.parametrize("children", [("softmax", LaplaceGate()), (SoftmaxGate(), DenseToSparseGate(0.5))])
def test_branches_of_different_gates_stay(children):
    gate = Tree(children=children, branches=(2, 2)).build(4)
    coef = np.zeros(gate.scores.free(4, 2).shape)
    gate.permute(coef, [1, 0, 3, 2], 4)
    with pytest.raises(ValueError, match="got experts \\[2, 3\\] in one place"):
        gate.permute(coef, [2, 3, 0, 1], 4)


# starts ---------------------------------------------------------------------------------------------------------------


def columns(centers, seed=0):
    """x in clusters at the given centres, and the clusters' memberships with shuffled columns."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(centers)), 30)
    x = np.array(centers, dtype=float)[label] * [100.0, 1.0] + 0.1 * rng.standard_normal((len(label), 2)) * [100.0, 1.0]
    shuffled = rng.permutation(len(centers))
    return x, np.eye(len(centers))[label][:, shuffled], shuffled


ARRANGED = [  # gate, centres, the sets of centres that should share a branch
    (Tree(branches=(2, 2)), [(-1.8, 0), (-0.2, 0), (0.2, 0), (1.8, 0)], [{0, 1}, {2, 3}]),
    (Tree(branches=(2, 2)), [(0, 0), (1, 3), (0, 3), (1, 0)], [{0, 3}, {1, 2}]),
    (Tree(branches=(1, 3)), [(0, 0), (0, 1), (5, 5), (1, 0)], [{2}, {0, 1, 3}]),
    (Tree(branches=(3, 2)), [(0, 0), (5, 5), (5, 4), (0, 1), (1, 0)], [{0, 3, 4}, {1, 2}]),
    (
        Tree(children=Tree(branches=(2, 2)), branches=(4, 4)),
        [(i, 0) for i in (0, 9, 1, 6, 7, 3, 4, 10)],
        [{0, 2, 5, 6}, {3, 4, 1, 7}, {0, 2}, {5, 6}, {3, 4}, {1, 7}],
    ),
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("gate", "centers", "together"), ARRANGED)
def test_a_start_puts_neighbours_in_one_branch(gate, centers, together, seed):
    x, resp, _ = columns(centers, seed)
    K = len(centers)
    arranged = gate.build(K).scores.arrange(x, resp)
    at = arranged[::30].argmax(axis=0)  # the centre of each column
    assert sorted(at) == list(range(K))
    found = [set(at[span]) for span in spans(gate.build(K).scores)]
    assert all(group in found for group in together)


def spans(scores, start=0):
    """Leaves of all branches of all depths."""
    for span, child in zip(scores.spans, scores.children, strict=True):
        yield range(start + span.start, start + span.stop)
        if child is not None and isinstance(child.scores, TreeScores):
            yield from spans(child.scores, start + span.start)


def test_a_start_without_columns_or_with_empty_experts_keeps_its_order():
    scores = Tree(branches=(2, 2)).build(4).scores
    resp = np.random.default_rng(0).dirichlet(np.ones(4), 20)
    np.testing.assert_array_equal(scores.arrange(np.zeros((20, 0)), resp), resp)
    np.testing.assert_array_equal(scores.arrange(np.ones((20, 1)), resp), resp)
    resp = np.tile([1.0, 0.0, 0.0, 0.0], (20, 1))
    np.testing.assert_array_equal(scores.arrange(np.arange(20.0)[:, None], resp).sum(axis=1), 1)


def test_every_gate_begins_from_the_responsibilities_of_its_children():
    gate = Tree(LaplaceGate(), LaplaceGate(), (2, 1)).build(3)
    rng = np.random.default_rng(0)
    x, resp = rng.normal(size=(50, 2)), rng.dirichlet(np.ones(3), 50)
    coef = gate.scores.begin(x, resp)
    sums = np.column_stack([resp[:, :2].sum(axis=1), resp[:, 2]])
    for rows, part in ((coef[:2], sums), (coef[2:], resp[:, :2])):
        np.testing.assert_allclose(rows[:, :-1], part.T @ x / part.sum(axis=0)[:, None])


def test_scores_are_calibrated_to_the_columns():
    gate = Tree(LaplaceGate(), Tree(LaplaceGate(), LaplaceGate(), (1, 2)), (3, 1)).build(4)
    there = gate.calibrated(np.array([7.0]))
    smoothing = LaplaceGate().build(2).calibrated(np.array([7.0])).scores.smoothing
    assert (
        there.scores.root.scores.smoothing == there.scores.children[0].scores.children[1].scores.smoothing == smoothing
    )
    assert there.build(4) is there
    exact = there.exact().scores
    assert exact.root.scores.smoothing == exact.children[0].scores.children[1].scores.smoothing == 0


def test_paths_side_by_side():
    gate, top = SPARSE.build(6), TopKGate(2).build(3).link
    path, links, inner = gate.path(6), top.path(3), SparsemaxGate().build(3).link.path(3)
    assert path[-1] == gate and not gate.smooth and path[0].smooth
    assert [step.link.root.link for step in path] == list(links)
    assert [step.link.children[0].link for step in path] == [inner[0]] * (len(links) - len(inner)) + list(inner)
    assert all(step.link.children[1:] == gate.link.children[1:] for step in path)
    plain = Tree(branches=(2, 2)).build(4)
    assert plain.path(4) == (plain,)


def test_a_sparse_tree_selects():
    target, theta = likelihood(SPARSE, 6)
    pi = np.exp(target.model.log_gate(theta, next(iter(target.rows))))
    branches = np.stack([pi[:3].sum(axis=0), pi[3:5].sum(axis=0), pi[5]])
    assert np.all(np.sum(branches > 0, axis=0) == 2) and np.any((pi[:3] == 0) & (branches[0] > 0))
    np.testing.assert_allclose(pi.sum(axis=0), 1, rtol=1e-13)
    history = np.array(EM(max_iter=20, tol=-np.inf).run(target, theta)[2])
    assert np.all(np.diff(history) >= 0) and history[-1] > history[0] + 1
    score = target.value_and_score(theta)[1]
    step = 1e-9 * score / np.linalg.norm(score)  # too short for a change of the selection
    np.testing.assert_allclose(target.value(theta + step) - target.value(theta - step), 2 * step @ score, rtol=1e-4)


# specification --------------------------------------------------------------------------------------------------------


@every_case
def test_pickle_and_clone(name):
    spec, K = CASES[name]
    gate = spec.build(K)
    assert pickle.loads(pickle.dumps(gate)) == gate == clone(spec).build(K)
    assert hash(gate) == hash(clone(spec).build(K))


def test_parameters_of_nested_specifications():
    model = MoERegressor(gate=Tree(root=DenseToSparseGate(0.5), children=Tree(branches=(1, 2)), branches=(3, 3)))
    assert model.get_params()["gate__root__temperature"] == 0.5
    assert model.get_params()["gate__children__branches"] == (1, 2)
    changed = clone(model).set_params(gate__root__temperature=2.0, gate__children__root=LaplaceGate()).gate.build(6)
    assert changed.link.root.link.temperature == 2.0
    assert changed.scores.children[0].scores.root == LaplaceGate().build(2)
    assert model.gate.build(6).link.root.link.temperature == 0.5


def test_compositions_are_gates_of_nodes():
    by_hand = Tree(children=Gate(Affine(), Softmax()), branches=(2, 2))
    assert by_hand.build(4) == Tree(branches=(2, 2)).build(4)


BAD = [
    (Tree(branches=(2, 3)), 4, r"the sum n_experts=4, one for each branch, got \(2, 3\); pass for example \(2, 2\)"),
    (Tree(branches=(4, 0)), 4, "positive integers"),
    (Tree(branches=(2.0, 2.0)), 4, "positive integers"),
    (Tree(branches=()), 4, "positive integers"),
    (Tree(branches="22"), 4, "positive integers"),
    (Tree(branches=3), 4, "positive integers"),
    (Tree(children=("softmax",) * 3), 4, "one for each of the 2 branches, got 3"),
    (Tree(children="soft"), 4, r"children expects one of \[.*got 'soft'"),
    (Tree(root=None), 4, "root expects one of"),
    (Tree(root=Tree(branches=(1, 1))), 4, "root expects a gate of one node.*pass trees as children"),
    (Tree(children=Tree(branches=(1, 1)), branches=(2, 3)), 5, r"the sum n_experts=3"),
]


@pytest.mark.parametrize(("gate", "K", "message"), BAD)
def test_specifications_that_cannot_be_built(gate, K, message):
    with pytest.raises(ValueError, match=message):
        gate.build(K)


def test_a_tree_link_takes_the_scores_of_its_own_tree():
    one, other = Tree(branches=(2, 2)).build(4), Tree(branches=(1, 3)).build(4)
    assert one.build(4) is one
    for scores in (Affine(), other.scores, Tree(children=LaplaceGate(), branches=(2, 2)).build(4).scores):
        with pytest.raises(ValueError, match="needs TreeScores of the same gates and branches"):
            Gate(scores, one.link).build(4)


# fits -----------------------------------------------------------------------------------------------------------------


def design(n, seed):
    """Columns and responses of the design SS, and the log-likelihood of the truth."""
    rng, model = np.random.default_rng(seed), MixtureOfExperts(Tree(branches=(2, 2)).build(4), Gaussian(), 4, 1)
    experts = np.column_stack([[1, -1, 1, -1], [-4.5, -1.5, 1.5, 4.5], np.ones(4)]) / 0.5
    theta = model.join(np.array([[-1, 0], [-1, 0.5], [1, -0.5]]), experts)
    X = rng.uniform(-3, 3, (n, 1))
    y = model.sample(theta, next(iter(Rows(X, np.zeros(n), None, Units.identity(1), size=n))), rng)
    return X, y, Likelihood(model, Rows(X, y, None, Units.identity(1))).value(theta)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_cold_start_reaches_the_truth(seed):
    X, y, truth = design(2000, seed)
    fit = MoERegressor(4, gate=HierarchicalGate(branches=(2, 2)), random_state=0).fit(X, y)
    assert fit.loglik_ >= truth
    assert fit.certificate_["kind"] == "interior" and fit.dof_ == 18
    assert np.all(np.diff(fit.loglik_history_) >= -1e-12 * abs(fit.loglik_))
    pi = fit.predict_gate(X)
    np.testing.assert_allclose(pi.sum(axis=1), 1, rtol=1e-12)
    assert list(fit.model_.unpack(fit.theta_)["gate_nodes"]) == [(), (0,), (1,)]
    assert fit.likelihood(X, y).value(fit.theta_) == pytest.approx(fit.loglik_, abs=1e-7)


def test_a_fit_does_not_depend_on_the_columns_units():
    X, y, _ = design(400, 0)
    options = {"gate": HierarchicalGate(branches=(2, 2)), "n_init": 2, "random_state": 0}
    fit, there = MoERegressor(4, **options).fit(X, y), MoERegressor(4, **options).fit(-7 * X + 300, y)
    assert there.loglik_ == pytest.approx(fit.loglik_, abs=1e-6)
    np.testing.assert_allclose(there.predict(-7 * X + 300), fit.predict(X), atol=1e-5)
