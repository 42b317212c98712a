"""A slice through the feature space: one or two features vary, the others stay at their centre; X keeps its type."""

import numbers

import numpy as np

_CENTRES = {"median": np.median, "mean": np.mean}


def as_table(X, n_features):
    """Return `X` if it is a data frame, else as an array of shape (n, d).

    Raises
    ------
    ValueError
        If `X` does not have two dimensions or `n_features` columns.
    """
    table = X if hasattr(X, "columns") else np.asarray(X)
    if len(table.shape) != 2 or table.shape[1] != n_features:
        expected = f"X of shape (n, {n_features}), the columns that the estimator was fitted on"
        raise ValueError(f"Expected {expected}; got shape {tuple(table.shape)}.")
    return table


def feature_names(estimator, X):
    """Names of the features: those of the fit, else those of the frame `X`, else ``x0, x1, ...``."""
    names = getattr(estimator, "feature_names_in_", getattr(X, "columns", None))
    return [f"x{j}" for j in range(X.shape[1])] if names is None else [str(name) for name in names]


def feature_index(feature, names):
    """Column number of `feature`, which is a name or a column number.

    Raises
    ------
    ValueError
        If there is no such feature; the message lists the known ones.
    """
    if isinstance(feature, numbers.Integral) and -len(names) <= feature < len(names):
        return int(feature) % len(names)
    if isinstance(feature, str) and feature in names:
        return names.index(feature)
    known = f"a column number in 0..{len(names) - 1} or one of {names}"
    raise ValueError(f"Unknown feature {feature!r}: expected {known}.")


def column(X, j):
    """Column number `j` of a frame or array, as floats of shape (n,)."""
    return np.asarray(X[X.columns[j]] if hasattr(X, "columns") else X[:, j], dtype=float)


def spread(values, resolution):
    """`resolution` equally spaced points over the range of `values`; a constant gets half a unit on either side."""
    low, high = np.min(values), np.max(values)
    half_unit = 0.5 * (low == high)
    return np.linspace(low - half_unit, high + half_unit, resolution)


def slice_rows(X, varied, centre):
    """Rows in which the columns of `varied` take the values given and all others their centre.

    Parameters
    ----------
    X : array or data frame of shape (n, d)
    varied : dict of int to ndarray of shape (m,)
        Values by column number, in the units of the column.
    centre : {"median", "mean"}

    Returns
    -------
    rows : array or data frame of shape (m, d), as `X`

    Raises
    ------
    ValueError
        If `centre` is neither of the two.
    """
    if centre not in _CENTRES:
        raise ValueError(f"Unknown centre {centre!r}: expected one of {sorted(_CENTRES)}.")
    m = len(next(iter(varied.values())))
    columns = [varied[j] if j in varied else np.full(m, _CENTRES[centre](column(X, j))) for j in range(X.shape[1])]
    return type(X)(dict(zip(X.columns, columns))) if hasattr(X, "columns") else np.column_stack(columns)


def held_note(names, shown, centre):
    """Words on the features not shown: ``"bp at its median"``, ``"8 other features at their median"``, or ``""``."""
    others = [name for j, name in enumerate(names) if j not in shown]
    if len(others) < 2:
        return f"{others[0]} at its {centre}" if others else ""
    return f"{len(others)} other features at their {centre}"


def features_shown(predict, X, features, names, centre):
    """Column numbers of the one or two features to show; of many the one along which `predict` changes most.

    Raises
    ------
    ValueError
        If a feature is not known, or more than two are asked for.
    """
    if features is None:
        return list(range(len(names))) if len(names) <= 2 else most_telling(predict, X, centre, 1)
    wanted = [features] if isinstance(features, str) or np.ndim(features) == 0 else list(features)
    shown = [feature_index(feature, names) for feature in wanted]
    if len(shown) not in (1, 2) or len(set(shown)) < len(shown):
        raise ValueError(f"One feature or two different ones can be shown; got {wanted}. Known: {names}.")
    return shown


def most_telling(predict, X, centre, n):
    """The n features along which probabilities range most, all others at their centre."""

    def reach(j):
        return np.ptp(predict(slice_rows(X, {j: spread(column(X, j), 50)}, centre)), axis=0).sum()

    return sorted(range(X.shape[1]), key=reach, reverse=True)[:n]


def on_grid(predict, X, grids, centre):
    """Probabilities of shape (m, K) or (m, m, K) on a grid, first feature first."""
    mesh = np.meshgrid(*grids.values(), indexing="ij")
    rows = slice_rows(X, {j: values.ravel() for j, values in zip(grids, mesh)}, centre)
    return predict(rows).reshape(*mesh[0].shape, -1)
