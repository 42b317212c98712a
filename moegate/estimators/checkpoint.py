"""A fit that was cut off goes on: a callback that keeps where each run stands, and runs that begin there."""

import os
import tempfile
from pathlib import Path

import numpy as np

ASKED = (
    "n_experts",
    "gate",
    "experts",
    "penalty",
    "init",
    "n_init",
    "gate_features",
    "expert_features",
    "exposure",
    "class_weight",
    "random_state",
)
SAME = 1e-6  # relative difference of the log-likelihood up to which data are taken for those of the checkpoint


class Checkpoint:
    """Callback that writes the parameters of every run to a folder, from which the same fit goes on after a crash.

    A fit with a checkpoint of its own data and parameters in the folder repeats what is cheap, the short runs of its
    search; long runs that had ended begin at their end. A single run, and the climb on all rows after a subsample, go
    on where they stood; a run of a search that was cut off is made again, since from halfway it might climb another
    hill. So do all runs of a gate with a path (top-K, sparsemax, Gumbel). At the end of a fit its files are removed.

    Parameters
    ----------
    path : str or Path
        Folder, made where there is none; each fit needs its own.
    every : int, default=1
        Iterations between two writes of a run, besides one at its end. A file is complete or not there at all.

    Notes
    -----
    `tol`, `max_iter` and `solver` may change between the fit that was cut off and the one that goes on. For the same
    runs in the same order `random_state` must be an integer. Where a fit ended with an error, for example
    since a scheduler was lost, `theta` is what was last written: pass it as `init`.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from moegate import Checkpoint, MoERegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-2, 2, (300, 1))
    >>> y = np.where(rng.random(300) < 0.5, 1 + X[:, 0], -1 - X[:, 0]) + 0.3 * rng.standard_normal(300)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     moe = MoERegressor(n_init=1, random_state=0).set_callbacks(Checkpoint(folder)).fit(X, y)
    >>> moe.converged_
    True
    """

    def __init__(self, path, every=1):
        self.path = path
        self.every = every
        self._seen = {}

    def setup(self, estimator, context):
        """Begin to count; see `sklearn.callback`."""
        if not isinstance(self.every, int) or self.every < 1:
            raise ValueError(f"every expects an integer >= 1, got {self.every!r}.")
        Path(self.path).mkdir(parents=True, exist_ok=True)
        self._seen = {}

    def teardown(self, estimator, context):
        """Nothing to do; see `sklearn.callback`."""

    def on_fit_task_begin(self, estimator, context):
        """Nothing to do; see `sklearn.callback`."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Write after some iterations and after a run, remove the files after the fit; see `sklearn.callback`."""
        if context.task_name == "iteration":
            run = context.parent.task_id
            self._seen[run] = self._seen.get(run, 0) + 1
            if self._seen[run] % self.every == 0:
                self._write(run, fitted_estimator, ended=False)
        elif context.task_name == "run":
            self._write(context.task_id, fitted_estimator, ended=True)
        elif context.task_name == "fit":
            for file in self._files():
                file.unlink()

    @property
    def theta(self):
        """Parameters in user units that were written last, (p,); None where there are none."""
        files = sorted(self._files(), key=lambda file: file.stat().st_mtime_ns)
        return _read(files[-1])["theta"] if files else None

    def resume(self, run, estimator, likelihood, midway):
        """Parameters, in the units of a likelihood, at which a run of this fit stood, or None.

        Parameters
        ----------
        run : int
        estimator : MoEBase
        likelihood : Likelihood
            Which the run climbs; at the parameters its value must be the one that was written with them.
        midway : bool
            Whether a run that had not ended counts.

        Raises
        ------
        ValueError
            Where the file belongs to other data or parameters.
        """
        file = self._file(run)
        if not file.exists():
            return None
        found = _read(file)
        if str(found["asked"]) == _asked(estimator) and len(found["theta"]) == likelihood.model.n_params:
            theta = likelihood.model.to_scaled(found["theta"], likelihood.rows.units)
            same = np.isclose(likelihood.unpenalised().value(theta), found["loglik"], rtol=SAME, atol=SAME)
        else:
            same = False
        if not same:
            raise ValueError(
                f"The checkpoint {file} expects the data and the parameters that it was made with, got others; give "
                "this fit a folder of its own, or remove the files."
            )
        return theta if midway or found["ended"] else None

    def _file(self, run):
        return Path(self.path) / f"run{run}.npz"

    def _files(self):
        return list(Path(self.path).glob("run*.npz"))

    def _write(self, run, fitted, ended):
        """To a temporary file that then takes the name."""
        content = {"theta": fitted.theta_, "loglik": fitted.loglik_, "ended": ended, "asked": _asked(fitted)}
        handle, name = tempfile.mkstemp(dir=self.path, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, self._file(run))


def _read(file):
    with np.load(file) as content:
        return dict(content)


def _asked(estimator):
    """The parameters that decide which runs there are, as text; of arrays their ends."""
    params = estimator.get_params(deep=False)
    return repr({name: params.get(name) for name in ASKED})


def stood(callbacks, *run):
    """Where a callback says that a run stood, or None; `run` as `Checkpoint.resume` has it."""
    found = (c.resume(*run) for c in callbacks if hasattr(c, "resume"))
    return next((theta for theta in found if theta is not None), None)
