"""Many independent tasks: over processes, in a fixed order, with a bar for those who want one."""

from contextlib import contextmanager

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed


def seeds(random_state, n):
    """n independent seeds (n, 4) of 32 bits; task i has the i-th, whatever runs it."""
    return check_random_state(random_state).randint(2**31 - 1, size=(n, 4))


def mapped(function, items, n_jobs=None, progress=None):
    """`[function(item) for item in items]`, in parallel.

    Parameters
    ----------
    function : callable
    items : list
    n_jobs : int, optional
        As joblib has it; the result does not depend on it.
    progress : str, optional
        Shows a bar with this label, if rich is installed.
    """
    items = list(items)
    with _bar(progress, len(items)) as advance:
        out = []
        for result in Parallel(n_jobs=n_jobs, return_as="generator")(delayed(function)(item) for item in items):
            advance()
            out.append(result)
        return out


@contextmanager
def _bar(label, total):
    """A function to call after each task."""
    if label is None:
        yield lambda: None
        return
    try:
        from rich.progress import Progress
    except ImportError as error:
        raise ImportError("A progress bar needs rich: pip install 'moegate[progress]', or progress=False.") from error
    with Progress() as bar:
        task = bar.add_task(label, total=total)
        yield lambda: bar.advance(task)


def generator(seed):
    """A numpy generator from one of `seeds`."""
    return np.random.default_rng(seed)
