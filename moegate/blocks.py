"""The data as blocks of rows: designs stand experts-first, in centred and scaled columns.

A block's design is V = [columns of x, ones] or, for experts that are linear in the response too, [columns of x, ones, -y].
Columns are centred and scaled by `Units`; a coefficient vector in user units maps linearly onto one in scaled units.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ._kernels import products, unpack_grams

BLOCK_SIZE = 8192
CACHE_BYTES = 64e6


@dataclass(frozen=True)
class Units:
    """Centre and scale of each column and of the response.

    Parameters
    ----------
    center, scale : ndarray of shape (d,)
        x = center + scale * scaled x.
    y_center, y_scale : float
        The same for the response.
    """

    center: np.ndarray
    scale: np.ndarray
    y_center: float = 0.0
    y_scale: float = 1.0

    @classmethod
    def identity(cls, d):
        """Units in which nothing is moved."""
        return cls(np.zeros(d), np.ones(d))

    def matrix(self, response):
        """The matrix U with coef_scaled = U @ coef_user, for coefficients of [x, ones(, -y)]."""
        shift = np.append(self.center, [1.0, -self.y_center])
        U = np.diag(np.append(self.scale, [1.0, self.y_scale]))
        U[len(self.center)] = shift
        return U if response else U[:-1, :-1]


@dataclass(frozen=True)
class Design:
    """The columns that one component sees in one block: `Z` scaled (q, B), last row ones; `x` the same in user units."""

    Z: np.ndarray
    center: np.ndarray
    scale: np.ndarray

    @cached_property
    def x(self):
        return self.Z * self.scale[:, None] + self.center[:, None]


@dataclass(frozen=True)
class Block:
    """A few thousand rows: design V (Q, B), response y (B,) or None, weight (B,) or None."""

    V: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    units: Units

    @cached_property
    def products(self):
        """Products of pairs of design rows, so that every weighted Gram of a pass is one matrix product."""
        return products(self.V)

    def design(self, rows):
        """The rows of the design that a component uses (the response row excluded)."""
        units = self.units
        Z = self.V[: len(rows)] if rows == tuple(range(len(rows))) else self.V[list(rows)]
        at = list(rows[:-1])
        return Design(Z, np.append(units.center[at], 0.0), np.append(units.scale[at], 1.0))

    def weigh(self, A):
        """Multiply by the row weights, in place."""
        if self.weight is not None:
            A *= self.weight
        return A

    def grams(self, weights):
        """Weighted Gram matrices of the design, weights (T, B) -> (T, Q, Q)."""
        return unpack_grams(weights @ self.products.T, len(self.V))


@dataclass(frozen=True)
class Rows:
    """Data cut into blocks; small data are cached, large data are transposed block by block at each pass.

    Parameters
    ----------
    X : array-like of shape (n, d)
    y : ndarray of shape (n,) or None
    weight : ndarray of shape (n,) or None
    units : Units
        Centre and scale of the columns and of the response.
    response : bool
        Whether -y is a row of the design.
    size : int
        Rows per block.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    units: Units
    response: bool = True
    size: int = BLOCK_SIZE
    _cache: list = field(default_factory=list, repr=False, compare=False)

    @property
    def n_rows(self):
        return len(self.X)

    @property
    def n_columns(self):
        return self.X.shape[1]

    @cached_property
    def total_weight(self):
        return float(self.n_rows if self.weight is None else self.weight.sum())

    def __len__(self):
        return -(-self.n_rows // self.size)

    def __iter__(self):
        if self._cache:
            return iter(self._cache)
        if self._cacheable:
            self._cache.extend(self._make())
            return iter(self._cache)
        return self._make()

    def __getstate__(self):
        return {**self.__dict__, "_cache": []}

    def take(self, index):
        """The same data restricted to some rows."""
        y, w = (None if a is None else a[index] for a in (self.y, self.weight))
        return replace(self, X=self.X[index], y=y, weight=w, _cache=[])

    @property
    def _cacheable(self):
        Q = self.n_columns + 1 + self.response
        return self.n_rows * Q * (Q + 1) / 2 * 8 <= CACHE_BYTES

    def _make(self):
        return (self._block(slice(at, at + self.size)) for at in range(0, self.n_rows, self.size))

    def _block(self, at):
        X, units, d = np.asarray(self.X[at]), self.units, self.n_columns
        V = np.empty((d + 1 + self.response, len(X)))
        np.subtract(X.T, units.center[:, None], out=V[:d])
        V[:d] /= units.scale[:, None]
        V[d] = 1.0
        y = None if self.y is None else self.y[at]
        if self.response:
            np.subtract(units.y_center, y, out=V[d + 1])
            V[d + 1] /= units.y_scale
        return Block(V, y, None if self.weight is None else self.weight[at], units)
