"""Experts: the conditional densities f_k(y given x). One file per family."""

from .gaussian import Gaussian

EXPERTS = {"gaussian": Gaussian}

__all__ = ["EXPERTS", "Gaussian"]
