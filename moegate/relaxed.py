"""Refits without the penalty of the coefficients that it left: shrinkage is not lack of fit."""

from dataclasses import replace

import numpy as np

from .fitting import automatic_solver
from .likelihood import Likelihood
from .sparse import _degenerate


def free_basis(penalty, theta):
    """Basis of the parameters that a penalty left free or not zero.

    Parameters
    ----------
    penalty : Sparse
        Of the problem.
    theta : ndarray of shape (p,)

    Returns
    -------
    ndarray of shape (p, r)
        Columns are independent: of coordinates that share an unseen translation one is left out where none is zero.
    """
    free = (penalty.coordinates(theta) != 0) | (penalty.weights == 0)
    for family in penalty._families():
        free[family[-1]] &= not free[family].all()
    return np.array([penalty.linear(unit) for unit in np.eye(len(free))[free]]).T.reshape(len(theta), -1)


def relaxed(problem, run, max_iter=500, tol=1e-8):
    """The maximum of the log-likelihood in the coefficients that are not zero in a run, intercepts and scales, near it.

    Parameters
    ----------
    problem : Problem
    run : Run
        Its end under the penalty.
    max_iter : int
    tol : float

    Returns
    -------
    run : Run
        `theta` of the problem's model, without a penalty; `n_nonzero` in the certificate is the number of parameters
        that were free. An end with a degenerate expert is named as such, and a start with one is not climbed at all.
    basis : ndarray of shape (p, r)
        Of what was free.
    """
    basis, plain = free_basis(problem.penalty, run.theta), problem.likelihood.unpenalised()
    tied = Likelihood(plain.model, plain.rows, transform=basis)
    start = np.linalg.lstsq(basis, run.theta)[0]
    bad = _degenerate(problem, run.theta)
    if bad:
        return replace(run, loglik=tied.value(start), taken=0.0, degenerate=bad), basis
    end = automatic_solver(tied, max_iter, tol).solve(tied, start)
    theta, found = basis @ end.theta, end.certificate | {"n_nonzero": basis.shape[1]}
    run = replace(run, kind="relaxed", theta=theta, loglik=end.loglik, history=end.history, certificate=found)
    return replace(run, taken=0.0, converged=end.converged, degenerate=_degenerate(problem, theta)), basis
