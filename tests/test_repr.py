"""What a fitted estimator says of itself, and that one before its fit looks as scikit-learn's do."""

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from moegate import LaplaceGate, MoEClassifier, MoERegressor

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


def test_inside_a_pipeline_the_line_is_left_out():
    assert "log-likelihood" not in repr(make_pipeline(MoERegressor(1).fit(X, Y)))
