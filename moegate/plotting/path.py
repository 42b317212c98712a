"""LassoPathDisplay: slopes against the strength of a lasso, and what chose the strength."""

import numpy as np

from . import _style

_LABELS = {"cv": "held-out mean log-likelihood", "relaxed_bic": "BIC of refits", "bic": "BIC on the path"}


class LassoPathDisplay:
    """Slopes along a path of strengths, and the curve that chose one of them.

    Left: slopes in user units, solid those of the experts, dashed those of the gate (centred over experts), in the
    expert's colour; columns that are always zero are not drawn. Right: the mean log-likelihood of held-out rows with
    its standard error, or the criterion. A vertical line marks the strength chosen.

    Parameters
    ----------
    path : LassoPath
    criterion : {"cv", "relaxed_bic", "bic"}
    chosen : int
        Position on the path.
    values : ndarray of shape (m,)
        The curve.
    errors : ndarray of shape (m,), optional
        Its standard errors.

    Attributes
    ----------
    lines_, gate_lines_ : list of list of Line2D
        By expert.
    curve_ : Line2D
    band_ : PolyCollection or None
        One standard error up and down.
    chosen_ : list of Line2D
        Vertical, one on each axes.
    legend_ : Legend
    ax_ : ndarray of Axes, shape (2,)
    figure_ : Figure

    Examples
    --------
    >>> import numpy as np
    >>> from moegate import Lasso, MoERegressor, lasso_path
    >>> from moegate.plotting import LassoPathDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 20))
    >>> y = 2 * X[:, 0] + rng.standard_normal(100)
    >>> display = LassoPathDisplay.from_path(lasso_path(MoERegressor(1, penalty=Lasso()), X, y, n_alphas=5))
    >>> display.ax_[1].get_ylabel()
    'BIC of refits'
    """

    def __init__(self, *, path, criterion, chosen, values, errors=None):
        self.path = path
        self.criterion = criterion
        self.chosen = chosen
        self.values = values
        self.errors = errors

    @classmethod
    def from_path(cls, path, criterion="relaxed_bic", ax=None, **plot_kwargs):
        """Draw a `LassoPath`, chosen by "relaxed_bic" or "bic"."""
        chosen, values = path.best(criterion), getattr(path, criterion)
        return cls(path=path, criterion=criterion, chosen=chosen, values=values).plot(ax=ax, **plot_kwargs)

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **plot_kwargs):
        """Draw the path of a fitted `MoERegressorCV` or `MoEClassifierCV`, and what it chose by."""
        from sklearn.utils.validation import check_is_fitted

        if not hasattr(estimator, "criterion"):
            raise TypeError(
                "from_estimator expects a fitted MoERegressorCV or MoEClassifierCV, got "
                f"{type(estimator).__name__}; a path is drawn by LassoPathDisplay.from_path(path)."
            )
        check_is_fitted(estimator, "path_")
        path, criterion = estimator.path_, estimator.criterion
        held_out = getattr(estimator, "cv_mean_", None)
        display = cls(
            path=path,
            criterion=criterion,
            chosen=int(np.flatnonzero(path.alphas == estimator.alpha_)[0]),
            values=getattr(path, criterion) if held_out is None else held_out,
            errors=getattr(estimator, "cv_error_", None),
        )
        return display.plot(ax=ax, **plot_kwargs)

    def plot(self, ax=None, *, line_kwargs=None, curve_kwargs=None):
        """Draw the display.

        Parameters
        ----------
        ax : array of two Axes, default=None
            Where to draw; None makes a figure.
        line_kwargs, curve_kwargs : dict, default=None
            For matplotlib's ``plot`` of the slopes, and of the curve.

        Returns
        -------
        display : LassoPathDisplay
        """
        self.ax_ = left, right = _style.two_axes(ax, "LassoPathDisplay")
        self.figure_ = left.figure
        K = self.path.coef.shape[1]
        self.lines_ = [self._slopes(left, self.path.coef, k, "-", line_kwargs) for k in range(K)]
        self.gate_lines_ = [self._slopes(left, self.path.gate_coef, k, "--", line_kwargs) for k in range(K)]
        left.set(xlabel="alpha", ylabel="slope")
        self._curve(right, curve_kwargs)
        alpha = self.path.alphas[self.chosen]
        self.chosen_ = [axes.axvline(alpha, color=_style.QUIET_COLOR, linewidth=1, zorder=1) for axes in self.ax_]
        for axes in self.ax_:
            axes.set_xscale("log")
            _style.light_frame(axes)
        self.legend_ = _style.add_legend(right, self._handles(alpha, K))
        return self

    def _slopes(self, ax, coef, k, line, kwargs):
        from matplotlib.lines import Line2D

        rows = coef[:, k].reshape(len(coef), -1)
        look = {"color": _style.expert_color(k), "linestyle": line, "linewidth": 1.3}
        return ax.plot(self.path.alphas, rows[:, rows.any(axis=0)], **_style.style(Line2D, look, kwargs))

    def _curve(self, ax, kwargs):
        from matplotlib.lines import Line2D

        look = {"color": _style.MIXTURE_COLOR, "marker": "o", "markersize": 4, "linewidth": 1.3, "zorder": 3}
        values, alphas = np.where(np.isfinite(self.values), self.values, np.nan), self.path.alphas
        self.curve_ = ax.plot(alphas, values, **_style.style(Line2D, look, kwargs))[0]
        self.band_ = None
        if self.errors is not None:
            low, high = values - self.errors, values + self.errors
            self.band_ = ax.fill_between(alphas, low, high, color=_style.BAND_COLOR, alpha=0.5, linewidth=0)
        ax.plot(alphas[self.chosen], values[self.chosen], "o", color=self.curve_.get_color(), markersize=9, zorder=4)
        ax.set(xlabel="alpha", ylabel=_LABELS[self.criterion])

    def _handles(self, alpha, K):
        """Entries of the legend: experts, the gate where it has slopes, the strength."""
        from matplotlib.lines import Line2D

        color = _style.QUIET_COLOR
        handles = [Line2D([], [], color=_style.expert_color(k), label=_style.expert_label(k)) for k in range(K)]
        gate = [Line2D([], [], color=color, linestyle="--", label="gate")] if any(self.gate_lines_) else []
        return [*handles, *gate, Line2D([], [], color=color, linewidth=1, label=f"alpha = {alpha:.3g}")]
