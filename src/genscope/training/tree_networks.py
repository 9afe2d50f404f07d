"""Stacks of small networks of the same shape: binary trees with free or shared weights, shallow, and generic deep; parameters counted exactly."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genscope.errors import UsageError
from genscope.training.tree_target import levels_of

ARCHITECTURES = ("tree", "tree_shared", "shallow", "deep")
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "relu_squared": lambda value: torch.relu(value).square(),
}


@dataclass(frozen=True)
class Shape:
    """What a network is made of, and what that costs.

    Args:
        architecture: one of :data:`ARCHITECTURES`.
        variables: inputs.
        width: units per node (trees) or per layer.
        n_units: hidden units in all, those with shared weights counted at every place.
        n_parameters: weights and biases that are trained.
    """

    architecture: str
    variables: int
    width: int
    n_units: int
    n_parameters: int


def shape_of(architecture: str, variables: int, width: int) -> Shape:
    """Units and parameters of a network of ``width``.

    A node of a tree has ``width`` units of two inputs and one linear output: 4·width + 1 parameters. A tree has n − 1 of them, or log₂ n where the
    nodes of a level share theirs. A shallow network has width·(n + 2) + 1, a generic deep one max(2, log₂ n) layers of ``width``.

    Example:
        >>> shape_of("tree", 8, 6).n_units, shape_of("tree", 8, 6).n_parameters, shape_of("tree_shared", 8, 6).n_parameters
        (42, 175, 75)
    """
    levels = levels_of(variables)
    if architecture == "tree":
        return Shape(architecture, variables, width, (variables - 1) * width, (variables - 1) * (4 * width + 1))
    if architecture == "tree_shared":
        return Shape(architecture, variables, width, (variables - 1) * width, levels * (4 * width + 1))
    if architecture == "shallow":
        return Shape(architecture, variables, width, width, width * (variables + 2) + 1)
    if architecture == "deep":
        layers = max(2, levels)
        parameters = width * (variables + 1) + (layers - 1) * width * (width + 1) + width + 1
        return Shape(architecture, variables, width, layers * width, parameters)
    raise UsageError(f"There is no architecture {architecture!r}; use one of {', '.join(ARCHITECTURES)}.")


def matched_shape(architecture: str, variables: int, n_parameters: int) -> Shape:
    """The network of ``architecture`` whose number of parameters comes closest to ``n_parameters`` (at least one unit per layer).

    Example:
        >>> matched_shape("shallow", 8, shape_of("tree", 8, 6).n_parameters)
        Shape(architecture='shallow', variables=8, width=17, n_units=17, n_parameters=171)
    """
    width = 1
    while shape_of(architecture, variables, width + 1).n_parameters <= n_parameters:
        width += 1
    return min((shape_of(architecture, variables, one) for one in (width, width + 1)), key=lambda shape: abs(shape.n_parameters - n_parameters))


class StackedNetwork(nn.Module):
    """Networks of one shape that are evaluated and trained side by side; they never see each other.

    Args:
        shape: of each.
        generators: seeded, one per network; each draws its own weights.
        activation: a name of :data:`ACTIVATIONS`.
    """

    def __init__(self, shape: Shape, generators: Sequence[torch.Generator], activation: str = "tanh") -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise UsageError(f"There is no activation {activation!r}; use one of {', '.join(ACTIVATIONS)}.")
        self.shape, self.stack, self.activation = shape, len(generators), activation
        drawn = [[_draw(layer, generator) for layer in _layers(shape)] for generator in generators]
        self.weights, self.biases = (
            nn.ParameterList([nn.Parameter(torch.stack([one[layer][part] for one in drawn])) for layer in range(len(drawn[0]))]) for part in (0, 1)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs [stack, examples] for ``inputs`` [examples, variables] or [stack, examples, variables]."""
        features = self.features(inputs)
        return _affine(features, self.weights[-1], self.biases[-1]).squeeze(-1).squeeze(1)

    def features(self, inputs: Tensor) -> Tensor:
        """What the last linear output is computed from, [stack, 1, examples, width]."""
        act = ACTIVATIONS[self.activation]
        if self.shape.architecture in ("tree", "tree_shared"):
            return self._tree(inputs, act)
        value = inputs.expand(self.stack, *inputs.shape[-2:]).unsqueeze(1)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            value = act(_affine(value, weight, bias))
        return value

    def _tree(self, inputs: Tensor, act: Callable[[Tensor], Tensor]) -> Tensor:
        examples, variables = inputs.shape[-2:]
        value = inputs.transpose(-1, -2).expand(self.stack, variables, examples)
        for level in range(0, len(self.weights), 2):
            pairs = value.reshape(self.stack, -1, 2, examples).transpose(-1, -2)
            hidden = act(_affine(pairs, self.weights[level], self.biases[level]))
            if level + 2 == len(self.weights):
                break
            value = _affine(hidden, self.weights[level + 1], self.biases[level + 1]).squeeze(-1)
        return hidden


def _affine(value: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.matmul(value, weight) + bias


def _draw(layer: tuple[int, int, int, bool], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Normal weights [places, fan in, fan out] and biases [places, 1, fan out]: kinks of first layers spread over their inputs, others are zero."""
    places, fan_in, fan_out, first = layer
    weight = torch.randn(places, fan_in, fan_out, generator=generator) * math.sqrt(2.0 / fan_in)
    bias = (torch.rand(places, 1, fan_out, generator=generator) * 2 - 1) * math.sqrt(fan_in)
    return weight, bias if first else torch.zeros_like(bias)


def _layers(shape: Shape) -> Sequence[tuple[int, int, int, bool]]:
    """(places, fan in, fan out, reads inputs) of every affine map; nodes of a level stand side by side, or in one place when they share."""
    if shape.architecture == "shallow":
        return [(1, shape.variables, shape.width, True), (1, shape.width, 1, False)]
    if shape.architecture == "deep":
        inner = [(1, shape.width, shape.width, False)] * (max(2, levels_of(shape.variables)) - 1)
        return [(1, shape.variables, shape.width, True), *inner, (1, shape.width, 1, False)]
    nodes = [1 if shape.architecture == "tree_shared" else shape.variables >> level for level in range(1, levels_of(shape.variables) + 1)]
    return [layer for node in nodes for layer in ((node, 2, shape.width, True), (node, shape.width, 1, False))]
