"""From checked arrays to rows in scaled units, and which columns the model uses."""

import warnings
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..blocks import Rows, Selected, Units
from .checks import is_large
from .columns import redundant

CONSTANT = 1e-12  # a column whose spread is below this share of its size is constant
SIZES = 30.0  # standard deviations of columns whose own units suit a gate without slopes: up to this, or its inverse
MESSAGES = 5  # redundant columns that a warning names, and columns that it says they combine


def warn_of_units(gate, data):
    """Warn where a gate that sees the columns in their own units cannot tell them apart, or tells them all apart."""
    spread = data.rows.units.scale[list(data.gate_columns)]
    if gate.scores.sized and spread.size and not 1 / SIZES < spread.max() < SIZES:
        warnings.warn(
            f"The gate sees the columns in their own units, and their largest standard deviation is "
            f"{spread.max():.3g}: its probabilities can then hardly change, or only jump. Standardise the columns, "
            "for example by make_pipeline(StandardScaler(), model).",
            UserWarning,
            stacklevel=6,
        )


@dataclass(frozen=True)
class Ends:
    """Smallest and largest values of design rows; the sum of two is that of both sets of observations."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, block, at):
        """Of some design rows of a block."""
        return cls(block.V[at].min(axis=1), block.V[at].max(axis=1))

    def __add__(self, other):
        return Ends(np.minimum(self.low, other.low), np.maximum(self.high, other.high))


@dataclass(frozen=True)
class TrainingData:
    """Checked rows, and which columns the model uses.

    Attributes
    ----------
    rows : Rows
        Used columns only, in scaled units, zero-weight rows left out.
    used : tuple of int
        Columns of X that the gate or the experts use.
    gate_columns, expert_columns : tuple of int
        Positions in `used`.
    original : Rows
        The rows before equal ones were merged.
    kept : ndarray of bool
        Which rows of X have a positive weight.
    """

    rows: Rows
    used: tuple
    gate_columns: tuple
    expert_columns: tuple
    original: Rows
    kept: np.ndarray

    def only(self, problem):
        """The same data with the columns of a sparse problem alone."""
        model = problem.likelihood.model
        inside = sorted({*problem.gate, *problem.experts})
        used = tuple(self.used[c] for c in inside)
        rows = problem.likelihood.rows
        original = replace(self.original, X=self.original.X[:, inside], units=rows.units, _cache=[])
        return TrainingData(rows, used, model.gate_columns, model.expert_columns, original, self.kept)

    def reach(self):
        """Of the gate's columns the spread, and the smallest and largest values, (d,) each, in user units."""
        at = list(self.gate_columns)
        units = self.rows.units
        ends = self.rows.total(partial(Ends.of, at=at)) if at else Ends(np.zeros(0), np.zeros(0))
        return units.scale[at], tuple(units.center[at] + units.scale[at] * end for end in (ends.low, ends.high))

    @classmethod
    def make(cls, X, y, weight, gate, experts, names, response, linear=True, offset=None, sparse=False):
        """From checked arrays and the columns of gate and experts; redundant columns are left out with a warning.

        Under a `sparse` penalty none is redundant: it is what chooses among them.

        Unless the gate is `linear`, that is affine in the columns: then a combination of others is a column of its own.
        """
        kept = np.ones(len(X), dtype=bool) if weight is None else weight > 0
        if not kept.all():
            X = Selected(X, rows=np.flatnonzero(kept)) if is_large(X) else X[kept]
            y, weight, offset = (None if a is None else a[kept] for a in (y, weight, offset))
        redundant = (lambda columns: {}) if sparse else partial(_redundant, X, y, weight)
        gate, experts = independent(gate, experts, redundant, names, linear)
        used = tuple(sorted({*gate, *experts}))
        X = select(X, used)
        rows = replace(make_rows(X[:] if sparse else X, y, weight, response), offset=offset)
        merged = rows.merged() if rows.small else rows
        positions = (tuple(used.index(c) for c in part) for part in (gate, experts))
        return cls(merged, used, *positions, rows, kept)


def select(X, columns):
    """Columns of X, without a copy where they are all of them, or where X is large."""
    if columns == tuple(range(X.shape[1])):
        return X
    return Selected(X, list(columns)) if is_large(X) else X[:, list(columns)]


def make_rows(X, y, weight, response):
    """Rows in the units in which columns, and the response if it is part of the design, have mean 0 and variance 1."""
    center, scale = moments(X, weight)
    if not response:
        return Rows(X, y, weight, Units(center, scale), response)
    y_center, y_scale = moments(y[:, None], weight)
    return Rows(X, y, weight, Units(center, scale, float(y_center[0]), float(y_scale[0])), response)


def moments(X, weight):
    """Weighted means and standard deviations of the columns; one where a column is constant.

    In two passes over blocks, so that nothing of the size of X is made.
    """
    total = float(len(X) if weight is None else weight.sum())
    with np.errstate(over="ignore", invalid="ignore"):
        center = _mean(X, weight, total, lambda part: part)
        scale = np.sqrt(_mean(X, weight, total, lambda part: (part - center) ** 2))
    if not np.all(np.isfinite(scale)):
        raise ValueError("The values of a column are too large to square (above about 1e150); change its unit.")
    return center, np.where(scale > CONSTANT * np.abs(center), scale, 1.0)


def _mean(X, weight, total, function, size=8192):
    out = np.zeros(X.shape[1])
    for at in range(0, len(X), size):
        part = function(np.asarray(X[at : at + size], dtype=float))
        out += part.sum(axis=0) if weight is None else weight[at : at + size] @ part
    return out / total


def independent(gate, experts, redundant, names, linear, stacklevel=9):
    """Columns of gate and experts without the redundant ones, of which a warning tells.

    Parameters
    ----------
    gate, experts : tuple of int
    redundant : callable
        From sorted columns to a dict: each redundant one -> those that it repeats.
    names : sequence of str or None
    linear : bool
        Whether the gate is affine in the columns: else it leaves out constants alone.
    stacklevel : int
        Of the warning, so that it names the line that calls `fit`.
    """
    found = {"experts": redundant(tuple(sorted(experts))), "gate": redundant(tuple(sorted(gate)))}
    if not linear:
        found["gate"] = {column: of for column, of in found["gate"].items() if not of}
    if found["experts"] or found["gate"]:
        warnings.warn(_redundancy(found, names), ConvergenceWarning, stacklevel=stacklevel)
    return tuple(tuple(c for c in sorted(p) if c not in found[n]) for p, n in ((gate, "gate"), (experts, "experts")))


def _redundant(X, y, weight, columns):
    """Columns of one component that repeat earlier ones of it -> those that they repeat; empty where constant."""
    found = redundant(make_rows(select(X, columns), y, weight, False)) if columns else {}
    return {columns[j]: [columns[k] for k in of] for j, of in found.items()}


def _redundancy(found, names):
    """One warning for all redundant columns."""

    def name(column):
        return f"column {column}" if names is None else f"column {names[column]!r}"

    both = found["experts"] | found["gate"]

    def several(columns):
        more = f" and {len(columns) - MESSAGES} more" if len(columns) > MESSAGES else ""
        return ", ".join(map(name, columns[:MESSAGES])) + more

    told = [
        f"{name(column)} {'is a linear combination of ' + several(of) if of else 'is constant'}"
        for column, of in sorted(both.items())
    ]
    more = f"; and {len(told) - MESSAGES} more" if len(told) > MESSAGES else ""
    where = " and ".join(component for component in ("gate", "experts") if found[component])
    told = "; ".join(told[:MESSAGES]) + more
    return f"{told[0].upper()}{told[1:]}; in the {where} such coefficients are fixed at zero. Remove these columns."
