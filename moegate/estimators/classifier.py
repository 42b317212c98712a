"""Mixture-of-experts classification in scikit-learn's manner."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.callback import with_callbacks
from sklearn.metrics import accuracy_score
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from .base import MoEBase
from .checks import check_data, refuse_missing
from .lazy import drawn, row_wise, scored


class MoEClassifier(ClassifierMixin, MoEBase):
    """Mixture of experts for two or more classes, p(y = r | x) = sum_k pi_k(x) softmax_r(a_kr'x + c_kr).

    Fitted by penalised maximum likelihood as `MoERegressor` is; experts are multinomial logistic regressions.

    Parameters
    ----------
    n_experts : int, default=2
        K.
    gate : str, GateSpec or Gate, default="softmax"
        pi(x), as for `MoERegressor`.
    experts : {"multinomial"} or `moegate.experts.Multinomial()`, default="multinomial"
    solver, init, n_init, max_iter, tol, gate_features, expert_features, warm_start, random_state, n_jobs
        As for `MoERegressor`.
    penalty : "ridge", Ridge or None, default="ridge"
        Subtracted from the mean log-likelihood; "ridge" is `Ridge(alpha=1e-3)`, small, and enough for separable classes
        to have an answer. None is maximum likelihood, which then says that an expert diverges.
    class_weight : dict or "balanced", optional
        Weights of the classes, multiplied with those of the rows: a dict by label, or inversely proportional to the
        classes' frequencies. Log-likelihood and criteria are then sums with these weights: AIC, BIC and ICL compare
        only fits with the same ones, and mean little unless those of the rows have a mean of one, as "balanced" has.
        `infer` takes them as sampling weights, `bootstrap` draws rows.

    Attributes
    ----------
    classes_ : ndarray of shape (M,)
        Labels, sorted.
    coef_, intercept_ : ndarray of shape (K, M, d), (K, M)
        Slopes and intercepts of each expert and class, centred over classes; zeros outside `expert_features`. Of two
        classes the log-odds of the second have the difference of the two rows.
    theta_ : ndarray of shape (p,)
        All parameters in user units: gate, then the rows (a_r, c_r) of each expert, the last class zero.
    loglik_ : float
        Log-likelihood at `theta_`, without the penalty, with the weights of rows and classes.
    objective_, objective_history_ : float, ndarray
        Penalised log-likelihood at the end, and after each iteration of the winning run's last stage; without a penalty
        `loglik_history_`.
    class_weight_ : ndarray of shape (M,) or None
    gate_coef_, gate_intercept_, converged_, certificate_, n_iter_, init_results_, model_, n_features_in_
        As for `MoERegressor`.

    References
    ----------
    .. [1] Jordan & Jacobs (1994), Hierarchical mixtures of experts and the EM algorithm, doi:10.1162/neco.1994.6.2.181.
    .. [2] Nguyen, Akbarian, Nguyen & Ho (2024), A general theory for softmax gating multinomial logistic mixture of
       experts, arXiv:2310.14188.

    Examples
    --------
    >>> import numpy as np
    >>> from moegate import MoEClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-2, 2, (400, 2))
    >>> y = np.where((X[:, 0] > 0) == (X[:, 1] > 0), "same", "different")  # no single logistic regression sees it
    >>> moe = MoEClassifier(n_experts=2, random_state=0).fit(X, y)
    >>> bool(moe.score(X, y) > 0.95)
    True
    """

    _families = ("multinomial",)

    def __init__(
        self,
        n_experts=2,
        *,
        gate="softmax",
        experts="multinomial",
        solver="auto",
        penalty="ridge",
        init="auto",
        n_init=10,
        max_iter=500,
        tol=1e-8,
        gate_features=None,
        expert_features=None,
        class_weight=None,
        warm_start=False,
        random_state=None,
        n_jobs=None,
    ):
        self.n_experts = n_experts
        self.gate = gate
        self.experts = experts
        self.solver = solver
        self.penalty = penalty
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.gate_features = gate_features
        self.expert_features = expert_features
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Fit by penalised maximum likelihood.

        Parameters
        ----------
        X : array-like, dask array or dask frame of shape (n, d)
            In any units: columns are centred and scaled inside. A large array or memory map of numbers is read in
            blocks at each pass. Partitions of a dask collection stay where they are; up to 64 MB, and with a lasso all,
            are brought here.
        y : array-like of shape (n,)
            Labels: strings, integers or booleans.
        sample_weight : array-like of shape (n,), optional
            Frequency weights: weight 2 equals the row twice, weight 0 no row.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For bad data or parameters, saying what was expected, what came, and what to do.

        Warns
        -----
        ConvergenceWarning
            Where the fit is not an interior maximum, an expert is degenerate, or a column is redundant.
        """
        return self._fit(X, y, sample_weight=sample_weight)

    def _check_X_y(self, X, y, reset=True):
        """Checked columns, and codes of the classes as floats."""
        refuse_missing(y, "a label")
        X, y = check_data(self, X, y=y, reset=reset, ensure_min_samples=2 if reset else 1)
        if reset:
            classes = _distinct(y)
            check_classification_targets(y)
            self.classes_ = classes
        codes = np.searchsorted(self.classes_, y)
        known = self.classes_[np.minimum(codes, len(self.classes_) - 1)] == y
        if not np.all(known):
            raise ValueError(
                f"y expects the labels of the fit, {_listed(self.classes_)}, got {_listed(np.unique(y[~known]))}."
            )
        return X, codes.astype(float)

    def _check_response(self, codes):
        """Check the classes of the rows with a positive weight."""
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has one class only, {_listed(self.classes_)}, in the rows with a positive weight: a classification "
                "needs at least two; check y and sample_weight."
            )

    def _weight(self, y, weight, reset=False):
        if reset:
            self.class_weight_ = self._class_weights(y, weight)
        if self.class_weight_ is None:
            return weight
        by_class = self.class_weight_[y.astype(int)]
        return by_class if weight is None else by_class * weight

    def _class_weights(self, codes, weight):
        """Weights of the classes, (M,), or None."""
        lost = np.bincount(codes.astype(int), weights=weight, minlength=len(self.classes_)) == 0
        if lost.any():
            raise ValueError(
                f"sample_weight leaves no row of class {_listed(self.classes_[lost])}: every class needs one of "
                "positive weight; drop the rows of that class from X and y, or weigh them."
            )
        if self.class_weight is None:
            return None
        if not isinstance(self.class_weight, dict) and self.class_weight != "balanced":
            raise ValueError(f'class_weight expects None, a dict by label or "balanced", got {self.class_weight!r}.')
        labels = self.classes_[codes.astype(int)]
        weights = compute_class_weight(self.class_weight, classes=self.classes_, y=labels, sample_weight=weight)
        if not np.all(np.isfinite(weights)) or np.any(weights <= 0):
            raise ValueError(f"class_weight expects finite numbers > 0, got {self.class_weight!r}.")
        return weights

    @row_wise
    def predict_log_proba(self, X):
        """Logarithms of the class probabilities, (n, M): -inf where a probability is below the smallest number."""
        log_proba = self._log_proba(X)
        return np.where(np.exp(log_proba) > 0, log_proba, -np.inf)

    def _log_proba(self, X):
        check_is_fitted(self)
        return self._by_row(self.model_.log_probabilities, X).T

    @row_wise
    def predict_proba(self, X):
        """Class probabilities.

        Parameters
        ----------
        X : array-like of shape (n, d)

        Returns
        -------
        ndarray of shape (n, M)
            p(y = r | x) in the order of `classes_`; rows sum to one.
        """
        return np.exp(self._log_proba(X))

    @row_wise
    def decision_function(self, X):
        """Log-odds of the second class, (n,); of more than two classes the log-probabilities, (n, M)."""
        log_proba = self._log_proba(X)
        return log_proba[:, 1] - log_proba[:, 0] if len(self.classes_) == 2 else log_proba

    @row_wise
    def predict(self, X):
        """The most probable class of each row, (n,)."""
        log_proba = self._log_proba(X)
        return self.classes_[np.argmax(log_proba, axis=1)]

    @row_wise
    def predict_experts(self, X):
        """Class probabilities of the experts, (n, K, M)."""
        check_is_fitted(self)
        return np.moveaxis(self._by_row(self.model_.expert_probabilities, X), -1, 0)

    def sample(self, X, random_state=None):
        """One label per row drawn from the fitted probabilities.

        Parameters
        ----------
        X : array-like of shape (n, d)
        random_state : int, RandomState or None, default=None

        Returns
        -------
        ndarray of shape (n,)
        """
        return self._sample(X, check_random_state(random_state).randint(2**31 - 1, size=4))

    @row_wise
    def _sample(self, X, seed, *, part=()):
        return self.classes_[drawn(self, X, seed, part).astype(int)]

    def score(self, X, y, sample_weight=None):
        """Share of rows, by weight, whose class is predicted."""
        return scored(accuracy_score, self, X, y, sample_weight)


def _listed(labels, most=5):
    """Labels for a message."""
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(repr(label) for label in labels[:most].tolist()) + more


def _distinct(labels):
    """Distinct labels, sorted.

    Raises
    ------
    ValueError
        Where labels of several kinds have no order.
    """
    try:
        return np.unique(labels)
    except TypeError as error:
        kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
        raise ValueError(f"y expects labels of one kind, got {kinds}; write all as text (str).") from error
