"""One EM step of every gate against one of the softmax gate, n = 1e5, d = 5, K = 4. Run by `make bench`."""

from dataclasses import replace

import numpy as np
import pytest
from bench_passes import likelihood, simulated

from moegate.gates import GATES
from moegate.likelihood import Likelihood

SPECS = {name: spec() for name, spec in GATES.items() if name != "top_k"} | {
    "top_k": GATES["top_k"](k=2),
    "hierarchical": GATES["hierarchical"](branches=(2, 2)),
    "hierarchical, laplace": GATES["hierarchical"](root="laplace", children="laplace", branches=(2, 2)),
    "cosine, perturbed": GATES["cosine"](0.5),
    "activation, bias inside": GATES["activation"](bias="inside"),
}
LIMITS = {"gumbel": 40, "sparsemax": 6}


@pytest.mark.parametrize("name", [name for name in SPECS if name != "softmax"])
def test_em_step_of_a_gate(ratio, name):
    flat, theta = likelihood(*simulated(100_000, 5, 4), 4)
    gate = SPECS[name].build(4).calibrated(np.ones(5))
    model = replace(flat.model, gate=gate)
    coef = 0.3 * np.random.default_rng(1).standard_normal(model.gate_free.shape)
    start = model.join(coef, flat.model.split(theta)[1])
    target = Likelihood(model, flat.rows)
    label = f"EM step, {name} gate / softmax gate, n = 1e5, d = 5, K = 4"
    ratio(label, lambda: target.em_step(start), lambda: flat.em_step(theta), LIMITS.get(name, 3), rounds=9)
