"""Parameters as people read them: named, in natural units, the gate's as contrasts against one expert."""

from dataclasses import dataclass

import numpy as np

TAKEN = ("intercept", "sigma")  # names of parameters: columns called so are told apart
MARKS = {"gate_coef": "", "gate_center": "center.", "gate_intercept": ""}  # before the name of a column


@dataclass(frozen=True)
class Parameters:
    """The map from theta to named parameters, and what belongs together in it.

    Gate parameters of which only differences between experts are identified are contrasts against `reference`;
    coefficients of classes are log-odds against the first class.

    Parameters
    ----------
    model : MixtureOfExperts
    reference : int
        Expert; of each gate in a tree it is the last child.
    classes : tuple of str
        Labels; empty for numbers and counts.
    """

    model: object
    reference: int
    classes: tuple = ()

    def values(self, theta):
        """Natural parameters, (m,)."""
        return np.concatenate([np.ravel(value) for _, value in self._items(theta)])

    def names(self, theta):
        """Their names."""
        return [name for names, _ in self._items(theta) for name in names]

    def _items(self, theta):
        """Pairs of names and values."""
        named = self.model.unpack(theta)
        yield from self._gate_items(named)
        for k in range(self.model.n_experts):
            yield from self._expert_items(named, k)

    def columns(self, rows):
        """Names of design rows, without the ones."""
        names = self.model.names or tuple(f"x{i}" for i in range(self.model.n_columns))
        return [names[row] + " (column)" * (names[row] in TAKEN) for row in rows[:-1]]

    def _gate_items(self, named):
        nodes, contrasts = named.get("gate_nodes", {(): named}), self.model.gate.contrasts()
        for path, parts in nodes.items():
            reference = self.reference if "gate_nodes" not in named else -1
            yield from self._node_items(".".join(["gate", *map(str, path)]), parts, contrasts[path], reference)

    def _node_items(self, stem, parts, contrasted, reference):
        """Items of one gate; one expert has nothing to choose."""
        columns, K = self.columns(self.model.gate_rows), len(parts["gate_intercept"])
        tables = {key: parts[key].reshape(K, -1) for key in MARKS if key in parts}
        for k in range(K if K > 1 else 0):
            for key, rows in tables.items():
                against = rows[reference] if key in contrasted else 0.0
                if key not in contrasted or k != reference % K:
                    labels = ["intercept"] if key == "gate_intercept" else columns
                    yield [f"{stem}[{k}].{MARKS[key]}{label}" for label in labels], rows[k] - against

    def _expert_items(self, named, k):
        columns, stem = self.columns(self.model.expert_rows), f"expert[{k}]."
        coef, intercept = named["coef"][k], named["intercept"][k]
        if not self.classes:
            yield [stem + column for column in columns] + [stem + "intercept"], np.append(coef, intercept)
        else:
            rows = np.column_stack([coef, intercept])
            for label, row in zip(self.classes[1:], rows[1:] - rows[0], strict=True):
                yield [f"{stem}{label}.{column}" for column in (*columns, "intercept")], row
        if "sigma" in named:
            yield [stem + "sigma"], named["sigma"][k]


def check_reference(reference, n_experts):
    """The expert against which gate rows are contrasts, counted from zero; None is the last."""
    if reference is None:
        return n_experts - 1
    if not isinstance(reference, (int, np.integer)) or not -n_experts <= reference < n_experts:
        raise ValueError(f"reference expects an expert from 0 to {n_experts - 1}, got {reference!r}.")
    return int(reference) % n_experts
