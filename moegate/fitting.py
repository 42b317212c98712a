"""From starts to a winner: many short EM runs, the best of them climbed to the end, degenerate ends put last."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from .initialization import Sample, starts
from .likelihood import STACKED_ROWS
from .solvers import EM, LBFGS, UNCERTIFIED, Continuation, Newton

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
PATHS, APART = 4, 0.3  # one in so many of n_init runs follows a gate's path, and as many that began so far apart
UNFINISHED, NEARLY_FINISHED = 0.1, 0.01  # mean difference of log densities by which runs count as different
HIGHER = 0.01  # log-likelihood by which an unfinished run must stand above the best end to be climbed after all
START_ROWS = 2_000  # rows on which starts compete
SUBSAMPLE = 20_000  # rows on which runs are climbed to their end, before the best climb on all
PER_PARAMETER = 50  # rows for each parameter, where that is more
MUCH_MORE = 3  # a sample is drawn where there are so many times as many rows
TIES_BELOW = 100_000  # rows: where tight experts are looked through for tied responses
FULL_RUNS, ERRORS = 3, 3.0  # climbs on all rows at most; standard errors within which a run rivals the best


@dataclass(frozen=True)
class Run:
    """End of one run: where it started, where it came, and whether the result can be used.

    Attributes
    ----------
    start : int
    kind : str
    stage : str
        "short" (EM steps only), "middle" (some solver iterations), "long" (to the end), "full" (on all rows after a
        subsample).
    n_rows : int
        Rows that it saw.
    theta : ndarray of shape (p,)
        In scaled units.
    loglik : float
    history : ndarray
    converged : bool
    certificate : dict or None
    degenerate : tuple of int
        Experts on their scale floor or on too few rows.
    """

    start: int
    kind: str
    stage: str
    n_rows: int
    theta: np.ndarray
    loglik: float
    history: np.ndarray
    converged: bool = False
    certificate: dict = field(default_factory=lambda: dict(UNCERTIFIED))
    degenerate: tuple = ()

    @property
    def rank(self):
        """Sort key: sound before degenerate, then the log-likelihood."""
        return not self.degenerate, self.loglik


def automatic_solver(likelihood, max_iter, tol):
    """A continuation where the gate has a path; else Newton up to some hundred parameters, quasi-Newton above."""
    if len(likelihood.path()) > 1:
        return Continuation(max_iter=max_iter, tol=tol)
    return (Newton if likelihood.n_params <= NEWTON_LIMIT else LBFGS)(max_iter=max_iter, tol=tol)


def pooled(likelihood):
    """The fit in which all experts are the same: one expert's maximum likelihood, and an even gate."""
    theta, K = likelihood.model.initial(likelihood.rows.units), likelihood.model.n_experts
    even = np.full((likelihood.rows.n_rows, K), 1 / K)
    for _ in range(3):
        theta = likelihood.m_step(theta, even)
    return theta


def degenerate_experts(likelihood, theta):
    """Experts that the family calls degenerate, and tight ones that rest on a few tied responses.

    One expert alone is degenerate on its scale floor only: its likelihood is bounded unless it fits exactly. An expert
    that a penalty holds is never so.
    """
    model, n = likelihood.model, likelihood.rows.n_rows
    coef, width = model.split(theta)[1], len(model.expert_rows)
    if likelihood.tamed:
        return ()
    if model.n_experts == 1:
        return tuple(np.flatnonzero(model.experts.on_boundary(coef)).tolist())
    bad = model.experts.degenerate(coef, likelihood.expert_rows(theta), n, width)
    if np.any(model.experts.suspect(coef) & ~bad) and n <= TIES_BELOW:
        bad |= model.experts.suspect(coef) & (likelihood.expert_responses(theta) < model.rows_needed)
    return tuple(np.flatnonzero(bad).tolist())


def begin(likelihood, sample, origin, chunk, steps=USUAL.steps):
    """The first EM steps from the responsibilities of some starts, together."""
    model, x = likelihood.model, sample.x * likelihood.rows.units.scale + likelihood.rows.units.center
    resps = [model.gate.scores.arrange(x, start.responsibilities(sample, model.n_experts)) for start in chunk]
    origins = np.stack([model.begin(origin, x, resp * sample.weight[:, None]) for resp in resps])
    ends = EM(max_iter=steps, tol=1e-3).run_all(likelihood, likelihood.m_steps(origins, np.stack(resps)))
    return [
        _judged(likelihood, Run(start.number, start.kind, "short", sample.n_rows, theta, value, np.array(history)))
        for start, theta, value, history in zip(chunk, *ends, strict=True)
    ]


def _chunks(work, n_rows):
    """Starts in groups that fill the arrays of a pass; n_jobs has no part in it."""
    size = max(1, STACKED_ROWS // n_rows)
    return [work[at : at + size] for at in range(0, len(work), size)]


def _judged(likelihood, run):
    return replace(run, degenerate=degenerate_experts(likelihood, run.theta))


def unclimbed(likelihood, theta, kind):
    """A point taken as a run that has not begun."""
    value = likelihood.value(theta)
    if not np.isfinite(value):
        raise ValueError(
            f"The log-likelihood is {value} at the {kind} parameters; scales must be positive and not tiny."
        )
    return _judged(likelihood, Run(0, kind, "long", likelihood.rows.n_rows, theta, value, np.array([])))


def climb(likelihood, solver, run, stage="long"):
    """A run continued by a solver."""
    solution = solver.solve(likelihood, run.theta)
    end = replace(
        run,
        stage=stage,
        n_rows=likelihood.rows.n_rows,
        theta=solution.theta,
        loglik=solution.loglik,
        history=solution.history,
        converged=solution.converged,
        certificate=solution.certificate,
    )
    return _judged(likelihood, end)


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
    long = _climb_all(parallel, small, solver, chosen, "long", tasks)
    waiting = _overtaking(long, _waiting(chosen, middle, short)) if easy is tiny else []
    while waiting:  # spikes on their way had displaced them
        long = _best_first(long + _climb_all(parallel, small, solver, waiting[:n_init], "long", tasks))
        waiting = _overtaking(long, waiting[n_init:])
    if small is likelihood:
        return long + middle + short
    full = _climb_all(parallel, likelihood, solver, _rivals(small, long), "full", tasks)
    if not full:  # stopped before: the best so far, on all rows
        full = [replace(unclimbed(likelihood, long[0].theta, long[0].kind), start=long[0].start, stage="full")]
    return full + long + middle + short


def _stages(parallel, small, solver, work, n_init, funnel):
    """From starts to the runs worth finishing: the short runs and the middle ones, each best first."""
    sample, origin = Sample.from_rows(small.rows, small.model.experts), pooled(small)
    chunks = _chunks(work, sample.n_rows)
    chunks = parallel(delayed(begin)(small, sample, origin, chunk, funnel.steps) for chunk in chunks)
    short = _best_first([run for chunk in chunks for run in chunk])
    brief = {"max_iter": funnel.climb_steps, "certified": False}
    brief = replace(solver, **{name: value for name, value in brief.items() if hasattr(solver, name)})
    some = _different(small, short, funnel.climbed * n_init, UNFINISHED)
    middle = parallel(delayed(climb)(small, brief, run, "middle") for run in some)
    return short, _best_first(middle)


def _for_paths(easy, middle, short, n_init):
    """Runs that follow a gate's path: a few of the best on its easy end, and as many that have only begun."""
    n = -(-n_init // PATHS)
    chosen = _different(easy, middle, n, UNFINISHED, fill=False)
    begun = {run.start for run in chosen}
    return chosen + _different(easy, [run for run in short if run.start not in begun], n, APART, fill=False)


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


def best(runs):
    """The best sound run among the last stage's; a degenerate one where there is no other."""
    stage = runs[0].stage
    return max((run for run in runs if run.stage == stage), key=lambda run: run.rank)


def _best_first(runs):
    return sorted(runs, key=lambda run: run.rank, reverse=True)


def _climb_all(parallel, likelihood, solver, runs, stage, tasks):
    return _best_first(parallel(delayed(task)(likelihood, solver, run, stage) for task, run in tasks(runs)))


def _subsampled(likelihood, size):
    """The likelihood of a random part of the rows where there are many times more than needed, else itself."""
    n, size = likelihood.rows.n_rows, max(size, PER_PARAMETER * likelihood.n_params)
    return likelihood if n <= MUCH_MORE * size else likelihood.on(likelihood.rows.thinned(size / n, draw=size))
