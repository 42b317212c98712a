"""From rows to rates: slopes of medians on the logarithms, their bootstrap intervals, and verdicts in words."""

from dataclasses import dataclass

import numpy as np

LEVEL, DRAWS = 0.95, 1000
SLACK = 0.1  # an upper bound is confirmed where the interval's upper end is at most so far above its exponent
CLOSE = 0.08  # of the theory's exponent, within which a two-sided interval that excludes it by less still agrees


@dataclass(frozen=True)
class Slope:
    """Log-log slope of the medians of one column.

    Attributes
    ----------
    sizes, medians, low, high : ndarray
        Of all sizes; 10% and 90% quantiles.
    slope, lower, upper : float
        On the range fixed beforehand, with a 95% bootstrap interval over replicates.
    """

    sizes: np.ndarray
    medians: np.ndarray
    low: np.ndarray
    high: np.ndarray
    slope: float
    lower: float
    upper: float


def fitted(sizes, medians):
    """Least squares slope of log medians on log sizes; along the last axis of medians."""
    x = np.log(sizes) - np.log(sizes).mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(medians) @ x / (x @ x)


def slope(rows, column, span, seed=0):
    """The slope of a column.

    Parameters
    ----------
    rows : list of dict
        Of one arm.
    column : str
    span : (int, int)
        Range of n for the slope.

    Returns
    -------
    Slope
    """
    sizes = np.unique([int(row["n"]) for row in rows])
    values = [np.array([float(row[column]) for row in rows if int(row["n"]) == n]) for n in sizes]
    medians, low, high = (np.array([np.nanquantile(v, q) for v in values]) for q in (0.5, 0.1, 0.9))
    inside = np.flatnonzero((sizes >= span[0]) & (sizes <= span[1]))
    found = lower = upper = np.nan
    if len(inside) > 1:
        found = float(fitted(sizes[inside], medians[inside]))
        rng = np.random.default_rng(seed)
        drawn = [
            np.nanmedian(values[i][rng.integers(len(values[i]), size=(DRAWS, len(values[i])))], axis=1) for i in inside
        ]
        lower, upper = np.quantile(fitted(sizes[inside], np.array(drawn).T), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Slope(sizes, medians, low, high, found, float(lower), float(upper))


def verdict(found, expected, one_sided):
    """Agrees, disagrees, or cannot tell yet."""
    if expected is None or np.isnan(found.slope):
        return "no claim" if expected is None else "cannot tell yet"
    if one_sided:
        if found.upper <= expected + SLACK:
            return "agrees"
        return "disagrees" if found.lower > expected + SLACK else "cannot tell yet"
    if found.upper - found.lower > 0.5:
        return "cannot tell yet"
    inside = found.lower <= expected <= found.upper
    return "agrees" if inside or abs(found.slope - expected) <= CLOSE else "disagrees"


def certified(rows):
    """Share of fits at a certified maximum."""
    return float(np.mean([row["certificate"] != "none" for row in rows]))


def above_truth(rows):
    """Share of fits with at least the truth's log-likelihood."""
    return float(np.mean([float(row["loglik"]) >= float(row["loglik_truth"]) - 1e-6 for row in rows]))
