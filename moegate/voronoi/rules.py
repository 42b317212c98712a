"""Which powers of which errors a Voronoi loss adds up, by gate and family."""

from typing import NamedTuple

EXPONENTS = {1: 1, 2: 4, 3: 6}  # r(m) of a cell with m atoms: known to m = 3


class Rule(NamedTuple):
    """What enters a cell with several atoms, and what cannot be seen.

    Attributes
    ----------
    cells : tuple of (tuple of str, str)
        Groups whose joint norm is taken, and to which power: "r", "r/2" or "2".
    translates : bool
        Whether a common translation of the gate's slopes cannot be seen.
    bias : bool
        Whether the gate's intercept counts among its slopes instead of in the weights.
    swaps : bool
        Whether, of two experts, the slopes (w_1, w_2) and (-w_2, -w_1) make the same gate: so with sigmoid and tanh
        activations and the intercepts outside them, not with others.
    """

    cells: tuple
    translates: bool
    bias: bool = False
    swaps: bool = False

    def powers(self, r):
        """Pairs of groups and power for the exponent r of a cell."""
        value = {"r": r, "r/2": r / 2, "2": 2.0}
        return [(groups, value[power]) for groups, power in self.cells]


ALL = ("gate", "slope", "intercept", "variance")
RULES = {
    "softmax": Rule(((("gate", "intercept"), "r"), (("slope", "variance"), "r/2")), True),
    "laplace": Rule(
        ((("gate",), "2"), (("slope",), "2"), (("intercept",), "r"), (("variance",), "r/2")),
        False,
    ),
    "multinomial": Rule(((ALL, "2"),), True),
    "activation": Rule(((ALL, "2"),), False, swaps=True),
    "sigmoid": Rule(((ALL, "2"),), False, True),
}
