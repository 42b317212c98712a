"""Standard errors and tests against numerical differences, statsmodels, and what a user may get wrong."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.exceptions import ConvergenceWarning

from moegate import (
    ActivationGate,
    CosineGate,
    DenseToSparseGate,
    Gate,
    GumbelGate,
    HierarchicalGate,
    LaplaceGate,
    Lasso,
    ModifiedSoftmaxGate,
    MoEClassifier,
    MoERegressor,
    Ridge,
    SigmoidGate,
    SoftmaxGate,
    TopKGate,
    infer,
)
from moegate.blocks import Rows, Units
from moegate.experts import Gaussian
from moegate.experts.multinomial import Multinomial
from moegate.gates import Affine, Softmax
from moegate.inference import COVARIANCES
from moegate.inference.parameters import Parameters
from moegate.inference.wald import restrictions
from moegate.model import MixtureOfExperts

DESIGNS = {  # gate, its coefficients (slopes, intercept), half width of the box on which the columns are uniform
    "softmax": (SoftmaxGate(), [(1.5, 0.3)], 2),
    "dense_to_sparse": (DenseToSparseGate(0.5), [(2, 0.5)], 2),
    "activation": (ActivationGate(temperature=0.2), [(0.5, 0), (-1.25, 0)], 3),
    "modified_softmax": (ModifiedSoftmaxGate(), [(2, 0.5)], 3),
    "laplace": (LaplaceGate(), [(-0.5, 1.5, 0), (0, -0.5, 0)], 3),
    "sigmoid": (SigmoidGate(), [(1, -2.5), (3.5, 1.5)], 3),
    "cosine": (CosineGate(), [(1, 0, 0.3), (-0.5, 0.9, -0.3), (-0.5, -0.9, 0)], 3),
    "cosine, perturbed": (CosineGate(0.5), [(3, 0, 0.3), (-1, 2, -0.3), (-1, -2, 0)], 3),
    "gumbel": (GumbelGate(), [(3, 0.5)], 2),
    "tree": (HierarchicalGate(branches=(2, 1)), [(-1, 0), (1, -0.5)], 3),
    "composed": (Gate(Affine(), Softmax()), [(1.5, 0.3)], 2),
}
LINES = [(1, -2, 0.4), (1, 2, 0.5), (-1, 0, 0.4)]  # slope, intercept, sigma of each expert
ROWS = [[(-3.5, 4), (3, -4)], [(-3, -4), (3.5, 3)], [(1, 1), (-1, 0)]]  # (slope, intercept) of two of three classes


def drawn(name, classes, n=3000):
    """The model of a design, its theta, and data from it."""
    gate, coef, reach = DESIGNS[name]
    d, K = len(coef[0]) - 1, 3 if name in ("cosine", "cosine, perturbed", "tree") else 2
    model = MixtureOfExperts(gate.build(K), Multinomial(3) if classes else Gaussian(), K, d)
    if classes:
        experts = [[v for a, c in rows for v in (a, *[0.5] * (d - 1), c)] for rows in ROWS[:K]]
    else:
        experts = [np.array([a, *[0.5] * (d - 1), c, 1]) / sigma for a, c, sigma in LINES[:K]]
    theta, rng = model.join(np.array(coef, dtype=float), np.array(experts, dtype=float)), np.random.default_rng(0)
    X = rng.uniform(-reach, reach, (n, d))
    (block,) = Rows(X, np.zeros(n), None, Units.identity(d), response=False, size=n)
    y = model.sample(theta, block, rng)
    return gate, theta, X, y.astype(int) if classes else y


def simulated(n=600, d=2, seed=0, classes=False):
    """Two plain experts; columns x0, x1."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.uniform(-2, 2, (n, d)), columns=[f"x{j}" for j in range(d)])
    first = rng.random(n) < 1 / (1 + np.exp(-1.5 * X["x0"] - 0.3))
    mean = np.where(first, 2 + X["x0"], -2 - X["x0"] + 0.5 * X["x1"])
    if classes:
        scores = np.column_stack([np.zeros(n), mean, 0.5 * mean * X["x1"]])
        return X, np.array(["a", "b", "c"])[np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)]
    return X, pd.Series(mean + 0.5 * rng.standard_normal(n), name="y")


def fitted(gate, X, y, **given):
    estimator = MoEClassifier(penalty=None) if y.dtype.kind in "OU" else MoERegressor()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.set_params(gate=gate, n_init=3, random_state=0, **given).fit(X, y)


def differenced_hessian(value, theta, axes, step=0.01):
    """Second differences of a function along axes (r, p), twice extrapolated (Richardson) over halved steps."""

    def second(h):
        H = np.zeros((len(axes),) * 2)
        for i, j in zip(*np.tril_indices(len(axes)), strict=True):
            signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
            terms = [s * t * value(theta + h * (s * axes[i] + t * axes[j])) for s, t in signs]
            H[i, j] = H[j, i] = sum(terms) / (4 * h * h)
        return H

    A, B, C = second(step), second(step / 2), second(step / 4)
    return (16 * (4 * C - B) / 3 - (4 * B - A) / 3) / 15


@pytest.mark.parametrize("classes", [False, True])
@pytest.mark.parametrize("name", DESIGNS)
def test_bse_equal_those_of_numerical_differences(name, classes):
    """Second differences of the log-likelihood by theta, first differences of the parameters by theta."""
    gate, theta, X, y = drawn(name, classes)
    estimator = MoEClassifier(penalty=None) if classes else MoERegressor()
    K = 2 if len(DESIGNS[name][1]) < 3 and name != "tree" else 3
    fit = estimator.set_params(n_experts=K, gate=gate, init=theta).fit(X, y)
    assert fit.certificate_["kind"] == "interior"
    result = infer(fit, X, y)
    likelihood, root = fit.likelihood(X, y), result.root  # its columns are coordinates here, nothing more
    H = differenced_hessian(likelihood.value, fit.theta_, root.T)
    parameters = Parameters(fit.model_, result.reference, tuple(map(str, getattr(fit, "classes_", ()))))
    ends = [[parameters.values(fit.theta_ + t * axis) for t in (2, 1, -1, -2)] for axis in 0.001 * root.T]
    J = np.array([(8 * (b - c) - (a - d)) / 0.012 for a, b, c, d in ends])
    bse = np.sqrt(np.diag(J.T @ np.linalg.inv(-H) @ J))
    assert result.identified.all()
    np.testing.assert_allclose(result.bse, bse, rtol=1e-5)


@pytest.mark.parametrize("penalty", [Ridge(0), Lasso(0)])
def test_a_penalty_of_strength_zero_is_none(penalty):
    X, y = simulated()
    results = [infer(fitted("softmax", X, y, penalty=p), X, y) for p in (None, penalty)]
    np.testing.assert_allclose(results[1].bse, results[0].bse, rtol=1e-6)


def test_bse_with_one_variance_are_those_of_numerical_differences():
    X, y = simulated()
    fit = fitted("softmax", X, y, penalty=Lasso(0), variance="shared")
    result, model, likelihood = infer(fit, X, y), fit.model_, fit.likelihood(X, y)

    def theta(v):  # gate, (a, c) of both experts, the one sigma
        return np.concatenate([v[:3], np.append(v[3:6], 1) / v[9], np.append(v[6:9], 1) / v[9]])

    at = np.concatenate([fit.theta_[:3], *np.column_stack([fit.coef_, fit.intercept_]), fit.sigma_[:1]])
    np.testing.assert_allclose(theta(at), fit.theta_)
    size = result.bse.to_numpy()[[*range(6), 7, 8, 9, 6]]
    H = differenced_hessian(lambda v: likelihood.value(theta(v)), at, 0.1 * np.diag(size), step=0.5)
    np.testing.assert_allclose(np.sqrt(np.diag(np.linalg.inv(-H))), 10, rtol=1e-5)
    assert result.bse["expert[0].sigma"] == pytest.approx(result.bse["expert[1].sigma"])
    assert result.df_model == 10 and "Parameters:" in str(result.summary()) and model.experts.shared


def test_one_expert_is_ordinary_least_squares():
    X, y = simulated()
    result = infer(MoERegressor(1).fit(X, y), X, y)
    ols = sm.OLS(y, sm.add_constant(X)).fit()
    scale = np.sqrt(ols.ssr / len(y) / ols.scale)  # maximum likelihood divides by n
    names = ["expert[0].intercept", "expert[0].x0", "expert[0].x1"]
    np.testing.assert_allclose(result.params[names], ols.params, rtol=1e-7)
    np.testing.assert_allclose(result.bse[names], ols.bse * scale, rtol=1e-6)
    assert result.llf == pytest.approx(ols.llf)
    sigma = result.params["expert[0].sigma"]
    assert result.bse["expert[0].sigma"] == pytest.approx(sigma / np.sqrt(2 * len(y)), rel=1e-6)


@pytest.mark.parametrize(("kind", "peer"), [("sandwich", {"cov_type": "HC0"}), ("cluster", {"cov_type": "cluster"})])
def test_robust_errors_are_those_of_least_squares(kind, peer):
    X, y = simulated()
    groups = np.arange(len(y)) % 40
    fit = MoERegressor(1).fit(X, y)
    result = infer(fit, X, y, kind=kind, groups=groups if kind == "cluster" else None)
    given = {"groups": groups, "use_correction": False} if kind == "cluster" else None
    ols = sm.OLS(y, sm.add_constant(X)).fit(**peer, cov_kwds=given)
    factor = np.sqrt(40 / 39) if kind == "cluster" else 1.0
    names = ["expert[0].intercept", "expert[0].x0", "expert[0].x1"]
    np.testing.assert_allclose(result.bse[names], factor * ols.bse, rtol=1e-6)


def test_one_expert_of_classes_is_mnlogit():
    X, y = simulated(classes=True)
    result = infer(MoEClassifier(1, penalty=None).fit(X, y), X, y)
    peer = sm.MNLogit(pd.Categorical(y).codes, sm.add_constant(X)).fit(disp=0)
    for column, label in enumerate(["b", "c"]):
        names = [f"expert[0].{label}.{name}" for name in ("intercept", "x0", "x1")]
        np.testing.assert_allclose(result.params[names], peer.params[column], rtol=1e-5)
        np.testing.assert_allclose(result.bse[names], peer.bse[column], rtol=1e-5)


def test_gate_rows_with_known_responsibilities_are_mnlogit():
    """Experts so far apart that every row belongs to one: the gate is a logistic regression on it."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.uniform(-2, 2, 500), "b": rng.uniform(-2, 2, 500)})
    scores = np.column_stack([np.zeros(500), X["a"], 1 - X["b"]])
    label = np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)
    y = 1000.0 * label + rng.standard_normal(500)
    resp = np.eye(3)[label]
    fit = MoERegressor(3, init=resp, expert_features=[]).fit(X, y)
    result, at = infer(fit, X, y), np.argsort(np.argsort(-fit.intercept_)[::-1])  # expert -> label
    reference = at[result.reference]
    others = [r for r in range(3) if r != reference]
    recoded = np.select([label == reference, label == others[0]], [0, 1], 2)
    peer = sm.MNLogit(recoded, sm.add_constant(X)).fit(disp=0)
    for column, r in enumerate(others):
        k = int(np.flatnonzero(at == r)[0])
        names = [f"gate[{k}].{name}" for name in ("intercept", "a", "b")]
        np.testing.assert_allclose(result.params[names], peer.params[column], rtol=1e-5)
        np.testing.assert_allclose(result.bse[names], peer.bse[column], rtol=1e-5)


def test_reference_is_a_change_of_contrasts():
    X, y = simulated()
    fit = fitted(SoftmaxGate(), X, y)
    last, first = infer(fit, X, y), infer(fit, X, y, reference=0)
    assert [n for n in first.names if n.startswith("gate")] == ["gate[1].x0", "gate[1].x1", "gate[1].intercept"]
    np.testing.assert_allclose(first.params["gate[1].x0"], -last.params["gate[0].x0"])
    np.testing.assert_allclose(first.bse["gate[1].x0"], last.bse["gate[0].x0"], rtol=1e-6)


def test_frequency_weights_are_repeated_rows_and_sampling_weights_are_not():
    X, y = simulated(300)
    weight = np.random.default_rng(1).integers(0, 4, len(y)).astype(float)
    fit = MoERegressor(2, n_init=3, random_state=0).fit(X, y, sample_weight=weight)
    long = np.repeat(np.arange(len(y)), weight.astype(int))
    X_long, y_long = X.iloc[long], y.iloc[long]
    repeated = MoERegressor(2, n_init=3, random_state=0).fit(X_long, y_long)
    for kind in ("observed", "opg", "sandwich"):
        one, other = infer(fit, X, y, weight, kind=kind), infer(repeated, X_long, y_long, kind=kind)
        np.testing.assert_allclose(one.bse, other.bse, rtol=1e-4)
    sampling = infer(fit, X, y, weight, kind="sandwich", weights="sampling")
    by_row = infer(repeated, X_long, y_long, kind="cluster", groups=long)
    G = len(np.unique(long))
    np.testing.assert_allclose(sampling.bse, by_row.bse * np.sqrt((G - 1) / G), rtol=1e-4)
    with pytest.raises(ValueError, match="sandwich"):
        infer(fit, X, y, weight, weights="sampling")


def test_class_weights_are_sampling_weights():
    X, y = simulated(300, classes=True)
    plain, many = (
        fitted("softmax", X, y, class_weight=weight) for weight in (None, {"a": 100.0, "b": 100.0, "c": 100.0})
    )
    given = {"kind": "sandwich", "weights": "sampling"}
    with pytest.raises(ValueError, match='weights="sampling" with kind="sandwich" .* class_weight={'):
        infer(many, X, y)
    with pytest.raises(ValueError, match="class_weight"):
        infer(many, X, y, kind="cluster", groups=np.arange(300))
    one, other = (infer(fit, X, y, **given) for fit in (plain, many))
    np.testing.assert_allclose(other.bse, one.bse, rtol=1e-3)
    assert other.nobs == one.nobs == 300
    even = fitted("softmax", X, y, class_weight={"a": 1.0, "b": 1.0, "c": 1.0})
    np.testing.assert_allclose(infer(even, X, y).bse, infer(plain, X, y).bse, rtol=1e-6)


def test_kinds_agree_on_a_large_sample_of_a_true_model():
    X, y = simulated(20_000)
    fit = fitted(SoftmaxGate(), X, y)
    bse = [infer(fit, X, y, kind=kind).bse for kind in ("observed", "opg", "sandwich")]
    np.testing.assert_allclose(bse[1], bse[0], rtol=0.1)
    np.testing.assert_allclose(bse[2], bse[0], rtol=0.1)
    assert set(COVARIANCES) == {"observed", "opg", "sandwich", "cluster"}


def test_frame_and_words():
    X, y = simulated()
    fit = fitted(SoftmaxGate(), X, y)
    result = infer(fit, X, y)
    frame = result.to_frame()
    assert list(frame.columns) == ["estimate", "bse", "zvalue", "pvalue", "lower", "upper"]
    assert frame.index[0] == "gate[0].x0" and frame.index[-1] == "expert[1].sigma" and frame.notna().all(axis=None)
    np.testing.assert_allclose(frame["upper"] - frame["lower"], 2 * 1.959964 * frame["bse"], rtol=1e-6)
    assert (result.nobs, result.df_model) == (600, fit.dof_)
    for name in ("aic", "bic", "icl"):
        assert getattr(result, name) == pytest.approx(getattr(fit, name)(X, y))
    np.testing.assert_allclose(np.sqrt(np.diag(result.cov_params())), result.bse)
    alone = infer(MoERegressor(1).fit(X, y), X, y)
    assert not any(name.startswith("gate") for name in alone.names)


def test_units_of_the_data_do_not_matter():
    X, y = simulated()
    fit = fitted(SoftmaxGate(), X, y)
    far = fitted(SoftmaxGate(), 1e-6 * X + 5, 1e7 * y)
    one, other = infer(fit, X, y), infer(far, 1e-6 * X + 5, 1e7 * y)
    slopes = ["gate[0].x0", "expert[0].x0", "expert[1].sigma"]
    np.testing.assert_allclose(one.bse[slopes] * [1e6, 1e13, 1e7], other.bse[slopes], rtol=1e-3)


def test_flat_directions_are_not_identified():
    """Two equal constant experts of classes: gate and probabilities trade off exactly."""
    rng = np.random.default_rng(0)
    X, y = rng.uniform(-2, 2, (400, 1)), rng.integers(0, 3, 400)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = MoEClassifier(2, penalty=None, expert_features=[], gate_features=[], n_init=2, random_state=0).fit(X, y)
        result = infer(fit, X, y)
    assert not result.identified.any()
    assert result.bse.isna().all() and result.to_frame()["estimate"].notna().all()
    assert "not identified" in str(result.summary())
    with pytest.raises(ValueError, match="not identified"):
        result.wald_test(result.names[0])


def test_a_diverging_gate_is_not_identified():
    data = sm.datasets.engel.load_pandas().data
    X, y = data[["income"]], data["foodexp"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = MoERegressor(3, random_state=0).fit(X, y)
    result = infer(fit, X, y)
    gate = [name.startswith("gate") for name in result.names]
    assert fit.certificate_["kind"] == "limit"
    np.testing.assert_array_equal(~result.identified, gate)
    assert result.bse.isna().to_numpy().tolist() == gate


def test_wald():
    X, y = simulated()
    result = infer(fitted(SoftmaxGate(), X, y), X, y)
    one = result.wald_test("gate[0].x0")
    assert one.statistic == pytest.approx(result.zvalues["gate[0].x0"] ** 2) and one.df == 1
    assert one.pvalue == pytest.approx(result.pvalues["gate[0].x0"])
    two = result.wald_test(["gate[0].x0", "gate[0].x1"])
    assert two == pytest.approx(tuple(result.gate_tests().sum(numeric_only=True))) or two.df == 2
    pair = {"expert[0].x0": 1.0, "expert[1].x0": 1.0}
    assert result.wald_test(pair, q=0.3).statistic > 0
    with pytest.raises(ValueError, match="Unknown parameter 'x'"):
        result.wald_test("x")
    with pytest.raises(ValueError, match="independent rows"):
        result.wald_test(np.ones((1, 3)))


def test_columns_called_as_parameters_have_names_of_their_own():
    X, y = simulated()
    plain, renamed = X, X.set_axis(["sigma", "intercept"], axis=1)
    one, other = (infer(fitted("softmax", table, y), table, y) for table in (plain, renamed))
    assert len(set(other.names)) == len(other.names)
    assert other.names[0] == "gate[0].sigma (column)" and "expert[1].intercept (column)" in other.names
    for name in ("expert[0].sigma", "expert[0].intercept"):
        assert other.wald_test({name: 1.0}, 0.3).statistic == pytest.approx(one.wald_test({name: 1.0}, 0.3).statistic)
    assert list(other.gate_tests().index) == ["sigma (column)", "intercept (column)"]
    with pytest.raises(ValueError, match="'expert.0..a.b.x' names 2 parameters; rename"):  # class a.b, or column b.x
        restrictions(("expert[0].a.b.x", "expert[0].a.b.x"), "expert[0].a.b.x")


def test_wald_takes_several_dicts():
    X, y = simulated()
    result = infer(fitted("softmax", X, y), X, y)
    several = result.wald_test([{"expert[0].x0": 1.0, "expert[0].x1": -2.0}, "expert[1].x1"])
    R = np.zeros((2, len(result.names)))
    R[0, result.names.index("expert[0].x0")], R[0, result.names.index("expert[0].x1")] = 1, -2
    R[1, result.names.index("expert[1].x1")] = 1
    assert several == result.wald_test(R)
    with pytest.raises(ValueError, match="R expects names, dicts of factors by name, or a matrix, got"):
        result.wald_test([{"expert[0].x0": 1.0}, 3.0])


def test_wald_against_statsmodels():
    X, y = simulated()
    fit = MoERegressor(1).fit(X, y)
    result, ols = infer(fit, X, y), sm.OLS(y, sm.add_constant(X)).fit()
    factor = ols.scale / (ols.ssr / len(y))
    peer = ols.wald_test("x0 = 0, x1 = 0.2", use_f=False, scalar=True)
    mine = result.wald_test(["expert[0].x0", "expert[0].x1"], q=[0, 0.2])
    assert mine.statistic == pytest.approx(peer.statistic * factor, rel=1e-6)


def test_equality_of_experts_is_refused():
    X, y = simulated()
    result = infer(fitted(SoftmaxGate(), X, y), X, y)
    same = [{f"expert[0].{p}": 1.0, f"expert[1].{p}": -1.0} for p in ("x0", "x1", "intercept", "sigma")]
    R = np.vstack([[row.get(name, 0.0) for name in result.names] for row in same])
    assert result.wald_test(R[:2]).df == 2  # equal slopes are a regular hypothesis
    with pytest.raises(ValueError, match="likelihood_ratio_test"):
        result.wald_test(R)


def test_gate_of_experts_that_are_not_separated_is_refused():
    rng = np.random.default_rng(3)
    X = rng.uniform(-2, 2, (300, 1))
    y = X[:, 0] + rng.standard_normal(300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = MoERegressor(2, gate_features=[], n_init=3, random_state=0).fit(X, y)
        result = infer(fit, X, y)
    if not result.identified.all():
        pytest.skip("one expert has vanished")
    assert result.fewer.preferred and "WARNING: BIC prefers 1" in str(result.summary())
    with pytest.raises(ValueError, match="not separated|not identified"):
        result.wald_test("gate[0].intercept")


def test_no_banner_on_a_true_model():
    X, y = simulated()
    result = infer(fitted(SoftmaxGate(), X, y), X, y)
    assert not result.fewer.preferred and "WARNING" not in str(result.summary())
    assert result.fewer.estimator.n_experts == 1


def test_refusals():
    X, y = simulated(classes=True)
    with pytest.raises(ValueError, match="without a penalty.*penalty=None"):
        infer(MoEClassifier(1).fit(X, y), X, y)
    X, y = simulated()
    fit = fitted(SoftmaxGate(), X, y)
    for given, message in [
        ({"kind": "robust"}, "kind expects one of"),
        ({"kind": "cluster"}, "groups"),
        ({"groups": np.arange(600)}, "groups"),
        ({"kind": "cluster", "groups": np.zeros(600)}, "at least two"),
        ({"kind": "cluster", "groups": np.zeros(5)}, "shape"),
        ({"kind": "cluster", "groups": np.append(np.nan, np.arange(599))}, "group of every row, got none in row 0"),
        ({"kind": "cluster", "groups": ["a", None, *["b"] * 598]}, "group of every row, got none in row 1"),
        ({"kind": "cluster", "groups": ["a", 1, *["b"] * 598]}, "one kind"),
        ({"weights": "other"}, "frequency"),
        ({"reference": 2}, "reference expects"),
    ]:
        with pytest.raises(ValueError, match=message):
            infer(fit, X, y, **given)
    with pytest.raises(ValueError, match="rows and weights of the fit"):
        infer(fit, X[:300], y[:300])
    with pytest.warns(ConvergenceWarning):
        rough = MoERegressor(3, max_iter=20, n_init=1, solver="em", random_state=0).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        infer(rough, X, y)


def test_gates_that_select_hold_given_the_selection():
    X, y = simulated()
    fit = fitted(TopKGate(k=2), X, y)
    np.testing.assert_allclose(infer(fit, X, y).bse, infer(fitted(SoftmaxGate(), X, y), X, y).bse, rtol=1e-3)


def test_bands():
    X, y = simulated()
    fit = fitted(SoftmaxGate(), X, y)
    result, grid = infer(fit, X, y), X[:50]
    Z = np.column_stack([grid, np.ones(50)])
    names = ["gate[0].x0", "gate[0].x1", "gate[0].intercept"]
    score, cov = Z @ result.params[names], result.cov_params().loc[names, names].to_numpy()
    reach = 1.959964 * np.sqrt(np.einsum("ij,jk,ik->i", Z, cov, Z))
    lower, upper = result.gate_band(grid)
    np.testing.assert_allclose(lower[:, 0], 1 / (1 + np.exp(reach - score)), rtol=1e-4)
    np.testing.assert_allclose(upper[:, 0], 1 / (1 + np.exp(-reach - score)), rtol=1e-4)
    lower, upper = result.mean_band(grid)
    assert np.all((lower < fit.predict(grid)) & (fit.predict(grid) < upper))


def test_band_of_one_expert_is_that_of_least_squares():
    X, y = simulated()
    fit, ols = MoERegressor(1).fit(X, y), sm.OLS(y, sm.add_constant(X)).fit()
    lower, upper = infer(fit, X, y).mean_band(X)
    error = ols.get_prediction(sm.add_constant(X)).se_mean * np.sqrt(ols.ssr / len(y) / ols.scale)
    np.testing.assert_allclose(upper - lower, 2 * 1.959964 * error, rtol=1e-6)


def test_bands_of_classes_and_counts():
    X, y = simulated(classes=True)
    fit = MoEClassifier(1, penalty=None).fit(X, y)
    lower, upper = infer(fit, X, y).mean_band(X)
    P = fit.predict_proba(X)
    assert P.shape == lower.shape and np.all((0 < lower) & (lower < P) & (P < upper) & (upper < 1))
    counts = np.random.default_rng(0).poisson(np.exp(0.5 * X["x0"]))
    fit = MoERegressor(1, experts="poisson").fit(X, counts)
    peer = sm.GLM(counts, sm.add_constant(X), family=sm.families.Poisson()).fit()
    result = infer(fit, X, counts)
    np.testing.assert_allclose(result.bse[["expert[0].intercept", "expert[0].x0", "expert[0].x1"]], peer.bse, rtol=1e-5)
    lower, upper = result.mean_band(X)
    np.testing.assert_allclose(
        np.log(upper / lower) / 2 / 1.959964 * fit.predict(X), peer.get_prediction().se, rtol=1e-5
    )


def test_summary_says_how_many_runs_reached_the_best():
    X, y = simulated()
    result = infer(fitted("softmax", X, y), X, y)
    ends = pd.DataFrame({"loglik": [-5.0, -5.009, -5.02, 90.0, -5.0], "degenerate": [False, False, False, True, False]})
    result.estimator.init_results_ = ends.assign(stage=["long"] * 4 + ["short"])
    assert "2 of 4 finished runs came within 0.01 of the best log-likelihood." in str(result.summary())
    result.estimator.init_results_ = ends.assign(stage="long")[:1]
    assert "finished runs" not in str(result.summary())


def test_summary_in_three_formats():
    X, y = simulated()
    summary = infer(fitted(SoftmaxGate(), X, y), X, y).summary()
    for text in (summary.as_text(), summary.as_html(), summary.as_latex()):
        assert "gate[0].x0" in text and "expert[1].sigma" in text and "Log-likelihood" in text
