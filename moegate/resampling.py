"""Data drawn anew from a fit: responses from its density, or rows with replacement."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Resampled:
    """Data to draw anew, by `kind`.

    Attributes
    ----------
    estimator : MoERegressor or MoEClassifier
    X, y, weight, exposure : array-like
        Of the fit.
    kind : str
    """

    estimator: object
    X: object
    y: object
    weight: object
    exposure: object
    kind: str

    def __post_init__(self):
        weight = self.weight
        if self.kind == "parametric" and weight is not None and np.any(np.asarray(weight) % 1):
            raise ValueError(
                'kind="parametric" expects frequency weights that are whole numbers; use kind="rows", or round them.'
            )

    @property
    def given(self):
        """Keywords that rows need beside X and y."""
        return {} if self.exposure is None else {"exposure": self.exposure}

    def draw(self, rng):
        """Arguments of `fit`."""
        n, given = len(self.X), self.given
        weight = np.ones(n) if self.weight is None else np.asarray(self.weight, dtype=float)
        if self.kind == "rows":
            counts = rng.multinomial(round(weight.sum()), weight / weight.sum()).astype(float)
            return {"X": self.X, "y": self.y, "sample_weight": counts, **given}
        at = np.repeat(np.arange(n), weight.astype(int))
        X, given = taken(self.X, at), {name: taken(value, at) for name, value in given.items()}
        seed = int(rng.integers(2**31 - 1))
        return {"X": X, "y": self.estimator.sample(X, random_state=seed, **given), **given}


def taken(table, at):
    """Rows of an array, list or frame."""
    from sklearn.utils import _safe_indexing

    return _safe_indexing(table, at)
