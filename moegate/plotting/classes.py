"""ClassDisplay: which class is likely where, beside which expert is in charge there."""

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import resample

from ..estimators.checks import check_fitted
from ..estimators.collections import in_memory
from . import _style
from ._regions import draw_boundaries, draw_surface, winners
from ._slice import (
    as_table,
    column,
    feature_names,
    features_shown,
    held_note,
    most_telling,
    on_grid,
    spread,
)
from .gate import GateDisplay


class ClassDisplay:
    """Class probabilities of a fitted classifier, and its gate beside them, along one feature or two.

    Along two features: on the left the colour says which class is the most probable, on the right which expert is; the
    opacity says how probable, black lines stand where that changes. Data points have the marker and colour of their
    class. Along one feature: one curve for each class, and for each expert.

    Parameters
    ----------
    grids : list of one or two ndarray of shape (m,)
        Values of the features shown, in their units.
    proba : ndarray of shape (m, M) or (m, m, M)
        Class probabilities at the grid, first feature first.
    gate : ndarray of shape (m, K) or (m, m, K)
        Gate probabilities there.
    points : ndarray of shape (n, 1) or (n, 2)
        Data points in the features shown.
    codes : ndarray of shape (n,), default=None
        Their classes, by number; None draws all alike.
    classes : sequence of M str
        Labels.
    feature_names : list of one or two str
        Axis labels.
    held : str, default=""
        Where the other features stand; written above the axes.

    Attributes
    ----------
    surface_ : QuadMesh, or None with one feature
    boundaries_ : list of ContourSet, or None with one feature
    lines_ : list of M Line2D, or None with two features
    points_ : list of Line2D
        The data, class by class.
    legend_ : Legend
    gate_display_ : GateDisplay
    ax_ : ndarray of two Axes
    figure_ : Figure

    See Also
    --------
    GateDisplay : The gate alone.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from moegate import MoEClassifier
    >>> from moegate.plotting import ClassDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> X, y = X[["petal length (cm)", "petal width (cm)"]], load_iris().target_names[y]
    >>> model = MoEClassifier(n_experts=2, n_init=2, random_state=0).fit(X, y)
    >>> display = ClassDisplay.from_estimator(model, X, y)
    >>> [ax.get_title(loc="left") for ax in display.ax_]
    ['classes', 'gate']
    """

    def __init__(self, *, grids, proba, gate, points, classes, feature_names, codes=None, held=""):
        self.grids = grids
        self.proba = proba
        self.gate = gate
        self.points = points
        self.codes = codes
        self.classes = classes
        self.feature_names = feature_names
        self.held = held

    @classmethod
    @in_memory
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        features=None,
        centre="median",
        grid_resolution=200,
        subsample=2000,
        random_state=0,
        ax=None,
        **plot_kwargs,
    ):
        """Compute the probabilities of a fitted classifier on a grid and draw them.

        Parameters
        ----------
        estimator : fitted classifier
        X : array or data frame of shape (n, d)
            Its range is the range of the grid.
        y : array-like of shape (n,), default=None
            Labels of the data points; None draws all alike.
        features : int, str or list of one or two of these, default=None
            The features shown. None shows all if there are one or two, else the two along which the class
            probabilities change most.
        centre : {"median", "mean"}, default="median"
            Where the other features are held.
        grid_resolution : int, default=200
            Number of grid points along each feature.
        subsample : int, default=2000
            At most that many data points are drawn; None draws all.
        random_state : int or RandomState, default=0
            Chooses the data points drawn, if not all.
        ax : sequence of two Axes, default=None
            Where to draw; None makes a figure.
        **plot_kwargs
            Passed to `plot`.

        Returns
        -------
        display : ClassDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator is not a classifier.
        ValueError
            If a feature is not known, more than two are asked for, `X` has other columns than in the fit, or `y`
            another length than `X` or other labels than the fit.
        """
        check_fitted(estimator)
        if not is_classifier(estimator):
            raise TypeError(f"ClassDisplay needs a classifier, got {type(estimator).__name__}; GateDisplay takes any.")
        X = as_table(X, estimator.n_features_in_)
        names = feature_names(estimator, X)
        shown = _shown(estimator, X, features, names, centre)
        grids = [spread(column(X, j), grid_resolution) for j in shown]
        at = dict(zip(shown, grids))
        points, codes = _data_points(estimator, X, y, shown, subsample, random_state)
        return cls(
            grids=grids,
            proba=on_grid(estimator.predict_proba, X, at, centre),
            gate=on_grid(estimator.predict_gate, X, at, centre),
            points=points,
            codes=codes,
            classes=[str(label) for label in estimator.classes_],
            feature_names=[names[j] for j in shown],
            held=held_note(names, shown, centre),
        ).plot(ax=ax, **plot_kwargs)

    def plot(self, ax=None, *, line_kwargs=None, surface_kwargs=None, boundary_kwargs=None, point_kwargs=None):
        """Draw the display.

        Parameters
        ----------
        ax : sequence of two Axes, default=None
            Where to draw the classes and the gate; None makes a figure.
        line_kwargs, surface_kwargs, boundary_kwargs, point_kwargs : dict, default=None
            For matplotlib's ``plot`` (curves), ``pcolormesh`` (regions), ``contour`` (boundaries) and ``plot`` (data),
            of both axes.

        Returns
        -------
        display : ClassDisplay
        """
        self.ax_ = _style.two_axes(ax, "ClassDisplay")
        self.figure_ = self.ax_[0].figure
        self.lines_ = self.surface_ = self.boundaries_ = None
        look = {"surface_kwargs": surface_kwargs, "boundary_kwargs": boundary_kwargs, "point_kwargs": point_kwargs}
        if len(self.grids) == 1:
            self._plot_curves(self.ax_[0], line_kwargs, point_kwargs)
        else:
            self._plot_regions(self.ax_[0], surface_kwargs, boundary_kwargs, point_kwargs)
        _style.light_frame(self.ax_[0])
        gate = GateDisplay(grids=self.grids, gate=self.gate, points=self.points, feature_names=self.feature_names)
        self.gate_display_ = gate.plot(ax=self.ax_[1], line_kwargs=line_kwargs, **look)
        for one, title in zip(self.ax_, ("classes", "gate"), strict=True):
            one.set_title(title, loc="left", fontsize="medium")
            _style.add_note(one, self.held)
        return self

    def _plot_regions(self, ax, surface_kwargs, boundary_kwargs, point_kwargs):
        colors = np.array([_style.class_color(r) for r in range(len(self.classes))])
        self.surface_ = draw_surface(ax, self.grids, self.proba, colors, surface_kwargs)
        self.boundaries_ = draw_boundaries(ax, self.grids, self.proba, boundary_kwargs)
        self.points_ = self._draw_points(ax, self.points.T, {"markersize": 4.5, "alpha": 0.85}, point_kwargs)
        ax.set(xlabel=self.feature_names[0], ylabel=self.feature_names[1])
        seen = np.union1d(winners(self.proba), [] if self.codes is None else self.codes).astype(int)
        handles = [_key(r, self.classes[r]) for r in seen]
        self.legend_ = _style.add_legend(ax, handles, title="most probable\n(paler: less sure)")

    def _plot_curves(self, ax, line_kwargs, point_kwargs):
        self.lines_ = [self._draw_curve(ax, r, line_kwargs) for r in range(len(self.classes))]
        at_bottom = {"marker": "|", "markersize": 7, "alpha": 0.6, "markeredgewidth": 1.2, "markeredgecolor": None}
        at_bottom |= {"clip_on": False, "transform": ax.get_xaxis_transform()}
        where = self.points[:, 0], np.zeros(len(self.points))
        self.points_ = self._draw_points(ax, where, at_bottom, point_kwargs)
        ax.set(xlabel=self.feature_names[0], ylabel="class probability", ylim=(-0.03, 1.03))
        self.legend_ = _style.add_legend(ax, self.lines_)

    def _draw_curve(self, ax, r, kwargs):
        from matplotlib.lines import Line2D

        dashes = _style.CLASS_LINES[r % len(_style.CLASS_LINES)]
        look = {"color": _style.class_color(r), "linewidth": 2.2, "linestyle": dashes, "label": self.classes[r]}
        return ax.plot(self.grids[0], self.proba[:, r], **_style.style(Line2D, look, kwargs))[0]

    def _draw_points(self, ax, where, look, kwargs):
        """One artist for each class; all alike without classes."""
        from matplotlib.lines import Line2D

        if self.codes is None:
            groups = [(slice(None), {"color": _style.MIXTURE_COLOR, "marker": "o", "markersize": 2.5})]
        else:
            groups = [(self.codes == r, _class_look(r)) for r in np.unique(self.codes)]
        common = {"linestyle": "none", "zorder": 2}
        return [
            ax.plot(where[0][at], where[1][at], **_style.style(Line2D, common | own | look, kwargs))[0]
            for at, own in groups
        ]


def _class_look(r):
    edge = {"markeredgecolor": _style.MIXTURE_COLOR, "markeredgewidth": 0.6}
    return {"marker": _style.class_marker(r), "color": _style.class_color(r)} | edge


def _key(r, label):
    """A legend entry: the colour of the region and the marker of the points."""
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="none", label=label, **(_class_look(r) | {"markersize": 8}))


def _shown(estimator, X, features, names, centre):
    if features is None and len(names) > 2:
        return sorted(most_telling(estimator.predict_proba, X, centre, 2))
    return features_shown(estimator.predict_proba, X, features, names, centre)


def _data_points(estimator, X, y, shown, subsample, random_state):
    """Points in the features shown, and the numbers of their classes or None."""
    points = np.column_stack([column(X, j) for j in shown])
    codes = None if y is None else _codes(estimator, np.asarray(y), len(points))
    if subsample is None or len(points) <= subsample:
        return points, codes
    at = resample(np.arange(len(points)), replace=False, n_samples=subsample, random_state=random_state)
    return points[at], None if codes is None else codes[at]


def _codes(estimator, y, n):
    if y.shape != (n,):
        raise ValueError(f"Expected y of shape ({n},), one label per row of X; got shape {y.shape}.")
    known = np.isin(y, estimator.classes_)
    if not known.all():
        raise ValueError(
            f"Expected y of the labels {estimator.classes_.tolist()} of the fit; got {np.unique(y[~known]).tolist()}."
        )
    return np.searchsorted(estimator.classes_, y)
