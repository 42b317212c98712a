"""Fits for several numbers of experts, each from the estimator's own starts and from its neighbours."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone
from sklearn.utils.parallel import delayed

from ..estimators.collections import is_dask
from ..initialization import Sample, merge, split

GAIN = 1e-6  # log-likelihood by which a start from a neighbour must be better to take the place of the default ones


@dataclass(frozen=True)
class Candidate:
    """One fit, the kind of start that won, and what it warned of."""

    model: object
    start: str
    messages: tuple

    @property
    def degenerate(self):
        return bool(self.model.init_results_["degenerate"].iloc[0])

    @property
    def climbed(self):
        """What was maximised."""
        return getattr(self.model, "objective_", self.model.loglik_)

    def beats(self, other):
        """Whether it is sound where the other is not, or climbed higher."""
        if self.degenerate != other.degenerate:
            return other.degenerate
        return self.climbed > other.climbed + GAIN


@dataclass(frozen=True)
class Problem:
    """An estimator and the data to fit it to."""

    estimator: object
    X: object
    y: object
    weight: np.ndarray
    exposure: object

    def fit(self, K, init=None, start="default", weight=None):
        """A fit of K experts from the estimator's own starts, or from responsibilities or parameters."""
        model = clone(self.estimator).set_params(n_experts=K)
        own = model.init
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            model.set_params(init=own if init is None else init)
            model.fit(self.X, self.y, self.weight if weight is None else weight, **self.exposed)
        messages = tuple((warning.category, str(warning.message)) for warning in told)
        return Candidate(model.set_params(init=own), start, messages)

    @property
    def exposed(self):
        """The exposure as an argument, where there is one."""
        return {} if self.exposure is None else {"exposure": self.exposure}

    def likelihood(self, model, weight=None):
        """The likelihood of a fitted model on the data, unpenalised."""
        return model.likelihood(self.X, self.y, self.weight if weight is None else weight, **self.exposed)

    def neighbours(self, model, kind):
        """Responsibilities from which fits of one expert more ("split") or less ("merge") start."""
        likelihood = self.likelihood(model)
        sample = Sample.from_rows(likelihood.rows, model.model_.experts)
        resp = likelihood.responsibilities(model.theta_)
        return split(sample, resp) if kind == "split" else merge(resp, sample.weight)


def sweep(problem, parallel, sizes):
    """The best fit of every number of experts: from default starts, then upwards by splits and downwards by merges."""
    fits = dict(zip(sizes, parallel(delayed(problem.fit)(K) for K in sizes)))
    if is_dask(problem.X):  # splits and merges start from responsibilities of all rows
        return fits
    for kind, step, order in (("split", -1, sizes), ("merge", 1, sizes[::-1])):
        for K in order:
            if K > 1 and K + step in fits:
                inits = problem.neighbours(fits[K + step].model, kind)
                fits[K] = best([fits[K], *parallel(delayed(problem.fit)(K, init, kind) for init in inits)])
    return fits


def best(candidates):
    """The first candidate that no later one beats."""
    winner = candidates[0]
    for other in candidates[1:]:
        winner = other if other.beats(winner) else winner
    return winner
