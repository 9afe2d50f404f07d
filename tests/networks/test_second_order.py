"""Taylor coefficients against forward-mode derivatives, and Hessian forms against Hessian products."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from genscope.measures.ingredients.hessian_operator import QuadraticForms, hessian_of
from genscope.networks.fold_batch_norm import fold_batch_norm
from genscope.networks.functional import wrap_module
from genscope.networks.second_order import expandable, expansion
from genscope.networks.trace import trace
from genscope.training.models import resnet20


class Tangle(nn.Module):
    """A skip of other depth, padding, strides, groups, a shared layer and averages."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1, stride=2)
        self.second = nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False)
        self.last = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.first(x))
        h = torch.relu(self.second(torch.relu(self.second(h))) + h)
        h = h + nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1))
        return self.last(h.mean((2, 3)))


def case(net: nn.Module, *size: int, fold: bool = True) -> tuple[object, torch.Tensor, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean), nn.init.uniform_(module.running_var, 0.5, 2.0), nn.init.normal_(module.weight)
    graph = trace(wrap_module(net.double().eval()), torch.randn(3, *size, dtype=torch.float64))
    if fold and any(node.kind == "batch_norm" for node in graph.nodes):
        graph = fold_batch_norm(graph).graph
    x = torch.randn(5, *size, dtype=torch.float64)
    return graph, x, {name: torch.randn_like(value) for name, value in graph.params.items()}


NETS = {
    "tangle": (Tangle, (2, 6, 6)),
    "mlp": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 5, bias=False), nn.ReLU(), nn.Linear(5, 2)), (4,)),
    "folded": (resnet20, (3, 8, 8)),
    "unfolded": (resnet20, (3, 8, 8)),
}


@pytest.mark.parametrize("name", NETS)
def test_coefficients_are_the_derivatives_along_the_direction(name: str) -> None:
    graph, x, direction = case(NETS[name][0](), *NETS[name][1], fold=name != "unfolded")
    assert expandable(graph)

    def along(t: torch.Tensor) -> torch.Tensor:
        return graph.run({key: value + t * direction[key] for key, value in graph.params.items()}, graph.buffers, x)

    def slope(t: torch.Tensor) -> torch.Tensor:
        return torch.func.jvp(along, (t,), (torch.ones_like(t),))[1]

    zero = torch.zeros((), dtype=torch.float64)
    found = expansion(graph, graph.params, x)(direction)
    second = torch.func.jvp(slope, (zero,), (torch.ones_like(zero),))[1]
    for part, exact in zip(found, (along(zero), slope(zero), second), strict=True):
        torch.testing.assert_close(part, exact, rtol=1e-9, atol=1e-9 * float(exact.abs().max()))


@pytest.mark.parametrize("loss", ["cross_entropy", "squared", "exponential"])
def test_forms_are_those_of_the_hessian_products(loss: str) -> None:
    graph, x, _ = case(Tangle(), 2, 6, 6)
    network = replace(graph.network(), graph=graph)
    batches = ((x, torch.tensor([0, 1, 2, 1, 0])),)
    operator = hessian_of(dict(network.params), network.forward, loss, batches)
    forms = QuadraticForms(operator, network, dict(network.params), loss, batches)
    block = np.random.default_rng(0).standard_normal((operator.n, 3))
    assert forms.graph is not None
    np.testing.assert_allclose(forms(block), np.einsum("ik,ik->k", block, operator(block)), rtol=1e-10)


def test_other_activations_and_pooling_have_no_rule_and_fall_back() -> None:
    smooth = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    graph, x, _ = case(smooth, 3)
    assert not expandable(graph)
    network = replace(graph.network(), graph=graph)
    batches = ((x, torch.tensor([0, 1, 1, 1, 0])),)
    operator = hessian_of(dict(network.params), network.forward, "cross_entropy", batches)
    forms = QuadraticForms(operator, network, dict(network.params), "cross_entropy", batches)
    block = np.eye(operator.n)[:, :2]
    assert forms.graph is None
    np.testing.assert_allclose(forms(block), np.einsum("ik,ik->k", block, operator(block)))
