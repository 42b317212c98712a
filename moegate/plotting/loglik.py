"""LoglikDisplay: how every start climbed, seen from the log-likelihood of the best."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from . import _style


class LoglikDisplay:
    """Log-likelihood paths of all starts of a fit.

    The vertical axis is the distance to the winner's end on a scale that is linear within 0.01 and logarithmic
    beyond, so that ends which differ by little and starts which differ by much are told apart in one picture. A dot
    ends each path, filled if that start converged. Degenerate starts (dashed) may end above the winner: the likelihood
    of a Gaussian mixture is unbounded.

    Parameters
    ----------
    histories : list of ndarray of shape (n_iter,)
        Log-likelihood by iteration, one for each start.
    winner : int
        Position of the winning start.
    degenerate, converged : ndarray of bool of shape (n_starts,)
    labels : list of str
        A name for each start, such as ``"start 3, kmeans"``.

    Attributes
    ----------
    lines_ : list of Line2D
        One for each start.
    ends_ : list of Line2D
        The dot at the end of each path.
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
    >>> len(display.lines_) == len(model.init_results_)
    True
    """

    def __init__(self, *, histories, winner, degenerate, converged, labels):
        self.histories = histories
        self.winner = winner
        self.degenerate = degenerate
        self.converged = converged
        self.labels = labels

    @classmethod
    def from_estimator(cls, estimator, ax=None, **plot_kwargs):
        """Take the paths from ``estimator.init_results_`` and draw them.

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
        check_is_fitted(estimator)
        table = estimator.init_results_
        degenerate = table["degenerate"].to_numpy(dtype=bool)
        return cls(
            histories=[np.asarray(history, dtype=float) for history in table["history"]],
            winner=_winner(table["loglik"].to_numpy(dtype=float), degenerate),
            degenerate=degenerate,
            converged=table["converged"].to_numpy(dtype=bool),
            labels=[f"start {start}, {kind}" for start, kind in zip(table["start"], table["kind"])],
        ).plot(ax=ax, **plot_kwargs)

    def plot(self, ax=None, *, line_kwargs=None, winner_kwargs=None, degenerate_kwargs=None):
        """Draw the display.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None makes a figure.
        line_kwargs, winner_kwargs, degenerate_kwargs : dict, default=None
            For matplotlib's ``plot``: all paths, then in addition the winner's, and the degenerate ones'.

        Returns
        -------
        display : LoglikDisplay
        """
        self.ax_ = ax = _style.own_or_new_axes(ax)
        self.figure_ = ax.figure
        self.best_ = float(self.histories[self.winner][-1])
        self._set_scale(ax)
        looks = [self._look(i, line_kwargs, winner_kwargs, degenerate_kwargs) for i in range(len(self.histories))]
        self.lines_ = [self._draw_path(ax, i, look) for i, look in enumerate(looks)]
        self.ends_ = [self._draw_end(ax, i) for i in range(len(self.histories))]
        self.legend_ = _style.add_legend(ax, self._legend_handles())
        return self

    def _set_scale(self, ax):
        ax.set_yscale("symlog", linthresh=1e-2, linscale=0.6)
        ax.axhline(0, color=_style.BAND_COLOR, linewidth=0.8, zorder=0)
        ax.set(xlabel="iteration", ylabel=f"log-likelihood minus the best ({self.best_:.6g})")
        _style.light_frame(ax)

    def _look(self, i, line_kwargs, winner_kwargs, degenerate_kwargs):
        from matplotlib.lines import Line2D

        look = {"color": _style.EXPERT_COLORS[0], "linewidth": 1.1, "alpha": 0.5, "zorder": 2, "label": self.labels[i]}
        look = _style.style(Line2D, look, line_kwargs)
        if self.degenerate[i]:
            dashed = {"color": _style.QUIET_COLOR, "linestyle": "--", "zorder": 1}
            look = _style.style(Line2D, look | dashed, degenerate_kwargs)
        if i == self.winner:
            bold = {"color": _style.EXPERT_COLORS[1], "linewidth": 2.4, "alpha": 1.0, "zorder": 3}
            look = _style.style(Line2D, look | bold, winner_kwargs)
        return look

    def _draw_path(self, ax, i, look):
        gap = self.histories[i] - self.best_
        return ax.plot(np.arange(len(gap)), np.where(np.isfinite(gap), gap, np.nan), **look)[0]

    def _draw_end(self, ax, i):
        line = self.lines_[i]
        return ax.plot(*(data[-1:] for data in line.get_data()), **_end_look(line, filled=self.converged[i]))[0]

    def _legend_handles(self):
        """Four entries at most, however many starts: winner, others, degenerate, not converged."""
        from matplotlib.lines import Line2D

        others = [i for i in range(len(self.histories)) if i != self.winner]
        groups = {
            "other starts": [i for i in others if not self.degenerate[i]],
            "degenerate": [i for i in others if self.degenerate[i]],
        }
        handles = [_swatch(self.lines_[self.winner], f"best ({self.labels[self.winner]})")]
        handles += [_swatch(self.lines_[at[0]], f"{name} ({len(at)})") for name, at in groups.items() if at]
        open_ends = [i for i, converged in enumerate(self.converged) if not converged]
        if open_ends:
            look = _end_look(Line2D([], [], color=_style.QUIET_COLOR), filled=False) | {"linestyle": "none"}
            handles.append(Line2D([], [], label=f"not converged ({len(open_ends)})", **look))
        return handles


def _winner(loglik, degenerate):
    """Position of the highest log-likelihood among the sound starts, or among all if none is sound."""
    sound = np.where(degenerate, -np.inf, loglik)
    return int(np.nanargmax(sound if np.isfinite(sound).any() else loglik))


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
