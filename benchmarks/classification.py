"""Classification out of sample: MoEClassifier beside a logistic regression and boosted trees, on six data sets.

Run by hand, a quarter of an hour: `python benchmarks/classification.py`. Writes classification.csv (a row per fold) and
classification.md (means over the folds).

Five stratified folds, the same for all. K is chosen on each training part: by BIC over K = 1, 2, 3 with the default
penalty, or by three inner folds over K and the penalty's alpha in {1e-3, 1e-2} (K = 1, 2 on digits). Rivals:
scikit-learn's `LogisticRegression` on standardised columns, as it comes and with C chosen by the same inner folds, and
`HistGradientBoostingClassifier` as it comes.
"""

import csv
import time
import warnings
from pathlib import Path

import numpy as np
import statsmodels.api as sm
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from moegate import MoEClassifier, Ridge

COLUMNS = "data model fold n_experts log_loss accuracy seconds".split()
INNER = StratifiedKFold(3, shuffle=True, random_state=1)


def sets():
    """Name, columns and classes."""
    for name in ("iris", "wine", "breast_cancer"):
        yield name, *getattr(datasets, f"load_{name}")(return_X_y=True)
    fair = sm.datasets.fair.load_pandas().data
    yield "fair", fair.drop(columns="affairs").to_numpy(), (fair["affairs"] > 0).to_numpy().astype(int)
    anes = sm.datasets.anes96.load_pandas().data
    chosen = ["logpopul", "selfLR", "age", "educ", "income"]
    yield "anes96", anes[chosen].to_numpy(), anes["PID"].to_numpy().astype(int)
    yield "digits", *datasets.load_digits(return_X_y=True)


def by_bic(X, y, counts):
    """The fit of smallest BIC."""
    fits = [MoEClassifier(K, n_init=5, random_state=0).fit(X, y) for K in counts]
    return min(fits, key=lambda fit: fit.bic(X, y))


def by_folds(model, grid, X, y):
    """The fit of smallest inner log-loss."""
    return GridSearchCV(model, grid, scoring="neg_log_loss", cv=INNER, n_jobs=1).fit(X, y).best_estimator_


def models(counts):
    """Name and a function from training data to a fitted classifier."""
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    strengths = {"logisticregression__C": np.logspace(-2, 4, 7)}
    grid = {"n_experts": counts, "penalty__alpha": [1e-3, 1e-2]}
    moe = MoEClassifier(penalty=Ridge(), n_init=5, random_state=0)
    return {
        "MoE, K by BIC": lambda X, y: by_bic(X, y, counts),
        "MoE, K and alpha by folds": lambda X, y: by_folds(moe, grid, X, y),
        "logistic": logistic.fit,
        "logistic, C by folds": lambda X, y: by_folds(logistic, strengths, X, y),
        "boosted trees": HistGradientBoostingClassifier(random_state=0).fit,
    }


def rows():
    """One row of the table for each data set, model and fold."""
    for data, X, y in sets():
        folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))
        for model, fit in models([1, 2] if data == "digits" else [1, 2, 3]).items():
            for fold, (train, test) in enumerate(folds):
                began = time.perf_counter()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    fitted = fit(X[train], y[train])
                seconds, P = time.perf_counter() - began, fitted.predict_proba(X[test])
                scores = log_loss(y[test], P, labels=fitted.classes_), accuracy_score(y[test], fitted.predict(X[test]))
                yield [data, model, fold, getattr(fitted, "n_experts", ""), *scores, seconds]
            print(data, model, flush=True)


def summary(table):
    """Lines of a table in markdown."""
    yield "# Classification out of sample\n"
    yield "Means over five folds, and the numbers of experts chosen in them; `python benchmarks/classification.py`"
    yield "says how K and the penalty are chosen. Smaller log-loss (nats per row) is better.\n"
    yield "| data | model | log-loss | its sd over folds | accuracy | K | seconds per fit |"
    yield "|---|---|---|---|---|---|---|"
    for key in dict.fromkeys((row[0], row[1]) for row in table):
        part = [row for row in table if (row[0], row[1]) == key]
        loss, accuracy, seconds = (np.array([row[i] for row in part], dtype=float) for i in (4, 5, 6))
        chosen = " ".join(str(row[3]) for row in part).strip()
        numbers = (
            f"{loss.mean():.4f} | {loss.std(ddof=1):.4f} | {accuracy.mean():.4f} | {chosen} | {seconds.mean():.2f}"
        )
        yield f"| {key[0]} | {key[1]} | {numbers} |"


def main():
    """Fit, write."""
    table = list(rows())
    here = Path(__file__)
    with here.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([[f"{v:.6g}" if isinstance(v, float) else v for v in row] for row in table])
    here.with_suffix(".md").write_text("\n".join(summary(table)) + "\n")


if __name__ == "__main__":
    main()
