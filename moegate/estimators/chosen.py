"""A fit under a penalty with corners: starts, climbs, and the columns that are left."""

import numpy as np
from sklearn.utils import check_random_state

from ..sparse import SparseFit
from . import options
from .labels import canonical
from .origin import _from_responsibilities


def chosen_columns(estimator, likelihood, data):
    """The likelihood and the data of the columns that the best run chose, and all runs, best first.

    Parameters
    ----------
    estimator : MoEBase
        With a sparse penalty.
    likelihood : Likelihood
        On all columns, in scaled coordinates, without the penalty.
    data : TrainingData

    Returns
    -------
    likelihood : Likelihood
    data : TrainingData
    runs : list of Run
    """
    penalty = options.check_penalty(estimator.penalty)
    fit, solver = (
        SparseFit(likelihood, penalty),
        options.check_proximal(estimator.solver, likelihood, estimator.max_iter),
    )
    ends = fit.ends(started(estimator, fit, data), solver, estimator.n_jobs)
    problem, winner = selected(fit, *ends[0])
    likelihood = problem.likelihood.unpenalised()
    winner = ordered(estimator, penalty, likelihood, winner)
    return likelihood, data.only(problem), [winner, *(run for _, run in ends[1:])]


def ordered(estimator, penalty, likelihood, run):
    """The run with its experts in canonical order, unless the penalty knows the last expert."""
    if penalty.reference is not None and estimator.n_experts > 2:
        return run
    return canonical(likelihood, run, degenerate=run.degenerate)


def started(estimator, fit, data):
    """Where climbs begin, (problem, theta) each."""
    init = estimator.init
    if isinstance(init, str):
        entropy = check_random_state(estimator.random_state).randint(2**31 - 1)
        return fit.starts(init, estimator.n_init, entropy, estimator.n_jobs)
    resp = np.asarray(getattr(init, "theta_", init), dtype=float)
    if resp.ndim != 2:
        raise ValueError(
            "init expects a kind of start or responsibilities (n, K) under a lasso, whose parameters belong to the "
            f"columns that it chose, got an array of shape {resp.shape}."
        )
    problem = fit.problem(*fit.screened())
    return [(problem, _from_responsibilities(problem.likelihood, resp, data.only(problem)))]


def selected(fit, problem, run):
    """The problem of the columns with a coefficient that is not zero, and the run in it."""
    smaller = fit.problem(*fit.support(problem, run.theta))
    return smaller, type(run)(**vars(run) | {"theta": fit.moved(problem, run.theta, smaller)})
