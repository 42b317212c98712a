"""Fits tell scikit-learn's callbacks where they are: one task per long run, below it one per iteration."""

from dataclasses import dataclass, replace

from sklearn.callback import CallbackContext

from ..fitting import adjusted
from ..runs import climb
from .checkpoint import stood

GIVEN = ("init", "warm_start", "pooled")  # kinds of starts that are no search


class Progress:
    """The root task of one fit; makes the tasks of its runs.

    Parameters
    ----------
    estimator : MoEBase
    data : dict
        `X`, `y`, `metadata`, as the callbacks get them.
    learned : callable
        Fitted attributes from a Run, so that callbacks can evaluate the estimator as it stands.
    """

    def __init__(self, estimator, data, learned):
        self.estimator, self.data, self.learned, self.stopped = estimator, data, learned, False
        self.context = estimator._init_callback_context(max_subtasks=None)
        self.context.call_on_fit_task_begin(estimator=estimator, **data)

    @property
    def watched(self):
        """Whether anybody listens."""
        return bool(self.callbacks)

    @property
    def callbacks(self):
        """Who listens."""
        return getattr(self.estimator, "_skl_callbacks", [])

    def tasks(self, runs):
        """The function to climb with, for each run until a callback stops the fit."""
        for run in runs:
            if self.stopped:
                return
            yield (RunTask(self, self.context.subcontext("run", max_subtasks=None)) if self.watched else climb), run

    def end(self, winner):
        """Close the root task."""
        self.context.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=lambda: self.learned(winner), **self.data
        )


@dataclass
class RunTask:
    """Climbs one run and reports each iteration; a callback's true answer stops the run, or after it the fit."""

    progress: Progress
    context: CallbackContext

    def __call__(self, likelihood, solver, run, stage):
        """See `fitting.climb`."""
        self.run = run = self._resumed(likelihood, run, stage)
        self._begin(self.context)
        end = climb(likelihood, adjusted(solver, monitor=self.iteration), run, stage)
        self.progress.stopped |= self._end(self.context, end)
        return end

    def _resumed(self, likelihood, run, stage):
        """The run where it stood before a crash; on the path to a gate no point is like another."""
        if len(likelihood.path()) > 1:
            return run
        alone = stage == "full" or run.kind in GIVEN
        theta = stood(self.progress.callbacks, self.context.task_id, self.progress.estimator, likelihood, alone)
        return run if theta is None else replace(run, theta=theta)

    def iteration(self, theta, value):
        """Report one iteration; true to stop the run."""
        context = self.context.subcontext("iteration")
        self._begin(context)
        return self._end(context, replace(self.run, theta=theta, loglik=value))

    def _begin(self, context):
        context.call_on_fit_task_begin(estimator=self.progress.estimator, **self.progress.data)

    def _end(self, context, run):
        return context.call_on_fit_task_end(
            estimator=self.progress.estimator,
            reconstruction_attributes=lambda: self.progress.learned(run),
            **self.progress.data,
        )
