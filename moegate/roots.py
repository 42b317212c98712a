"""Elementwise roots of increasing functions: of many rows at once."""

import numpy as np
from scipy.optimize import elementwise


def root(function, low, high):
    """Elementwise root of an increasing function between two bounds that may coincide."""
    pad = 1e-9 * (1.0 + np.maximum(np.abs(low), np.abs(high)))
    columns = np.arange(len(low), dtype=float)
    tolerances = {"xatol": 0.0, "xrtol": 4e-16, "fatol": 0.0, "frtol": 0.0}
    return elementwise.find_root(function, (low - pad, high + pad), args=(columns,), tolerances=tolerances).x


def first_integer(function, low, high):
    """Elementwise first integer above `low` - 1 at which an increasing function is not negative, `high` at most.

    Beyond 2**53, where not all integers are floats, the first float.
    """
    low, columns = low - 1, np.arange(len(low), dtype=float)
    while np.any(high - low > np.maximum(1.0, np.spacing(high))):
        middle = np.floor((low + high) / 2)
        reached = function(middle, columns) >= -1e-13
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return high
