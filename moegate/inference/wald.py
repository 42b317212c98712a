"""Wald tests: restrictions from names, and the cases in which the statistic has no chi-square distribution."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

SEPARATED = 1e-3  # level at which the equality of two experts must be rejected before their gate is tested


class WaldTest(NamedTuple):
    """A Wald test: the statistic, its degrees of freedom, and its p-value under the chi-square distribution."""

    statistic: float
    df: int
    pvalue: float


def restrictions(names, R, q=None):
    """Matrix (r, m) and right-hand side (r,) from what a user passes."""
    R = [R] if isinstance(R, (str, dict)) else R
    if isinstance(R, (list, tuple)) and all(isinstance(part, (str, dict)) for part in R):
        R = _rows(names, [{part: 1.0} if isinstance(part, str) else part for part in R])
    try:
        R = np.atleast_2d(np.asarray(R, dtype=float))
    except (TypeError, ValueError) as error:
        raise ValueError(f"R expects names, dicts of factors by name, or a matrix, got {R!r}.") from error
    if R.shape[1] != len(names) or np.linalg.matrix_rank(R) < len(R):
        raise ValueError(f"R expects independent rows of length {len(names)}, got shape {R.shape}.")
    q = np.zeros(len(R)) if q is None else np.atleast_1d(np.asarray(q, dtype=float))
    if q.shape != (len(R),):
        raise ValueError(f"q expects one number for each of the {len(R)} restrictions, got shape {q.shape}.")
    return R, q


def _rows(names, factors):
    R = np.zeros((len(factors), len(names)))
    for row, restriction in zip(R, factors, strict=True):
        for name, factor in restriction.items():
            if name not in names:
                raise ValueError(f"Unknown parameter {name!r}; expected one of {list(names)}.")
            if names.count(name) > 1:
                raise ValueError(
                    f"{name!r} names {names.count(name)} parameters; rename the columns, or pass a matrix."
                )
            row[names.index(name)] = factor
    return R


def check_regular(result, R, q):
    """Raise ValueError where the statistic of R params = q has no chi-square distribution."""
    touched = np.any(R != 0, axis=0)
    lost = [name for name, bad in zip(result.names, touched & ~result.identified, strict=True) if bad]
    if lost:
        raise ValueError(f"{', '.join(lost)} not identified: no test is possible; leave out of the restrictions.")
    for k, j in combinations(range(result.estimator.model_.n_experts), 2):
        same = equality(result.names, k, j)
        if not np.any(q) and np.linalg.matrix_rank(np.vstack([R, same])) == len(R):
            raise ValueError(
                f"Equality of experts {k} and {j} cannot be tested so: under it the gate between them is not "
                "identified and the statistic is not chi-square; use likelihood_ratio_test by bootstrap."
            )
    if any(name.startswith("gate") for name in np.array(result.names)[touched]):
        _check_separated(result)


def equality(names, k, j):
    """Restrictions that make experts k and j the same."""
    own, other = ([i for i, name in enumerate(names) if name.startswith(f"expert[{e}].")] for e in (k, j))
    R = np.zeros((len(own), len(names)))
    R[range(len(own)), own], R[range(len(own)), other] = 1.0, -1.0
    return R


def _check_separated(result):
    """A gate can be tested only between experts that are different beyond doubt."""
    close = [pair for pair in combinations(range(result.estimator.model_.n_experts), 2) if not separated(result, *pair)]
    if close or result.fewer.preferred:
        what = (
            f"equality of {close[0][0]} and {close[0][1]} is not rejected" if close else "BIC prefers one expert less"
        )
        raise ValueError(
            f"Experts are not separated ({what}): a test of the gate is then not chi-square; refit with "
            f"n_experts={result.estimator.n_experts - 1}, or use likelihood_ratio_test by bootstrap."
        )


def separated(result, k, j):
    """Whether the distance between two experts, in standard errors, is out of doubt."""
    R = equality(result.names, k, j)
    R = R[np.all((R == 0) | result.identified, axis=1)]
    away, cov = R @ result.values, R @ result.cov @ R.T
    return len(R) == 0 or bool(away @ np.linalg.lstsq(cov, away)[0] > chi2.isf(SEPARATED, len(R)))
