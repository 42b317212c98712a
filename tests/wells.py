"""Large data on which the maximum is easy to find, for tests and benchmarks of the cost of passes."""

import numpy as np


def wells(n, d, seed=0):
    """Columns (n, d) and responses (n,) of four experts that the first two columns separate."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    expert = 2 * (X[:, 0] + 0.3 * rng.logistic(size=n) > 0) + (X[:, 1] + 0.3 * rng.logistic(size=n) > 0)
    slopes = np.array([[1.0, -0.5], [-1.0, 0.5], [0.5, 1.0], [-0.5, -1.0]])
    mean = np.sum(X[:, :2] * slopes[expert], axis=1) + np.array([-6.0, -2.0, 2.0, 6.0])[expert]
    return X, mean + 0.5 * rng.standard_normal(n)
