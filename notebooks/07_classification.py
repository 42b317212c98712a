# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # 7 Classification
#
# `MoEClassifier` mixes multinomial logistic regressions. First a picture that no single logistic regression can draw, then real data, then what separable data do to a likelihood.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
import statsmodels.api as sm
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from moegate import MoEClassifier, infer
from moegate.datasets import load_fair
from moegate.plotting import CalibrationDisplay, ClassDisplay

rng = np.random.default_rng(0)
X = rng.uniform(-2, 2, (400, 2))
y = np.where((X[:, 0] > 0) == (X[:, 1] > 0), "same", "different")
moe = MoEClassifier(n_experts=2, random_state=0).fit(X, y)
print(moe.score(X, y), LogisticRegression().fit(X, y).score(X, y))
ClassDisplay.from_estimator(moe, X, y)
assert moe.score(X, y) > 0.95

# %% [markdown]
# The left panel shows the classes, the right one the experts: each expert is a plain logistic regression on its side of the gate.
#
# ## Real data: affairs (Fair 1978)

# %%
X, y = load_fair()
columns = ["rate_marriage", "yrs_married", "religious"]
one = MoEClassifier(1, penalty=None).fit(X[columns], y)
two = MoEClassifier(2, n_init=4, random_state=0).fit(X[columns], y)
for fit in (one, two):
    print(f"{fit.n_experts} expert(s): log-likelihood {fit.loglik_:.1f}, accuracy {fit.score(X[columns], y):.3f}")
assert two.loglik_ > one.loglik_ + 20

# %% [markdown]
# One expert is an ordinary logistic regression, standard errors included:

# %%
table = infer(one, X[columns], y).to_frame()
peer = sm.Logit(y.astype(int), sm.add_constant(X[columns])).fit(disp=0)
print(table.round(4).to_string())
assert np.allclose(table["bse"].iloc[:3], peer.bse[columns], rtol=1e-4)

# %% [markdown]
# Are the probabilities right? In each bin of predicted probability, how often did it happen:

# %%
CalibrationDisplay.from_estimator(two, X[columns], y)
plt.show()

# %% [markdown]
# ## Separable classes
#
# Where a line separates two classes the likelihood has no maximum: steeper is always better. The default penalty, `Ridge(alpha=1e-3)`, keeps slopes finite; without it the fit says that it diverges.

# %%
X, y = load_iris(return_X_y=True)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    free = MoEClassifier(1, penalty=None).fit(X[:100], y[:100])
print(free.certificate_["kind"], "-", str(told[-1].message)[:100], "...")
tamed = MoEClassifier(1).fit(X[:100], y[:100])
print(tamed.certificate_["kind"], tamed.coef_[0, 1].round(2))
assert free.certificate_["kind"] == "limit" and tamed.certificate_["kind"] == "interior"

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for K in (1, 2):
        loss = -cross_val_score(MoEClassifier(K, n_init=3, random_state=0), X, y, scoring="neg_log_loss").mean()
        print(f"iris, {K} expert(s): cross-validated log-loss {loss:.4f}")

# %% [markdown]
# ## Exercises
#
# 1. Give the rarer class of the affairs data more weight with `class_weight="balanced"`. What happens to recall and accuracy?
# 2. Relabel the classes. Do probabilities change?

# %% jupyter={"source_hidden": true} tags=["answer"]
from sklearn.metrics import recall_score  # noqa: E402

X, y = load_fair()
balanced = MoEClassifier(1, class_weight="balanced").fit(X[columns], y)
for name, fit in (("plain", one), ("balanced", balanced)):
    print("1.", name, round(recall_score(y, fit.predict(X[columns])), 3), round(fit.score(X[columns], y), 3))
renamed = MoEClassifier(1, penalty=None).fit(X[columns], np.where(y, "affair", "none"))
assert np.allclose(renamed.predict_proba(X[columns])[:, 0], one.predict_proba(X[columns])[:, 1], atol=1e-6)
print("2. no")
