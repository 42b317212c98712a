import copy

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from matplotlib.colors import same_color, to_rgb
from sklearn.datasets import load_diabetes
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from moegate import MoEClassifier, MoERegressor, infer
from moegate.plotting import FitDisplay, GateDisplay, LoglikDisplay
from moegate.plotting._style import EXPERT_COLORS, expert_color


@pytest.fixture(autouse=True)
def close_figures():
    before = dict(plt.rcParams)
    yield
    plt.close("all")
    assert dict(plt.rcParams) == before  # no global setting is touched


@pytest.fixture(scope="module")
def engel():
    data = sm.datasets.engel.load_pandas().data
    X, y = data[["income"]], data["foodexp"]
    return MoERegressor(n_experts=2, random_state=0).fit(X, y), X, y


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(as_frame=True, return_X_y=True)
    X = X[["bmi", "bp"]]
    return MoERegressor(n_experts=3, random_state=0).fit(X, y), X, y


def labels(legend):
    return [text.get_text() for text in legend.get_texts()]


def drawn(display):
    display.figure_.canvas.draw()  # lays out and renders: any warning is an error
    return display


def test_fit_display_shows_what_the_estimator_computes(engel):
    model, X, y = engel
    display = drawn(FitDisplay.from_estimator(model, X, y, coverage=0.8))
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("income", "foodexp")
    assert labels(display.legend_) == ["expert 0", "expert 1", "mixture mean", "80% interval"]
    rows = pd.DataFrame({"income": display.grid})
    np.testing.assert_array_equal(display.mean_line_.get_xydata(), np.column_stack([display.grid, model.predict(rows)]))
    np.testing.assert_array_equal(display.experts, model.predict_experts(rows))
    np.testing.assert_array_equal(display.interval, model.predict_interval(rows, 0.8))
    np.testing.assert_array_equal(display.points_.get_offsets(), np.column_stack([X["income"], y]))
    assert (display.grid[0], display.grid[-1]) == (X["income"].min(), X["income"].max())
    assert display.figure_ is display.ax_.figure
    np.testing.assert_allclose(display.figure_.get_size_inches(), [6.4, 4.2])


def test_points_have_the_colour_of_their_most_responsible_expert(diabetes):
    model, X, y = diabetes
    display = FitDisplay.from_estimator(model, X, y)
    expected = [expert_color(k) for k in model.responsibilities(X, y).argmax(axis=1)]
    np.testing.assert_allclose(display.points_.get_facecolor()[:, :3], expected)


def test_expert_lines_fade_with_the_gate(engel):
    model, X, y = engel
    display = FitDisplay.from_estimator(model, X, y)
    widths = np.column_stack([lines.get_linewidth() for lines in display.expert_lines_])
    gate = model.predict_gate(pd.DataFrame({"income": (display.grid[1:] + display.grid[:-1]) / 2}))
    np.testing.assert_allclose(widths, 3.5 * np.sqrt(gate), atol=0.02)


def test_a_line_without_weight_does_not_stretch_the_axes():
    grid = np.linspace(0, 1, 5)
    gate, experts = np.tile([1.0, 0.0], (5, 1)), np.column_stack([grid, 1e6 * grid])
    display = FitDisplay(x=grid, y=grid, responsibilities=gate, grid=grid, gate=gate, experts=experts, mean=grid)
    assert drawn(display.plot()).ax_.get_ylim()[1] < 2
    assert display.band_ is None
    assert labels(display.legend_) == ["expert 0", "expert 1", "mixture mean"]


def test_other_features_are_held_at_their_centre(diabetes):
    model, X, y = diabetes
    for centre in ("median", "mean"):
        display = FitDisplay.from_estimator(model, X, y, feature="bp", centre=centre)
        rows = pd.DataFrame({"bmi": X["bmi"].agg(centre), "bp": display.grid})
        np.testing.assert_allclose(display.mean, model.predict(rows))
        assert display.ax_.get_title(loc="right") == f"bmi at its {centre}"
    with pytest.raises(ValueError, match=r"Unknown centre 'mode'.*\['mean', 'median'\]"):
        FitDisplay.from_estimator(model, X, y, centre="mode")


def test_arrays_get_scikit_learns_default_names(engel):
    _, X, y = engel
    X, y = X.to_numpy(), y.to_numpy()
    model = MoERegressor(n_experts=2, random_state=0).fit(X, y)
    display = FitDisplay.from_estimator(model, X, y, feature="x0", coverage=None)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("x0", "y")
    assert GateDisplay.from_estimator(model, X).ax_.get_xlabel() == "x0"


def test_polars_frames(engel):
    polars = pytest.importorskip("polars")
    _, X, y = engel
    X, y = polars.DataFrame({"income": X["income"].to_numpy()}), polars.Series("foodexp", y.to_numpy())
    model = MoERegressor(n_experts=2, random_state=0).fit(X, y)
    display = drawn(FitDisplay.from_estimator(model, X, y, feature="income", subsample=50))
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("income", "foodexp")
    assert len(display.x) == 50
    assert drawn(GateDisplay.from_estimator(model, X, features="income")).ax_.get_xlabel() == "income"


def test_gate_curves(diabetes):
    model, X, _ = diabetes
    display = drawn(GateDisplay.from_estimator(model, X, features="bp"))
    rows = pd.DataFrame({"bmi": X["bmi"].median(), "bp": display.grids[0]})
    curves = np.column_stack([line.get_ydata() for line in display.lines_])
    np.testing.assert_allclose(curves, model.predict_gate(rows))
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("bp", "gate probability")
    assert labels(display.legend_) == ["expert 0", "expert 1", "expert 2"]
    assert display.surface_ is None and display.boundaries_ is None
    np.testing.assert_array_equal(display.points_.get_xdata(), X["bp"])


def test_gate_regions(diabetes):
    model, X, _ = diabetes
    display = drawn(GateDisplay.from_estimator(model, X, grid_resolution=40))
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("bmi", "bp")
    bmi, bp = (values.ravel() for values in np.meshgrid(*display.grids))  # as drawn: bp by rows
    gate = model.predict_gate(pd.DataFrame({"bmi": bmi, "bp": bp}))
    shown = display.surface_.get_facecolor().reshape(-1, 4)
    np.testing.assert_allclose(shown[:, :3], [expert_color(k) for k in gate.argmax(axis=1)])
    assert (np.diff(shown[np.argsort(gate.max(axis=1)), 3]) >= -1e-12).all()
    winners = np.unique(gate.argmax(axis=1))
    assert labels(display.legend_) == [f"expert {k}" for k in winners]
    assert len(display.boundaries_) == len(winners)
    np.testing.assert_array_equal(display.points_.get_xydata(), X)


def test_boundaries_are_where_the_most_probable_expert_changes(diabetes):
    model, X, _ = diabetes
    display = GateDisplay.from_estimator(model, X)
    path = np.concatenate([contour.get_paths()[0].vertices for contour in display.boundaries_])
    top = np.sort(model.predict_gate(pd.DataFrame(path, columns=["bmi", "bp"])), axis=1)
    assert np.median(top[:, -1] - top[:, -2]) < 1e-3


def test_features_swap_axes(diabetes):
    model, X, _ = diabetes
    there, back = (GateDisplay.from_estimator(model, X, features=f, grid_resolution=9) for f in ([0, 1], ["bp", "bmi"]))
    np.testing.assert_allclose(there.gate, back.gate.swapaxes(0, 1))
    assert back.feature_names == ["bp", "bmi"]


def test_gate_display_picks_the_feature_the_gate_depends_on(engel):
    model, X, y = engel
    X = pd.DataFrame({"noise": np.arange(len(X)) % 7.0, "income": X["income"], "more": np.arange(len(X)) % 5.0})
    model = MoERegressor(n_experts=2, gate_features=["income"], random_state=0).fit(X, y)
    display = GateDisplay.from_estimator(model, X)
    assert display.ax_.get_xlabel() == "income"
    assert display.ax_.get_title(loc="right") == "2 other features at their median"


def test_constant_gate_has_no_boundary(diabetes):
    _, X, y = diabetes
    model = MoERegressor(n_experts=2, gate_features=[], random_state=0).fit(X, y)
    display = drawn(GateDisplay.from_estimator(model, X))
    assert display.boundaries_ == []
    assert len(labels(display.legend_)) == 1


def test_one_expert(engel):
    _, X, y = engel
    model = MoERegressor(n_experts=1, random_state=0).fit(X, y)
    assert labels(drawn(FitDisplay.from_estimator(model, X, y)).legend_)[0] == "expert 0"
    assert len(drawn(GateDisplay.from_estimator(model, X)).lines_) == 1
    grids = [np.arange(3.0)] * 2
    regions = GateDisplay(grids=grids, gate=np.ones((3, 3, 1)), points=np.zeros((1, 2)), feature_names=["a", "b"])
    assert drawn(regions.plot()).boundaries_ == []


def test_loglik_paths(engel):
    model, table = engel[0], engel[0].init_results_
    display = drawn(LoglikDisplay.from_estimator(model))
    assert len(display.lines_) == table["start"].nunique()
    assert len(display.ends_) == (table["stage"] == "long").sum()
    for start, line in zip(sorted(table["start"].unique()), display.lines_):
        runs = table[table["start"] == start].set_index("stage")["history"]
        path = np.concatenate([runs[stage] for stage in ("short", "middle", "long") if stage in runs])
        np.testing.assert_allclose(line.get_ydata(), path - display.best_)
    np.testing.assert_allclose(display.best_, model.loglik_, rtol=1e-12)
    assert display.lines_[display.winner].get_ydata()[-1] == 0
    assert display.lines_[display.winner].get_linewidth() > 2
    assert labels(display.legend_)[0] == f"best: {display.labels[display.winner]}"
    assert len(labels(display.legend_)) <= 5
    assert display.ax_.get_title(loc="right") == ""


def test_paths_under_a_penalty_are_those_of_the_objective(engel):
    X, y = np.linspace(-1, 1, 80)[:, None], np.abs(np.linspace(-1, 1, 80)) + 0.1 * np.sin(np.arange(80.0))
    model = MoERegressor(2, penalty="ridge", n_init=2, random_state=0).fit(X, y)
    display = drawn(LoglikDisplay.from_estimator(model))
    assert display.best_ == model.objective_ < model.loglik_ and display.quantity == "penalised log-likelihood"


def runs_table(*runs):
    names = ["start", "stage", "loglik", "degenerate", "converged", "n_rows"]
    table = pd.DataFrame(runs, columns=names).assign(kind="a")
    return table.assign(n_iter=2, history=[np.array([-np.inf, end]) for end in table["loglik"]])


def test_degenerate_starts_never_win_and_are_dashed(engel):
    model = copy.copy(engel[0])
    model.loglik_, model.init_results_ = (
        -4.0,
        runs_table(
            (1, "long", -4.0, False, True, 99),
            (0, "long", -4.005, False, False, 99),
            (2, "long", 90.0, True, True, 99),
            *((start, "short", -7.0, False, False, 99) for start in (1, 3, 0, 2)),
        ),
    )
    display = drawn(LoglikDisplay.from_estimator(model))
    assert display.winner == 1
    assert [line.get_linestyle() for line in display.lines_] == ["-", "-", "--", "-"]
    assert sorted(display.ends_) == [0, 1, 2]
    np.testing.assert_array_equal(display.histories[2], [-np.inf, -7, -np.inf, 90])
    assert labels(display.legend_) == [
        "best: start 1, a",
        "other finished runs (1),\n1 within 0.01 of best",
        "given up on the way (1)",
        "degenerate (1)",
        "not converged (1)",
    ]
    assert display.ax_.get_ylim()[1] > 94
    model.loglik_, model.init_results_ = 90.0, model.init_results_.assign(degenerate=True)
    assert LoglikDisplay.from_estimator(model).winner == 2


def test_paths_on_a_subsample_are_not_mixed_with_those_on_all_rows(engel):
    model = copy.copy(engel[0])
    model.loglik_, model.init_results_ = (
        -2000.0,
        runs_table(
            (5, "full", -2000.0, False, True, 200_000),
            (4, "full", -2001.0, False, True, 200_000),
            (4, "long", -199.0, False, True, 20_000),
            (5, "long", -200.0, False, True, 20_000),
            *((start, "short", -210.0, False, False, 20_000) for start in (4, 5)),
        ),
    )
    display = drawn(LoglikDisplay.from_estimator(model))
    assert (display.winner, display.best_) == (1, -200)
    assert [path[-1] for path in display.histories] == [-199, -200]
    assert display.ax_.get_title(loc="right") == "on a subsample of 20,000 rows"


def test_a_run_of_no_iteration_is_a_point(engel):
    model = copy.copy(engel[0])
    table = runs_table((0, "long", model.loglik_, False, True, 99))
    model.init_results_ = table.assign(history=[np.array([])])
    assert drawn(LoglikDisplay.from_estimator(model)).best_ == model.loglik_


def test_an_expert_has_one_colour_in_all_displays(diabetes):
    model, X, y = diabetes
    fit, curves = FitDisplay.from_estimator(model, X, y), GateDisplay.from_estimator(model, X, features="bmi")
    for k, (lines, curve) in enumerate(zip(fit.expert_lines_, curves.lines_)):
        assert same_color(lines.get_colors()[0], curve.get_color())
        assert same_color(curve.get_color(), EXPERT_COLORS[k])
    for legend in (fit.legend_, curves.legend_):
        assert [to_rgb(line.get_color()) for line in legend.get_lines()[:3]] == [expert_color(k) for k in range(3)]
    regions = GateDisplay.from_estimator(model, X).legend_
    swatches = zip(labels(regions), regions.get_patches())
    assert all(same_color(p.get_facecolor()[:3], expert_color(int(name.split()[1]))) for name, p in swatches)


def test_more_experts_than_colours():
    assert len({expert_color(k) for k in range(24)}) == 24
    assert expert_color(24) == expert_color(0)
    gate, grid = np.full((5, 30), 1 / 30), np.linspace(0, 1, 5)
    experts = np.add.outer(grid, np.arange(30))
    display = FitDisplay(x=grid, y=grid, responsibilities=gate, grid=grid, gate=gate, experts=experts, mean=grid)
    drawn(display.plot())
    box, page = display.legend_.get_window_extent(), display.figure_.bbox
    assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1


def test_large_data_are_thinned(engel):
    model, X, y = engel
    first, second = (FitDisplay.from_estimator(model, X, y, subsample=20) for _ in range(2))
    assert len(first.x) == len(first.y) == len(first.responsibilities) == 20
    np.testing.assert_array_equal(first.x, second.x)
    assert first.grid[-1] == X["income"].max()
    assert len(GateDisplay.from_estimator(model, X, subsample=20).points) == 20
    assert len(FitDisplay.from_estimator(model, X, y, subsample=None).x) == len(y)


def test_plot_draws_on_given_axes_and_again(engel):
    model, X, y = engel
    _, axes = plt.subplots(1, 3)
    displays = [
        FitDisplay.from_estimator(model, X, y, ax=axes[0]),
        GateDisplay.from_estimator(model, X, ax=axes[1]),
        LoglikDisplay.from_estimator(model, ax=axes[2]),
    ]
    for ax, display in zip(axes, displays):
        assert display.ax_ is ax
        assert display.plot() is display
        assert display.ax_ is not ax


def test_user_styles_win_also_by_alias(engel):
    model, X, y = engel
    style = {"scatter_kwargs": {"c": "red"}, "line_kwargs": {"lw": 1}, "mean_kwargs": {"c": "red", "ls": "-"}}
    fit = drawn(FitDisplay.from_estimator(model, X, y, **style, band_kwargs={"fc": "red"}))
    assert same_color(fit.points_.get_facecolor()[0][:3], "red")
    assert fit.expert_lines_[0].get_linewidth() == 1
    assert (fit.mean_line_.get_color(), fit.mean_line_.get_linestyle()) == ("red", "-")
    assert same_color(fit.band_.get_facecolor()[0][:3], "red")
    assert GateDisplay.from_estimator(model, X, line_kwargs={"lw": 5}).lines_[0].get_linewidth() == 5
    paths = LoglikDisplay.from_estimator(model, line_kwargs={"lw": 4}, winner_kwargs={"lw": 5})
    assert paths.lines_[paths.winner].get_linewidth() == 5
    other = next(i for i in paths.ends_ if i != paths.winner)
    assert paths.lines_[other].get_linewidth() == 4


def test_constant_feature_still_draws(diabetes):
    model, X, y = diabetes
    display = drawn(FitDisplay.from_estimator(model, X.assign(bmi=0.25), y, feature="bmi"))
    assert (display.grid[0], display.grid[-1]) == (-0.25, 0.75)


def test_not_fitted(engel):
    _, X, y = engel
    with pytest.raises(NotFittedError):
        FitDisplay.from_estimator(MoERegressor(), X, y)
    with pytest.raises(NotFittedError):
        GateDisplay.from_estimator(MoERegressor(), X)
    with pytest.raises(NotFittedError):
        LoglikDisplay.from_estimator(MoERegressor())


@pytest.mark.parametrize("feature", ["age", 2, -3, 0.5, None])
def test_unknown_feature_lists_the_known_ones(diabetes, feature):
    model, X, y = diabetes
    with pytest.raises(ValueError, match=r"Unknown feature .* 0..1 or one of \['bmi', 'bp'\]"):
        FitDisplay.from_estimator(model, X, y, feature=feature)
    with pytest.raises(ValueError, match=r"Unknown feature .* 0..1 or one of \['bmi', 'bp'\]"):
        GateDisplay.from_estimator(model, X, features=[feature])


@pytest.mark.parametrize("features", [[], [0, "bmi"], ["bmi", "bp", "bmi"]])
def test_gate_display_takes_one_or_two_features(diabetes, features):
    model, X, _ = diabetes
    with pytest.raises(ValueError, match=r"One feature or two different ones can be shown; got .*'bmi', 'bp'"):
        GateDisplay.from_estimator(model, X, features=features)


def test_wrong_data(diabetes):
    model, X, y = diabetes
    with pytest.raises(ValueError, match=r"Expected X of shape \(n, 2\).*got shape \(442, 1\)"):
        GateDisplay.from_estimator(model, X[["bmi"]])
    with pytest.raises(ValueError, match=r"Expected y of shape \(442,\).*got 441"):
        FitDisplay.from_estimator(model, X, y[1:])
    with pytest.raises(TypeError, match="Expected a fitted MoERegressor or MoEClassifier, got LogisticRegression"):
        FitDisplay.from_estimator(LogisticRegression().fit(X, y > 100), X, y)
    with pytest.raises(TypeError, match="needs a regressor, got MoEClassifier"):
        FitDisplay.from_estimator(MoEClassifier(n_init=1, random_state=0).fit(X, y > 100), X, y)


def test_confidence_limits_are_those_of_the_inference(engel):
    model, X, y = engel
    result = infer(model, X, y)
    fit = FitDisplay.from_estimator(model, X, y, inference=result, grid_resolution=30)
    rows = X.iloc[:30].assign(income=fit.grid)
    np.testing.assert_allclose(fit.mean_band, np.column_stack(result.mean_band(rows)))
    gate = GateDisplay.from_estimator(model, X, inference=result, grid_resolution=30)
    np.testing.assert_allclose(gate.bands, result.gate_band(rows))
    assert np.all((gate.bands[0] <= gate.gate) & (gate.gate <= gate.bands[1]))
