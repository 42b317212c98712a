"""Passes over the data against np.exp over arrays of the same size, and against a peer. Run by `make bench`."""

import tracemalloc

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from moegate import MoERegressor
from moegate._kernels import responsibilities
from moegate.blocks import BLOCK_SIZE, Rows, Units
from moegate.experts import Gaussian
from moegate.experts.multinomial import Multinomial
from moegate.experts.poisson import Poisson
from moegate.gates import SoftmaxGate
from moegate.likelihood import Likelihood
from moegate.model import MixtureOfExperts
from moegate.solvers import EM


def simulated(n, d, K, seed=0):
    """Columns and a response from K experts with a softmax gate."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    gate, slopes = rng.standard_normal((d, K)), rng.standard_normal((K, d))
    expert = np.argmax(X @ gate + rng.gumbel(size=(n, K)), axis=1)
    return X, np.sum(slopes[expert] * X, axis=1) + 2.0 * expert + 0.5 * rng.standard_normal(n)


def likelihood(X, y, K):
    """The likelihood in standardised units, and a theta inside the domain."""
    d = X.shape[1]
    model = MixtureOfExperts(SoftmaxGate().build(K), Gaussian(1.0), K, d)
    theta = 0.3 * np.random.default_rng(1).standard_normal(model.n_params)
    experts = model.split(theta)[1]
    experts[:, -1] = 1.0
    units = Units(X.mean(axis=0), X.std(axis=0), float(y.mean()), float(y.std()))
    return Likelihood(model, Rows(X, y, None, units)), theta


@pytest.fixture(scope="module")
def large():
    n, d, K = 1_000_000, 10, 4
    X, y = simulated(n, d, K)
    return *likelihood(X, y, K), np.random.default_rng(2).standard_normal((2 * K - 1, n))


def test_log_sum_exp(ratio):
    A = np.random.default_rng(0).standard_normal((4, 1_000_000))
    out = np.empty_like(A)

    def blocks():
        for at in range(0, A.shape[1], BLOCK_SIZE):
            responsibilities(A[:, at : at + BLOCK_SIZE].copy())

    ratio("log-sum-exp and responsibilities / np.exp, (4, 1e6)", blocks, lambda: np.exp(A, out=out), 3.5)


def test_value_and_score(ratio, large):
    target, theta, E = large
    name = "value and score pass / np.exp over n(2K-1), n = 1e6, K = 4, d = 10"
    ratio(name, lambda: target.value_and_score(theta), lambda: np.exp(E), 8, rounds=3)


def test_em_step(ratio, large):
    target, theta, E = large
    ratio("EM step / the same np.exp", lambda: target.em_step(theta), lambda: np.exp(E), 35, rounds=3)


def test_hessian(ratio, large):
    target, theta, _ = large
    ratio("Hessian pass / EM step, same data", lambda: target.expand(theta), lambda: target.em_step(theta), 2, rounds=3)


@pytest.mark.parametrize("family", ["multinomial", "poisson"])
def test_other_families(ratio, family):
    """Value and score: np.exp is over the gate's and the experts' predictors but one of each."""
    n, d, K, M = 100_000, 5, 3, 4
    X, y = simulated(n, d, K)
    y = np.digitize(y, np.quantile(y, [0.25, 0.5, 0.75])).astype(float)
    experts, channels = (Multinomial(M), M - 1) if family == "multinomial" else (Poisson(), 1)
    model = MixtureOfExperts(SoftmaxGate().build(K), experts, K, d)
    units = Units(X.mean(axis=0), X.std(axis=0), 0.0, 1.0)
    target = Likelihood(model, Rows(X, y, None, units, response=False))
    theta = 0.3 * np.random.default_rng(1).standard_normal(model.n_params)
    E = np.random.default_rng(2).standard_normal((K - 1 + K * channels, n))
    name = f"{family} experts, value and score pass / np.exp over n({len(E)}), n = 1e5, K = 3, d = 5"
    ratio(name, lambda: target.value_and_score(theta), lambda: np.exp(E), 6 if channels > 1 else 10, rounds=15)


def test_against_gaussian_mixture(ratio):
    """One EM iteration against one of scikit-learn's diagonal Gaussian mixture on (x, y)."""
    n, d, K, steps = 100_000, 5, 3, 20
    X, y = simulated(n, d, K)
    target, theta = likelihood(X, y, K)
    joint = np.column_stack([X, y])
    resp = np.full((K,), 1 / K)
    peer = GaussianMixture(
        K,
        covariance_type="diag",
        max_iter=steps,
        tol=0.0,
        weights_init=resp,
        means_init=joint[:K],
        precisions_init=np.ones((K, d + 1)),
    )

    def fit_peer():
        with pytest.warns():
            peer.fit(joint)

    name = "20 EM steps / 20 of scikit-learn's diagonal GaussianMixture on (x, y), n = 1e5, d = 5, K = 3"
    ratio(name, lambda: EM(max_iter=steps, tol=-np.inf).run(target, theta), fit_peer, 0.5)


def test_memory(figure):
    """Peak of traced memory above the data during a fit, in bytes of the data."""
    X, y = simulated(1_000_000, 10, 4)
    tracemalloc.start()
    MoERegressor(4, n_init=2, random_state=0).fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    figure(
        "peak memory above the data during fit / bytes of X and y, n = 1e6, d = 10, K = 4",
        peak / (X.nbytes + y.nbytes),
        1.3,
    )
