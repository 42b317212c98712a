"""Which columns the gate and the experts use, and which of them say nothing new."""

import numbers
from functools import partial

import numpy as np

from ..blocks import Triangle


def resolve_columns(spec, X, names, n_features, argument, left_out=()):
    """Column indices from what a user passes.

    Parameters
    ----------
    spec : None, sequence of int or str, boolean mask, slice or callable
        None is all columns, an empty sequence none; a slice by names ends with the last one named; a callable gets X as
        passed to `fit`.
    X : array-like or frame
        As passed to `fit`.
    names : sequence of str or None
        Column names, if X has any.
    n_features : int
    argument : str
        The argument's name, for messages.
    left_out : tuple of int
        Columns that may not be used, the exposure: None, a slice and a callable do not mean them.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        For an unknown, repeated or out-of-range column, or one of `left_out` that is named.
    """
    found = spec(X) if callable(spec) else spec
    columns = _columns(slice(None) if found is None else found, names, n_features, argument)
    if spec is None or isinstance(spec, slice) or callable(spec):
        return tuple(c for c in columns if c not in left_out)
    for column in set(columns).intersection(left_out):
        name = column if names is None else str(names[column])
        raise ValueError(f"{argument} expects no column that is the exposure ({name!r}), got {spec!r}; leave it out.")
    return columns


def _columns(spec, names, n_features, argument):
    """Column numbers of a slice, a mask, or a sequence."""
    if isinstance(spec, slice):
        return _from_slice(spec, names, n_features, argument)
    spec = [spec] if isinstance(spec, (str, numbers.Number)) else list(spec)
    if spec and all(isinstance(c, (bool, np.bool_)) for c in spec):
        return _from_mask(spec, n_features, argument)
    columns = tuple(index(c, names, n_features, argument) for c in spec)
    if len(set(columns)) < len(columns):
        raise ValueError(f"{argument} expects each column once, got {spec!r}; remove the repeated columns.")
    return columns


def _from_mask(mask, n_features, argument):
    if len(mask) != n_features:
        raise ValueError(f"{argument} as a mask expects {n_features} entries, one per column of X, got {len(mask)}.")
    return tuple(np.flatnonzero(mask).tolist())


def _from_slice(spec, names, n_features, argument):
    """Columns of a slice; a name ends it with its column, a number before it."""
    ends = ((spec.start, 0), (spec.stop, 1))
    ends = [index(end, names, n_features, argument) + more if isinstance(end, str) else end for end, more in ends]
    try:
        return tuple(range(n_features)[slice(*ends, spec.step)])
    except TypeError as error:
        raise ValueError(f"{argument} expects a slice of column indices or names, got {spec!r}.") from error


def index(column, names, n_features, argument):
    """Column number from a name or a number; `argument` names who asks, for messages."""
    if isinstance(column, str):
        if names is None or column not in names:
            known = "X has no column names" if names is None else f"the columns are {list(map(str, names))}"
            raise ValueError(f"{argument} names the column {column!r}, which is not in X; {known}.")
        return list(names).index(column)
    if not isinstance(column, numbers.Integral) or isinstance(column, bool):
        raise ValueError(f"{argument} expects column indices or names, got {column!r} of type {type(column).__name__}.")
    if not -n_features <= column < n_features:
        raise ValueError(f"{argument} asks for column {column}, but X has {n_features} columns, numbered from 0.")
    return int(column) % n_features


def redundant(rows, tolerance=1e-7):
    """Columns that are constant or a linear combination of earlier ones.

    Parameters
    ----------
    rows : Rows
        In scaled units.
    tolerance : float
        A column is redundant when what the earlier columns leave of it is smaller than this share of it.

    Returns
    -------
    dict
        Index of each redundant column -> list of the earlier columns that it repeats; empty where it is constant.
    """
    order = [rows.n_columns, *range(rows.n_columns)]
    return dependent(rows.total(partial(Triangle.of, at=order)).R, tolerance)


def dependent(R, tolerance=1e-7):
    """`redundant` from the triangle of [ones, columns], (d + 1, d + 1)."""
    d, kept, found = R.shape[1] - 1, [0], {}
    for j in range(1, d + 1):
        coef, *_ = np.linalg.lstsq(R[:, kept], R[:, j], rcond=None)
        left = np.linalg.norm(R[:, j] - R[:, kept] @ coef)
        if left > tolerance * np.linalg.norm(R[:, j]):
            kept.append(j)
        else:
            found[j - 1] = [k - 1 for k, c in zip(kept, coef, strict=True) if k > 0 and abs(c) > 1e-6]
    return found
