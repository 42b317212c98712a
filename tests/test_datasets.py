"""Loaders have the sizes they say; draws are those of a model that the library finds again."""

import warnings

import numpy as np
import pytest

from moegate import MoEClassifier, MoERegressor, TopKGate, datasets
from moegate.datasets import make_moe
from moegate.gates import GATES

SIZES = {"engel": 235, "grunfeld": 220, "diabetes": 442, "fair": 6366, "anes96": 944, "randhie": 20190}


@pytest.mark.parametrize("name", SIZES)
def test_loaders(name):
    X, y = getattr(datasets, f"load_{name}")()
    assert len(X) == len(y) == SIZES[name] and not X.isna().any(axis=None) and y.name is not None
    assert y.name not in X.columns


@pytest.mark.parametrize("gate", sorted(GATES))
@pytest.mark.parametrize("experts", ["gaussian", "poisson", "multinomial"])
def test_draws_with_every_gate_and_family(gate, experts):
    gate = {"top_k": TopKGate(1)}.get(gate, gate) if gate != "hierarchical" else GATES[gate](branches=(2, 1))
    K = 3 if not isinstance(gate, (str, TopKGate)) else 2
    with warnings.catch_warnings(action="ignore"):  # top-1 gates say what they cannot see
        X, y, theta = make_moe(50, 2, K, gate=gate, experts=experts, return_theta=True, random_state=0)
        again = make_moe(50, 2, K, gate=gate, experts=experts, random_state=0)
    np.testing.assert_array_equal(y, again[1])
    assert X.shape == (50, 2) and np.abs(X).max() <= 2 and np.isfinite(theta).all()
    assert experts == "gaussian" or y.dtype.kind == "i"


def test_the_truth_is_found_again():
    X, y, theta = make_moe(2000, return_theta=True, random_state=2)
    moe = MoERegressor(n_init=2, random_state=0).fit(X, y)
    gain = 2 * (moe.loglik_ - moe.likelihood(X, y).value(theta))
    assert 0 < gain < 30  # chi-square with 8 degrees of freedom
    X, y, theta = make_moe(3000, experts="multinomial", return_theta=True, random_state=5)
    moe = MoEClassifier(n_init=2, penalty=None, random_state=0).fit(X, y)
    assert 0 < 2 * (moe.loglik_ - moe.likelihood(X, y).value(theta)) < 35
