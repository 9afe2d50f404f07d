"""Multilayer perceptrons at many points at once: batched matrix products, and a first layer that is linear in the coordinates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genscope.errors import GenscopeError
from genscope.landscape.points import Params
from genscope.networks.functional import Network
from genscope.networks.graph import Graph, Node, Ref, flatten_inputs, leaves, resolve
from genscope.networks.trace import trace

_ELEMENTWISE = ("relu", "leaky_relu", "activation")
_IN_PLACE = {"relu": torch.relu_, "tanh": torch.tanh_, "sigmoid": torch.sigmoid_}


@dataclass(frozen=True)
class Step:
    """One linear layer and the elementwise functions after it."""

    weight: str
    bias: str | None
    transposed: bool
    after: tuple[Callable[[Tensor], Tensor], ...]


@dataclass(frozen=True)
class Chain:
    """A network that is linear layers with elementwise functions between them; ``prepare`` turns the input into ``[examples, features]``."""

    prepare: Callable[[Any], Tensor]
    steps: tuple[Step, ...]

    def logits(self, points: Params, x: Any) -> Tensor:
        """Outputs ``[points, examples, classes]`` of stacked parameters ``[points, ...]``.

        Activations are held as ``[points, features, examples]``, so that the weights multiply from the left as they are stored: for layers of some
        tens of units that is nearly twice as fast.
        """
        hidden = self.prepare(x).T.unsqueeze(0).expand(len(points[self.steps[0].weight]), -1, -1)
        for step in self.steps:
            weight = points[step.weight]
            weight = weight.transpose(-1, -2) if step.transposed else weight
            product = torch.bmm(weight, hidden) if step.bias is None else torch.baddbmm(points[step.bias].unsqueeze(2), weight, hidden)
            hidden = _applied(step, product)
        return hidden.transpose(1, 2)

    def first_images(self, origin: Params, directions: Sequence[Params], x: Any) -> Tensor:
        """The first layer's image of the inputs under w and under each direction, ``[1 + K, examples, width]``."""
        step, inputs = self.steps[0], self.prepare(x)
        found = []
        for point in (origin, *directions):
            width = origin[step.weight].shape[1 if step.transposed else 0]
            image = inputs.new_zeros(len(inputs), width) if step.weight not in point else inputs @ _oriented(point[step.weight], step)
            found.append(image + point[step.bias] if step.bias is not None and step.bias in point else image)
        return torch.stack(found)

    def logits_along(self, images: Tensor, coordinates: np.ndarray, points: Params) -> Tensor:
        """As :meth:`logits`, the first layer from ``X(W + Σ c_k D_k) = H₀ + Σ c_k H_k``: exact, and free of its products."""
        weights = torch.as_tensor(coordinates, dtype=torch.float64).to(images)
        hidden = images[0].unsqueeze(0).expand(len(weights), *images.shape[1:])
        for k in range(weights.shape[1]):
            hidden = torch.addcmul(hidden, weights[:, k].reshape(-1, 1, 1), images[k + 1])
        return self._rest(points, hidden)

    def _rest(self, points: Params, hidden: Tensor) -> Tensor:
        hidden = _applied(self.steps[0], hidden)
        for step in self.steps[1:]:
            weight = _oriented(points[step.weight], step)
            product = torch.bmm(hidden, weight) if step.bias is None else torch.baddbmm(points[step.bias].unsqueeze(1), hidden, weight)
            hidden = _applied(step, product)
        return hidden

    @property
    def names(self) -> frozenset[str]:
        """The parameters that the chain reads."""
        return frozenset(name for step in self.steps for name in (step.weight, step.bias) if name is not None)


def chain_of(network: Network, x: Any) -> Chain | None:
    """The chain that ``network`` is, or ``None`` where it is anything else (convolutions, normalization, branches).

    Example:
        >>> from genscope.networks.functional import wrap_module
        >>> network = wrap_module(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)))
        >>> len(chain_of(network, torch.zeros(4, 2)).steps)
        2
    """
    if network.module is not None and any(
        list(part.parameters(recurse=False)) for part in network.module.modules() if not isinstance(part, nn.Linear)
    ):
        return None
    try:
        graph = network.graph or trace(network, x)
    except GenscopeError:
        return None
    if graph.batch is not None or not set(graph.params) <= set(network.params):
        return None
    return _read(graph)


def _read(graph: Graph) -> Chain | None:
    before: list[Node] = []
    steps: list[Step] = []
    current = Ref("input", graph.inputs[0])
    for node in graph.nodes:
        others = [ref for ref in leaves((node.args, node.kwargs)) if ref != current]
        if len(graph.inputs) != 1 or node.inputs != (current,):
            return None
        if node.kind == "linear":
            plain = [ref for ref in (node.weight, node.bias) if ref is not None]
            if set(others) != set(plain) or any(ref.where != "param" for ref in plain) or len(node.shape or ()) != 2 or node.weight is None:
                return None
            if len(graph.params[node.weight.name].shape) != 2:
                return None
            steps.append(Step(node.weight.name, node.bias.name if node.bias else None, node.transposed, ()))
        elif others or (node.kind == "dropout" and node.argument("train")):
            return None
        elif node.kind in _ELEMENTWISE and steps:
            last = steps[-1]
            steps[-1] = Step(last.weight, last.bias, last.transposed, (*last.after, _function(node, current)))
        elif not steps and node.kind in ("structural", *_ELEMENTWISE):
            before.append(node)
        elif node.kind != "dropout":
            return None
        current = node.ref
    return Chain(_Preparation(graph.inputs[0], tuple(before)), tuple(steps)) if steps and current == graph.output else None


@dataclass(frozen=True)
class _Preparation:
    """Reshapes before the first layer."""

    name: str
    nodes: tuple[Node, ...]

    def __call__(self, x: Any) -> Tensor:
        values: dict[Ref, Any] = {Ref("input", self.name): flatten_inputs(x)[0]}
        current = values[Ref("input", self.name)]
        for node in self.nodes:
            current = values[node.ref] = node.target(*resolve(node.args, values), **resolve(node.kwargs, values))
        return current


def _function(node: Node, source: Ref) -> Callable[[Tensor], Tensor]:
    name = getattr(getattr(node.target, "_schema", None), "name", "").split("::")[-1]
    return _IN_PLACE[name] if name in _IN_PLACE else lambda x: node.target(*resolve(node.args, {source: x}), **resolve(node.kwargs, {source: x}))


def _applied(step: Step, x: Tensor) -> Tensor:
    for function in step.after:
        x = function(x)
    return x


def _oriented(weight: Tensor, step: Step) -> Tensor:
    return weight if step.transposed else weight.transpose(-1, -2)
