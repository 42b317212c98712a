"""What the estimators share: the parameters, and `fit` from checked data to learned attributes."""

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from ..blocks import Rows, Units
from ..fitting import search
from ..likelihood import Likelihood
from ..model import MixtureOfExperts
from ..runs import best, pooled, unclimbed
from . import options
from .checks import check_data, warn_of_small_weights
from .chosen import chosen_columns
from .data import select, warn_of_units
from .labels import canonical, named, reached, reordered
from .lazy import row_wise
from .origin import origin
from .progress import Progress
from .report import Described, ending_message, put_aside, runs_table
from .training import evaluation_rows, training_data

# learned by the checks of the data
CHECKED = "n_features_in_", "feature_names_in_", "classes_", "class_weight_", "exposed_"


class MoEBase(Described, CallbackSupportMixin, BaseEstimator):
    """Fitting and evaluation of a mixture of experts; the parameters are those of `MoERegressor`."""

    # fitting --------------------------------------------------------------------------------------------------------

    def _fit(self, X, y, **metadata):
        """Fit; `metadata` are arrays by row that `fit` takes beside X and y."""
        with threadpool_limits(limits=1, user_api="blas"):
            data, gate = self._check(X, y, **metadata)
            likelihood = self._likelihood(data, gate)
            if self._sparse:
                likelihood, data, runs = chosen_columns(self, likelihood, data)
                winner = runs[0]
            else:
                runs, winner = self._searched(likelihood, data, X, y, metadata)
            learned = self._learned(likelihood, data, winner)
            self._keep(learned | {"init_results_": runs_table(runs, "objective_" in learned)})
        told = None if self._sparse else put_aside(runs, winner, likelihood)
        for message in filter(None, (told, ending_message(winner, likelihood, self))):
            warnings.warn(message, ConvergenceWarning, stacklevel=4)
        return self

    def _searched(self, likelihood, data, X, y, metadata):
        """All runs and the best, its experts in canonical order."""
        tol = self.tol * min(1.0, data.rows.total_weight / data.rows.n_rows)  # small weights, small gains
        solver = options.check_solver(options.solver_of(self), likelihood, self.max_iter, tol)
        given = {name: value for name, value in metadata.items() if value is not None}
        passed = {"X": X, "y": y, "metadata": given or None}
        progress = Progress(self, passed, partial(self._learned, likelihood, data))
        runs = self._run(likelihood, solver, data, progress)
        winner = best(runs)
        winner = canonical(likelihood, winner, degenerate=winner.degenerate)
        progress.end(winner)
        return runs, winner

    @property
    def _sparse(self):
        """Whether the penalty makes coefficients exactly zero."""
        return getattr(options.working_penalty(self), "sparse", False)

    def _check(self, X, y, sample_weight=None, exposure=None):
        """Checked data and the gate; also checks the parameters and sets what scikit-learn learns from X."""
        K = options.check_count(self.n_experts, "n_experts")
        for name in ("n_init", "max_iter"):
            options.check_count(getattr(self, name), name)
        options.check_positive(self.tol, "tol")
        options.check_penalty(self.penalty)
        options.check_init(self.init)
        family = options.check_experts(self.experts, self._families)
        gate = options.check_gate(self.gate).build(K)
        data = training_data(self, family, gate, X, y, sample_weight, exposure)
        warn_of_units(gate, data)
        self.exposed_ = exposure is not None
        return data, gate

    def _likelihood(self, data, gate):
        """The penalised likelihood to climb, in scaled coordinates."""
        model, penalty = self._build_model(data, gate), options.working_penalty(self)
        built = None if penalty is None or penalty.sparse else penalty.build(model, data.rows.units)
        return Likelihood(model, data.rows, penalty=built)

    def _build_model(self, data, gate):
        names = getattr(self, "feature_names_in_", None)
        family = options.check_experts(self.experts, self._families)
        experts = family.suited(data.rows, () if self._sparse else data.expert_columns)
        if options.check_variance(self, data.rows.n_rows):
            experts = replace(experts, shared=True)
        return MixtureOfExperts(
            gate=gate.calibrated(*data.reach()),
            experts=experts,
            n_experts=int(self.n_experts),
            n_columns=len(data.used),
            gate_columns=data.gate_columns,
            expert_columns=data.expert_columns,
            names=tuple(f"x{i}" if names is None else str(names[i]) for i in data.used),
        )

    def _run(self, likelihood, solver, data, progress):
        """All runs: from many starts, or one from where the user says."""
        needed = self.n_experts * likelihood.model.rows_needed
        if self.n_experts > 1 and not likelihood.tamed and data.rows.n_rows < needed:
            return [unclimbed(likelihood, pooled(likelihood), "pooled")]
        options.check_scores(likelihood)
        begin = origin(self, likelihood, data)
        if begin is not None:
            return [task(likelihood, solver, run, "long") for task, run in progress.tasks([begin])]
        entropy = check_random_state(self.random_state).randint(2**31 - 1)
        return search(likelihood, solver, self.init, self.n_init, entropy, self.n_jobs, progress.tasks)

    # what is learned ------------------------------------------------------------------------------------------------

    def _keep(self, learned):
        """Put what a fit learned in the place of what an earlier one did."""
        for name in [name for name in vars(self) if name.endswith("_") and name not in CHECKED]:
            delattr(self, name)
        vars(self).update(learned)

    def _learned(self, likelihood, data, run):
        """Fitted attributes from a run, in user units."""
        model, units = likelihood.model, data.rows.units
        theta = model.to_user(run.theta, units)
        return {
            "theta_": theta,
            "model_": model,
            "units_": units,
            "columns_": data.used,
            **reached(likelihood, run),
            "converged_": bool(run.converged),
            "n_iter_": len(run.history),
            "certificate_": run.certificate,
            **named(theta, model, data.used, self.n_features_in_),
        }

    def permute_experts(self, order):
        """Put the experts in another order: `theta_`, all named coefficients and the certificate together.

        Parameters
        ----------
        order : array-like of int of shape (K,)
            The expert that comes k-th is the one that was `order[k]`; a fit itself orders them by falling gate
            probability at the mean of X.

        Returns
        -------
        self
            Densities and the log-likelihood do not change.

        Raises
        ------
        ValueError
            Where `order` does not name every expert once, or a tree of gates cannot take it.
        """
        check_is_fitted(self)
        vars(self).update(reordered(self, order))
        return self

    # evaluation at rows ---------------------------------------------------------------------------------------------

    def _weight(self, y, weight, reset=False):
        """Row weights with those that the estimator itself adds; with `reset` it learns them."""
        return weight

    def _admitted(self, y):
        """Responses at which the log-likelihood can be asked for."""
        return y

    def _offset(self, X, exposure=None, weight=None):
        """Offset of the experts' predictors, (n,), or None; rows of weight zero may have any exposure."""
        if exposure is not None:
            raise ValueError(f"exposure is for Poisson experts, got experts={self.experts!r}; leave it out.")

    def _left_out(self):
        """Columns that are features of neither gate nor experts."""
        return ()

    def _rows(self, X, y=None, exposure=None):
        """Rows in user units for row-wise evaluation."""
        check_is_fitted(self)
        if y is None:
            X = check_data(self, X, reset=False)
        else:
            X, y = self._check_X_y(X, y, reset=False)
        used = select(X, self.columns_)
        units, offset = Units.identity(used.shape[1]), self._offset(X, exposure)
        return Rows(used, y, None, units, response=False, offset=offset)

    def _by_row(self, function, X, y=None, exposure=None):
        """Values of `function(theta, block)` side by side, the last axis over rows."""
        with threadpool_limits(limits=1, user_api="blas"):
            rows = self._rows(X, y, exposure)
            return np.concatenate([function(self.theta_, block) for block in rows], axis=-1)

    @row_wise
    def predict_gate(self, X):
        """Gate probabilities.

        Parameters
        ----------
        X : array-like of shape (n, d)

        Returns
        -------
        ndarray of shape (n, K)
            pi_k(x); rows sum to one.
        """
        check_is_fitted(self)
        used = select(check_data(self, X, reset=False), self.columns_)
        rows = Rows(used, None, None, Units.identity(used.shape[1]), response=False)
        return np.exp(np.concatenate([self.model_.log_gate(self.theta_, block) for block in rows], axis=-1)).T

    @row_wise
    def responsibilities(self, X, y, *, exposure=None):
        """Posterior probabilities of the experts given x and y, (n, K)."""
        check_is_fitted(self)
        return self.likelihood(X, y, exposure=exposure).responsibilities(self.theta_)

    @row_wise
    def score_samples(self, X, y=None, *, exposure=None):
        """Log density, of a discrete response log-probability, of each row.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,), optional
            Without it the expected log density is returned: minus the entropy of the response given x.
        exposure : array-like of shape (n,), optional
            For Poisson experts.

        Returns
        -------
        ndarray of shape (n,)
            log p(y | x), in nats.
        """
        check_is_fitted(self)
        if y is None:
            return self._by_row(self.model_.expected_log_pdf, X, exposure=exposure)
        return self.likelihood(X, y, exposure=exposure).score_samples(self.theta_)

    def likelihood(self, X, y, sample_weight=None, *, exposure=None):
        """The log-likelihood of the fitted model on data, without a penalty, as a function of theta in user units.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), optional
        exposure : array-like of shape (n,), optional
            For Poisson experts.

        Returns
        -------
        Likelihood
            `likelihood.value(estimator.theta_)` on the training data is `loglik_`.
        """
        check_is_fitted(self)
        rows = evaluation_rows(self, X, y, sample_weight, exposure)
        return Likelihood(self.model_, rows, _user_units(self.model_, self.units_))

    @property
    def dof_(self):
        """Number of identified parameters; under a lasso of those that are not zero."""
        check_is_fitted(self)
        return self.certificate_.get("n_nonzero", self.model_.dof(self.theta_))

    def aic(self, X, y, sample_weight=None, *, exposure=None):
        """Akaike's criterion, -2 log-likelihood + 2 dof: smaller is better (doi:10.1109/TAC.1974.1100705)."""
        return -2 * self.likelihood(X, y, sample_weight, exposure=exposure).value(self.theta_) + 2 * self.dof_

    def bic(self, X, y, sample_weight=None, *, exposure=None):
        """Schwarz's criterion, -2 log-likelihood + dof log n, n the sum of weights (doi:10.1214/aos/1176344136)."""
        return self._bic(self.likelihood(X, y, sample_weight, exposure=exposure))

    def icl(self, X, y, sample_weight=None, *, exposure=None):
        """Integrated completed likelihood: BIC plus twice the responsibilities' entropy (doi:10.1109/34.865189)."""
        likelihood = self.likelihood(X, y, sample_weight, exposure=exposure)
        return self._bic(likelihood) + 2 * likelihood.entropy(self.theta_)

    def _bic(self, likelihood):
        warn_of_small_weights(likelihood.rows.weight)
        return -2 * likelihood.value(self.theta_) + self.dof_ * np.log(likelihood.total_weight)


def _user_units(model, units):
    """The linear map from theta in user units to the model's scaled parameters."""
    return np.column_stack([model.to_scaled(e, units) for e in np.eye(model.n_params)])
