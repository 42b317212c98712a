"""The conditional density p(y | x) = sum_k pi_k(x) f_k(y | x): a gate, experts, and their number."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ._kernels import log_sum_exp
from .roots import first_integer, root


@dataclass(frozen=True)
class MixtureOfExperts:
    """A gate and K experts on chosen columns; `theta` is the flat vector of all free parameters, gate first.

    Parameters
    ----------
    gate : Gate
    experts : object
        An expert family, for example `Gaussian()`.
    n_experts : int
        K.
    n_columns : int
        Number d of design columns, without the ones.
    gate_columns, expert_columns : tuple of int, optional
        Columns that the gate and the experts use; None means all, an empty tuple an intercept only.
    names : tuple of str, optional
        Names of the columns.

    Examples
    --------
    >>> from moegate.experts import Gaussian
    >>> from moegate.gates import SoftmaxGate
    >>> from moegate.model import MixtureOfExperts
    >>> MixtureOfExperts(SoftmaxGate().build(2), Gaussian(), 2, n_columns=1).n_params
    8
    """

    gate: object
    experts: object
    n_experts: int
    n_columns: int
    gate_columns: tuple = None
    expert_columns: tuple = None
    names: tuple = None

    # layout ---------------------------------------------------------------------------------------------------------

    def _rows(self, columns):
        columns = range(self.n_columns) if columns is None else columns
        return (*columns, self.n_columns)

    @cached_property
    def gate_rows(self):
        """Design rows of the gate, the ones last."""
        return self._rows(self.gate_columns)

    @cached_property
    def expert_rows(self):
        """Design rows of the experts, the ones last."""
        return self._rows(self.expert_columns)

    @cached_property
    def predictor_rows(self):
        """Design rows that the experts' coefficients multiply: `expert_rows` and, where used, the response row."""
        return self.expert_rows + ((self.n_columns + 1,) if self.experts.response else ())

    @cached_property
    def rows_needed(self):
        """Rows below which an expert is degenerate."""
        return self.experts.rows_needed(len(self.expert_rows))

    @property
    def stacked(self):
        """Whether theta may be a stack (S, p), so that a pass serves S vectors; else they take turns."""
        return self.gate.stacked and getattr(self.experts, "stacked", False)

    @cached_property
    def gate_free(self):
        """Mask (m, w) of the gate's parameters that are estimated."""
        return self.gate.scores.free(self.n_experts, len(self.gate_rows))

    @cached_property
    def expert_shape(self):
        """(K, parameters of one expert)."""
        return self.n_experts, self.experts.n_channels * len(self.predictor_rows)

    @cached_property
    def n_gate(self):
        """Number of the gate's free parameters."""
        return int(self.gate_free.sum())

    @cached_property
    def n_params(self):
        """Length of theta."""
        return self.n_gate + self.expert_shape[0] * self.expert_shape[1]

    def split(self, theta):
        """Coefficients of the gate (m, w), pinned ones zero, and of the experts (K, P)."""
        free, stack = self.gate_free, theta.shape[:-1]
        experts = theta[..., self.n_gate :].reshape(stack + self.expert_shape)
        if self.n_gate == free.size:
            return theta[..., : self.n_gate].reshape(stack + free.shape), experts
        gate = np.zeros(stack + free.shape)
        gate[..., free] = theta[..., : self.n_gate]
        return gate, experts

    def join(self, gate, experts):
        """theta from the two coefficient arrays."""
        return np.concatenate([gate[..., self.gate_free], experts.reshape(*experts.shape[:-2], -1)], axis=-1)

    def begin(self, theta, x, resp):
        """theta with the gate from which a start's first M-step begins.

        Parameters
        ----------
        theta : ndarray of shape (p,)
        x : ndarray of shape (n, d)
            In user units.
        resp : ndarray of shape (n, K)
            Responsibilities, times the row weights.
        """
        return self.join(self.gate.scores.begin(x[:, list(self.gate_rows[:-1])], resp), self.split(theta)[1])

    def initial(self, units):
        """A plain admissible theta in scaled units: an even gate, experts with zero coefficients."""
        gate = self.gate.scores.initial(self.n_experts, units.center[list(self.gate_rows[:-1])])
        return self.join(gate, self.experts.initial(self.expert_shape))

    def dof(self, theta):
        """Number of identified parameters: free ones less the directions that the model cannot see."""
        return self.n_params - self.flat(theta).shape[1]

    def flat(self, theta):
        """Orthonormal directions (p, f) of theta that the model cannot see."""
        gate = self.gate.flat(self.split(theta)[0])[self.gate_free]
        return np.vstack([gate, np.zeros((self.n_params - len(gate), gate.shape[1]))])

    def unpack(self, theta):
        """Named arrays: gate coefficients and intercepts, and what the expert family calls its parameters.

        Parameters
        ----------
        theta : ndarray of shape (p,)
            In user units.

        Returns
        -------
        dict
            `gate_coef` (K, columns) and `gate_intercept` (K,) for affine scores, the last expert zero; for Gaussian
            experts `coef` (K, columns), `intercept` (K,) and `sigma` (K,), in units of the response; for multinomial
            experts `coef` (K, M, columns) and `intercept` (K, M), for Poisson experts those of the log-means.
        """
        gate, experts = self.split(theta)
        return {**self.gate.scores.natural(gate, self.n_experts), **self.experts.natural(experts)}

    # units ----------------------------------------------------------------------------------------------------------

    def unit_matrices(self, units):
        """Matrices (gate, experts) that take affine coefficients from user units to scaled units."""
        U, rows = units.matrix(self.experts.response), self.predictor_rows
        experts = np.kron(np.eye(self.experts.n_channels), U[np.ix_(rows, rows)])
        return U[np.ix_(self.gate_rows, self.gate_rows)], experts

    def to_scaled(self, theta, units):
        """theta in the scaled coordinates of `units`."""
        (gate, experts), (G, E) = self.split(theta), self.unit_matrices(units)
        return self.join(self.gate.scores.move(gate, G), experts @ E.T)

    def to_user(self, theta, units):
        """theta in user units, from scaled coordinates."""
        (gate, experts), (G, E) = self.split(theta), self.unit_matrices(units)
        return self.join(self.gate.scores.move(gate, np.linalg.inv(G)), np.linalg.solve(E, experts.T).T)

    # densities ------------------------------------------------------------------------------------------------------

    def predictors(self, experts, block):
        """Linear predictors of the experts, (K, channels, B)."""
        rows, V = self.predictor_rows, block.V
        V = V if rows == tuple(range(len(V))) else V[list(rows)]
        stack, K, channels = experts.shape[:-2], self.n_experts, self.experts.n_channels
        eta = (experts.reshape(*stack, K * channels, -1) @ V).reshape(*stack, K, channels, -1)
        return eta if block.offset is None else eta + block.offset

    def log_gate(self, theta, block):
        """Log-probabilities of the experts, (K, B)."""
        return self.gate.log_prob(self.split(theta)[0], block.design(self.gate_rows), self.n_experts)

    def log_joint(self, theta, block):
        """log pi_k(x) + log f_k(y | x), (K, B), in scaled units of the response."""
        experts = self.split(theta)[1]
        terms = self.experts.terms(self.predictors(experts, block))
        return self.log_gate(theta, block) + self.experts.log_prob(experts, terms, block.y)

    def _expert_design(self, theta, block):
        """Coefficients and design of the experts; an offset is one more row, whose coefficient is one."""
        coef, Z = self.split(theta)[1], block.design(self.expert_rows).Z
        if block.offset is None:
            return coef, Z
        return np.column_stack([coef, np.ones(len(coef))]), np.vstack([Z, block.offset])

    def expert_means(self, theta, block):
        """Means of the experts, (K, B)."""
        return self.experts.mean(*self._expert_design(theta, block))

    def mean(self, theta, block):
        """Mean of the response, (B,)."""
        return np.sum(np.exp(self.log_gate(theta, block)) * self.expert_means(theta, block), axis=0)

    def log_probabilities(self, theta, block):
        """Logarithms of the class probabilities, (M, B)."""
        by_expert = self.experts.log_probabilities(*self._expert_design(theta, block))
        return log_sum_exp(np.swapaxes(self.log_gate(theta, block)[:, None] + by_expert, 0, 1))

    def expert_probabilities(self, theta, block):
        """Class probabilities of the experts, (K, M, B)."""
        return self.experts.probabilities(*self._expert_design(theta, block))

    def variance(self, theta, block):
        """Variance of the response by the law of total variance, (B,)."""
        pi, means = np.exp(self.log_gate(theta, block)), self.expert_means(theta, block)
        within = self.experts.variance(*self._expert_design(theta, block))
        spread = means - np.sum(pi * means, axis=0)
        return np.sum(pi * (within + spread**2), axis=0)

    def log_pdf(self, theta, block, y):
        """Log density at y (B,)."""
        return log_sum_exp(self.log_gate(theta, block) + self.experts.log_pdf(*self._expert_design(theta, block), y))

    def expected_log_pdf(self, theta, block):
        """Mean of the log density under the model itself, (B,): over the nodes of each expert."""
        out, pi = 0.0, np.exp(self.log_gate(theta, block))
        for points, weights in self.experts.nodes(*self._expert_design(theta, block)):
            shares = zip(pi * weights, points, strict=True)
            out = out + sum(share * self.log_pdf(theta, block, y) for share, y in shares)
        return out

    def log_cdf(self, theta, block, y, upper=False):
        """Log of P(Y <= y), or of P(Y > y) with `upper`, (B,)."""
        tail = self.experts.log_sf if upper else self.experts.log_cdf
        return log_sum_exp(self.log_gate(theta, block) + tail(*self._expert_design(theta, block), y))

    def quantile(self, theta, block, q):
        """Quantiles (B,) at the level q: the root of the distribution function, or the integer that reaches it.

        It lies between the smallest and largest quantile of the experts with positive probability; it is sought on the
        logarithm of the nearer tail, so that extreme levels lose no digits.
        """
        log_pi = self.log_gate(theta, block)
        experts, Z = self._expert_design(theta, block)
        ends = self.experts.quantile(experts, Z, q)
        low = np.where(np.isfinite(log_pi), ends, np.inf).min(axis=0)
        high = np.where(np.isfinite(log_pi), ends, -np.inf).max(axis=0)
        upper = q > 0.5
        tail = self.experts.log_sf if upper else self.experts.log_cdf
        level, sign = (np.log1p(-q), -1.0) if upper else (np.log(q), 1.0)

        def excess(y, column):
            column = column.astype(int)
            return sign * (log_sum_exp(log_pi[:, column] + tail(experts, Z[:, column], y)) - level)

        return (first_integer if self.experts.discrete else root)(excess, low, high)

    def sample(self, theta, block, rng):
        """One response per row, (B,)."""
        cumulative = np.cumsum(np.exp(self.log_gate(theta, block)), axis=0)
        cumulative[-1] = np.inf
        expert = np.argmax(rng.random(cumulative.shape[1]) < cumulative, axis=0)
        return self.experts.sample(*self._expert_design(theta, block), expert, rng)

    # labels ---------------------------------------------------------------------------------------------------------

    def canonical_order(self, theta, block):
        """Experts by falling gate probability at the first row of a block, ties by `rank` of the experts there."""
        mass = np.exp(self.log_gate(theta, block))[:, 0]
        order = np.lexsort((self.experts.rank(*self._expert_design(theta, block))[:, 0], -np.round(mass, 9)))
        return self.gate.scores.order(order, self.n_experts)

    def gauged(self, theta):
        """The same model, its gate in the gauge that is reported."""
        gate, experts = self.split(theta)
        return self.join(self.gate.gauge(gate), experts)

    def permute(self, theta, order):
        """The same model with its experts in another order."""
        gate, experts = self.split(theta)
        return self.join(self.gate.permute(gate, order, self.n_experts), experts[list(order)])
