"""Poisson experts with log link: y given x and expert k is a count with mean exp(a_k'x + c_k)."""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammainc, gammaincc, gammaln, ndtri

from ._newton import newton_step

LARGEST = 300.0  # predictor from which the mean grows no further, so that products of residuals stay finite
MOST = 1e18  # mean that the generator of random counts takes
BELOW_ONE = np.nextafter(1.0, 0.0)
NODES = 256  # counts over which means are taken


@dataclass(frozen=True)
class Poisson:
    """Poisson regression experts with eta = a'x + c and the mean mu = exp(eta),

        log f(y) = y eta - exp(eta) - log y!,

    concave in the coefficients (a, c). Responses are counts, as floats. A known offset, the logarithm of an exposure,
    is a term of eta whose coefficient is one. Beyond eta = 300 the exponential is continued by its tangent, so that
    value and score stay finite and agree.

    References
    ----------
    .. [1] Nelder & Wedderburn (1972), Generalized linear models, doi:10.2307/2344614.

    Examples
    --------
    >>> import numpy as np
    >>> from moegate.experts.poisson import Poisson
    >>> coef, Z = np.array([[0.0, np.log(2.0)]]), np.array([[0.0], [1.0]])  # one expert of mean 2
    >>> np.exp(Poisson().log_pdf(coef, Z, np.array([0.0]))).round(4)
    array([[0.1353]])
    >>> Poisson().quantile(coef, Z, np.array([0.5]))
    array([[2.]])
    """

    response = False  # the response is not a row of the design
    n_channels = 1  # linear predictors of one expert
    quadratic = False  # the score needs the residuals
    discrete = True
    direct = False  # whether densities seldom underflow, so that mixtures need no logarithms
    recedes = True  # where the columns separate zeros from positive counts the maximum lies at infinity
    stacked = True  # takes coefficients and predictors with further axes in front, (S, K, P)

    @classmethod
    def suited(cls, rows, columns):
        """The family: the same for all counts."""
        return cls()

    def names(self, columns):
        """Names of the parameters of one expert."""
        return [*columns, "intercept"]

    def admissible(self, coef):
        """Whether all coefficients are finite, one answer for each (K, P)."""
        return np.isfinite(coef).all(axis=(-2, -1))

    def initial(self, shape):
        """All means one."""
        return np.zeros(shape)

    def rows_needed(self, width):
        """Rows below which an expert with `width` = d + 1 coefficients fits any positive counts exactly: d + 2."""
        return width + 1

    def suspect(self, coef):
        """Which experts may rest on tied responses: none, the density of a count is at most one, (K,)."""
        return np.zeros(coef.shape[:-1], dtype=bool)

    def degenerate(self, coef, rows, n_rows, width):
        """Which experts rest on so few rows that any counts could be fitted, (K,)."""
        return rows < self.rows_needed(width)

    def on_boundary(self, coef):
        """Which experts sit on the edge of the admissible set: it has none, (K,)."""
        return np.zeros(coef.shape[:-1], dtype=bool)

    def ridge(self, size):
        """Squared slopes times squared sizes (d + 1,), the last zero: matrix (P, P)."""
        return np.diag(size**2)

    def seen(self, y, offset=None):
        """The response as starts see it, (n, 1): the root of the rate, whose variance hardly depends on its mean."""
        return np.sqrt(y if offset is None else y * np.exp(-offset))[:, None]

    def terms(self, eta):
        """What the next three methods need of the predictors (K, 1, B): themselves and the means."""
        return eta, _mean(eta)

    def base(self, y, units):
        """Logarithm of what all experts' probabilities share: -log y!."""
        return -gammaln(y + 1)

    def log_prob(self, coef, terms, y):
        """Log-probabilities (K, B) of the counts y, plus log y!."""
        eta, mu = terms
        return _log_kernel(eta[..., 0, :], mu[..., 0, :], y)

    def residuals(self, coef, terms, y, overwrite=False):
        """Derivative of log f by the predictors, y - mu, (K, 1, B); `overwrite` for it what `terms` has made."""
        return np.subtract(y, terms[1], out=terms[1] if overwrite else None)

    def weight_curvature(self, coef, terms, resp):
        """Weights of the complete-data information, resp mu, (K, 1, B)."""
        return terms[1] * resp[..., None, :]

    def constant_score(self, coef):
        """Gradient (K, P) of the part of log f that does not depend on the row: there is none."""
        return np.zeros(coef.shape)

    def constant_hessian(self, coef):
        """Hessian (K, P, P) of the part of log f that does not depend on the row: there is none."""
        return np.zeros((*coef.shape, coef.shape[-1]))

    def m_step(self, coef, score, grams, mass):
        """One Newton step from the score (K, P) and the information (K, P, P); an empty expert stays where it is."""
        return coef + newton_step(score, grams, mass, coef.shape[-1])

    # what people see, in user units

    def natural(self, coef):
        """Slopes (K, d) and intercepts (K,) of the log-means."""
        return {"coef": coef[:, :-1], "intercept": coef[:, -1]}

    def mean(self, coef, Z):
        """Means of the experts, (K, B), at the design Z = [x, 1]."""
        return _mean(coef @ Z)

    def variance(self, coef, Z):
        """Variances of the experts, (K, B): the means."""
        return self.mean(coef, Z)

    def log_pdf(self, coef, Z, y):
        """Log-probabilities (K, B) of y (B,), minus infinity where it is not a count."""
        count = (y >= 0) & (y == np.floor(y)) & np.isfinite(y)
        eta = coef @ Z
        return np.where(count, _log_pmf(eta, _mean(eta), np.where(count, y, 0.0)), -np.inf)

    def cdf(self, coef, Z, y):
        """P(Y <= floor(y)) of the experts, (K, B), at y (B,)."""
        return _cdf(np.floor(y), self.mean(coef, Z))

    def log_cdf(self, coef, Z, y):
        """Logarithms of the distribution functions, to about 1e-3 where these are below the smallest number."""
        k, eta = np.floor(y), coef @ Z
        p = _cdf(k, _mean(eta))
        with np.errstate(divide="ignore"):
            return np.where((p > 0) | (k < 0), np.log(p), _log_tail(eta, k, np.maximum(k, 0.0) / _mean(eta)))

    def log_sf(self, coef, Z, y):
        """Logarithms of the survival functions P(Y > floor(y)), as accurate."""
        k, eta = np.maximum(np.floor(y), -1.0), coef @ Z
        p = np.where(k < 0, 1.0, gammainc(k + 1, _mean(eta)))
        with np.errstate(divide="ignore"):
            return np.where((p > 0) | np.isinf(k), np.log(p), _log_tail(eta, k + 1, _mean(eta) / (k + 2)))

    def quantile(self, coef, Z, q):
        """Smallest counts (K, B) that are not exceeded with probability at least q (B,)."""
        mu, level = self.mean(coef, Z), np.minimum(q, BELOW_ONE)
        z = ndtri(np.maximum(level, 1e-300))
        guess = np.maximum(np.floor(mu + z * np.sqrt(mu) + (z**2 - 1) / 6), 0.0)  # Cornish & Fisher
        return np.where(q < 1, _smallest(lambda k: (k >= 0) & (_cdf(k, mu) >= level), guess), np.inf)

    def rank(self, coef, Z):
        """What decides the order of experts of equal gate probability, (K, B): the means."""
        return self.mean(coef, Z)

    def nodes(self, coef, Z):
        """Pairs of points (K, B) and weights whose sums are means under the experts: counts, at most 256 of each."""
        low, high = (self.quantile(coef, Z, np.full(Z.shape[1], level)) for level in (1e-12, 1 - 1e-12))
        stride = np.ceil((high - low + 1) / NODES)
        points = [low + j * stride for j in range(int(np.max((high - low) // stride, initial=0)) + 1)]
        weights = [np.exp(self.log_pdf(coef, Z, y)) * (y <= high) for y in points]
        total = np.sum(weights, axis=0)
        return ((y, weight / total) for y, weight in zip(points, weights, strict=True))

    def sample(self, coef, Z, expert, rng):
        """One count per column of Z from the expert chosen for it, (B,)."""
        return rng.poisson(np.minimum(_mean(np.sum(coef[expert] * Z.T, axis=1)), MOST)).astype(float)


def _mean(eta):
    return np.exp(np.minimum(eta, LARGEST))


def _log_kernel(eta, mu, y):
    out = y * eta
    out -= mu if np.max(eta, initial=0.0) <= LARGEST else mu * (1.0 + np.maximum(eta - LARGEST, 0.0))
    return out


def _log_pmf(eta, mu, y):
    return _log_kernel(eta, mu, y) - gammaln(y + 1)


def _cdf(k, mu):
    """P(Y <= k) at integers k: an incomplete gamma function."""
    return np.where(k < 0, 0.0, gammaincc(np.maximum(k, 0.0) + 1, mu))


def _log_tail(eta, k, ratio):
    """Logarithm of a far tail that begins at k: its terms fall about like a geometric series."""
    k = np.where(np.isfinite(k), np.maximum(k, 0.0), 0.0)
    return _log_pmf(eta, _mean(eta), k) - np.log1p(-np.clip(ratio, 0.0, 1 - 1e-6))


def _smallest(reached, k):
    """Elementwise smallest integer at which an increasing condition holds: doubled steps from a guess, then halving."""
    low, high, step = k - 1, k, 1.0
    for _ in range(60):
        below, above = reached(low), ~reached(high)
        if not (below.any() or above.any()):
            break
        low, high, step = np.where(below, low - step, low), np.where(above, high + step, high), 2 * step
    for _ in range(64):
        middle = np.floor((low + high) / 2)
        if np.all(middle <= low):
            break
        at = reached(middle)
        low, high = np.where(at, low, middle), np.where(at, middle, high)
    return high
