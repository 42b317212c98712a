"""From the sums of a pass to vectors and matrices over all free parameters: gate first, then expert by expert."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import block_diag

from ._kernels import pairs_of, symmetric


class Expansion(NamedTuple):
    """Second-order expansion of the log-likelihood, less a penalty, at one point."""

    value: float
    score: np.ndarray  # (p,)
    information: np.ndarray  # (p, p), complete-data information: the EM metric
    hessian: np.ndarray = None  # (p, p), observed


def free(model):
    """Positions of the free parameters among all coefficients."""
    gate = model.gate_free.ravel()
    return np.concatenate([np.flatnonzero(gate), gate.size + np.arange(np.prod(model.expert_shape))])


def score(model, full, sums, penalty=None):
    """Gradient of the penalised log-likelihood, (p,)."""
    coef = model.split(full)[1]
    gradient = np.concatenate([_gate_score(model, sums)[model.gate_free], _expert_score(model, coef, sums).ravel()])
    return gradient if penalty is None else gradient - penalty.score(full)


def information(model, full, sums, penalty=None):
    """Complete-data information, (p, p)."""
    coef = model.split(full)[1]
    curved = _grams(model, sums) - sums["mass"][:, None, None] * model.experts.constant_hessian(coef)
    whole = _select(model, block_diag(_gate_information(model, sums), *curved))
    return whole if penalty is None else whole + penalty.matrix(model.n_experts)


def m_step(model, full, sums, penalty=None):
    """The next EM iterate, of a stack too: experts by their own M-step, the gate by one Newton step."""
    gate, coef = model.split(full)
    mask, new = model.gate_free, gate.copy()
    at = np.flatnonzero(mask)
    gate_score, gate_information = (
        _gate_score(model, sums)[..., mask],
        _gate_information(model, sums)[..., at[:, None], at],
    )
    expert_score, grams = _expert_score(model, coef, sums), _grams(model, sums)
    if penalty is not None:
        by_gate, by_experts = penalty.pulls(full)
        gate_score, gate_information = gate_score - by_gate, gate_information + penalty.gate
        expert_score, grams = expert_score - by_experts, grams + penalty.expert
    new[..., mask] += model.gate.m_step(gate_score, gate_information, sums["mass"])
    return model.join(new, model.experts.m_step(coef, expert_score, grams, sums["mass"]))


def scoring_step(score, information):
    """Fisher scoring step, shortest in units of each parameter's information where that is singular."""
    size = np.sqrt(np.maximum(np.diag(information), 1e-300))
    return np.linalg.lstsq(information / np.outer(size, size), score / size, rcond=1e-12)[0] / size


def hessian(model, full, sums, penalty=None):
    """Observed Hessian, (p, p)."""
    coef = model.split(full)[1]
    gate = _blocks(_gate_part(model, sums["observed"], (-2, -1)), len(sums["gate"]))
    if "bend" in sums:
        gate = gate + block_diag(*sums["bend"])
    cross = _cross(model, coef, sums)
    whole = _select(model, np.block([[gate, cross], [cross.T, _expert_hessian(model, coef, sums)]]))
    return whole if penalty is None else whole - penalty.matrix(model.n_experts)


def _gate_part(model, A, axes=(-1,)):
    """Sums over design rows restricted to the gate's rows; nothing to do where the gate has features of its own."""
    return _take(A, model.gate_rows, axes) if model.gate.scores.linear else A


def _expert_part(model, A, axes=(-1,)):
    return _take(A, model.predictor_rows, axes)


def _take(A, rows, axes):
    for axis in axes:
        if rows != tuple(range(A.shape[axis])):
            A = np.take(A, rows, axis=axis)
    return A


def _gate_score(model, sums):
    return _gate_part(model, sums["gate"])


def _gate_information(model, sums):
    return _blocks(_gate_part(model, sums["gate_information"], (-2, -1)), sums["gate"].shape[-2])


def _expert_score(model, coef, sums):
    if "experts" in sums:
        linear = _expert_part(model, sums["experts"]).reshape(coef.shape)
    else:
        linear = -(_grams(model, sums) @ coef[..., None])[..., 0]
    return linear + sums["mass"][..., None] * model.experts.constant_score(coef)


def _grams(model, sums):
    """Complete-data Grams of each expert, (K, P, P)."""
    pairs, channels = _expert_part(model, sums["grams"], (-2, -1)), model.experts.n_channels
    if channels == 1:
        return pairs
    stack, size = pairs.shape[:-3], pairs.shape[-2:]
    return _blocks(pairs.reshape(*stack, model.n_experts, -1, *size), channels)


def _cross(model, coef, sums):
    """Gate-expert covariances, (m w, K P)."""
    m = len(sums["gate"])
    cross = _expert_part(model, _gate_part(model, sums["cross"], (-2,)))
    w, rows = cross.shape[-2:]
    cross = cross.reshape(m, coef.size // rows, w, rows)  # score, channel of an expert, gate row, design row
    cross = np.moveaxis(cross, 2, 1).reshape(m, w, *coef.shape)
    coupling = _gate_part(model, sums["coupling"])  # (m, K, w)
    cross = cross + np.einsum("jkw,kp->jwkp", coupling, model.experts.constant_score(coef))
    return cross.reshape(m * w, coef.size)


def _expert_hessian(model, coef, sums):
    K, P = coef.shape
    first, second = model.experts.constant_score(coef), model.experts.constant_hessian(coef)
    H = _blocks(_expert_part(model, sums["pairs"], (-2, -1)), K * model.experts.n_channels)
    half = _expert_part(model, sums["half"]).reshape(K, K, P)  # by the expert of the constant, then of the residual
    mixed = np.einsum("kp,klq->kplq", first, half).reshape(coef.size, coef.size)
    outer = np.einsum("kl,kp,lq->kplq", sums["spread"], first, first).reshape(coef.size, coef.size)
    return H + mixed + mixed.T + outer + block_diag(*(sums["mass"][:, None, None] * second))


def _select(model, A):
    if model.gate_free.all():
        return A
    at = free(model)
    return A[np.ix_(at, at)]


def _blocks(pairs, m):
    """Symmetric block matrix (m q, m q) from blocks (pairs, q, q) listed by i <= j."""
    *stack, _, q, _ = pairs.shape
    if m == 1:
        return pairs[..., 0, :, :]
    full = symmetric(pairs, m, axis=-3)
    i, j = pairs_of(m)
    full[..., j, i, :, :] = np.swapaxes(full[..., i, j, :, :], -1, -2)
    return np.swapaxes(full, -3, -2).reshape(*stack, m * q, m * q)
