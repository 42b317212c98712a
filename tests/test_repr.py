"""What a fitted estimator says of itself, and that one before its fit looks as scikit-learn's do."""

import importlib

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import moegate
from moegate import Gate, LaplaceGate, MoEClassifier, MoERegressor, select_n_experts
from moegate.gates import Laplace, TopK

X = np.linspace(-1, 1, 40)[:, None]
Y = X[:, 0] + 0.1 * np.cos(40 * X[:, 0])


def test_unfitted_shows_parameters_only():
    assert repr(MoERegressor(3, gate=LaplaceGate())) == "MoERegressor(gate=LaplaceGate(), n_experts=3)"
    assert repr(clone(MoERegressor(1).fit(X, Y))) == "MoERegressor(n_experts=1)"


def test_fitted_names_experts_gate_likelihood_and_certificate():
    moe = MoERegressor(1).fit(X, Y)
    line = f"1 gaussian expert, gate softmax: log-likelihood {moe.loglik_:.2f}, certificate interior"
    assert repr(moe) == f"MoERegressor(n_experts=1)\n# {line}"
    assert line in moe._repr_html_() and line in moe._repr_mimebundle_()["text/html"]


def test_gate_given_as_an_object_and_classes():
    moe = MoEClassifier(1, gate=LaplaceGate()).fit(X, Y > np.sin(9 * X[:, 0]))
    assert "1 multinomial expert, gate LaplaceGate" in repr(moe)


def test_composed_gates_show_what_differs_from_the_defaults():
    gate = Gate(Laplace(), TopK(1))
    assert repr(gate) == "Gate(Laplace(), TopK(k=1))"
    assert f"1 gaussian expert, gate {gate}: " in repr(MoERegressor(1, gate=gate).fit(X, Y))


def test_results_fit_on_a_line():
    fits = select_n_experts(MoERegressor(random_state=0), X, Y, n_experts=(1, 2), criterion="dsc")
    assert repr(fits) == "<Selection: 2 experts by dsc, out of 1, 2>"
    assert repr(fits.tree) == "<Dendrogram: 2 experts, merged from 2 (slopes)>"


def test_inside_a_pipeline_the_line_is_left_out():
    assert "log-likelihood" not in repr(make_pipeline(MoERegressor(1).fit(X, Y)))


def test_dir_lists_public_names_that_import():
    names = set(dir(moegate))
    assert len(names) < 40 and {"MoERegressor", "infer", "plotting"} <= names
    for name in names:
        assert hasattr(moegate, name) or importlib.import_module(f"moegate.{name}")
