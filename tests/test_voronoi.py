"""Voronoi losses against brute force, and what they do not depend on."""

from dataclasses import replace

import numpy as np
import pytest

from moegate.voronoi import RULES, Branches, Measure, tree_loss, voronoi_loss

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


def scattered(true, K, rng, size):
    """K fitted atoms near the true ones, at least one for each, which share the weights, in another gauge."""
    owner = np.concatenate([np.arange(len(true)), rng.integers(0, len(true), K - len(true))])
    share = rng.uniform(0.2, 1, K)
    share /= np.bincount(owner, share)[owner]
    names = ("gate", "slope", "intercept", "variance")
    parts = [getattr(true, name)[owner] for name in names]
    parts = [part + size * rng.standard_normal(part.shape) for part in parts]
    measure = Measure.of(true.bias[owner] + np.log(share), *parts, true.mass[owner] * share)
    return shifted(measure, rng.standard_normal(true.gate.shape[1]), rng.standard_normal())


def shifted(measure, t, c=0.0):
    return replace(measure, gate=measure.gate + t, bias=measure.bias + c)


def plain_loss(fitted, true, t, weights="mass", cap=1.0, top=None):
    """The definition for the softmax gate at one translation, in loops."""
    K, M, names = len(fitted), len(true), ("gate", "slope", "intercept", "variance")
    error = np.zeros((K, M, 4))
    for i, j, g in np.ndindex(K, M, 4):
        off = getattr(fitted, names[g])[i] - getattr(true, names[g])[j] - (t if g == 0 else 0.0)
        error[i, j, g] = np.linalg.norm(off)
    cells = [int(np.argmin(np.sum(error[i] ** 2, axis=1))) for i in range(K)]
    own, target = (fitted.mass, true.mass) if weights == "mass" else (np.exp(fitted.bias), np.exp(true.bias))
    sums = np.array([sum(own[i] for i in range(K) if cells[i] == j) for j in range(M)])
    if weights == "exp":
        target, ratio = target / target.sum(), sums / target * target.sum()
        order = np.argsort(ratio)
        at = np.searchsorted(np.cumsum(target[order]), 0.5)
        unit = ratio[order[at]] or min(ratio[ratio > 0])  # where empty cells have the median
        own, sums = own / unit, sums / unit
    size = lambda i, *groups: min(np.linalg.norm(error[i, cells[i], list(groups)]), cap or np.inf)  # noqa: E731
    total = np.abs(sums - target)
    for i in range(K):
        m = cells.count(cells[i])
        r = {2: 4, 3: 6, 4: 8}.get(m)
        many = m > 1 and K != M
        total[cells[i]] += own[i] * (size(i, 0, 2) ** r + size(i, 1, 3) ** (r / 2) if many else size(i, 0, 1, 2, 3))
    return np.sort(total)[-(top or M) :].sum()


def brute_force(value, starts, rng, spread=6.0):
    """The smallest of a function of translations at many points, the best five followed by random steps."""
    points = np.vstack([starts, rng.uniform(-spread, spread, (300, starts.shape[1]))])
    values = np.array([value(t) for t in points])
    best = values.min()
    for at in np.argsort(values)[:5]:
        t, f, step = points[at], values[at], 0.5
        while step > 1e-7:
            near = t + step * rng.standard_normal((12, len(t)))
            found = np.array([value(s) for s in near])
            k = int(np.argmin(found))
            t, f, step = (near[k], found[k], step) if found[k] < f else (t, f, step / 2)
        best = min(best, f)
    return best


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


CASES = [
    (1, 2, 2, None),
    (1, 2, 4, None),
    (1, 3, 4, None),
    (1, 3, 3, 2),
    (2, 2, 3, None),
    (2, 3, 3, 2),
    (3, 2, 3, None),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("d", "M", "K", "top"), CASES)
def test_smallest_over_translations_is_that_of_brute_force(form, d, M, K, top):
    """Against the loops of the definition: fits that have nothing to do with the truth, and fits near to it."""
    rng = np.random.default_rng(10 * K + d)
    for size in (None, 0.3):
        true = random_measure(rng, M, d)
        fitted = random_measure(rng, K, d) if size is None else scattered(true, K, rng, size)
        loss = voronoi_loss(fitted, true, top=top, exponents={4: 8}, **form)
        value = lambda t: plain_loss(fitted, true, t, form["weights"], form.get("cap", 1.0), top)  # noqa: B023, E731
        assert loss.total == pytest.approx(value(loss.translation), rel=1e-9)
        starts = (fitted.gate[:, None] - true.gate[None]).reshape(-1, d)
        assert loss.total <= brute_force(value, starts, rng) * (1 + 1e-5)


def test_the_cap_parts_a_cell_into_pieces():
    """Six atoms about one: with the cap the loss of one cell has several minima."""
    rng = np.random.default_rng(4699)
    K = int(rng.integers(3, 13))
    gate, slope = rng.uniform(0, 3, K), rng.uniform(0, 0.99, K)
    mass = rng.dirichlet(np.ones(K))
    true = Measure.of([0], [0], [0], [0], [1], [1])
    loss = voronoi_loss(Measure.of(np.zeros(K), gate, slope, np.zeros(K), np.ones(K), mass), true, exact=True)
    t = np.linspace(0, 3, 30_001)[:, None]
    expected = np.min(np.minimum(np.hypot(gate - t, slope), 1) @ mass)
    assert loss.total == pytest.approx(expected, rel=1e-6)


def test_the_truth_may_be_translated_too():
    rng = np.random.default_rng(3)
    true = random_measure(rng, 2)
    fitted = scattered(true, 3, rng, 0.2)
    for form in FORMS:
        loss = voronoi_loss(fitted, true, **form).total
        assert voronoi_loss(fitted, shifted(true, 2.0, 3.0), **form).total == pytest.approx(loss, rel=1e-8)


def test_first_powers_where_fit_and_truth_have_equally_many_atoms():
    """Both fitted atoms in the cell of the first true one."""
    fitted = replace(G2, slope=G2.slope[[0, 0]], intercept=G2.intercept[[0, 0]] + [[0.0], [0.1]], gate=G2.gate[[0, 0]])
    loss = voronoi_loss(fitted, replace(G2, variance=fitted.variance), cap=None)
    assert loss.sizes == (2,)
    over = voronoi_loss(fitted, replace(G2, variance=fitted.variance), cap=None, exact=False)
    assert loss.total > 2 * 0.53 + 0.01 > over.total > 2 * 0.53


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


def test_an_unknown_exponent_is_not_replaced_by_a_known_one():
    """The smallest loss has cells of 3 and 1 with r(4) = 6, but with a larger r(4) it could be in a cell of 4."""
    rng = np.random.default_rng(1)
    true, fitted = random_measure(rng, 2), random_measure(rng, 4, spread=0.5)
    assert voronoi_loss(fitted, true, exponents={4: 6}).sizes == (3, 1)
    with pytest.raises(ValueError, match="4 atoms"):
        voronoi_loss(fitted, true)


def test_bad_input():
    with pytest.raises(ValueError, match="rule expects one of"):
        voronoi_loss(G2, G2, "soft")
    with pytest.raises(ValueError, match="expects a gate with weights"):
        voronoi_loss(G2, G2, "sigmoid", weights="exp")
    with pytest.raises(ValueError, match="gate expects as many columns"):
        voronoi_loss(replace(G2, gate=np.zeros((2, 3))), G2)


def test_far_atoms_count_up_to_the_cap():
    far = Measure.of([0, 0, -9], [25, 0, 1e3], [-20, 20, 1e4], [15, -5, 1e4], [0.09, 0.16, 1], [0.47, 0.529, 0.001])
    far = replace(far, bias=np.array([-8.0, 0.0, -9.0]))
    assert voronoi_loss(far, G2).total < 0.01
    assert voronoi_loss(far, G2, cap=None).total > 1e6


def test_a_common_shift_of_the_intercepts_is_not_seen_but_their_difference_is():
    assert voronoi_loss(shifted(G2, 0.0, 4.0), G2, weights="exp").total == pytest.approx(0, abs=1e-12)
    other = replace(G2, bias=G2.bias + [0.5, 0])
    first = np.exp(-8) / (1 + np.exp(-8))
    assert voronoi_loss(other, G2, weights="exp").total == pytest.approx(first * (np.exp(0.5) - 1), rel=1e-6)


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
    assert voronoi_loss(fitted.swapped(), fitted, "activation").total == 0
    gelu = RULES["activation"]._replace(swaps=False)
    assert voronoi_loss(fitted.swapped(), fitted, gelu).total == pytest.approx(1.0)


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
    heavy = Branches(replace(true.root, bias=np.log([3.0, 1.0])), children)
    off = Branches(heavy.root, [replace(children[0], slope=children[0].slope + 0.1), children[1]])
    assert tree_loss(off, heavy, weights="exp")[0] == pytest.approx(0.75 * 0.1)
    with pytest.raises(ValueError, match="as many branches"):
        tree_loss(Branches(true.root, children[:1]), true)
