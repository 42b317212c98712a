"""From starts to a winner: many short EM runs, the best of them climbed to the end, degenerate ends put last."""

from dataclasses import fields, is_dataclass, replace
from typing import NamedTuple

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from .initialization import Sample, starts, strips
from .likelihood import STACKED_ROWS
from .runs import Run, best_first, climb, judged, pooled, unclimbed
from .solvers import EM, LBFGS, Chord, Continuation, Newton

NEWTON_LIMIT = 500  # parameters above which second derivatives cost too much


class Funnel(NamedTuple):
    """From starts to finished runs: at each stage the best runs go on, in multiples of n_init.

    Attributes
    ----------
    starts, steps : int
        Starts, and their EM steps.
    climbed, climb_steps : int
        Different runs that go on, and their solver iterations.
    long : float
        Runs climbed to their end.
    """

    starts: int
    steps: int
    climbed: int
    climb_steps: int
    long: float


USUAL, LARGE = Funnel(15, 12, 3, 8, 1.0), Funnel(4, 6, 1, 60, 0.3)  # up to NEWTON_LIMIT parameters, and above
LONGER = 2  # times as many steps of starts where an M-step of the experts is but one Newton step
SPLITS, SPLIT_STEPS = 60, 5  # splits of the columns tried for each path, and M-steps on each
PATHS, APART = 4, 0.3  # one in so many of n_init runs follows a gate's path, and as many that began so far apart
UNFINISHED, NEARLY_FINISHED = 0.1, 0.01  # mean difference of log densities by which runs count as different
HIGHER = 0.01  # log-likelihood by which an unfinished run must stand above the best end to be climbed after all
START_ROWS = 2_000  # rows on which starts compete
SUBSAMPLE = 20_000  # rows on which runs are climbed to their end, before the best climb on all
PER_PARAMETER = 50  # rows for each parameter, where that is more
MUCH_MORE = 3  # a sample is drawn where there are so many times as many rows
FULL_RUNS, ERRORS = 3, 3.0  # climbs on all rows at most; standard errors within which a run rivals the best


def automatic_solver(likelihood, max_iter, tol):
    """A continuation where the gate has a path; else Newton up to some hundred parameters, quasi-Newton above."""
    if len(likelihood.path()) > 1:
        return Continuation(max_iter=max_iter, tol=tol)
    return (Newton if likelihood.n_params <= NEWTON_LIMIT else LBFGS)(max_iter=max_iter, tol=tol)


def adjusted(solver, **options):
    """A solver with those of the options that it has; one that is no dataclass has none."""
    known = {field.name for field in fields(solver)} if is_dataclass(solver) else set()
    found = {name: value for name, value in options.items() if name in known}
    return replace(solver, **found) if found else solver


def begin(likelihood, sample, origin, chunk, steps=USUAL.steps):
    """The first EM steps from the responsibilities of some starts, together."""
    model, x = likelihood.model, sample.x * likelihood.rows.units.scale + likelihood.rows.units.center
    resps = [model.gate.scores.arrange(x, start.responsibilities(sample, model.n_experts)) for start in chunk]
    origins = np.stack([model.begin(origin, x, resp * sample.weight[:, None]) for resp in resps])
    ends = EM(max_iter=steps, tol=1e-3).run_all(likelihood, likelihood.m_steps(origins, np.stack(resps)))
    return [
        judged(likelihood, Run(start.number, start.kind, "short", sample.n_rows, theta, value, np.array(history)))
        for start, theta, value, history in zip(chunk, *ends, strict=True)
    ]


def _chunks(work, n_rows):
    """Starts in groups that fill the arrays of a pass; n_jobs has no part in it."""
    size = max(1, STACKED_ROWS // n_rows)
    return [work[at : at + size] for at in range(0, len(work), size)]


def plain_tasks(runs):
    """Climb every run, unwatched."""
    return ((climb, run) for run in runs)


def search(likelihood, solver, init, n_init, entropy, n_jobs=None, tasks=plain_tasks):
    """All runs, best first; where rows are very many, starts compete on a few and the best go on to more.

    Parameters
    ----------
    likelihood : Likelihood
        In scaled coordinates.
    solver : object
        Of the long runs.
    init : str
        A kind of start, or "auto".
    n_init : int
        Long runs.
    entropy : int
        From which every start gets its own stream.
    n_jobs : int, optional
        Parallel runs; the result does not depend on it.
    tasks : callable
        From runs to pairs (function to climb with, run), see `estimators.progress`.

    Returns
    -------
    list of Run
        Finished runs first, those of earlier stages after; each stage sorted best first.
    """
    small = _subsampled(likelihood, SUBSAMPLE)
    parallel = Parallel(n_jobs=n_jobs)
    tiny = _subsampled(small, START_ROWS)
    easy = tiny.path()[0]
    funnel = USUAL if likelihood.n_params <= NEWTON_LIMIT else LARGE
    short, middle = _stages(parallel, easy, solver, starts(init, funnel.starts * n_init, entropy), n_init, funnel)
    n_init = int(np.ceil(funnel.long * n_init))
    if easy is tiny:
        chosen = _different(easy, middle, n_init, NEARLY_FINISHED)
    else:
        chosen = _for_paths(easy, middle, short, n_init)
        if init == "auto" and tiny.model.gate.selects_one and len(tiny.model.gate_rows) > 1:
            chosen += _splits(tiny, easy, funnel.starts * n_init, -(-n_init // PATHS), entropy)
    long = _climb_all(parallel, small, solver, chosen, "long", tasks)
    waiting = _overtaking(long, _waiting(chosen, middle, short)) if easy is tiny else []
    while waiting:  # spikes on their way had displaced them
        long = best_first(long + _climb_all(parallel, small, solver, waiting[:n_init], "long", tasks))
        waiting = _overtaking(long, waiting[n_init:])
    if small is likelihood:
        return long + middle + short
    near = Chord(small, replace(solver, warm_up=0)) if isinstance(solver, Newton) else solver
    parallel = parallel if likelihood.rows.local else Parallel()
    full = _climb_all(parallel, likelihood, near, _rivals(small, long), "full", tasks)
    if not full:  # stopped before: the best so far, on all rows
        full = [replace(unclimbed(likelihood, long[0].theta, long[0].kind), start=long[0].start, stage="full")]
    return full + long + middle + short


def _stages(parallel, small, solver, work, n_init, funnel):
    """From starts to the runs worth finishing: the short runs and the middle ones, each best first."""
    sample, origin = Sample.from_rows(small.rows, small.model.experts), pooled(small)
    chunks = _chunks(work, sample.n_rows)
    steps = funnel.steps * (LONGER if small.model.experts.discrete else 1)
    chunks = parallel(delayed(begin)(small, sample, origin, chunk, steps) for chunk in chunks)
    short = best_first([run for chunk in chunks for run in chunk])
    brief = adjusted(solver, max_iter=funnel.climb_steps, certified=False)
    some = _different(small, short, funnel.climbed * n_init, UNFINISHED)
    middle = parallel(delayed(climb)(small, brief, run, "middle") for run in some)
    return short, best_first(middle)


def _for_paths(easy, middle, short, n_init):
    """Runs that follow a gate's path: a few of the best on its easy end, and as many that have only begun."""
    n = -(-n_init // PATHS)
    chosen = _different(easy, middle, n, UNFINISHED, fill=False)
    begun = {run.start for run in chosen}
    return chosen + _different(easy, [run for run in short if run.start not in begun], n, APART, fill=False)


def _splits(likelihood, easy, first, n, entropy):
    """The best of many splits of the columns by parallel hyperplanes, where the gate selects one expert for each row.

    Their likelihood under the gate itself counts: on the path's easy end it is that of another model.
    """
    sample, model, origin = Sample.from_rows(easy.rows, easy.model.experts), easy.model, pooled(easy)
    seen = replace(sample, x=sample.x[:, list(model.gate_rows[:-1])])
    seeds, ends = np.random.SeedSequence((entropy, 1)).spawn(SPLITS * n), []
    for chunk in _chunks(seeds, sample.n_rows):
        resps = np.stack([strips(seen, model.n_experts, np.random.default_rng(seed)) for seed in chunk])
        thetas = np.tile(origin, (len(chunk), 1))
        for _ in range(SPLIT_STEPS):
            thetas = easy.m_steps(thetas, resps)
        ends += zip(thetas, likelihood.values(thetas), strict=True)
    runs = [Run(i, "strips", "short", sample.n_rows, *end, np.array([])) for i, end in enumerate(ends, first)]
    runs = best_first([judged(likelihood, run) for run in runs if np.isfinite(run.loglik)])
    return _different(likelihood, runs, n, UNFINISHED, fill=False)


def _waiting(chosen, middle, short):
    """Runs that have not been climbed to the end, those of the middle stage first."""
    done, begun = {run.start for run in chosen}, {run.start for run in middle}
    return [run for run in middle if run.start not in done] + [run for run in short if run.start not in begun]


def _overtaking(ends, waiting):
    """The sound runs that stand higher than the best sound end already: one of them may have a better end.

    Values on samples of different sizes do not compare: there they go on only where no end is sound.
    """
    sound = [run for run in ends if not run.degenerate]
    reached = max((run.loglik for run in sound), default=-np.inf) + HIGHER
    waiting = [run for run in waiting if not run.degenerate]
    return [run for run in waiting if not sound or (run.n_rows == sound[0].n_rows and run.loglik > reached)]


def _different(likelihood, runs, n, distance, fill=True):
    """The best n runs whose densities differ; where there are fewer, `fill` adds the next best.

    Two runs differ when their log densities differ by more than `distance` in the mean over rows: unfinished runs on
    the way to the same maximum have different log-likelihoods, but much the same density.
    """
    chosen, densities = [], []
    for run in runs:
        density = likelihood.score_samples(run.theta)
        if all(np.mean(np.abs(density - other)) > distance for other in densities):
            chosen.append(run)
            densities.append(density)
        if len(chosen) == n:
            return chosen
    picked = {id(run) for run in (chosen if fill else runs)}
    return chosen + [run for run in runs if id(run) not in picked][: n - len(chosen)]


def _rivals(likelihood, runs):
    """The best run on a subsample, and different ones that more rows might prefer (Vuong 1989, doi:10.2307/1912557)."""
    weight = 1.0 if likelihood.rows.weight is None else likelihood.rows.weight
    chosen, top = [], likelihood.score_samples(runs[0].theta)
    for run in runs:
        lead = top - likelihood.score_samples(run.theta)
        different, lead = not chosen or np.mean(np.abs(lead)) > NEARLY_FINISHED, weight * lead
        if different and lead.sum() <= ERRORS * np.sqrt(len(lead)) * lead.std() and len(chosen) < FULL_RUNS:
            chosen.append(run)
    return chosen


def _climb_all(parallel, likelihood, solver, runs, stage, tasks):
    return best_first(parallel(delayed(task)(likelihood, solver, run, stage) for task, run in tasks(runs)))


def _subsampled(likelihood, size):
    """The likelihood of a random part of the rows where they are elsewhere or far more than needed, else itself."""
    n, size = likelihood.rows.n_rows, max(size, PER_PARAMETER * likelihood.n_params)
    if likelihood.rows.local and n <= MUCH_MORE * size:
        return likelihood
    return likelihood.on(likelihood.rows.thinned(min(1.0, size / n), draw=size))
