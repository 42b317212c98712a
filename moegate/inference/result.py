"""What is known of the parameters after a fit, in statsmodels' words."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import chi2, norm

from . import bands, tables
from .fewer import FewerExperts
from .wald import WaldTest, check_regular, restrictions


@dataclass(frozen=True, repr=False)
class Inference:
    """Estimates with standard errors, tests and intervals; what `infer` returns.

    Arrays stand in the order of `names`: gate, then expert by expert. A parameter that is not identified has NaN
    everywhere but in `params`.

    Attributes
    ----------
    names : tuple of str
        For example `gate[0].income`, `expert[0].intercept`, `expert[0].sigma`; of classes `expert[0].yes.income`. The
        slope of a column called sigma is `expert[0].sigma (column)`, and likewise with intercept.
    values : ndarray of shape (m,)
        Estimates.
    cov : ndarray of shape (m, m)
        Their covariance, on the identified directions.
    identified : ndarray of bool, shape (m,)
    root : ndarray of shape (p, r)
        Square root of `cov_theta`.
    kind : str
        Which covariance.
    reference : int
        Expert against which gate rows are contrasts.
    llf, nobs : float
        Log-likelihood, and number of rows (sum of frequency weights).
    estimator : MoERegressor or MoEClassifier
    data : dict
        What was passed to `infer`.
    """

    names: tuple
    values: np.ndarray
    cov: np.ndarray
    identified: np.ndarray
    root: np.ndarray
    kind: str
    reference: int
    llf: float
    nobs: float
    estimator: object
    data: dict

    def __repr__(self):
        return f"<Inference: {len(self.names)} parameters, {self.kind} covariance, log-likelihood {self.llf:.2f}>"

    @property
    def held(self):
        """Which parameters a lasso selected out: zeros that a refit kept, without an error, (m,)."""
        if not hasattr(self.estimator, "free_"):
            return np.zeros(len(self.values), dtype=bool)
        return ~self.identified & (self.values == 0)

    @property
    def cov_theta(self):
        """Covariance of `estimator.theta_` on the identified directions, (p, p)."""
        return self.root @ self.root.T

    # statsmodels' words ---------------------------------------------------------------------------------------------

    def _series(self, values):
        from pandas import Series

        return Series(values, index=list(self.names))

    @property
    def params(self):
        """Estimates by name."""
        return self._series(self.values)

    @cached_property
    def _errors(self):
        return np.where(self.identified, np.sqrt(np.maximum(np.diag(self.cov), 0.0)), np.nan)

    @property
    def bse(self):
        """Standard errors by name."""
        return self._series(self._errors)

    @property
    def zvalues(self):
        """Estimates over their standard errors."""
        return self._series(self.values / self._errors)

    @property
    def pvalues(self):
        """Two-sided, of the hypothesis that the parameter is zero."""
        return self._series(2 * norm.sf(np.abs(self.values / self._errors)))

    def conf_int(self, alpha=0.05):
        """Confidence limits, estimate -+ z standard errors.

        Parameters
        ----------
        alpha : float, default=0.05
            One minus the coverage.

        Returns
        -------
        pandas.DataFrame
            Columns `lower`, `upper`.
        """
        from pandas import DataFrame

        reach = norm.isf(_share(alpha) / 2) * self._errors
        return DataFrame({"lower": self.values - reach, "upper": self.values + reach}, index=list(self.names))

    def cov_params(self):
        """Covariance as a frame; NaN for what is not identified."""
        from pandas import DataFrame

        known = np.outer(self.identified, self.identified)
        return DataFrame(np.where(known, self.cov, np.nan), index=list(self.names), columns=list(self.names))

    def to_frame(self, alpha=0.05):
        """Everything about each parameter: `estimate, bse, zvalue, pvalue, lower, upper`, indexed by its name."""
        from pandas import concat

        columns = {"estimate": self.params, "bse": self.bse, "zvalue": self.zvalues, "pvalue": self.pvalues}
        return concat([concat(columns, axis=1), self.conf_int(alpha)], axis=1)

    @property
    def df_model(self):
        """Number of identified parameters, intercepts and scales included."""
        return self.estimator.dof_

    @property
    def df_resid(self):
        """Rows less identified parameters."""
        return self.nobs - self.df_model

    @property
    def aic(self):
        """-2 log-likelihood + 2 df_model."""
        return -2 * self.llf + 2 * self.df_model

    @property
    def bic(self):
        """-2 log-likelihood + df_model log nobs."""
        return -2 * self.llf + self.df_model * np.log(self.nobs)

    @property
    def icl(self):
        """BIC plus twice the entropy of the responsibilities."""
        return self.estimator.icl(**self.data)

    # tests ----------------------------------------------------------------------------------------------------------

    def wald_test(self, R, q=None):
        """Wald test of linear restrictions R params = q.

        Parameters
        ----------
        R : str, dict, list of these, or array-like of shape (m,) or (r, m)
            For each restriction the name of a parameter that is zero, or a dict of factors by name; or a matrix.
        q : float or array-like of shape (r,), optional
            Zeros by default.

        Returns
        -------
        WaldTest
            `statistic`, `df`, `pvalue`.

        Raises
        ------
        ValueError
            Where the statistic has no chi-square distribution: equality of two experts, whose gate is then not
            identified; a gate effect where experts are not separated (equality of two is not rejected, or BIC prefers
            one expert less); a parameter that is not identified. For names that are unknown or ambiguous.
        """
        R, q = restrictions(self.names, R, q)
        check_regular(self, R, q)
        away, cov = R @ self.values - q, R @ self.cov @ R.T
        statistic = float(away @ np.linalg.solve(cov, away))
        return WaldTest(statistic, len(q), float(chi2.sf(statistic, len(q))))

    def gate_tests(self):
        """Joint Wald test of each column of the gate: the K - 1 contrasts are zero.

        Returns
        -------
        pandas.DataFrame
            Columns `statistic`, `df`, `pvalue`, indexed by column; NaN where a contrast is not identified.
        """
        return tables.gate_tests(self)

    @cached_property
    def fewer(self):
        """Whether one expert less would do: the fit with K - 1 on the same rows, found by the same search.

        Returns
        -------
        FewerExperts
        """
        return FewerExperts.compared(self)

    # bands ----------------------------------------------------------------------------------------------------------

    def gate_band(self, X, alpha=0.05):
        """Pointwise confidence band of the gate probabilities, on their logits, by the delta method.

        Parameters
        ----------
        X : array-like of shape (m, d)
        alpha : float, default=0.05

        Returns
        -------
        lower, upper : ndarray of shape (m, K)
        """
        return bands.gate_band(self, X, norm.isf(_share(alpha) / 2))

    def mean_band(self, X, alpha=0.05, **given):
        """Pointwise confidence band of the mean, of classes of their probabilities on logits, by the delta method.

        Parameters
        ----------
        X : array-like of shape (m, d)
        alpha : float, default=0.05
        **given
            `exposure`, for Poisson experts.

        Returns
        -------
        lower, upper : ndarray of shape (m,), of classes (m, M)
        """
        return bands.mean_band(self, X, norm.isf(_share(alpha) / 2), given)

    def summary(self, alpha=0.05):
        """Tables to print: `str()`, `as_html()`, `as_latex()`.

        A line above the tables says so where BIC prefers one expert less: standard errors of an over-specified mixture
        look like any others and mean nothing. A line below says how many of the finished runs of the search came
        within 0.01 of the best log-likelihood: where it is one of many, raise `n_init`.

        Returns
        -------
        statsmodels.iolib.summary.Summary
        """
        return tables.summary(self, _share(alpha))


def _share(alpha):
    """A number between 0 and 1."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha expects a number between 0 and 1, one minus the coverage, got {alpha!r}.")
    return alpha
