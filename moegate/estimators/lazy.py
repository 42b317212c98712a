"""Methods that go row by row: on dask input they are applied to each partition, when the result is computed."""

from functools import wraps

import numpy as np

from .collections import is_dask, spread


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

    first = args[0] if args else options.pop("y", None)
    by_row = is_dask(first)  # a response for each row, not a grid or a level
    y, exposure = first if by_row else None, options.pop("exposure", None)
    rest = args[1:] if by_row else ([first, *args[1:]] if first is not None else [])
    parts = spread(X, (y, None, exposure), kept=False)
    call = delayed(_called, pure=False)
    call = [call(method, estimator, part, rest, options) for part in parts]
    like = _called(method, estimator, _example(X, y, exposure), rest, options)
    sizes = X.chunks[0] if hasattr(X, "chunks") else [np.nan] * len(parts)
    blocks = [da.from_delayed(c, (n, *like.shape[1:]), like.dtype) for c, n in zip(call, sizes, strict=True)]
    return da.concatenate(blocks, axis=0, allow_unknown_chunksizes=True)


def _called(method, estimator, part, rest, options):
    X, y, _, exposure = part
    given = options if exposure is None else {**options, "exposure": exposure}
    return method(estimator, X, *([] if y is None else [y]), *rest, **given)


def _example(X, y, exposure):
    """One row of ones, from which the shape and the dtype of a result are known."""
    one = lambda a: None if a is None else np.ones(1)  # noqa: E731
    row = X._meta_nonempty.iloc[:1] if hasattr(X, "_meta_nonempty") else np.ones((1, X.shape[1]))
    return row, one(y), None, one(exposure)
