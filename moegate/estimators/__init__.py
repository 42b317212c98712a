"""Estimators: the scikit-learn face."""

from .classifier import MoEClassifier
from .regressor import MoERegressor

__all__ = ["MoEClassifier", "MoERegressor"]
