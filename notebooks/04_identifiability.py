# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # 4 Identifiability, seen in eigenvalues
#
# Different parameters can be the same model. Some freedoms are exact (labels, translations, temperatures), some show only in the data. A flat direction of the log-likelihood is a zero eigenvalue of the information; this notebook looks at them.

# %%
import warnings

import numpy as np

from moegate import DenseToSparseGate, MoEClassifier, MoERegressor, infer
from moegate.datasets import make_moe

X, y, truth = make_moe(800, return_theta=True, random_state=1)
moe = MoERegressor(2, random_state=0).fit(X, y)
likelihood = moe.likelihood(X, y)

# %% [markdown]
# ## Labels
#
# Experts have no names: permuted, they give the same density. The library reports them by falling gate probability at the mean of x, and `permute_experts` changes the order of everything together.

# %%
other = moe.model_.permute(moe.theta_, [1, 0])
assert not np.allclose(other, moe.theta_)
assert np.isclose(likelihood.value(other), likelihood.value(moe.theta_))
before = moe.coef_.copy()
moe.permute_experts([1, 0])
assert np.allclose(moe.coef_, before[::-1])

# %% [markdown]
# ## Translations
#
# Adding one vector to all rows of the softmax gate changes nothing, so the solver pins the last row at zero: with K = 2 and one column the gate has two parameters, not four.

# %%
print(len(moe.theta_), "parameters,", moe.dof_, "identified")
H = likelihood.value_score_hessian(moe.theta_)[2]
print("eigenvalues of -H:", np.linalg.eigvalsh(-H).round(2))
assert np.linalg.eigvalsh(-H).min() > 0

# %% [markdown]
# ## Temperatures
#
# In softmax((w'x + b) / tau) only w / tau and b / tau can be seen. Two temperatures, one likelihood:

# %%
for tau in (0.5, 2.0):
    fit = MoERegressor(2, gate=DenseToSparseGate(temperature=tau), n_init=3, random_state=0).fit(X, y)
    contrast = fit.gate_coef_[0, 0] - fit.gate_coef_[1, 0]
    print(f"tau = {tau}: log-likelihood {fit.loglik_:.6f}, slope {contrast:.4f}, slope / tau {contrast / tau:.4f}")
    assert abs(fit.loglik_ - moe.loglik_) < 1e-4

# %% [markdown]
# ## Diverging gates
#
# Where columns separate the experts the likelihood rises for ever as the gate gets steeper. The supremum is at infinity; the certificate says `limit`, and those parameters have no standard error.

# %%
x = np.linspace(-2, 2, 200)[:, None]
y_cut = np.where(x[:, 0] > 0.01, 3.0, -3.0) + 0.1 * np.random.default_rng(0).standard_normal(200)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    cut = MoERegressor(2, n_init=2, random_state=0).fit(x, y_cut)
print(cut.certificate_["kind"], "-", str(told[-1].message)[:90], "...")
frame = infer(cut, x, y_cut).to_frame()
print(frame["bse"].round(4).to_string())
assert cut.certificate_["kind"] == "limit" and frame["bse"].isna().sum() == 2

# %% [markdown]
# ## A constant multinomial expert, split
#
# Two copies of an expert that does not depend on x can share its weight in any way: an exactly flat direction, however many data there are. The certificate's smallest eigenvalue is zero and its kind `flat`.

# %%
rng = np.random.default_rng(0)
labels = rng.integers(0, 3, 500)
columns = rng.uniform(-2, 2, (500, 1))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    constant = MoEClassifier(2, penalty=None, expert_features=[], gate_features=[], n_init=2, random_state=0)
    constant.fit(columns, labels)
    found = infer(constant, columns, labels)
print("identified:", found.identified)
assert not found.identified.any()

# %% [markdown]
# ## Nearly not identified
#
# One expert too many: no eigenvalue is zero, standard errors look like any others, and they mean nothing. What shows is a criterion: BIC prefers one expert less, and `summary()` says so.

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    over = MoERegressor(3, n_init=5, random_state=0).fit(X, y)
    result = infer(over, X, y)
    text = str(result.summary())
print("smallest eigenvalue:", round(over.certificate_["min_eigenvalue"], 4))
print(text[text.index("WARNING") :][:120])
assert "WARNING: BIC prefers 2" in text

# %% [markdown]
# ## Exercises
#
# 1. A Laplace gate in one dimension with a centre outside the data: compare the log-likelihood at two such centres.
# 2. Pin a penalty on the diverging gate, `penalty="ridge"`. What does the certificate say?

# %% jupyter={"source_hidden": true} tags=["answer"]
lap = MoERegressor(2, gate="laplace", n_init=3, random_state=0).fit(X, y)
values = []
for shift in (0.0, 5.0):
    theta = lap.theta_.copy()
    theta[0] = -10.0 - shift  # the centre of expert 0, far to the left of all x
    theta[1] = shift  # its intercept makes up for it
    values.append(lap.likelihood(X, y).value(theta))
print("1.", np.round(values, 6))
assert abs(values[0] - values[1]) < 1e-4
tamed = MoERegressor(2, penalty="ridge", n_init=2, random_state=0).fit(x, y_cut)
print("2.", tamed.certificate_["kind"])
assert tamed.certificate_["kind"] == "interior"
