"""What solvers ask about the shape of a likelihood: flat directions, diverging gates, edges of the domain."""

from functools import cached_property, partial

import numpy as np

from .blocks import Triangle

VANISHED = 1e-8  # information per row and unit of a gate's parameters, in scaled columns, and per squared score
COLLINEAR = 1e-3  # squared change of the scores per row by a direction of length one along nearly collinear columns
ROUNDING = 1e-13  # relative to the largest: information or squared scores of which nothing can be said


class Geometry:
    """Questions about a model in the coordinates of a linear map; `Likelihood` adds the data.

    Attributes
    ----------
    model : MixtureOfExperts
    transform : ndarray of shape (P, p) or None
    """

    @property
    def smooth(self):
        """Whether the value has continuous second derivatives."""
        return self.model.gate.smooth

    @property
    def gate_arguments(self):
        """Positions in theta of what moves the gate."""
        n = self.model.n_gate
        return np.arange(n) if self.transform is None else np.flatnonzero(self.transform[:n].any(axis=0))

    def flat(self, theta):
        """Orthonormal directions (p, f) that the model cannot see."""
        D, C = self.model.flat(self._full(theta)), self.transform
        if C is None or D.shape[1] == 0:
            return D if C is None else np.zeros((self.n_params, 0))
        size = np.linalg.norm(C, axis=0)
        _, values, vectors = np.linalg.svd((C - D @ (D.T @ C)) / size)
        return np.linalg.qr(vectors[values < 1e-9].T / size[:, None])[0]

    def receding(self, theta, information):
        """Directions in which the gate or an expert diverges: where its information has vanished.

        There a unit of its parameters carries next to no information per row, also for the little that it changes the
        scores where columns are nearly collinear, and a step as long as they are carries less than one unit in all.
        Directions that a gate cannot see do not count, nor do experts whose family has no maximum at infinity.

        Parameters
        ----------
        theta : ndarray of shape (p,)
        information : ndarray of shape (p, p)
            Complete-data information at theta, and of a penalty.

        Returns
        -------
        directions : ndarray of shape (p, f)
            f = 0 where there is none.
        step : ndarray of shape (p,)
            The part of the parameters themselves that lies in them: along it they may recede further.
        """
        n, (K, P) = self.model.n_gate, self.model.expert_shape
        parts = [(slice(0, n), self.model.flat(self._full(theta))[:n], self._scored)]
        if self.model.experts.recedes:
            parts += [(slice(at, at + P), np.zeros((P, 0)), self._predicted) for at in range(n, n + K * P, P)]
        directions, steps = zip(*(self._vanished(theta, information, *part) for part in parts), strict=True)
        return np.hstack(directions), sum(steps)

    def _vanished(self, theta, information, part, flat, moved):
        """`receding` of the parameters in one part of the model's, but for directions `flat` of them; `moved` gives the
        sum over rows of the squared changes of their scores or predictors by directions.
        """
        seen = np.linalg.qr(flat, mode="complete")[0][:, flat.shape[1] :]
        if self.transform is None:
            at, own, back = part, seen.T @ theta[part], seen
        else:
            C = self.transform[part]
            at = np.flatnonzero(C.any(axis=0))
            own, back = seen.T @ (C @ theta), np.linalg.pinv(C[:, at]) @ seen
        at = np.arange(self.n_params)[at]
        values, vectors = np.linalg.eigh(back.T @ information[np.ix_(at, at)] @ back)
        directions = np.zeros((self.n_params, len(values)))
        directions[at] = back @ vectors
        along = vectors.T @ own
        with np.errstate(over="ignore", invalid="ignore"):
            weak = (values * along**2 < 1) | (values < ROUNDING * np.max(values, initial=0.0))
        weak &= values < VANISHED * self.total_weight
        weak[weak] = values[weak] < VANISHED * moved((seen @ vectors[:, weak]).T)
        return directions[:, weak], directions[:, weak] @ along[weak]

    def _scored(self, directions):
        """Squared changes of linear scores by directions of the gate, (f,)."""
        if not self.model.gate.scores.linear:
            return np.full(len(directions), np.inf)
        each = np.zeros((len(directions), *self.model.gate_free.shape))
        each[:, self.model.gate_free] = directions
        return self._squared(each, self.model.gate_rows)

    def _predicted(self, directions):
        """Squared changes of predictors by directions of one expert, (f,)."""
        rows, channels = self.model.predictor_rows, self.model.experts.n_channels
        return self._squared(directions.reshape(len(directions), channels, len(rows)), rows)

    def _squared(self, each, rows):
        """Sums over the data of squares, by directions (f, m, w); infinite but for nearly collinear columns."""
        sums = np.square(each @ self._root[:, list(rows)].T).sum(axis=(1, 2))
        share = sums / self.total_weight
        return np.where((share > ROUNDING) & (share < COLLINEAR), sums, np.inf)

    @cached_property
    def _root(self):
        """R with R'R the Gram matrix of columns and ones, (d + 1, d + 1)."""
        return self.rows.total(partial(Triangle.of, at=list(range(self.model.n_columns + 1)))).R

    def diverged(self, theta, step):
        """Whether a step of `receding` moves the gate, and which experts it moves."""
        n, moved = self.model.n_gate, np.abs(self._full(step)) > 1e-9 * np.max(np.abs(theta), initial=0.0)
        experts = moved[n:].reshape(self.model.expert_shape).any(axis=1)
        return bool(moved[:n].any()), tuple(np.flatnonzero(experts).tolist())

    def steepest_gate(self, theta):
        """The expert whose gate slopes are largest, and their norm."""
        size = np.linalg.norm(self.model.gate.scores.slopes(self.model.split(self._full(theta))[0]), axis=-1)
        return int(np.argmax(size)), float(size.max())

    def at_boundary(self, theta):
        """Whether a parameter sits on the edge of the admissible set (an expert on its scale floor)."""
        coef = self.model.split(self._full(theta))[1]
        return bool(np.any(self.model.experts.on_boundary(coef)))
