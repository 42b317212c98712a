"""The criteria that choose a number of experts: smaller is better for all."""

import warnings

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.parallel import delayed

from ..estimators.cv import check_folds, folds

SLOPE_MODELS = 10  # models without which a dimension jump means nothing
JUMP = 2.0  # falls of the dimension at constants within this factor are one jump


def table(problem, fits):
    """One row for each number of experts, with the criteria that a fit alone gives."""
    import pandas as pd

    return pd.DataFrame([_row(problem, fit) for fit in fits.values()], index=pd.Index(list(fits), name="n_experts"))


def slope(fitted):
    """The criterion of the slope heuristic by number of experts, from the table; degenerate fits have none."""
    sound = fitted[~fitted["degenerate"]]
    if len(sound) < SLOPE_MODELS:
        raise ValueError(
            f'criterion="slope" expects {SLOPE_MODELS} sound fits or more, got {len(sound)}: those of n_experts='
            f'{fitted.index[fitted["degenerate"]].tolist()} are degenerate; raise n_init, or use "bic".'
        )
    c = dimension_jump(sound["loglik"].to_numpy(), sound["dof"].to_numpy())
    return -2 * sound["loglik"] + 4 * c * sound["dof"]


def dimension_jump(loglik, dof):
    """The smallest penalty constant: where the dimension of max(loglik - c dof) falls most as c grows from zero.

    Experts are few, so that the dimension falls in small steps; falls at constants within a factor of two count as one
    jump, which ends at the last of them.

    Parameters
    ----------
    loglik, dof : ndarray of shape (models,)

    Returns
    -------
    float
        c, half of the constant to use; of equal jumps the first. Zero where nothing falls.

    References
    ----------
    .. [1] Birgé & Massart (2007), doi:10.1007/s00440-006-0011-8; Arlot (2019), arXiv:1901.07277.
    """
    c, falls = _falls(loglik, dof)
    if not len(c):
        return 0.0
    jumps = [falls[(c >= end / JUMP) & (c <= end)].sum() for end in c]
    return float(c[np.argmax(jumps)])


def _falls(loglik, dof):
    """The constants at which the maximiser of loglik - c dof changes, rising, and by how much its dimension falls."""
    at, path = np.lexsort((dof, -loglik))[0], []
    while np.any(dof < dof[at]):
        smaller = np.flatnonzero(dof < dof[at])
        costs = (loglik[at] - loglik[smaller]) / (dof[at] - dof[smaller])
        to = smaller[np.lexsort((dof[smaller], costs))[0]]
        path.append((costs.min(), dof[at] - dof[to]))
        at = to
    return np.reshape(path, (-1, 2)).T


def cross_validated(problem, parallel, sizes, cv):
    """-2 times the log-likelihood of held-out rows, by number of experts."""
    y, classes = np.asarray(problem.y), is_classifier(problem.estimator)
    tests = folds(cv, y, classes, problem.estimator.random_state)
    check_folds(tests, y, np.ones(len(y)) if problem.weight is None else problem.weight, classes)
    losses = parallel(delayed(_held_out)(problem, K, test) for K in sizes for test in tests)
    return np.reshape(losses, (len(sizes), len(tests))).sum(axis=1)


def _row(problem, candidate):
    """One line of the table."""
    model, likelihood = candidate.model, problem.likelihood(candidate.model)
    deviance, dof, n = -2 * model.loglik_, model.dof_, likelihood.total_weight
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of small weights: told once
        icl = model.icl(problem.X, problem.y, problem.weight, **problem.exposed)
    return {
        "loglik": model.loglik_,
        "dof": dof,
        "aic": deviance + 2 * dof,
        "bic": deviance + dof * np.log(n),
        "icl": icl,
        "hannan_quinn": deviance + 2 * dof * np.log(np.log(n)),
        "certificate": model.certificate_["kind"],
        "degenerate": candidate.degenerate,
        "start": candidate.start,
    }


def _held_out(problem, K, test):
    """-2 log-likelihood of the rows of a fold after a fit to the others; a weight of zero leaves a row out."""
    weight = np.ones(len(test)) if problem.weight is None else problem.weight
    model = problem.fit(K, weight=weight * ~test).model
    return -2 * problem.likelihood(model, weight * test).value(model.theta_)
