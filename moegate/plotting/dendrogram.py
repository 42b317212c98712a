"""DendrogramDisplay: which experts merge first, at which dissimilarity, and what the criterion says of each number."""

import numpy as np

from ..dendrogram import dendrogram
from . import _style


class DendrogramDisplay:
    """Merges of the experts of one fit, and the dendrogram selection criterion.

    Left: the tree, experts at the bottom in their colours; a join stands at the dissimilarity of what it joins, on a
    square-root axis, so that small ones show. Right: the criterion by number of experts, the smallest filled.

    Parameters
    ----------
    tree : Dendrogram

    Attributes
    ----------
    joins_ : list of Line2D
        One for each merge, in the order of ``tree.linkage``.
    leaves_ : list of Line2D
        One for each expert.
    criterion_ : Line2D
    chosen_ : Line2D
    ax_ : ndarray of two Axes
    figure_ : Figure

    Examples
    --------
    >>> import numpy as np
    >>> from moegate import MoERegressor
    >>> from moegate.plotting import DendrogramDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-2, 2, (300, 1))
    >>> y = np.where(rng.random(300) < 0.5, 1 + X[:, 0], -1 - X[:, 0]) + 0.3 * rng.standard_normal(300)
    >>> moe = MoERegressor(n_experts=3, n_init=2, random_state=0).fit(X, y)
    >>> len(DendrogramDisplay.from_estimator(moe, X, y).joins_)
    2
    """

    def __init__(self, *, tree):
        self.tree = tree

    @classmethod
    def from_estimator(cls, estimator, X, y, sample_weight=None, *, dissimilarity="slopes", ax=None, **plot_kwargs):
        """Merge the experts of a fitted estimator and draw it; the arguments of `moegate.dendrogram` and of `plot`."""
        return cls(tree=dendrogram(estimator, X, y, sample_weight, dissimilarity)).plot(ax=ax, **plot_kwargs)

    def plot(self, ax=None, *, line_kwargs=None, criterion_kwargs=None):
        """Draw the display.

        Parameters
        ----------
        ax : sequence of two Axes, default=None
            For the tree and the criterion; None makes a figure.
        line_kwargs, criterion_kwargs : dict, default=None
            For matplotlib's ``plot`` of the joins and of the criterion.

        Returns
        -------
        display : DendrogramDisplay
        """
        self.ax_ = _pair(ax)
        self.figure_ = self.ax_[0].figure
        self._plot_tree(self.ax_[0], line_kwargs)
        self._plot_criterion(self.ax_[1], criterion_kwargs)
        for axes in self.ax_:
            _style.light_frame(axes)
        return self

    def _plot_tree(self, ax, kwargs):
        from matplotlib.lines import Line2D

        _root_axis(ax, 1.1 * self.tree.heights.max())
        look = {"color": _style.MIXTURE_COLOR, "linewidth": 1.6, "solid_joinstyle": "miter"}
        joins, order = _joins(self.tree.linkage)
        self.joins_ = [ax.plot(*join, **_style.style(Line2D, look, kwargs))[0] for join in joins]
        self.leaves_ = [
            ax.plot(place, 0, "o", markersize=9, color=_style.expert_color(k), clip_on=False, zorder=4)[0]
            for place, k in enumerate(order)
        ]
        ax.set(ylabel="dissimilarity", xlim=(-0.5, len(order) - 0.5))
        ax.set_xticks(range(len(order)), [_style.expert_label(k) for k in order])
        ax.tick_params(axis="x", length=0, pad=7)

    def _plot_criterion(self, ax, kwargs):
        from matplotlib.lines import Line2D

        sizes, chosen = self.tree.sizes[:-1], np.argmin(self.tree.dsc)
        look = {"color": _style.EXPERT_COLORS[0], "marker": "o", "markerfacecolor": "white", "linewidth": 1.6}
        self.criterion_ = ax.plot(sizes, self.tree.dsc, **_style.style(Line2D, look, kwargs))[0]
        color = self.criterion_.get_color()
        self.chosen_ = ax.plot(sizes[chosen], self.tree.dsc[chosen], "o", markersize=9, color=color, zorder=4)[0]
        ax.set(xlabel="number of experts", ylabel="selection criterion (smaller is better)")
        ax.set_xticks(sizes)
        ax.margins(x=0.15)


def _pair(ax):
    """The two axes given, or those of a new figure."""
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots(1, 2, figsize=_style.PAIR_SIZE, layout="constrained")[1]
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(axes) != 2:
        raise ValueError(f"ax expects two axes, for the tree and the criterion, got {len(axes)}; plt.subplots(1, 2).")
    return axes


def _root_axis(ax, top):
    """A vertical square-root axis from 0 to `top`, its ticks at squares of round numbers."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    top = top if top > 0 else 1.0
    ax.set_yscale("function", functions=(lambda h: np.sign(h) * np.sqrt(np.abs(h)), lambda r: r * np.abs(r)))
    ax.set_ylim(0, top)
    roots = MaxNLocator(6).tick_values(0, np.sqrt(top))
    ax.set_yticks([r**2 for r in roots if 0 <= r**2 <= top])
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:.4g}"))


def _joins(linkage):
    """Coordinates of each join's three strokes, and the experts from left to right.

    A cluster hangs from the height of its own join, also where that is above the join that it enters.
    """
    K = len(linkage) + 1
    members = [[k] for k in range(K)]
    for i, j, *_ in linkage:
        members.append(members[int(i)] + members[int(j)])
    order, joins = members[-1], []
    place, height = np.empty(2 * K - 1), np.zeros(2 * K - 1)
    place[order] = np.arange(K)
    for new, (i, j, h, _) in enumerate(linkage, start=K):
        i, j = int(i), int(j)
        joins.append(([place[i], place[i], place[j], place[j]], [height[i], h, h, height[j]]))
        place[new], height[new] = (place[i] + place[j]) / 2, h
    return joins, order
