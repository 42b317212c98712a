"""The number of experts: a sweep of fits and a criterion, or the dendrogram of one fit."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from ..dendrogram import Dendrogram, dendrogram
from ..estimators.checks import check_mixture, check_weight, warn_of_small_weights
from ..estimators.options import check_count
from .criteria import SLOPE_MODELS, cross_validated, slope, table
from .sweep import Problem, best, sweep

CRITERIA = ("bic", "aic", "icl", "hannan_quinn", "slope", "cv", "dsc")


@dataclass(frozen=True, eq=False)
class Selection:
    """Fits for several numbers of experts, and the one chosen.

    Attributes
    ----------
    table : pandas.DataFrame
        One row for each number of experts: `loglik`, `dof`, the criteria (smaller is better), `certificate` (its kind),
        `degenerate`, and `start`: which start won, "default", "split" (from one expert less) or "merge" (from one
        more). With criterion="dsc" `loglik` of the merged measures, `height`, `dsc` and `certificate` of those fitted.
    criterion : str
    n_experts : int
        The number chosen.
    estimators : dict of int to estimator
        The fits by number of experts; with criterion="dsc" the largest and the chosen one.
    tree : Dendrogram or None
        With criterion="dsc".
    """

    table: object
    criterion: str
    n_experts: int
    estimators: dict
    tree: Dendrogram = None

    def __repr__(self):
        return (
            f"<Selection: {self.n_experts} experts by {self.criterion}, out of {', '.join(map(str, self.table.index))}>"
        )

    @property
    def estimator(self):
        """The fit with the number of experts chosen."""
        return self.estimators[self.n_experts]


def select_n_experts(
    estimator, X, y, n_experts=range(1, 7), criterion="bic", sample_weight=None, cv=5, n_jobs=None, exposure=None
):
    """Fit several numbers of experts and choose one.

    Every K is fitted from the estimator's own starts, then from its neighbours: going up, each expert of the fit of
    K - 1 split in two ways; going down, two pairs of the fit of K + 1 merged. The best sound fit wins, so that a weak
    search at one K does not decide. Smaller is better for all criteria.

    Parameters
    ----------
    estimator : MoERegressor or MoEClassifier
        Any gate and family; not changed. `n_experts` is set by the sweep, `init` must be a kind of start.
    X : array-like of shape (n, d)
    y : array-like of shape (n,)
    n_experts : iterable of int, default=range(1, 7)
        Numbers to try.
    criterion : str, default="bic"
        With the log-likelihood l, dof D and the sum of weights n:

        - "bic": -2 l + D log n;
        - "aic": -2 l + 2 D;
        - "icl": BIC plus twice the entropy of the responsibilities: prefers experts that are told apart;
        - "hannan_quinn": -2 l + 2 D log log n;
        - "slope": -2 l + 4 c D, c where the dimension of max(l - c D) jumps most as c grows (slope heuristic): ten
          models or more;
        - "cv": -2 times the log-likelihood of held-out rows, of default starts only;
        - "dsc": no sweep: one fit of the largest number, its `dendrogram`, and a refit of the number chosen (at least
          2; Gaussian experts and softmax-type gates).
    sample_weight : array-like of shape (n,), optional
        Frequencies.
    cv : int, splitter or iterable, default=5
        Folds of "cv"; an int deals the rows at random by the estimator's `random_state`, classes in proportion.
    n_jobs : int, optional
        Fits in parallel; the result does not depend on it.
    exposure : array-like of shape (n,), optional
        Of Poisson experts.

    Returns
    -------
    Selection
        `n_experts`, `estimator`, `table`, `estimators`.

    Raises
    ------
    ValueError
        For unknown criteria, numbers that are none, an `init` that is no kind of start, fewer than ten models for
        "slope", and what `fit` and `dendrogram` refuse.

    Warns
    -----
    ConvergenceWarning, UserWarning
        What the chosen fit warned of; certificates of the others are in the table.

    Notes
    -----
    Under a penalty l is `loglik_`, without the penalty, at the penalised maximum, and D still counts parameters: all
    criteria are then rough, "cv" excepted. Class weights are in l and n: scale them so that those of the rows have a
    mean of one, as "balanced" has. A degenerate fit is chosen only where there is no other. A choice at the end
    of the range asks for a longer one. The likelihood ratio of K against K + 1 is not chi-square; criteria do not use
    it.

    References
    ----------
    .. [1] Schwarz (1978), doi:10.1214/aos/1176344136; Akaike (1974), doi:10.1109/TAC.1974.1100705.
    .. [2] Biernacki, Celeux & Govaert (2000), Assessing a mixture model for clustering with the integrated completed
       likelihood, doi:10.1109/34.865189.
    .. [3] Hannan & Quinn (1979), The determination of the order of an autoregression,
       doi:10.1111/j.2517-6161.1979.tb01072.x.
    .. [4] Birgé & Massart (2007), Minimal penalties for Gaussian model selection, doi:10.1007/s00440-006-0011-8;
       Arlot (2019), Minimal penalties and the slope heuristics: a survey, arXiv:1901.07277.
    .. [5] Hai et al. (2025), Dendrograms of mixing measures, arXiv:2510.12744.

    Examples
    --------
    >>> import numpy as np
    >>> from moegate import MoERegressor, select_n_experts
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-2, 2, (300, 1))
    >>> y = np.where(rng.random(300) < 0.5, 1 + X[:, 0], -1 - X[:, 0]) + 0.3 * rng.standard_normal(300)
    >>> selection = select_n_experts(MoERegressor(n_init=2, random_state=0), X, y, n_experts=range(1, 4))
    >>> selection.n_experts, selection.estimator.certificate_["kind"]
    (2, 'interior')
    >>> selection.table["dof"].tolist()
    [3, 8, 13]
    """
    sizes = _check(estimator, n_experts, criterion)
    weight = check_weight(sample_weight, len(X))
    warn_of_small_weights(weight)
    problem, parallel = Problem(estimator, X, y, weight, exposure), Parallel(n_jobs=n_jobs)
    if criterion == "dsc":
        return _told(*_by_dendrogram(problem, parallel, sizes))
    fits = sweep(problem, parallel, sizes)
    compared = table(problem, fits)
    if criterion == "slope":
        compared["slope"] = slope(compared)
    if criterion == "cv":
        compared["cv"] = cross_validated(problem, parallel, sizes, cv)
    eligible = compared if compared["degenerate"].all() else compared[~compared["degenerate"]]
    chosen = int(eligible[criterion].idxmin())
    models = {K: fit.model for K, fit in fits.items()}
    return _told(Selection(compared, criterion, chosen, models), fits[chosen])


def _check(estimator, n_experts, criterion):
    """The numbers of experts, sorted."""
    if criterion not in CRITERIA:
        raise ValueError(f"criterion expects one of {list(CRITERIA)}, got {criterion!r}.")
    if not isinstance(getattr(estimator, "init", None), str):
        raise ValueError(
            "select_n_experts expects MoERegressor or MoEClassifier, no pipeline, with a kind of start as init, since "
            f"parameters and responsibilities belong to one number of experts, got {estimator!r}; use init='auto'."
        )
    check_mixture(estimator)
    if not np.iterable(n_experts):
        raise ValueError(f"n_experts expects several numbers, such as range(1, 7), got {n_experts!r}.")
    sizes = sorted({check_count(K, "n_experts") for K in n_experts})
    need = {"slope": f"{SLOPE_MODELS} numbers or more", "dsc": "a number above 1"}.get(criterion, "a number or more")
    if len(sizes) < (SLOPE_MODELS if criterion == "slope" else 1) or (criterion == "dsc" and sizes[-1] < 2):
        raise ValueError(f'criterion="{criterion}" expects {need} in n_experts, got {sizes}; add some, or use "bic".')
    return sizes


def _told(selection, fit):
    """The selection, after the warnings of the chosen fit."""
    for category, message in dict.fromkeys(fit.messages):
        warnings.warn(f"n_experts={selection.n_experts}: {message}", category, stacklevel=3)
    return selection


def _by_dendrogram(problem, parallel, sizes):
    """The largest fit, its dendrogram, and the fit of the number chosen, from default starts and the merged one."""
    largest = sizes[-1]
    fits = {largest: problem.fit(largest)}
    tree = dendrogram(fits[largest].model, problem.X, problem.y, problem.weight)
    compared = tree.to_frame().loc[sizes]
    chosen = int(compared["dsc"].idxmin())
    if chosen != largest:
        starts = (chosen,), (chosen, tree.merged(chosen), "merge")
        fits[chosen] = best(parallel(delayed(problem.fit)(*start) for start in starts))
    compared["certificate"] = [fits[K].model.certificate_["kind"] if K in fits else "" for K in sizes]
    models = {K: fit.model for K, fit in sorted(fits.items())}
    return Selection(compared, "dsc", chosen, models, tree), fits[chosen]
