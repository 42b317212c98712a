"""From what `fit` takes to training data: in memory, or spread over dask partitions."""

import warnings
from dataclasses import replace

from ..blocks import Rows
from . import collections
from .checks import check_weight, warn_of_exposure
from .columns import resolve_columns
from .data import TrainingData, select


def training_data(estimator, family, gate, X, y, sample_weight=None, exposure=None):
    """Checked rows and columns; sets what scikit-learn learns from X.

    Parameters
    ----------
    estimator : MoEBase
    family : type
        Of the experts.
    gate : Gate
    X, y, sample_weight, exposure : array-like or dask collection
        As passed to `fit`.

    Returns
    -------
    TrainingData
    """
    arrays = (y, sample_weight, exposure)
    if not collections.is_dask(X):
        return _in_memory(estimator, family, gate, X, *collections.brought(*arrays))
    arrays = (collections.only_column(y), sample_weight, exposure)
    parts = collections.spread(X, arrays)
    n_rows, largest = collections.learn(estimator, parts)
    size = n_rows * estimator.n_features_in_ * 8
    if estimator._sparse and size > collections.GATHER_BYTES:
        warnings.warn(
            f"A penalty that selects columns needs all rows in memory: {size / 1e6:.0f} MB are brought here.",
            UserWarning,
            stacklevel=6,
        )
    if estimator._sparse or size <= collections.GATHER_BYTES:
        return _in_memory(estimator, family, gate, *collections.brought(X, *arrays))
    _check_rows(estimator, n_rows)
    rows = collections.partitions(estimator, parts, largest, family.response)
    names = getattr(estimator, "feature_names_in_", None)
    return collections.training(rows, *_columns(estimator, X), names, gate.scores.invariant)


def evaluation_rows(estimator, X, y, sample_weight, exposure):
    """Rows on which a fitted estimator is evaluated, in the units of its fit; `Partitions` of dask collections."""
    warn_of_exposure(estimator, exposure)
    units, columns, response = estimator.units_, estimator.columns_, estimator.model_.experts.response
    if collections.is_dask(X):
        parts = collections.spread(X, (collections.only_column(y), sample_weight, exposure))
        rows = collections.partitions(estimator, parts, None, response)
        return replace(rows, units=units, columns=columns)
    X, y = estimator._check_X_y(X, y, reset=False)
    weight = estimator._weight(y, check_weight(sample_weight, len(X)))
    offset = estimator._offset(X, exposure, weight)
    return Rows(select(X, columns), estimator._admitted(y), weight, units, response, offset=offset)


def _in_memory(estimator, family, gate, X_in, y, sample_weight, exposure):
    X, y = estimator._check_X_y(X_in, y)
    weight = check_weight(sample_weight, len(X))
    offset, weight = estimator._offset(X, exposure, weight), estimator._weight(y, weight, reset=True)
    seen = y if weight is None else y[weight > 0]
    estimator._check_response(seen)
    _check_rows(estimator, len(seen))
    names, linear = getattr(estimator, "feature_names_in_", None), gate.scores.invariant
    columns = _columns(estimator, X_in)
    return TrainingData.make(X, y, weight, *columns, names, family.response, linear, offset, estimator._sparse)


def _check_rows(estimator, n_rows):
    K = estimator.n_experts
    if K > n_rows:
        raise ValueError(f"n_experts={K} experts need at least as many rows, got n_samples={n_rows}; lower n_experts.")


def _columns(estimator, X):
    """Columns of gate and experts, by number."""
    names, d = getattr(estimator, "feature_names_in_", None), estimator.n_features_in_
    left_out, X = estimator._left_out(), getattr(X, "_meta_nonempty", X)  # of a dask frame two rows, for a callable
    return (
        resolve_columns(getattr(estimator, argument), X, names, d, argument, left_out)
        for argument in ("gate_features", "expert_features")
    )
