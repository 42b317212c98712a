"""Methods that go row by row: on dask input they are applied to each partition, when the result is computed.

A method with an argument `part` gets the number of its partition, (i,), and () in memory: partitions draw apart.
"""

from functools import wraps
from inspect import signature

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .collections import brought, is_dask, spread


def row_wise(method):
    """A method of (X, y=None, ..., exposure=None) that takes dask collections too and then gives a dask array."""

    @wraps(method)
    def applied(self, X, *args, **options):
        if not is_dask(X):
            return method(self, X, *args, **options)
        return _by_partition(method, self, X, args, options)

    return applied


def _by_partition(method, estimator, X, args, options):
    import dask.array as da
    from dask import delayed

    y, rest, options = _by_row(method, args, options)
    exposure = options.pop("exposure", None)
    parts = spread(X, (y, None, exposure), kept=False)
    like = _called(method, estimator, _example(estimator, X, y, exposure), rest, options)[:0]
    call, numbered = delayed(_called, pure=False), "part" in signature(method).parameters
    own = [options | {"part": (i,)} if numbered else options for i in range(len(parts))]
    made = [call(method, estimator, part, rest, given, like) for part, given in zip(parts, own, strict=True)]
    sizes = X.chunks[0] if hasattr(X, "chunks") else [np.nan] * len(parts)
    blocks = [da.from_delayed(one, (n, *like.shape[1:]), like.dtype) for one, n in zip(made, sizes, strict=True)]
    return da.concatenate(blocks, axis=0, allow_unknown_chunksizes=True)


def _by_row(method, args, options):
    """The response of each row, if the method takes one and it is not one number for all; the other arguments."""
    second = list(signature(method).parameters)[2:3]
    named = dict(zip(second, args, strict=False)) | options
    y = named.get("y")
    if y is None or np.ndim(y) == 0:
        return None, args, options
    return y, args[1:], {name: value for name, value in options.items() if name != "y"}


def _called(method, estimator, part, rest, options, empty=None):
    X, y, _, exposure = part
    if X.shape[0] == 0:
        return empty
    given = options if exposure is None else {**options, "exposure": exposure}
    return method(estimator, X, *([] if y is None else [y]), *rest, **given)


def _example(estimator, X, y, exposure):
    """One row of ones, from which the shape and the dtype of a result are known."""
    y = None if y is None else getattr(estimator, "classes_", np.ones(1))[:1]
    exposure = None if exposure is None else np.ones(1)
    row = np.ones((1, X.shape[1]))
    if hasattr(X, "columns"):
        from pandas import DataFrame

        row = DataFrame(row, columns=X.columns)
    return row, y, None, exposure


def drawn(estimator, X, seed, part, exposure=None):
    """One response per row, from random numbers of a seed (4,) and of a partition."""
    check_is_fitted(estimator)
    rng = np.random.default_rng([*seed, *part])
    return estimator._by_row(lambda theta, block: estimator.model_.sample(theta, block, rng), X, exposure=exposure)


def scored(metric, estimator, X, y, sample_weight, **given):
    """A metric of the predictions; of dask collections responses and predictions are computed, X stays."""
    y, predicted, weight = brought(y, estimator.predict(X, **given), sample_weight)
    return metric(y, predicted, sample_weight=weight)
