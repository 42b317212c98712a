import pickle

import numpy as np
import pytest

from moegate import blocks
from moegate.blocks import Rows, Units, row_keys
from moegate.experts import Gaussian
from moegate.gates import SoftmaxGate
from moegate.likelihood import Likelihood
from moegate.model import MixtureOfExperts

N, D, K = 300, 2, 3
UNITS = Units(np.array([1990.0, -3.0]), np.array([12.0, 1e-3]), 5.0, 40.0)


@pytest.fixture
def data():
    """X, y and weights with exactly repeated rows, in unlike units."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((N, D)), rng.standard_normal(N)
    X[200:], y[200:] = X[:100], y[:100]
    return UNITS.center + UNITS.scale * X, UNITS.y_center + UNITS.y_scale * y, rng.integers(1, 4, N).astype(float)


def sums(rows):
    """Value, score, information and Hessian of a fixed model, one after the other."""
    model = MixtureOfExperts(SoftmaxGate().build(K), Gaussian(), K, D)
    gate = np.linspace(2, -1, (K - 1) * (D + 1)).reshape(K - 1, D + 1)
    experts = np.column_stack([np.linspace(-1, 1.5, K * (D + 1)).reshape(K, D + 1), [0.7, 1.0, 1.6]])
    at = Likelihood(model, rows).expand(model.join(gate, experts))
    return np.concatenate([[at.value], at.score, at.information.ravel(), at.hessian.ravel()])


def assert_same_sums(rows, other):
    expected = sums(other)
    np.testing.assert_allclose(sums(rows), expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())


def shuffled(rows, seed=3):
    return rows.take(np.random.default_rng(seed).permutation(rows.n_rows))


@pytest.mark.parametrize("response", [False, True])
def test_unit_matrix_moves_coefficients_with_their_columns(response):
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(9, D)), rng.normal(size=9)
    scaled = [(X - UNITS.center) / UNITS.scale, np.ones((9, 1)), -(y[:, None] - UNITS.y_center) / UNITS.y_scale]
    user = [X, np.ones((9, 1)), -y[:, None]]
    coef, end = rng.normal(size=D + 1 + response), None if response else -1
    in_units = np.hstack(scaled[:end]) @ UNITS.matrix(response) @ coef
    np.testing.assert_allclose(in_units, np.hstack(user[:end]) @ coef, rtol=1e-9)
    np.testing.assert_array_equal(Units.identity(D).matrix(response), np.eye(D + 1 + response))


def test_blocks_hold_the_scaled_rows_in_order(data):
    X, y, weight = data
    made = list(Rows(X, y, weight, UNITS, size=77))
    assert [block.V.shape[1] for block in made] == [77, 77, 77, 69]
    V = np.hstack([block.V for block in made])
    expected = [*((X - UNITS.center) / UNITS.scale).T, np.ones(N), -(y - UNITS.y_center) / UNITS.y_scale]
    np.testing.assert_allclose(V, expected, rtol=1e-12)
    np.testing.assert_array_equal(np.concatenate([block.weight for block in made]), weight)
    np.testing.assert_array_equal(np.concatenate([block.y for block in made]), y)


@pytest.mark.parametrize("columns", [(), (1,), (1, 0), (0, 1)])
def test_a_component_sees_its_columns_and_ones(data, columns):
    X, y, _ = data
    (block,) = Rows(X, y, None, UNITS)
    design = block.design((*columns, D))
    np.testing.assert_array_equal(design.Z, block.V[[*columns, D]])
    np.testing.assert_allclose(design.x, np.column_stack([X, np.ones(N)])[:, [*columns, D]].T, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 7, 299, 300, 301])
@pytest.mark.parametrize("weighted", [False, True])
def test_block_size_does_not_change_sums(data, size, weighted):
    X, y, weight = data
    weight = weight if weighted else None
    assert_same_sums(Rows(X, y, weight, UNITS, size=size), Rows(X, y, weight, UNITS))


def test_streamed_blocks_equal_cached_ones(data, monkeypatch):
    rows = Rows(*data, UNITS, size=64)
    cached = sums(rows)
    assert rows.small and len(rows._cache) == len(rows)
    monkeypatch.setattr(blocks, "CACHE_BYTES", 0.0)
    streamed = Rows(*data, UNITS, size=64)
    assert not streamed.small
    for _ in range(2):
        np.testing.assert_array_equal(sums(streamed), cached)
    assert streamed._cache == []


def test_memory_mapped_rows_equal_those_in_memory(data, tmp_path, monkeypatch):
    X, y, weight = data
    np.save(tmp_path / "X.npy", X)
    mapped = Rows(np.load(tmp_path / "X.npy", mmap_mode="r"), y, weight, UNITS, size=64)
    monkeypatch.setattr(blocks, "CACHE_BYTES", 0.0)
    np.testing.assert_array_equal(sums(mapped), sums(Rows(X, y, weight, UNITS, size=64)))


@pytest.mark.parametrize("weighted", [False, True])
def test_merged_rows_are_distinct_and_sum_their_weights(data, weighted):
    X, y, weight = data
    rows = Rows(X, y, weight if weighted else None, UNITS)
    merged = rows.merged()
    assert merged.n_rows == 200 == len(np.unique(np.column_stack([merged.X, merged.y]), axis=0))
    assert merged.total_weight == rows.total_weight
    assert_same_sums(merged, rows)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("distinct", [False, True])
def test_merged_rows_forget_their_order(data, weighted, distinct):
    X, y, weight = (a[:200] for a in data) if distinct else data
    rows = Rows(X, y, weight if weighted else None, UNITS)
    one, other = rows.merged(), shuffled(rows).merged()
    np.testing.assert_array_equal(one.X, other.X)
    np.testing.assert_array_equal(one.y, other.y)
    np.testing.assert_array_equal(one.weight, other.weight)
    assert (one.weight is None) == (distinct and not weighted)
    assert_same_sums(one, rows)


def test_signed_zeros_are_the_same_value():
    assert len(np.unique(row_keys(np.array([[0.0, 1.0], [-0.0, 1.0]])))) == 1


def test_keys_tell_rows_and_columns_apart():
    A = np.random.default_rng(0).integers(0, 4, (500, 3)).astype(float)
    keys, n_distinct = row_keys(A), len(np.unique(A, axis=0))
    assert len(np.unique(keys)) == n_distinct
    assert row_keys(A[:, ::-1])[A[:, 0] != A[:, 2]].tolist() != keys[A[:, 0] != A[:, 2]].tolist()
    rounded = row_keys(A * (1 + 1e-15), blocks.QUANTUM)
    np.testing.assert_array_equal(rounded, row_keys(A, blocks.QUANTUM))


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_thinned_keeps_a_share_and_equal_rows_together(data, share):
    rows = Rows(*data, UNITS)
    kept = np.isin(rows.X[:, 0], rows.thinned(share).X[:, 0])
    np.testing.assert_array_equal(kept[200:], kept[:100])
    band = 4 * np.sqrt(200 * share * (1 - share))
    assert abs(kept[:200].sum() - 200 * share) < band


def test_thinned_rows_do_not_depend_on_order_and_are_nested(data):
    rows = Rows(*data, UNITS, size=64)
    few, more = (set(rows.thinned(share).X[:, 0]) for share in (0.2, 0.6))
    assert few < more
    assert few == set(shuffled(rows).thinned(0.2).X[:, 0])


def test_taken_rows_carry_their_weight(data):
    X, y, weight = data
    index = np.array([5, 2, 250])
    rows = Rows(X, y, weight, UNITS)
    list(rows)
    assert_same_sums(rows.take(index), Rows(X[index], y[index], weight[index], UNITS))


def test_pickled_rows_leave_the_cache_behind(data):
    rows = Rows(*data, UNITS)
    expected = sums(rows)
    copy = pickle.loads(pickle.dumps(rows))
    assert rows._cache and copy._cache == []
    np.testing.assert_array_equal(sums(copy), expected)


@pytest.mark.parametrize("width", [1, 1000])
def test_grams_of_few_and_of_many_columns_are_sums_over_rows(monkeypatch, width):
    """By kept products of pairs of rows, or one by one."""
    monkeypatch.setattr("moegate.blocks.WIDE", width)
    rng = np.random.default_rng(0)
    (block,) = Rows(rng.standard_normal((50, 4)), rng.standard_normal(50), None, Units.identity(4))
    weights = rng.standard_normal((2, 3, 50))
    np.testing.assert_allclose(
        block.grams(weights), np.einsum("stb,ib,jb->stij", weights, block.V, block.V), atol=1e-12
    )
