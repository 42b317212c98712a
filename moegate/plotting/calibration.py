"""CalibrationDisplay: are the predicted distributions right?"""

import numpy as np
from scipy.stats import beta, binom, norm

from ..diagnostics import quantile_residuals
from ..estimators.checks import check_fitted
from ..estimators.collections import in_memory
from . import _style

LEVEL = 0.95  # of the bands


class CalibrationDisplay:
    """Predicted distributions against what happened.

    Of a regressor on the left the histogram of the probability integral transforms F(y | x), flat where the
    distributions are right (a hump: too wide; a valley: too narrow), on the right the quantile residuals Phi^-1(F)
    against normal quantiles. Of a classifier, for each class, the frequency with which it occurs against the
    probability it was given, and how often which probability is given. Shaded: 95% pointwise limits under a right
    model; with the rows of the fit they are somewhat too wide.

    Parameters
    ----------
    residuals : ndarray of shape (n,), default=None
        Quantile residuals, of a regressor.
    probabilities : ndarray of shape (n, M), default=None
        Of a classifier.
    codes : ndarray of shape (n,), default=None
        Its classes, as numbers.
    classes : list of str, default=()
    bins : int, default=10

    Attributes
    ----------
    ax_ : ndarray of two Axes
    figure_ : Figure

    Examples
    --------
    >>> import statsmodels.api as sm
    >>> from moegate import MoERegressor
    >>> from moegate.plotting import CalibrationDisplay
    >>> data = sm.datasets.engel.load_pandas().data
    >>> X, y = data[["income"]], data["foodexp"]
    >>> display = CalibrationDisplay.from_estimator(MoERegressor(random_state=0).fit(X, y), X, y)
    >>> display.ax_[1].get_xlabel()
    'normal quantile'
    """

    def __init__(self, *, residuals=None, probabilities=None, codes=None, classes=(), bins=10):
        self.residuals = residuals
        self.probabilities = probabilities
        self.codes = codes
        self.classes = classes
        self.bins = bins

    @classmethod
    @in_memory
    def from_estimator(cls, estimator, X, y, *, exposure=None, bins=10, random_state=0, ax=None):
        """Evaluate a fitted estimator at rows, best new ones, and draw.

        Parameters
        ----------
        estimator : MoERegressor or MoEClassifier
        X : array or data frame of shape (n, d)
        y : array of shape (n,)
        exposure : array-like of shape (n,), default=None
            For Poisson experts.
        bins : int, default=10
        random_state : int or RandomState, default=0
            For counts, whose transforms are randomised.
        ax : two Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        CalibrationDisplay
        """
        check_fitted(estimator)
        if hasattr(estimator, "classes_"):
            codes, P = estimator._check_X_y(X, y, reset=False)[1].astype(int), estimator.predict_proba(X)
            return cls(probabilities=P, codes=codes, classes=list(map(str, estimator.classes_)), bins=bins).plot(ax)
        residuals = quantile_residuals(estimator, X, y, exposure=exposure, random_state=random_state)
        return cls(residuals=residuals, bins=bins).plot(ax)

    def plot(self, ax=None):
        """Draw the display.

        Parameters
        ----------
        ax : two Axes, default=None

        Returns
        -------
        CalibrationDisplay
        """
        self.ax_ = _style.two_axes(ax, "CalibrationDisplay")
        self.figure_ = self.ax_[0].figure
        if self.residuals is None:
            self._plot_reliability(*self.ax_)
        else:
            self._plot_histogram(self.ax_[0])
            self._plot_quantiles(self.ax_[1])
        for each in self.ax_:
            _style.light_frame(each)
        return self

    def _plot_histogram(self, ax):
        n, width = len(self.residuals), 1 / self.bins
        low, high = binom.interval(LEVEL, n, width)
        ax.axhspan(low * self.bins / n, high * self.bins / n, facecolor=_style.BAND_COLOR, alpha=0.4, linewidth=0)
        color = _style.QUIET_COLOR
        ax.hist(
            norm.cdf(self.residuals),
            np.linspace(0, 1, self.bins + 1),
            density=True,
            color=color,
            alpha=0.8,
            rwidth=0.92,
        )
        ax.axhline(1, color=_style.MIXTURE_COLOR, linewidth=1.2, linestyle=(0, (4, 2)))
        ax.set(xlabel="F(y | x)", ylabel="density", xlim=(0, 1))

    def _plot_quantiles(self, ax):
        values, n = np.sort(self.residuals), len(self.residuals)
        rank = np.arange(1, n + 1)
        expected = norm.ppf((rank - 0.5) / n)
        low, high = (norm.ppf(beta.ppf(q, rank, n + 1 - rank)) for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
        ax.fill_between(expected, low, high, facecolor=_style.BAND_COLOR, alpha=0.4, linewidth=0)
        ax.plot(expected, expected, color=_style.MIXTURE_COLOR, linewidth=1.2, linestyle=(0, (4, 2)))
        ax.plot(expected, values, "o", color=_style.QUIET_COLOR, markersize=3, markeredgewidth=0)
        ax.set(xlabel="normal quantile", ylabel="quantile residual")

    def _plot_reliability(self, ax, beside):
        """Frequency of each class against its probability in bins, and how often each bin is used."""
        edges = np.linspace(0, 1, self.bins + 1)
        for r, label in enumerate(self.classes):
            P, hit = self.probabilities[:, r], self.codes == r
            bins = np.minimum((P * self.bins).astype(int), self.bins - 1)
            count = np.bincount(bins, minlength=self.bins)
            at = np.flatnonzero(count)
            given, seen = (np.bincount(bins, weights=w, minlength=self.bins)[at] / count[at] for w in (P, hit))
            low, high = binom.interval(LEVEL, count[at], np.clip(given, 1e-12, 1 - 1e-12))
            look = {"color": _style.class_color(r), "marker": _style.class_marker(r), "markersize": 5, "linewidth": 1.4}
            ax.plot(given, seen, label=label, **look)
            ax.fill_between(
                given, low / count[at], high / count[at], color=_style.class_color(r), alpha=0.12, linewidth=0
            )
            beside.step(
                np.append(edges[:-1], 1), np.append(count, count[-1]), where="post", color=_style.class_color(r)
            )
        ax.plot([0, 1], [0, 1], color=_style.MIXTURE_COLOR, linewidth=1.2, linestyle=(0, (4, 2)))
        ax.set(xlabel="probability given", ylabel="frequency seen", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        beside.set(xlabel="probability given", ylabel="rows", xlim=(0, 1))
        self.legend_ = _style.add_legend(beside, ax.get_legend_handles_labels()[0])
