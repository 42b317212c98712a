"""Mixing measures of fitted models."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from moegate import LaplaceGate, MoEClassifier, MoERegressor
from moegate.voronoi import Measure, voronoi_loss


def test_from_fits():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (300, 2))
    y = np.where(X[:, 0] > 0, 1 + X[:, 0], -1 - X[:, 0]) + 0.3 * rng.standard_normal(300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = MoERegressor(2, gate=LaplaceGate(), n_init=2, random_state=0).fit(X, y)
    measure = Measure.from_named(fit.model_.unpack(fit.theta_), fit.predict_gate(X).mean(axis=0))
    assert measure.gate.shape == (2, 2) and measure.variance.ravel() == pytest.approx(fit.sigma_**2)
    labels = np.digitize(y, [-0.5, 0.5])
    model = MoEClassifier(2, n_init=2, random_state=0).fit(X, labels)
    measure = Measure.from_named(model.model_.unpack(model.theta_))
    assert measure.slope.shape == (2, 4) and measure.variance.shape == (2, 0)
    centred = model.coef_ - model.coef_[:, -1:]
    np.testing.assert_allclose(measure.slope, centred[:, :-1].reshape(2, 4))
    with pytest.raises(ValueError, match="expects both measures with their mass"):
        voronoi_loss(measure, measure, "multinomial")
