"""Covariance of the maximum likelihood estimate, from a likelihood alone."""

from typing import NamedTuple

import numpy as np

from ..solvers.solution import Spectrum

FLAT = 1e-7  # eigenvalue of the observed information in the EM metric below which a direction is not identified


class Curvature(NamedTuple):
    """The observed information at a maximum, split into what the data identify and what they do not."""

    basis: np.ndarray  # (p, r): V with V'(-H)V = diag(values)
    values: np.ndarray  # (r,)
    null: np.ndarray  # (p, f): directions that are flat or at infinity

    @property
    def inverse(self):
        """Of the observed information, on the identified directions, (p, p)."""
        return (self.basis / self.values) @ self.basis.T


def curvature(likelihood, theta):
    """The observed information at theta.

    Parameters
    ----------
    likelihood : Likelihood
        Without a penalty, in scaled coordinates, where columns far from zero cost no digits.
    theta : ndarray of shape (p,)

    Returns
    -------
    Curvature

    Raises
    ------
    ValueError
        Where theta is a saddle: an eigenvalue is negative.
    """
    at = likelihood.expand(theta)
    gone = np.hstack([likelihood.flat(theta), likelihood.receding(theta, at.information)[0]])
    spectrum = Spectrum(at, gone)
    if spectrum.smallest < -FLAT:
        raise ValueError(
            f"Standard errors expect a maximum, got a saddle (smallest eigenvalue {spectrum.smallest:.2g}); refit with "
            "more iterations (max_iter) or starts (n_init)."
        )
    seen = spectrum.values > FLAT
    null = np.hstack([gone, spectrum.vectors[:, ~seen]])
    return Curvature(spectrum.vectors[:, seen], spectrum.values[seen], null)


def _observed(curvature, likelihood, theta, groups, weights):
    """(-H)^-1, H the observed Hessian."""
    return curvature.inverse


def _opg(curvature, likelihood, theta, groups, weights):
    """(sum_i s_i s_i')^-1, s_i the score of a row."""
    V = curvature.basis
    return V @ np.linalg.solve(V.T @ _outer(likelihood, theta, weights) @ V, V.T)


def _sandwich(curvature, likelihood, theta, groups, weights):
    """H^-1 (sum_i s_i s_i') H^-1."""
    bread = curvature.inverse
    return bread @ _outer(likelihood, theta, weights) @ bread


def _cluster(curvature, likelihood, theta, groups, weights):
    """G / (G - 1) H^-1 (sum_g s_g s_g') H^-1, s_g the summed score of a group."""
    bread, scores = curvature.inverse, likelihood.score_obs(theta)
    G = groups.max() + 1
    sums = np.zeros((G, scores.shape[1]))
    np.add.at(sums, groups, scores)
    return G / (G - 1) * bread @ (sums.T @ sums) @ bread


COVARIANCES = {"observed": _observed, "opg": _opg, "sandwich": _sandwich, "cluster": _cluster}


def _outer(likelihood, theta, weights):
    """Sum of the outer products of the rows' scores: a frequency repeats a row, a sampling weight scales its score."""
    return likelihood.score_gram(theta, frequency=weights == "frequency")
