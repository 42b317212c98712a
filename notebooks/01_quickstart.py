# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # 1 Quickstart
#
# A mixture of experts is a regression whose coefficients depend on where you are: a *gate* says which *expert* is likely at x, each expert is an ordinary regression,
# p(y | x) = sum_k pi_k(x) f_k(y | x). Here: food expenditure of 235 Belgian households on their income (Engel 1857).

# %%
import matplotlib.pyplot as plt
import numpy as np

from moegate import MoERegressor, infer
from moegate.datasets import load_engel
from moegate.plotting import CalibrationDisplay, FitDisplay, GateDisplay

X, y = load_engel()
moe = MoERegressor(n_experts=2, random_state=0).fit(X, y)
moe

# %% [markdown]
# The default fit runs many starts and ends at a certified local maximum. `certificate_` says of what kind it is, and `init_results_` how the starts ended.

# %%
print(moe.certificate_["kind"], round(moe.loglik_, 2))
moe.init_results_[["kind", "loglik", "n_iter", "degenerate", "stage", "certificate"]].head()

# %%
assert moe.certificate_["kind"] == "interior"
assert abs(moe.loglik_ + 1369.56) < 0.01

# %% [markdown]
# ## A picture
#
# Points have the colour of their expert; the dashed line is the mean, the grey band holds 90% of new observations.

# %%
figure, axes = plt.subplots(1, 2, figsize=(13, 4.2), layout="constrained")
FitDisplay.from_estimator(moe, X, y, ax=axes[0])
GateDisplay.from_estimator(moe, X, ax=axes[1])
plt.show()

# %% [markdown]
# Below an income of about 1300 households spend along a steep line with little scatter, above it along a flatter one with three times the scatter.

# %%
print(moe.coef_.round(3).ravel(), moe.sigma_.round(1))
border = (moe.gate_intercept_[1] - moe.gate_intercept_[0]) / (moe.gate_coef_[0, 0] - moe.gate_coef_[1, 0])
print("border at an income of", round(border))
assert 1250 < border < 1350

# %% [markdown]
# ## Predictions are distributions
#
# The mean is one summary of p(y | x). Intervals, quantiles, densities and probabilities come from the same fit.

# %%
new = X.iloc[[10, 230]]
print(moe.predict(new).round(1))
print(moe.predict_interval(new, coverage=0.9).round(0))
print(moe.predict_quantile(new, [0.1, 0.5, 0.9]).round(0))
print("P(y > 700):", (1 - moe.cdf(new, 700.0)).round(3))

# %%
lower, upper = moe.predict_interval(X, coverage=0.9).T
inside = np.mean((lower <= y) & (y <= upper))
print(f"{inside:.1%} of the data lie in their 90% interval")
assert 0.86 < inside < 0.94

# %% [markdown]
# Does the whole distribution hold? If it does, F(y | x) is uniform and the quantile residuals are normal.

# %%
CalibrationDisplay.from_estimator(moe, X, y)
plt.show()

# %% [markdown]
# ## Standard errors and a table
#
# Gate rows are contrasts against the last expert. The gate's slope has a large standard error: where exactly the change happens, and how sharply, 235 households do not tell.

# %%
result = infer(moe, X, y)
print(result.summary())

# %%
result.to_frame().round(3)

# %% [markdown]
# ## Exercises
#
# 1. How wide is the 90% interval at an income of 2000, relative to the mean there?
# 2. Test whether both experts have the same slope. Why is the test of *equal experts* refused?

# %% jupyter={"source_hidden": true} tags=["answer"]
at = X.iloc[:1].assign(income=2000.0)
low, high = moe.predict_interval(at, coverage=0.9)[0]
print("1.", round((high - low) / moe.predict(at)[0], 2))
same = result.wald_test({"expert[0].income": 1, "expert[1].income": -1})
print("2.", same)
try:
    rows = [f"expert[{k}].{name}" for k in (0, 1) for name in ("income", "intercept", "sigma")]
    R = np.zeros((3, len(result.names)))
    for row, name in zip(R, ("income", "intercept", "sigma"), strict=True):
        row[result.names.index(f"expert[0].{name}")], row[result.names.index(f"expert[1].{name}")] = 1, -1
    result.wald_test(R)
except ValueError as error:
    print("  ", error)
assert same.pvalue < 0.01
