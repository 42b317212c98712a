"""The log-likelihood of a model on data, a function of one flat vector: all that solvers and inference see."""

from dataclasses import replace
from functools import cached_property, partial

import numpy as np

from . import assembly, passes
from .assembly import Expansion
from .geometry import Geometry

STACKED_ROWS = 30_000  # rows times thetas that one pass takes: more would not stay in the processor's cache


class Likelihood(Geometry):
    """Log-likelihood of a mixture of experts on rows, with derivatives, in the coordinates of `transform`.

    Parameters
    ----------
    model : MixtureOfExperts
    rows : Rows
        Data in blocks.
    transform : ndarray of shape (P, p), optional
        Linear map from the argument theta to the model's parameters in the scaled units of `rows`: shared or pinned
        parameters, and the change to user units. None is the identity.
    penalty : Quadratic, optional
        Subtracted, times the total weight, in the model's scaled parameters: value, derivatives and steps are then
        those of the penalised log-likelihood, while what belongs to single rows (`responsibilities`, `score_samples`,
        `score_obs`) is not changed.

    Notes
    -----
    Every method is a sum over blocks, `Rows.total`. Where theta is not admissible the value is -inf.

    Examples
    --------
    >>> import numpy as np
    >>> from moegate import MoERegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-2, 2, (200, 1))
    >>> y = np.where(rng.random(200) < 0.5, 1 + X[:, 0], -1 - X[:, 0]) + 0.3 * rng.standard_normal(200)
    >>> fit = MoERegressor(n_init=2, random_state=0).fit(X, y)
    >>> likelihood = fit.likelihood(X, y)
    >>> bool(np.isclose(likelihood.value(fit.theta_), fit.loglik_))
    True
    """

    def __init__(self, model, rows, transform=None, penalty=None):
        self.model = model
        self.rows = rows
        self.transform = transform
        self.penalty = penalty

    def on(self, rows):
        """The same likelihood on other rows."""
        return Likelihood(self.model, rows, self.transform, self.penalty)

    def unpenalised(self):
        """The log-likelihood alone."""
        return self if self.penalty is None else Likelihood(self.model, self.rows, self.transform)

    def _of(self, gate):
        """The same with another gate."""
        return Likelihood(replace(self.model, gate=gate), self.rows, self.transform, self.penalty)

    @cached_property
    def _penalty(self):
        """The penalty in units of the log-likelihood."""
        return None if self.penalty is None else self.penalty.times(self.total_weight)

    def taken(self, theta):
        """What the penalty takes from the log-likelihood at theta; zero without one."""
        return 0.0 if self.penalty is None else float(self._penalty.value(self._full(theta)))

    # passes ---------------------------------------------------------------------------------------------------------

    def _full(self, theta):
        theta = np.asarray(theta, dtype=float)
        if theta.shape != (self.n_params,):
            raise ValueError(f"theta expects shape ({self.n_params},), got {theta.shape}.")
        return theta if self.transform is None else self.transform @ theta

    def _admissible(self, full):
        return self.model.experts.admissible(self.model.split(full)[1])

    def _pass(self, per_block, theta, over=None):
        """Sum of a per-block function; None where theta is not admissible or the value is not finite."""
        full = self._full(theta)
        if not self._admissible(full):
            return full, None
        sums = self._sum(per_block, full, over)
        if not np.isfinite(sums["value"]):
            return full, None
        return full, sums

    def _sum(self, per_block, full, over):
        with np.errstate(all="ignore"):
            sums = self.rows.total(partial(per_block, self.model, full), over)
        sums["value"] = sums["value"] + self.offset
        if self.penalty is not None:
            sums["value"] = sums["value"] - self._penalty.value(full)
        return sums

    @cached_property
    def offset(self):
        """What all densities share, summed over rows: it does not depend on theta, and no pass needs it."""
        return float(self.rows.total(partial(passes.base, self.model)))

    @property
    def _base(self):
        return self.model.experts.base(self.rows.y, self.rows.units)

    @property
    def n_params(self):
        """Length of theta."""
        return self.model.n_params if self.transform is None else self.transform.shape[1]

    @property
    def tamed(self):
        """Whether a maximum exists however few rows an expert has: probabilities, with a penalty on the slopes."""
        return self.penalty is not None and self.model.experts.discrete

    @property
    def total_weight(self):
        """Sum of the row weights."""
        return self.rows.total_weight

    def value(self, theta):
        """Log-likelihood at theta, less the penalty; -inf where theta is not admissible.

        Parameters
        ----------
        theta : ndarray of shape (p,)

        Returns
        -------
        float
        """
        sums = self._pass(passes.value, theta)[1]
        return -np.inf if sums is None else sums["value"]

    def values(self, thetas):
        """`value` of each row of thetas (S, p), (S,)."""
        if not self.stacked:
            return np.array([self.value(theta) for theta in thetas])
        values, at = np.full(len(thetas), -np.inf), np.flatnonzero(self._admissible(thetas))
        size = max(1, STACKED_ROWS // self.rows.n_rows)
        for part in (at[i : i + size] for i in range(0, len(at), size)):
            values[part] = self._sum(passes.value, thetas[part], None)["value"]
        return np.where(np.isfinite(values), values, -np.inf)

    def value_and_score(self, theta):
        """Log-likelihood and its gradient (p,) by Fisher's identity."""
        full, sums = self._pass(passes.score, theta)
        if sums is None:
            return -np.inf, np.zeros(len(theta))
        return sums["value"], self._pull(assembly.score(self.model, full, sums, self._penalty))

    def expand(self, theta, hessian=True):
        """Value, score, complete-data information and (Louis' identity) observed Hessian, from one pass.

        Returns
        -------
        Expansion
        """
        full, sums = self._pass(passes.hessian if hessian else passes.em, theta)
        if sums is None:
            return Expansion(-np.inf, None, None)
        score, information = (
            assembly.score(self.model, full, sums, self._penalty),
            assembly.information(self.model, full, sums, self._penalty),
        )
        observed = self._pull2(assembly.hessian(self.model, full, sums, self._penalty)) if hessian else None
        return Expansion(sums["value"], self._pull(score), self._pull2(information), observed)

    def value_score_hessian(self, theta):
        """Log-likelihood, gradient (p,) and exact observed Hessian (p, p)."""
        at = self.expand(theta)
        return at.value, at.score, at.hessian

    def information(self, theta):
        """Complete-data information (p, p): positive semi-definite, the metric in which EM is a gradient step."""
        return self.expand(theta, hessian=False).information

    def em_step(self, theta):
        """Log-likelihood at theta and the next EM iterate, from one pass.

        Experts take their exact M-step where they have one; gates take one Newton step.
        """
        full, sums = self._pass(passes.em, theta)
        if sums is None:
            return -np.inf, np.asarray(theta, dtype=float)
        return sums["value"], self._following(theta, full, sums)

    @property
    def stacked(self):
        """Whether the steps of several thetas are made together."""
        return self.transform is None and self.model.stacked

    def em_steps(self, thetas):
        """`em_step` of each row of thetas (S, p): values (S,) and the next thetas (S, p)."""
        if self.stacked:
            return self._steps(passes.em, thetas)
        return tuple(map(np.array, zip(*map(self.em_step, thetas), strict=True)))

    def _steps(self, per_block, thetas, over=None):
        """Values and next thetas of a stack; those not admissible get -inf and stay."""
        values, following = np.full(len(thetas), -np.inf), thetas.copy()
        at = np.flatnonzero(self._admissible(thetas))
        sums = self._sum(per_block, thetas[at], over) if at.size else {"value": values[:0]}
        sound = np.isfinite(sums["value"])
        if sound.any():
            at, sums = at[sound], sums.members(sound)
            values[at], following[at] = sums["value"], assembly.m_step(self.model, thetas[at], sums, self._penalty)
        return values, following

    def _following(self, theta, full, sums):
        """Argument after an M-step; where the transform ties parameters, after a scoring step, which surely climbs."""
        C = self.transform
        if C is None:
            return assembly.m_step(self.model, full, sums, self._penalty)
        if C.shape[0] == C.shape[1]:
            return theta + np.linalg.solve(C, assembly.m_step(self.model, full, sums, self._penalty) - full)
        score = self._pull(assembly.score(self.model, full, sums, self._penalty))
        information = self._pull2(assembly.information(self.model, full, sums, self._penalty))
        return theta + assembly.scoring_step(score, information)

    def m_step(self, theta, resp=None):
        """The M-step of `em_step` on given responsibilities (n, K), even ones without; a theta not admissible stays."""
        given = (passes.complete, theta, self.rows.paired(resp)) if resp is not None else (passes.even, theta)
        full, sums = self._pass(*given)
        return theta if sums is None else self._following(theta, full, sums)

    def m_steps(self, thetas, resps):
        """`m_step` from each row of thetas (S, p) on its own responsibilities (S, n, K), (S, p)."""
        if not self.stacked:
            return np.array([self.m_step(*pair) for pair in zip(thetas, resps, strict=True)])
        return self._steps(passes.complete, thetas, self.rows.paired(resps))[1]

    def unsmoothed(self):
        """The likelihood without what smooths the kinks of the gate's scores."""
        gate = self.model.gate.exact()
        return self if gate == self.model.gate else self._of(gate)

    def path(self):
        """Likelihoods ending in this one, for a solver that continues from an easier gate."""
        gates = self.model.gate.path(self.model.n_experts)
        return [self._of(gate) for gate in gates[:-1]] + [self]

    def expert_rows(self, theta):
        """Number of rows that each expert accounts for, (K,): the sums of responsibilities without the weights."""
        sums = self._pass(passes.counts, theta)[1]
        return np.zeros(self.model.n_experts) if sums is None else sums["counts"]

    def expert_responses(self, theta):
        """Number of different responses that each expert accounts for, (K,): inverse sum of squared shares."""
        groups = self.rows.response_groups
        if groups is None:
            return self.expert_rows(theta)
        shares = np.stack([np.bincount(groups, weights=r) for r in self.responsibilities(theta).T])
        return shares.sum(axis=1) ** 2 / np.maximum(np.sum(shares**2, axis=1), 1e-300)

    def responsibilities(self, theta):
        """Posterior probabilities of the experts, (n, K)."""
        full = self._full(theta)
        with np.errstate(all="ignore"):
            return np.concatenate([passes.e_step(self.model, full, block).R.T for block in self.rows])

    def score_samples(self, theta):
        """Log density of each row, (n,); -inf where theta is not admissible."""
        full = self._full(theta)
        if not self._admissible(full):
            return np.full(self.rows.n_rows, -np.inf)
        with np.errstate(all="ignore"):
            return np.concatenate([passes.e_step(self.model, full, b).log_density for b in self.rows]) + self._base

    def entropy(self, theta):
        """Weighted sum over rows of the entropies of their responsibilities."""
        return self.rows.total(partial(passes.entropy, self.model, self._full(theta)))

    def score_obs(self, theta):
        """Score of each row, weighted, (n, p); zero, as in `value_and_score`, where theta is not admissible."""
        full, free = self._full(theta), assembly.free(self.model)
        if not self._admissible(full):
            return np.zeros((self.rows.n_rows, self.n_params))
        return np.concatenate([self._pull(passes.score_rows(self.model, full, b)[free]).T for b in self.rows])

    def score_gram(self, theta, frequency=False):
        """Sum over rows of the outer products of their scores, (p, p): the middle of the sandwich.

        With `frequency` a row's weight says how often it occurs, else it scales the score.
        """
        given = self.model, self._full(theta), assembly.free(self.model), frequency
        return self._pull2(self.rows.total(partial(passes.score_products, *given)))

    def _pull(self, score):
        return score if self.transform is None else self.transform.T @ score

    def _pull2(self, A):
        return A if self.transform is None else self.transform.T @ A @ self.transform
