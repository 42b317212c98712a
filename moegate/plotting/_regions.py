"""Regions of a plane by who is the most probable there: of experts, or of classes."""

import numpy as np

from . import _style


def draw_surface(ax, grids, shares, colors, kwargs):
    """Draw the regions; probability 1/K (nobody is preferred) is nearly white, 1 is the own colour at 75%.

    Parameters
    ----------
    ax : Axes
    grids : list of two ndarray of shape (m,)
    shares : ndarray of shape (m, m, K)
        Probabilities, first feature first.
    colors : ndarray of shape (K, 3)
    kwargs : dict or None
        For matplotlib's ``pcolormesh``.

    Returns
    -------
    QuadMesh
    """
    from matplotlib.collections import QuadMesh

    K = shares.shape[-1]
    certainty = (shares.max(axis=-1) - 1 / K) / max(1 - 1 / K, 0.5)
    opacity = (0.1 + 0.65 * certainty)[..., None]
    image = np.concatenate([colors[shares.argmax(axis=-1)], opacity], axis=-1).swapaxes(0, 1)
    look = {"shading": "nearest", "rasterized": True, "zorder": 0}
    return ax.pcolormesh(*grids, image, **{**look, **_style.style(QuadMesh, {}, kwargs)})


def draw_boundaries(ax, grids, shares, kwargs):
    """Draw a line around the region of each that is the most probable somewhere, but not everywhere."""
    look = {"levels": [0.0], "colors": _style.MIXTURE_COLOR, "linewidths": 1.1, "zorder": 1} | (kwargs or {})
    margins = [_margin(shares, k).T for k in winners(shares)]
    return [ax.contour(*grids, margin, **look) for margin in margins if margin.min() < 0]


def winners(shares):
    """Who is the most probable somewhere."""
    return np.unique(shares.argmax(axis=-1))


def swatch(color, label):
    """A legend entry in the colour that certainty has in `draw_surface`."""
    from matplotlib.patches import Patch

    return Patch(facecolor=color, alpha=0.75, label=label)


def _margin(shares, k):
    """By how much `k` is more probable than every other one; its zeros are the boundary of its region."""
    return shares[..., k] - np.delete(shares, k, axis=-1).max(axis=-1, initial=0.0)
