"""Batch normalization at other weights: recalibrated statistics are the right ones, keep scale invariance, and are never perturbed themselves."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from genscope.landscape.batch_norm import CALIBRATION
from genscope.landscape.directions import gaussian_directions
from genscope.landscape.evaluator import Evaluator
from genscope.measures.ingredients.losses import scores_of
from genscope.networks.functional import wrap_module


def net(seed: int = 0) -> nn.Module:
    module = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 3))
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    module[1].running_mean.normal_(generator=generator)
    module[1].running_var.uniform_(0.5, 2.0, generator=generator)
    return module.eval()


def data(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 6, generator=generator), torch.randint(3, (n,), generator=generator)


def evaluator(module: nn.Module, n: int = 200, policy: str = "recalibrate") -> Evaluator:
    return Evaluator(wrap_module(module), [data(n)], scores_of("cross_entropy"), bn_policy=policy)


@pytest.mark.parametrize("n", [200, CALIBRATION + 300])
def test_recalibrated_losses_are_those_of_statistics_taken_by_hand(n: int) -> None:
    module = net()
    x, y = data(n)
    moved = copy.deepcopy(module)
    direction = gaussian_directions(wrap_module(module), 1)[0].tensors
    for name, parameter in moved.named_parameters():
        parameter.data += 0.8 * direction.get(name, torch.zeros(()))
    hidden = moved[0](x[:CALIBRATION])
    mean, var = hidden.mean(0), hidden.var(0, unbiased=n > CALIBRATION)
    logits = moved[3](torch.relu((moved[0](x) - mean) / (var + 1e-5).sqrt() * moved[1].weight + moved[1].bias))
    expected = nn.functional.cross_entropy(logits, y).item()
    found = evaluator(module, n)
    assert found.along(found.network.params, [direction], np.array([[0.8]])).loss[0] == pytest.approx(expected, rel=1e-5)


def test_recalibration_keeps_the_scale_invariance_that_frozen_statistics_lose() -> None:
    module, doubled = net(), net()
    doubled[0].weight.data *= 2
    doubled[0].bias.data *= 2
    doubled[1].running_mean *= 2
    doubled[1].running_var *= 4
    rises = {}
    for policy in ("recalibrate", "frozen"):
        found = []
        for one in (module, doubled):
            ready = evaluator(one, policy=policy)
            direction = gaussian_directions(ready.network, 1, vectors="zero")[0].tensors
            found.append(ready.along(ready.network.params, [direction], np.array([[1.0]])).loss[0])
        rises[policy] = abs(found[1] - found[0]) / found[0]
    # under filter normalization the direction doubles with the weights; the bias does not move and the mean is subtracted
    assert rises["recalibrate"] < 1e-3
    frozen = evaluator(module, policy="frozen").centre().loss[0]
    assert frozen != pytest.approx(evaluator(module).centre().loss[0], rel=1e-3)


def test_running_statistics_are_no_parameters_and_never_move() -> None:
    ready = evaluator(net())
    assert not any("running" in name for one in gaussian_directions(ready.network, 2, vectors="tensor") for name in one.tensors)
    before = {name: tensor.clone() for name, tensor in ready.network.buffers.items()}
    ready.along(ready.network.params, [gaussian_directions(ready.network, 1)[0].tensors], np.array([[3.0], [-3.0]]))
    assert all(torch.equal(before[name], tensor) for name, tensor in ready.network.buffers.items())


def test_the_policy_is_recorded() -> None:
    assert evaluator(net()).facts["bn_policy"] == "recalibrate" and evaluator(net()).facts["bn_examples"] == 200
    plain = Evaluator(wrap_module(nn.Linear(6, 3)), [data(9)], scores_of("cross_entropy"))
    assert plain.facts["bn_policy"] == "none" and plain.facts["bn_examples"] is None
    assert evaluator(net()).frozen().facts["bn_policy"] == "frozen"
