"""SelectionDisplay: how far each number of experts is from the best, by every criterion."""

import numpy as np

from ..selection import select_n_experts
from . import _style

_NAMES = {
    "bic": "BIC",
    "aic": "AIC",
    "icl": "ICL",
    "hannan_quinn": "Hannan-Quinn",
    "slope": "slope heuristic",
    "cv": "cross-validation",
    "dsc": "dendrogram",
}
_LINEAR_WITHIN = 10.0  # differences of criteria that mean little and much are told apart on a linear axis up to here


class SelectionDisplay:
    """Criteria by number of experts, each as its distance to its own minimum.

    Minima are filled, the line of the criterion used is thick. The vertical axis is linear up to 10, where differences
    count, and logarithmic beyond; that of the dendrogram criterion, which has another scale, is linear. Crosses are
    degenerate fits, which are chosen only where there is no other.

    Parameters
    ----------
    table : pandas.DataFrame
        As `Selection.table`.
    criterion : str
    n_experts : int
        The number chosen.

    Attributes
    ----------
    lines_ : dict of str to Line2D
        By criterion.
    minima_ : dict of str to Line2D
    chosen_ : Line2D
        Vertical, at the number chosen.
    legend_ : Legend
    ax_ : Axes
    figure_ : Figure

    Examples
    --------
    >>> import numpy as np
    >>> from moegate import MoERegressor, select_n_experts
    >>> from moegate.plotting import SelectionDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-2, 2, (300, 1))
    >>> y = np.where(rng.random(300) < 0.5, 1 + X[:, 0], -1 - X[:, 0]) + 0.3 * rng.standard_normal(300)
    >>> selection = select_n_experts(MoERegressor(n_init=1, random_state=0), X, y, n_experts=range(1, 4))
    >>> list(SelectionDisplay.from_selection(selection).lines_)
    ['bic', 'aic', 'icl', 'hannan_quinn']
    """

    def __init__(self, *, table, criterion, n_experts):
        self.table = table
        self.criterion = criterion
        self.n_experts = n_experts

    @classmethod
    def from_selection(cls, selection, ax=None, **plot_kwargs):
        """Draw the result of `moegate.select_n_experts`."""
        table, criterion, chosen = selection.table, selection.criterion, selection.n_experts
        return cls(table=table, criterion=criterion, n_experts=chosen).plot(ax=ax, **plot_kwargs)

    @classmethod
    def from_estimator(cls, estimator, X, y, *, ax=None, line_kwargs=None, **options):
        """Compare numbers of experts and draw the criteria; `options` are those of `moegate.select_n_experts`."""
        return cls.from_selection(select_n_experts(estimator, X, y, **options), ax=ax, line_kwargs=line_kwargs)

    def plot(self, ax=None, *, line_kwargs=None):
        """Draw the display.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None makes a figure.
        line_kwargs : dict, default=None
            For matplotlib's ``plot`` of the criteria.

        Returns
        -------
        display : SelectionDisplay
        """
        self.ax_ = ax = _style.own_or_new_axes(ax)
        self.figure_ = ax.figure
        self.lines_, self.minima_ = {}, {}
        for r, (name, label) in enumerate(_NAMES.items()):
            if name in self.table:
                self._draw(ax, name, label, _style.class_color(r), line_kwargs)
        self.chosen_ = ax.axvline(self.n_experts, color=_style.BAND_COLOR, linewidth=1, zorder=1)
        ax.set(xlabel="number of experts", ylabel="criterion minus its minimum", ylim=(0, None))
        if self.criterion != "dsc":
            _two_scales(ax)
        ax.set_xticks(self.table.index)
        _style.light_frame(ax)
        self.legend_ = _style.add_legend(ax, list(self.lines_.values()))
        return self

    def _draw(self, ax, name, label, color, kwargs):
        from matplotlib.lines import Line2D

        used, look = name == self.criterion, {"color": color, "marker": "o", "markerfacecolor": "white", "zorder": 3}
        look |= {"linewidth": 2.6 if used else 1.3, "markersize": 7 if used else 5, "clip_on": False}
        degenerate = self.table.get("degenerate", np.zeros(len(self.table), dtype=bool))
        sound = self.table[name][~degenerate.astype(bool)] if not np.all(degenerate) else self.table[name]
        above, best = self.table[name] - sound.min(), sound.idxmin()
        line = ax.plot(above[sound.index], label=label, **_style.style(Line2D, look, kwargs))[0]
        spoiled = above.drop(sound.index)
        ax.plot(spoiled.clip(lower=0), "x", color=line.get_color(), markersize=line.get_markersize(), zorder=3)
        filled = {"color": line.get_color(), "markersize": line.get_markersize(), "zorder": 4, "clip_on": False}
        self.lines_[name], self.minima_[name] = line, ax.plot(best, 0, "o", **filled)[0]


def _two_scales(ax):
    """A vertical axis linear up to `_LINEAR_WITHIN` and logarithmic beyond, ticks at 2, 5, 10, 20, 50, ..."""
    from matplotlib.ticker import NullLocator, StrMethodFormatter

    top = max(ax.get_ylim()[1], _LINEAR_WITHIN)
    ax.set_yscale("symlog", linthresh=_LINEAR_WITHIN, linscale=1.5)
    decades = 10.0 ** np.arange(np.ceil(np.log10(top)))
    ax.set_yticks([tick for tick in (0.0, *np.outer(decades, (2, 5, 10)).ravel()) if tick <= top])
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    ax.set_ylim(0, top)
