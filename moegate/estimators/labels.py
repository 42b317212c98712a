"""The order of experts: the canonical one of a fit, another that the user asks for, and the names that follow it."""

from dataclasses import replace

import numpy as np

from ..blocks import Rows
from ..runs import degenerate_experts


def canonical(likelihood, run, degenerate=None):
    """The run with its experts in canonical order, by falling gate probability at the mean of the columns."""
    model, units = likelihood.model, likelihood.rows.units
    at_mean = next(iter(Rows(units.center[None], np.zeros(1), None, units, model.experts.response)))
    order = model.canonical_order(run.theta, at_mean)
    theta = model.gauged(model.permute(run.theta, order))
    certificate = renumbered(run.certificate, order)
    return replace(run, theta=theta, certificate=certificate, degenerate=_renamed(likelihood, theta, order, degenerate))


def _renamed(likelihood, theta, order, degenerate):
    """Degenerate experts in the new order: found anew, or given by their old numbers."""
    if degenerate is None:
        return degenerate_experts(likelihood, theta)
    place = np.argsort(order)
    return tuple(sorted(int(place[k]) for k in degenerate))


def renumbered(certificate, order):
    """The certificate of the same fit with its experts in another order."""
    place = np.argsort(order)
    diverged = tuple(sorted(int(place[k]) for k in certificate["experts_diverged"]))
    return {**certificate, "experts_diverged": diverged}


def named(theta, model, used, n_features):
    """Coefficient arrays by attribute name over all columns of X, zero where a column is not used.

    Parameters
    ----------
    theta : ndarray of shape (p,)
        In user units.
    model : MixtureOfExperts
    used : tuple of int
        Columns of X that the model's columns are.
    n_features : int
        Columns of X.
    """
    arrays, out = model.unpack(theta), {}
    gate, experts = ([used[c] for c in rows[:-1]] for rows in (model.gate_rows, model.expert_rows))
    for name, columns in (("gate_coef", gate), ("gate_center", gate), ("coef", experts)):
        if name in arrays:
            out[f"{name}_"] = np.zeros((*arrays[name].shape[:-1], n_features))
            out[f"{name}_"][..., columns] = arrays[name]
    plain = ("gate_intercept", "gate_nodes", "intercept", "sigma")
    return out | {f"{name}_": arrays[name] for name in plain if name in arrays}


def reordered(estimator, order):
    """Fitted attributes of an estimator whose k-th expert is the one that was `order[k]`.

    Raises
    ------
    ValueError
        Where `order` does not name every expert once, or a tree of gates cannot take it.
    """
    model, units, order = estimator.model_, estimator.units_, check_order(order, estimator.model_.n_experts)
    scaled = model.permute(model.to_scaled(estimator.theta_, units), order)
    theta = model.to_user(model.gauged(scaled), units)
    free = getattr(estimator, "free_", None)
    moved = {} if free is None else {"free_": np.array([model.gauged(model.permute(e, order)) for e in free.T]).T}
    return moved | {
        "theta_": theta,
        "certificate_": renumbered(estimator.certificate_, order),
        **named(theta, model, estimator.columns_, estimator.n_features_in_),
    }


def check_order(order, n_experts):
    """The order as a list of int, each expert once."""
    given = np.asarray(order)
    if given.dtype.kind not in "iu" or sorted(given.ravel().tolist()) != list(range(n_experts)) or given.ndim != 1:
        raise ValueError(f"order expects every expert 0..{n_experts - 1} once, got {order!r}; try np.argsort(coef).")
    return given.tolist()


def reached(likelihood, run):
    """Log-likelihoods, and the history of what was maximised."""
    exact = likelihood.unpenalised().unsmoothed()
    exact = float(run.loglik if exact is likelihood else exact.value(run.theta))
    if likelihood.penalty is None and "kkt" not in run.certificate:
        return {"loglik_": float(run.loglik), "exact_loglik_": exact, "loglik_history_": run.history}
    loglik = float(likelihood.unpenalised().value(run.theta))
    return {"loglik_": loglik, "exact_loglik_": exact, "objective_": run.loglik, "objective_history_": run.history}
