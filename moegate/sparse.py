"""Fits under a penalty with corners: few columns at a time, from starts on screened columns."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from .blocks import Rows, Units
from .fitting import automatic_solver, search
from .likelihood import Likelihood
from .penalties import Ridge
from .runs import Run, pooled

SCREENED = 20  # columns on which starts compete
GROWN = 20  # columns that enter at once, at most
LOOSE, BRIEF = 1e-4, 100  # tolerance and iterations of climbs while columns still enter
EMPTY = 0.5  # rows below which an expert has none: the gate sends it to minus infinity
VANISHED = 1e-2  # the same where the conditions of a maximum hold, as they do all the better the further it goes
KEPT = 1e-9  # relative excess of a gradient over its bound, below which a column stays out
START_RIDGE = 1e-2  # strength of the ridge under which starts compete


class Second(NamedTuple):
    """Value, score, observed information and EM metric at a point, as means over rows."""

    value: float
    score: np.ndarray
    hessian: np.ndarray
    information: np.ndarray


@dataclass(frozen=True)
class Problem:
    """The likelihood on some columns, less a penalty, in the penalty's coordinates.

    Parameters
    ----------
    likelihood : Likelihood
        On these columns, with the ridge part of the penalty.
    penalty : Sparse
    gate, experts : tuple of int
        The columns, among all, of gate and experts.
    """

    likelihood: Likelihood
    penalty: object
    gate: tuple
    experts: tuple

    @property
    def _n(self):
        return self.likelihood.total_weight

    def value(self, u):
        """Mean log-likelihood, less the ridge."""
        return self.likelihood.value(self.penalty.theta(u)) / self._n

    def expand(self, u):
        """Value and derivatives."""
        at = self.likelihood.expand(self.penalty.theta(u))
        pull, pull2 = self.penalty.pull, self.penalty.pull2
        observed = pull2(-at.hessian, u) - self.penalty.bend(at.score, u)
        parts = at.value, pull(at.score, u), observed, pull2(at.information, u)
        return Second(*(part / self._n for part in parts))


@dataclass(frozen=True)
class SparseFit:
    """All columns, and how the columns of a smaller problem stand among them.

    Parameters
    ----------
    likelihood : Likelihood
        On all columns, in scaled units, without a penalty.
    penalty : Lasso
        What the user passed.
    """

    likelihood: Likelihood
    penalty: object

    @cached_property
    def x(self):
        """Columns in scaled units, (n, d)."""
        rows = self.likelihood.rows
        return np.concatenate([block.V[: rows.n_columns].T for block in rows])

    @property
    def model(self):
        return self.likelihood.model

    def problem(self, gate, experts):
        """The problem on some columns of the gate and of the experts."""
        used = tuple(sorted({*gate, *experts}))
        place = {c: i for i, c in enumerate(used)}
        rows, units = self.likelihood.rows, self.likelihood.rows.units
        at = list(used)
        small = Rows(
            rows.X[:, at],
            rows.y,
            rows.weight,
            Units(units.center[at], units.scale[at], units.y_center, units.y_scale),
            rows.response,
            offset=rows.offset,
        )
        model = replace(
            self.model,
            n_columns=len(used),
            gate_columns=tuple(place[c] for c in gate),
            expert_columns=tuple(place[c] for c in experts),
            names=None if self.model.names is None else tuple(self.model.names[c] for c in used),
        )
        built = self.penalty.build(model, small.units)
        return Problem(Likelihood(model, small, penalty=built.ridge), built, tuple(gate), tuple(experts))

    def moved(self, problem, theta, to):
        """theta of one problem in another, columns that are not shared at zero."""
        gate, experts = problem.likelihood.model.split(theta)
        experts = experts.reshape(self.model.n_experts, self.model.experts.n_channels, -1)
        there = _columns(gate, problem.gate, to.gate), _columns(experts, problem.experts, to.experts)
        return to.likelihood.model.join(there[0], there[1].reshape(self.model.n_experts, -1))

    @cached_property
    def full(self):
        """The problem on all columns, whose second derivatives nobody asks for."""
        model = self.model
        built = self.penalty.build(model, self.likelihood.rows.units, ridge=False)
        return Problem(self.likelihood, built, model.gate_rows[:-1], model.expert_rows[:-1])

    def outside(self, problem, theta):
        """At a point of a problem: by how much gradients exceed their bounds, by column of gate and of experts, and the
        slack, the least relative distance of a gradient from its bound among coefficients that are zero.
        """
        whole, penalty = self.full, self.full.penalty
        moved = self.moved(problem, theta, whole)
        u = penalty.coordinates(moved)
        score = penalty.pull(self.likelihood.value_and_score(moved)[1], u) / self.likelihood.total_weight
        norms, bound = penalty.norms(score), penalty.weights
        over = norms - bound
        over = np.maximum(over[penalty.plus], np.where(penalty.minus >= 0, over[penalty.minus], -np.inf))
        gate, experts = self.model.split(over)
        experts = experts.reshape(self.model.n_experts * self.model.experts.n_channels, -1)
        zero = (u == 0) & (bound > 0)
        slack = float(np.min(1 - norms[zero] / bound[zero], initial=1.0))
        parts = gate[:, : len(whole.gate)], experts[:, : len(whole.experts)]
        return [part.max(axis=0, initial=-np.inf) for part in parts], slack

    # climbing -------------------------------------------------------------------------------------------------------

    def climb(self, problem, theta, solver):
        """The maximum near theta: columns enter until the conditions hold for those that are out.

        Returns
        -------
        problem : Problem
        solution : Solution
            With the slack and the number of parameters that are not zero in the certificate.
        """
        history, stage = [], replace(solver, tol=max(solver.tol, LOOSE), max_iter=min(solver.max_iter, BRIEF))
        while True:
            solution = stage.solve(problem, problem.penalty.coordinates(theta))
            history += list(solution.history)
            theta = problem.penalty.theta(solution.theta)
            over, slack = self.outside(problem, theta)
            last, climbed = stage is solver, solution.history[-1] > solution.history[0]
            entering = self._entering(problem, over, KEPT if last else stage.tol)
            if any(entering) and (last or climbed or len(history) == len(solution.history)):
                kept = (problem.gate, problem.experts) if last else self.support(problem, theta)  # at last none leaves
                inside = zip(kept, entering, strict=True)
                wider = self.problem(*(tuple(sorted({*old, *new})) for old, new in inside))
                theta, problem = self.moved(problem, theta, wider), wider
            elif last:
                more = {"slack": slack, "n_nonzero": self.nonzero(problem, solution.theta)}
                history = np.maximum.accumulate(history)
                return problem, replace(solution, history=history, certificate=solution.certificate | more)
            else:
                stage = solver

    @staticmethod
    def support(problem, theta):
        """The columns with a coefficient that is not zero, of gate and of experts."""
        gate, experts = problem.likelihood.model.split(theta)
        experts = experts.reshape(-1, experts.shape[1] // problem.likelihood.model.experts.n_channels)
        parts = (gate, problem.gate), (experts, problem.experts)
        return [
            tuple(c for c, on in zip(columns, np.any(rows[:, : len(columns)] != 0, axis=0), strict=True) if on)
            for rows, columns in parts
        ]

    def _entering(self, problem, over, least):
        """Columns that are out and whose gradients exceed their bounds by more than `least`, at most so many each."""
        out = []
        columns = self.full.gate, self.full.experts
        for part, known, inside in zip(over, columns, (problem.gate, problem.experts), strict=True):
            part = np.where(np.isin(known, inside), -np.inf, part)
            worst = np.argsort(-part, kind="stable")[:GROWN]
            out.append([known[i] for i in worst if part[i] > least])
        return out

    @staticmethod
    def nonzero(problem, u):
        """Coordinates that are not zero, the free ones among them."""
        return int(np.sum(u[problem.penalty.weights > 0] != 0) + np.sum(problem.penalty.weights == 0))

    # starts ---------------------------------------------------------------------------------------------------------

    def screened(self):
        """The columns that go most with the response or with its spread, of gate and of experts."""
        rows = self.likelihood.rows
        y = self.model.experts.seen(np.asarray(rows.y, dtype=float), rows.offset)
        y = y - y.mean(axis=0)
        away = np.abs(y) - np.abs(y).mean(axis=0)
        targets = np.column_stack([part / np.maximum(np.linalg.norm(part, axis=0), 1e-300) for part in (y, away)])
        order = np.argsort(-np.abs(self.x.T @ targets).max(axis=1), kind="stable").tolist()
        parts = (set(self.full.gate), set(self.full.experts))
        return [tuple(sorted([c for c in order if c in part][:SCREENED])) for part in parts]

    def starts(self, init, n_init, entropy, n_jobs=None):
        """Where climbs begin, (problem, theta) each: ends of ridge fits on screened columns, and without any column."""
        out = []
        for columns, n in ((self.screened(), n_init), (((), ()), 1)):
            problem = self.problem(*columns)
            model, rows = problem.likelihood.model, problem.likelihood.rows
            tame = Likelihood(model, rows, penalty=Ridge(START_RIDGE).build(model, rows.units))
            if model.n_experts == 1:
                out.append((problem, pooled(tame)))
            else:
                runs = search(tame, automatic_solver(tame, 100, 1e-6), init, n, entropy, n_jobs)
                runs = [run for run in runs[:n] if run.stage == runs[0].stage]
                out += [(problem, run.theta) for i, run in enumerate(runs) if not _among(run, runs[:i])]
        return out

    def ends(self, starts, solver, n_jobs=None):
        """Climbs from starts: (problem, Run) each, best first; sound before degenerate."""
        tasks = (delayed(self._end)(i, problem, theta, solver) for i, (problem, theta) in enumerate(starts))
        return sorted(Parallel(n_jobs=n_jobs)(tasks), key=lambda end: end[1].rank, reverse=True)

    def _end(self, i, problem, theta, solver):
        problem, end = self.climb(problem, theta, solver)
        n, theta = self.likelihood.total_weight, problem.penalty.theta(end.theta)
        run = Run(i, "sparse", "long", problem.likelihood.rows.n_rows, theta, n * end.loglik, n * end.history)
        certificate = end.certificate
        least = EMPTY if certificate["kind"] == "none" else VANISHED
        if problem.likelihood.expert_rows(theta).min() < least:
            certificate = certificate | {"kind": "limit", "gate_diverged": True}
        run = replace(run, converged=certificate["kind"] != "none", certificate=certificate)
        taken = problem.likelihood.unpenalised().value(theta) - run.loglik
        return problem, replace(run, degenerate=_degenerate(problem, theta), taken=taken)


def _among(run, others):
    """Whether another run has ended at the same height."""
    return any(abs(run.loglik - other.loglik) < 1e-6 * (1 + abs(run.loglik)) for other in others)


def _degenerate(problem, theta):
    """Experts on their scale floor, or on fewer rows than they have coefficients that are not zero, and two more."""
    likelihood, model = problem.likelihood, problem.likelihood.model
    coef = model.split(theta)[1]
    if model.n_experts == 1 or model.experts.discrete:
        return ()
    rows, width = likelihood.expert_rows(theta), np.count_nonzero(coef, axis=1)
    bad = [model.experts.degenerate(coef, rows, likelihood.rows.n_rows, width[k])[k] for k in range(len(coef))]
    return tuple(np.flatnonzero(bad & (rows >= EMPTY)).tolist())


def _columns(rows, old, new):
    """Coefficients (..., old columns + others) on the columns `new`; the others, intercept and scale, stay last."""
    out = np.zeros((*rows.shape[:-1], len(new) + rows.shape[-1] - len(old)))
    out[..., len(new) :] = rows[..., len(old) :]
    at = {c: i for i, c in enumerate(new)}
    here = [i for i, c in enumerate(old) if c in at]
    out[..., [at[old[i]] for i in here]] = rows[..., here]
    return out
