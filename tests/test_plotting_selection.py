"""Displays for the choice of K: what they draw is what the results say."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color

from moegate import MoERegressor, dendrogram, select_n_experts
from moegate.plotting import DendrogramDisplay, SelectionDisplay
from moegate.plotting._style import expert_color


@pytest.fixture(autouse=True)
def close_figures():
    before = dict(plt.rcParams)
    yield
    plt.close("all")
    assert dict(plt.rcParams) == before


@pytest.fixture(scope="module")
def data(truths):
    return truths["close3"].draw(500, 1)


@pytest.fixture(scope="module")
def fit(data):
    return MoERegressor(4, n_init=2, random_state=0).fit(*data)


@pytest.fixture(scope="module")
def selection(data):
    return select_n_experts(MoERegressor(n_init=1, random_state=0), *data, n_experts=range(1, 5))


def drawn(display):
    display.figure_.canvas.draw()  # any warning is an error
    return display


def test_joins_stand_at_their_heights(fit, data):
    display = drawn(DendrogramDisplay.from_estimator(fit, *data))
    tree = dendrogram(fit, *data)
    np.testing.assert_allclose([line.get_ydata()[1:3] for line in display.joins_], tree.linkage[:, [2, 2]])
    assert display.ax_[0].get_ylim() == pytest.approx((0, 1.1 * tree.heights.max()))
    np.testing.assert_allclose(display.criterion_.get_xydata(), np.column_stack([[4, 3, 2], tree.dsc]))
    assert display.chosen_.get_xdata()[0] == tree.n_experts


def test_leaves_have_the_colours_and_names_of_their_experts(fit, data):
    display = drawn(DendrogramDisplay.from_estimator(fit, *data))
    names = [label.get_text() for label in display.ax_[0].get_xticklabels()]
    assert sorted(names) == [f"expert {k}" for k in range(4)]
    for name, leaf in zip(names, display.leaves_, strict=True):
        assert same_color(leaf.get_color(), expert_color(int(name.split()[1])))
    first = display.joins_[0].get_xdata()
    pair = {int(names[round(x)].split()[1]) for x in first}
    assert pair == set(display.tree.linkage[0, :2].astype(int))


def test_own_axes_and_looks_of_the_dendrogram(fit, data):
    figure, axes = plt.subplots(1, 2)
    display = DendrogramDisplay.from_estimator(
        fit, *data, dissimilarity="plain", ax=axes, line_kwargs={"color": "red"}, criterion_kwargs={"lw": 4}
    )
    assert display.figure_ is figure and display.tree.dissimilarity == "plain"
    assert display.joins_[0].get_color() == "red" and display.criterion_.get_linewidth() == 4
    with pytest.raises(ValueError, match="ax expects two axes"):
        display.plot(ax=axes[0])


def test_copies_of_an_expert_can_be_drawn(fit, data):
    tree = dendrogram(fit, *data)
    tree.linkage[:, 2] = 0.0
    drawn(DendrogramDisplay(tree=tree).plot())


def test_criteria_are_distances_to_their_minimum(selection):
    display = drawn(SelectionDisplay.from_selection(selection))
    for name, line in display.lines_.items():
        values = selection.table[name]
        np.testing.assert_allclose(line.get_xydata(), np.column_stack([values.index, values - values.min()]))
        assert display.minima_[name].get_xdata()[0] == values.idxmin()
    widths = {name: line.get_linewidth() for name, line in display.lines_.items()}
    assert max(widths, key=widths.get) == "bic" and display.chosen_.get_xdata()[0] == selection.n_experts
    assert [text.get_text() for text in display.legend_.get_texts()] == ["BIC", "AIC", "ICL", "Hannan-Quinn"]
    assert display.ax_.get_yscale() == "symlog" and display.ax_.get_ylim()[0] == 0


def test_degenerate_fits_are_crosses_and_no_minimum():
    index = pd.Index([1, 2, 3], name="n_experts")
    table = pd.DataFrame({"bic": [20.0, 10.0, -500.0], "degenerate": [False, False, True]}, index=index)
    display = drawn(SelectionDisplay(table=table, criterion="bic", n_experts=2).plot(line_kwargs={"color": "red"}))
    np.testing.assert_allclose(display.lines_["bic"].get_xydata(), [[1, 10], [2, 0]])
    assert display.minima_["bic"].get_xdata()[0] == 2
    crosses = [line for line in display.ax_.lines if line.get_marker() == "x"]
    np.testing.assert_allclose(crosses[0].get_xydata(), [[3, 0]])


def test_the_dendrogram_criterion_from_an_estimator(data):
    figure, axes = plt.subplots()
    base = MoERegressor(n_init=1, random_state=0)
    display = SelectionDisplay.from_estimator(base, *data, criterion="dsc", n_experts=range(2, 5), ax=axes)
    assert list(drawn(display).lines_) == ["dsc"] and display.figure_ is figure
    assert display.ax_.get_yscale() == "linear" and display.table["dsc"].idxmin() == display.n_experts
