"""Penalties: what is subtracted from the mean log-likelihood."""

from .quadratic import Quadratic, Ridge
from .sparse import ElasticNet, GroupLasso, Lasso, Sparse

PENALTIES = {"ridge": Ridge, "lasso": Lasso, "elastic_net": ElasticNet, "group_lasso": GroupLasso}

__all__ = ["PENALTIES", "ElasticNet", "GroupLasso", "Lasso", "Quadratic", "Ridge", "Sparse"]
