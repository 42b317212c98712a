"""Estimators: the scikit-learn face."""

from .checkpoint import Checkpoint
from .classifier import MoEClassifier
from .path import LassoPath, lasso_path
from .regressor import MoERegressor

__all__ = ["Checkpoint", "LassoPath", "MoEClassifier", "MoERegressor", "lasso_path"]
