"""What may flow and what is refused in one sentence; the user's module stays as it was."""

import copy

import pytest
import torch
from torch import nn

from genscope.dynamics.homogeneous import homogeneous_problem
from genscope.errors import UnsupportedInput

X = torch.randn(12, 2, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def net(*, bias: bool = False, middle: nn.Module | None = None, outputs: int = 1) -> nn.Sequential:
    torch_seed = torch.Generator().manual_seed(1)
    found = nn.Sequential(nn.Linear(2, 5, bias=False), *([middle] if middle else []), nn.ReLU(), nn.Linear(5, outputs, bias=bias))
    for parameter in found.parameters():
        nn.init.normal_(parameter, generator=torch_seed)
    return found


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_plain_network_is_taken_and_not_changed(outputs: int) -> None:
    model = net(outputs=outputs)
    before = copy.deepcopy(model.state_dict())
    problem = homogeneous_problem(model, X, Y)
    assert problem.depth == 2 and problem.binary == (outputs == 1) and problem.fast is not None and not problem.linear
    problem.log_loss_and_gradient(problem.initial, "logistic")
    assert model.training and all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (net(bias=True), "a bias"),
        (net(middle=nn.BatchNorm1d(5)), "normalization"),
        (nn.Sequential(nn.Linear(2, 3, bias=False), nn.Tanh(), nn.Linear(3, 1, bias=False)), "not positively homogeneous"),
    ],
)
def test_what_is_not_homogeneous_is_refused(model: nn.Module, words: str) -> None:
    with pytest.raises(UnsupportedInput, match=words) as caught:
        homogeneous_problem(model, X, Y)
    assert "\n" not in str(caught.value)


def test_a_bias_that_is_zero_now_is_refused_too() -> None:
    model = net(bias=True)
    nn.init.zeros_(model[-1].bias)
    with pytest.raises(UnsupportedInput, match="a bias"):
        homogeneous_problem(model, X, Y)


def test_a_bias_of_the_first_layer_is_the_weight_of_a_constant_input() -> None:
    model = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 1, bias=False))
    assert homogeneous_problem(model, X, Y).n_params == 20


@pytest.mark.parametrize(("labels", "words"), [(Y * 0, "one class"), (torch.arange(12), "one output per class"), (Y[:5], "one row per example")])
def test_labels_that_do_not_fit(labels: torch.Tensor, words: str) -> None:
    with pytest.raises(UnsupportedInput, match=words):
        homogeneous_problem(net(), X, labels)


def test_a_zero_layer_has_no_direction() -> None:
    model = net()
    nn.init.zeros_(model[0].weight)
    with pytest.raises(UnsupportedInput, match="has no direction"):
        homogeneous_problem(model, X, Y)


def test_bad_inputs() -> None:
    with pytest.raises(UnsupportedInput, match="NaN"):
        homogeneous_problem(net(), X * float("nan"), Y)
    with pytest.raises(UnsupportedInput, match="cannot be run"):
        homogeneous_problem(net(), torch.ones(12, 7), Y)
    with pytest.raises(UnsupportedInput, match="class numbers"):
        homogeneous_problem(net(outputs=2), X, Y + 1)
