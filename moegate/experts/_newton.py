"""One Newton step on a concave complete-data log-likelihood: the M-step of families without a closed one."""

import numpy as np

RIDGE = 1e-12  # of the information's diagonal and of the mass: keeps a singular system solvable
EMPTY = 1e-280  # the same of an expert without mass, where only a penalty is left: no quotient by it overflows


def newton_step(score, information, mass, width):
    """Newton step of each expert, shortened where the predictors would move far.

    With G the information and s the score the step is t G^-1 s, t = log(1 + D) / D, where D is the root mean square
    change of the predictor under the whole step, of the channel where that is largest, rows weighted by their
    information on it. The log-densities are generalised self-concordant: a step on which their curvature can be
    trusted grows like log(1 + D), and close to a maximum t is one. For a Poisson expert of an intercept only an upward
    step ends at the maximum.

    Parameters
    ----------
    score : ndarray of shape (..., K, P)
    information : ndarray of shape (..., K, P, P)
        Positive semi-definite; the channels of an expert stand one after the other.
    mass : ndarray of shape (..., K)
        Weight of each expert.
    width : int
        Coefficients of one channel, the last multiplies the ones.

    Returns
    -------
    ndarray of shape (..., K, P)
        Finite, also where the information is singular.

    References
    ----------
    .. [1] Bach (2010), Self-concordant analysis for logistic regression, doi:10.1214/09-EJS521.
    .. [2] Sun & Tran-Dinh (2019), Generalized self-concordant functions: a recipe for Newton-type methods,
       doi:10.1007/s10107-018-1282-4.

    Examples
    --------
    >>> import numpy as np
    >>> step = newton_step(np.array([[99.0]]), np.array([[[1.0]]]), np.array([1.0]), 1)  # from mean 1 to mean 100
    >>> np.exp(step).round(6)
    array([[100.]])
    """
    damped, diagonal = information.copy(), np.diagonal(information, axis1=-2, axis2=-1)
    np.einsum("...ii->...i", damped)[:] += RIDGE * (diagonal + mass[..., None]) + EMPTY
    step = _solved(damped, score)
    change = _change(step, damped, width)
    return step * (np.log1p(change) / change)[..., None]


def _solved(A, b):
    """A^-1 b in the units in which A has a diagonal of ones: a penalty outweighs the rows of an empty expert."""
    size = 1 / np.sqrt(np.diagonal(A, axis1=-2, axis2=-1))
    return size * np.linalg.solve(A * size[..., None] * size[..., None, :], (size * b)[..., None])[..., 0]


def _change(step, information, width):
    """Root mean square change of the predictors by a step, of the channel with the largest, (..., K)."""
    squares = []
    for at in range(0, step.shape[-1], width):
        part, block = step[..., at : at + width], information[..., at : at + width, at : at + width]
        squares.append(np.einsum("...i,...ij,...j->...", part, block, part) / block[..., -1, -1])
    return np.sqrt(np.maximum(np.max(squares, axis=0), 0.0)) + 1e-300
