"""Confidence bands of what is computed from theta, by the delta method."""

from copy import copy

import numpy as np
from scipy.special import expit

STEP = 1e-4  # of the differences, in standard errors


def along(function, theta, axes):
    """Derivatives of an array-valued function of theta along axes, (r, ...), by central differences.

    Parameters
    ----------
    function : callable
        From theta (p,) to an array.
    theta : ndarray of shape (p,)
    axes : ndarray of shape (p, r)
        Steps are `STEP` times each.
    """
    steps = STEP * axes.T
    return np.array([function(theta + step) - function(theta - step) for step in steps]) / (2 * STEP)


def jacobian(function, theta, back, error):
    """Derivatives (m, p) of a vector of functions of theta by the coordinates that `back` (p, p) leads from.

    Steps follow the standard error (p,) of each coordinate, where it has one.
    """
    step = np.where((error > 0) & np.isfinite(error), error, 1e-3)
    return along(function, theta, back * step).T / step


def square_root(cov):
    """R (p, r) with RR' = cov, one column for each direction that varies."""
    values, vectors = np.linalg.eigh(cov)
    seen = values > 1e-14 * np.max(values, initial=0.0)
    return vectors[:, seen] * np.sqrt(values[seen])


def standard_error(function, theta, root):
    """Standard error of each entry of an array-valued function of theta, whose covariance is root root'."""
    return np.sqrt(np.sum(along(function, theta, root) ** 2, axis=0))


def prediction(estimator, X, method, given):
    """A prediction of the estimator at rows X as a function of theta."""

    def function(theta):
        moved = copy(estimator)
        moved.theta_ = theta
        return getattr(moved, method)(X, **given)

    return function


def _logits(P):
    """log P - log(1 - P) of rows (m, K) that sum to one, exact in both tails."""
    others = P @ (1.0 - np.eye(P.shape[1]))
    with np.errstate(divide="ignore"):
        return np.log(P) - np.log(others)


def _probability_band(result, function, reach):
    """Ends on the logits; a probability of exactly zero or one has no width."""
    theta = result.estimator.theta_
    with np.errstate(invalid="ignore"):
        error = standard_error(lambda t: _logits(function(t)), theta, result.root)
    middle, width = _logits(function(theta)), reach * np.where(np.isfinite(error), error, 0.0)
    return expit(middle - width), expit(middle + width)


def gate_band(result, X, reach):
    """Lower and upper ends, (m, K) each."""
    return _probability_band(result, prediction(result.estimator, X, "predict_gate", {}), reach)


def mean_band(result, X, reach, given):
    """Lower and upper ends, of counts on the logarithm."""
    if hasattr(result.estimator, "classes_"):
        return _probability_band(result, prediction(result.estimator, X, "predict_proba", given), reach)
    function = prediction(result.estimator, X, "predict", given)
    mean = function(result.estimator.theta_)
    error = reach * standard_error(function, result.estimator.theta_, result.root)
    if result.estimator.model_.experts.discrete:
        return mean * np.exp(-error / mean), mean * np.exp(error / mean)
    return mean - error, mean + error
