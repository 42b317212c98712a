"""Does one expert less do? Near non-identification shows in a criterion, not in eigenvalues."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone


@dataclass(frozen=True)
class FewerExperts:
    """BIC of the fit beside that of one expert less.

    Attributes
    ----------
    bic, fewer_bic : float
        Of K and of K - 1 experts; NaN where the gate has no form with K - 1.
    estimator : estimator or None
        The fit with K - 1.
    """

    bic: float
    fewer_bic: float
    estimator: object = None

    @property
    def preferred(self):
        """Whether BIC prefers K - 1."""
        return bool(self.fewer_bic < self.bic)

    @classmethod
    def compared(cls, result):
        """Fit one expert less to the rows of an `Inference`."""
        estimator, K = result.estimator, result.estimator.model_.n_experts
        if K == 1 or hasattr(estimator, "free_"):  # a refit of one selection, which no other number of experts has
            return cls(result.bic, np.nan)
        smaller = clone(estimator).set_params(n_experts=K - 1, init="auto", warm_start=False)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                smaller.fit(**{name: value for name, value in result.data.items() if value is not None})
        except ValueError:  # a tree, or a gate that selects k experts
            return cls(result.bic, np.nan)
        bic = -2 * smaller.loglik_ + smaller.dof_ * np.log(result.nobs)
        return cls(result.bic, float(bic), smaller)
