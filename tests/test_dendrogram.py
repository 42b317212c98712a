"""Dendrograms against merges by hand, their gauge and units, and the number of experts they choose."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.cluster.hierarchy import is_valid_linkage
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning

from moegate import (
    DenseToSparseGate,
    Gate,
    HierarchicalGate,
    LaplaceGate,
    ModifiedSoftmaxGate,
    MoEClassifier,
    MoERegressor,
    SigmoidGate,
    TopKGate,
    dendrogram,
)
from moegate.dendrogram import DISSIMILARITIES, Atoms, merges
from moegate.gates import Affine, Softmax


def fitted(X, y, K=4, weight=None, **options):
    """A fit in which two experts may be nearly the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MoERegressor(K, **{"n_init": 1, "random_state": 0} | options).fit(X, y, sample_weight=weight)


@pytest.fixture(scope="module")
def data(truths):
    return truths["coverage3"].draw(400, 1)


@pytest.fixture(scope="module")
def model(data):
    return fitted(*data)


@pytest.fixture(scope="module")
def tree(model, data):
    return dendrogram(model, *data)


def random_atoms(K=5, d=2, seed=0):
    rng = np.random.default_rng(seed)
    b = rng.normal(size=K)
    b -= np.log(np.sum(np.exp(b)))
    shapes = (K, d), (K, d), (K,)
    return Atoms(b, *(rng.normal(size=shape) for shape in shapes), rng.uniform(0.1, 1, K))


def by_hand(atoms, with_slopes):
    """Merges with the formulas as they stand, one atom a dictionary."""
    names = ("b", "w", "a", "c", "v")
    live = [{name: getattr(atoms, name)[k] for name in names} | {"members": {k}} for k in range(len(atoms.b))]
    levels, heights = [live], []
    while len(live) > 1:
        found = {}
        for i, p in enumerate(live):
            for j, q in enumerate(live[:i]):
                slow = (p["c"] - q["c"]) ** 2 + with_slopes * np.sum((p["w"] - q["w"]) ** 2)
                fast = np.sqrt(np.sum((p["a"] - q["a"]) ** 2) + (p["v"] - q["v"]) ** 2)
                found[j, i] = (slow + fast) / (np.exp(-p["b"]) + np.exp(-q["b"]))
        (j, i), height = min(found.items(), key=lambda item: item[1])
        p, q = live[j], live[i]
        mass = np.exp(p["b"]) + np.exp(q["b"])
        new = {n: (np.exp(p["b"]) * p[n] + np.exp(q["b"]) * q[n]) / mass for n in names[1:]}
        new |= {"b": np.log(mass), "members": p["members"] | q["members"]}
        live = [new if k == j else atom for k, atom in enumerate(live) if k != i]
        levels.append(live)
        heights.append(height)
    return levels, heights


@pytest.mark.parametrize("kind", DISSIMILARITIES)
@pytest.mark.parametrize("seed", range(5))
def test_merges_are_those_by_hand(kind, seed):
    atoms = random_atoms(seed=seed)
    measures, linkage = merges(atoms, DISSIMILARITIES[kind])
    levels, heights = by_hand(atoms, kind == "slopes")
    np.testing.assert_allclose(linkage[:, 2], heights, rtol=1e-12)
    for measure, level in zip(measures, levels, strict=True):
        for name in ("b", "w", "a", "c", "v"):
            np.testing.assert_allclose(getattr(measure, name), [atom[name] for atom in level], rtol=1e-11, atol=1e-12)


def test_linkage_says_who_merged(tree):
    atoms = random_atoms(6)
    _, linkage = merges(atoms, DISSIMILARITIES["slopes"])
    levels, _ = by_hand(atoms, True)
    clusters = [{k} for k in range(6)]
    for i, j, _, count in linkage:
        clusters.append(clusters[int(i)] | clusters[int(j)])
        assert len(clusters[-1]) == count
    expected = [atom["members"] for level in levels for atom in level]
    assert all(cluster in expected for cluster in clusters)
    assert is_valid_linkage(linkage, throw=True) and is_valid_linkage(tree.linkage, throw=True)


def test_the_first_level_is_the_fit(model, tree):
    np.testing.assert_allclose(tree.loglik[0], model.loglik_, rtol=1e-12)
    np.testing.assert_allclose(tree.merged(4), model.theta_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kappa", [1, 2, 3])
def test_merged_models_have_the_log_likelihood_shown_and_start_a_refit(tree, data, kappa):
    start = tree.merged(kappa)
    refit = fitted(*data, K=kappa, init=start)
    reached = tree.loglik[4 - kappa]
    np.testing.assert_allclose(refit.likelihood(*data).value(start), reached, rtol=1e-12)
    assert refit.loglik_ > reached and refit.converged_


def test_one_expert_is_the_weighted_mean_of_all(model, tree, data):
    units = model.units_
    named = model.model_.unpack(model.model_.to_scaled(model.theta_, units))
    weight = softmax(named["gate_intercept"])
    one = replace(model.model_, n_experts=1).unpack(tree.merged(1))
    slopes = weight @ named["coef"] * units.y_scale / units.scale
    np.testing.assert_allclose(one["coef"][0], slopes, rtol=1e-9)
    np.testing.assert_allclose(one["sigma"][0] ** 2, weight @ named["sigma"] ** 2 * units.y_scale**2, rtol=1e-9)


def test_the_criterion_is_that_of_the_standardised_response(tree, data):
    n, scale = len(data[1]), data[1].std()
    mean = tree.loglik[:-1] / n + np.log(scale)
    np.testing.assert_allclose(tree.dsc, -(tree.heights + np.log(n) * mean), rtol=1e-10)
    assert tree.n_experts == tree.sizes[np.argmin(tree.dsc)]
    frame = tree.to_frame()
    assert list(frame.index) == [4, 3, 2, 1] and list(frame.columns) == ["height", "loglik", "dsc"]
    assert frame["dsc"].idxmin() == tree.n_experts and frame.loc[1, ["height", "dsc"]].isna().all()


def test_units_change_nothing(model, tree, data):
    X, y = data
    A, shift = np.diag([1e3, 1e-2, 5.0]), np.array([10.0, -3.0, 0.5])
    other = fitted(X @ A + shift, 50 * y - 7, init=moved(model, A, shift, 50.0, -7.0))
    again = dendrogram(other, X @ A + shift, 50 * y - 7)
    np.testing.assert_allclose(again.dsc, tree.dsc, rtol=1e-6)
    np.testing.assert_allclose(again.heights, tree.heights, rtol=1e-4)
    np.testing.assert_array_equal(again.linkage[:, :2], tree.linkage[:, :2])


def moved(model, A, shift, factor, add):
    """theta of the same density after x -> A x + shift, y -> factor y + add."""
    w, b = ((rows - rows[-1])[:-1] for rows in (model.gate_coef_, model.gate_intercept_))
    w = np.linalg.solve(A.T, w.T).T
    gate = np.column_stack([w, b - w @ shift])
    slopes = factor * np.linalg.solve(A.T, model.coef_.T).T
    intercepts = factor * model.intercept_ + add - slopes @ shift
    sigma = factor * model.sigma_
    return np.concatenate([gate.ravel(), (np.column_stack([slopes, intercepts, np.ones(4)]) / sigma[:, None]).ravel()])


def test_a_common_constant_in_the_gate_changes_nothing(data, model):
    gate = Gate(Affine(reference=False), Softmax())
    rows = model.model_.split(model.theta_)
    free = np.vstack([rows[0], np.zeros(4)])
    trees = []
    for constant in (0.0, 5.0):
        copy = fitted(*data, gate=gate, max_iter=1)
        copy.theta_ = np.concatenate([(free + constant).ravel(), rows[1].ravel()])
        trees.append(dendrogram(copy, *data))
    np.testing.assert_allclose(trees[1].heights, trees[0].heights, rtol=1e-9)
    np.testing.assert_allclose(trees[1].loglik, trees[0].loglik, rtol=1e-12)


def test_a_temperature_counts_as_coefficients_divided_by_it(data, model, tree):
    gate, experts = model.model_.split(model.theta_)
    hot = fitted(*data, gate=DenseToSparseGate(0.5), max_iter=1)
    hot.theta_ = np.concatenate([0.5 * gate.ravel(), experts.ravel()])
    again = dendrogram(hot, *data)
    np.testing.assert_allclose(again.dsc, tree.dsc, rtol=1e-10)
    np.testing.assert_allclose(again.heights, tree.heights, rtol=1e-9)
    assert fitted(*data, K=2, gate=DenseToSparseGate(0.5), init=again.merged(2)).loglik_ > again.loglik[2]


def test_a_copy_of_an_expert_merges_first_and_at_no_cost(data):
    two = fitted(*data, K=2)
    gate, experts = two.model_.split(two.theta_)
    three = fitted(*data, K=3, max_iter=1)
    halves = [np.append(gate[0, :-1], gate[0, -1] - np.log(4)), np.append(gate[0, :-1], gate[0, -1] + np.log(0.75))]
    three.theta_ = np.concatenate([*halves, experts[0], *experts])  # a quarter and three quarters of expert 0
    tree = dendrogram(three, *data)
    assert tree.heights[0] < 1e-12 and set(tree.linkage[0, :2]) == {0, 1}
    np.testing.assert_allclose(tree.loglik[:2], two.loglik_, rtol=1e-12)
    np.testing.assert_allclose(tree.merged(2), two.theta_, rtol=1e-9)
    assert tree.n_experts == 2


def test_vanishing_weights_are_no_trouble(data):
    three = fitted(*data, K=3, max_iter=1)
    gate, experts = three.model_.split(three.theta_)
    gate[:, -1] = -1e4, -2e4
    three.theta_ = np.concatenate([gate.ravel(), experts.ravel()])
    tree = dendrogram(three, *data)
    assert np.all(np.isfinite(tree.dsc)) and tree.heights[0] == 0


def test_weights_are_repetitions(data, model):
    X, y = data
    weight = 1.0 + np.arange(len(y)) % 3
    once = dendrogram(fitted(X, y, weight=weight), X, y, weight)
    X, y = (np.repeat(part, weight.astype(int), axis=0) for part in data)
    again = dendrogram(fitted(X, y), X, y)
    np.testing.assert_allclose(once.dsc, again.dsc, rtol=1e-6)
    np.testing.assert_allclose(once.loglik, again.loglik, rtol=1e-8)


def test_gate_and_experts_may_use_other_columns(data):
    part = fitted(*data, gate_features=[0, 1], expert_features=[2])
    tree = dendrogram(part, *data)
    refit = fitted(*data, K=2, gate_features=[0, 1], expert_features=[2], init=tree.merged(2))
    assert refit.loglik_ > tree.loglik[2]


@pytest.mark.parametrize(
    "gate",
    [
        LaplaceGate(),
        SigmoidGate(),
        ModifiedSoftmaxGate(),
        TopKGate(2),
        "sparsemax",
        "gumbel",
        HierarchicalGate(branches=(2, 1)),
    ],
)
def test_other_gates_are_refused(data, gate):
    with pytest.raises(ValueError, match=r"dendrogram expects a gate proportional to exp.*select_n_experts"):
        dendrogram(fitted(*data, K=3, gate=gate, init="kmeans", max_iter=1), *data)


def test_other_experts_are_refused(data):
    X, y = data
    with pytest.raises(ValueError, match="Gaussian experts, got experts='poisson'"):
        dendrogram(fitted(X, np.round(np.exp(y)), K=2, experts="poisson", max_iter=1), X, np.round(np.exp(y)))
    with pytest.raises(ValueError, match="Gaussian experts, got experts='multinomial'"):
        dendrogram(MoEClassifier(2, n_init=1, random_state=0).fit(X, y > 0), X, y > 0)


def test_bad_requests(data, tree):
    with pytest.raises(ValueError, match="two or more experts"):
        dendrogram(fitted(*data, K=1), *data)
    with pytest.raises(ValueError, match=r"\['plain', 'slopes'\], got 'ward'"):
        dendrogram(fitted(*data, K=2), *data, dissimilarity="ward")
    for kappa in (0, 5, 2.5):
        with pytest.raises(ValueError, match="from 1 to 4"):
            tree.merged(kappa)


@pytest.mark.parametrize(("name", "n", "expected"), [("G2", 8000, 2), ("close3", 2000, 3)])
def test_the_true_number_is_found_from_four(truths, name, n, expected):
    """In ten data sets, where the share is about .9: fewer than six then have a probability of 2e-3."""
    chosen = [
        dendrogram(fitted(X, y, n_init=2), X, y).n_experts for X, y in (truths[name].draw(n, s) for s in range(10))
    ]
    assert np.mean(np.array(chosen) == expected) >= 0.6
