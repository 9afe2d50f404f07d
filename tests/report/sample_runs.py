"""A made-up run of training, as a monitor records it."""

import math
from typing import Any

import numpy as np

from genscope.core.results import Result
from genscope.sources.run_folder import Run, compare_runs, result_of

LAYERS = [f"layer{stage}.{block}.conv{k}" for stage in (1, 2, 3) for block in (0, 1) for k in (1, 2)]
OPTIONS = {"every": 10, "layers_every": 100, "budget": 0.03, "loss": "cross_entropy"}


def sample_run(name: str = "run", n_epochs: int = 12, seed: int = 5, end: bool = True) -> Run:
    """Losses that fall, a normalized loss that turns, norms that grow by layer."""
    rng = np.random.default_rng(seed)
    records: list[dict[str, Any]] = []
    rate = 1 + 0.2 * (seed % 3)
    for step in range(1, 20 * n_epochs + 1, 2):
        time = rate * step / 60
        rho = {layer: 2.0 + 0.1 * k + (0.3 + 0.04 * k) * math.log1p(time) for k, layer in enumerate(LAYERS)}
        turn = 2.30 - 0.03 * time * math.exp(-time / 3)
        values = {"loss": 2.3 * math.exp(-time) + 0.05 * abs(rng.normal()) + 1e-3, "error": 0.9 * math.exp(-0.8 * time), "normalized_loss": turn}
        values |= {"margin_q05": time - 1, "margin_median": 2 * time, "normalized_margin_q05": -0.01 + 0.004 * time, "normalized_margin_median": 0.01}
        whole = {"log_rho": sum(map(math.log, rho.values())), "gradient_norm": math.exp(-time), "alignment": 0.2 * rng.normal(), "learning_rate": 0.1}
        layers: dict[str, Any] = {layer: {"rho": value, "rho_growth": 0.01 / (1 + time), "alignment": 0.1} for layer, value in rho.items()}
        if step % 20 == 1:
            for k, layer in enumerate(LAYERS):
                layers[layer] |= {"alpha": 5.0 - 0.2 * k * math.log1p(time) + 0.1 * rng.normal(), "stable_rank": 9 - 0.3 * k, "n_tail": 30.0}
        known = {"step": step, "epoch": step // 20, "seconds": 0.5 * step}
        records.append({"kind": "step", **known, "values": whole, "train": values, "layers": layers, "reasons": {}})
        if step % 20 == 19:
            held_out = {**values, "loss": values["loss"] + 0.02 * time, "normalized_loss": turn + 0.004, "error": values["error"] + 0.05}
            records.append({"kind": "epoch", **known, "values": whole, "train": values, "validation": held_out, "layers": {}, "reasons": {}})
    records[0]["reasons"] = {"l7: alpha": "5 eigenvalues above rounding noise; a power-law fit needs at least 6"}
    records[0]["notes"] = ["logits divided by the output norm on one training example, because it has a BatchNorm2d layer"]
    sentence = "The normalized validation loss has stopped improving: 2.27 at step 179 is the best, 5 epochs later it is 2.281."
    numbers = {"best": 2.27, "best_step": 179, "now": 2.281, "patience": 5}
    records.append(
        {"kind": "alarm", "step": 20 * n_epochs, "epoch": n_epochs, "rule": "normalized_loss_stalled", "sentence": sentence, "numbers": numbers}
    )
    if end:
        records.append({"kind": "end", "step": 20 * n_epochs, "epoch": n_epochs, "seconds": 120.0, "reason": "finished", "overhead": 0.012})
    return Run(
        name, {"verb": "watch", "model": "CifarResNet", "options": OPTIONS, "versions": {"genscope": "0.1.0", "torch": "2.13.0"}}, records, None, 1.0
    )


def watch_result() -> Result:
    return result_of(sample_run())


def watch_comparison() -> Result:
    return compare_runs(sample_run("plain", seed=5), sample_run("regularized", seed=7))
