"""One look for all displays: an expert keeps its colour everywhere, and no global matplotlib setting is touched."""

import numpy as np

# Okabe & Ito's colour-blind-safe colours, without black (the mixture's own colour) and with two darker ones of
# Paul Tol's in place of their yellow, which a thin line on white does not show.
EXPERT_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#999933")
MIXTURE_COLOR = "#222222"
QUIET_COLOR = "#8A8A8A"
BAND_COLOR = "#BDBDBD"
FIGURE_SIZE = (6.4, 4.2)  # inches
PAIR_SIZE = (10.5, 4.2)  # of two axes side by side

# Classes have colours of their own (Paul Tol's muted ones), and a marker and a line style each.
CLASS_COLORS = (
    "#332288",
    "#DDCC77",
    "#44AA99",
    "#CC6677",
    "#88CCEE",
    "#117733",
    "#AA4499",
    "#999933",
    "#882255",
    "#777777",
)
CLASS_MARKERS = "os^dvPX<>*"
CLASS_LINES = ("-", "--", "-.", ":")

# From the ninth expert on the colours come back darker, then lighter: (towards what, how far).
_SHADES = ((0.0, 0.0), (0.0, 0.45), (1.0, 0.5))


def expert_color(k):
    """Colour of expert `k` (0, 1, ...) as an (r, g, b) tuple in [0, 1]; 24 different ones, then they repeat."""
    from matplotlib.colors import to_rgb

    base = np.array(to_rgb(EXPERT_COLORS[k % len(EXPERT_COLORS)]))
    target, amount = _SHADES[k // len(EXPERT_COLORS) % len(_SHADES)]
    return tuple(float(c) for c in (1 - amount) * base + amount * target)


def expert_colors(n_experts):
    """Colours of experts 0 .. n_experts - 1 as an array of shape (n_experts, 3)."""
    return np.array([expert_color(k) for k in range(n_experts)])


def class_color(r):
    """Colour of class number `r` as an (r, g, b) tuple; ten different ones, then they repeat with other markers."""
    from matplotlib.colors import to_rgb

    return to_rgb(CLASS_COLORS[r % len(CLASS_COLORS)])


def class_marker(r):
    """Marker of class number `r`."""
    return CLASS_MARKERS[(r + r // len(CLASS_COLORS)) % len(CLASS_MARKERS)]


def expert_label(k):
    """Name of expert `k` in legends; it counts as the rows of ``coef_`` do, from 0."""
    return f"expert {k}"


def style(artist, defaults, given):
    """Keyword arguments of an artist class: `defaults` overridden by `given`, aliases such as ``lw`` understood."""
    from matplotlib.cbook import normalize_kwargs

    return {**normalize_kwargs(defaults, artist), **normalize_kwargs(given or {}, artist)}


def own_or_new_axes(ax):
    """Return `ax`, or the axes of a new figure when it is None."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=FIGURE_SIZE, layout="constrained")[1]


def two_axes(ax, name):
    """Two axes to draw on; None makes a figure."""
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots(1, 2, figsize=PAIR_SIZE, layout="constrained")[1]
    ax = np.ravel(np.asarray(ax, dtype=object))
    if len(ax) != 2:
        raise ValueError(f"{name} draws on two axes, got {len(ax)}; pass those of plt.subplots(1, 2).")
    return ax


def light_frame(ax):
    """Leave only the left and bottom spines."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize="small")


def add_legend(ax, handles, title=None):
    """Put the legend beside the axes where the figure's layout makes room, else inside; two columns when long."""
    look = {
        "handles": handles,
        "title": title,
        "fontsize": "small",
        "title_fontsize": "small",
        "ncols": 1 + (len(handles) > 14),
    }
    if ax.get_figure(root=True).get_layout_engine() is None:
        return ax.legend(loc="best", framealpha=0.8, **look)
    return ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, alignment="left", **look)


def add_note(ax, note):
    """Write above the axes, small and grey, on what the picture rests: held features, a subsample."""
    if note:
        ax.set_title(note, fontsize="small", color=QUIET_COLOR, loc="right")
