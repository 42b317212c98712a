"""GateDisplay: who is in charge where, along one feature (curves) or two (regions)."""

import numpy as np
from sklearn.utils import resample

from ..estimators.checks import check_fitted
from ..estimators.collections import in_memory
from . import _style
from ._regions import draw_boundaries, draw_surface, swatch, winners
from ._slice import as_table, column, feature_names, features_shown, held_note, on_grid, slice_rows, spread


class GateDisplay:
    """Gate probabilities of a fitted mixture of experts.

    Along one feature: one curve for each expert, with the data as ticks at the bottom. Along two: the colour says
    which expert is the most probable, the opacity how probable, black lines where the most probable one changes.

    Parameters
    ----------
    grids : list of one or two ndarray of shape (m,)
        Values of the features shown, in their units.
    gate : ndarray of shape (m, K) or (m, m, K)
        Gate probabilities at the grid; with two features ``gate[a, b]`` stands at ``(grids[0][a], grids[1][b])``.
    points : ndarray of shape (n, 1) or (n, 2)
        Data points in the features shown.
    feature_names : list of one or two str
        Axis labels.
    held : str, default=""
        Where the other features stand; written above the axes.
    bands : ndarray of shape (2, m, K), default=None
        Confidence limits of the curves of one feature.

    Attributes
    ----------
    lines_ : list of K Line2D, or None with two features
    surface_ : QuadMesh, or None with one feature
    boundaries_ : list of ContourSet, or None with one feature
        One for each expert that is the most probable somewhere, but not everywhere.
    points_ : Line2D
        The data.
    legend_ : Legend
    ax_ : Axes
    figure_ : Figure

    See Also
    --------
    FitDisplay : Data, expert lines and prediction interval.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from moegate import MoERegressor
    >>> from moegate.plotting import GateDisplay
    >>> X, y = load_diabetes(as_frame=True, return_X_y=True)
    >>> X = X[["bmi", "bp"]]
    >>> model = MoERegressor(n_experts=2, random_state=0).fit(X, y)
    >>> GateDisplay.from_estimator(model, X, features=["bmi"]).ax_.get_ylabel()
    'gate probability'
    >>> GateDisplay.from_estimator(model, X).ax_.get_ylabel()
    'bp'
    """

    def __init__(self, *, grids, gate, points, feature_names, held="", bands=None):
        self.grids = grids
        self.gate = gate
        self.points = points
        self.feature_names = feature_names
        self.held = held
        self.bands = bands

    @classmethod
    @in_memory
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        features=None,
        inference=None,
        centre="median",
        grid_resolution=200,
        subsample=2000,
        random_state=0,
        ax=None,
        **plot_kwargs,
    ):
        """Compute the gate of a fitted estimator on a grid and draw it.

        Parameters
        ----------
        estimator : fitted estimator
        X : array or data frame of shape (n, d)
            Its range is the range of the grid.
        features : int, str or list of one or two of these, default=None
            The features shown. None shows all if there are one or two, else the one along which the gate changes most.
        inference : Inference, default=None
            What `infer` returns for the estimator: adds 95% confidence limits to curves.
        centre : {"median", "mean"}, default="median"
            Where the other features are held.
        grid_resolution : int, default=200
            Number of grid points along each feature.
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
        display : GateDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a feature is not known, more than two are asked for, or `X` has other columns than in the fit.
        """
        check_fitted(estimator)
        X = as_table(X, estimator.n_features_in_)
        names = feature_names(estimator, X)
        shown = features_shown(estimator.predict_gate, X, features, names, centre)
        grids = [spread(column(X, j), grid_resolution) for j in shown]
        return cls(
            grids=grids,
            gate=on_grid(estimator.predict_gate, X, dict(zip(shown, grids)), centre),
            points=_data_points(X, shown, subsample, random_state),
            feature_names=[names[j] for j in shown],
            held=held_note(names, shown, centre),
            bands=_bands(inference, slice_rows(X, {shown[0]: grids[0]}, centre)) if len(shown) == 1 else None,
        ).plot(ax=ax, **plot_kwargs)

    def plot(self, ax=None, *, line_kwargs=None, surface_kwargs=None, boundary_kwargs=None, point_kwargs=None):
        """Draw the display.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None makes a figure.
        line_kwargs, surface_kwargs, boundary_kwargs, point_kwargs : dict, default=None
            For matplotlib's ``plot`` (curves), ``pcolormesh`` (regions), ``contour`` (boundaries) and ``plot`` (data).

        Returns
        -------
        display : GateDisplay
        """
        self.ax_ = ax = _style.own_or_new_axes(ax)
        self.figure_ = ax.figure
        self.lines_ = self.surface_ = self.boundaries_ = None
        if len(self.grids) == 1:
            self._plot_curves(ax, line_kwargs, point_kwargs)
        else:
            self._plot_regions(ax, surface_kwargs, boundary_kwargs, point_kwargs)
        _style.light_frame(ax)
        _style.add_note(ax, self.held)
        return self

    def _plot_curves(self, ax, line_kwargs, point_kwargs):
        self.lines_ = [self._draw_curve(ax, k, line_kwargs) for k in range(self.gate.shape[-1])]
        at_bottom = {
            "marker": "|",
            "markersize": 7,
            "alpha": 0.35,
            "transform": ax.get_xaxis_transform(),
            "clip_on": False,
        }
        self.points_ = _draw_points(ax, self.points[:, 0], np.zeros(len(self.points)), at_bottom, point_kwargs)
        ax.set(xlabel=self.feature_names[0], ylabel="gate probability", ylim=(-0.03, 1.03))
        self.legend_ = _style.add_legend(ax, self.lines_)

    def _draw_curve(self, ax, k, kwargs):
        from matplotlib.lines import Line2D

        if self.bands is not None:
            limits = self.bands[..., k]
            ax.fill_between(self.grids[0], *limits, facecolor=_style.expert_color(k), alpha=0.2, linewidth=0)
        look = {"color": _style.expert_color(k), "linewidth": 2.2, "label": _style.expert_label(k)}
        return ax.plot(self.grids[0], self.gate[:, k], **_style.style(Line2D, look, kwargs))[0]

    def _plot_regions(self, ax, surface_kwargs, boundary_kwargs, point_kwargs):
        colors = _style.expert_colors(self.gate.shape[-1])
        self.surface_ = draw_surface(ax, self.grids, self.gate, colors, surface_kwargs)
        self.boundaries_ = draw_boundaries(ax, self.grids, self.gate, boundary_kwargs)
        small = {"marker": "o", "markersize": 2.5, "markeredgewidth": 0, "alpha": 0.6}
        self.points_ = _draw_points(ax, *self.points.T, small, point_kwargs)
        ax.set(xlabel=self.feature_names[0], ylabel=self.feature_names[1])
        swatches = [swatch(colors[k], _style.expert_label(k)) for k in winners(self.gate)]
        self.legend_ = _style.add_legend(ax, swatches, title="most probable\n(paler: less sure)")


def _bands(inference, rows):
    """Confidence limits of the curves, (2, m, K)."""
    return None if inference is None else np.stack(inference.gate_band(rows))


def _draw_points(ax, x, y, look, kwargs):
    from matplotlib.lines import Line2D

    look = {"color": _style.MIXTURE_COLOR, "linestyle": "none", "zorder": 2} | look
    return ax.plot(x, y, **_style.style(Line2D, look, kwargs))[0]


def _data_points(X, shown, subsample, random_state):
    points = np.column_stack([column(X, j) for j in shown])
    if subsample is None or len(points) <= subsample:
        return points
    return resample(points, replace=False, n_samples=subsample, random_state=random_state)
