"""The log-likelihood of a model on data, a function of one flat vector: all that solvers and inference see."""

from functools import partial, reduce
from operator import add
from typing import NamedTuple

import numpy as np

from . import passes
from ._kernels import pairs_of, symmetric


class Expansion(NamedTuple):
    """Second-order expansion of the log-likelihood at one point."""

    value: float
    score: np.ndarray  # (p,)
    information: np.ndarray  # (p, p), complete-data information: the EM metric
    hessian: np.ndarray = None  # (p, p), observed


class Likelihood:
    """Log-likelihood of a mixture of experts on rows, with derivatives, in the coordinates of `transform`.

    Parameters
    ----------
    model : MixtureOfExperts
    rows : Rows
        Data in blocks.
    transform : ndarray of shape (P, p), optional
        Linear map from the argument theta to the model's parameters in the scaled units of `rows`: shared or pinned
        parameters, and the change to user units. None is the identity.
    mapper : callable, default=map
        `map` over blocks.

    Notes
    -----
    Every method is a sum over blocks. Where theta is not admissible the value is -inf.

    Examples
    --------
    >>> import numpy as np
    >>> from moegate import MoERegressor
    >>> X = np.linspace(-2, 2, 60)[:, None]
    >>> y = np.abs(X[:, 0]) + 0.1 * np.sin(37 * X[:, 0])
    >>> fit = MoERegressor(random_state=0).fit(X, y)
    >>> likelihood = fit.likelihood(X, y)
    >>> bool(np.isclose(likelihood.value(fit.theta_), fit.loglik_))
    True
    """

    def __init__(self, model, rows, transform=None, mapper=map):
        self.model = model
        self.rows = rows
        self.transform = transform
        self.mapper = mapper

    def on(self, rows):
        """The same likelihood on other rows."""
        return Likelihood(self.model, rows, self.transform, self.mapper)

    # passes ---------------------------------------------------------------------------------------------------------

    def _full(self, theta):
        return theta if self.transform is None else self.transform @ theta

    def _admissible(self, full):
        return bool(np.all(np.isfinite(full))) and self.model.experts.admissible(self.model.split(full)[1])

    def _pass(self, per_block, theta, over=None):
        """Sum of a per-block function; None where theta is not admissible or the value is not finite."""
        full = self._full(np.asarray(theta, dtype=float))
        if not self._admissible(full):
            return full, None
        with np.errstate(all="ignore"):
            sums = reduce(add, self.mapper(partial(per_block, self.model, full), self.rows if over is None else over))
        if not np.isfinite(sums["value"]):
            return full, None
        sums["value"] += self.offset
        return full, sums

    @property
    def offset(self):
        """Log-Jacobian of the change of the response's unit, summed over rows."""
        return -self.rows.total_weight * np.log(self.rows.units.y_scale)

    @property
    def n_params(self):
        """Length of theta."""
        return self.model.n_params if self.transform is None else self.transform.shape[1]

    @property
    def total_weight(self):
        """Sum of the row weights."""
        return self.rows.total_weight

    def value(self, theta):
        """Log-likelihood at theta; -inf where theta is not admissible.

        Parameters
        ----------
        theta : ndarray of shape (p,)

        Returns
        -------
        float
        """
        sums = self._pass(passes.value, theta)[1]
        return -np.inf if sums is None else sums["value"]

    def value_and_score(self, theta):
        """Log-likelihood and its gradient (p,) by Fisher's identity."""
        full, sums = self._pass(passes.score, theta)
        if sums is None:
            return -np.inf, np.zeros(len(theta))
        return sums["value"], self._pull(self._score(full, sums))

    def expand(self, theta, hessian=True):
        """Value, score, complete-data information and (Louis' identity) observed Hessian, from one pass.

        Returns
        -------
        Expansion
        """
        full, sums = self._pass(passes.hessian if hessian else passes.em, theta)
        if sums is None:
            return Expansion(-np.inf, None, None)
        information = self._pull2(self._information(full, sums))
        observed = self._pull2(self._hessian(full, sums)) if hessian else None
        return Expansion(sums["value"], self._pull(self._score(full, sums)), information, observed)

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
        return sums["value"], self._back(theta, full, self._m_step(full, sums))

    def _back(self, theta, full, following):
        """The argument of the likelihood whose full parameters moved from `full` to `following`."""
        if self.transform is None:
            return following
        return theta + np.linalg.lstsq(self.transform, following - full, rcond=None)[0]

    def m_step(self, theta, resp):
        """One M-step from theta on given responsibilities (n, K): exact for Gaussian experts, a Newton step for gates.

        Raises nothing of its own: where theta is not admissible it is returned unchanged.
        """
        ends = np.cumsum([block.V.shape[1] for block in self.rows])
        pairs = list(zip(self.rows, np.split(np.ascontiguousarray(resp.T), ends[:-1], axis=1), strict=True))
        full, sums = self._pass(passes.complete, theta, pairs)
        return theta if sums is None else self._back(theta, full, self._m_step(full, sums))

    def expert_rows(self, theta):
        """Number of rows that each expert accounts for, (K,): the sums of responsibilities without the weights."""
        sums = self._pass(passes.counts, theta)[1]
        return np.zeros(self.model.n_experts) if sums is None else sums["counts"]

    def responsibilities(self, theta):
        """Posterior probabilities of the experts, (n, K)."""
        full = self._full(theta)
        with np.errstate(all="ignore"):
            return np.concatenate([passes.e_step(self.model, full, block).R.T for block in self.rows])

    def score_samples(self, theta):
        """Log density of each row, (n,)."""
        full, shift = self._full(theta), np.log(self.rows.units.y_scale)
        with np.errstate(all="ignore"):
            return np.concatenate([passes.e_step(self.model, full, b).log_density for b in self.rows]) - shift

    def score_obs(self, theta):
        """Score of each row, weighted, (n, p)."""
        return np.concatenate([rows.T for rows in self._row_scores(theta)])

    def score_gram(self, theta):
        """Sum over rows of the outer products of their scores, (p, p): the middle of the sandwich."""
        return sum(rows @ rows.T for rows in self._row_scores(theta))

    def _row_scores(self, theta):
        full, free = self._full(theta), self._free
        for block in self.rows:
            rows = passes.score_rows(self.model, full, block)[free]
            yield rows if self.transform is None else self.transform.T @ rows

    # what solvers ask about the shape of the problem ------------------------------------------------------------------

    @property
    def smooth(self):
        """Whether the value has continuous second derivatives."""
        return self.model.gate.smooth

    def flat(self, theta):
        """Orthonormal directions (p, f) that the model cannot see."""
        directions = self.model.flat(self._full(theta))
        if self.transform is None or directions.shape[1] == 0:
            return directions if self.transform is None else np.zeros((self.n_params, 0))
        return np.linalg.qr(np.linalg.lstsq(self.transform, directions, rcond=None)[0])[0]

    def receding(self, theta, information):
        """Directions in which the gate may have no maximum: where doubling its parameters should not change the value.

        Parameters
        ----------
        theta : ndarray of shape (p,)
        information : ndarray of shape (p, p)
            Complete-data information at theta.

        Returns
        -------
        directions : ndarray of shape (p, f)
            Weak directions of the gate's information; f = 0 where there is none.
        step : ndarray of shape (p,)
            The part of the gate's own parameters that lies in them.
        """
        n = self.model.n_gate
        C = np.eye(n) if self.transform is None else self.transform[:n, :n]
        gate, back = C @ theta[:n], np.linalg.inv(C)
        values, vectors = np.linalg.eigh(back.T @ information[:n, :n] @ back)
        weak = vectors[:, values * (gate @ gate) < 1]
        rest = np.zeros((self.n_params - n, weak.shape[1]))
        return np.vstack([back @ weak, rest]), np.append(back @ weak @ (weak.T @ gate), np.zeros(self.n_params - n))

    def steepest_gate(self, theta):
        """The expert whose gate slopes are largest, and their norm."""
        size = np.linalg.norm(self.model.gate.scores.slopes(self.model.split(self._full(theta))[0]), axis=-1)
        return int(np.argmax(size)), float(size.max())

    def at_boundary(self, theta):
        """Whether a parameter sits on the edge of the admissible set (an expert on its scale floor)."""
        coef = self.model.split(self._full(theta))[1]
        return bool(np.any(self.model.experts.on_boundary(coef)))

    # assembly -------------------------------------------------------------------------------------------------------

    @property
    def _free(self):
        gate = self.model.gate_free.ravel()
        return np.concatenate([np.flatnonzero(gate), gate.size + np.arange(np.prod(self.model.expert_shape))])

    def _pull(self, score):
        return score if self.transform is None else self.transform.T @ score

    def _pull2(self, A):
        return A if self.transform is None else self.transform.T @ A @ self.transform

    def _gate_part(self, A, axes=(-1,)):
        """Sums over design rows restricted to the gate's rows; nothing to do where the gate has features of its own."""
        return _take(A, self.model.gate_rows, axes) if self.model.gate.scores.linear else A

    def _expert_part(self, A, axes=(-1,)):
        return _take(A, self.model.predictor_rows, axes)

    def _gate_score(self, sums):
        return self._gate_part(sums["gate"])

    def _expert_score(self, coef, sums):
        linear = self._expert_part(sums["experts"]).reshape(coef.shape)
        return linear + sums["mass"][:, None] * self.model.experts.constant(coef)[0]

    def _score(self, full, sums):
        coef = self.model.split(full)[1]
        return np.concatenate([self._gate_score(sums).ravel(), self._expert_score(coef, sums).ravel()])[self._free]

    def _gate_information(self, sums):
        return _blocks(self._gate_part(sums["gate_information"], (-2, -1)), len(sums["gate"]))

    def _grams(self, sums):
        """Complete-data Grams of each expert, (K, P, P)."""
        K, c = self.model.n_experts, self.model.experts.n_channels
        pairs = self._expert_part(sums["grams"], (-2, -1))
        if c == 1:
            return pairs
        pairs = pairs.reshape(K, -1, *pairs.shape[-2:])
        return np.stack([_blocks(expert, c) for expert in pairs])

    def _information(self, full, sums):
        coef = self.model.split(full)[1]
        curved = self._grams(sums) - sums["mass"][:, None, None] * self.model.experts.constant(coef)[1]
        return self._select(_block_diagonal([self._gate_information(sums), *curved]))

    def _m_step(self, full, sums):
        gate, coef = self.model.split(full)
        mass, free = sums["mass"], self.model.gate_free.ravel()
        score, information = self._gate_score(sums).ravel()[free], self._gate_information(sums)[np.ix_(free, free)]
        step = np.zeros(gate.size)
        step[free] = self.model.gate.m_step(score, information, mass.sum())
        experts = self.model.experts.m_step(coef, self._expert_score(coef, sums), self._grams(sums), mass)
        return self.model.join(gate + step.reshape(gate.shape), experts)

    def _hessian(self, full, sums):
        coef = self.model.split(full)[1]
        gate = _blocks(self._gate_part(sums["observed"], (-2, -1)), len(sums["gate"]))
        if "bend" in sums:
            gate = gate + _block_diagonal(sums["bend"])
        cross = self._cross(coef, sums)
        return self._select(np.block([[gate, cross], [cross.T, self._expert_hessian(coef, sums)]]))

    def _cross(self, coef, sums):
        """Gate-expert covariances, (m w, K P)."""
        K, m = self.model.n_experts, len(sums["gate"])
        cross = sums["cross"]
        cross = cross.reshape(m, K * self.model.experts.n_channels, *cross.shape[-2:])  # (m, K c, w, Q)
        cross = self._expert_part(self._gate_part(cross, (-2,)))
        cross = np.moveaxis(cross, 2, 1).reshape(m, cross.shape[2], *coef.shape)  # (m, w, K, P)
        coupling = self._gate_part(sums["coupling"])  # (m, K, w)
        constant = self.model.experts.constant(coef)[0]
        cross = cross + np.einsum("jkw,kp->jwkp", coupling, constant)
        return cross.reshape(cross.shape[0] * cross.shape[1], coef.size)

    def _expert_hessian(self, coef, sums):
        K, P = coef.shape
        first, second = self.model.experts.constant(coef)
        pairs = self._expert_part(sums["pairs"], (-2, -1))
        H = _blocks(pairs, K * self.model.experts.n_channels)
        half = self._expert_part(sums["half"]).reshape(K, K, P)  # (k, l, P of l)
        mixed = np.einsum("kp,klq->kplq", first, half).reshape(coef.size, coef.size)
        outer = np.einsum("kl,kp,lq->kplq", sums["spread"], first, first).reshape(coef.size, coef.size)
        return H + mixed + mixed.T + outer + _block_diagonal(sums["mass"][:, None, None] * second)

    def _select(self, A):
        return A[np.ix_(self._free, self._free)]


def _take(A, rows, axes):
    for axis in axes:
        if len(rows) < A.shape[axis] or rows != tuple(range(len(rows))):
            A = np.take(A, rows, axis=axis)
    return A


def _blocks(pairs, m):
    """Symmetric block matrix (m q, m q) from blocks (pairs, q, q) listed by i <= j."""
    q = pairs.shape[-1]
    if m == 1:
        return pairs[0]
    full = symmetric(pairs, m)
    i, j = pairs_of(m)
    full[j, i] = np.swapaxes(full[i, j], -1, -2)
    return full.transpose(0, 2, 1, 3).reshape(m * q, m * q)


def _block_diagonal(blocks):
    size = sum(len(b) for b in blocks)
    out, at = np.zeros((size, size)), 0
    for b in blocks:
        out[at : at + len(b), at : at + len(b)] = b
        at += len(b)
    return out
