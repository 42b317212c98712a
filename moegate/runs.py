"""One run of a fit: where it began, where it came, and whether the result can be used."""

from dataclasses import dataclass, field, replace

import numpy as np

from .solvers import UNCERTIFIED

TIES_BELOW = 100_000  # rows: where tight experts are looked through for tied responses


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
        Of what was climbed: under a penalty the log-likelihood less `taken`, which is what the penalty takes.
    taken : float
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
    taken: float = 0.0

    @property
    def rank(self):
        """Sort key: sound before degenerate, then the log-likelihood."""
        return not self.degenerate, self.loglik


def pooled(likelihood):
    """The fit in which all experts are the same: one expert's maximum likelihood, and an even gate."""
    easy, theta = likelihood.path()[0], likelihood.model.initial(likelihood.rows.units)
    for _ in range(3):
        theta = easy.m_step(theta)
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


def judged(likelihood, run):
    """The run with its degenerate experts named, and with what the penalty takes."""
    return replace(run, degenerate=degenerate_experts(likelihood, run.theta), taken=likelihood.taken(run.theta))


def unclimbed(likelihood, theta, kind):
    """A point taken as a run that has not begun."""
    value = likelihood.value(theta)
    if not np.isfinite(value):
        raise ValueError(
            f"The log-likelihood is {value} at the {kind} parameters; scales must be positive and not tiny."
        )
    return judged(likelihood, Run(0, kind, "long", likelihood.rows.n_rows, theta, value, np.array([])))


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
    return judged(likelihood, end)


def best(runs):
    """The best sound run among the last stage's; a degenerate one where there is no other."""
    stage = runs[0].stage
    return max((run for run in runs if run.stage == stage), key=lambda run: run.rank)


def best_first(runs):
    """Sorted by rank."""
    return sorted(runs, key=lambda run: run.rank, reverse=True)
