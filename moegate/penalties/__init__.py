"""Penalties: what is subtracted from the mean log-likelihood."""

from .coordinates import Sparse
from .quadratic import Quadratic, Ridge
from .sparse import ElasticNet, GroupLasso, Lasso

PENALTIES = {"ridge": Ridge, "lasso": Lasso, "elastic_net": ElasticNet, "group_lasso": GroupLasso}

__all__ = ["PENALTIES", "ElasticNet", "GroupLasso", "Lasso", "Quadratic", "Ridge", "Sparse"]
