# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # 9 An analysis from start to report: doctor visits
#
# The RAND health insurance experiment assigned families to plans that differed in what they paid themselves. 20,190 person-years, the number of outpatient visits, nine columns. Question: how does the share paid (`lncoins`, the
# logarithm of the coinsurance rate) change the number of visits, and for whom?

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
import statsmodels.api as sm

from moegate import MoERegressor, infer
from moegate.datasets import load_randhie
from moegate.diagnostics import marginal_effects, posterior_table, quantile_residuals
from moegate.plotting import CalibrationDisplay

warnings.simplefilter("ignore")
X, y = load_randhie()
print(X.describe().loc[["mean", "std", "min", "max"]].round(2))
print("no visit:", round(np.mean(y == 0), 3), " mean", round(y.mean(), 2), " variance", round(y.var(), 1))

# %% [markdown]
# Variance is far above the mean: one Poisson regression cannot hold.

# %%
columns = ["lncoins", "disea", "lpi", "physlm"]
one = MoERegressor(1, experts="poisson").fit(X[columns], y)
peer = sm.GLM(y, sm.add_constant(X[columns]), family=sm.families.Poisson()).fit()
assert abs(one.loglik_ - peer.llf) < 1e-3
residuals = quantile_residuals(one, X[columns], y, random_state=0)
print("standard deviation of the quantile residuals (1 if right):", round(residuals.std(), 2))

# %% [markdown]
# ## Mixtures
#
# Experts are kinds of users, the gate says who is likely which.

# %%
fits = {1: one}
for K in (2, 3):
    fits[K] = MoERegressor(K, experts="poisson", n_init=2, random_state=0).fit(X[columns], y)
for K, fit in fits.items():
    print(f"K = {K}: log-likelihood {fit.loglik_:10.1f}, BIC {fit.bic(X[columns], y):9.1f}, {fit.certificate_['kind']}")
assert fits[3].bic(X[columns], y) < fits[2].bic(X[columns], y) < fits[1].bic(X[columns], y)

# %%
moe = fits[3]
print(posterior_table(moe, X[columns], y).round(3))
print(
    "mean visits of the experts at the mean of the columns:",
    moe.predict_experts(X[columns].mean().to_frame().T)[0].round(2),
)
CalibrationDisplay.from_estimator(moe, X[columns], y)
plt.show()

# %% [markdown]
# Calibration is much better than with one expert; the first bins show what is left.

# %%
better = quantile_residuals(moe, X[columns], y, random_state=0)
print("standard deviation of the quantile residuals:", round(better.std(), 3))
assert abs(better.std() - 1) < 0.1 < abs(residuals.std() - 1)

# %% [markdown]
# ## What the price does
#
# The average effect of one unit of `lncoins` on the mean number of visits, and on the probability of being each kind of user. Errors are robust (sandwich): the model is a description, not the truth.

# %%
result = infer(moe, X[columns], y, kind="sandwich")
effects = marginal_effects(result, X[columns], "lncoins")
print(effects.round(4))
assert effects.loc["mean", "upper"] < 0

# %%
grid = np.linspace(0, X["lncoins"].max(), 40)
rows = X[columns].mean().to_frame().T.loc[np.zeros(40, dtype=int)].assign(lncoins=grid)
mean, (lower, upper) = moe.predict(rows), result.mean_band(rows)
plt.figure(figsize=(6, 3.6), layout="constrained")
plt.fill_between(grid, lower, upper, alpha=0.3)
plt.plot(grid, mean)
plt.xlabel("log coinsurance rate (lncoins)")
plt.ylabel("mean visits a year, 95% limits")
plt.show()

# %% [markdown]
# ## The table for the report

# %%
print(result.summary())
print(result.summary().as_latex()[:300], "...")

# %% [markdown]
# ## Report
#
# - One Poisson regression misses the spread of visits; three kinds of users describe it, told apart by how often they go.
# - A higher share paid goes with fewer visits on average; the effect works through both the number of visits within a kind and the chance of being a frequent user (the gate's rows of `lncoins`).
# - The certificate is that of a strict maximum, the errors are robust, and the calibration picture shows where the model still fails.
#
# ## Exercises
#
# 1. How much does the probability of no visit change between `lncoins` = 0 and its largest value?
# 2. Is a gate on `disea` alone enough? Use BIC.

# %% jupyter={"source_hidden": true} tags=["answer"]
none = moe.cdf(rows.iloc[[0, -1]], 0.0)
print("1.", none.round(3))
small = MoERegressor(3, experts="poisson", gate_features=["disea"], n_init=2, random_state=0).fit(X[columns], y)
print("2.", round(small.bic(X[columns], y) - moe.bic(X[columns], y), 1), "in BIC: no")
assert none[1] > none[0] and small.bic(X[columns], y) > moe.bic(X[columns], y)
