"""Directions: isotropic, normalized as they say, empty ones refused, and the released peers' mistakes not made again."""

import numpy as np
import pytest
import torch
from torch import nn

from genscope.errors import UnsupportedInput, UsageError
from genscope.landscape.directions import cosines, difference_direction, gaussian_directions, transposed_weights
from genscope.landscape.points import length
from genscope.networks.functional import Network, wrap_module


def network(seed: int = 0) -> Network:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ConvTranspose2d(8, 5, 2), nn.Flatten(), nn.Linear(20, 4))
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return wrap_module(module)


def test_directions_are_isotropic_and_not_all_positive() -> None:
    plain = Network({"w": torch.ones(100, 100)}, {}, lambda p, b, x: x)
    found = gaussian_directions(plain, 4, normalization="none")
    for one in found:
        w = one.tensors["w"]
        assert abs(float(w.mean())) < 0.05 and abs(float((w > 0).double().mean()) - 0.5) < 0.02 and abs(float(w.std()) - 1) < 0.03
    off = np.array(cosines(found))[~np.eye(4, dtype=bool)]
    assert np.abs(off).max() < 4 / np.sqrt(10_000)


def test_filters_keep_their_lengths_and_vectors_stay() -> None:
    net = network()
    one = gaussian_directions(net, 1)[0]
    assert set(one.tensors) == {"0.weight", "2.weight", "4.weight"}
    for name, dims in (("0.weight", (1, 2, 3)), ("2.weight", (0, 2, 3)), ("4.weight", (1,))):
        torch.testing.assert_close(torch.linalg.vector_norm(one.tensors[name], dim=dims), torch.linalg.vector_norm(net.params[name], dim=dims))
    assert transposed_weights(net.module) == {"2.weight"}
    assert one.n_perturbed == sum(net.params[name].numel() for name in one.tensors) < net.n_params


def test_the_other_normalizations_hold() -> None:
    net = network()
    layer, whole, weight = (gaussian_directions(net, 1, normalization=name, vectors="tensor")[0].tensors for name in ("layer", "whole", "weight"))
    assert all(abs(float(layer[name].norm() / value.norm()) - 1) < 1e-5 for name, value in net.params.items())
    assert abs(length(whole) / length(net.params) - 1) < 1e-6
    plain = gaussian_directions(net, 1, normalization="none", vectors="tensor")[0].tensors
    assert all(torch.equal(weight[name], plain[name] * value.abs()) for name, value in net.params.items())


def test_a_bias_direction_is_not_the_bias_itself() -> None:
    net = network()
    bias = gaussian_directions(net, 1, vectors="tensor")[0].tensors["0.bias"]
    assert (bias < 0).any() and (bias > 0).any() and not torch.allclose(bias.abs(), net.params["0.bias"].abs(), rtol=0.1)
    assert abs(float(bias.norm() / net.params["0.bias"].norm()) - 1) < 1e-5


def test_a_direction_does_not_depend_on_how_many_are_asked_for() -> None:
    one, many = gaussian_directions(network(), 1, seed=3), gaussian_directions(network(), 3, seed=3)
    assert all(torch.equal(tensor, many[0].tensors[name]) for name, tensor in one[0].tensors.items())
    assert not torch.equal(many[1].tensors["4.weight"], many[0].tensors["4.weight"])


def test_dead_filters_do_not_move_and_empty_directions_are_refused() -> None:
    net = network()
    net.params["0.weight"][2] = 0.0
    assert gaussian_directions(net, 1)[0].tensors["0.weight"][2].abs().max() == 0
    for value in net.params.values():
        value.zero_()
    with pytest.raises(UnsupportedInput, match="direction is empty"):
        gaussian_directions(net, 1)
    with pytest.raises(UnsupportedInput, match="only parameters with one dimension"):
        gaussian_directions(Network({"b": torch.ones(3)}, {}, lambda p, b, x: x), 1)
    with pytest.raises(UnsupportedInput, match="the same parameters"):
        difference_direction(net.params, net.params)
    for wrong in ({"normalization": "unit"}, {"vectors": "copy"}, {"count": 0}):
        with pytest.raises(UsageError):
            gaussian_directions(**{"network": net, "count": 1, **wrong})  # type: ignore[arg-type]


def test_tied_weights_move_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(3, 3, bias=False)
            self.b = nn.Linear(3, 3, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(torch.relu(self.a(x)))

    one = gaussian_directions(wrap_module(Tied()), 1)[0]
    assert one.n_perturbed == 9 and list(one.tensors) == ["a.weight"]
