"""GateDisplay: who is in charge where, along one feature (curves) or two (regions)."""

import numpy as np
from sklearn.utils import resample
from sklearn.utils.validation import check_is_fitted

from . import _style
from ._slice import as_table, column, feature_index, feature_names, held_note, slice_rows, spread


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

    def __init__(self, *, grids, gate, points, feature_names, held=""):
        self.grids = grids
        self.gate = gate
        self.points = points
        self.feature_names = feature_names
        self.held = held

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        features=None,
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
        check_is_fitted(estimator)
        X = as_table(X, estimator.n_features_in_)
        names = feature_names(estimator, X)
        shown = _features_shown(estimator, X, features, names, centre)
        grids = [spread(column(X, j), grid_resolution) for j in shown]
        return cls(
            grids=grids,
            gate=_gate_on_grid(estimator, X, dict(zip(shown, grids)), centre),
            points=_data_points(X, shown, subsample, random_state),
            feature_names=[names[j] for j in shown],
            held=held_note(names, shown, centre),
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

        look = {"color": _style.expert_color(k), "linewidth": 2.2, "label": _style.expert_label(k)}
        return ax.plot(self.grids[0], self.gate[:, k], **_style.style(Line2D, look, kwargs))[0]

    def _plot_regions(self, ax, surface_kwargs, boundary_kwargs, point_kwargs):
        self.surface_ = self._draw_surface(ax, surface_kwargs)
        self.boundaries_ = self._draw_boundaries(ax, boundary_kwargs)
        small = {"marker": "o", "markersize": 2.5, "markeredgewidth": 0, "alpha": 0.6}
        self.points_ = _draw_points(ax, *self.points.T, small, point_kwargs)
        ax.set(xlabel=self.feature_names[0], ylabel=self.feature_names[1])
        self.legend_ = _style.add_legend(ax, self._region_swatches(), title="most probable\n(paler: less sure)")

    def _draw_surface(self, ax, kwargs):
        """Draw the regions; probability 1/K (nobody is preferred) is nearly white, 1 is the expert's colour at 75%."""
        from matplotlib.collections import QuadMesh

        n_experts = self.gate.shape[-1]
        certainty = (self.gate.max(axis=-1) - 1 / n_experts) / max(1 - 1 / n_experts, 0.5)
        opacity = (0.1 + 0.65 * certainty)[..., None]
        colors = _style.expert_colors(n_experts)[self.gate.argmax(axis=-1)]
        image = np.concatenate([colors, opacity], axis=-1).swapaxes(0, 1)
        look = {"shading": "nearest", "rasterized": True, "zorder": 0}
        return ax.pcolormesh(*self.grids, image, **{**look, **_style.style(QuadMesh, {}, kwargs)})

    def _draw_boundaries(self, ax, kwargs):
        look = {"levels": [0.0], "colors": _style.MIXTURE_COLOR, "linewidths": 1.1, "zorder": 1} | (kwargs or {})
        margins = [_margin(self.gate, k).T for k in self._winners()]
        return [ax.contour(*self.grids, margin, **look) for margin in margins if margin.min() < 0]

    def _winners(self):
        return np.unique(self.gate.argmax(axis=-1))

    def _region_swatches(self):
        from matplotlib.patches import Patch

        color, label = _style.expert_color, _style.expert_label
        return [Patch(facecolor=color(k), alpha=0.75, label=label(k)) for k in self._winners()]


def _draw_points(ax, x, y, look, kwargs):
    from matplotlib.lines import Line2D

    look = {"color": _style.MIXTURE_COLOR, "linestyle": "none", "zorder": 2} | look
    return ax.plot(x, y, **_style.style(Line2D, look, kwargs))[0]


def _margin(gate, k):
    """By how much expert `k` is more probable than every other one; its zeros are the boundary of its region."""
    return gate[..., k] - np.delete(gate, k, axis=-1).max(axis=-1, initial=0.0)


def _features_shown(estimator, X, features, names, centre):
    """Column numbers of the one or two features to show."""
    if features is None:
        return list(range(len(names))) if len(names) <= 2 else [_most_telling_feature(estimator, X, centre)]
    wanted = [features] if isinstance(features, str) or np.ndim(features) == 0 else list(features)
    shown = [feature_index(feature, names) for feature in wanted]
    if len(shown) not in (1, 2) or len(set(shown)) < len(shown):
        raise ValueError(f"GateDisplay shows one feature or two different ones; got {wanted}. Known: {names}.")
    return shown


def _most_telling_feature(estimator, X, centre):
    """The feature along which the gate probabilities range most, all others at their centre."""

    def gate_range(j):
        gate = estimator.predict_gate(slice_rows(X, {j: spread(column(X, j), 50)}, centre))
        return np.ptp(gate, axis=0).sum()

    return max(range(X.shape[1]), key=gate_range)


def _gate_on_grid(estimator, X, grids, centre):
    """Gate probabilities of shape (m, K) or (m, m, K), first feature first."""
    mesh = np.meshgrid(*grids.values(), indexing="ij")
    rows = slice_rows(X, {j: values.ravel() for j, values in zip(grids, mesh)}, centre)
    return estimator.predict_gate(rows).reshape(*mesh[0].shape, -1)


def _data_points(X, shown, subsample, random_state):
    points = np.column_stack([column(X, j) for j in shown])
    if subsample is None or len(points) <= subsample:
        return points
    return resample(points, replace=False, n_samples=subsample, random_state=random_state)
