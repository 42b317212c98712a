# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # 8 High dimension
#
# More columns than rows: without a penalty every expert fits its rows exactly. A lasso takes alpha times the absolute slopes from the mean log-likelihood, and most slopes are exactly zero.

# %%
import matplotlib.pyplot as plt
import numpy as np

from moegate import Lasso, MoERegressor, lasso_path
from moegate.plotting import LassoPathDisplay

rng = np.random.default_rng(1)
n, d = 120, 200
X = rng.standard_normal((n, d))
first = rng.random(n) < 1 / (1 + np.exp(-3 * X[:, 1]))
y = np.where(first, 2 + 2 * X[:, 0], -2 - 2 * X[:, 3]) + 0.5 * rng.standard_normal(n)
moe = MoERegressor(2, penalty=Lasso(0.12), n_init=3, random_state=0).fit(X, y)
chosen = [np.flatnonzero(row).tolist() for row in (*moe.coef_, moe.gate_coef_[0])]
print(moe)
print(chosen)
assert {0, 3} <= set(chosen[0]) | set(chosen[1]) and 1 in chosen[2]

# %% [markdown]
# The certificate has two more entries: `kkt`, how far the conditions of a maximum are from holding, and `slack`, how far the columns that are out are from entering.

# %%
print({name: moe.certificate_[name] for name in ("kind", "kkt", "slack", "n_nonzero")})
assert moe.certificate_["kkt"] < 1e-6 and moe.certificate_["slack"] > 0

# %% [markdown]
# ## A path
#
# From the strength at which no column enters down, each fit starting from the last one. Slopes are shrunk, and the likelihood takes that for lack of fit; so each knot is fitted once more without the penalty, its zeros kept, and the refit with the smallest BIC is chosen. With more than sqrt(n) columns each slope counts 2 log d instead of log n.

# %%
path = lasso_path(MoERegressor(2, penalty=Lasso(), n_init=3, random_state=0), X, y, n_alphas=10, eps=0.2)
LassoPathDisplay.from_path(path)
plt.show()
again = path.estimator()
print(path.n_nonzero, path.best(), again)
assert path.n_nonzero[0] == 5 and 0 < path.best()

# %% [markdown]
# The slopes of the refit are not shrunk. Its zeros were chosen with the same rows: standard errors take them as given and are too small, and `infer` says so. `MoERegressorCV(2)` chooses the strength by held-out rows instead.

# %%
print([np.flatnonzero(row).tolist() for row in again.coef_], again.coef_[:, [0, 3]].round(2))
largest = [float(np.abs(fit.coef_).max()) for fit in (moe, again)]
assert largest[0] < largest[1] and abs(largest[1] - 2) < 0.4

# %% [markdown]
# ## One variance
#
# The lasso above takes Gaussian slopes in units of their expert's own scale. In units of the response it selects only where all experts have one variance, and with fewer columns than rows: `scaled=False` with `variance="shared"`. With `reference="last"` and `standardize=False` that is the penalty of the R package RMoE, whose lambda is n alpha.

# %%
raw = Lasso(0.12, scaled=False, reference="last", standardize=False)
shared = MoERegressor(2, variance="shared", penalty=raw, n_init=3, random_state=0).fit(X[:, :20], y)
print([np.flatnonzero(row).tolist() for row in (*shared.coef_, shared.gate_coef_[0])], shared.sigma_.round(2))
assert shared.sigma_[0] == shared.sigma_[1] and shared.certificate_["kkt"] < 1e-6

# %% [markdown]
# ## Exercises
#
# 1. With alpha far above the path's largest strength, what is left of the model?
# 2. Multiply a column by 1000. Does the choice of columns change?

# %% jupyter={"source_hidden": true} tags=["answer"]
none = MoERegressor(2, penalty=Lasso(10.0), n_init=1, random_state=0).fit(X, y)
print("1. intercepts and scales:", np.count_nonzero(none.coef_), np.count_nonzero(none.gate_coef_))
assert np.count_nonzero(none.coef_) == np.count_nonzero(none.gate_coef_) == 0
scaled = MoERegressor(2, penalty=Lasso(0.12), n_init=3, random_state=0).fit(X * np.where(np.arange(d) == 3, 1000, 1), y)
assert [np.flatnonzero(row).tolist() for row in (*scaled.coef_, scaled.gate_coef_[0])] == chosen
print("2. no: columns are standardised first")
