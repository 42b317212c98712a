import os
from dataclasses import dataclass

import numpy as np
import pytest

from moegate.blocks import Rows, Units
from moegate.experts import Gaussian
from moegate.gates import SoftmaxGate
from moegate.likelihood import Likelihood
from moegate.model import MixtureOfExperts

os.environ.setdefault("MPLBACKEND", "Agg")
collect_ignore = ["reference"]  # scripts kept with their results, not tests


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    """Also where the environment does not limit threads; the imports load the libraries to limit."""
    import scipy.linalg  # noqa: F401
    import sklearn  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


@dataclass(frozen=True)
class Truth:
    """A known softmax-gated Gaussian mixture of experts, the columns uniform on a box; the last gate row is zero."""

    gate: tuple  # (K - 1) rows (slopes, intercept)
    slopes: tuple  # (K, d)
    intercepts: tuple
    sigma: tuple
    box: tuple

    @property
    def model(self):
        return MixtureOfExperts(SoftmaxGate().build(len(self.sigma)), Gaussian(), len(self.sigma), len(self.slopes[0]))

    @property
    def theta(self):
        experts = np.column_stack([self.slopes, self.intercepts, np.ones(len(self.sigma))])
        return self.model.join(np.array(self.gate, dtype=float), experts / np.array(self.sigma)[:, None])

    def draw(self, n, seed):
        """Columns (n, d) and responses (n,)."""
        rng = np.random.default_rng(seed)
        X = rng.uniform(*self.box, (n, len(self.slopes[0])))
        scores = np.column_stack([X @ np.array(row[:-1]) + row[-1] for row in self.gate] + [np.zeros(n)])
        expert = np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)
        mean = np.sum(X * np.array(self.slopes)[expert], axis=1) + np.array(self.intercepts)[expert]
        return X, mean + np.array(self.sigma)[expert] * rng.standard_normal(n)

    def likelihood(self, X, y, weight=None):
        """In user units."""
        return Likelihood(self.model, Rows(X, y, weight, Units.identity(X.shape[1])))


TRUTHS = {
    "coverage1": Truth(((1.5, 0.3),), ((0.8,), (-0.8,)), (-0.5, 0.5), (0.5, 0.6), (-2, 2)),
    "coverage3": Truth(((1, -0.8, 0, 0.3),), ((0.8, -0.5, 0), (-0.8, 0, 0.5)), (-1, 1), (0.5, 0.6), (-2, 2)),
    "close3": Truth(((-6, 0), (-3, 1)), ((0.8,), (-0.8,), (0.8,)), (-0.5, 0.3, 0.5), (0.5, 0.5, 0.5), (-2, 2)),
    "G2": Truth(((25, -8),), ((-20,), (20,)), (15, -5), (0.3, 0.4), (0, 1)),
}


@pytest.fixture(scope="session")
def truths():
    """Known models by name."""
    return TRUTHS
