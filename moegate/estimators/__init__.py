"""Estimators: the scikit-learn face."""

from .classifier import MoEClassifier
from .path import LassoPath, lasso_path
from .regressor import MoERegressor

__all__ = ["LassoPath", "MoEClassifier", "MoERegressor", "lasso_path"]
