"""Models from formulas, by formulaic."""

from .model import FormulaModel, from_formula
from .terms import parsed

__all__ = ["FormulaModel", "from_formula", "parsed"]
