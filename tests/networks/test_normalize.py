import math

import pytest
import torch
from torch import nn

from genscope.core.status import Undefined
from genscope.errors import UnsupportedInput
from genscope.networks.functional import wrap_module
from genscope.networks.normalize import log_entry_norm, normalize_by_output, normalize_layers
from genscope.networks.trace import relative_error, trace
from genscope.training import models

NORMS = [1.0, 2.0, 3.5, math.inf]


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("kind", ["mlp", "conv_bn", "lenet", "pre_norm"])
def test_the_product_of_norms_times_the_normalized_network_is_the_network(zoo, p, kind):
    model, shape = {
        "mlp": lambda: (models.mlp((3, 5, 4, 2)), (3,)),
        "conv_bn": lambda: (zoo.shake(models.small_conv((4, 5), image_size=12, batch_norm=True)), (3, 12, 12)),
        "lenet": lambda: (models.lenet5(), (1, 28, 28)),
        "pre_norm": lambda: (
            zoo.shake(nn.Sequential(nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 2))),
            (3,),
        ),
    }[kind]()
    x = torch.randn(6, *shape)
    found = normalize_layers(trace(model, x), p)
    assert found.error < 1e-13
    expected = wrap_module(model).to(torch.float64)(x.double())
    assert relative_error(found.network(x.double()) * math.exp(found.log_product), expected) < 1e-13
    assert torch.equal(found.network(x.double()).argmax(1), expected.argmax(1))
    assert found.log_product == pytest.approx(sum(found.log_norms.values()), rel=1e-12)


def test_hand_values_with_the_first_bias_as_an_input():
    model = models.mlp((1, 2, 1))
    model.l1.weight.data[:], model.l1.bias.data[:] = torch.tensor([[1.0], [2.0]]), torch.tensor([2.0, 0.0])
    model.l2.weight.data[:], model.l2.bias.data[:] = torch.tensor([[3.0, 4.0]]), torch.tensor([30.0])
    found = normalize_layers(trace(model, torch.ones(1, 1)))
    assert math.exp(found.log_norms["l1"]) == pytest.approx(3.0)
    assert math.exp(found.log_norms["l2"]) == pytest.approx(5.0)
    assert found.network.params["l2.bias"].item() == pytest.approx(30.0 / 15.0)
    assert found.network.params["l1.bias"][0].item() == pytest.approx(2.0 / 3.0)
    layers = [torch.cat([found.network.params["l1.weight"].flatten(), found.network.params["l1.bias"]]), found.network.params["l2.weight"]]
    assert all(layer.norm().item() == pytest.approx(1.0) for layer in layers)


def test_the_normalized_network_forgets_the_scale_of_each_layer():
    model, x = models.small_conv((3, 4), image_size=12), torch.randn(3, 3, 12, 12)
    before = normalize_layers(trace(model, x)).network(x.double())
    model.conv2.weight.data *= 7.0
    model.fc.weight.data *= 0.01
    after = normalize_layers(trace(model, x))
    assert relative_error(after.network(x.double()), before) < 1e-6


def test_deep_networks_do_not_overflow():
    model = models.mlp([4, *[4] * 60, 3])
    for parameter in model.parameters():
        parameter.data *= 1e6
    found = normalize_layers(trace(model, torch.ones(2, 4)))
    assert found.log_product > 700
    assert isinstance(found.error, Undefined)
    assert torch.isfinite(found.network(torch.ones(2, 4, dtype=torch.float64))).all()


def test_what_has_no_layer_normalization_is_refused(zoo):
    residual = models.cifar_resnet(8, widths=(2, 4, 8))
    with pytest.raises(UnsupportedInput, match="skip connection"):
        normalize_layers(trace(residual, torch.randn(2, 3, 16, 16)))
    with pytest.raises(UnsupportedInput, match="gelu does not scale"):
        normalize_layers(trace(models.mlp((3, 4, 2), activation="gelu"), torch.randn(2, 3)))
    dead = models.mlp((3, 4, 2))
    dead.l2.weight.data.zero_()
    with pytest.raises(UnsupportedInput, match="l2: all weights"):
        normalize_layers(trace(dead, torch.randn(2, 3)))
    with pytest.raises(UnsupportedInput, match="at least 1"):
        normalize_layers(trace(models.mlp((3, 2)), torch.randn(2, 3)), p=0.5)


def test_shared_layers_are_exact_without_biases_and_refused_with_them():
    class Recurrent(nn.Module):
        def __init__(self, bias):
            super().__init__()
            self.first, self.step = nn.Linear(3, 3), nn.Linear(3, 3, bias=bias)

        def forward(self, x):
            return self.step(torch.relu(self.step(torch.relu(self.first(x)))))

    x = torch.randn(4, 3)
    found = normalize_layers(trace(Recurrent(False), x))
    assert found.error < 1e-13
    assert found.log_product == pytest.approx(found.log_norms["first"] + 2 * found.log_norms["step"])
    with pytest.raises(UnsupportedInput, match="shared between layers"):
        normalize_layers(trace(Recurrent(True), x))


def test_residual_networks_by_output_norm(zoo):
    model, x = zoo.shake(models.cifar_resnet(8, widths=(2, 4, 8))), torch.randn(3, 3, 16, 16)
    found = normalize_by_output(wrap_module(model), x)
    assert found.network(x.double())[0].norm().item() == pytest.approx(1.0, abs=1e-12)
    model.linear.weight.data *= 3
    model.linear.bias.data *= 3
    again = normalize_by_output(wrap_module(model), x)
    assert again.log_product - found.log_product == pytest.approx(math.log(3), abs=1e-6)
    assert "no layerwise" in found.label
    model.linear.weight.data.zero_()
    model.linear.bias.data.zero_()
    with pytest.raises(UnsupportedInput, match="zero or not finite"):
        normalize_by_output(wrap_module(model), x)


@pytest.mark.parametrize("p", NORMS)
def test_entry_norms_against_torch(p):
    tensor = torch.randn(5, 4, dtype=torch.float64)
    assert log_entry_norm((tensor,), p) == pytest.approx(float(torch.linalg.vector_norm(tensor, p).log()), abs=1e-12)
    assert log_entry_norm((tensor * 1e200, tensor * 1e200), p) > 460
