"""Voronoi losses against brute force, their invariances, and distances of densities against quadrature."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning

from moegate import LaplaceGate, MoEClassifier, MoERegressor
from moegate.voronoi import (
    RULES,
    Branches,
    Measure,
    distances_of_classes,
    distances_of_normals,
    tree_loss,
    voronoi_loss,
)

G2 = Measure.of([-8, 0], [25, 0], [-20, 20], [15, -5], [0.09, 0.16], [0.47, 0.53])
FORMS = [{"weights": "mass"}, {"weights": "exp"}, {"weights": "exp", "cap": None}, {"weights": "mass", "cap": None}]


def random_measure(rng, K, d=1, spread=1.0):
    draw = lambda *shape: spread * rng.standard_normal(shape)  # noqa: E731
    return Measure.of(draw(K), draw(K, d), draw(K, d), draw(K), 0.1 + rng.random(K), rng.dirichlet(np.ones(K)))


def split(measure, rng, size=0.3):
    """The last atom in two, moved, their weights summing to its weight."""
    last = measure.take(np.array([-1]))
    parts = [np.vstack([getattr(last, n)] * 2) for n in ("gate", "slope", "intercept", "variance")]
    parts = [part + size * rng.standard_normal(part.shape) for part in parts]
    twins = Measure.of(last.bias + np.log([0.3, 0.7]), *parts, last.mass * [0.3, 0.7])
    first = measure.take(np.arange(len(measure) - 1))
    names = ("bias", "gate", "slope", "intercept", "variance", "mass")
    return Measure(*(np.concatenate([getattr(first, n), getattr(twins, n)]) for n in names))


def shifted(measure, t, c=0.0):
    return replace(measure, gate=measure.gate + t, bias=measure.bias + c)


def plain_loss(fitted, true, t, rule, weights, cap):
    """The definition at one translation, in loops."""
    K, M = len(fitted), len(true)
    names = ("gate", "slope", "intercept", "variance")
    error = np.zeros((K, M, 4))
    for i in range(K):
        for j in range(M):
            for g, name in enumerate(names):
                off = getattr(fitted, name)[i] - getattr(true, name)[j] - (t if name == "gate" else 0.0)
                error[i, j, g] = np.linalg.norm(off)
    cells = [int(np.argmin(np.sum(error[i] ** 2, axis=1))) for i in range(K)]
    own, target = (fitted.mass, true.mass) if weights == "mass" else (np.exp(fitted.bias), np.exp(true.bias))
    if weights == "exp":
        ratio = [sum(own[i] for i in range(K) if cells[i] == j) / target[j] for j in range(M)]
        order = np.argsort(ratio)
        at = np.searchsorted(np.cumsum(target[order]), 0.5 * target.sum())
        own = own / (ratio[order[at]] or max(ratio))  # an empty cell in the middle
    total = 0.0
    for j in range(M):
        inside = [i for i in range(K) if cells[i] == j]
        r = {1: 1, 2: 4, 3: 6}.get(len(inside), 6)
        for i in inside:
            terms = [(names, 1.0)] if len(inside) == 1 else RULES[rule].powers(r)
            for groups, power in terms:
                size = np.sqrt(sum(error[i, j, names.index(g)] ** 2 for g in groups))
                total += own[i] * min(size, cap or np.inf) ** power
        total += abs(sum(own[i] for i in inside) - target[j])
    return total


@pytest.mark.parametrize("form", FORMS)
def test_zero_at_the_truth_in_any_order_and_translation(form):
    moved = shifted(G2.take(np.array([1, 0])), 3.0, -2.0)
    for fitted in (G2, moved):
        loss = voronoi_loss(fitted, G2, **form)
        assert loss.total == pytest.approx(0, abs=1e-12) and loss.sizes == (1, 1)
    assert loss.cells.tolist() == [1, 0] and loss.translation == pytest.approx([3.0])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("K", [2, 3, 4])
def test_neither_order_nor_translation_matters(form, K):
    rng = np.random.default_rng(K)
    true = random_measure(rng, 2, d=2)
    for _ in range(5):
        fitted = random_measure(rng, K, d=2)
        loss = voronoi_loss(fitted, true, exponents={4: 8}, **form).total
        order, t, c = rng.permutation(K), 5 * rng.standard_normal(2), rng.standard_normal()
        again = voronoi_loss(shifted(fitted.take(order), t, c), true, exponents={4: 8}, **form).total
        assert again == pytest.approx(loss, rel=1e-8)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("K", [2, 3])
def test_smallest_over_translations_is_that_of_brute_force(form, K):
    """Against the loops of the definition over a fine grid of translations in one dimension."""
    rng = np.random.default_rng(10 + K)
    cap = form.get("cap", 1.0)
    for _ in range(4):
        true = random_measure(rng, 2)
        fitted = random_measure(rng, 2) if K == 2 else split(true, rng)
        loss = voronoi_loss(fitted, true, **form)
        at = plain_loss(fitted, true, loss.translation, "softmax", form["weights"], cap)
        assert loss.total == pytest.approx(at, rel=1e-10)
        grid = np.concatenate([np.linspace(-6, 6, 1201), loss.translation[0] + np.linspace(-0.02, 0.02, 81)])
        brute = min(plain_loss(fitted, true, t, "softmax", form["weights"], cap) for t in grid)
        assert loss.total <= brute + 1e-9 and brute <= loss.total + 0.02


def test_without_the_infimum_a_split_reference_looks_far_away():
    """Fits whose reference expert (slope zero) is one of two halves: the gauge alone leaves a loss that stays."""
    rng = np.random.default_rng(0)
    fitted = split(G2, rng, size=0.05)
    fitted = shifted(fitted, -fitted.gate[-1] - 0.5)  # the reference of the solver is not the true reference
    assert voronoi_loss(fitted, G2).total < 0.05
    assert voronoi_loss(fitted, G2, translate=False).total > 0.2


def test_cells_of_two_and_three_take_their_exponents():
    true = Measure.of([0, 0], [5, 0], [1, -1], [2, -2], [0.2, 0.3], [0.5, 0.5])
    off = 0.1
    two = Measure.of(
        [0, np.log(0.5), np.log(0.5)],
        [5, off, -off],
        [1, -1 + off, -1 - off],
        [2, -2, -2],
        [0.2, 0.3, 0.3],
        [0.5, 0.25, 0.25],
    )
    assert voronoi_loss(two, true).total == pytest.approx(0.5 * (off**4 + off**2))
    three = Measure.of(
        [0, *np.log([1 / 3] * 3)],
        [5, 0, 0, 0],
        [1, -1, -1, -1],
        [2, -2 + off, -2 - off, -2],
        [0.2, 0.3, 0.3, 0.3 + off],
        [0.5, *[0.5 / 3] * 3],
    )
    assert voronoi_loss(three, true).total == pytest.approx(0.5 / 3 * (2 * off**6 + off**3))
    assert voronoi_loss(three, true).sizes == (3, 1)


def test_four_atoms_in_a_cell_need_an_exponent():
    true = Measure.of([0], [0], [0], [0], [1], [1])
    four = Measure.of(np.full(4, -np.log(4)), [0] * 4, [0, 0.1, 0.2, -0.1], [0] * 4, [1] * 4, [0.25] * 4)
    with pytest.raises(ValueError, match=r"4 atoms.*exponents=\{4: r\}"):
        voronoi_loss(four, true)
    assert voronoi_loss(four, true, exponents={4: 8}).total > 0


def test_far_atoms_count_up_to_the_cap():
    far = Measure.of([0, 0, -9], [25, 0, 1e3], [-20, 20, 1e4], [15, -5, 1e4], [0.09, 0.16, 1], [0.47, 0.529, 0.001])
    far = replace(far, bias=np.array([-8.0, 0.0, -9.0]))
    assert voronoi_loss(far, G2).total < 0.01
    assert voronoi_loss(far, G2, cap=None).total > 1e6


def test_a_common_shift_of_the_intercepts_is_not_seen_but_their_difference_is():
    assert voronoi_loss(shifted(G2, 0.0, 4.0), G2, weights="exp").total == pytest.approx(0, abs=1e-12)
    other = replace(G2, bias=G2.bias + [0.5, 0])
    assert voronoi_loss(other, G2, weights="exp").total == pytest.approx(np.exp(-8) * (np.exp(0.5) - 1), rel=1e-6)


def test_gates_that_do_not_translate():
    moved = shifted(G2, 0.25)
    for rule in ("laplace", "activation"):
        assert voronoi_loss(moved, G2, rule).total == pytest.approx(0.25)
    turned = replace(G2, bias=G2.bias + 0.25)
    assert voronoi_loss(turned, G2, "sigmoid").total == pytest.approx(0.25)
    halves = split(G2, np.random.default_rng(0), 0.0)
    halves = replace(halves, gate=halves.gate + np.array([[0], [0.1], [-0.1]]))
    assert voronoi_loss(halves, G2, "laplace").total == pytest.approx(0.53 * 0.1**2)


def test_the_other_form_of_two_activations():
    fitted = Measure.of([0, 0], [-1.25, 0.25], [1, 1], [-1.5, 1.5], [0.16, 0.25], [0.5, 0.5])
    assert fitted.swapped().gate.ravel().tolist() == [-0.25, 1.25]
    np.testing.assert_array_equal(fitted.swapped().swapped().gate, fitted.gate)


def test_top_counts_the_worst_cells():
    true = Measure.of([0, 0, 0], [-5, 0, 5], [1, 1, 1], [-2, 0, 2], [0.2] * 3, [0.3, 0.4, 0.3])
    fitted = replace(true, intercept=true.intercept + [[0.1], [0.2], [0.3]])
    assert voronoi_loss(fitted, true, top=2).total == pytest.approx(0.4 * 0.2 + 0.3 * 0.3)
    assert voronoi_loss(fitted, true).total == pytest.approx(0.3 * 0.1 + 0.4 * 0.2 + 0.3 * 0.3)


def test_parts_add_up():
    rng = np.random.default_rng(5)
    true = random_measure(rng, 3)
    fitted = replace(true, slope=true.slope + 0.1, mass=np.array([0.2, 0.3, 0.5]))
    loss = voronoi_loss(fitted, true)
    assert loss.groups["slope"] == pytest.approx(0.1) and loss.groups["variance"] == 0
    assert loss.weights == pytest.approx(np.abs(fitted.mass - true.mass).sum())
    assert loss.total == pytest.approx(loss.weights + 0.1)


def test_trees_match_branches_first():
    children = [
        Measure.of([0.5, 0], [-1, 0], [1, -1], [-4, -1], [0.25] * 2, [0.2, 0.3]),
        Measure.of([-0.5, 0], [1, 0], [1, -1], [1, 4], [0.25] * 2, [0.3, 0.2]),
    ]
    true = Branches(Measure.of([0, 0], [-1, 0], None, None, None, [0.5, 0.5]), children)
    turned = Branches(shifted(true.root.take(np.array([1, 0])), 1.0), [shifted(c, 2.0) for c in children[::-1]])
    assert tree_loss(turned, true)[0] == pytest.approx(0, abs=1e-9)
    off = Branches(true.root, [replace(children[0], slope=children[0].slope + 0.1), children[1]])
    assert tree_loss(off, true)[0] == pytest.approx(0.5 * 0.1)
    more = Branches(true.root, [split(children[0], np.random.default_rng(0), 0.05), children[1]])
    assert 0 < tree_loss(more, true)[0] < 0.05
    with pytest.raises(ValueError, match="as many branches"):
        tree_loss(Branches(true.root, children[:1]), true)


def test_from_fits():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (300, 2))
    y = np.where(X[:, 0] > 0, 1 + X[:, 0], -1 - X[:, 0]) + 0.3 * rng.standard_normal(300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = MoERegressor(2, gate=LaplaceGate(), n_init=2, random_state=0).fit(X, y)
    measure = Measure.from_named(fit.model_.unpack(fit.theta_), fit.predict_gate(X).mean(axis=0))
    assert measure.gate.shape == (2, 2) and measure.variance.ravel() == pytest.approx(fit.sigma_**2)
    labels = np.digitize(y, [-0.5, 0.5])
    model = MoEClassifier(2, n_init=2, random_state=0).fit(X, labels)
    measure = Measure.from_named(model.model_.unpack(model.theta_))
    assert measure.slope.shape == (2, 4) and measure.variance.shape == (2, 0)
    centred = model.coef_ - model.coef_[:, -1:]
    np.testing.assert_allclose(measure.slope, centred[:, :-1].reshape(2, 4))
    with pytest.raises(ValueError, match="expects both measures with their mass"):
        voronoi_loss(measure, measure, "multinomial")


def mixture(rng, n, K):
    return rng.dirichlet(np.ones(K), n), 2 * rng.standard_normal((n, K)), rng.uniform(0.02, 1.5, (n, K))


def test_distances_are_those_of_quadrature():
    rng = np.random.default_rng(0)
    p, q = mixture(rng, 6, 2), mixture(rng, 6, 3)

    def density(parts, i, y):
        return np.sum(parts[0][i] * norm.pdf(y, parts[1][i], parts[2][i]))

    def integral(i, function):
        points = np.unique(np.concatenate([m[i] + s[i] * k for _, m, s in (p, q) for k in (-4, -1, 0, 1, 4)]))
        f = lambda y: function(density(p, i, y), density(q, i, y))  # noqa: E731
        ends = [-30, *points, 30]
        return sum(quad(f, a, b, epsabs=1e-11, limit=200)[0] for a, b in zip(ends, ends[1:], strict=False))

    found = distances_of_normals(p, q)
    tv = np.mean([integral(i, lambda a, b: abs(a - b) / 2) for i in range(6)])
    hellinger = np.mean([integral(i, lambda a, b: (np.sqrt(a) - np.sqrt(b)) ** 2 / 2) for i in range(6)])
    assert found.hellinger**2 == pytest.approx(hellinger, abs=1e-7)
    assert found.total_variation == pytest.approx(tv, abs=1e-4)  # the integrand has corners
    assert found.hellinger**2 <= found.total_variation <= np.sqrt(2) * found.hellinger
    wide = (p[0], p[1], np.maximum(p[2], 0.3)), (q[0], q[1], np.maximum(q[2], 0.5))
    p, q = wide
    kl = np.mean([integral(i, lambda a, b: a * np.log(a / b) if a > 1e-300 else 0.0) for i in range(6)])
    assert distances_of_normals(p, q).kullback_leibler == pytest.approx(kl, rel=1e-6)


def test_distances_of_two_normals_have_their_formulas():
    one = np.ones((1, 1))
    for s in (1e-3, 1.0, 1e3):
        found = distances_of_normals((one, 0 * one, s * one), (one, s * one, 2 * s * one))
        kl = np.log(2) + (1 + 1) / 8 - 0.5
        h2 = 1 - np.sqrt(4 / 5) * np.exp(-1 / 20)
        assert found.kullback_leibler == pytest.approx(kl, rel=1e-8)
        assert found.hellinger == pytest.approx(np.sqrt(h2), rel=1e-8)


def test_distances_of_classes():
    P, Q = np.array([[0.2, 0.8], [0.5, 0.5]]), np.array([[0.3, 0.7], [0.5, 0.5]])
    found = distances_of_classes(P, Q)
    assert found.total_variation == pytest.approx(0.05)
    assert found.kullback_leibler == pytest.approx(np.mean(np.sum(P * np.log(P / Q), axis=1)))
    assert distances_of_classes(P, Q, weights=[0, 1]).hellinger == 0
