"""Rows spread over dask partitions: workers see their own rows, and only sums of statistics travel.

A pass is one round: theta goes out with the function of a block, each partition is summed block by block where it is,
and the sums are added in pairs, in the order of the partitions: the result does not depend on the number of workers.
"""

from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from functools import cached_property, partial, reduce
from operator import add

import numpy as np

from .blocks import Rows, Selected, Units

LOST = (
    "The dask cluster that holds the rows was lost during a pass. Start it again and fit: with the callback "
    "moegate.Checkpoint(folder) the fit goes on where it stood, and Checkpoint(folder).theta can be passed as init."
)


@dataclass(frozen=True)
class Moments:
    """Number and weight of rows, mean and sum of squares about it of columns and response, (d + 1,).

    The sum of two is that of both sets of rows (Chan, Golub & LeVeque 1983, doi:10.1080/00031305.1983.10483115).
    """

    n_rows: int
    weight: float
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, block):
        """Of a block in user units, the response -y not among its design rows."""
        A = np.vstack([block.V[:-1], block.y])
        weight = np.ones(A.shape[1]) if block.weight is None else block.weight
        mean = A @ weight / weight.sum()
        return cls(A.shape[1], weight.sum(), mean, (A - mean[:, None]) ** 2 @ weight)

    def __add__(self, other):
        weight = self.weight + other.weight
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.weight / weight)
        squares = self.squares + other.squares + apart**2 * (self.weight * other.weight / weight)
        return Moments(self.n_rows + other.n_rows, weight, mean, squares)


@dataclass(frozen=True)
class Partitions:
    """What `Rows` is to data in memory; `total` is a round over all partitions.

    Parameters
    ----------
    parts : tuple of dask.delayed.Delayed
        Each a `Rows` of all columns in user units, or None where a partition has no rows.
    moments : Moments
    largest_response : float
    units : Units
    response : bool
        Whether -y is a row of the design.
    columns : tuple of int
        Those of the parts that are used.
    client : distributed.Client, optional
        Of the cluster that holds the parts.
    """

    parts: tuple
    moments: Moments
    largest_response: float
    units: Units
    response: bool
    columns: tuple
    client: object = None

    small, local, weight, response_groups = False, False, None, None

    @property
    def n_rows(self):
        return self.moments.n_rows

    @property
    def n_columns(self):
        return len(self.columns)

    @property
    def total_weight(self):
        """Sum of the row weights."""
        return float(self.moments.weight)

    @cached_property
    def _view(self):
        return {"columns": self.columns, "units": self.units, "response": self.response}

    def total(self, function, over=None):
        """See `Rows.total`."""
        return in_pairs(self.parts, partial(_summed, function=function, **self._view), self.client)

    def thinned(self, share, draw=0):
        """See `Rows.thinned`: a sample that is brought here, `Rows`."""
        found = in_pairs(self.parts, partial(_thinned, share=share, draw=draw, **self._view), self.client)
        return found.rows

    def paired(self, resp):
        """Not offered: an array over all rows would have to travel."""
        raise ValueError(
            "init expects a kind of start, parameters or a fitted estimator where rows are spread over partitions, got "
            "responsibilities; fit a sample of the rows with them, and pass that fit as init."
        )

    def __iter__(self):
        raise TypeError(
            "Rows spread over partitions are not listed one by one; use a method that takes dask collections, or pass "
            "a sample of the rows."
        )


def in_pairs(parts, function, client=None):
    """Sum of `function(part)` over delayed parts, added in pairs; those that are None left out.

    Raises
    ------
    ConnectionError
        Where the cluster of the client is gone.
    """
    from dask import delayed

    function = delayed(function, pure=False, traverse=False)  # one node of the graph: it is sent once
    sums = [function(part) for part in parts]
    while len(sums) > 1:
        sums = [delayed(_plus)(*sums[i : i + 2]) for i in range(0, len(sums), 2)]
    return sums[0].compute() if client is None else _computed(sums[0], client)


def _computed(value, client):
    try:
        if client.status != "running":
            raise ConnectionError(f"The client is {client.status}.")
        return value.compute(scheduler=client)
    except (OSError, TimeoutError, CancelledError) as error:
        raise ConnectionError(LOST) from error


def _plus(*pair):
    found = [one for one in pair if one is not None]
    return reduce(add, found) if found else None


def _seen(part, columns, units, response):
    """A part as the model sees it."""
    X = part.X if columns == tuple(range(part.X.shape[1])) else Selected(part.X, list(columns))
    return replace(part, X=X, units=units, response=response, _cache=[])


def _summed(part, function, **view):
    return None if part is None else reduce(add, map(function, _seen(part, **view).stream()))


def _thinned(part, share, draw, **view):
    return None if part is None else Sample((_seen(part, **view).thinned(share, draw),))


@dataclass(frozen=True)
class Sample:
    """Rows from several partitions, in their order."""

    pieces: tuple

    def __add__(self, other):
        return Sample(self.pieces + other.pieces)

    @property
    def rows(self):
        """All of them as one."""
        first = self.pieces[0]
        return Rows(
            self._all("X"),
            self._all("y"),
            self._all("weight"),
            first.units,
            first.response,
            first.size,
            self._all("offset"),
        )

    def _all(self, name):
        arrays = [getattr(piece, name) for piece in self.pieces]
        return None if arrays[0] is None else np.concatenate(arrays)
