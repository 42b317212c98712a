"""Models from formulas: `response ~ expert terms | gate terms`, by formulaic."""

import warnings
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from .estimators import MoEClassifier, MoERegressor
from .estimators.checks import IMPUTE
from .estimators.collections import in_memory
from .estimators.report import fitted_line

OF_ROWS = (  # methods of an estimator that take X
    "predict predict_experts predict_gate predict_proba predict_log_proba decision_function predict_std "
    "predict_quantile predict_interval sample pdf"
).split()
OF_RESPONSES = "score_samples responsibilities likelihood aic bic icl cdf".split()  # that take X and y


@in_memory
def from_formula(formula, data, n_experts=None, *, sample_weight=None, exposure=None, estimator=None, **parameters):
    """Fit a mixture of experts to a data frame by a formula.

    Parameters
    ----------
    formula : str
        "y ~ a + b | c": the experts see a and b, the gate sees c; without a bar both see all terms. Terms are those of
        formulaic: transformations, categorical columns, interactions, `.` for all columns but the response, the
        exposure and the weights, `1` for an intercept only (experts and gate have their intercept in any case). A
        response that is text, boolean or categorical makes a classifier.
    data : DataFrame
        Of pandas or polars.
    n_experts : int, optional
        By default that of `estimator`, and 2 without one.
    sample_weight : array-like of shape (n,) or str, optional
        Frequencies, or the name of their column.
    exposure : array-like of shape (n,) or str, optional
        Of Poisson experts. A column named is found again in the data of all that is asked of the fit; arrays are passed
        again, `predict(data, exposure=...)`.
    estimator : MoERegressor or MoEClassifier, optional
        With parameters to start from.
    **parameters
        Of the estimator, `gate="laplace"`, `experts="poisson"`, `random_state=0`, ...

    Returns
    -------
    FormulaModel
        Fitted; what it does not have itself is asked of `estimator_`.

    Raises
    ------
    ImportError
        Without formulaic (`pip install moegate[formula]`).
    ValueError
        For a formula without response, or with more than one bar.

    Examples
    --------
    >>> import statsmodels.api as sm
    >>> from moegate import from_formula
    >>> data = sm.datasets.engel.load_pandas().data
    >>> model = from_formula("foodexp ~ income | np.log(income)", data, n_experts=2, random_state=0)
    >>> model.estimator_.feature_names_in_.tolist()
    ['income', 'np.log(income)']
    >>> model.predict(data.head(2)).shape
    (2,)
    """
    parameters |= {} if n_experts is None else {"n_experts": n_experts}
    model = FormulaModel(formula, estimator, parameters)
    return model.fit(data, sample_weight=sample_weight, exposure=exposure)


class FormulaModel(BaseEstimator):
    """An estimator that takes data frames, and makes its columns by a formula.

    Methods of the estimator take a data frame in place of X, or of X and y; `sample_weight` and `exposure` may be the
    name of a column. `cross_val_score(model, data)` and `GridSearchCV(model, ...).fit(data)` take no y. Functions of
    estimators, such as `bootstrap` and the displays, take `model.estimator_` and the columns that it sees,
    `*model.transform(data, response=True)`.

    Parameters
    ----------
    formula : str
    estimator : MoERegressor or MoEClassifier, optional
    parameters : dict, optional
        Of the estimator.

    Attributes
    ----------
    estimator_ : MoERegressor or MoEClassifier
        Fitted to the columns that the formula makes.
    """

    def __init__(self, formula, estimator=None, parameters=None):
        self.formula = formula
        self.estimator = estimator
        self.parameters = parameters

    def fit(self, data, y=None, sample_weight=None, exposure=None):
        """Make the columns, and fit.

        Parameters
        ----------
        data : DataFrame
        y : None
            The response is a column of the data.
        sample_weight, exposure : array-like of shape (n,) or str, optional
            As for `from_formula`.

        Returns
        -------
        self
        """
        if y is not None:
            raise ValueError("y expects None, since the response is a column of the data; pass sample_weight by name.")
        data = _pandas(data)
        response, *parts = parsed(self.formula)
        self._specs = [_spec(f"0 + {response}", data)]
        y = self._response(data)
        own = self._own(y, exposure)
        self._learn(data, parts, {sample_weight} if isinstance(sample_weight, str) else set())
        experts, gate = (self._names(spec) for spec in self._specs[1:])
        given = {"sample_weight": sample_weight} | ({} if isinstance(exposure, str) else {"exposure": exposure})
        given = _by_row(data, {name: value for name, value in given.items() if value is not None})
        X = self._columns(data)
        self.estimator_ = own.set_params(expert_features=experts, gate_features=gate).fit(X, y, **given)
        return self

    def _own(self, y, exposure):
        """The estimator to fit; learns which column is its exposure."""
        own = self.estimator or (MoEClassifier() if y.dtype.kind in "OUSb" else MoERegressor())
        own = clone(own).set_params(**(self.parameters or {}))
        if exposure is not None and not hasattr(own, "exposure"):
            raise ValueError(f"exposure is for Poisson experts, got a {type(own).__name__}; leave it out.")
        if isinstance(exposure, str):
            own.set_params(exposure=exposure)
        self._exposure = getattr(own, "exposure", None)
        if not isinstance(self._exposure, str | None):
            raise ValueError(f"exposure expects the name of a column of the data frame, got {self._exposure!r}.")
        return own

    def _learn(self, data, parts, apart):
        """How the terms of experts and gate are made; a dot means no response, no exposure, and none of `apart`."""
        apart = {*_columns_of(self._specs[0]), self._exposure, *apart}
        self._specs += [_spec(part, data, [name for name in data if name not in apart]) for part in parts]
        if any(self._exposure in _columns_of(spec) for spec in self._specs[1:]):
            raise ValueError(
                f"The exposure {self._exposure!r} is no feature, got it among the terms of {self.formula!r}; take it "
                "out of them."
            )

    def _names(self, spec):
        return [name for name in spec.column_names if name != "Intercept"]

    def _columns(self, data):
        """The columns of experts and gate, each once."""
        import pandas as pd

        parts = [_matrix(spec, data) for spec in self._specs[1:]]
        table = pd.concat([pd.DataFrame(part) for part in parts], axis=1).drop(columns="Intercept", errors="ignore")
        table = table.loc[:, ~table.columns.duplicated()].astype(float)
        if self._exposure is not None:
            table[self._exposure] = np.asarray(_column(data, self._exposure, "exposure"), dtype=float)
        return table if len(table.columns) else table.assign(Intercept=1.0)  # which neither uses

    def _response(self, data):
        """The response: a column as it is, or what the formula makes of it."""
        name = self.formula.partition("~")[0].strip()
        if name in data:
            return np.asarray(data[name])
        made = _matrix(self._specs[0], data)
        if len(made.columns) != 1:
            raise ValueError(f"The response expects one column, got {list(made.columns)}; name a column of the data.")
        return np.asarray(made, dtype=float)[:, 0]

    def infer(self, data, **given):
        """`moegate.infer` on the columns of the frame of the fit."""
        from .inference import infer

        return infer(self.estimator_, *self.transform(data, response=True), **_by_row(_pandas(data), given))

    def transform(self, data, response=False):
        """The columns that the estimator sees, with `response` also y."""
        data = _pandas(data)
        X = self._columns(data)
        return (X, self._response(data)) if response else X

    def score(self, data, sample_weight=None, exposure=None):
        """R2 or accuracy.

        Parameters
        ----------
        data : DataFrame
            With the response.
        sample_weight, exposure : array-like of shape (n,) or str, optional

        Returns
        -------
        float
        """
        given = {"sample_weight": sample_weight} | ({} if exposure is None else {"exposure": exposure})
        return self.estimator_.score(*self.transform(data, response=True), **_by_row(_pandas(data), given))

    def _asked(self, name, data, *args, **given):
        """What a method of the estimator returns for the rows of a frame."""
        response = name in OF_RESPONSES and not (name == "cdf" and (args or "y" in given))
        rows = self.transform(data, response=True) if response else (self.transform(data),)
        return getattr(self.estimator_, name)(*rows, *args, **_by_row(_pandas(data), given))

    def __getattr__(self, name):
        if "estimator_" not in vars(self):
            raise NotFittedError(f"FormulaModel has no {name!r}; call fit first.")
        if name.startswith("_"):
            raise AttributeError(f"FormulaModel has no {name!r}.")
        found = getattr(self.estimator_, name)
        return partial(self._asked, name) if name in (*OF_ROWS, *OF_RESPONSES) else found

    def __repr__(self, N_CHAR_MAX=700):
        line = fitted_line(self.estimator_) if hasattr(self, "estimator_") else ""
        return f"FormulaModel({self.formula!r})" + (f"\n# {line}" if line else "")


def parsed(formula):
    """The three parts of a formula: response, terms of the experts, terms of the gate."""
    response, tilde, right = formula.partition("~")
    parts = right.split("|")
    if not tilde or not response.strip() or len(parts) > 2 or not all(part.strip() for part in parts):
        raise ValueError(
            f'formula expects "response ~ expert terms" or "response ~ expert terms | gate terms", got {formula!r}.'
        )
    return response.strip(), parts[0].strip(), parts[-1].strip()


def _by_row(data, given):
    """Keywords, with the columns in place of the names of weights and exposures."""
    named = {name for name in ("sample_weight", "exposure") if isinstance(given.get(name), str)}
    return given | {name: np.asarray(_column(data, given[name], name)) for name in named}


def _column(data, name, argument):
    """A column of the data; `argument` names who asks, for messages."""
    if name not in data:
        raise ValueError(
            f"{argument} names the column {name!r}, which is not in the data frame; its columns are "
            f"{list(map(str, data))}."
        )
    return data[name]


def _pandas(data):
    """A frame of polars as one of pandas, without levels of categories that no row has."""
    data = data.to_pandas() if hasattr(data, "to_pandas") else data
    kept = {name: data[name].cat.remove_unused_categories() for name in data if hasattr(data[name], "cat")}
    return data.assign(**kept) if kept else data


def _columns_of(spec):
    """Names of the columns of the data that a part uses."""
    return set(map(str, spec.variables_by_source.get("data", ())))


def _spec(part, data, names=()):
    """How the columns of one part are made, learned from the data (levels of categories, moments of transforms).

    A dot in it means all of `names`.
    """
    try:
        from formulaic import Formula
    except ImportError as error:
        raise ImportError("from_formula needs formulaic: pip install 'moegate[formula]'.") from error
    spec = _matrix(Formula(part, _context={"__formulaic_variables_available__": names}), data).model_spec
    empty = [str(term) for term, columns in spec.term_indices.items() if not columns]
    if empty:
        raise ValueError(
            f"formula expects terms that vary, got {part!r}: the term {empty[0]} makes no column, since it has one "
            "level only; leave it out, or write 1 where nothing is left."
        )
    return spec


def _matrix(maker, data):
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
