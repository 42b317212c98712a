"""One fit of a path of strengths: the arrays, the estimator and the refit that can be made of it."""

from dataclasses import dataclass

from sklearn.base import clone

from ..relaxed import relaxed
from ..sparse import SparseFit
from .chosen import ordered, selected
from .labels import named
from .report import ending_message, runs_table


@dataclass(frozen=True, eq=False)
class Knot:
    """One fit of the path, from which its estimator and its refit can be made.

    Attributes
    ----------
    base : MoERegressor or MoEClassifier
        That has checked the data.
    data : TrainingData
        On all columns.
    fit : SparseFit
        With the penalty of the knot.
    gate, experts : tuple of int
        The columns with a coefficient that is not zero.
    run : Run
    """

    base: object
    data: object
    fit: SparseFit
    gate: tuple
    experts: tuple
    run: object

    @classmethod
    def of(cls, base, data, fit, problem, run):
        """Of an end of climbs."""
        smaller, run = selected(fit, problem, run)
        run = ordered(base, fit.penalty, smaller.likelihood.unpenalised(), run)
        return cls(base, data, fit, smaller.gate, smaller.experts, run)

    @property
    def problem(self):
        """On the columns of the knot."""
        return self.fit.problem(self.gate, self.experts)

    @property
    def n_plain(self):
        """Number of parameters that are no slopes: those of the model without columns."""
        return len(self.fit.problem((), ()).penalty.weights)

    def relaxed(self):
        """The refit and its basis."""
        return relaxed(self.problem, self.run, self.base.max_iter, self.base.tol)

    def estimator(self, run=None, basis=None):
        """The fitted estimator, of the run on the path or of another with its basis."""
        problem, run = self.problem, self.run if run is None else run
        made = clone(self.base).set_params(penalty=self.fit.penalty)
        learned = self.base._learned(problem.likelihood.unpenalised(), self.data.only(problem), run)
        free = {} if basis is None else {"free_": basis}
        seen = {name: value for name, value in vars(self.base).items() if name.endswith("_")}
        vars(made).update(seen | learned | free, init_results_=runs_table([run], "objective_" in learned))
        return made

    def message(self, run):
        """What a fit with this end warns of, or None."""
        return ending_message(run, self.problem.likelihood.unpenalised(), self.base)

    def row(self):
        """What the path keeps as arrays."""
        problem, run = self.problem, self.run
        likelihood, only = problem.likelihood.unpenalised(), self.data.only(problem)
        user = likelihood.model.to_user(run.theta, likelihood.rows.units)
        parts = named(user, likelihood.model, only.used, self.base.n_features_in_)
        found, value = run.certificate, float(likelihood.value(run.theta))
        return parts["coef_"], parts["gate_coef_"], run.loglik, value, found["n_nonzero"], found["kkt"], found["kind"]
