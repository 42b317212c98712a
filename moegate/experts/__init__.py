"""Experts: the conditional densities f_k(y given x). One file per family."""

from .gaussian import Gaussian
from .multinomial import Multinomial
from .poisson import Poisson

EXPERTS = {"gaussian": Gaussian, "multinomial": Multinomial, "poisson": Poisson}

__all__ = ["EXPERTS", "Gaussian", "Multinomial", "Poisson"]
