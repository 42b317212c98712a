"""What users pass by name: every check of an estimator's parameters, with the known names in the message."""

import numbers

import numpy as np

from ..experts import EXPERTS
from ..fitting import automatic_solver
from ..gates import GATES, Gate, GateSpec
from ..initialization import KINDS
from ..penalties import PENALTIES
from ..solvers import SOLVERS
from ..solvers.proximal import Proximal


def check_count(value, name, minimum=1):
    """An integer of at least `minimum`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise ValueError(f"{name} expects an integer >= {minimum}, got {value!r} of type {type(value).__name__}.")
    if value < minimum:
        raise ValueError(f"{name} expects an integer >= {minimum}, got {value}.")
    return int(value)


def check_positive(value, name):
    """A finite number above zero."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise ValueError(f"{name} expects a number > 0, got {value!r} of type {type(value).__name__}.")
    if not 0 < value < np.inf:
        raise ValueError(f"{name} expects a finite number > 0, got {value!r}.")
    return float(value)


def check_gate(gate):
    """A gate specification from a name or an object."""
    if isinstance(gate, str) and gate in GATES:
        return GATES[gate]()
    if isinstance(gate, GateSpec | Gate):
        return gate
    raise ValueError(
        f"gate expects one of {sorted(GATES)}, a gate such as SoftmaxGate(), or a composition Gate(scores, link), "
        f"got {gate!r}."
    )


def check_scores(likelihood):
    """Finite scores of the gate on the columns."""
    if not np.isfinite(likelihood.value(likelihood.model.initial(likelihood.rows.units))):
        raise ValueError(
            "The gate expects finite scores on the columns, got some that are not; check its transform and the range "
            "of the columns."
        )


def check_experts(experts, allowed):
    """The class of an expert family, from its name or from an object of it."""
    name = experts_name(experts)
    if isinstance(name, str) and name in allowed:
        return EXPERTS[name]
    known = isinstance(name, str) and name in EXPERTS
    other = " Classes are for MoEClassifier, numbers and counts for MoERegressor." if known else ""
    raise ValueError(
        f"experts expects one of {sorted(allowed)}, or an object such as {EXPERTS[allowed[0]].__name__}(), whose "
        f"constants the fit finds, got {experts!r}.{other}"
    )


def experts_name(experts):
    """The name of an expert family from an object of it, as its class makes it; anything else as it is."""
    found = (name for name, family in EXPERTS.items() if type(experts) is family and experts == family())
    return next(found, experts)


def check_solver(solver, likelihood, max_iter, tol):
    """A solver from a name or an object with a method `solve(likelihood, theta)`."""
    if solver == "auto" if isinstance(solver, str) else False:
        return automatic_solver(likelihood, max_iter, tol)
    if isinstance(solver, str) and solver in SOLVERS:
        return SOLVERS[solver](max_iter=max_iter, tol=tol)
    if callable(getattr(solver, "solve", None)) and not isinstance(solver, type | Proximal):
        return solver
    raise ValueError(f"solver expects one of {['auto', *SOLVERS]} or a solver such as Newton(), got {solver!r}.")


def solver_of(estimator):
    """The solver asked for; "auto" in place of one that is for a lasso, where the strength of that is zero."""
    solver, penalty = estimator.solver, check_penalty(estimator.penalty)
    proximal = isinstance(solver, Proximal) or (isinstance(solver, str) and solver == "proximal")
    return "auto" if proximal and getattr(penalty, "sparse", False) else solver


def check_proximal(solver, likelihood, max_iter):
    """The solver under a penalty with corners, after what the gate must be for it."""
    gate = likelihood.model.gate
    if not (gate.scores.linear and gate.smooth and len(likelihood.path()) == 1 and gate.contrasts().keys() == {()}):
        raise ValueError(
            f"A lasso expects a smooth gate that is linear in its parameters, such as softmax, got {gate!r}; use "
            "penalty=Ridge(alpha), or another gate."
        )
    if isinstance(solver, Proximal):
        return solver
    if not isinstance(solver, str) or solver not in ("auto", "proximal"):
        raise ValueError(f'solver expects "auto" or "proximal" under a lasso, got {solver!r}.')
    return Proximal(max_iter=max_iter)


def check_penalty(penalty):
    """None, or a penalty from a name or an object."""
    if penalty is None:
        return None
    if isinstance(penalty, str) and penalty in PENALTIES:
        penalty = PENALTIES[penalty]()
    if not isinstance(penalty, tuple(PENALTIES.values())):
        raise ValueError(
            f"penalty expects None, one of {sorted(PENALTIES)}, or an object such as Ridge(alpha) or Lasso(alpha), got "
            f"{penalty!r}."
        )
    penalty.check()
    return penalty


def working_penalty(estimator):
    """The penalty, or None where its strength is zero; one that ties variances works at any strength."""
    penalty = check_penalty(estimator.penalty)
    return penalty if getattr(estimator, "variance", "free") == "shared" or takes(penalty) else None


def takes(penalty):
    """Whether a penalty, or None, takes anything from the likelihood."""
    return penalty is not None and bool(penalty.alpha or penalty.gate_alpha)


def penalised(estimator):
    """Whether a penalty took something from the likelihood of a fit."""
    if not hasattr(estimator, "objective_"):
        return False
    given = estimator.penalty is None or takes(check_penalty(estimator.penalty))  # which may have been set since
    return given or not np.isclose(estimator.objective_, estimator.loglik_, rtol=1e-9, atol=0)


def check_variance(estimator, n_rows):
    """Whether all Gaussian experts have one variance."""
    variance, penalty = getattr(estimator, "variance", "free"), check_penalty(estimator.penalty)
    sparse, scaled = getattr(penalty, "sparse", False), getattr(penalty, "scaled", True)
    if variance not in ("free", "shared"):
        raise ValueError(f'variance expects "free" or "shared", got {variance!r}.')
    gaussian = experts_name(estimator.experts) == "gaussian"
    if variance == "shared" and not gaussian:
        raise ValueError(f'variance="shared" is for Gaussian experts, got experts={estimator.experts!r}; leave it out.')
    if variance == "shared" and not sparse:
        raise ValueError(
            f'variance="shared" expects a lasso, got penalty={estimator.penalty!r}; for maximum likelihood with one '
            "variance pass penalty=Lasso(0)."
        )
    if gaussian and not scaled:
        if variance == "free":
            raise ValueError(
                "A penalty of slopes in units of the response (scaled=False) does not select where each expert has its "
                'own variance: pass variance="shared", or scaled=True.'
            )
        if estimator.n_features_in_ >= n_rows:
            raise ValueError(
                f"A penalty of slopes in units of the response (scaled=False) expects fewer columns than rows, got "
                f"{estimator.n_features_in_} and {n_rows}, with which the variance falls to zero: pass scaled=True."
            )
    return variance == "shared"


def check_init(init):
    """A kind of start, "auto", parameters, responsibilities or a fitted estimator."""
    if hasattr(init, "fit") and not hasattr(init, "theta_"):
        raise ValueError(
            f"init expects a fitted mixture of experts, got {type(init).__name__} without `theta_`. Where scikit-learn "
            "clones the model, as in GridSearchCV, wrap it: init=sklearn.frozen.FrozenEstimator(fitted)."
        )
    if init is None or (isinstance(init, str) and init not in ("auto", *KINDS)):
        remedy = '; leave it out for "auto"' if init is None else ""
        raise ValueError(
            f"init expects one of {['auto', *KINDS]}, parameters, responsibilities or a fitted estimator, got "
            f"{init!r}{remedy}."
        )
    return init
