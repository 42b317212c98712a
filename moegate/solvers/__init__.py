"""Solvers climb a Likelihood from a point; they know neither gates nor experts."""

from .chord import Chord
from .continuation import Continuation
from .em import EM, SQUAREM
from .lbfgs import LBFGS
from .newton import Newton
from .solution import UNCERTIFIED, Solution, certify

SOLVERS = {"newton": Newton, "lbfgs": LBFGS, "em": EM, "squarem": SQUAREM, "continuation": Continuation}

__all__ = ["Chord", "EM", "LBFGS", "SOLVERS", "SQUAREM", "UNCERTIFIED", "Continuation", "Newton", "Solution", "certify"]
