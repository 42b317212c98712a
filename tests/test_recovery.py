import numpy as np
import pytest

from moegate import MoERegressor

SEEDS = 20
SIZES = {"coverage1": 500, "coverage3": 500}


@pytest.fixture(scope="module", params=SIZES)
def fits(request, truths):
    """Default fits to data from a known model: (fit, likelihood in user units, truth) for each seed."""
    truth = truths[request.param]

    def fit(seed):
        X, y = truth.draw(SIZES[request.param], seed)
        model = MoERegressor(n_experts=2, random_state=seed).fit(X, y)
        return model, model.likelihood(X, y), truth

    return [fit(seed) for seed in range(SEEDS)]


@pytest.mark.slow
def test_likelihood_ratio_to_the_truth_has_its_chi_square_mean(fits):
    """For a regular model, twice the maximum's gain over the truth is chi-square with p degrees of freedom."""
    gains = [2 * (fit.loglik_ - likelihood.value(truth.theta)) for fit, likelihood, truth in fits]
    p = fits[0][0].dof_
    assert abs(np.mean(gains) - p) < 3 * np.sqrt(2 * p / SEEDS)
    assert min(gains) > 0


@pytest.mark.slow
def test_fits_to_known_models_are_sound(fits):
    for fit, _, _ in fits:
        assert fit.converged_ and fit.certificate_["kind"] == "interior"
        assert not fit.init_results_["degenerate"].iloc[0] and fit.init_results_["loglik"].iloc[0] == fit.loglik_
        assert fit.certificate_["min_eigenvalue"] > 0.05


@pytest.mark.slow
def test_estimates_lie_within_their_errors(fits):
    """Wald statistics of all parameters are chi-square for large n: their mean is p, and a tenth for n = 500."""
    statistics = []
    for fit, likelihood, truth in fits:
        theta = fit.model_.permute(fit.theta_, np.argsort(fit.intercept_))
        off = theta - truth.theta
        statistics.append(-off @ likelihood.value_score_hessian(theta)[2] @ off)
    p = len(off)
    assert abs(np.mean(statistics) - p) < 3 * np.sqrt(2 * p / SEEDS) + 0.1 * p


def test_steep_lines_with_a_sharp_gate_are_recovered(truths):
    truth = truths["G2"]
    X, y = truth.draw(2000, 0)
    fit = MoERegressor(n_experts=2, n_init=3, random_state=0).fit(X, y)
    order = np.argsort(fit.coef_[:, 0])
    np.testing.assert_allclose(fit.coef_[order, 0], np.ravel(truth.slopes), atol=0.5)
    np.testing.assert_allclose(fit.intercept_[order], truth.intercepts, atol=0.2)
    np.testing.assert_allclose(fit.sigma_[order], truth.sigma, atol=0.03)
    middle = (fit.gate_intercept_[1] - fit.gate_intercept_[0]) / (fit.gate_coef_[0, 0] - fit.gate_coef_[1, 0])
    np.testing.assert_allclose(middle, 0.32, atol=0.03)
    assert fit.certificate_["kind"] == "interior"
