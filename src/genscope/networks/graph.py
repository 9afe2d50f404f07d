"""A traced network as a small directed acyclic graph that can be run, read and rewritten."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from genscope.errors import UnsupportedInput
from genscope.networks.functional import Network, cast

LAYER_KINDS = ("linear", "conv", "conv_transpose", "diagonal", "embedding")


@dataclass(frozen=True)
class Ref:
    """Where an argument comes from: ``node``, ``input``, ``param``, ``buffer`` or ``module`` (a nested graph), and its name."""

    where: str
    name: str


@dataclass(frozen=True)
class Node:
    """One operation.

    Args:
        name: unique in the graph.
        kind: what it is (``linear conv diagonal batch_norm normalization relu activation max_pool avg_pool add cat structural softmax …``).
        target: the function that computes it.
        args, kwargs: its arguments, with :class:`Ref` leaves.
        scope: path of the module that it belongs to (``layer1.0.conv1``).
        inputs: the arguments that depend on the data.
        weight, bias: the layer's tensors, for kinds that have them.
        transposed: the weight is stored [in, out].
        shape: shape of the output for the example batch; ``None`` for sizes and tuples.
        data: whether it depends on the network's input.
    """

    name: str
    kind: str
    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    scope: str = ""
    inputs: tuple[Ref, ...] = ()
    weight: Ref | None = None
    bias: Ref | None = None
    transposed: bool = False
    shape: tuple[int, ...] | None = None
    data: bool = True

    @property
    def ref(self) -> Ref:
        """The reference by which other nodes use this one."""
        return Ref("node", self.name)

    @property
    def title(self) -> str:
        """The module path if there is one, else the node's own name."""
        return self.scope or self.name

    def argument(self, name: str, default: Any = None) -> Any:
        """An argument by the name that the operation's schema gives it."""
        if name in self.kwargs:
            return self.kwargs[name]
        schema = getattr(self.target, "_schema", None)
        for index, described in enumerate(schema.arguments if schema is not None else ()):
            if described.name == name:
                value = self.args[index] if index < len(self.args) else described.default_value
                return default if value is None else value
        return default


@dataclass(frozen=True)
class Layer:
    """A layer with weights, at the input size it really sees (shapes without the batch)."""

    name: str
    node: str
    kind: str
    weight: str
    bias: str | None
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """Nodes in order of execution, with the tensors they need.

    ``inputs`` are names of the data tensors in the order of :func:`flatten_inputs`; ``example`` is the batch it was traced on;
    ``batch`` is ``None`` if any batch size runs, else the only one that does.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    output: Ref
    params: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    example: tuple[Tensor, ...]
    modules: Mapping[str, Any] = field(default_factory=dict)
    batch: int | None = None
    name: str = "network"
    notes: tuple[str, ...] = ()

    def run(self, params: Mapping[str, Tensor], buffers: Mapping[str, Tensor], x: Any) -> Tensor:
        """Logits of ``x`` at ``params``."""
        return self.values(params, buffers, flatten_inputs(x))[self.output]

    def values(self, params: Mapping[str, Tensor], buffers: Mapping[str, Tensor], inputs: Sequence[Tensor]) -> dict[Ref, Any]:
        """Every intermediate value by reference."""
        if len(inputs) != len(self.inputs):
            raise UnsupportedInput(f"{self.name}: {len(inputs)} inputs were given where {len(self.inputs)} were traced.")
        values = self.tensors(params, buffers)
        values.update({Ref("input", name): tensor for name, tensor in zip(self.inputs, inputs, strict=True)})
        for node in self.nodes:
            values[node.ref] = node.target(*resolve(node.args, values), **resolve(node.kwargs, values))
        return values

    def tensors(self, params: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> dict[Ref, Any]:
        """Parameters, buffers and nested graphs by reference."""
        values: dict[Ref, Any] = {Ref("module", name): module for name, module in self.modules.items()}
        values.update({Ref("param", name): tensor for name, tensor in params.items()})
        values.update({Ref("buffer", name): tensor for name, tensor in buffers.items()})
        return values

    def tensor(self, ref: Ref | None) -> Tensor | None:
        """The parameter or buffer behind a reference, ``None`` for ``None``."""
        if ref is None:
            return None
        held = {"param": self.params, "buffer": self.buffers}.get(ref.where, {})
        if ref.name not in held:
            raise UnsupportedInput(f"{self.name}: {ref.name} is computed, not stored; freeze the graph's weights first.")
        return held[ref.name]

    def node(self, name: str) -> Node:
        """A node by name."""
        return next(node for node in self.nodes if node.name == name)

    def users(self) -> dict[Ref, tuple[str, ...]]:
        """For each reference, the names of the nodes that use it (once per use); the graph's output counts as ``output``."""
        found: dict[Ref, tuple[str, ...]] = {}
        for node in self.nodes:
            for ref in leaves((node.args, node.kwargs)):
                found[ref] = (*found.get(ref, ()), node.name)
        found[self.output] = (*found.get(self.output, ()), "output")
        return found

    def shapes(self) -> dict[Ref, tuple[int, ...] | None]:
        """Shapes of data tensors for the example batch."""
        shapes: dict[Ref, tuple[int, ...] | None] = {node.ref: node.shape for node in self.nodes}
        shapes.update({Ref("input", name): tuple(tensor.shape) for name, tensor in zip(self.inputs, self.example, strict=True)})
        return shapes

    def layers(self) -> tuple[Layer, ...]:
        """The layers with weights in order of execution, one entry per use."""
        shapes = self.shapes()
        found = []
        for node in self.nodes:
            if node.kind in LAYER_KINDS and node.weight is not None and node.data:
                size = (shapes[node.inputs[0]] or (0,))[1:]
                bias = node.bias.name if node.bias else None
                found.append(Layer(node.title, node.name, node.kind, node.weight.name, bias, tuple(size), tuple((node.shape or (0,))[1:])))
        return tuple(found)

    def network(self) -> Network:
        """The graph as a :class:`Network` of its own parameters."""
        return Network(self.params, self.buffers, self.run, self.name, {}, self.notes)

    def to(self, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> "Graph":
        """A copy with floating tensors in ``dtype`` on ``device``, and with it the types and devices that operations name themselves."""
        return replace(
            self,
            nodes=tuple(replace(node, args=relocate(node.args, dtype, device), kwargs=relocate(node.kwargs, dtype, device)) for node in self.nodes),
            params=cast(self.params, dtype, device),
            buffers=cast(self.buffers, dtype, device),
            example=cast(self.example, dtype, device),
        )


def flatten_inputs(x: Any) -> tuple[Tensor, ...]:
    """The tensors of an input in a fixed order: a tensor, a tuple, or a mapping by key order."""
    if isinstance(x, Tensor):
        return (x,)
    values = x.values() if isinstance(x, Mapping) else x
    return tuple(tensor for value in values for tensor in ([value] if isinstance(value, Tensor) else flatten_inputs(value)))


def resolve(argument: Any, values: Mapping[Ref, Any]) -> Any:
    """``argument`` with every :class:`Ref` replaced by its value."""
    if isinstance(argument, Ref):
        return values[argument]
    if isinstance(argument, tuple | list):
        return type(argument)(resolve(item, values) for item in argument)
    if isinstance(argument, Mapping):
        return {key: resolve(item, values) for key, item in argument.items()}
    return argument


def relocate(argument: Any, dtype: torch.dtype | None, device: torch.device | str | None) -> Any:
    """``argument`` with floating types replaced by ``dtype`` and devices by ``device``, where these are given."""
    if isinstance(argument, torch.dtype):
        return dtype if dtype is not None and argument.is_floating_point else argument
    if isinstance(argument, torch.device):
        return argument if device is None else torch.device(device)
    if isinstance(argument, tuple | list):
        return type(argument)(relocate(item, dtype, device) for item in argument)
    if isinstance(argument, Mapping):
        return {key: relocate(item, dtype, device) for key, item in argument.items()}
    return argument


def rewire(argument: Any, swaps: Mapping[Ref, Ref]) -> Any:
    """``argument`` with references renamed."""
    if isinstance(argument, Ref):
        return swaps.get(argument, argument)
    if isinstance(argument, tuple | list):
        return type(argument)(rewire(item, swaps) for item in argument)
    if isinstance(argument, Mapping):
        return {key: rewire(item, swaps) for key, item in argument.items()}
    return argument


def rewire_node(node: Node, swaps: Mapping[Ref, Ref]) -> Node:
    """``node`` reading from other places."""
    if not swaps:
        return node
    return replace(
        node,
        args=rewire(node.args, swaps),
        kwargs=rewire(node.kwargs, swaps),
        inputs=rewire(node.inputs, swaps),
        weight=rewire(node.weight, swaps),
        bias=rewire(node.bias, swaps),
    )


def leaves(argument: Any) -> Iterator[Ref]:
    """Every reference inside an argument."""
    if isinstance(argument, Ref):
        yield argument
    elif isinstance(argument, tuple | list):
        for item in argument:
            yield from leaves(item)
    elif isinstance(argument, Mapping):
        for item in argument.values():
            yield from leaves(item)
