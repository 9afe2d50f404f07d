"""Degree, its error and the Lipschitz bound against networks on which they are known."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from genscope.sources.model import assess

X = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def measured(model: nn.Module) -> dict[str, dict[str, Any]]:
    names = ["homogeneity_degree", "homogeneity_error", "log_lipschitz_bound", "lipschitz_lower_bound", "log_prod_of_operator"]
    return {row["measure"]: dict(row) for row in assess(model, (X, Y), measures=names, budget="fast").rows}


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_chain_without_later_biases_has_its_depth_as_degree(depth: int) -> None:
    torch.manual_seed(depth)
    layers = [module for k in range(depth - 1) for module in (nn.Linear(4, 4, bias=k < 0), nn.ReLU())]
    rows = measured(nn.Sequential(*layers, nn.Linear(4, 2, bias=False)))
    assert rows["homogeneity_degree"]["value"] == depth
    assert rows["homogeneity_error"]["value"] < 1e-13 and rows["homogeneity_error"]["status"] == "ok"
    assert rows["log_lipschitz_bound"]["value"] == pytest.approx(rows["log_prod_of_operator"]["value"], rel=1e-5)
    assert math.log(rows["lipschitz_lower_bound"]["value"]) <= rows["log_lipschitz_bound"]["value"] + 1e-9


def test_a_later_bias_is_named_and_its_error_is_large() -> None:
    torch.manual_seed(0)
    rows = measured(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)))
    assert rows["homogeneity_degree"]["status"] == "skipped" and "bias" in rows["homogeneity_degree"]["reason"]
    assert rows["homogeneity_error"]["status"] == "doubtful" and rows["homogeneity_error"]["value"] > 1e-3


def test_attention_like_softmax_has_no_bound() -> None:
    rows = measured(nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 2)))
    assert rows["log_lipschitz_bound"]["value"] is None and rows["log_lipschitz_bound"]["reason"]
