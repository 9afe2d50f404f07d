"""Basin measures through the resolver: they agree with the verb's own machinery, and say why they are not there."""

import numpy as np
import pytest
import torch
from tests.measures.networks_by_hand import compute, random_weights, roots_of

from genscope.core.estimate import Estimate
from genscope.core.status import Undefined
from genscope.sources.model import assess

ROOTS = roots_of(random_weights())


def test_wider_cutoffs_reach_further_and_the_interval_holds_the_mean() -> None:
    near, far = (compute(ROOTS, ["mean_log_basin_radius"], basin_cutoff=cutoff)["mean_log_basin_radius"] for cutoff in (0.05, 0.5))
    assert isinstance(near, Estimate) and isinstance(far, Estimate)
    assert near.value < far.value and near.low is not None and near.high is not None and near.low < near.value < near.high


def test_a_cutoff_below_the_loss_is_a_reason() -> None:
    found = compute(ROOTS, ["mean_log_basin_radius"], basin_criterion="loss", basin_cutoff=1e-6)["mean_log_basin_radius"]
    assert isinstance(found, Undefined) and "not below the cutoff" in found.reason


def test_a_refused_volume_leaves_a_lower_bound_of_the_radius() -> None:
    found = compute(ROOTS, ["log_basin_volume", "effective_radius", "mean_log_basin_radius"], basin_directions=40, basin_gradients=8)
    volume, radius, mean = found["log_basin_volume"], found["effective_radius"], found["mean_log_basin_radius"]
    assert isinstance(volume, Undefined) and "lower bound" in volume.reason and "n = 150" in volume.reason
    assert radius.status == "doubtful" and radius.value == pytest.approx(np.exp(mean.value))


def test_a_small_network_has_a_volume_with_an_interval() -> None:
    x = torch.tensor([[1.0, 0.2], [0.3, 1.0], [-1.0, 0.1], [0.2, -1.0]] * 20, dtype=torch.float64)
    x += 0.3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    net = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1.0, 1.0]]))
    y = (torch.arange(80) % 2).long()  # no linear separation: the loss rises in every direction in the end
    options = {"basin_directions": 400, "basin_gradients": 64, "basin_cutoff": 0.5}
    result = assess(net, (x, y), measures=["log_basin_volume", "effective_radius", "mean_log_basin_radius"], loss="squared", options=options)
    volume, radius, mean = (row for row in result.rows)
    assert volume["status"] in ("ok", "doubtful") and volume["low"] <= volume["value"] <= volume["high"]
    assert np.exp(mean["value"]) <= radius["value"] * 1.001
    assert radius["value"] == pytest.approx(np.exp((volume["value"] - np.log(np.pi)) / 2), rel=1e-6)


def test_the_learning_coefficient_is_below_half_the_parameters() -> None:
    found = compute(ROOTS, ["local_learning_coefficient"], chain_steps=60)["local_learning_coefficient"]
    assert isinstance(found, Estimate) and found.low is not None and found.low < 75
    assert "R-hat" in found.reason or "negative" in found.reason or found.status == "ok"


def test_local_entropy_falls_with_the_width() -> None:
    narrow, wide = (compute(ROOTS, ["local_entropy"], entropy_width=width)["local_entropy"] for width in (0.01, 1.0))
    assert narrow.value > wide.value and narrow.value <= 0
