"""The display of a path of strengths: what it draws is what the path says."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import same_color
from sklearn.exceptions import NotFittedError

from moegate import MoEClassifierCV, MoERegressorCV
from moegate.plotting import LassoPathDisplay
from moegate.plotting._style import expert_color


@pytest.fixture(autouse=True)
def close_figures():
    before = dict(plt.rcParams)
    yield
    plt.close("all")
    assert dict(plt.rcParams) == before


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((240, 8))
    first = rng.random(240) < 1 / (1 + np.exp(-2 * X[:, 1]))
    return X, np.where(first, 2 + 1.5 * X[:, 0], -2 - 1.5 * X[:, 2]) + 0.5 * rng.standard_normal(240)


@pytest.fixture(scope="module")
def moe(data):
    return MoERegressorCV(2, alphas=8, cv=3, n_init=1, random_state=0).fit(*data)


def drawn(display):
    display.figure_.canvas.draw()  # any warning is an error
    return display


def test_slopes_and_scores_of_a_fit(moe):
    display = drawn(LassoPathDisplay.from_estimator(moe))
    path = moe.path_
    for lines, coef in ((display.lines_, path.coef), (display.gate_lines_, path.gate_coef)):
        for k in range(2):
            used = coef[:, k].any(axis=0)
            assert all(same_color(line.get_color(), expert_color(k)) for line in lines[k])
            np.testing.assert_allclose([line.get_ydata() for line in lines[k]], coef[:, k][:, used].T)
            np.testing.assert_allclose(lines[k][0].get_xdata(), path.alphas)
    np.testing.assert_allclose(display.curve_.get_ydata(), moe.cv_mean_)
    assert {line.get_xdata()[0] for line in display.chosen_} == {moe.alpha_}
    low, high = (f(moe.cv_mean_ + s * moe.cv_error_) for f, s in ((np.min, -1), (np.max, 1)))
    ends = display.band_.get_paths()[0].get_extents()
    assert (ends.y0, ends.y1) == pytest.approx((low, high))
    texts = [text.get_text() for text in display.legend_.get_texts()]
    assert texts == ["expert 0", "expert 1", "gate", f"alpha = {moe.alpha_:.3g}"]
    assert display.ax_[0].get_xscale() == display.ax_[1].get_xscale() == "log"


@pytest.mark.parametrize("criterion", ["relaxed_bic", "bic"])
def test_criteria_of_a_path_on_own_axes(moe, criterion):
    figure, axes = plt.subplots(1, 2)
    look = {"line_kwargs": {"color": "red"}, "curve_kwargs": {"lw": 4}}
    display = drawn(LassoPathDisplay.from_path(moe.path_, criterion, ax=axes, **look))
    values = getattr(moe.path_, criterion)
    np.testing.assert_allclose(display.curve_.get_ydata(), np.where(np.isfinite(values), values, np.nan))
    assert display.figure_ is figure and display.chosen_[0].get_xdata()[0] == moe.path_.alphas[np.argmin(values)]
    assert display.lines_[0][0].get_color() == "red" and display.curve_.get_linewidth() == 4
    with pytest.raises(ValueError, match="two axes"):
        display.plot(ax=axes[0])


def test_classes_and_a_fit_that_is_none(data):
    labels = np.digitize(data[1], [-1, 1])
    moe = MoEClassifierCV(1, criterion="bic", alphas=3, random_state=0).fit(data[0], labels)
    display = drawn(LassoPathDisplay.from_estimator(moe))
    assert len(display.lines_[0]) == moe.path_.coef[:, 0].any(axis=0).sum() and display.band_ is None
    with pytest.raises(NotFittedError):
        LassoPathDisplay.from_estimator(MoERegressorCV())
    with pytest.raises(TypeError, match=r"got LassoPath; a path is drawn by LassoPathDisplay.from_path"):
        LassoPathDisplay.from_estimator(moe.path_)
