"""What one block of rows contributes to the log-likelihood and its derivatives: additive sums, nothing else.

Fisher's identity: the observed score is the complete-data score weighted by the responsibilities r. Louis' identity:
the observed Hessian is the expected complete-data Hessian plus the covariance of the complete-data score under r. With
gate scores s_j (features F_j), expert predictors eta_a of expert k(a) (design V, residual u_a = d log f / d eta_a) all
of it is Gram matrices with weights

    gate-gate      sum_k r_k d2L_k + Cov_r(J_i, J_j)
    gate-expert    r_k (J_kj - g_j) u_a
    expert-expert  r_k (delta_kl - r_l) u_a u_b - delta_kl r_k kappa_ab,     kappa = -d2 log f / d eta^2

and a family's term that does not depend on the row (Gaussian: log 1/sigma) enters through sums of weights times V.

References
----------
Louis (1982), Finding the observed information matrix when using the EM algorithm,
doi:10.1111/j.2517-6161.1982.tb01203.x.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import entr

from ._kernels import n_pairs, pairs_of, responsibilities, shares, sum_of_logs


class Sums(dict):
    """Named additive statistics."""

    def members(self, at):
        """Those of some members of a stack."""
        return Sums({name: value[at] for name, value in self.items()})

    def __add__(self, other):
        return Sums({name: value + other[name] for name, value in self.items()})


class State(NamedTuple):
    """The E-step of one block."""

    gate: np.ndarray  # (m, w)
    experts: np.ndarray  # (K, P)
    S: np.ndarray  # scores (K, B)
    P: np.ndarray  # gate probabilities (K, B)
    terms: object  # of the experts, from their predictors (K, c, B)
    density: np.ndarray  # (B,), relative to the peak
    peak: np.ndarray  # (B,)
    R: np.ndarray  # responsibilities (K, B)

    @property
    def log_density(self):
        """Log density of each row, (B,)."""
        return np.log(self.density) + self.peak


def e_step(model, theta, block):
    """Log-densities and responsibilities of one block, with what made them."""
    gate, experts = model.split(theta)
    S = model.gate.scores(gate, block.design(model.gate_rows), model.n_experts)
    L, P, total = model.gate.link.parts(S, gate.shape[-2])
    terms = model.experts.terms(model.predictors(experts, block))
    mixed = shares(P * model.experts.density(terms, block.y)) if model.experts.direct else None
    if mixed is None:
        joint = model.experts.log_prob(experts, terms, block.y)
        joint += L
        mixed = responsibilities(joint, total)
    return State(gate, experts, S, P, terms, *mixed)


def _value(state, block):
    if block.weight is None:
        return sum_of_logs(state.density) + state.peak.sum(axis=-1)
    return (state.log_density[..., None, :] @ block.weight)[..., 0]


def value(model, theta, block):
    """Log-likelihood of the block."""
    return Sums(value=_value(e_step(model, theta, block), block))


def score(model, theta, block):
    """Log-likelihood and the score's sums."""
    state = e_step(model, theta, block)
    out = _score(model, state, block, *_residuals(model, state, block, alone=False))
    G = block.weigh(_pull(model, state))
    out["gate"] = G @ block.V.T if model.gate.scores.linear else _times_features(G, _features(model, state, block))
    return out


def _pull(model, state):
    return model.gate.link.pull(state.S, state.P, state.R, state.gate.shape[-2])


def _residuals(model, state, block, alone=True):
    """Residuals by channel and their product with the responsibilities, both (K c, B).

    Unless residuals are wanted `alone` too they are made in the place of the state's terms: nothing may follow.
    """
    u = model.experts.residuals(state.experts, state.terms, block.y, overwrite=not alone)
    *stack, K, channels, B = u.shape
    shape = (*stack, K * channels, B)
    Ru = np.multiply(u, state.R[..., None, :], out=None if alone else u)
    return u.reshape(shape) if alone else None, Ru.reshape(shape)


def _score(model, state, block, u=None, Ru=None):
    """Sums of the score without the gate's; without residuals those of the experts are left to the Grams."""
    mass = state.R.sum(axis=-1) if block.weight is None else state.R @ block.weight
    out = Sums(value=_value(state, block), mass=mass)
    if Ru is not None:
        out["experts"] = (Ru if block.weight is None else Ru * block.weight) @ block.V.T
    return out


def _features(model, state, block):
    return model.gate.scores.features(state.gate, block.design(model.gate_rows))


def _times_features(G, F):
    return (F @ G[..., None])[..., 0]


def em(model, theta, block):
    """Score sums and the complete-data information: what an EM step needs."""
    return _information(model, e_step(model, theta, block), block)


def complete(model, theta, block_and_resp):
    """The same with given responsibilities (K, B): what an M-step on them needs."""
    block, R = block_and_resp
    return _information(model, e_step(model, theta, block)._replace(R=R), block)


def even(model, theta, block):
    """The same with equal responsibilities of all experts."""
    return complete(model, theta, (block, np.full((model.n_experts, block.V.shape[1]), 1 / model.n_experts)))


def base(model, block):
    """What the densities of all experts share, summed over rows."""
    values = np.broadcast_to(model.experts.base(block.y, block.units), block.V.shape[1])
    return values.sum() if block.weight is None else block.weight @ values


def _information(model, state, block):
    residuals = () if model.experts.quadratic else _residuals(model, state, block)
    return _expansion(model, state, block, residuals)


def counts(model, theta, block):
    """Rows that each expert accounts for, whatever their weights: sum of responsibilities, (K,)."""
    state = e_step(model, theta, block)
    return Sums(value=_value(state, block), counts=state.R.sum(axis=-1))


def hessian(model, theta, block):
    """The same and the sums of the observed Hessian."""
    state = e_step(model, theta, block)
    residuals = _residuals(model, state, block)
    return _expansion(model, state, block, residuals, observed=True)


def _information_weights(model, state):
    m = state.gate.shape[-2]
    kappa = model.experts.weight_curvature(state.experts, state.terms, state.R)
    *stack, K, pairs, B = kappa.shape
    yield "gate_information", model.gate.link.information(state.S, state.P, m)
    yield "grams", kappa.reshape(*stack, K * pairs, B)


def _observed_weights(model, state, u, Ru):
    """Weights of the observed Hessian; `cross` and `pairs` carry the residuals, the plain ones serve constant terms."""
    m, c = len(state.gate), model.experts.n_channels
    owner = np.repeat(np.arange(model.n_experts), c)
    coupling = model.gate.link.coupling(state.S, state.P, state.R, m)
    yield "observed", model.gate.link.curvature(state.S, state.P, state.R, m)
    yield "coupling", coupling
    yield "cross", (coupling[:, owner] * u).reshape(-1, u.shape[-1])
    yield "pairs", _pair_weights(model, state, u, Ru, owner)
    yield "half", _half_weights(state.R, Ru, owner)


def _pair_weights(model, state, u, Ru, owner):
    """r_k (delta_kl - r_l) u_a u_b - delta_kl r_k kappa_ab, by pairs a <= b."""
    n, c = len(owner), model.experts.n_channels
    out, at = np.empty((n_pairs(n), u.shape[-1])), 0
    kappa = model.experts.weight_curvature(state.experts, state.terms, state.R)
    for a in range(n):
        rows, same = out[at : at + n - a], c - a % c
        np.multiply(Ru[a:], -Ru[a], out=rows)
        rows[:same] += Ru[a : a + same] * u[a]
        first = n_pairs(c) - n_pairs(same)
        rows[:same] -= kappa[owner[a], first : first + same]
        at += n - a
    return out


def _half_weights(R, Ru, owner):
    """r_k (delta_kl - r_l) u_b for expert k and channel b of expert l, (K, K c, B)."""
    out = -R[:, None] * Ru
    b = np.arange(len(owner))
    out[owner, b] += Ru
    return out


PLAIN = ("coupling", "half")


def _expansion(model, state, block, residuals, observed=False):
    out = _score(model, state, block, *residuals)
    named = dict(_information_weights(model, state))
    if observed:
        named.update(_observed_weights(model, state, *residuals))
    sums = {name: block.weigh(named.pop(name)) for name in PLAIN if name in named}
    if "half" in sums:
        out["half"] = _times(sums["half"], block.V)
        out["spread"] = np.diag(out["mass"]) - block.weigh(state.R.copy()) @ state.R.T
    if model.gate.scores.linear:
        named["gate"] = _pull(model, state)
    else:
        _featured_gate(model, state, block, out, named, sums)
    _linear_part(block, out, named, sums)
    if model.gate.scores.linear:
        out["gate"] = out["gate"][..., model.n_columns, :]  # products with the ones
    return out


def _times(weights, V):
    """Sums over rows of weights times design rows, (..., B) and (Q, B) -> (..., Q)."""
    return (weights.reshape(-1, weights.shape[-1]) @ V.T).reshape(*weights.shape[:-1], len(V))


def _linear_part(block, out, named, sums):
    """All remaining Grams of the pass in one matrix product."""
    weights = block.weigh(np.concatenate(list(named.values()), axis=-2))
    grams, at = block.grams(weights), 0
    for name, w in named.items():
        out[name] = grams[..., at : at + w.shape[-2], :, :]
        at += w.shape[-2]
    if "coupling" in sums:
        out["coupling"] = _times(sums["coupling"], block.V)


def _featured_gate(model, state, block, out, named, sums):
    """Score and Grams of a gate whose features are not design rows: one product for each pair of scores."""
    m, F, G = state.gate.shape[-2], _features(model, state, block), block.weigh(_pull(model, state))
    i, j = pairs_of(m)
    out["gate"] = _times_features(G, F)
    for name in ("gate_information", "observed"):
        if name in named:
            weights = np.moveaxis(block.weigh(named.pop(name)), -2, 0)[..., None, :]
            out[name] = np.zeros((*F.shape[:-3], len(i), *F.shape[-2:-1] * 2))
            for at, (w, a, b) in enumerate(zip(weights, i, j)):
                if w.any():  # scores of different gates of a tree do not share information
                    out[name][..., at, :, :] = (w * F[..., a, :, :]) @ np.swapaxes(F[..., b, :, :], -2, -1)
    if "coupling" in sums:
        n = model.n_experts * model.experts.n_channels
        cross = block.weigh(named.pop("cross")).reshape(m, n, G.shape[-1])
        out["cross"] = np.einsum("jab,jwb,qb->jawq", cross, F, block.V, optimize=True)
        out["coupling"] = sums.pop("coupling") @ np.swapaxes(F, 1, 2)
        curvature = model.gate.scores.curvature(state.gate, block.design(model.gate_rows), G)
        out["bend"] = np.zeros(F.shape[:2] + F.shape[1:2]) if curvature is None else curvature


def score_rows(model, theta, block):
    """Score of each row by all coefficients, (gate m w + experts K P, B)."""
    state = e_step(model, theta, block)
    B, G, F = state.R.shape[1], _pull(model, state), _features(model, state, block)
    u, Ru = _residuals(model, state, block)
    V = block.V[list(model.predictor_rows)]
    experts = (Ru[:, None] * V).reshape(model.n_experts, -1, B)
    experts += state.R[:, None] * model.experts.constant_score(state.experts)[:, :, None]
    return block.weigh(np.concatenate([(G[:, None] * F).reshape(-1, B), experts.reshape(-1, B)]))


def score_products(model, theta, free, frequency, block):
    """Sum of the outer products of the rows' scores by the `free` coefficients, (p, p).

    A sampling weight scales the score of its row; a frequency repeats the row.
    """
    rows = score_rows(model, theta, block)[free]
    each = rows / np.where(block.weight > 0, block.weight, 1.0) if frequency and block.weight is not None else rows
    return rows @ each.T


def entropy(model, theta, block):
    """Weighted sum of the entropies of the responsibilities."""
    return float(block.weigh(entr(e_step(model, theta, block).R)).sum())
