"""The number of experts: fits for several K, and the criteria that choose among them."""

from .criteria import dimension_jump
from .select import Selection, select_n_experts

__all__ = ["Selection", "dimension_jump", "select_n_experts"]
