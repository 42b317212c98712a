"""Solvers climb a Likelihood from a point; they know neither gates nor experts."""

from .em import EM, SQUAREM
from .lbfgs import LBFGS
from .newton import Newton
from .solution import Solution, certify

SOLVERS = {"newton": Newton, "lbfgs": LBFGS, "em": EM, "squarem": SQUAREM}

__all__ = ["EM", "LBFGS", "SOLVERS", "SQUAREM", "Newton", "Solution", "certify"]
