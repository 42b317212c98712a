"""Checks of what a user passes by row: an error says what was expected, what came, and what to do."""

import numbers
import warnings

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

LARGE_BYTES = 64e6  # of X in doubles, above which an array is read block by block
IMPUTE = (
    "moegate takes no missing or infinite values: impute them first (sklearn.impute.SimpleImputer) or drop the rows."
)
COLUMNS = (
    "X expects one column or more: of a mixture without columns pass a constant column with gate_features=[], "
    "expert_features=[]."
)
ENCODE = "Encode text, dates and categories as numbers first (sklearn.preprocessing.OneHotEncoder)."


def is_large(X):
    """Whether X (n, d) is read block by block, as it lies."""
    return X.shape[0] * X.shape[1] * 8 > LARGE_BYTES


def check_fitted(estimator):
    """Refuse what is no fitted mixture of experts.

    Raises
    ------
    TypeError, NotFittedError
    """
    check_mixture(estimator, "fitted ")
    check_is_fitted(estimator)


def weighs_classes(estimator):
    """Whether classes of a fit have weights other than one, so that what it maximised is no likelihood of the rows."""
    weights = getattr(estimator, "class_weight_", None)
    return weights is not None and bool(np.any(weights != 1))


def check_mixture(estimator, kind=""):
    """Refuse what is no mixture of experts: pipelines, searches and formula models, which hold one.

    Raises
    ------
    TypeError
    """
    if not hasattr(estimator, "permute_experts") or hasattr(estimator, "estimator_"):
        raise TypeError(
            f"Expected a {kind}MoERegressor or MoEClassifier, got {type(estimator).__name__}; of a search pass "
            "best_estimator_, of a pipeline its last step, pipe[-1], with the columns of that, pipe[:-1].transform(X), "
            "of a formula model estimator_ with *model.transform(data, response=True)."
        )


def check_data(estimator, X, **options):
    """scikit-learn's validation to float64, with a remedy where its message names none.

    A large array of numbers keeps its dtype: blocks of it become float64, and memory need not hold it whole.

    Parameters
    ----------
    estimator : BaseEstimator
    X : array-like or frame
    **options
        Of `sklearn.utils.validation.validate_data`, `y` among them.

    Returns
    -------
    X or (X, y)

    Raises
    ------
    ValueError
    """
    y = options.get("y")
    for name, values in (("X", X), ("y", y)):
        refuse_masked(values, name)
        if hasattr(values, "collect"):
            raise ValueError(f"{name} expects rows, got a {type(values).__name__} of a query; collect() it first.")
    if len(getattr(X, "columns", "some")) == 0:
        X = np.empty((len(X), 0))  # scikit-learn has no message for a frame without columns
    try:
        if np.asarray(y).dtype.kind in "mM":
            raise ValueError(f"y expects numbers or labels, got dtype {np.asarray(y).dtype}; convert it first.")
        streamed = isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "biuf" and is_large(X)
        checked = validate_data(estimator, X, dtype=None if streamed else np.float64, **options)
        return (checked[0], checked[1].astype(float, copy=False)) if options.get("y_numeric") else checked
    except (ValueError, np.exceptions.DTypePromotionError) as error:
        raise ValueError(_with_remedy(str(error))) from error


def refuse_missing(y, what):
    """Refuse responses that are missing, however they are written; numbers are left to `check_data`.

    Parameters
    ----------
    y : array-like of shape (n,)
    what : str
        What a row has, for the message.

    Raises
    ------
    ValueError
    """
    values = np.asarray(y, dtype=object) if isinstance(y, (list, tuple)) else np.asarray(y)
    if y is not None and values.dtype.kind not in "biufcUSmM":
        from pandas import isna

        missing = np.flatnonzero(isna(values.astype(object).ravel()))
        if missing.size:
            raise ValueError(f"y expects {what} in every row, got none in row {missing[0]}; drop the rows without.")


def _with_remedy(message):
    if "contains NaN" in message or "contains infinity" in message:
        return f"{message}\n{IMPUTE}"
    if "0 feature(s)" in message:
        return f"{message}\n{COLUMNS}"
    if any(sign in message for sign in ("could not convert string", "to numeric", "DType", "decimal")):
        return f"{message}\n{ENCODE}"
    return message


def refuse_masked(values, name):
    """Refuse arrays with masked entries, whose values would be taken as they are."""
    if np.ma.is_masked(values):
        raise ValueError(f"Input {name} contains masked entries.\n{IMPUTE}")


def check_weight(sample_weight, n_rows):
    """Weights as a float array, or None.

    Raises
    ------
    ValueError
        Where they are not one finite, non-negative number per row, or all zero.
    """
    if sample_weight is None:
        return None
    refuse_masked(sample_weight, "sample_weight")
    if isinstance(sample_weight, numbers.Real):
        sample_weight = np.full(n_rows, sample_weight)
    try:
        weight = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    except ValueError as error:
        raise ValueError(
            f"{error}\nsample_weight expects one finite number >= 0 per row; give 0 to leave a row out."
        ) from error
    if weight.shape != (n_rows,):
        raise ValueError(f"sample_weight expects shape ({n_rows},), one per row of X, got {weight.shape}.")
    if weight.min() < 0:
        at = int(np.argmin(weight))
        raise ValueError(f"sample_weight expects non-negative numbers, got {weight[at]:g} in row {at}.")
    if not weight.any():
        raise ValueError(
            "sample_weight is zero in every row: there is nothing to fit; give some rows a positive weight."
        )
    return weight


def check_exposure(exposure, n_rows, weight=None):
    """Exposures as a float array (n,), one where the weight is zero, whatever is there.

    Raises
    ------
    ValueError
        Where they are not one finite number per row, positive unless the weight is zero.
    """
    refuse_masked(exposure, "exposure")
    if isinstance(exposure, numbers.Real):
        exposure = np.full(n_rows, exposure)
    try:
        exposure = check_array(exposure, ensure_2d=False, dtype=np.float64, input_name="exposure")
    except ValueError as error:
        raise ValueError(f"{error}\nexposure expects one finite number > 0 per row.") from error
    if exposure.shape != (n_rows,):
        raise ValueError(f"exposure expects shape ({n_rows},), one per row of X, got {exposure.shape}.")
    seen = exposure if weight is None else np.where(weight > 0, exposure, 1.0)
    if seen.min() <= 0:
        at = int(np.argmin(seen))
        raise ValueError(f"exposure expects positive numbers, got {seen[at]:g} in row {at}; leave such rows out.")
    return seen


def warn_of_exposure(estimator, exposure):
    """Warn where responses are judged without an exposure by a fit that had one as an argument."""
    if exposure is None and getattr(estimator, "exposed_", False) and estimator.exposure is None:
        warnings.warn(
            "Expected an exposure beside y, since the model was fitted with an exposure, got none, which is taken for "
            "one in every row: pass exposure=..., exposure=1 where that is meant; in cross-validation make it a column "
            "of X (exposure=its name or number), or route it (set_fit_request, set_score_request).",
            UserWarning,
            stacklevel=5,
        )


def warn_of_small_weights(weight):
    """Warn where weights cannot be frequencies, before a criterion takes their sum for the number of rows."""
    if weight is not None and weight.sum() < 0.5 * np.count_nonzero(weight):
        warnings.warn(
            f"sample_weight sums to {weight.sum():.3g} over {np.count_nonzero(weight)} rows, and the criterion takes "
            "that for the number of rows; scale the weights to a mean of one.",
            UserWarning,
            stacklevel=3,
        )
