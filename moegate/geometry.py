"""What solvers ask about the shape of a likelihood: flat directions, diverging gates, edges of the domain."""

import numpy as np

VANISHED = 1e-8  # information per row and unit of a gate's parameters, in scaled columns


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
        """Directions in which the gate diverges: where its information has vanished, but for those it cannot see.

        There a unit of the gate's parameters carries next to no information per row, and a step as long as they are
        carries less than one unit in all.

        Parameters
        ----------
        theta : ndarray of shape (p,)
        information : ndarray of shape (p, p)
            Complete-data information at theta.

        Returns
        -------
        directions : ndarray of shape (p, f)
            f = 0 where there is none.
        step : ndarray of shape (p,)
            The part of the gate's own parameters that lies in them: along it the gate may recede further.
        """
        n = self.model.n_gate
        C = np.eye(n, self.n_params) if self.transform is None else self.transform[:n]
        at = self.gate_arguments
        flat = self.model.flat(self._full(theta))[:n]
        seen = np.linalg.qr(flat, mode="complete")[0][:, flat.shape[1] :]
        gate, back = seen.T @ (C @ theta), np.linalg.pinv(C[:, at]) @ seen
        values, vectors = np.linalg.eigh(back.T @ information[np.ix_(at, at)] @ back)
        directions = np.zeros((self.n_params, len(values)))
        directions[at] = back @ vectors
        with np.errstate(over="ignore", invalid="ignore"):
            weak = (values * (gate @ gate) < 1) | (values < 1e-10 * np.max(values, initial=0.0))
        weak &= values < VANISHED * self.total_weight
        return directions[:, weak], directions[:, weak] @ (vectors[:, weak].T @ gate)

    def steepest_gate(self, theta):
        """The expert whose gate slopes are largest, and their norm."""
        size = np.linalg.norm(self.model.gate.scores.slopes(self.model.split(self._full(theta))[0]), axis=-1)
        return int(np.argmax(size)), float(size.max())

    def at_boundary(self, theta):
        """Whether a parameter sits on the edge of the admissible set (an expert on its scale floor)."""
        coef = self.model.split(self._full(theta))[1]
        return bool(np.any(self.model.experts.on_boundary(coef)))
