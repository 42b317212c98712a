# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # 5 How many experts
#
# The log-likelihood rises with every expert, so something must be paid for it. Criteria with refits, the dendrogram of one fit, and a test by bootstrap, on data with three experts.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

from moegate import MoERegressor, dendrogram, likelihood_ratio_test, select_n_experts
from moegate.plotting import DendrogramDisplay, SelectionDisplay

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
n = 1000
x = rng.uniform(-2, 2, n)
scores = np.column_stack([-3 * x, np.ones(n), 3 * x])
expert = np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)
y = np.array([0.8, -0.8, 0.8])[expert] * x + np.array([-0.5, 0.3, 0.5])[expert] + 0.5 * rng.standard_normal(n)
X = x[:, None]

# %% [markdown]
# ## A sweep
#
# `select_n_experts` fits each K from its own starts and from its neighbours (a split of the fit with K - 1, a merge of that with K + 1).

# %%
chosen = select_n_experts(MoERegressor(n_init=3, random_state=0), X, y, n_experts=range(1, 6), criterion="bic")
print(chosen.table[["loglik", "dof", "bic", "icl", "certificate"]].round(1))
SelectionDisplay.from_selection(chosen)
assert chosen.n_experts == 3
assert np.all(np.diff(chosen.table["loglik"]) > 0)

# %% [markdown]
# BIC pays log(n) / 2 per parameter. ICL adds the entropy of the responsibilities: it looks for experts that can be told apart row by row, and here their lines cross, so it prefers fewer.

# %% [markdown]
# ## One fit, merged
#
# The dendrogram takes one over-sized fit and merges its experts step by step. Heights say how far apart the merged ones are; the criterion DSC = -(height + log n x mean log-likelihood) needs no refit.

# %%
big = MoERegressor(5, n_init=3, random_state=0).fit(X, y)
tree = dendrogram(big, X, y)
print(tree.to_frame().round(3), "\nchosen:", tree.n_experts)
DendrogramDisplay.from_estimator(big, X, y)
refit = MoERegressor(tree.n_experts, init=tree.merged(tree.n_experts)).fit(X, y)
assert refit.certificate_["kind"] in ("interior", "limit")

# %% [markdown]
# ## A test
#
# Is a second expert needed at all? 2 (log-likelihood ratio) is *not* chi-square: under the null one expert's parameters are not identified. The parametric bootstrap simulates its distribution with the same search.

# %%
part = slice(0, 300)
moe = MoERegressor(n_init=2, random_state=0)
test = likelihood_ratio_test(moe, X[part], y[part], 1, 2, n_boot=19, random_state=0)
print(test)
assert test.pvalue == 0.05

# %%
noise = likelihood_ratio_test(moe, X[part], X[part, 0] + rng.standard_normal(300), 1, 2, n_boot=19, random_state=0)
plt.figure(figsize=(6, 3), layout="constrained")
plt.hist(noise.simulated, bins=8)
plt.axvline(noise.statistic, color="black")
plt.xlabel("statistic under one expert; line: the data's")
print(f"data of one expert: {noise.statistic:.1f}, p = {noise.pvalue:.2f}; chi-square's 95% point is 11.07")
assert noise.pvalue > 0.05

# %% [markdown]
# ## Exercises
#
# 1. Choose K by five-fold cross-validation of the log density, with scikit-learn's `GridSearchCV` and `moegate.metrics.log_density_score`.
# 2. How often does BIC choose 3 when only 200 rows are used? (Try a few subsets.)

# %% jupyter={"source_hidden": true} tags=["answer"]
from sklearn.model_selection import GridSearchCV  # noqa: E402

from moegate.metrics import log_density_score  # noqa: E402

search = GridSearchCV(MoERegressor(n_init=2, random_state=0), {"n_experts": [1, 2, 3]}, scoring=log_density_score)
print("1.", search.fit(X, y).best_params_)
picks = []
for s in range(4):
    rows = np.random.default_rng(s).choice(n, 200, replace=False)
    fits = [MoERegressor(K, n_init=2, random_state=0).fit(X[rows], y[rows]) for K in (1, 2, 3)]
    picks.append(1 + int(np.argmin([fit.bic(X[rows], y[rows]) for fit in fits])))
print("2.", picks)
assert search.best_params_["n_experts"] >= 2
