"""Standard errors, tests and tables of a fitted model."""

from .covariance import COVARIANCES
from .infer import infer
from .result import Inference

__all__ = ["COVARIANCES", "Inference", "infer"]
