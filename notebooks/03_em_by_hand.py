# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # 3 EM by hand
#
# Expectation-maximisation for a mixture of experts: give each row to the experts in shares (E-step), refit every expert and the gate to its shares (M-step), repeat. Each step in a few lines of numpy, then the library's.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np

from moegate import MoERegressor

warnings.simplefilter("ignore")  # of fits that are stopped early here on purpose; their certificates are printed
rng = np.random.default_rng(1)
n = 500
x = rng.uniform(-2, 2, n)
first = rng.random(n) < 1 / (1 + np.exp(-1.5 * x - 0.3))
y = np.where(first, 0.8 * x - 0.5, -0.8 * x + 0.5) + np.where(first, 0.5, 0.6) * rng.standard_normal(n)
Z = np.column_stack([x, np.ones(n)])

# %% [markdown]
# **E-step.** The responsibility of expert k for a row is its share of the density: r_k = pi_k f_k / sum_j pi_j f_j, computed with logarithms.


# %%
def log_joint(gate, experts, sigma):
    scores = np.column_stack([Z @ gate, np.zeros(n)])
    log_pi = scores - np.logaddexp(scores[:, :1], scores[:, 1:])
    z = (y[:, None] - Z @ experts.T) / sigma
    return log_pi - np.log(sigma) - 0.5 * z**2 - 0.5 * np.log(2 * np.pi)


def e_step(gate, experts, sigma):
    joint = log_joint(gate, experts, sigma)
    total = np.logaddexp(joint[:, 0], joint[:, 1])
    return np.exp(joint - total[:, None]), total.sum()


# %% [markdown]
# **M-step.** Experts: weighted least squares. Gate: a logistic regression on the shares; one Newton step is enough for the likelihood to rise.


# %%
def m_step(R, gate):
    experts, sigma = np.empty((2, 2)), np.empty(2)
    for k in range(2):
        W = R[:, k]
        experts[k] = np.linalg.solve((Z.T * W) @ Z, Z.T @ (W * y))
        sigma[k] = np.sqrt(np.sum(W * (y - Z @ experts[k]) ** 2) / W.sum())
    pi = 1 / (1 + np.exp(-Z @ gate))
    gate = gate + np.linalg.solve((Z.T * (pi * (1 - pi))) @ Z, Z.T @ (R[:, 0] - pi))
    return gate, experts, sigma


# %%
gate, experts, sigma = np.zeros(2), np.array([[1.0, 0.0], [-1.0, 0.0]]), np.ones(2)
history = []
for _ in range(500):
    R, value = e_step(gate, experts, sigma)
    history.append(value)
    gate, experts, sigma = m_step(R, gate)

assert np.all(np.diff(history) > -1e-8)  # EM never falls
print(np.round(experts, 3), np.round(sigma, 3), round(history[-1], 4))

# %% [markdown]
# ## The library's

# %%
moe = MoERegressor(2, random_state=0).fit(x[:, None], y)
for name in ("kind", "decrement", "min_eigenvalue", "em_rate"):
    print(f"{name:15s} {moe.certificate_[name]}")
assert abs(moe.loglik_ - history[-1]) < 1e-4
em = MoERegressor(2, solver="em", init=moe.theta_ * 1.05, tol=1e-10, max_iter=300).fit(x[:, None], y)
print("EM's iterations:", em.n_iter_, " Newton's:", moe.n_iter_)

# %% [markdown]
# ## Why EM stops early
#
# Near the maximum EM shrinks its distance by a constant factor, the *rate* 1 - lambda, with lambda the smallest eigenvalue of the observed information relative to the complete-data information. `certificate_["em_rate"]` is that
# factor, and the tail of our own run follows it.

# %%
gaps = moe.loglik_ - np.array(history)
at = np.flatnonzero((gaps < 1e-5) & (gaps > 1e-10))
rate = np.sqrt(np.exp(np.polyfit(at, np.log(gaps[at]), 1)[0]))  # the gap falls by the square
print(f"seen {rate:.4f}, predicted {moe.certificate_['em_rate']:.4f}")
assert abs(rate - moe.certificate_["em_rate"]) < 0.02

# %% [markdown]
# With one expert too many the rate comes close to one. Then each iteration gains little, a stopping rule on the gain stops, and the log-likelihood is still short of the maximum.

# %%
X5 = np.random.default_rng(3).uniform(0, 1, (5000, 1))
e5 = np.random.default_rng(4)
steep = X5[:, 0] > 0.32 + 0.04 * e5.logistic(size=5000)
y5 = np.where(steep, -20 * X5[:, 0] + 15, 20 * X5[:, 0] - 5) + np.where(steep, 0.3, 0.4) * e5.standard_normal(5000)
start = MoERegressor(3, n_init=1, max_iter=1, solver="em", random_state=0).fit(X5, y5).theta_
stopped = MoERegressor(3, init=start, solver="em", tol=1e-6 * 5000, max_iter=5000).fit(X5, y5)
climbed = MoERegressor(3, init=start).fit(X5, y5)
print(f"EM stopped after {stopped.n_iter_} iterations at {stopped.loglik_:.3f} ({stopped.certificate_['kind']})")
print(
    f"Newton from the same start: {climbed.loglik_:.3f} ({climbed.certificate_['kind']}), rate {climbed.certificate_['em_rate']:.6f}"
)
assert climbed.loglik_ > stopped.loglik_ + 0.01

# %%
plt.figure(figsize=(7, 3.5), layout="constrained")
plt.semilogy(gaps[:200])
plt.xlabel("EM iteration")
plt.ylabel("log-likelihood below the maximum")
plt.show()

# %% [markdown]
# ## Exercises
#
# 1. Leave the gate's Newton step out of `m_step` (a constant gate). By how much does the log-likelihood fall?
# 2. Start EM with two equal experts. What happens, and why?

# %% jupyter={"source_hidden": true} tags=["answer"]
gate, experts, sigma = np.zeros(2), np.array([[1.0, 0.0], [-1.0, 0.0]]), np.ones(2)
for _ in range(300):
    R, value = e_step(gate, experts, sigma)
    _, experts, sigma = m_step(R, gate)
print("1.", round(history[-1] - value, 1))
assert history[-1] - value > 10
gate, experts, sigma = np.zeros(2), np.zeros((2, 2)), np.ones(2)
for _ in range(20):
    R, value = e_step(gate, experts, sigma)
    gate, experts, sigma = m_step(R, gate)
print("2. equal shares for ever: a saddle,", np.ptp(R[:, 0]) < 1e-6)
assert np.ptp(R[:, 0]) < 1e-6
