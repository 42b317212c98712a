"""What is asked of a fitted conditional distribution of a number: mean, spread, density, quantiles, draws."""

import numbers

import numpy as np
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .checks import warn_of_exposure
from .lazy import drawn, row_wise, scored


class Distribution:
    """Methods of a fitted regression.

    Each takes the `exposure` (n,) of Poisson experts, or finds it in its column, or takes it for one.
    """

    @row_wise
    def predict(self, X, *, exposure=None):
        """Mean of the response, (n,)."""
        check_is_fitted(self)
        return self._by_row(self.model_.mean, X, exposure=exposure)

    @row_wise
    def predict_experts(self, X, *, exposure=None):
        """Means of the experts, (n, K)."""
        check_is_fitted(self)
        return self._by_row(self.model_.expert_means, X, exposure=exposure).T

    @row_wise
    def predict_std(self, X, *, exposure=None):
        """Standard deviation of the response by the law of total variance, (n,)."""
        check_is_fitted(self)
        return np.sqrt(self._by_row(self.model_.variance, X, exposure=exposure))

    @row_wise
    def cdf(self, X, y, *, exposure=None):
        """P(Y <= y | x) of each row.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,) or float
            One response per row, or one for all.
        exposure : array-like of shape (n,), optional
            For Poisson experts.

        Returns
        -------
        ndarray of shape (n,)
        """
        check_is_fitted(self)
        y = np.full(len(X), y) if np.ndim(y) == 0 else y
        return np.exp(self._by_row(lambda theta, block: self.model_.log_cdf(theta, block, block.y), X, y, exposure))

    @row_wise
    def pdf(self, X, y_grid, *, exposure=None):
        """Density, of counts probability, of each row at each point of a grid.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y_grid : array-like of shape (m,)
        exposure : array-like of shape (n,), optional
            For Poisson experts.

        Returns
        -------
        ndarray of shape (n, m)
            Per unit of y.
        """
        check_is_fitted(self)
        grid = np.atleast_1d(np.asarray(y_grid, dtype=float))
        if grid.ndim != 1 or not grid.size or not np.all(np.isfinite(grid)):
            raise ValueError(
                f"y_grid expects a vector of finite numbers, got shape {grid.shape}; use cdf for one y a row."
            )

        def densities(theta, block):
            return np.stack([self.model_.log_pdf(theta, block, point) for point in grid])

        return np.exp(self._by_row(densities, X, exposure=exposure)).T

    @row_wise
    def predict_quantile(self, X, q, *, exposure=None):
        """Quantiles of the response; of counts the smallest that reach the level.

        Parameters
        ----------
        X : array-like of shape (n, d)
        q : float or array-like of shape (m,)
            Levels strictly between 0 and 1.
        exposure : array-like of shape (n,), optional
            For Poisson experts.

        Returns
        -------
        ndarray of shape (n,) or (n, m)
        """
        check_is_fitted(self)
        levels = np.asarray(q, dtype=float)
        if levels.ndim > 1 or not levels.size or not np.all((levels > 0) & (levels < 1)):
            raise ValueError(f"q expects one or more levels strictly between 0 and 1, got {q!r}.")

        def quantiles(theta, block):
            return np.stack([self.model_.quantile(theta, block, level) for level in np.atleast_1d(levels)])

        out = self._by_row(quantiles, X, exposure=exposure).T
        return out[:, 0] if levels.ndim == 0 else out

    def predict_interval(self, X, coverage=0.95, *, exposure=None):
        """Equal-tailed prediction intervals.

        Parameters
        ----------
        X : array-like of shape (n, d)
        coverage : float, default=0.95
            Probability inside, strictly between 0 and 1; of counts at least that.
        exposure : array-like of shape (n,), optional
            For Poisson experts.

        Returns
        -------
        ndarray of shape (n, 2)
            Lower and upper ends.
        """
        if not isinstance(coverage, numbers.Real) or not 0 < coverage < 1:
            raise ValueError(f"coverage expects a probability strictly between 0 and 1, got {coverage!r}.")
        return self.predict_quantile(X, [(1 - coverage) / 2, (1 + coverage) / 2], exposure=exposure)

    def sample(self, X, random_state=None, *, exposure=None):
        """One response per row drawn from the fitted density.

        Parameters
        ----------
        X : array-like of shape (n, d)
        random_state : int, RandomState or None, default=None
        exposure : array-like of shape (n,), optional
            For Poisson experts.

        Returns
        -------
        ndarray of shape (n,)
        """
        return self._sample(X, check_random_state(random_state).randint(2**31 - 1, size=4), exposure=exposure)

    @row_wise
    def _sample(self, X, seed, *, exposure=None, part=()):
        return drawn(self, X, seed, part, exposure)

    def score(self, X, y, sample_weight=None, *, exposure=None):
        """R^2 of the mean, 1 - sum w (y - prediction)^2 / sum w (y - mean)^2.

        Warns
        -----
        UserWarning
            Without the exposure that `fit` had as an argument: it is then taken for one.
        """
        warn_of_exposure(self, exposure)
        return scored(r2_score, self, X, y, sample_weight, exposure=exposure)
