"""How a fit ended, for people: the table of starts and the warning that names the expert and the next step."""

from html import escape

import numpy as np

from ..gates import Gate
from .options import experts_name

EMPTY = 0.5  # rows below which an expert has none
EXACT_TIMES = 5  # the rows by which any expert fits exactly, that it must fit to be told of
EXACT_SHARE = 0.05  # of the rows, with as many different responses, that an expert must fit exactly to be told of
NEGLIGIBLE = 1e-4  # log-likelihood below which a gain that is left does not matter


def runs_table(runs, penalised=False):
    """One row per run, as a DataFrame.

    Parameters
    ----------
    runs : list of Run
    penalised : bool
        Whether a penalty was subtracted.

    Returns
    -------
    pandas.DataFrame
        Columns `start`, `kind`, `loglik`, under a penalty `objective` (`loglik` less the penalty), `n_iter`,
        `converged`, `degenerate`, `stage` ("short": a few EM steps; "middle": some solver iterations; "long": climbed
        to its end; "full": climbed on all rows after a subsample), `n_rows`, `certificate` (its kind) and `history` (of
        the log-likelihood, under a penalty of the objective, after each iteration). The last stage comes first; within
        one, sound before degenerate, then what was maximised.
    """
    import pandas as pd

    rows = [
        {
            "start": run.start,
            "kind": run.kind,
            "loglik": run.loglik + run.taken,
            **({"objective": run.loglik} if penalised else {}),
            "n_iter": len(run.history),
            "converged": run.converged,
            "degenerate": bool(run.degenerate),
            "stage": run.stage,
            "n_rows": run.n_rows,
            "certificate": run.certificate["kind"],
            "history": run.history,
        }
        for run in runs
    ]
    return pd.DataFrame(rows)


class Described:
    """Text and HTML that say how a fit ended, below the parameters as scikit-learn shows them."""

    def __repr__(self, N_CHAR_MAX=700):
        """The parameters as scikit-learn shows them and, once fitted, a line on the fit."""
        line = fitted_line(self)
        return super().__repr__(N_CHAR_MAX) + (f"\n# {line}" if line else "")

    def _html_repr(self):
        line = fitted_line(self)
        return (f"<p>{escape(line)}</p>" if line else "") + super()._html_repr()


def fitted_line(estimator):
    """K, gate, log-likelihood and certificate of a fit in one line; empty before it."""
    if not hasattr(estimator, "certificate_"):
        return ""
    K, gate, experts = estimator.model_.n_experts, estimator.gate, experts_name(estimator.experts)
    name = {str: gate, Gate: str(gate)}.get(type(gate), type(gate).__name__)
    return (
        f"{K} {experts} expert{'s' * (K != 1)}, gate {name}: log-likelihood {estimator.loglik_:.2f}, "
        f"certificate {estimator.certificate_['kind']}"
    )


def ending_message(run, likelihood, estimator):
    """The warning for a winner that is not a sound interior maximum; None for one that is."""
    if run.kind == "pooled" and estimator.n_experts > 1:
        return _too_few_rows(run, likelihood)
    if run.degenerate:
        return _degenerate(run, likelihood)
    certificate = run.certificate
    if (likelihood.tamed or "kkt" in certificate) and certificate["kind"] != "none":
        empty = np.flatnonzero(likelihood.expert_rows(run.theta) < EMPTY)
        if empty.size:
            return _empty(empty)
    if certificate["kind"] == "limit":
        return _limit(run, likelihood)
    if certificate["kind"] == "flat":
        return _flat(run, likelihood)
    if certificate["kind"] == "none":
        return _unfinished(run, estimator)
    return None


def put_aside(runs, winner, likelihood):
    """The warning where runs much more likely than the winner do not count: their experts fit many rows exactly."""
    better = [run for run in runs if run.degenerate and run.n_rows == winner.n_rows and run.loglik > winner.loglik + 1]
    if winner.degenerate or not better:
        return None
    run = max(better, key=lambda run: run.loglik)
    model, bad = likelihood.model, list(run.degenerate)
    rows, responses = likelihood.expert_rows(run.theta), likelihood.expert_responses(run.theta)
    enough = max(EXACT_SHARE * run.n_rows, EXACT_TIMES * model.rows_needed)
    if not model.experts.on_boundary(model.split(run.theta)[1])[bad].all() or min(*rows[bad], *responses[bad]) < enough:
        return None
    experts = "; ".join(f"expert {k} fits {rows[k]:.0f} rows exactly" for k in bad)
    return (
        f"A fit of log-likelihood {run.loglik + run.taken:.2f}, against {winner.loglik + winner.taken:.2f} of the one "
        "returned, was put aside: "
        f"{experts}, its scale is on the floor, and there the likelihood has no maximum. If such relations are real, "
        "model these rows apart, or add noise of 0.001 standard deviations to the response and fit again."
    )


def _too_few_rows(run, likelihood):
    model = likelihood.model
    return (
        f"{model.n_experts} experts with {len(model.expert_rows)} coefficients each need at least "
        f"{model.n_experts * model.rows_needed} distinct rows, got {run.n_rows}: every fit has a degenerate expert. "
        "All experts were set to the fit of one. Lower n_experts, or pass fewer columns (expert_features)."
    )


def _degenerate(run, likelihood):
    rows, sigma = likelihood.expert_rows(run.theta), likelihood.model.unpack(run.theta).get("sigma")
    experts = "; ".join(
        f"expert {k} rests on {rows[k]:.1f} rows" + ("" if sigma is None else f" with scale {sigma[k]:.1g} sd of y")
        for k in run.degenerate
    )
    if likelihood.model.n_experts == 1:
        return (
            f"The response is an exact linear function of the columns: {experts}, its floor. Check the columns passed."
        )
    searched = run.kind not in ("init", "warm_start")
    why = "No start found a fit without such an expert" if searched else "The given start led there"
    remedy = "Lower n_experts, raise n_init" if searched else "Use init='auto', lower n_experts"
    data, model = likelihood.rows, likelihood.model
    two = model.experts.response and data.local and len(np.unique(data.y)) == 2
    classes = " The response has two values only: MoEClassifier is for classes." if two else ""
    return (
        f"Degenerate fit: {experts}. {why}, and the likelihood is unbounded near it. {remedy}, or look for tied "
        f"responses, exact linear relations and gross outliers in the data.{classes}"
    )


def _empty(experts):
    named = ", ".join(map(str, experts))
    return (
        f"Expert {named} has no rows: the penalised likelihood is largest without it, its gate intercept falls without "
        "end. Predictions can be used, its coefficients mean nothing. Lower n_experts, or the penalty's alpha."
    )


def _limit(run, likelihood):
    if run.certificate["experts_diverged"]:
        return _diverging_experts(run, likelihood)
    k, growth = likelihood.steepest_gate(run.theta)
    if not likelihood.model.gate.scores.linear or growth < 1:
        return (
            f"The likelihood has converged but the gate has not: parameters of it, most of all of expert {k}, can move "
            "on without end and without gain, because the data do not tell them. Predictions and log-likelihood can be "
            "used, gate coefficients and their errors cannot. Standardise the columns, lower n_experts, or use another "
            "gate."
        )
    return (
        f"The likelihood has converged but the gate has not: the slopes of expert {k} against the others still grow "
        f"(now {growth:.3g} per standard deviation), because some experts are separated by the columns. The supremum "
        "lies at infinity: predictions and log-likelihood can be used, gate coefficients and their errors cannot. "
        "Lower n_experts, or pass fewer gate_features."
    )


def _diverging_experts(run, likelihood):
    """None under a penalty on slopes: only intercepts can then diverge, of classes that do not occur in an expert."""
    if likelihood.penalty is not None and not run.certificate["gate_diverged"]:
        return None
    experts = ", ".join(str(k) for k in run.certificate["experts_diverged"])
    gate = " and of the gate" if run.certificate["gate_diverged"] else ""
    return (
        f"The likelihood has converged but coefficients of expert {experts}{gate} have not: they grow without end, "
        "because the columns separate the responses there, or a response does not occur there. The supremum lies at "
        "infinity: predictions and log-likelihood can be used, these coefficients and their errors cannot. Use a "
        "penalty, for example penalty=Ridge(1e-3), lower n_experts, or pass fewer expert_features."
    )


def _flat(run, likelihood):
    """Names the experts that move along the direction in which nothing changes."""
    at = likelihood.expand(run.theta)
    values, vectors = np.linalg.eigh(-at.hessian)
    size = np.linalg.norm(likelihood.model.split(vectors[:, 0])[1], axis=1)
    experts = ", ".join(str(k) for k in np.flatnonzero(size > 0.1 * size.max()))
    return (
        f"The likelihood is flat at its maximum (smallest eigenvalue {run.certificate['min_eigenvalue']:.1g} of the "
        f"observed information): coefficients of expert {experts} can change together without changing the density, so "
        "that they are not identified. Predictions and log-likelihood can be used, these coefficients cannot. Lower "
        "n_experts, or use a penalty."
    )


def _unfinished(run, estimator):
    remedies = _remedies(run, estimator)
    remedies = " or ".join(filter(None, [", ".join(remedies[:-1]), remedies[-1]]))
    return f"Not converged after {len(run.history)} iterations: {_lack(run)}. {remedies[0].upper()}{remedies[1:]}."


def _lack(run):
    """Which condition of a maximum fails."""
    certificate = run.certificate
    if certificate["at_boundary"]:
        return "an expert sits on the floor of its scale"
    if certificate.get("kkt", 0.0) > 1e-6:
        return f"the penalised score still differs from zero by {certificate['kkt']:.2g}"
    if not certificate["min_eigenvalue"] > 0:
        return f"the observed information is not positive (smallest eigenvalue {certificate['min_eigenvalue']:.2g})"
    return f"a Newton step would still gain {certificate['decrement']:.2g} in log-likelihood"


def _remedies(run, estimator):
    """More iterations where all were taken; where steps ceased to gain before that, more do not help."""
    certificate, out = run.certificate, []
    if len(run.history) >= estimator.max_iter:
        out.append(f"raise max_iter (now {estimator.max_iter})")
    elif estimator.tol < certificate["decrement"] < NEGLIGIBLE and certificate["min_eigenvalue"] > 0:
        out.append(f"raise tol (now {estimator.tol:g}), since steps gain no more")
    if estimator.solver not in ("auto", "newton", "proximal"):
        out.append("use solver='newton'")
    if run.kind not in ("init", "warm_start", "pooled"):
        out.append(f"raise n_init (now {estimator.n_init})")
    if "kkt" in certificate:
        out.append("raise the penalty's alpha")
    return [*out, "lower n_experts"]
