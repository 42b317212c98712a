"""The choice of K: criteria against their formulas, starts from neighbours, and what is refused."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, ShuffleSplit

from moegate import LaplaceGate, MoEClassifier, MoERegressor, SparsemaxGate, dendrogram, select_n_experts
from moegate.initialization import Sample, merge, split
from moegate.selection import dimension_jump
from moegate.selection.criteria import slope
from moegate.selection.sweep import Candidate

weak = MoERegressor(n_init=1, random_state=0)


def quietly(function, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return function(*args, **options)


@pytest.fixture(scope="module")
def data(truths):
    return truths["close3"].draw(600, 1)


@pytest.fixture(scope="module")
def selection(data):
    return select_n_experts(weak, *data, n_experts=range(1, 6))


@pytest.fixture(scope="module")
def engel():
    data = sm.datasets.engel.load_pandas().data
    return data[["income"]], data["foodexp"]


def test_the_table_has_what_the_fits_say(selection, data):
    assert list(selection.table.index) == list(selection.estimators) == [1, 2, 3, 4, 5]
    for K, row in selection.table.iterrows():
        model, n = selection.estimators[K], len(data[1])
        assert model.n_experts == K and row["dof"] == model.dof_ == 5 * K - 2
        for name in ("aic", "bic", "icl"):
            np.testing.assert_allclose(row[name], getattr(model, name)(*data), rtol=1e-12)
        np.testing.assert_allclose(row["hannan_quinn"], -2 * row["loglik"] + 2 * row["dof"] * np.log(np.log(n)))
        np.testing.assert_allclose(row["loglik"], model.likelihood(*data).value(model.theta_), rtol=1e-12)
        assert row["certificate"] == model.certificate_["kind"] and row["start"] in ("default", "split", "merge")


def test_bic_finds_the_truth_and_aic_takes_more(selection, data):
    assert selection.n_experts == 3 and selection.estimator is selection.estimators[3]
    assert selection.table["bic"].idxmin() == 3
    again = select_n_experts(weak, *data, n_experts=(3, 2, 5, 4, 1), criterion="aic")
    pd.testing.assert_frame_equal(again.table, selection.table)
    assert again.n_experts == again.table["aic"].idxmin() >= 3


def test_more_experts_never_fit_worse(selection):
    assert np.all(np.diff(selection.table["loglik"]) > 0)


def test_neighbours_help_a_weak_search(truths):
    X, y = truths["close3"].draw(300, 2)
    base = clone(weak).set_params(init="kmeans")
    chosen = quietly(select_n_experts, base, X, y, n_experts=range(1, 6))
    alone = [quietly(clone(base).set_params(n_experts=K).fit, X, y).loglik_ for K in range(1, 6)]
    gains, start = chosen.table["loglik"] - alone, chosen.table["start"]
    assert gains.min() > -1e-6 and np.all((start == "default") == (gains < 1e-5))
    assert gains[start == "split"].max() > 1 and gains[start == "merge"].max() > 1


def test_estimators_keep_their_own_start_and_the_one_given_stays(selection, data):
    assert not hasattr(weak, "theta_") and weak.n_experts == 2
    assert all(model.init == "auto" and model.n_init == 1 for model in selection.estimators.values())


def test_parallel_is_the_same(selection, data):
    again = select_n_experts(weak, *data, n_experts=range(1, 6), n_jobs=2)
    pd.testing.assert_frame_equal(again.table, selection.table, rtol=1e-12)


def test_weights_are_repetitions(data):
    X, y = (part[:200] for part in data)
    weight = 1.0 + np.arange(200) % 2
    once = quietly(select_n_experts, weak, X, y, n_experts=(1, 2), sample_weight=weight)
    X, y = (np.repeat(part, weight.astype(int), axis=0) for part in (X, y))
    again = quietly(select_n_experts, weak, X, y, n_experts=(1, 2))
    names = ["loglik", "dof", "aic", "bic", "icl", "hannan_quinn"]
    np.testing.assert_allclose(once.table[names], again.table[names], rtol=1e-7)


def test_small_weights_are_told_once(data):
    X, y = (part[:200] for part in data)
    with pytest.warns(UserWarning, match="sums to 20 over 200 rows") as told:
        select_n_experts(weak, X, y, n_experts=(1, 2), sample_weight=np.full(200, 0.1))
    assert len([w for w in told if w.category is UserWarning]) == 1


# families and gates ---------------------------------------------------------------------------------------------------


def test_counts_with_exposure():
    rng = np.random.default_rng(0)
    X, time = rng.uniform(-2, 2, (400, 1)), rng.uniform(0.5, 5, 400)
    rate = np.exp(np.where(rng.random(400) < 0.5, 1 + X[:, 0], 1 - X[:, 0]))
    y = rng.poisson(time * rate)
    base = MoERegressor(experts="poisson", n_init=2, random_state=0)
    chosen = select_n_experts(base, X, y, n_experts=range(1, 4), exposure=time)
    assert chosen.n_experts == 2
    model = chosen.estimator
    np.testing.assert_allclose(chosen.table.loc[2, "icl"], model.icl(X, y, exposure=time), rtol=1e-12)
    column = clone(base).set_params(exposure=1)
    again = select_n_experts(column, np.column_stack([X, time]), y, n_experts=range(1, 4))
    np.testing.assert_allclose(again.table["bic"], chosen.table["bic"], rtol=1e-9)


def test_classes_under_a_penalty():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (500, 2))
    y = np.where((X[:, 0] > 0) == (X[:, 1] > 0), "same", "different")
    y = np.where(rng.random(500) < 0.05, "same", y)
    chosen = quietly(select_n_experts, MoEClassifier(n_init=2, random_state=0), X, y, n_experts=(1, 2, 3))
    assert chosen.n_experts in (2, 3) and chosen.estimator.score(X, y) > 0.85
    for K, model in chosen.estimators.items():
        row = chosen.table.loc[K]
        np.testing.assert_allclose(row["loglik"], model.likelihood(X, y).value(model.theta_), rtol=1e-10)
        np.testing.assert_allclose(row["bic"], -2 * model.loglik_ + model.dof_ * np.log(500), rtol=1e-12)
    objectives = [model.objective_ for model in chosen.estimators.values()]
    assert np.all(np.diff(objectives) > -1e-6)


@pytest.mark.parametrize("gate", [LaplaceGate(), SparsemaxGate(), "sigmoid"])
def test_other_gates(data, gate):
    chosen = quietly(select_n_experts, clone(weak).set_params(gate=gate), *data, n_experts=(1, 2, 3))
    assert np.all(np.diff(chosen.table["loglik"]) > 0) and chosen.n_experts in (2, 3)


# starts ---------------------------------------------------------------------------------------------------------------


def test_splits_halve_one_expert_along_and_across_its_line():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, 400)
    e = rng.choice([-1.0, 1.0], 400)
    joint = np.column_stack([x, x + 0.3 * e])
    sample = Sample(joint[:, :1], joint[:, 1:], np.ones(400), np.zeros(400, dtype=np.uint64))
    resp = np.column_stack([x < 5, x >= 5]).astype(float)  # the second expert is empty
    starts = split(sample, resp)
    assert len(starts) == 4 and all(start.shape == (400, 3) for start in starts)
    assert all(np.allclose(start.sum(axis=1), 1) for start in starts)
    along, across = (start[:, 1] for start in starts[:2])
    assert abs(np.corrcoef(along, x)[0, 1]) > 0.8 and abs(np.corrcoef(along, e)[0, 1]) < 0.2
    assert abs(np.corrcoef(across, e)[0, 1]) > 0.9
    assert all(np.isclose(start[:, 1].sum(), 200, atol=40) for start in starts[:2])


def test_merges_join_the_experts_that_overlap():
    rng = np.random.default_rng(0)
    share, own = rng.uniform(size=100), rng.random(100) < 0.5
    resp = np.column_stack([own, share * ~own, (1 - share) * ~own]).astype(float)
    first, second = merge(resp, np.ones(100))
    np.testing.assert_allclose(first, np.column_stack([own, ~own]))
    assert first.shape == second.shape == (100, 2)


# other criteria -------------------------------------------------------------------------------------------------------


def test_cross_validation_is_that_by_hand(data):
    X, y = (part[:300] for part in data)
    base = clone(weak).set_params(n_init=2)
    chosen = select_n_experts(base, X, y, n_experts=(1, 2, 3), criterion="cv", cv=3)
    folds = list(KFold(3, shuffle=True, random_state=0).split(X))
    for K in (1, 2, 3):
        fits = [clone(base).set_params(n_experts=K).fit(X[train], y[train]) for train, _ in folds]
        loss = -2 * sum(fit.score_samples(X[test], y[test]).sum() for fit, (_, test) in zip(fits, folds))
        np.testing.assert_allclose(chosen.table.loc[K, "cv"], loss, rtol=1e-6)
    assert chosen.n_experts == chosen.table["cv"].idxmin() > 1


def test_folds_may_be_given_and_classes_are_dealt_in_proportion(data):
    X, y = (part[:200] for part in data)
    given = ShuffleSplit(2, test_size=0.3, random_state=3)
    chosen = select_n_experts(weak, X, y, n_experts=(1,), criterion="cv", cv=given)
    fits = [(clone(weak).set_params(n_experts=1).fit(X[train], y[train]), test) for train, test in given.split(X)]
    loss = -2 * sum(fit.score_samples(X[test], y[test]).sum() for fit, test in fits)
    np.testing.assert_allclose(chosen.table.loc[1, "cv"], loss, rtol=1e-9)
    labels = np.where(np.arange(200) < 6, "rare", "usual")  # six rows in order: folds of rows as they stand lack some
    quiet = quietly(select_n_experts, MoEClassifier(random_state=0), X, labels, n_experts=(1,), criterion="cv", cv=3)
    rare = np.append("once", labels[1:])
    told = pytest.warns(UserWarning, match="least populated class")
    with told, pytest.raises(ValueError, match=r"every class outside each fold, got none of \['once'\] outside fold"):
        select_n_experts(MoEClassifier(random_state=0), X, rare, n_experts=(1,), criterion="cv", cv=3)
    assert np.isfinite(quiet.table["cv"]).all()


def test_the_jump_is_where_noise_ends():
    """Beyond six experts the log-likelihood grows by c a parameter: the constant is c, and twice of it finds six."""
    dof, c = 5.0 * np.arange(1, 16) - 2, 1.3
    wiggle = 1 + 0.1 * np.sin(np.arange(15))
    gains = np.where(np.arange(15) < 6, 60.0, 5 * c * wiggle)
    loglik = np.cumsum(gains) - 1e4
    found = dimension_jump(loglik, dof)
    assert c < found < 1.15 * c
    table = pd.DataFrame({"loglik": loglik, "dof": dof, "degenerate": False}, index=range(1, 16))
    assert slope(table).idxmin() == 6
    assert dimension_jump(loglik[::-1], dof[::-1]) == found
    np.testing.assert_allclose(slope(table), -2 * loglik + 4 * found * dof)


def test_a_jump_needs_something_that_falls():
    assert dimension_jump(np.array([0.0, -1.0]), np.array([3.0, 8.0])) == 0
    assert dimension_jump(np.array([0.0, 1.0]), np.array([3.0, 8.0])) == 0.2


def test_slope_refuses_fewer_than_ten_models(data):
    with pytest.raises(ValueError, match=r'"slope" expects 10 numbers or more in n_experts, got \[1, 2, 3\]'):
        select_n_experts(weak, *data, n_experts=(1, 2, 3), criterion="slope")
    table = pd.DataFrame({"loglik": np.arange(10.0), "dof": np.arange(10), "degenerate": np.arange(10) > 7})
    with pytest.raises(ValueError, match=r"10 sound fits or more, got 8: those of n_experts=\[8, 9\] are degenerate"):
        slope(table)


@pytest.mark.slow
def test_slope_of_fits(truths):
    X, y = truths["coverage1"].draw(500, 0)
    chosen = quietly(select_n_experts, weak, X, y, n_experts=range(1, 11), criterion="slope")
    sound = chosen.table[~chosen.table["degenerate"]]
    np.testing.assert_allclose(sound["slope"], slope(chosen.table), rtol=1e-12)
    assert chosen.n_experts in (2, 3)


def test_dendrogram_needs_two_fits_only(data):
    chosen = select_n_experts(weak, *data, criterion="dsc", n_experts=range(1, 5))
    largest = clone(weak).set_params(n_experts=4).fit(*data)
    np.testing.assert_allclose(chosen.tree.dsc, dendrogram(largest, *data).dsc, rtol=1e-12)
    assert sorted(chosen.estimators) == sorted({4, chosen.n_experts})
    assert chosen.n_experts == chosen.tree.n_experts == chosen.table["dsc"].idxmin()
    assert list(chosen.table.index) == [1, 2, 3, 4] and np.isnan(chosen.table.loc[1, "dsc"])
    model = chosen.estimator
    assert model.n_experts == chosen.n_experts and model.loglik_ >= chosen.tree.loglik[4 - chosen.n_experts]
    fixed = select_n_experts(weak, *data, criterion="dsc", n_experts=(2, 4))
    assert fixed.n_experts in (2, 4) and list(fixed.table.index) == [2, 4]


# what the user hears --------------------------------------------------------------------------------------------------


def test_only_the_chosen_fit_warns(engel):
    with pytest.warns(ConvergenceWarning, match="n_experts=3: The likelihood has converged but the gate") as told:
        chosen = select_n_experts(clone(weak).set_params(n_init=5), *engel, n_experts=range(1, 5))
    assert len(told) == 1 and chosen.n_experts == 3 and chosen.table.loc[3, "certificate"] == "limit"


def test_sound_fits_beat_degenerate_ones():
    def candidate(degenerate, loglik):
        model = MoERegressor()
        model.init_results_, model.loglik_ = pd.DataFrame({"degenerate": [degenerate]}), loglik
        return Candidate(model, "default", ())

    spike, sound = candidate(True, 1e3), candidate(False, 0.0)
    assert sound.beats(spike) and not spike.beats(sound)
    assert candidate(False, 1.0).beats(sound) and not candidate(False, 1e-8).beats(sound)


def test_a_degenerate_fit_is_not_chosen():
    rng = np.random.default_rng(3)
    X, y = rng.uniform(-2, 2, (14, 1)), rng.standard_normal(14)  # three experts cannot all have five rows
    chosen = quietly(select_n_experts, weak, X, y, n_experts=(1, 2, 3), criterion="aic")
    assert chosen.table["degenerate"].any() and chosen.table["aic"].idxmin() != chosen.n_experts
    assert not chosen.table.loc[chosen.n_experts, "degenerate"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criterion": "BIC"}, r"criterion expects one of \['bic', .*got 'BIC'"),
        ({"n_experts": 3}, r"several numbers, such as range\(1, 7\), got 3"),
        ({"n_experts": []}, "expects a number or more in n_experts"),
        ({"n_experts": (0, 1)}, "n_experts expects an integer >= 1, got 0"),
        ({"n_experts": (1.5,)}, "n_experts expects an integer"),
        ({"criterion": "dsc", "n_experts": [1]}, "expects a number above 1"),
        ({"sample_weight": [1.0, 2.0]}, "sample_weight expects shape"),
    ],
)
def test_bad_requests(data, options, message):
    with pytest.raises(ValueError, match=message):
        select_n_experts(weak, *data, **options)


def test_estimators_that_cannot_be_swept(data, selection):
    with pytest.raises(ValueError, match="kind of start as init"):
        select_n_experts(MoERegressor(init=selection.estimator.theta_), *data)
    with pytest.raises(ValueError, match="MoERegressor or MoEClassifier"):
        select_n_experts(KFold(), *data)
