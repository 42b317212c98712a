# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # 10 Beyond memory
#
# A pass over the rows adds up a few numbers for each block of them. So the rows need not be in memory at once, nor on one machine: what moves is the parameter vector and the sums.

# %%
import tempfile
from pathlib import Path

import dask.array as da
import numpy as np
from numpy.lib.format import open_memmap

from moegate import Checkpoint, MoERegressor
from moegate.estimators import collections

folder = tempfile.TemporaryDirectory()
n, d = 40_000, 4
X = open_memmap(Path(folder.name, "X.npy"), "w+", np.float64, (n, d))
y = open_memmap(Path(folder.name, "y.npy"), "w+", np.float64, (n,))
rng = np.random.default_rng(0)
for start in range(0, n, 10_000):  # written piece by piece
    part = slice(start, start + 10_000)
    X[part] = rng.standard_normal((10_000, d))
    first = rng.random(10_000) < 1 / (1 + np.exp(-3 * X[part, 0]))
    y[part] = np.where(first, 2 + X[part, 1], -2 - X[part, 2]) + 0.5 * rng.standard_normal(10_000)
X.flush(), y.flush()
X, y = (np.load(Path(folder.name, f"{name}.npy"), mmap_mode="r") for name in "Xy")
mapped = MoERegressor(2, n_init=2, random_state=0).fit(X, y)
print(mapped)

# %% [markdown]
# ## The same in memory, and as dask arrays
#
# With dask each partition is summed where it is, one round a pass. Without a client, as here, it runs in threads of this process; with `distributed.Client(...)` on as many machines as there are.
#
# Four things to know: up to 64 MB are brought here and fitted in memory (switched off below, for these are 1.3 MB), and under a penalty that selects columns all rows (a warning says so); without a client, lazy input is computed anew at each pass, so `persist()` what fits; runs climb on a sample of the rows first, so with many experts another maximum may be found than in memory; and missing values are refused, so take `frame.dropna()` or `frame.fillna(...)`, before X and y are taken from it.

# %%
collections.GATHER_BYTES = 0.0
here = MoERegressor(2, n_init=2, random_state=0).fit(np.array(X), np.array(y))
spread = MoERegressor(2, n_init=2, random_state=0).fit(
    da.from_array(np.array(X), chunks=(10_000, d)), da.from_array(np.array(y), chunks=10_000)
)
for fit in (mapped, spread):
    assert abs(fit.loglik_ / here.loglik_ - 1) < 1e-9
    assert np.allclose(fit.theta_, here.theta_, rtol=1e-6, atol=1e-6)
    assert fit.certificate_["kind"] == here.certificate_["kind"] == "interior"
print(here.loglik_, mapped.loglik_, spread.loglik_)
print(spread.init_results_[["stage", "n_rows", "loglik"]].head(3))

# %% [markdown]
# Predictions of dask input are lazy; of numpy input they are numpy.

# %%
lazy = spread.predict(da.from_array(np.array(X), chunks=(10_000, d)))
print(lazy)
assert np.allclose(lazy[:5].compute(), spread.predict(X[:5]))

# %% [markdown]
# ## A fit that was cut off
#
# `Checkpoint` writes where each run stands; the same fit with the same folder goes on from there. Here the run is stopped after five iterations by an error of our own.


# %%
class Pulled:
    """Pulls the plug."""

    def setup(self, estimator, context):
        self.left = 5

    def on_fit_task_begin(self, estimator, context, **given):
        pass

    def on_fit_task_end(self, estimator, context, **given):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def teardown(self, estimator, context):
        pass


kept = Path(folder.name, "kept")
moe = MoERegressor(2, n_init=2, random_state=0)
try:
    moe.set_callbacks(Checkpoint(kept), Pulled()).fit(X, y)
except KeyboardInterrupt:
    print("stopped;", sorted(path.name for path in kept.iterdir()))
again = MoERegressor(2, n_init=2, random_state=0).set_callbacks(Checkpoint(kept)).fit(X, y)
print(again.loglik_ - here.loglik_)
assert abs(again.loglik_ / here.loglik_ - 1) < 1e-8

# %% [markdown]
# ## Exercises
#
# 1. How many bytes travel in one round with 100 partitions? The parameter vector out, the score and the Hessian back.
# 2. Give every row the weight two. What happens to the log-likelihood?

# %% jupyter={"source_hidden": true} tags=["answer"]
p = len(here.theta_)
print("1.", 100 * 8 * (p + p + p * p), "bytes at most")
double = MoERegressor(2, n_init=2, random_state=0).fit(X, y, sample_weight=np.full(n, 2.0))
print("2.", double.loglik_ / here.loglik_)
assert abs(double.loglik_ / here.loglik_ - 2) < 1e-6
