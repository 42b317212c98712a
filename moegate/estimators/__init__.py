"""Estimators: the scikit-learn face."""

from .checkpoint import Checkpoint
from .classifier import MoEClassifier
from .cv import MoEClassifierCV, MoERegressorCV
from .path import LassoPath, lasso_path
from .regressor import MoERegressor

__all__ = [
    "Checkpoint",
    "LassoPath",
    "MoEClassifier",
    "MoEClassifierCV",
    "MoERegressor",
    "MoERegressorCV",
    "lasso_path",
]
