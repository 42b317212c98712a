"""Gaussian experts: y given x and expert k is N(a_k'x + c_k, sigma_k^2)."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import gammaln, log_ndtr, ndtr, ndtri

from ..blocks import Triangle

LOG_SQRT_2PI = 0.5 * np.log(2 * np.pi)
SCALE_FLOOR = 1e-4  # smallest sigma, of the residual scale of one regression on all rows
EXACT = 1e-7  # the same of sd(y), where that regression fits exactly
ROUNDING = 1 + 1e-9  # a change of units must not put a scale below its floor
RANK = 1e-13  # share of a column's sum of squares below which earlier columns explain it
TIED = 0.05  # the same, below which it is suspect of resting on tied responses
TIGHT = 0.1  # sigma, of the same residual scale, below which an expert on few rows is suspect


@dataclass(frozen=True)
class Gaussian:
    """Linear Gaussian experts in the parameters (a / sigma, c / sigma, 1 / sigma), in which the
    complete-data log-likelihood is concave.

    With V = [x, 1, -y] and coefficients psi = (a, c, 1) / sigma the predictor eta = psi'V is minus the standardised
    residual, and log f = log(1 / sigma) - eta^2 / 2 - log(2 pi) / 2: quadratic in psi apart from the term
    log(1 / sigma), which does not depend on the row.

    Parameters
    ----------
    residual_scale : float
        Residual standard deviation of one regression on all rows, in scaled units: the size of a usual sigma. Scales
        below 1e-4 of it are not admissible, since the likelihood of a Gaussian mixture is unbounded.
    shared : bool
        Whether all experts have one scale; it is the coordinates of a penalty that tie them.

    References
    ----------
    .. [1] Städler, Bühlmann & van de Geer (2010), l1-penalization for mixture regression models,
       doi:10.1007/s11749-010-0197-z (the scale-invariant parameters).
    """

    residual_scale: float = 0.0
    shared: bool = False

    response = True  # the response is a row of the design
    n_channels = 1  # linear predictors of one expert
    quadratic = True  # log f is -eta^2 / 2 and a constant: the complete-data score follows from the Grams
    discrete = False
    direct = False  # whether densities seldom underflow, so that mixtures need no logarithms
    recedes = False  # the coefficients of a maximum are finite, up to the scale floor
    stacked = True  # takes coefficients and predictors with further axes in front, (S, K, P)

    @classmethod
    def suited(cls, rows, columns):
        """The family with a floor under its scales, relative to the residuals of one regression.

        Parameters
        ----------
        rows : Rows
        columns : tuple of int
            Of the experts.
        """
        at = [*columns, rows.n_columns, rows.n_columns + 1]
        R = rows.total(partial(Triangle.of, at=at)).R
        return cls(abs(R[-1, -1]) / np.sqrt(rows.total_weight) if len(R) == len(at) else 0.0)

    @property
    def max_precision(self):
        """Largest admissible 1 / sigma, in scaled units."""
        return 1 / max(SCALE_FLOOR * self.residual_scale, EXACT)

    def names(self, columns):
        """Names of the parameters of one expert."""
        return [*columns, "intercept", "precision"]

    def admissible(self, coef):
        """Whether each precision is positive and below its bound, one answer for each (K, P)."""
        precision = coef[..., -1]
        return (precision.min(axis=-1) > 0) & (precision.max(axis=-1) <= self.max_precision * ROUNDING)

    def initial(self, shape):
        """Zero means and unit scales, in scaled units."""
        coef = np.zeros(shape)
        coef[:, -1] = 1.0
        return coef

    def rows_needed(self, width):
        """Rows below which an expert with `width` = d + 1 coefficients is always degenerate: d + 3."""
        return width + 2

    def suspect(self, coef):
        """Which experts are so tight that they may rest on tied responses, (K,)."""
        return coef[..., -1] * self.residual_scale > 1 / TIED

    def degenerate(self, coef, rows, n_rows, width):
        """Which experts are spikes rather than parts of the distribution, (K,).

        An expert on its scale floor, on fewer than d + 3 rows, or a tight one on fewer than 3 (d + 2) rows that chance
        explains: among n rows one expects a subset of m rows this close to a hyperplane if
        log binomial(n, m) + (m - d - 1) log(sigma / residual_scale) > 0.

        Parameters
        ----------
        coef : ndarray of shape (K, P)
        rows : ndarray of shape (K,)
            Rows that each expert accounts for.
        n_rows, width : int
        """
        ratio = 1 / np.maximum(coef[..., -1] * self.residual_scale, 1e-300)
        subsets = gammaln(n_rows + 1) - gammaln(rows + 1) - gammaln(np.maximum(n_rows - rows, 0) + 1)
        by_chance = subsets + (rows - width) * np.log(ratio) > 0
        spike = (rows < 3 * (width + 1)) & (ratio < TIGHT) & by_chance
        return self.on_boundary(coef) | (rows < self.rows_needed(width)) | spike

    def on_boundary(self, coef):
        """Which experts sit on the scale floor, (K,)."""
        return coef[..., -1] >= 0.99 * self.max_precision

    def ridge(self, size):
        """Squared slopes a / sigma times squared sizes (d + 1,), the last zero: matrix (P, P)."""
        return np.diag(np.append(size, 0.0) ** 2)

    def seen(self, y, offset=None):
        """The response as starts see it, (n, 1)."""
        return y[:, None]

    def base(self, y, units):
        """Logarithm of what all experts' densities share: of the response's unit."""
        return -np.log(units.y_scale)

    def terms(self, eta):
        """What the next three methods need of the predictors (K, 1, B): themselves."""
        return eta

    def log_prob(self, coef, eta, y=None):
        """Log densities (K, B) from the predictors, in scaled units of the response."""
        out = np.square(eta[..., 0, :])
        out *= -0.5
        out += (np.log(coef[..., -1]) - LOG_SQRT_2PI)[..., None]
        return out

    def residuals(self, coef, eta, y=None, overwrite=False):
        """Derivative of log f by the predictors, (K, 1, B); `overwrite` what `terms` has made for it."""
        return np.negative(eta, out=eta if overwrite else None)

    def weight_curvature(self, coef, eta, resp):
        """Weights of the complete-data information by pairs of channels, (K, 1, B)."""
        return resp[..., None, :]

    def constant_score(self, coef):
        """Gradient (K, P) of the part of log f that does not depend on the row."""
        out = np.zeros(coef.shape)
        out[..., -1] = 1 / coef[..., -1]
        return out

    def constant_hessian(self, coef):
        """Hessian (K, P, P) of the part of log f that does not depend on the row."""
        out = np.zeros((*coef.shape, coef.shape[1]))
        out[:, -1, -1] = -1 / coef[:, -1] ** 2
        return out

    def m_step(self, coef, score, grams, mass):
        """Weighted least squares from the Grams (K, P, P) of [x, 1, -y]; an empty expert stays where it is."""
        slopes, rss = least_squares(grams)
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = np.minimum(np.sqrt(mass / rss), self.max_precision)
            new = np.concatenate([slopes * precision[..., None], precision[..., None]], axis=-1)
        sound = (mass > 1e-13 * mass.sum(axis=-1, keepdims=True)) & np.isfinite(new).all(axis=-1)
        return new if sound.all() else np.where(sound[..., None], new, coef)

    # what people see, in user units; psi = (a, c, 1) / sigma

    def natural(self, coef):
        """Slopes (K, d), intercepts (K,) and standard deviations (K,)."""
        sigma = 1 / coef[:, -1]
        return {"coef": coef[:, :-2] * sigma[:, None], "intercept": coef[:, -2] * sigma, "sigma": sigma}

    def mean(self, coef, Z):
        """Means of the experts, (K, B), at the design Z = [x, 1]."""
        return coef[:, :-1] @ Z / coef[:, -1:]

    def rank(self, coef, Z):
        """What decides the order of experts of equal gate probability, (K, B): the means."""
        return self.mean(coef, Z)

    def nodes(self, coef, Z):
        """Pairs of points (K, B) and weights whose sums are means under the experts: Gauss and Hermite."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(20)
        mean, sigma = self.mean(coef, Z), 1 / coef[:, -1:]
        return ((mean + sigma * node, weight) for node, weight in zip(nodes, weights / weights.sum(), strict=True))

    def variance(self, coef, Z):
        """Variances of the experts, (K, B)."""
        return np.repeat(coef[:, -1:] ** -2.0, Z.shape[1], axis=1)

    def _standardise(self, coef, Z, y):
        return coef[:, -1:] * y - coef[:, :-1] @ Z

    def log_pdf(self, coef, Z, y):
        """Log densities (K, B) at the responses y (B,)."""
        z = self._standardise(coef, Z, y)
        return np.log(coef[:, -1:]) - LOG_SQRT_2PI - 0.5 * z**2

    def cdf(self, coef, Z, y):
        """Distribution functions (K, B) at y (B,)."""
        return ndtr(self._standardise(coef, Z, y))

    def log_cdf(self, coef, Z, y):
        """Logarithms of the distribution functions, accurate in the lower tail."""
        return log_ndtr(self._standardise(coef, Z, y))

    def log_sf(self, coef, Z, y):
        """Logarithms of the survival functions, accurate in the upper tail."""
        return log_ndtr(-self._standardise(coef, Z, y))

    def quantile(self, coef, Z, q):
        """Quantiles (K, B) at the levels q (B,)."""
        return (coef[:, :-1] @ Z + ndtri(q)) / coef[:, -1:]

    def sample(self, coef, Z, expert, rng):
        """One response per column of Z from the expert chosen for it, (B,)."""
        noise = rng.standard_normal(Z.shape[1])
        return (np.sum(coef[expert, :-1] * Z.T, axis=1) + noise) / coef[expert, -1]


def least_squares(grams):
    """Coefficients (K, q) and residual sums of squares (K,) from stacked Grams of [x, 1, -y].

    By Cholesky factors, whose last diagonal entry is the root of the residual sum of squares; by minimum norm where one
    of them is singular.
    """
    try:
        R = np.linalg.cholesky(grams)
    except np.linalg.LinAlgError:
        return _singular(grams)
    diagonal = np.diagonal(R, axis1=-2, axis2=-1)[..., :-1]
    size = np.diagonal(grams, axis1=-2, axis2=-1)[..., :-1]
    if np.any(diagonal**2 < RANK * size):
        return _singular(grams)
    slopes = np.linalg.solve(np.swapaxes(R[..., :-1, :-1], -2, -1), -R[..., -1, :-1, None])[..., 0]
    return slopes, R[..., -1, -1] ** 2


def _singular(grams):
    """By minimum norm; the members of a stack apart, since most of them are not singular."""
    if grams.ndim == 3:
        return _minimum_norm(grams)
    slopes, rss = zip(*map(least_squares, grams), strict=True)
    return np.stack(slopes), np.stack(rss)


def _minimum_norm(grams):
    A, b = grams[:, :-1, :-1], -grams[:, :-1, -1]
    values, vectors = np.linalg.eigh(A)
    keep = values > np.maximum(RANK * values[:, -1:], 1e-300)  # whose inverse is finite
    inverse = np.where(keep, 1 / np.where(keep, values, 1.0), 0.0)
    slopes = (vectors @ (inverse[:, :, None] * (np.swapaxes(vectors, 1, 2) @ b[:, :, None])))[:, :, 0]
    rss = grams[:, -1, -1] - 2 * np.sum(slopes * b, axis=1) + np.einsum("ki,kij,kj->k", slopes, A, slopes)
    return slopes, np.maximum(rss, 0.0)
