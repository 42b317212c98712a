"""Where a single run begins when the user, or one expert, leaves nothing to search."""

from dataclasses import fields, is_dataclass

import numpy as np

from ..runs import pooled, unclimbed

RESPONSIBILITY_STEPS = 5  # M-steps from given responsibilities


def origin(estimator, likelihood, data):
    """The run to climb from, or None where many starts are wanted.

    Parameters
    ----------
    estimator : MoEBase
        With `n_experts`, `warm_start`, `init` and, if fitted, `theta_`.
    likelihood : Likelihood
        In scaled coordinates.
    data : TrainingData

    Returns
    -------
    Run or None

    Raises
    ------
    ValueError
        Where the parameters or responsibilities do not belong to this model and these rows.
    """
    init = estimator.init
    if estimator.n_experts == 1:
        return unclimbed(likelihood, pooled(likelihood), "pooled")
    if estimator.warm_start and hasattr(estimator, "theta_"):
        return unclimbed(likelihood, _from_fit(likelihood, estimator, "warm_start"), "warm_start")
    if isinstance(init, str):
        return None
    if hasattr(init, "theta_"):
        return unclimbed(likelihood, _from_fit(likelihood, init, "init"), "init")
    try:
        init = np.asarray(init, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"init expects a kind of start, parameters, responsibilities or a fitted estimator, got {init!r}."
        ) from error
    if init.ndim == 1:
        return unclimbed(likelihood, _from_theta(likelihood, init, "init"), "init")
    return unclimbed(likelihood, _from_responsibilities(likelihood, init, data), "init")


def _from_fit(likelihood, fit, what):
    """Parameters of a fit whose gate and experts are of the same kind."""
    then, now = getattr(fit, "model_", None), likelihood.model
    if then is not None and [kind(then.gate), kind(then.experts)] != [kind(now.gate), kind(now.experts)]:
        raise ValueError(
            f"{what} expects a fit with a gate and experts of the same kind, {now.gate} and "
            f"{type(now.experts).__name__}, got {then.gate} and {type(then.experts).__name__}; fit without {what} "
            "after changing the model, or pass as init responsibilities, or theta_ where parameters mean the same."
        )
    return _from_theta(likelihood, fit.theta_, what)


def kind(piece):
    """What parameters mean: the types of which a gate or a family is made, and the sizes of a tree."""
    if is_dataclass(piece):
        return type(piece), *(kind(getattr(piece, field.name)) for field in fields(piece))
    if isinstance(piece, tuple):
        return tuple(part if isinstance(part, int) else kind(part) for part in piece if not isinstance(part, float))
    return None


def _from_theta(likelihood, theta, what):
    theta = np.asarray(theta, dtype=float)
    if theta.shape != (likelihood.n_params,):
        raise ValueError(
            f"{what} expects parameters of shape ({likelihood.n_params},) for this model and these columns, "
            f"got {theta.shape}; fit without {what} after changing the model."
        )
    return likelihood.model.to_scaled(theta, likelihood.rows.units)


def _from_responsibilities(likelihood, resp, data):
    expected = (len(data.kept), likelihood.model.n_experts)
    if resp.shape != expected:
        raise ValueError(f"init expects responsibilities of shape {expected}, one row per row of X, got {resp.shape}.")
    if not np.all(resp >= 0) or not np.allclose(resp.sum(axis=1), 1):
        raise ValueError(
            "init expects responsibilities that are non-negative and sum to one in each row; normalise them."
        )
    easy, theta = likelihood.path()[0].on(data.original), pooled(likelihood)  # a gate that they can move
    for _ in range(RESPONSIBILITY_STEPS):
        theta = easy.m_step(theta, resp[data.kept])
    return theta
