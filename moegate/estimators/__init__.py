"""Estimators: the scikit-learn face."""

from .regressor import MoERegressor

__all__ = ["MoERegressor"]
