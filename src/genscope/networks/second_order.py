"""Second derivatives of a network along a direction of its weights, by Taylor arithmetic on its graph: no backward pass and nothing to keep."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from genscope.networks.graph import Graph, Node, Ref, resolve

# Kinds that are linear in their one data input: each Taylor coefficient passes through alone.
_PASSING = ("structural", "pad", "avg_pool", "sum", "dropout")
_WEIGHTED = ("conv", "linear", "diagonal", "batch_norm")

Coefficients = dict[Ref, Any]
Expansion = Callable[[Mapping[str, Tensor]], tuple[Tensor, Tensor, Tensor]]


def expandable(graph: Graph) -> bool:
    """Whether every operation has a Taylor rule: convolution, linear, fixed batch normalization, ReLU, addition, average, reshape, padding.

    Example:
        >>> from torch import nn
        >>> from genscope.networks.trace import trace
        >>> [expandable(trace(nn.Sequential(nn.Linear(2, 2), f), torch.ones(1, 2))) for f in (nn.ReLU(), nn.Tanh())]
        [True, False]
    """
    return all(_has_rule(graph, node) for node in graph.nodes)


def _has_rule(graph: Graph, node: Node) -> bool:
    if not node.data:
        return False  # weights that are computed
    if node.kind == "batch_norm" and (node.argument("training") or node.argument("running_mean") is None):
        return False
    if node.kind in _WEIGHTED:
        stored = {*graph.params, *graph.buffers}
        plain = node.weight is not None and node.weight.name in stored and (node.bias is None or node.bias.name in stored)
        # Products other than ``linear`` hold their operands in another order.
        return plain and len(node.inputs) == 1 and not node.transposed and node.args[:1] == (node.inputs[0],)
    if node.kind == "add":
        return len(node.inputs) == 2 and len(node.args) == 2 and not node.kwargs
    return node.kind in ("relu", *_PASSING) and len(node.inputs) == 1 and node.shape is not None


def expansion(graph: Graph, params: Mapping[str, Tensor], x: Tensor) -> Expansion:
    """``v -> (f, df/dt, d²f/dt²)`` of the logits at ``w + t·v``, t = 0, for one batch.

    Formula: with ``y = W∗x`` the coefficients are ``y₁ = W∗x₁ + V∗x₀`` and ``y₂ = W∗x₂ + 2V∗x₁``; a ReLU passes both where its input is positive.

    Args:
        graph: one for which :func:`expandable` holds.
        params: the weights w.
        x: inputs ``[examples, ...]``.

    Returns:
        A function of the direction; logits ``[examples, classes]`` and their two derivatives.

    Cost: four forward passes per direction (the values at w are kept: memory of one forward per batch).

    Example:
        >>> from torch import nn
        >>> from genscope.networks.trace import trace
        >>> net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False))
        >>> with torch.no_grad(): net[0].weight[:], net[2].weight[:] = torch.tensor([[2.0]]), torch.tensor([[3.0]])
        >>> graph = trace(net, torch.ones(1, 1))
        >>> [float(part) for part in expansion(graph, graph.params, torch.ones(1, 1))({name: torch.ones(1, 1) for name in graph.params})]
        [6.0, 5.0, 2.0]
    """
    with torch.no_grad():
        values = graph.values(params, graph.buffers, (x,))
    masks = {node.ref: (values[node.ref] > 0).to(x.dtype) for node in graph.nodes if node.kind == "relu"}

    def along(direction: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        velocity = {Ref("param", name): tensor for name, tensor in direction.items()}
        first: Coefficients = {}
        second: Coefficients = {}
        with torch.no_grad():
            for node in graph.nodes:
                _step(node, values, velocity, first, second, masks)
        logits = values[graph.output]
        return logits, first.get(graph.output, torch.zeros_like(logits)), second.get(graph.output, torch.zeros_like(logits))

    return along


def _step(node: Node, values: Coefficients, velocity: Coefficients, first: Coefficients, second: Coefficients, masks: Coefficients) -> None:
    source = node.inputs[0]
    if node.kind in _WEIGHTED:
        _weighted(node, values, velocity, first, second)
    elif node.kind == "relu":
        for part in (first, second):
            if source in part:
                part[node.ref] = part[source] * masks[node.ref]
    else:
        for part in (first, second):
            given = [ref for ref in node.inputs if ref in part]
            if len(given) == len(node.inputs):
                part[node.ref] = node.target(*resolve(node.args, _Reading(part, values)), **resolve(node.kwargs, values))
            elif given:  # an addition of which one side does not depend on the weights to this order
                part[node.ref] = part[given[0]].expand_as(values[node.ref])


class _Reading(dict[Ref, Any]):
    """Data from one coefficient, everything else (sizes, constants) from the values."""

    def __init__(self, part: Coefficients, values: Coefficients) -> None:
        super().__init__()
        self.part, self.values_at_zero = part, values

    def __missing__(self, ref: Ref) -> Any:
        return self.part[ref] if ref in self.part else self.values_at_zero[ref]


def _weighted(node: Node, values: Coefficients, velocity: Coefficients, first: Coefficients, second: Coefficients) -> None:
    source = node.inputs[0]
    assert node.weight is not None
    weight, moving = values[node.weight], velocity.get(node.weight)
    shift = velocity.get(node.bias) if node.bias is not None else None

    def layer(data: Tensor, matrix: Tensor, bias: Tensor | None = None) -> Tensor:
        swaps = {source: data, node.weight: matrix, node.bias: bias}
        if node.kind == "batch_norm":  # only values are centred, not their derivatives; the variance divides both
            mean, variance = (node.argument(f"running_{moment}") for moment in ("mean", "var"))
            swaps |= {mean: values[mean] if data is values[source] else torch.zeros_like(values[mean]), variance: values[variance]}
        read = {ref: tensor for ref, tensor in swaps.items() if ref is not None}
        return node.target(*resolve(node.args, read), **resolve(node.kwargs, read))  # type: ignore[no-any-return]

    parts: list[Tensor] = []
    if source in first:
        parts.append(layer(first[source], weight, shift))
    if moving is not None:
        parts.append(layer(values[source], moving, None if parts else shift))
    elif not parts and shift is not None:
        parts.append(layer(torch.zeros_like(values[source]), weight, shift))
    if parts:
        first[node.ref] = parts[0] if len(parts) == 1 else parts[0].add_(parts[1])
    parts = []
    if source in first and moving is not None:
        parts.append(layer(first[source], 2.0 * moving))
    if source in second:
        parts.append(layer(second[source], weight))
    if parts:
        second[node.ref] = parts[0] if len(parts) == 1 else parts[0].add_(parts[1])
