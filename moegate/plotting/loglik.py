"""LoglikDisplay: how every start climbed, seen from the log-likelihood of the best."""

import numpy as np

from ..estimators.checks import check_fitted
from . import _style

_STAGES = ("short", "middle", "long")  # of one start, in their order
_LINEAR_WITHIN = 0.01
_LOOKS = {
    "winner": {"color": _style.EXPERT_COLORS[1], "linewidth": 2.4, "alpha": 1.0, "zorder": 4},
    "other": {"color": _style.EXPERT_COLORS[0], "linewidth": 1.2, "alpha": 0.6, "zorder": 3},
    "short": {"color": _style.QUIET_COLOR, "linewidth": 0.7, "alpha": 0.4, "zorder": 1},
    "degenerate": {"color": _style.QUIET_COLOR, "linestyle": "--", "zorder": 2},
}


class LoglikDisplay:
    """Log-likelihood paths of all starts of a fit.

    The vertical axis is the distance to the winner's end on a scale that is linear within 0.01 and logarithmic
    beyond, so that ends which differ by little and starts which differ by much are told apart in one picture. Starts
    given up on the way are thin and grey; a dot ends the others, filled where they converged. Degenerate
    starts (dashed) may end above the winner: the likelihood of a Gaussian mixture is unbounded.

    Parameters
    ----------
    histories : list of ndarray of shape (n_iter,)
        Log-likelihood by iteration, one for each start: its runs one after another.
    winner : int
        Position of the winning start.
    degenerate, converged, climbed : ndarray of bool of shape (n_starts,)
        How each start ended; `climbed` is false for those given up on the way.
    labels : list of str
        A name for each start, such as ``"start 3, kmeans"``.
    note : str, default=""
        On the rows used, if these are not all; written above the axes.
    quantity : str, default="log-likelihood"
        What the runs climbed; under a penalty the penalised log-likelihood.

    Attributes
    ----------
    lines_ : list of Line2D
        One for each start.
    ends_ : dict of int to Line2D
        The dot at the end of each climbed path, by position.
    best_ : float
        Log-likelihood at the winner's end, the zero of the vertical axis.
    legend_ : Legend
    ax_ : Axes
    figure_ : Figure

    Examples
    --------
    >>> import statsmodels.api as sm
    >>> from moegate import MoERegressor
    >>> from moegate.plotting import LoglikDisplay
    >>> data = sm.datasets.engel.load_pandas().data
    >>> model = MoERegressor(n_experts=2, random_state=0).fit(data[["income"]], data["foodexp"])
    >>> display = LoglikDisplay.from_estimator(model)
    >>> len(display.lines_) == model.init_results_["start"].nunique()
    True
    """

    def __init__(
        self, *, histories, winner, degenerate, converged, climbed, labels, note="", quantity="log-likelihood"
    ):
        self.histories = histories
        self.winner = winner
        self.degenerate = degenerate
        self.converged = converged
        self.climbed = climbed
        self.labels = labels
        self.note = note
        self.quantity = quantity

    @classmethod
    def from_estimator(cls, estimator, ax=None, **plot_kwargs):
        """Take the paths from ``estimator.init_results_`` and draw them.

        Where the starts climbed on a subsample of the rows, the paths are those on the subsample: values on other
        rows cannot be compared with them.

        Parameters
        ----------
        estimator : fitted estimator
        ax : Axes, default=None
            Where to draw; None makes a figure.
        **plot_kwargs
            Passed to `plot`.

        Returns
        -------
        display : LoglikDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        """
        check_fitted(estimator)
        table = estimator.init_results_
        table = table.assign(loglik=table["objective"]) if "objective" in table else table
        runs = table[table["stage"] != "full"]
        ends, histories = _joined(runs)
        return cls(
            histories=histories,
            winner=list(ends["start"]).index(
                _winning_start(table, getattr(estimator, "objective_", estimator.loglik_))
            ),
            degenerate=ends["degenerate"].to_numpy(dtype=bool),
            converged=ends["converged"].to_numpy(dtype=bool),
            climbed=(ends["stage"] == "long").to_numpy(dtype=bool),
            labels=[f"start {start}, {kind}" for start, kind in zip(ends["start"], ends["kind"])],
            note="" if len(runs) == len(table) else f"on a subsample of {runs['n_rows'].max():,} rows",
            quantity="penalised log-likelihood" if hasattr(estimator, "objective_") else "log-likelihood",
        ).plot(ax=ax, **plot_kwargs)

    def plot(self, ax=None, *, line_kwargs=None, winner_kwargs=None, short_kwargs=None, degenerate_kwargs=None):
        """Draw the display.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None makes a figure.
        line_kwargs, winner_kwargs, short_kwargs, degenerate_kwargs : dict, default=None
            For matplotlib's ``plot``: all paths; in addition the winner's, those given up, the degenerate ones'.

        Returns
        -------
        display : LoglikDisplay
        """
        self.ax_ = ax = _style.own_or_new_axes(ax)
        self.figure_ = ax.figure
        self.best_ = float(self.histories[self.winner][-1])
        self._set_scale(ax)
        given = {"winner": winner_kwargs, "short": short_kwargs, "degenerate": degenerate_kwargs, "other": None}
        self.lines_ = [self._draw_path(ax, i, line_kwargs, given) for i in range(len(self.histories))]
        self.ends_ = {i: self._draw_end(ax, i) for i in np.flatnonzero(self.climbed)}
        _style.add_note(ax, self.note)
        self.legend_ = _style.add_legend(ax, self._legend_handles())
        return self

    def _set_scale(self, ax):
        ax.set_yscale("symlog", linthresh=_LINEAR_WITHIN, linscale=0.6)
        ax.axhline(0, color=_style.BAND_COLOR, linewidth=0.8, zorder=0)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="iteration", ylabel=f"{self.quantity} minus the best ({self.best_:.6g})")
        _style.light_frame(ax)

    def _group(self, i):
        if i == self.winner:
            return "winner"
        if self.degenerate[i]:
            return "degenerate"
        return "other" if self.climbed[i] else "short"

    def _draw_path(self, ax, i, line_kwargs, given):
        from matplotlib.lines import Line2D

        group = self._group(i)
        look = _style.style(Line2D, _LOOKS["other"] | {"label": self.labels[i]}, line_kwargs)
        look = _style.style(Line2D, look | ({} if group == "other" else _LOOKS[group]), given[group])
        gap = self._gap(i)
        return ax.plot(np.arange(len(gap)), np.where(np.isfinite(gap), gap, np.nan), **look)[0]

    def _gap(self, i):
        return self.histories[i] - self.best_

    def _draw_end(self, ax, i):
        line = self.lines_[i]
        return ax.plot(*(data[-1:] for data in line.get_data()), **_end_look(line, filled=self.converged[i]))[0]

    def _legend_handles(self):
        """Five entries at most, however many starts: winner, others, given up, degenerate, not converged."""
        members = {name: [i for i in range(len(self.histories)) if self._group(i) == name] for name in _LOOKS}
        close = sum(abs(self._gap(i)[-1]) <= _LINEAR_WITHIN for i in members["other"])
        names = {
            "winner": f"best: {self.labels[self.winner]}",
            "other": f"other finished runs ({len(members['other'])}),\n{close} within {_LINEAR_WITHIN} of best",
            "short": f"given up on the way ({len(members['short'])})",
            "degenerate": f"degenerate ({len(members['degenerate'])})",
        }
        handles = [_swatch(self.lines_[members[group][0]], name) for group, name in names.items() if members[group]]
        return handles + self._open_end_handle()

    def _open_end_handle(self):
        from matplotlib.lines import Line2D

        n_open = int(np.sum(self.climbed & ~self.converged))
        look = _end_look(Line2D([], [], color=_style.QUIET_COLOR), filled=False) | {"linestyle": "none"}
        return [Line2D([], [], label=f"not converged ({n_open})", **look)] if n_open else []


def _joined(runs):
    """One path for each start, its runs in order; also the table's rows with which they end."""
    in_order = runs.sort_values("stage", key=lambda stage: stage.map(_STAGES.index), kind="stable")
    groups = [group for _, group in in_order.groupby("start")]
    ends = in_order.drop_duplicates("start", keep="last").sort_values("start")
    return ends, [np.concatenate([*map(_path, group["history"], group["loglik"])]) for group in groups]


def _path(history, loglik):
    """History of one run; a run of no iteration stands where it began."""
    return np.asarray(history if len(history) else [loglik], dtype=float)


def _winning_start(table, fitted):
    """The start that ends at the fitted log-likelihood: on all rows, climbed and sound where there is such a run."""
    last = table[table["stage"] == table["stage"].iloc[0]]
    sound = last[~last["degenerate"].astype(bool)]
    candidates = sound if len(sound) else last
    return candidates["start"].iloc[np.nanargmin(np.abs(candidates["loglik"] - fitted))]


def _end_look(line, filled):
    color = line.get_color()
    face = color if filled else "white"
    size = 3 + line.get_linewidth()
    return {"marker": "o", "markersize": size, "color": color, "markerfacecolor": face, "zorder": line.get_zorder() + 3}


def _swatch(line, label):
    from matplotlib.lines import Line2D

    copy = Line2D([], [])
    copy.update_from(line)
    copy.set_label(label)
    return copy
