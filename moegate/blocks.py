"""The data as blocks of rows: designs stand experts-first, in centred and scaled columns.

A block's design is V = [columns of x, ones] or, for experts linear in the response too, [columns of x, ones, -y].
Columns are centred and scaled by `Units`: a coefficient vector in user units maps linearly onto one in scaled units.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import add

import numpy as np

from ._kernels import products, unpack_grams, wide_grams

BLOCK_SIZE = 16384
CACHE_BYTES = 64e6
# glibc gives memory back at the end of each block, and fetching it again costs as much as the pass itself; having freed
# one large array (never touched, so that it costs nothing) it keeps up to twice as much for the next block.
np.empty(31 * 2**17)
QUANTUM = 2.0**-20  # of scaled values: what rounding may change must not change a random choice


def row_keys(A, quantum=None):
    """One 64-bit key per row of A (n, d), a hash of its values, to within `quantum` if given.

    The mixing is the finaliser of splitmix64 (Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195).
    """
    A = np.rint(A / quantum) if quantum else np.asarray(A, dtype=float)
    bits = np.ascontiguousarray(A + 0.0).view(np.uint64)
    key = np.zeros(len(bits), dtype=np.uint64)
    for column in bits.T:
        key = mix(key * np.uint64(0x2545F4914F6CDD1D) + column + np.uint64(0x9E3779B97F4A7C15))
    return key


def mix(z):
    """Scramble 64-bit integers."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


WIDE = 60  # design rows from which a Gram by itself is cheaper than products of pairs of rows kept


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
    """Columns that one component sees in one block: `Z` scaled (q, B), last row ones; `x` the same in user units."""

    Z: np.ndarray
    center: np.ndarray
    scale: np.ndarray

    @cached_property
    def x(self):
        return self.Z * self.scale[:, None] + self.center[:, None]


@dataclass(frozen=True)
class Block:
    """A few thousand rows: design V (Q, B), response y (B,) or None, weight (B,) or None, offset (B,) or None."""

    V: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    units: Units
    offset: np.ndarray = None
    _designs: dict = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def products(self):
        """Products of pairs of design rows, so that every weighted Gram of a pass is one matrix product."""
        return products(self.V)

    @property
    def values(self):
        """All that makes rows different, (B, ...), scaled where it is part of the design."""
        Q = len(self.V)
        parts = (self.V, self.y if Q == len(self.units.center) + 1 else None, self.offset)
        return np.vstack([part for part in parts if part is not None]).T

    def design(self, rows):
        """The rows of the design that a component uses (the response row excluded)."""
        if rows not in self._designs:
            self._designs[rows] = self._design(rows)
        return self._designs[rows]

    def _design(self, rows):
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
        """Weighted Gram matrices of the design, weights (..., T, B) -> (..., T, Q, Q)."""
        Q = len(self.V)
        return unpack_grams(weights @ self.products.T, Q) if Q < WIDE else wide_grams(self.V, weights)


@dataclass(frozen=True)
class Triangle:
    """R of a QR decomposition of rows (n, q); the sum of two is that of both sets of rows."""

    R: np.ndarray

    @classmethod
    def of(cls, block, at):
        """Of some design rows of a block, each observation times the root of its weight."""
        V = block.V[at] if block.weight is None else block.V[at] * np.sqrt(block.weight)
        return cls(np.linalg.qr(V.T, mode="r"))

    def __add__(self, other):
        return Triangle(np.linalg.qr(np.vstack([self.R, other.R]), mode="r"))


@dataclass(frozen=True)
class Selected:
    """Some columns and rows of a large array, taken only for the rows that are asked for."""

    X: np.ndarray
    columns: list = None
    rows: np.ndarray = None

    @property
    def shape(self):
        return len(self), self.X.shape[1] if self.columns is None else len(self.columns)

    def __len__(self):
        return len(self.X if self.rows is None else self.rows)

    def __getitem__(self, at):
        found = self.X[at if self.rows is None else self.rows[at]]
        return found if self.columns is None else found[:, self.columns]


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
    offset : ndarray of shape (n,), optional
        A known term of the experts' predictors.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    units: Units
    response: bool = True
    size: int = BLOCK_SIZE
    offset: np.ndarray = None
    _cache: list = field(default_factory=list, repr=False, compare=False)

    local = True  # rows are here, and another process may have a copy

    @property
    def n_rows(self):
        return len(self.X)

    @property
    def n_columns(self):
        return self.X.shape[1]

    @cached_property
    def total_weight(self):
        return float(self.n_rows if self.weight is None else self.weight.sum())

    @cached_property
    def response_groups(self):
        """Group of each row by its response, (n,); None where no response occurs twice."""
        groups = np.unique(self.y, return_inverse=True)[1]
        return None if groups.max(initial=-1) + 1 == self.n_rows else groups

    def __len__(self):
        return -(-self.n_rows // self.size)

    def __iter__(self):
        if self._cache:
            return iter(self._cache)
        if self.small:
            self._cache.extend(self.stream())
            return iter(self._cache)
        return self.stream()

    def total(self, function, over=None):
        """Sum of `function(block)`, in any grouping: how all rows are seen, wherever they are; `over` see `paired`."""
        return reduce(add, map(function, self if over is None else over))

    def paired(self, resp):
        """Pairs of a block and its part (..., K, B) of an array (..., n, K) over all rows, one at a time."""
        parts = (np.swapaxes(resp[..., at : at + self.size, :], -2, -1) for at in range(0, self.n_rows, self.size))
        return ((block, np.ascontiguousarray(part)) for block, part in zip(self, parts, strict=True))

    @cached_property
    def largest_response(self):
        """The largest response."""
        return self.y.max()

    def __getstate__(self):
        return {**self.__dict__, "_cache": []}

    def take(self, index):
        """The same data restricted to some rows."""
        y, w, offset = (None if a is None else a[index] for a in (self.y, self.weight, self.offset))
        return replace(self, X=self.X[index], y=y, weight=w, offset=offset, _cache=[])

    @property
    def _values(self):
        """All that makes rows different, (n, ...)."""
        parts = (self.X, self.y, self.offset)
        return np.column_stack([part for part in parts if part is not None])

    def thinned(self, share, draw=0):
        """About a share of the rows, chosen by a hash of their values, so that equal rows stay together.

        Draws of different numbers are independent, so that a part of a part is one too.
        """
        limit, salt = np.uint64(min(int(share * 2.0**64), 2**64 - 1)), np.uint64(draw)
        keep = [mix(row_keys(block.values, QUANTUM) ^ salt) < limit for block in self]
        return self.take(np.flatnonzero(np.concatenate(keep)))

    def merged(self):
        """Equal rows as one row with their summed weight, in an order that depends on the values alone."""
        _, first, inverse = np.unique(row_keys(self._values), return_index=True, return_inverse=True)
        return replace(self.take(first), weight=self._summed(inverse, len(first)))

    def _summed(self, group, n_groups):
        if n_groups == self.n_rows:
            return None if self.weight is None else self.weight[np.argsort(group)]
        return np.bincount(group, weights=self.weight, minlength=n_groups).astype(float)

    @property
    def small(self):
        """Whether the blocks and their products can be kept."""
        Q = self.n_columns + 1 + self.response
        return self.n_rows * (Q * (Q + 1) / 2 if Q < WIDE else Q) * 8 <= CACHE_BYTES

    def stream(self):
        """Blocks made anew, one at a time."""
        return (self._block(slice(at, at + self.size)) for at in range(0, self.n_rows, self.size))

    def _block(self, at):
        X, units, d = np.asarray(self.X[at], dtype=float), self.units, self.n_columns
        V = np.empty((d + 1 + self.response, len(X)))
        np.subtract(X.T, units.center[:, None], out=V[:d])
        V[:d] /= units.scale[:, None]
        V[d] = 1.0
        y = None if self.y is None else self.y[at]
        if self.response:
            np.subtract(units.y_center, y, out=V[d + 1])
            V[d + 1] /= units.y_scale
        weight, offset = (None if a is None else a[at] for a in (self.weight, self.offset))
        return Block(V, y, weight, units, offset)
