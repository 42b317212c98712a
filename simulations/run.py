"""Runs the missing replicates of an experiment, in parallel and in any order; the table does not depend on it."""

import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits

from .designs import BY_NAME
from .table import Table, text

BATCH = 40_000  # rows of data in one task: small fits travel together


@dataclass(frozen=True)
class Task:
    """Some replicates of one arm and size."""

    name: str
    arm: int
    n: int
    replicates: tuple

    @property
    def cost(self):
        return self.n * len(self.replicates)

    def __call__(self):
        """Rows of the table."""
        experiment = BY_NAME[self.name]
        arm = experiment.arms[self.arm]
        with threadpool_limits(1):
            return [self._row(arm, r) for r in self.replicates]

    def _row(self, arm, r):
        found = arm.run(self.n, seed(self.name, arm.truth, self.n, r))
        key = {"arm": arm.name, "n": self.n, "replicate": r}
        return {name: text(value) for name, value in (key | found).items()}


def seed(name, truth, n, replicate):
    """The randomness of a data set: the same for all arms with its truth, whatever else runs."""
    return np.random.SeedSequence([crc32(name.encode()), crc32(truth.encode()), n, replicate])


def quickened(experiment):
    """The same experiment with few sizes and replicates."""
    sizes, replicates = experiment.quick
    return replace(experiment, sizes=sizes, replicates=replicates, span=(sizes[0], sizes[-1]))


def tasks(experiment, done):
    """What is missing, the costly first."""
    out = []
    for at, arm in enumerate(experiment.arms):
        for n in experiment.sizes:
            missing = [r for r in range(arm.times * experiment.replicates) if (arm.name, str(n), str(r)) not in done]
            size = max(1, BATCH // n)
            out += [Task(experiment.name, at, n, tuple(missing[i : i + size])) for i in range(0, len(missing), size)]
    return sorted(out, key=lambda task: -task.cost)


def run(experiment, table=None, workers=2, backend="loky", show=print):
    """Run what is missing.

    Parameters
    ----------
    experiment : Experiment
    table : Table, optional
    workers : int
    backend : {"loky", "dask"}
        "dask" uses the client that is active, or else starts one on this machine.
    show : callable
        Gets a line on how far it is.

    Returns
    -------
    Table
    """
    table = Table(experiment) if table is None else table
    work = tasks(experiment, table.begin())
    total, done, began = sum(task.cost for task in work), 0, time.monotonic()
    with _backend(backend, workers):
        results = Parallel(return_as="generator_unordered", batch_size=1)(delayed(_finished)(task) for task in work)
        for task, rows in results:
            table.append(rows)
            done += task.cost
            show(_line(experiment.name, done / total, time.monotonic() - began))
    return table


@contextmanager
def _backend(name, workers):
    """Joblib's processes, or dask's."""
    if name != "dask":
        with parallel_config(name, n_jobs=workers):
            yield
        return
    from distributed import LocalCluster, get_client

    try:
        get_client()
        cluster = nullcontext()
    except ValueError:
        cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    with cluster as own, own.get_client() if own is not None else nullcontext():
        with parallel_config("dask"):
            yield


def _finished(task):
    return task, task()


def _line(name, share, seconds):
    left = seconds * (1 - share) / share
    filled = int(24 * share)
    return f"{name:24s} [{'#' * filled}{'.' * (24 - filled)}] {100 * share:5.1f}%  {left / 60:5.1f} min left"
