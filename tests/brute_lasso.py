"""The lasso of Huynh and Chamroukhi (arXiv:1907.06994) for two Gaussian experts with one variance, slowly.

Maximises sum_i log p(y_i | x_i) - lambda sum_k |a_k| - gamma |w|, slopes alone, the second expert's gate row zero, by
EM whose M-steps are coordinate descents: each coordinate is set to its exact minimiser, of the gate by bisection. Plain
numpy, and nothing of the library.
"""

import numpy as np


def soft(z, size):
    """Soft threshold."""
    return np.sign(z) * max(abs(z) - size, 0.0)


def log_joint(X, y, a, c, sigma, w, b):
    """Log of gate probability times density, (n, 2)."""
    score = X @ w + b
    gate = -np.logaddexp(0.0, np.stack([-score, score], axis=1))
    z = (y[:, None] - X @ a.T - c) / sigma
    return gate - 0.5 * z**2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)


def objective(X, y, a, c, sigma, w, b, lam, gamma):
    """Penalised log-likelihood."""
    return (
        np.logaddexp.reduce(log_joint(X, y, a, c, sigma, w, b), axis=1).sum()
        - lam * np.abs(a).sum()
        - gamma * np.abs(w).sum()
    )


def expert(X, y, r, a, c, size, sweeps=200):
    """Minimiser of sum r (y - a'x - c)^2 / 2 + size |a|."""
    a = a.copy()
    for _ in range(sweeps):
        before = a.copy()
        c = np.sum(r * (y - X @ a)) / r.sum()
        for j in range(len(a)):
            rest = y - X @ a - c + X[:, j] * a[j]
            a[j] = soft(np.sum(r * X[:, j] * rest), size) / np.sum(r * X[:, j] ** 2)
        if np.abs(a - before).max() < 1e-12:
            break
    return a, c


def gate(X, r, w, b, size, sweeps=200):
    """Minimiser of -sum (r log p + (1 - r) log(1 - p)) + size |w|, p = 1 / (1 + exp(-w'x - b))."""
    w = w.copy()
    for _ in range(sweeps):
        before = np.append(w, b)
        b = root(np.ones(len(r)), r, X @ w, b, 0.0)
        for j in range(len(w)):
            w[j] = root(X[:, j], r, X @ w + b - X[:, j] * w[j], w[j], size)
        if np.abs(np.append(w, b) - before).max() < 1e-12:
            break
    return w, b


def root(x, r, rest, start, size):
    """The coordinate v at which the derivative of the loss in v, plus size sign(v), is zero."""

    def slope(v):
        return np.sum(x * (1 / (1 + np.exp(-(rest + x * v))) - r))

    at_zero = slope(0.0)
    if abs(at_zero) <= size:
        return 0.0
    side = size if at_zero < 0 else -size  # the sign of v is minus that of the slope at zero
    low, high = (0.0, max(1.0, 2 * abs(start))) if at_zero < 0 else (-max(1.0, 2 * abs(start)), 0.0)
    while at_zero < 0 and slope(high) + side < 0:
        high *= 2
    while at_zero > 0 and slope(low) + side > 0:
        low *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) + side < 0 else (low, middle)
    return (low + high) / 2


def climb(X, y, resp, lam, gamma, rounds=3000):
    """EM from responsibilities (n, 2) until an iteration gains less than 1e-10.

    Returns
    -------
    float
        The penalised log-likelihood reached.
    """
    d = X.shape[1]
    a, c, sigma, w, b = np.zeros((2, d)), np.zeros(2), y.std(), np.zeros(d), 0.0
    value = -np.inf
    for _ in range(rounds):
        for k in range(2):
            a[k], c[k] = expert(X, y, resp[:, k], a[k], c[k], lam * sigma**2)
        sigma = np.sqrt(np.sum(resp * (y[:, None] - X @ a.T - c) ** 2) / len(y))
        w, b = gate(X, resp[:, 0], w, b, gamma)
        joint = log_joint(X, y, a, c, sigma, w, b)
        resp = np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None])
        reached = objective(X, y, a, c, sigma, w, b, lam, gamma)
        if reached - value < 1e-10:
            return max(value, reached)
        value = reached
    return value
