"""ClassDisplay, and the other displays on classifiers and counts."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color
from sklearn.datasets import load_diabetes, load_iris

from moegate import MoEClassifier, MoERegressor
from moegate.plotting import ClassDisplay, FitDisplay, GateDisplay, LoglikDisplay
from moegate.plotting._style import class_color, class_marker, expert_color


@pytest.fixture(autouse=True)
def close_figures():
    before = dict(plt.rcParams)
    yield
    plt.close("all")
    assert dict(plt.rcParams) == before  # no global setting is touched


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True, as_frame=True)
    y = load_iris().target_names[y]
    return MoEClassifier(n_experts=2, n_init=2, random_state=0).fit(X, y), X, y


def drawn(display):
    display.figure_.canvas.draw()  # lays out and renders: any warning is an error
    return display


def labels(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_two_features_show_regions_of_classes_and_of_experts(iris):
    model, X, y = iris
    names = ["petal length (cm)", "petal width (cm)"]
    display = drawn(ClassDisplay.from_estimator(model, X, y, features=names, grid_resolution=50))
    assert [ax.get_xlabel() for ax in display.ax_] == [names[0]] * 2
    assert [ax.get_ylabel() for ax in display.ax_] == [names[1]] * 2
    assert labels(display.legend_) == ["setosa", "versicolor", "virginica"]
    rows = pd.DataFrame([X.median().to_dict() | {names[0]: display.grids[0][7], names[1]: display.grids[1][30]}])
    np.testing.assert_allclose(display.proba[7, 30], model.predict_proba(rows)[0], rtol=1e-12)
    np.testing.assert_allclose(display.gate[7, 30], model.predict_gate(rows)[0], rtol=1e-12)
    shown = display.surface_.get_facecolor().reshape(50, 50, 4)[30, 7, :3]
    assert same_color(shown, class_color(display.proba[7, 30].argmax()))
    assert display.gate_display_.surface_ is not None and display.figure_ is display.ax_[0].figure


def test_points_have_the_colour_and_marker_of_their_class(iris):
    model, X, y = iris
    display = drawn(ClassDisplay.from_estimator(model, X, y, grid_resolution=20))
    assert [line.get_marker() for line in display.points_] == [class_marker(r) for r in range(3)]
    for r, line in enumerate(display.points_):
        assert same_color(line.get_markerfacecolor(), class_color(r))
        assert len(line.get_xdata()) == np.sum(y == model.classes_[r])
    alike = ClassDisplay.from_estimator(model, X, grid_resolution=20)
    assert len(alike.points_) == 1 and len(alike.points_[0].get_xdata()) == 150


def test_one_feature_shows_curves(iris):
    model, X, y = iris
    display = drawn(ClassDisplay.from_estimator(model, X, y, features="petal width (cm)", grid_resolution=30))
    rows = pd.DataFrame([X.median()] * 30).assign(**{"petal width (cm)": display.grids[0]})
    for r, line in enumerate(display.lines_):
        np.testing.assert_allclose(line.get_ydata(), model.predict_proba(rows)[:, r], rtol=1e-12)
    assert len({line.get_linestyle() for line in display.lines_}) == 3
    assert len(display.gate_display_.lines_) == 2 and display.surface_ is None
    assert [ax.get_ylabel() for ax in display.ax_] == ["class probability", "gate probability"]


def test_of_many_features_the_two_that_matter_are_shown(iris):
    model, X, y = iris
    display = ClassDisplay.from_estimator(model, X, y, grid_resolution=10)
    assert len(display.feature_names) == 2 and display.held == "2 other features at their median"


def test_classes_and_experts_differ_in_colour():
    classes, experts = ([color(i) for i in range(5)] for color in (class_color, expert_color))
    assert not any(same_color(a, b) for a in classes for b in experts)
    assert len({(class_color(r), class_marker(r)) for r in range(40)}) == 40


def test_given_axes_and_looks_are_used(iris):
    model, X, y = iris
    axes = plt.subplots(1, 2)[1]
    looks = {"point_kwargs": {"ms": 1}, "boundary_kwargs": {"linewidths": 3}}
    display = drawn(ClassDisplay.from_estimator(model, X, y, ax=axes, grid_resolution=20, **looks))
    assert list(display.ax_) == list(axes) and display.points_[0].get_markersize() == 1
    with pytest.raises(ValueError, match="draws on two axes.*got 1"):
        ClassDisplay.from_estimator(model, X, y, ax=axes[0])


def test_a_subsample_of_the_points_keeps_their_classes(iris):
    model, X, y = iris
    display = ClassDisplay.from_estimator(model, X, y, grid_resolution=5, subsample=60)
    assert len(display.points) == len(display.codes) == 60
    full = {tuple(row): code for row, code in zip(X[display.feature_names].to_numpy(), y)}
    assert all(full[tuple(p)] is not None for p in display.points)


def test_what_cannot_be_shown_is_told(iris):
    model, X, y = iris
    with pytest.raises(ValueError, match="Unknown feature 'size'"):
        ClassDisplay.from_estimator(model, X, y, features="size")
    with pytest.raises(ValueError, match="One feature or two different ones"):
        ClassDisplay.from_estimator(model, X, y, features=[0, 1, 2])
    with pytest.raises(ValueError, match=r"one label per row of X; got shape \(3,\)"):
        ClassDisplay.from_estimator(model, X, y[:3])
    with pytest.raises(ValueError, match="labels .*'setosa'.* of the fit; got .*'rose'"):
        ClassDisplay.from_estimator(model, X, np.where(y == "setosa", "rose", y))
    regressor = MoERegressor(1).fit(*load_diabetes(return_X_y=True))
    with pytest.raises(TypeError, match="ClassDisplay needs a classifier, got MoERegressor"):
        ClassDisplay.from_estimator(regressor, load_diabetes().data)


def test_the_other_displays_take_classifiers_and_counts(iris):
    model, X, _ = iris
    assert drawn(GateDisplay.from_estimator(model, X, features=[2, 3], grid_resolution=20)).surface_ is not None
    paths = drawn(LoglikDisplay.from_estimator(model))
    assert paths.best_ == pytest.approx(model.objective_, rel=1e-9)
    assert paths.ax_.get_ylabel().startswith("penalised log-likelihood minus the best")
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (200, 1))
    y = rng.poisson(np.where(rng.random(200) < 0.5, np.exp(2 + 0.5 * x[:, 0]), 1.0))
    counts = MoERegressor(2, experts="poisson", n_init=1, random_state=0).fit(x, y)
    display = drawn(FitDisplay.from_estimator(counts, x, y))
    np.testing.assert_array_equal(display.interval, np.floor(display.interval))
