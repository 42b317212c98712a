"""Scores of a fitted density, for model selection with scikit-learn."""

import numpy as np


def log_density_score(estimator, X, y, sample_weight=None, *, exposure=None):
    """Mean log density of held-out rows: a scorer for `GridSearchCV` and `cross_val_score`; larger is better.

    Parameters
    ----------
    estimator : fitted estimator with `score_samples(X, y)`
    X : array-like of shape (n, d)
    y : array-like of shape (n,)
    sample_weight : array-like of shape (n,), optional
    exposure : array-like of shape (n,), optional
        For Poisson experts; scikit-learn passes none on to it, so in a search let it be a column of X.

    Returns
    -------
    float
        In nats per row, in the unit of y.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from moegate import MoERegressor
    >>> from moegate.metrics import log_density_score
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-2, 2, (200, 1))
    >>> y = np.where(rng.random(200) < 0.5, 1 + X[:, 0], -1 - X[:, 0]) + 0.3 * rng.standard_normal(200)
    >>> search = GridSearchCV(MoERegressor(n_init=2, random_state=0), {"n_experts": [1, 2]}, scoring=log_density_score)
    >>> search.fit(X, y).best_params_
    {'n_experts': 2}
    """
    given = {} if exposure is None else {"exposure": exposure}
    return float(np.average(estimator.score_samples(X, y, **given), weights=sample_weight))
