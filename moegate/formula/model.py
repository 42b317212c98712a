"""Estimators that take data frames: `response ~ expert terms | gate terms`."""

from functools import partial

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from ..estimators import MoEClassifier, MoERegressor
from ..estimators.collections import in_memory
from ..estimators.report import fitted_line
from .terms import as_pandas, by_row, column_of, columns_of, learned, matrix, parsed

OF_ROWS = (  # methods of an estimator that take X
    "predict predict_experts predict_gate predict_proba predict_log_proba decision_function predict_std "
    "predict_quantile predict_interval sample pdf"
).split()
OF_RESPONSES = "score score_samples responsibilities likelihood aic bic icl cdf".split()  # that take X and y


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
        Frequencies, or the name of their column. What else takes weights, such as `bic`, is told them again.
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
    if isinstance(exposure, str):  # names belong to the model, so that clones of it know them
        parameters, exposure = {**parameters, "exposure": exposure}, None
    weights, sample_weight = (sample_weight, None) if isinstance(sample_weight, str) else (None, sample_weight)
    model = FormulaModel(formula, estimator, parameters, weights)
    return model.fit(data, sample_weight=sample_weight, exposure=exposure)


class FormulaModel(BaseEstimator):
    """An estimator that takes data frames, and makes its columns by a formula.

    Methods of the estimator take a data frame in place of X, or of X and y; `sample_weight` and `exposure` may be the
    name of a column. `cross_val_score(model, data)` and `GridSearchCV(model, ...).fit(data)` take no y, and score by
    `score` (other scorers need y). Functions of estimators, such as `bootstrap` and the displays, take
    `model.estimator_` and the columns that it sees, `*model.transform(data, response=True)`.

    Parameters
    ----------
    formula : str
    estimator : MoERegressor or MoEClassifier, optional
    parameters : dict, optional
        Of the estimator.
    sample_weight : str, optional
        Column of the weights of a fit.

    Attributes
    ----------
    estimator_ : MoERegressor or MoEClassifier
        Fitted to the columns that the formula makes.
    """

    def __init__(self, formula, estimator=None, parameters=None, sample_weight=None):
        self.formula = formula
        self.estimator = estimator
        self.parameters = parameters
        self.sample_weight = sample_weight

    def fit(self, data, y=None, sample_weight=None, exposure=None):
        """Make the columns, and fit.

        Parameters
        ----------
        data : DataFrame
        y : None
            The response is a column of the data.
        sample_weight, exposure : array-like of shape (n,) or str, optional
            Or the names of their columns. An exposure that is passed here is passed again to what is asked of the fit;
            as a parameter, `{"exposure": name}`, it is found there.

        Returns
        -------
        self
        """
        if y is not None:
            raise ValueError("y expects None, since the response is a column of the data; pass sample_weight by name.")
        data = as_pandas(data)
        response, *parts = parsed(self.formula)
        self._specs = [learned(f"0 + {response}", data)]
        y = self._response(data)
        labels = y.dtype.kind in "OUSb" or hasattr(data.get(response), "cat")
        own = self._own(MoEClassifier() if labels else MoERegressor(), exposure)
        sample_weight = self.sample_weight if sample_weight is None else sample_weight
        given = {"sample_weight": sample_weight, "exposure": exposure}
        given = {argument: value for argument, value in given.items() if value is not None}
        self._learn(data, parts, {argument: name for argument, name in given.items() if isinstance(name, str)})
        given = by_row(data, given)
        experts, gate = (self._names(spec) for spec in self._specs[1:])
        X = self._columns(data)
        self.estimator_ = own.set_params(expert_features=experts, gate_features=gate).fit(X, y, **given)
        return self

    def _own(self, plain, exposure):
        """The estimator to fit, the plain one where none is given; learns which column is its exposure."""
        own, parameters = self.estimator or plain, self.parameters or {}
        if not hasattr(own, "exposure") and (exposure is not None or "exposure" in parameters):
            raise ValueError(f"exposure is for Poisson experts, got a {type(own).__name__}; leave it out.")
        own = clone(own).set_params(**parameters)
        self._exposure = getattr(own, "exposure", None)
        if not isinstance(self._exposure, str | None):
            raise ValueError(f"exposure expects the name of a column of the data frame, got {self._exposure!r}.")
        return own

    def _learn(self, data, parts, named):
        """How the terms of experts and gate are made; a dot means neither the response nor columns that are named."""
        apart = {*columns_of(self._specs[0]), self._exposure, self.sample_weight, *named.values()}
        self._specs += [learned(part, data, [name for name in data if name not in apart]) for part in parts]
        used = set().union(*map(columns_of, self._specs[1:]))
        for name in used & {self._exposure, named.get("exposure")}:
            raise ValueError(
                f"The exposure {name!r} is no feature, got it among the terms of {self.formula!r}; take it out of them."
            )

    def _names(self, spec):
        return [name for name in spec.column_names if name != "Intercept"]

    def _columns(self, data):
        """The columns of experts and gate, each once."""
        import pandas as pd

        parts = [matrix(spec, data) for spec in self._specs[1:]]
        table = pd.concat([pd.DataFrame(part) for part in parts], axis=1).drop(columns="Intercept", errors="ignore")
        table = table.loc[:, ~table.columns.duplicated()].astype(float)
        if self._exposure is not None:
            table[self._exposure] = np.asarray(column_of(data, self._exposure, "exposure"), dtype=float)
        return table if len(table.columns) else table.assign(Intercept=1.0)  # which neither uses

    def _response(self, data):
        """The response: a column as it is, or what the formula makes of it."""
        name = self.formula.partition("~")[0].strip()
        if name in data:
            return np.asarray(data[name])
        made = matrix(self._specs[0], data)
        if len(made.columns) != 1:
            raise ValueError(f"The response expects one column, got {list(made.columns)}; name a column of the data.")
        return np.asarray(made, dtype=float)[:, 0]

    def infer(self, data, **given):
        """`moegate.infer` on the columns of the frame of the fit."""
        from ..inference import infer

        return infer(self.estimator_, *self.transform(data, response=True), **by_row(as_pandas(data), given))

    def transform(self, data, response=False):
        """The columns that the estimator sees, with `response` also y."""
        data = as_pandas(data)
        X = self._columns(data)
        return (X, self._response(data)) if response else X

    def score(self, data, y=None, sample_weight=None, exposure=None):
        """R2 or accuracy.

        Parameters
        ----------
        data : DataFrame
            With the response.
        y : None
        sample_weight, exposure : array-like of shape (n,) or str, optional

        Returns
        -------
        float
        """
        given = {"sample_weight": sample_weight} | ({} if exposure is None else {"exposure": exposure})
        return self._asked("score", data, *(() if y is None else (y,)), **given)

    def _asked(self, name, data, *args, **given):
        """What a method of the estimator returns for the rows of a frame."""
        response = name in OF_RESPONSES and not (name == "cdf" and (args or "y" in given))
        if response and args:
            raise TypeError(
                f"{name} expects the data alone, whose column is the response, got another argument; pass "
                "sample_weight and exposure by keyword."
            )
        rows = self.transform(data, response=True) if response else (self.transform(data),)
        return getattr(self.estimator_, name)(*rows, *args, **by_row(as_pandas(data), given))

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
