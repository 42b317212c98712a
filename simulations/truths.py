"""Known mixtures of experts to draw from, written in plain numpy beside the library that fits them.

A truth has one row per expert: gate (slopes, intercept), expert slopes, intercepts, standard deviations (or, of
classes, rows for all but the last). Columns are uniform on a box.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

GRID = 400  # points over the box where densities are compared, one column; by the square root of it with two


def softmax(S):
    """Of the columns of S (K, n)."""
    E = np.exp(S - S.max(axis=0))
    return E / E.sum(axis=0)


def affine(rows, X):
    """w_k'x + b_k."""
    return rows[:, :-1] @ X.T + rows[:, -1:]


def distance(rows, X):
    """-||x - m_k|| + b_k."""
    return -np.linalg.norm(X[None] - rows[:, None, :-1], axis=2) + rows[:, -1:]


def cosine(rows, X):
    """w_k'x / (||w_k|| ||x||) + b_k."""
    W = rows[:, :-1] / np.linalg.norm(rows[:, :-1], axis=1, keepdims=True)
    return W @ (X / np.linalg.norm(X, axis=1, keepdims=True)).T + rows[:, -1:]


def projection(S):
    """Of the columns of S (K, n) on the simplex, by bisection on the threshold."""
    low, high = S.max(axis=0) - 1, S.max(axis=0)
    for _ in range(60):
        middle = (low + high) / 2
        over = np.maximum(S - middle, 0).sum(axis=0) > 1
        low, high = np.where(over, middle, low), np.where(over, high, middle)
    return np.maximum(S - low, 0)


def noisy(S):
    """Mean softmax of two scores with Gumbel noise: the difference of two such noises is logistic."""
    noise, step = np.linspace(-40, 40, 401, retstep=True)
    density = step / (2 + 2 * np.cosh(noise))
    first = (1 / (1 + np.exp(-(S[0] - S[1])[:, None] - noise))) @ density
    return np.stack([first, 1 - first])


def top(S, k):
    """Softmax over the k largest scores."""
    return softmax(np.where(S >= np.sort(S, axis=0)[-k], S, -np.inf))


@dataclass(frozen=True)
class Gate:
    """pi(x) by the name of the gate: `rows` (K, d + 1), and what the gate needs beside them.

    Parameters
    ----------
    kind : str
    k : int
        Of "top_k".
    temperature : float
    """

    kind: str = "softmax"
    k: int = 2
    temperature: float = 1.0

    def __call__(self, rows, X):
        """Probabilities (n, K)."""
        return getattr(self, f"_{self.kind}")(rows, X).T

    def _softmax(self, rows, X):
        return softmax(affine(rows, X) / self.temperature)

    def _modified(self, rows, X):
        return softmax(affine(rows, np.tanh(X)))

    def _top_k(self, rows, X):
        return top(affine(rows, X), self.k)

    def _cosine(self, rows, X):
        return softmax(cosine(rows, X))

    def _sparsemax(self, rows, X):
        return projection(affine(rows, X))

    def _gumbel(self, rows, X):
        return noisy(affine(rows, X))

    def _laplace(self, rows, X):
        return softmax(distance(rows, X))

    def _sigmoid(self, rows, X):
        P = 1 / (1 + np.exp(-affine(rows, X)))
        return P / P.sum(axis=0)

    def _activation(self, rows, X):
        return softmax((1 / (1 + np.exp(-rows[:, :-1] @ X.T)) + rows[:, -1:]) / self.temperature)


@dataclass(frozen=True)
class Truth:
    """A known model with Gaussian experts, or with classes where `classes` has rows.

    Parameters
    ----------
    gate : Gate
    rows : tuple
        (slopes, intercept) of the gate for each expert.
    slopes, intercepts, sigma : tuple
        Of Gaussian experts.
    box : (float, float)
    classes : tuple
        Of multinomial experts, for each expert the rows (slope, intercept) of all classes but the last.
    translates : bool
        Whether a common translation of the gate's rows cannot be seen.
    """

    gate: Gate
    rows: tuple
    slopes: tuple = ()
    intercepts: tuple = ()
    sigma: tuple = ()
    box: tuple = (-2, 2)
    classes: tuple = ()
    translates: bool = True

    @property
    def K(self):
        return len(self.rows)

    @property
    def d(self):
        return len(self.rows[0]) - 1

    @cached_property
    def R(self):
        return np.array(self.rows, dtype=float)

    @cached_property
    def A(self):
        """Expert slopes (K, d)."""
        return np.array(self.slopes, dtype=float).reshape(self.K, -1)

    @cached_property
    def grid(self):
        """Points of the box at which densities are compared, (m, d)."""
        m = GRID if self.d == 1 else int(np.sqrt(GRID))
        points = self.box[0] + (self.box[1] - self.box[0]) * (np.arange(m) + 0.5) / m
        return np.stack(np.meshgrid(*[points] * self.d, indexing="ij"), axis=-1).reshape(-1, self.d)

    def probabilities(self, X):
        """Gate, (n, K)."""
        return self.gate(self.R, X)

    def parts(self, X):
        """Gate, means and deviations of Gaussian experts, (n, K) each."""
        means = X @ self.A.T + np.array(self.intercepts)
        return self.probabilities(X), means, np.broadcast_to(np.array(self.sigma, dtype=float), means.shape)

    def class_probabilities(self, X):
        """Of the experts, (n, K, M)."""
        rows = np.array(self.classes, dtype=float)
        rows = np.concatenate([rows, np.zeros((self.K, 1, rows.shape[2]))], axis=1)
        scores = np.einsum("krd,nd->nkr", rows[..., :-1], X) + rows[..., -1]
        E = np.exp(scores - scores.max(axis=2, keepdims=True))
        return E / E.sum(axis=2, keepdims=True)

    def draw(self, n, rng):
        """Columns (n, d) and responses (n,)."""
        X = rng.uniform(*self.box, (n, self.d))
        expert = np.sum(np.cumsum(self.probabilities(X), axis=1) < rng.random((n, 1)), axis=1)
        expert = np.minimum(expert, self.K - 1)
        if self.classes:
            P = self.class_probabilities(X)[np.arange(n), expert]
            return X, np.minimum(np.sum(np.cumsum(P, axis=1) < rng.random((n, 1)), axis=1), P.shape[1] - 1)
        _, means, sigma = self.parts(X)
        at = np.arange(n), expert
        return X, means[at] + sigma[at] * rng.standard_normal(n)

    def loglik(self, X, y):
        """Log-likelihood of the truth."""
        if self.classes:
            P = np.einsum("nk,nkr->nr", self.probabilities(X), self.class_probabilities(X))
            return float(np.log(P[np.arange(len(y)), y]).sum())
        pi, means, sigma = self.parts(X)
        z = (y[:, None] - means) / sigma
        with np.errstate(divide="ignore"):
            logs = np.log(pi) - np.log(sigma) - 0.5 * z * z - 0.5 * np.log(2 * np.pi)
        top = logs.max(axis=1)
        return float(np.sum(top + np.log(np.exp(logs - top[:, None]).sum(axis=1))))


TWO = {"slopes": (1, 1), "intercepts": (-1.5, 1.5), "sigma": (0.4, 0.5)}
THREE = {"slopes": (1, 1, 1), "intercepts": (-2, 0, 2), "sigma": (0.4, 0.5, 0.4)}
M3 = (((-3.5, 4), (3, -4)), ((-3, -4), (3.5, 3)))
M3C = (((0, 1), (0, -0.5)), ((1.5, -2.5), (-3, 3.5)))
TRUTHS = {
    "G2": Truth(Gate(), ((25, -8), (0, 0)), (-20, 20), (15, -5), (0.3, 0.4), (0, 1)),
    "close3": Truth(Gate(), ((-3, 0), (0, 1), (3, 0)), (0.8, -0.8, 0.8), (-0.5, 0.3, 0.5), (0.5,) * 3),
    "coverage": Truth(Gate(), ((1.5, 0.3), (0, 0)), (0.8, -0.8), (-0.5, 0.5), (0.5, 0.6)),
    "coverage3": Truth(
        Gate(), ((1, -0.8, 0, 0.3), (0, 0, 0, 0)), ((0.8, -0.5, 0), (-0.8, 0, 0.5)), (-1, 1), (0.5, 0.6)
    ),
    "T3": Truth(Gate("top_k"), ((-1.5, 0), (0, 1), (1.5, 0)), **THREE),
    "T4": Truth(Gate("top_k"), ((-3, 0), (-2, 1), (-1, 1), (0, 0)), (1,) * 4, (-3, -1, 1, 3), (0.4,) * 4),
    "temperature": Truth(Gate(temperature=0.5), ((2, 0.5), (0, 0)), **TWO),
    "cosine": Truth(
        Gate("cosine"),
        tuple((np.cos(angle), np.sin(angle), bias) for angle, bias in ((0, 0.3), (2.1, -0.3), (4.2, 0))),
        ((1, 0),) * 3,
        (-2, 0, 2),
        (0.4, 0.5, 0.4),
        (-3, 3),
        translates=False,
    ),
    "tanh": Truth(Gate("modified"), ((2, 0.5), (0, 0)), **TWO, box=(-3, 3)),
    "sparsemax": Truth(Gate("sparsemax"), ((0.8, 0.2), (0, 0)), **TWO),
    "gumbel": Truth(Gate("gumbel"), ((3, 0.5), (0, 0)), **TWO),
    "activation": Truth(
        Gate("activation", temperature=0.2), ((-0.25, 0), (-1.25, 0)), **TWO, box=(-3, 3), translates=False
    ),
    "laplace": Truth(
        Gate("laplace"),
        ((-1.5, 0), (-0.5, 0)),
        (2, -1.5),
        (-1.5, 0.5),
        (0.4, 0.5),
        (-3, 3),
        translates=False,
    ),
    "laplace2": Truth(
        Gate("laplace"),
        ((-0.5, 1.5, 0), (0, -0.5, 0)),
        ((1, 0), (0, 1)),
        (-1.5, 1.5),
        (0.4, 0.5),
        (-3, 3),
        translates=False,
    ),
    "sigmoid": Truth(Gate("sigmoid"), ((1, -2.5), (3.5, 1.5)), **TWO, box=(-3, 3), translates=False),
    "M3": Truth(Gate(), ((3, 1), (0, 0)), box=(-3, 3), classes=M3),
    "M3c": Truth(Gate(), ((-3.5, -0.5), (0, 0)), box=(-3, 3), classes=M3C),
}
TRUTHS["M3c-modified"] = replace(TRUTHS["M3c"], gate=Gate("modified"))
