"""A callback for tests that need to act in the middle of a fit."""


class EachIteration:
    """Calls a function of (run, iteration, fitted estimator) at the end of each iteration of a fit."""

    def __init__(self, function):
        self.function = function

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "iteration":
            self.function(context.parent.task_id, context.task_id, fitted_estimator)
