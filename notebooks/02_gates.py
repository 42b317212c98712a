# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # 2 What a gate is
#
# A gate turns x into probabilities of the experts in two steps: *scores*, how well x matches each expert, and a *link*, from scores to probabilities. The softmax of affine scores is one choice
# among many, and which one matters: the borders between experts are straight or round, soft or hard.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

from moegate import Gate, HierarchicalGate, MoERegressor, TopKGate
from moegate.gates import Laplace, TopK
from moegate.plotting import GateDisplay

rng = np.random.default_rng(0)
n = 600
X = rng.uniform(-20, 20, (n, 2))
region = np.where(np.linalg.norm(X - [7, 7], axis=1) < 11, 0, np.where(X[:, 0] < 0, 1, 2))
lines = np.array([[0.1, 0.05, 3.0], [-0.1, 0.0, 0.0], [0.05, -0.1, -3.0]])
y = np.sum(lines[region][:, :2] * X, axis=1) + lines[region][:, 2] + 0.4 * rng.standard_normal(n)

# %% [markdown]
# The data have three regimes: a disc, the left half and the right half without the disc. Eight gates, fitted to the same data:

# %%
gates = {
    "softmax": "softmax",
    "top-2 of 3": TopKGate(k=2),
    "laplace": "laplace",
    "modified softmax": "modified_softmax",
    "sigmoid": "sigmoid",
    "sparsemax": "sparsemax",
    "tree (2 + 1)": HierarchicalGate(branches=(2, 1)),
    "laplace scores, top-2 link": Gate(Laplace(), TopK(2)),
}
fits = {}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for name, gate in gates.items():
        fits[name] = MoERegressor(3, gate=gate, n_init=3, random_state=0).fit(X, y)

figure, axes = plt.subplots(2, 4, figsize=(17, 8), layout="constrained")
for ax, (name, fit) in zip(axes.ravel(), fits.items(), strict=True):
    GateDisplay.from_estimator(fit, X, features=[0, 1], grid_resolution=80, ax=ax)
    ax.set_title(f"{name}\nlog-likelihood {fit.loglik_:.0f}, {fit.certificate_['kind']}")
    ax.get_legend().remove()

# %% [markdown]
# Straight borders cannot follow a disc; Laplace scores, minus the distance to a centre, bend. Every picture shows the most probable expert, paler where it is less sure.

# %%
for name, fit in sorted(fits.items(), key=lambda pair: -pair[1].loglik_):
    print(f"{name:28s} {fit.loglik_:8.1f}  {fit.dof_} parameters  BIC {fit.bic(X, y):7.1f}")
assert fits["laplace"].loglik_ > fits["softmax"].loglik_

# %% [markdown]
# ## The softmax, written out

# %%
fit = fits["softmax"]
scores = X @ fit.gate_coef_.T + fit.gate_intercept_
by_hand = np.exp(scores - scores.max(axis=1, keepdims=True))
by_hand /= by_hand.sum(axis=1, keepdims=True)
assert np.allclose(by_hand, fit.predict_gate(X))

# %% [markdown]
# Adding the same vector to all rows of `gate_coef_` changes nothing: the softmax is identified up to a translation, which is why reported rows are centred and standard errors belong to contrasts.
# A top-K gate has exact zeros: an expert that is not selected takes no part at all.

# %%
P = fits["top-2 of 3"].predict_gate(X)
print("experts with positive probability per row:", np.unique((P > 0).sum(axis=1)))
assert set((P > 0).sum(axis=1)) == {2}

# %% [markdown]
# ## Special cases tie the gates together
#
# Top-K with k = K is the softmax, and so is a tree with one branch per expert. The likelihoods agree to rounding.

# %%
same = MoERegressor(3, gate=TopKGate(k=3), init=fits["softmax"].theta_).fit(X, y)
assert abs(same.loglik_ - fits["softmax"].loglik_) < 1e-6

# %% [markdown]
# ## Exercises
#
# 1. Multiply the columns by 10. Which of softmax, Laplace and modified softmax changes its log-likelihood, and why?
# 2. Where are the Laplace centres? What border lies between two of them that are very far away?

# %% jupyter={"source_hidden": true} tags=["answer"]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for name in ("softmax", "laplace", "modified softmax"):
        scaled = MoERegressor(3, gate=gates[name], n_init=3, random_state=0).fit(10 * X, y)
        print(f"1. {name:18s} changes by {scaled.loglik_ - fits[name].loglik_:8.2f}")
        if name == "softmax":
            assert abs(scaled.loglik_ - fits[name].loglik_) < 1e-3  # affine scores absorb the unit
print("2.", fits["laplace"].gate_center_.round(2).tolist())
