"""The report: a figure for each experiment, and README.md with the table of all, from the results on file."""

from collections import Counter
from itertools import cycle
from pathlib import Path

import numpy as np

from .designs import BY_NAME, EXPERIMENTS
from .rates import above_truth, certified, slope, verdict
from .table import RESULTS, Table

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255")  # Okabe and Ito, without black
HEADER = "experiment,arm,column,theory,slope,95% interval,verdict,certified,>= truth,rows,minutes".split(",")
INTRO = """# Simulations

Does the maximum likelihood fit of a mixture of experts converge as the theorems say? Data from a known truth, fits that
end at a certified maximum, the right loss, and the slope of its median beside the theorem's exponent.

```
python -m simulations list
python -m simulations run NAME [--quick] [--workers 2] [--backend dask]
python -m simulations report            # this page and the figures, from the results on file
python -m simulations all [--quick]
```

A run can be stopped at any moment and goes on where it was. Slopes are those of log medians on the range of n that the
experiment names, fixed before any run; intervals are bootstrap intervals over replicates. Where the theorem is a bound
from above, the verdict is one-sided: it agrees where the interval's upper end is at most 0.1 above the theorem's
exponent. Losses are weighted by average gate mass and capped (`moegate.voronoi`). Times are processor time.

"""


def groups(experiment, rows):
    """Pairs of an arm and its rows, of the arms that have any."""
    pairs = [(arm, [row for row in rows if row["arm"] == arm.name]) for arm in experiment.arms]
    return [(arm, part) for arm, part in pairs if part]


def spans(experiment, rows):
    """Arms, their rows, and the range of their slopes: in n, and in what else the experiment varies."""
    pairs = [(*pair, experiment.span) for pair in groups(experiment, rows)]
    others = experiment.across(rows) if experiment.across else ()
    return pairs + [(*pair, experiment.across_span) for pair in others]


def lines(experiment, rows):
    """Lines of the table, one for each arm and column."""
    for arm, part, span in spans(experiment, rows):
        shares = f"{certified(part):.3f}", f"{above_truth(part):.3f}"
        minutes = sum(float(row["seconds"]) for row in part) / 60
        for column in experiment.slopes:
            found = slope(part, column, span)
            expected = arm.claims.get(column)
            wanted = "" if expected is None else f"{'<= ' if arm.upper else ''}{expected:g}"
            interval = f"[{found.lower:.3f}, {found.upper:.3f}]"
            said = verdict(found, expected, arm.upper)
            row = [experiment.name, arm.name, column, wanted, f"{found.slope:.3f}", interval, said, *shares]
            yield [*row, str(len(part)), f"{minutes:.1f}"]


def figure(experiment, rows, path):
    """Medians with 10% to 90% bands against n, and the theory's slope, for up to four columns and each facet."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns, facets = experiment.slopes[:4], {}
    for arm, part in groups(experiment, rows):
        facets.setdefault(experiment.facet(arm) if experiment.facet else "", []).append((arm, part))
    shape = len(facets), len(columns)
    given = {"sharey": "col"} if len(facets) > 1 else {}
    size = 3.6 * shape[1], 4 * shape[0]
    fig, axes = plt.subplots(*shape, figsize=size, layout="constrained", squeeze=False, **given)
    for line, (name, pairs) in zip(axes, facets.items(), strict=True):
        for ax, column in zip(line, columns, strict=True):
            panel(ax, experiment, pairs, column)
            ax.set_title(f"{column}, {name}" if name else column)
        line[0].set_ylabel("median, 10% to 90%")
    fig.savefig(path, dpi=90)
    plt.close(fig)


def panel(ax, experiment, pairs, column):
    """One column of some arms."""
    for (arm, part), color in zip(pairs, cycle(COLORS), strict=False):
        curve(ax, slope(part, column, experiment.span), color, arm.name, arm.claims.get(column))
    ax.axvspan(*experiment.span, color="#EEEEEE", zorder=0)
    ax.set(xscale="log", yscale="log", xlabel="n")
    ax.set_xticks(experiment.span, [f"{n:g}" if n < 1e4 else f"{n / 1000:g}k" for n in experiment.span])
    ax.tick_params(axis="x", which="minor", labelbottom=False)
    ax.spines[["top", "right"]].set_visible(False)
    small = {"fontsize": "x-small", "title_fontsize": "x-small", "frameon": False}
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.15), "ncols": 2 if len(pairs) > 2 else 1}
    ax.legend(title="slope of the medians", **below, **small)


def curve(ax, found, color, name, expected):
    """One arm."""
    label = f"{name}: {found.slope:.2f}"
    ax.fill_between(found.sizes, found.low, found.high, color=color, alpha=0.15, linewidth=0)
    ax.plot(found.sizes, found.medians, "o-", color=color, markersize=3, linewidth=1.2, label=label)
    if expected is not None and np.all(found.medians > 0):
        line = found.medians[-1] * (found.sizes / found.sizes[-1]) ** expected
        ax.plot(found.sizes, line, color=color, linewidth=0.8, linestyle=(0, (4, 3)))


def misses(experiment, rows):
    """Rows that are not certified or below the truth, by arm and size, of the arms that go for the maximum."""
    out = [line for arm, part in groups(experiment, rows) if arm.free for line in _misses(arm.name, part)]
    if not out:
        return "All fits that go for the maximum are certified and at least as likely as the truth.\n"
    return "Not certified, or less likely than the truth (replicates):\n\n" + "\n".join(out) + "\n"


def _misses(name, rows):
    bad = {}
    for row in rows:
        low = above_truth([row]) < 1
        if row["certificate"] == "none" or low:
            bad.setdefault(row["n"], []).append(row["replicate"] + (" below the truth" if low else ""))
    if bad:
        named = "; ".join(f"n={n}: {', '.join(words)}" for n, words in bad.items())
        yield f"- {name}, {sum(map(len, bad.values()))} of {len(rows)}: {named}"


def measured(experiment, rows):
    """Slopes and verdicts of the columns with a claim, in words, and the kinds of certificates, by arm."""
    out = []
    for arm, part, span in spans(experiment, rows):
        found = [(column, slope(part, column, span)) for column in arm.claims if column in experiment.slopes]
        words = [f"{column} {s.slope:.2f} ({verdict(s, arm.claims[column], arm.upper)})" for column, s in found]
        kinds = Counter(row["certificate"] for row in part)
        ends = ", ".join(f"{kind} {100 * count / len(part):.1f}%" for kind, count in kinds.most_common())
        out.append(f"- {arm.name}: {'; '.join(words) or 'no claim'}. Ends: {ends}.")
    return "Slopes:\n\n" + "\n".join(out) + "\n\n"


def section(experiment, rows, picture):
    """The part of one experiment."""
    seconds = sum(float(row["seconds"]) for row in rows)
    head = f"\n## {experiment.name}\n\n{experiment.text}\n\n![{experiment.name}](results/{picture.name})\n\n"
    low, high = experiment.span
    facts = f"{len(rows)} of {experiment.n_fits} fits in {seconds / 60:.1f} minutes; "
    facts += f"range of n for slopes {low} to {high}. "
    return head + measured(experiment, rows) + facts + misses(experiment, rows)


def cost(folder):
    """Hours of one core for the published design of G2, 40 replicates at 200 sizes for K = 2, 3, 4, by our seconds."""
    tables = [Table(BY_NAME[name], folder).read() for name in ("softmax-exact", "softmax-over3", "softmax-over4")]
    if not all(tables):
        return ""
    spent = [sum(float(row["seconds"]) for row in rows) / 3600 for rows in tables]
    scaled = [hours * 8000 / len(rows) for hours, rows in zip(spent, tables, strict=True)]
    spent, scaled = (f"{' + '.join(f'{part:.2f}' for part in each)} = {sum(each):.1f}" for each in (spent, scaled))
    fits = ", ".join(f"{len(rows)} fits at {len({row['n'] for row in rows})} sizes" for rows in tables)
    return (
        f"\nG2 with K = 2, 3, 4: {fits} took {spent} hours of one core. Scaled to 40 replicates at 200 sizes, 8000 "
        f"fits each, that is {scaled} hours. The published engines took (877 + 3554 + 5609) s on 8 processes, 22.3 "
        "hours, without converging.\n"
    )


def totals(tables):
    """Shares of all fits that go for the maximum, over pairs of an experiment and its rows."""
    parts = [part for experiment, rows in tables for arm, part in groups(experiment, rows) if arm.free]
    rows = [row for part in parts for row in part]
    hours = sum(float(row["seconds"]) for _, part in tables for row in part) / 3600
    return (
        f"\nOf {len(rows)} fits (those stopped early or kept in a box aside) {certified(rows):.2%} are certified and "
        f"{above_truth(rows):.2%} at least as likely as the truth; the others are listed below. "
        f"All experiments took {hours:.1f} hours of one core.\n"
    )


def report(experiments=EXPERIMENTS, folder=RESULTS, out=None):
    """Write the figures of the experiments with results, and the page to `out`.

    Returns
    -------
    str
        The page.
    """
    tables = [(experiment, Table(experiment, folder).read()) for experiment in experiments]
    tables = [(experiment, rows) for experiment, rows in tables if rows]
    table, sections = [HEADER, ["---"] * len(HEADER)], []
    for experiment, rows in tables:
        picture = folder / f"{experiment.name}.png"
        figure(experiment, rows, picture)
        table += lines(experiment, rows)
        sections.append(section(experiment, rows, picture))
    summary = "".join("| " + " | ".join(cells) + " |\n" for cells in table)
    page = INTRO + summary + totals(tables) + cost(folder) + "".join(sections)
    if out is not None:
        Path(out).write_text(page)
    return page
