"""FitDisplay: data, expert lines, mixture mean and prediction interval along one feature."""

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils import resample

from ..estimators.checks import check_fitted
from ..estimators.collections import in_memory
from . import _style
from ._slice import as_table, column, feature_index, feature_names, held_note, slice_rows, spread


class FitDisplay:
    """A fitted mixture of experts along one feature, over the data.

    Each point has the colour of its most responsible expert; each expert's mean is a line that thins out where the
    gate gives it little weight; the mixture's mean is black, its prediction interval grey.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
        The data points, in the units of the feature and of the response.
    responsibilities : ndarray of shape (n, K)
        Posterior probabilities of the experts given x and y.
    grid : ndarray of shape (m,)
        Values of the feature where the curves are computed.
    gate, experts : ndarray of shape (m, K)
        Gate probabilities, and expert means in units of the response.
    mean : ndarray of shape (m,)
        Mean of the mixture.
    interval : ndarray of shape (m, 2), default=None
        Lower and upper end of the prediction interval; None draws no band.
    coverage : float, default=None
        Probability inside the interval, for the legend.
    mean_band : ndarray of shape (m, 2), default=None
        Confidence limits of the mean.
    feature_name, response_name : str
        Axis labels.
    held : str, default=""
        Where the other features stand; written above the axes.

    Attributes
    ----------
    points_ : PathCollection
    expert_lines_ : list of K LineCollection
    mean_line_ : Line2D
    band_ : FillBetweenPolyCollection or None
    mean_band_ : FillBetweenPolyCollection or None
    legend_ : Legend
    ax_ : Axes
    figure_ : Figure

    See Also
    --------
    GateDisplay : The gate alone, along one feature or two.

    Examples
    --------
    >>> import statsmodels.api as sm
    >>> from moegate import MoERegressor
    >>> from moegate.plotting import FitDisplay
    >>> data = sm.datasets.engel.load_pandas().data
    >>> X, y = data[["income"]], data["foodexp"]
    >>> model = MoERegressor(n_experts=2, random_state=0).fit(X, y)
    >>> display = FitDisplay.from_estimator(model, X, y, feature="income", coverage=0.9)
    >>> display.ax_.get_xlabel(), display.ax_.get_ylabel()
    ('income', 'foodexp')
    """

    def __init__(
        self,
        *,
        x,
        y,
        responsibilities,
        grid,
        gate,
        experts,
        mean,
        interval=None,
        coverage=None,
        mean_band=None,
        feature_name="x0",
        response_name="y",
        held="",
    ):
        self.x = x
        self.y = y
        self.responsibilities = responsibilities
        self.grid = grid
        self.gate = gate
        self.experts = experts
        self.mean = mean
        self.interval = interval
        self.coverage = coverage
        self.mean_band = mean_band
        self.feature_name = feature_name
        self.response_name = response_name
        self.held = held

    @classmethod
    @in_memory
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        feature=0,
        coverage=0.9,
        inference=None,
        centre="median",
        grid_resolution=200,
        subsample=2000,
        random_state=0,
        ax=None,
        **plot_kwargs,
    ):
        """Compute the curves of a fitted regressor and draw them.

        Parameters
        ----------
        estimator : fitted regressor
        X : array or data frame of shape (n, d)
        y : array or series of shape (n,)
            The name of a series labels the vertical axis.
        feature : int or str, default=0
            The feature on the horizontal axis, by column number or name.
        coverage : float, default=0.9
            Probability inside the prediction interval, in (0, 1); None draws no interval.
        inference : Inference, default=None
            What `infer` returns for the estimator: adds 95% confidence limits of the mean.
        centre : {"median", "mean"}, default="median"
            Where the other features are held for the curves (the points are the data as they are).
        grid_resolution : int, default=200
            Number of points of each curve.
        subsample : int, default=2000
            At most that many data points are drawn; None draws all.
        random_state : int or RandomState, default=0
            Chooses the data points drawn, if not all.
        ax : Axes, default=None
            Where to draw; None makes a figure.
        **plot_kwargs
            Passed to `plot`.

        Returns
        -------
        display : FitDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator is not a regressor.
        ValueError
            If the feature is not known, `X` has other columns than in the fit, or `y` another length than `X`.
        """
        check_fitted(estimator)
        if not is_regressor(estimator):
            raise TypeError(f"FitDisplay needs a regressor, got {type(estimator).__name__}; GateDisplay takes any.")
        X, name = as_table(X, estimator.n_features_in_), getattr(y, "name", None)
        names = feature_names(estimator, X)
        j = feature_index(feature, names)
        grid = spread(column(X, j), grid_resolution)
        rows = slice_rows(X, {j: grid}, centre)
        return cls(
            **_data_points(estimator, X, y, j, subsample, random_state),
            **_curves(estimator, rows, coverage),
            mean_band=None if inference is None else np.column_stack(inference.mean_band(rows)),
            grid=grid,
            coverage=coverage,
            feature_name=names[j],
            response_name="y" if name is None else str(name),
            held=held_note(names, [j], centre),
        ).plot(ax=ax, **plot_kwargs)

    def plot(self, ax=None, *, scatter_kwargs=None, line_kwargs=None, mean_kwargs=None, band_kwargs=None):
        """Draw the display.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None makes a figure.
        scatter_kwargs, line_kwargs, mean_kwargs, band_kwargs : dict, default=None
            For matplotlib's ``scatter`` (points), ``LineCollection`` (expert lines), ``plot`` (mixture mean) and
            ``fill_between`` (interval).

        Returns
        -------
        display : FitDisplay
        """
        self.ax_ = ax = _style.own_or_new_axes(ax)
        self.figure_ = ax.figure
        self.band_ = self._draw_band(ax, band_kwargs)
        self.mean_band_ = self._draw_mean_band(ax)
        self.points_ = self._draw_points(ax, scatter_kwargs)
        self.expert_lines_ = [self._draw_expert(ax, k, line_kwargs) for k in range(self.gate.shape[1])]
        self.mean_line_ = self._draw_mean(ax, mean_kwargs)
        ax.set(xlabel=self.feature_name, ylabel=self.response_name)
        _style.light_frame(ax)
        _style.add_note(ax, self.held)
        self.legend_ = _style.add_legend(ax, self._legend_handles())
        return self

    def _draw_band(self, ax, kwargs):
        from matplotlib.collections import PolyCollection

        if self.interval is None:
            return None
        label = "interval" if self.coverage is None else f"{100 * self.coverage:g}% interval"
        look = {"facecolor": _style.BAND_COLOR, "alpha": 0.4, "linewidth": 0, "zorder": 1, "label": label}
        return ax.fill_between(self.grid, *self.interval.T, **_style.style(PolyCollection, look, kwargs))

    def _draw_mean_band(self, ax):
        if self.mean_band is None:
            return None
        look = {"facecolor": _style.MIXTURE_COLOR, "alpha": 0.25, "linewidth": 0, "zorder": 3}
        return ax.fill_between(self.grid, *self.mean_band.T, label="95% limits of the mean", **look)

    def _draw_points(self, ax, kwargs):
        from matplotlib.collections import PathCollection

        colors = _style.expert_colors(self.gate.shape[1])[self.responsibilities.argmax(axis=1)]
        look = _style.style(PathCollection, {"s": 16, "alpha": 0.55, "linewidth": 0, "zorder": 2}, kwargs)
        own_color = {"c", "color", "facecolor"} & look.keys()
        return ax.scatter(self.x, self.y, **(look if own_color else look | {"facecolor": colors}))

    def _draw_expert(self, ax, k, kwargs):
        """Draw one line whose width follows the root of the gate: 3.5 points at 1, a hairline at 0.01, nothing at 0."""
        from matplotlib.collections import LineCollection

        line = np.column_stack([self.grid, self.experts[:, k]])
        gate = (self.gate[1:, k] + self.gate[:-1, k]) / 2
        look = {
            "linewidth": 3.5 * np.sqrt(gate),
            "color": [_style.expert_color(k)],
            "capstyle": "round",
            "zorder": 4,
            "label": _style.expert_label(k),
        }
        lines = LineCollection(np.stack([line[:-1], line[1:]], axis=1), **_style.style(LineCollection, look, kwargs))
        # A line that has no weight far from the data must not stretch the axes.
        return ax.add_collection(lines, autolim=False)

    def _draw_mean(self, ax, kwargs):
        from matplotlib.lines import Line2D

        look = {
            "color": _style.MIXTURE_COLOR,
            "linewidth": 1.4,
            "linestyle": (0, (4, 2)),
            "zorder": 5,
            "label": "mixture mean",
        }
        return ax.plot(self.grid, self.mean, **_style.style(Line2D, look, kwargs))[0]

    def _legend_handles(self):
        from matplotlib.lines import Line2D

        swatches = [
            Line2D([], [], color=line.get_colors()[0], linewidth=2.5, marker="o", markersize=4, label=line.get_label())
            for line in self.expert_lines_
        ]
        bands = [band for band in (self.mean_band_, self.band_) if band is not None]
        return [*swatches, self.mean_line_, *bands]


def _data_points(estimator, X, y, j, subsample, random_state):
    """The data to draw, as the display's `x`, `y` and `responsibilities`."""
    y = np.asarray(y, dtype=float).ravel()
    if len(y) != X.shape[0]:
        raise ValueError(f"Expected y of shape ({X.shape[0]},), one response per row of X; got {len(y)} values.")
    if subsample is not None and len(y) > subsample:
        X, y = resample(X, y, replace=False, n_samples=subsample, random_state=random_state)
    return {"x": column(X, j), "y": y, "responsibilities": estimator.responsibilities(X, y)}


def _curves(estimator, rows, coverage):
    """The display's `gate`, `experts`, `mean` and `interval` at the rows of a grid."""
    return {
        "gate": estimator.predict_gate(rows),
        "experts": estimator.predict_experts(rows),
        "mean": estimator.predict(rows),
        "interval": None if coverage is None else estimator.predict_interval(rows, coverage),
    }
