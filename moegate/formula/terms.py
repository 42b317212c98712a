"""The parts of a formula, and the columns that formulaic makes of them."""

import warnings

import numpy as np

from ..estimators.checks import IMPUTE


def parsed(formula):
    """The three parts of a formula: response, terms of the experts, terms of the gate."""
    response, tilde, right = formula.partition("~")
    parts = right.split("|")
    if not tilde or not response.strip() or len(parts) > 2 or not all(part.strip() for part in parts):
        raise ValueError(
            f'formula expects "response ~ expert terms" or "response ~ expert terms | gate terms", got {formula!r}.'
        )
    return response.strip(), parts[0].strip(), parts[-1].strip()


def by_row(data, given):
    """Keywords, with the columns in place of the names of weights and exposures."""
    named = {name for name in ("sample_weight", "exposure") if isinstance(given.get(name), str)}
    return given | {name: np.asarray(column_of(data, given[name], name)) for name in named}


def column_of(data, name, argument):
    """A column of the data; `argument` names who asks, for messages."""
    if name not in data:
        raise ValueError(
            f"{argument} names the column {name!r}, which is not in the data frame; its columns are "
            f"{list(map(str, data))}."
        )
    return data[name]


def as_pandas(data):
    """A frame of polars as one of pandas, without levels of categories that no row has."""
    data = data.to_pandas() if hasattr(data, "to_pandas") else data
    kept = {name: data[name].cat.remove_unused_categories() for name in data if hasattr(data[name], "cat")}
    return data.assign(**kept) if kept else data


def columns_of(spec):
    """Names of the columns of the data that a part uses."""
    return set(map(str, spec.variables_by_source.get("data", ())))


def learned(part, data, names=()):
    """How the columns of one part are made, learned from the data (levels of categories, moments of transforms).

    A dot in it means all of `names`.
    """
    try:
        from formulaic import Formula
    except ImportError as error:
        raise ImportError("from_formula needs formulaic: pip install 'moegate[formula]'.") from error
    spec = matrix(Formula(part, _context={"__formulaic_variables_available__": names}), data).model_spec
    empty = [str(term) for term, columns in spec.term_indices.items() if not columns]
    if empty:
        raise ValueError(
            f"formula expects terms that vary, got {part!r}: the term {empty[0]} makes no column, since it has one "
            "level only; leave it out, or write 1 where nothing is left."
        )
    return spec


def matrix(maker, data):
    """The columns that a formula or what was learned from it makes of data.

    Raises
    ------
    ValueError
        For missing values, and for levels of categories that are not those of the fit.
    """
    from formulaic.errors import DataMismatchWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", DataMismatchWarning)
        try:
            return maker.get_model_matrix(data, na_action="raise")
        except ValueError as error:
            if "null" not in str(error):
                raise
            raise ValueError(f"{error}\n{IMPUTE}") from error
        except DataMismatchWarning as warning:
            told = _unseen(maker, data) if hasattr(maker, "encoder_state") else ""
            raise ValueError(told or str(warning)) from warning


def _unseen(spec, data):
    """What to say of categories of which the data have levels that the fit has not seen."""
    from formulaic import Formula
    from formulaic.parser.types import Term

    told = {}
    for factor in sorted(spec.factors, key=str):
        levels = spec.encoder_state.get(factor.expr, (None, {}))[1].get("categories")
        if levels is not None:
            now = Formula([Term([factor])]).get_model_matrix(data).model_spec.encoder_state[factor.expr][1]
            columns = ", ".join(repr(str(name)) for name in spec.factor_variables[factor] if name in data)
            told[columns] = levels, [level for level in now["categories"] if level not in levels]
    return " ".join(
        f"data expects in column {columns} the levels of the fit, {_some(levels)}, got {_some(new)}; drop such rows, "
        "recode them, or fit with rows of these levels."
        for columns, (levels, new) in told.items()
        if new
    )


def _some(levels, most=5):
    more = f" and {len(levels) - most} more" if len(levels) > most else ""
    return ", ".join(map(repr, levels[:most])) + more
