"""dask arrays and frames: each partition is checked where it is, and becomes rows in user units there."""

import warnings
from dataclasses import replace
from functools import partial, wraps

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import DataConversionWarning

from ..blocks import Rows, Triangle, Units
from ..partitions import Moments, Partitions
from .checks import check_weight, refuse_missing
from .columns import dependent
from .data import CONSTANT, TrainingData, independent

GATHER_BYTES = 64e6  # of X, up to which the data are brought here and fitted in memory
LENGTHS = (
    "X, y and the weights expect partitions of equal lengths, got {}; give y and the weights the chunks of X "
    "(rechunk, repartition)."
)


def is_dask(X):
    """Whether X is a dask collection."""
    return callable(getattr(X, "__dask_graph__", None))


def check_table(X):
    """Refuse a dask collection that is no table.

    Raises
    ------
    ValueError
    """
    shape = getattr(X, "shape", None)
    if not isinstance(shape, tuple) or len(shape) != 2:
        got = f"shape {shape}" if isinstance(shape, tuple) and hasattr(X, "chunks") else type(X).__name__
        raise ValueError(
            f"X expects a dask array of shape (n, d) or a dask frame, got {got}; reshape it, take columns as "
            "frame[[name]], or make one by dask.array.from_delayed or to_dataframe."
        )


def in_memory(function):
    """A function that needs its rows in memory: it refuses dask collections by a ValueError."""

    @wraps(function)
    def checked(*args, **options):
        if any(map(is_dask, (*args, *options.values()))):
            name = function.__qualname__
            raise ValueError(
                f"{name} expects data in memory, got a dask collection; compute it, or a sample of its rows, first."
            )
        return function(*args, **options)

    return checked


def brought(*arrays):
    """Collections computed here, arrays in one go and frames in one; what is none stays."""
    if not any(map(is_dask, arrays)):
        return arrays
    from dask import compute

    out = list(arrays)
    for kind in (True, False):
        at = [i for i, a in enumerate(arrays) if is_dask(a) and hasattr(a, "chunks") is kind]
        for i, found in zip(at, compute(*(arrays[i] for i in at), traverse=False), strict=True):
            out[i] = found
    return tuple(out)


def only_column(y):
    """A response of shape (n,): a dask collection of one column is that column, with a warning.

    Raises
    ------
    ValueError
        Where it has more columns, or is None.
    """
    if y is None:
        raise ValueError("y expects one response per row, got None; pass it to fit.")
    if getattr(y, "ndim", 1) == 1 or not is_dask(y):
        return y
    if y.shape[1] != 1:
        raise ValueError(f"y expects shape (n,), got {y.shape[1]} columns; pass one of them.")
    warnings.warn("y has one column where shape (n,) was expected; it is taken.", DataConversionWarning, stacklevel=7)
    return y[:, 0] if hasattr(y, "chunks") else y[y.columns[0]]


def spread(X, arrays, kept=True):
    """The partitions of X with those of y, weight and exposure: a list of tuples of delayed pieces.

    Parameters
    ----------
    X : dask.array.Array or dask.dataframe.DataFrame
    arrays : tuple
        y, sample_weight and exposure: dask collections, arrays by row, or None.
    kept : bool
        Whether they are kept in the memory of a cluster, if there is one.
    """
    from dask import persist

    check_table(X)
    pieces = _pieces(X)
    lengths = None if all(np.ndim(a) == 0 or is_dask(a) for a in arrays) else _lengths(X, pieces)
    columns = [_aligned(a, X, len(pieces), lengths) for a in arrays]
    parts = list(zip(pieces, *columns, strict=True))
    return list(persist(*parts)) if kept and _client() is not None else parts


def _client():
    """The client of a cluster, if there is one."""
    try:
        from distributed import default_client

        return default_client()
    except (ImportError, ValueError):
        return None


def _pieces(A):
    A = A.rechunk({1: -1}) if getattr(A, "chunks", None) and A.ndim == 2 else A
    return list(np.ravel(A.to_delayed()))


def _lengths(X, pieces):
    from dask import compute, delayed

    if hasattr(X, "chunks") and not np.isnan(X.chunks[0]).any():
        return X.chunks[0]
    return compute(*[delayed(len)(piece) for piece in pieces])


def _aligned(a, X, n_pieces, lengths):
    """Pieces of an array by row that belong to those of X; one number for all rows stays one."""
    if is_dask(a):
        if hasattr(a, "chunks") and hasattr(X, "chunks") and not np.isnan([*a.chunks[0], *X.chunks[0]]).any():
            if a.shape[0] != X.shape[0]:
                raise ValueError(LENGTHS.format(f"{a.shape[0]} and {X.shape[0]} rows"))
            a = a.rechunk({0: X.chunks[0]})
        pieces = _pieces(a)
        if len(pieces) != n_pieces:
            raise ValueError(LENGTHS.format(f"{len(pieces)} and {n_pieces} partitions"))
        return pieces
    if np.ndim(a) == 0:
        return [a] * n_pieces
    a = np.asarray(a)
    if len(a) != sum(lengths):
        raise ValueError(LENGTHS.format(f"{len(a)} and {sum(lengths)} rows"))
    return np.split(a, np.cumsum(lengths)[:-1])


def _glance(X, y, weight, exposure, by_class):
    """Of one partition the length, its first row, and of the response the classes with weights, or both ends."""
    if by_class:
        refuse_missing(y, "a label")
    y = np.asarray(y)
    if X.shape[0] != len(y):
        raise ValueError(LENGTHS.format(f"{X.shape[0]} and {len(y)} rows in one of them"))
    weight = np.broadcast_to(1.0 if weight is None else np.asarray(weight, dtype=float), len(y))
    if by_class:
        levels, at = np.unique(y, return_inverse=True)
        mass = np.bincount(at, weights=weight, minlength=len(levels))
    else:
        seen = y[weight > 0]
        levels = np.array([seen.min(), seen.max()]) if len(seen) else seen
        mass = np.ones(len(levels))
    return len(y), X.iloc[:1] if hasattr(X, "iloc") else X[:1], levels, mass


def learn(estimator, parts):
    """Number of rows, after scikit-learn's checks of a first row with the ends, or all classes, of the response."""
    from dask import compute, delayed

    by_class = is_classifier(estimator)
    lengths, rows, levels, mass = zip(*compute(*[delayed(_glance)(*part, by_class) for part in parts]), strict=True)
    levels, at = np.unique(np.concatenate(levels), return_inverse=True)
    mass = np.bincount(at, weights=np.concatenate(mass), minlength=len(levels))
    if not mass.any():
        raise ValueError("X expects rows with a positive weight, got none; check the partitions and sample_weight.")
    row = next(row for n, row in zip(lengths, rows, strict=True) if n)
    few, twice = [0] * (2 * len(levels)), np.repeat(levels, 2)
    _, codes = estimator._check_X_y(row.iloc[few] if hasattr(row, "iloc") else row[few], twice)
    estimator._weight(codes, np.repeat(mass / 2, 2), reset=True)
    estimator._check_response(codes)
    return sum(lengths), float(codes.max())


def _checked(X, y, weight, exposure, estimator, at):
    """The partition number `at` as rows in user units, those of weight zero left out; None where none is left."""
    if X.shape[0] == 0 or (weight is not None and not np.any(weight)):
        return None
    try:
        return _rows(X, y, weight, exposure, estimator)
    except ValueError as error:
        raise ValueError(f"{error}\nThis is partition {at}; a row in the message is one of it.") from error


def _rows(X, y, weight, exposure, estimator):
    X, y = estimator._check_X_y(X, y, reset=False)
    weight = estimator._weight(y, check_weight(weight, len(X)))
    offset = estimator._offset(X, exposure, weight)
    rows = Rows(X, estimator._admitted(y), weight, Units.identity(X.shape[1]), False, offset=offset)
    return rows if weight is None or np.all(weight > 0) else rows.take(weight > 0)


def partitions(estimator, parts, largest, response):
    """All columns in the units in which they, and the response if it is part of the design, are standardised."""
    from dask import delayed, persist

    check = delayed(partial(_checked, estimator=_bare(estimator)), pure=False, traverse=False)
    rows = [check(*part, at=at) for at, part in enumerate(parts)]
    client = _client()
    rows = tuple(rows) if client is None else tuple(persist(*rows))
    units, columns = Units.identity(estimator.n_features_in_), tuple(range(estimator.n_features_in_))
    raw = Partitions(rows, None, largest, units, False, columns, client)
    moments = raw.total(Moments.of)
    return replace(raw, moments=moments, units=_units(moments, response), response=response)


def _bare(estimator):
    """The estimator with what checks need, and nothing that is large."""
    asked = {name: value for name, value in estimator.get_params(deep=False).items() if name in ("experts", "exposure")}
    bare = type(estimator)(**asked)
    learned = ("n_features_in_", "feature_names_in_", "classes_", "class_weight_")
    vars(bare).update({name: value for name, value in vars(estimator).items() if name in learned})
    return bare


def _units(moments, response):
    center, scale = moments.mean, np.sqrt(moments.squares / moments.weight)
    if not np.all(np.isfinite(scale)):
        raise ValueError("The values of a column are too large to square (above about 1e150); change its unit.")
    scale = np.where(scale > CONSTANT * np.abs(center), scale, 1.0)
    return Units(center[:-1], scale[:-1], *((float(center[-1]), float(scale[-1])) if response else ()))


def training(rows, gate, experts, names, linear):
    """Training data of spread rows, redundant columns left out with a warning.

    Parameters
    ----------
    rows : Partitions
        Of all columns.
    gate, experts : tuple of int
    names : sequence of str or None
    linear : bool
        Whether the gate is affine in the columns.
    """
    d = rows.n_columns
    R = rows.total(partial(Triangle.of, at=[d, *range(d)])).R

    def redundant(columns):
        found = dependent(np.linalg.qr(R[:, [0, *(c + 1 for c in columns)]], mode="r"))
        return {columns[j]: [columns[k] for k in of] for j, of in found.items()}

    gate, experts = independent(gate, experts, redundant, names, linear, stacklevel=8)
    used = tuple(sorted({*gate, *experts}))
    at, units = list(used), rows.units
    units = replace(units, center=units.center[at], scale=units.scale[at])
    positions = (tuple(used.index(c) for c in part) for part in (gate, experts))
    rows = replace(rows, units=units, columns=used)
    return TrainingData(rows, used, *positions, rows, np.broadcast_to(True, rows.n_rows))
