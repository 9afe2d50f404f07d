import math

import pytest
import torch
from torch import nn

from genscope.core.status import Undefined
from genscope.errors import UnsupportedInput
from genscope.networks.functional import wrap_module
from genscope.networks.layer_operators import layer_operators
from genscope.networks.lipschitz import jacobian_norms, log_lipschitz_bound
from genscope.networks.trace import trace
from genscope.training import models


def test_a_chain_is_the_product_of_its_spectral_norms():
    model = models.mlp((4, 5, 3)).double()
    expected = sum(math.log(float(torch.linalg.svdvals(layer.weight.detach())[0])) for layer in (model.l1, model.l2))
    assert log_lipschitz_bound(trace(model, torch.ones(1, 4, dtype=torch.float64))) == pytest.approx(expected, abs=1e-10)


def test_branches_add_and_concatenations_add_in_squares():
    class Branches(nn.Module):
        def __init__(self, cat):
            super().__init__()
            self.a, self.b, self.cat = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False), cat
            self.a.weight.data.fill_(3.0), self.b.weight.data.fill_(-4.0)

        def forward(self, x):
            return torch.cat([self.a(x), self.b(x)], 1) if self.cat else self.a(x) + self.b(x)

    x = torch.ones(1, 1)
    assert math.exp(log_lipschitz_bound(trace(Branches(True), x))) == pytest.approx(5.0)
    assert math.exp(log_lipschitz_bound(trace(Branches(False), x))) == pytest.approx(7.0)


@pytest.mark.parametrize("kind", ["lenet", "resnet", "pre", "pools", "smooth"])
def test_the_bound_is_above_every_jacobian(zoo, kind):
    model, shape = {
        "lenet": lambda: (models.lenet5(), (1, 28, 28)),
        "resnet": lambda: (zoo.shake(models.cifar_resnet(8, option="B", widths=(2, 4, 8))), (3, 16, 16)),
        "pre": lambda: (zoo.shake(zoo.PreActivation()), (2, 6, 6)),
        "pools": lambda: (zoo.Pools(), (1, 4, 4)),
        "smooth": lambda: (models.mlp((4, 6, 3), activation="gelu"), (4,)),
    }[kind]()
    x = torch.randn(4, *shape)
    bound = log_lipschitz_bound(trace(model, x))
    assert isinstance(bound, float)
    assert float(jacobian_norms(wrap_module(model), x).spectral.max()) <= math.exp(bound) * (1 + 1e-4)


def test_known_norms_are_not_computed_again():
    graph = trace(models.mlp((4, 5, 3)), torch.ones(1, 4))
    norms = {layer.node: op.operator_norm for layer, op in zip(graph.layers(), layer_operators(graph), strict=True)}
    assert log_lipschitz_bound(graph, norms) == pytest.approx(log_lipschitz_bound(graph))
    assert log_lipschitz_bound(graph, dict.fromkeys(norms, 2.0)) == pytest.approx(2 * math.log(2))


def test_layers_without_a_constant_and_dead_networks_are_said(zoo):
    found = log_lipschitz_bound(trace(zoo.Attention(), torch.zeros(2, 5, dtype=torch.long)))
    assert isinstance(found, Undefined)
    assert "no finite Lipschitz constant" in found.reason
    dead = models.mlp((3, 4, 2))
    dead.l1.weight.data.zero_()
    assert isinstance(log_lipschitz_bound(trace(dead, torch.ones(1, 3))), Undefined)


def test_jacobian_norms_against_the_dense_jacobian():
    model = models.mlp((5, 7, 3), activation="tanh").double()
    x = torch.randn(4, 5, dtype=torch.float64)
    found = jacobian_norms(wrap_module(model), x)
    for index in range(4):
        dense = torch.autograd.functional.jacobian(model, x[index : index + 1])[0, :, 0]
        assert float(found.spectral[index]) == pytest.approx(float(torch.linalg.svdvals(dense)[0]), rel=1e-10)
        assert float(found.frobenius[index]) == pytest.approx(float(dense.norm()), rel=1e-10)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_jacobians_of_integer_inputs_and_of_sequences_are_refused(zoo):
    with pytest.raises(UnsupportedInput, match="floating-point"):
        jacobian_norms(wrap_module(zoo.Attention()), torch.zeros(2, 5, dtype=torch.long))
    with pytest.raises(UnsupportedInput, match="at most 2 classes"):
        jacobian_norms(wrap_module(models.mlp((3, 5))), torch.ones(2, 3), max_classes=2)
