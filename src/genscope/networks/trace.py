"""A module becomes a :class:`~genscope.networks.graph.Graph`, and the graph is shown to compute the same function."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from genscope.errors import UnsupportedInput
from genscope.networks.functional import Network, call_module, cast, evaluation_mode, wrap_module
from genscope.networks.graph import Graph, Node, Ref, flatten_inputs, leaves
from genscope.networks.operations import kind_of, operation_name, roles

TOLERANCE = 1e-5


def trace(model: nn.Module | Network, example: Any, *, tolerance: float = TOLERANCE) -> Graph:
    """The graph of a network, with the real size of every layer's input.

    Args:
        model: a module or a :class:`Network`; it is not changed.
        example: a small input batch (tensor, tuple or mapping), at least one example.
        tolerance: largest relative difference between graph and module on the example.

    Returns:
        A graph whose ``run`` equals the module's evaluation-mode forward on any batch size (``graph.batch`` names the exception).

    Raises:
        UnsupportedInput: PyTorch cannot trace the module, or the graph does not compute the same function (hidden state, in-place aliasing).

    Cost: a few forward passes on a batch of three.

    Example:
        >>> graph = trace(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), torch.zeros(4, 2))
        >>> [node.kind for node in graph.nodes]
        ['linear', 'relu']
    """
    network = wrap_module(model) if isinstance(model, nn.Module) else model
    if network.module is None:
        raise UnsupportedInput(f"{network.name}: it was built from a graph and has no module to trace; use the graph itself.")
    small = _small_batch(example, network)
    program = _export(network, small)
    try:
        graph = _verified(program, network, small, tolerance)
    except UnsupportedInput as refusal:
        graph = _verified(_without_writes(program, refusal), network, small, tolerance)
    return _check_batch(graph, network, small, tolerance)


def _verified(program: torch.export.ExportedProgram, network: Network, x: Any, tolerance: float) -> Graph:
    dtype, device = _home(network)
    graph = _graph_of(program, network, x)
    if (dtype, device) != (network.dtype, network.device):
        graph = graph.to(network.dtype, network.device)
    graph = _with_shapes(graph)
    _require_same(graph, network, x, tolerance)
    return graph


def _without_writes(program: torch.export.ExportedProgram, refusal: UnsupportedInput) -> torch.export.ExportedProgram:
    """Writes into parts of tensors made functional, at the price of less familiar operations."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return program.run_decompositions({})
    except Exception:  # the tracer's failures have no common base
        raise refusal from None


def _home(network: Network) -> tuple[torch.dtype, torch.device]:
    """Precision and device of the module behind a network, which may have been moved since."""
    assert network.module is not None
    own = next((tensor for tensor in network.module.parameters() if tensor.is_floating_point()), None)
    return (network.dtype, network.device) if own is None else (own.dtype, own.device)


class _Plain(nn.Module):
    """The module behind one argument, returning logits only."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Tensor:
        return call_module(self.inner, x)


def _small_batch(example: Any, network: Network, size: int = 3) -> Any:
    """Three examples, repeated if there are fewer: sizes 0 and 1 are special to the tracer."""

    def few(tensor: Any) -> Any:
        if not isinstance(tensor, Tensor):
            return tensor
        if tensor.ndim == 0 or len(tensor) == 0:
            raise UnsupportedInput("The example batch is empty; give at least one example, batch dimension first.")
        rows = torch.arange(size, device=tensor.device) % len(tensor)
        return tensor.detach()[rows].to(network.device)

    if isinstance(example, Tensor):
        return few(example)
    if isinstance(example, Mapping):
        return {key: few(value) for key, value in example.items()}
    return tuple(few(value) for value in example)


def _export(network: Network, x: Any) -> torch.export.ExportedProgram:
    assert network.module is not None
    axis = {0: torch.export.Dim.AUTO}
    many: Any = axis
    if isinstance(x, Mapping):
        many = {key: axis if isinstance(value, Tensor) else None for key, value in x.items()}
    elif isinstance(x, tuple):
        many = tuple(axis if isinstance(value, Tensor) else None for value in x)
    failure: Exception | None = None
    dtype, device = _home(network)
    x = cast(x, dtype if dtype != network.dtype else None, device)
    plain = _Plain(network.module)
    plain.training = False
    for shapes in ((many,), None):
        state, rng = torch.is_grad_enabled(), torch.get_rng_state()
        try:
            with warnings.catch_warnings(), torch.no_grad(), evaluation_mode(network.module):
                warnings.simplefilter("ignore")
                return torch.export.export(plain, (x,), dynamic_shapes=shapes, strict=False)
        except Exception as error:  # the tracer's failures have no common base
            failure = error
        finally:
            torch.set_grad_enabled(state)
            torch.set_rng_state(rng)
    reason = str(failure).strip().splitlines()[0][:200] if str(failure).strip() else type(failure).__name__
    raise UnsupportedInput(f"{network.name}: PyTorch cannot trace it ({reason}); measures that need the layer graph are not available.") from failure


def _graph_of(program: torch.export.ExportedProgram, network: Network, x: Any) -> Graph:
    signature = program.graph_signature
    held = {
        **{k: Ref("param", v) for k, v in signature.inputs_to_parameters.items()},
        **{k: Ref("buffer", v) for k, v in signature.inputs_to_buffers.items()},
    }
    held = {k: Ref(ref.where, ref.name.removeprefix("inner.")) for k, ref in held.items()}
    first = {other: name for name, others in network.aliases.items() for other in others}
    held = {k: Ref("buffer" if ref.name in network.buffers else ref.where, first.get(ref.name, ref.name)) for k, ref in held.items()}
    held |= {k: Ref("buffer", v) for k, v in signature.inputs_to_lifted_tensor_constants.items()}
    buffers = dict(network.buffers)
    for name in signature.inputs_to_lifted_tensor_constants.values():
        buffers[name] = program.constants[name].detach().to(network.device)
    inputs = tuple(node.name for node in program.graph.nodes if node.op == "placeholder" and node.name not in held)
    translator = _Translator(program, {**held, **{name: Ref("input", name) for name in inputs}})
    nodes = translator.nodes()
    return Graph(nodes, inputs, translator.output, network.params, buffers, flatten_inputs(x), translator.modules, None, network.name, network.notes)


@dataclass
class _Translator:
    """From the exported program's nodes to ours; one pass, in order."""

    program: torch.export.ExportedProgram
    refs: dict[str, Ref]

    def __post_init__(self) -> None:
        self.modules: dict[str, Any] = {}
        self.data: set[Ref] = {ref for ref in self.refs.values() if ref.where == "input"}
        self.output = Ref("node", "")

    def nodes(self) -> tuple[Node, ...]:
        """All operations; in-place ones made functional, later readers of what they overwrote rewired."""
        found: list[Node] = []
        for traced in self.program.graph.nodes:
            if traced.op == "get_attr":
                self.modules[traced.name] = getattr(self.program.graph_module, traced.target)
                self.refs[traced.name] = Ref("module", traced.name)
            elif traced.op == "output":
                self.output = self._argument(traced.args[0])[0]
            elif traced.op == "call_function" and operation_name(traced.target) not in (
                "_assert_scalar",
                "sym_constrain_range_for_size",
                "_guards_fn",
            ):
                found.append(self._node(traced))
        used = {ref for node in found for ref in _all_refs(node)} | {self.output}
        return tuple(node for node in found if node.ref in used or node.data)

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, torch.fx.Node):
            return self.refs[argument.name]
        if isinstance(argument, tuple | list):
            return type(argument)(self._argument(item) for item in argument)
        if isinstance(argument, dict):
            return {key: self._argument(item) for key, item in argument.items()}
        return argument

    def _node(self, traced: torch.fx.Node) -> Node:
        args, kwargs = self._argument(tuple(traced.args)), self._argument(dict(traced.kwargs))
        target, written = _functional(traced.target)
        node = Node(traced.name, kind_of(target), target, args, kwargs, _scope(traced))
        is_size = not isinstance(traced.meta.get("val"), Tensor | tuple | list)
        inputs = tuple(dict.fromkeys(ref for ref in _all_refs(node) if ref in self.data)) if not is_size else ()
        facts = roles(operation_name(target), node.argument, lambda value: isinstance(value, Ref) and value in self.data)
        node = replace(node, inputs=inputs, data=bool(inputs), **facts)
        if is_size:
            node = replace(node, kind="size")
        if inputs:
            self.data.add(node.ref)
        self.refs[traced.name] = node.ref
        if written:
            overwritten = args[0]
            for name, ref in list(self.refs.items()):
                if ref == overwritten:
                    self.refs[name] = node.ref
        return node


def _all_refs(node: Node) -> tuple[Ref, ...]:
    return tuple(leaves((node.args, node.kwargs)))


def _functional(target: Any) -> tuple[Any, bool]:
    """The operation without its in-place form, and whether it overwrote its first argument."""
    name = operation_name(target)
    if not (hasattr(target, "_schema") and name.endswith("_") and not name.endswith("__")):
        return target, False
    packet = getattr(torch.ops.aten, name[:-1], None)
    overload = getattr(packet, target._overloadname, None) if packet is not None else None
    return (target, False) if overload is None else (overload, True)


def _scope(traced: torch.fx.Node) -> str:
    stack = traced.meta.get("nn_module_stack") or {}
    paths = [str(path) for path, _ in stack.values() if path != "_empty_nn_module_stack_from_metadata_hook"]
    return paths[-1].removeprefix("inner").removeprefix(".") if paths else ""


def _with_shapes(graph: Graph) -> Graph:
    """Sizes as they really are, from one forward pass."""
    with torch.no_grad():
        values = graph.values(graph.params, graph.buffers, graph.example)
    shaped = [replace(node, shape=tuple(values[node.ref].shape) if isinstance(values[node.ref], Tensor) else None) for node in graph.nodes]
    return replace(graph, nodes=tuple(shaped))


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Largest absolute difference over the largest absolute expected value."""
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    difference = float((found - expected).abs().max()) if expected.numel() else 0.0
    return difference / scale if scale > 0 else difference


def _require_same(graph: Graph, network: Network, x: Any, tolerance: float) -> None:
    with torch.no_grad():
        expected = network(x)
        found = graph.run(graph.params, graph.buffers, x)
    error = float("inf")
    if found.shape == expected.shape and torch.equal(found.isfinite(), expected.isfinite()):
        # Weights that are NaN or overflow do not speak against the graph where both sides agree on it.
        error = relative_error(found[found.isfinite()], expected[expected.isfinite()])
    if not error <= tolerance:
        raise UnsupportedInput(
            f"{network.name}: the traced graph differs from the model by {error:.2g} (relative); "
            "it probably overwrites tensors in place or keeps hidden state."
        )


def _check_batch(graph: Graph, network: Network, x: Any, tolerance: float) -> Graph:
    """Whether a batch of another size runs too; if not, the graph says so."""

    def two(value: Any) -> Any:
        return value[:2] if isinstance(value, Tensor) else value

    fewer = two(x) if isinstance(x, Tensor) else {k: two(v) for k, v in x.items()} if isinstance(x, Mapping) else tuple(two(v) for v in x)
    try:
        _require_same(graph, network, fewer, tolerance)
    except Exception:  # shapes were baked in: any operation may object
        size = len(flatten_inputs(x)[0])
        return replace(graph, batch=size, notes=(*graph.notes, f"the traced graph runs only on batches of {size}"))
    return graph
