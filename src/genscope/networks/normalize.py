"""The normalized network: the same function divided by the norms of its layers, or by one output norm."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from genscope.core.status import Undefined
from genscope.core.text import display_name
from genscope.errors import UnsupportedInput
from genscope.networks.functional import Network, cast
from genscope.networks.graph import Graph, Node, Ref
from genscope.networks.homogeneity import PASSING_KINDS
from genscope.networks.operations import operation_name
from genscope.networks.path_norm import folded_graph
from genscope.networks.trace import relative_error

# Beyond this, exp overflows or vanishes in float64.
LARGEST_LOG = 700.0


@dataclass(frozen=True)
class Normalized:
    """``f = exp(log_product) · f̃``.

    Args:
        network: f̃, in float64.
        log_norms: natural logarithm of each layer's norm (empty for the output-norm form).
        log_product: natural logarithm of the factor between f and f̃.
        method: ``layers`` or ``output``.
        p: exponent of the norm.
        error: largest relative difference between f and ``exp(log_product) · f̃`` on the example, in float64; ``Undefined`` where f overflows.
        label: one sentence on what was done.
    """

    network: Network
    log_norms: Mapping[str, float]
    log_product: float
    method: str
    p: float
    error: float | Undefined
    label: str


def log_entry_norm(tensors: tuple[Tensor, ...], p: float) -> float:
    """Natural logarithm of the entrywise ℓ_p norm of all given tensors together, in float64 (``-inf`` for zeros)."""
    flat = torch.cat([tensor.detach().double().abs().flatten() for tensor in tensors])
    largest = float(flat.max())
    if largest == 0.0:
        return -math.inf
    if math.isinf(p):
        return math.log(largest)
    return math.log(largest) + math.log(float(((flat / largest) ** p).sum())) / p


def normalize_layers(graph: Graph, p: float = 2.0) -> Normalized:
    """Divide every layer by its norm, later biases by the product of the norms up to them.

    Formula: ``f(W; x) = ρ_1 ⋯ ρ_K f̃(x)`` with ``W̃_k = W_k/ρ_k``, ``b̃_k = b_k / Π_{j≤k} ρ_j`` and ``ρ_k = ‖W_k‖_p`` over entries; in the
    first layer the bias counts as one more input: ``ρ_1 = (‖W_1‖_p^p + ‖b_1‖_p^p)^{1/p}``.

    Batch normalizations are folded first; those that cannot be folded are diagonal layers with norms of their own. Norms are kept as
    logarithms. Where paths with different products meet (skip connections) or a layer does not scale with its input (softmax, GELU,
    LayerNorm), no such f̃ exists and the function refuses; :func:`normalize_by_output` always works.

    Args:
        graph: a traced network.
        p: 1, 2, …, ``math.inf``.

    Returns:
        f̃ in float64, equal to f up to its factor to float64 rounding (``error`` is measured on the traced example).

    Raises:
        UnsupportedInput: no exact layer normalization exists, a layer is exactly zero, or a bias is shared between layers.

    Invariances: f̃ does not change when any layer of f is multiplied by a positive number (for p-norms without a first bias).
    Cost: one pass over the weights and two forward passes on three examples. Source: Liao et al. 2018, equations 2 and 3.

    Example:
        >>> from torch import nn
        >>> from genscope.networks.trace import trace
        >>> net = nn.Linear(2, 1, bias=False)
        >>> with torch.no_grad(): _ = net.weight.copy_(torch.tensor([[3.0, 4.0]]))
        >>> round(math.exp(normalize_layers(trace(net, torch.ones(1, 2))).log_product), 6)
        5.0
    """
    if not p >= 1:
        raise UnsupportedInput(f"A layer norm needs p of at least 1, not {p}.")
    plain = folded_graph(graph)
    walker = _Walker(plain, p)
    for node in plain.nodes:
        if node.data:
            walker.visit(node)
    normalized = replace(plain, params=walker.params, buffers=walker.buffers)
    log_product = walker.logs.get(plain.output, 0.0)
    with torch.no_grad():
        found = normalized.run(normalized.params, normalized.buffers, plain.example)
        expected = plain.run(plain.params, plain.buffers, plain.example)
    error: float | Undefined = Undefined("the logits overflow float64, so that the two sides cannot be compared")
    if bool(expected.isfinite().all()) and abs(log_product) < LARGEST_LOG:
        # Compared on the scale of f̃, which is the smaller one.
        error = relative_error(found, expected * math.exp(-log_product))
    label = f"every layer divided by its entrywise l{p:g} norm, later biases by the running product"
    return Normalized(normalized.network(), walker.log_norms, log_product, "layers", p, error, label)


def normalize_by_output(network: Network, example: Any, p: float = 2.0) -> Normalized:
    """Divide the logits by their norm on one chosen example, as Liao et al. do for residual networks.

    Formula: ``f̃(x) = f(x) / ‖f(x_0)‖_p``.

    Args:
        network: any network.
        example: x₀; of a batch, the first example is taken.
        p: exponent of the norm over classes.

    Returns:
        f̃ in float64; ``log_product`` is ``log ‖f(x_0)‖_p``.

    Raises:
        UnsupportedInput: the logits at x₀ are all zero or not finite.

    Invariances: scaling of the last layer, and of any layer of a homogeneous network.
    Cost: one forward pass. Source: Liao et al. 2018, section on residual networks.
    """
    exact = network.to(torch.float64)
    first = cast(example, torch.float64)
    with torch.no_grad():
        log_norm = log_entry_norm((exact(first)[:1],), p)
    if not math.isfinite(log_norm):
        raise UnsupportedInput(f"{network.name}: the logits of the chosen example are all zero or not finite; choose another example.")
    factor = math.exp(-log_norm)
    call = exact.call
    scaled = replace(exact, call=lambda params, buffers, x: call(params, buffers, x) * factor, module=None)
    label = f"logits divided by their l{p:g} norm on one chosen example; no layerwise normalization was made"
    return Normalized(scaled, {}, log_norm, "output", p, 0.0, label)


class _Walker:
    """Carries the logarithm of the product of norms along the graph and divides weights on the way."""

    def __init__(self, graph: Graph, p: float) -> None:
        self.graph, self.p = graph, p
        self.params, self.buffers = dict(graph.params), dict(graph.buffers)
        self.logs: dict[Ref, float] = {}
        self.log_norms: dict[str, float] = {}
        self.done: dict[Ref, float] = {}
        self.weighted: set[Ref] = set()

    def visit(self, node: Node) -> None:
        incoming = [self.logs.get(ref, 0.0) for ref in node.inputs]
        if node.kind in ("linear", "conv", "conv_transpose", "diagonal", "embedding"):
            self.logs[node.ref] = self._layer(node, incoming[0])
        elif node.kind == "scale":
            self.logs[node.ref] = incoming[0]
        elif node.kind == "shift":
            self.logs[node.ref] = self._shift(node, incoming[0])
        elif node.kind in PASSING_KINDS:
            if max(incoming) - min(incoming) > 1e-12 * max(1.0, max(map(abs, incoming))):
                raise UnsupportedInput(
                    f"{node.title}: paths with different products of norms meet here (a skip connection); normalize by the output norm instead."
                )
            self.logs[node.ref] = incoming[0]
        elif node.kind in ("mul", "matmul"):
            self.logs[node.ref] = sum(incoming)
        elif any(incoming):
            raise UnsupportedInput(
                f"{node.title}: {operation_name(node.target)} does not scale with its input; normalize by the output norm instead."
            )
        if any(ref in self.weighted for ref in node.inputs) or node.weight is not None:
            self.weighted.add(node.ref)

    def _layer(self, node: Node, log: float) -> float:
        assert node.weight is not None
        first = node.inputs[0] not in self.weighted
        weight = self._held(node.weight)
        if node.weight in self.done:
            log_norm = self.done[node.weight]
        else:
            together = (weight, self._held(node.bias)) if first and node.bias is not None else (weight,)
            log_norm = log_entry_norm(together, self.p)
            if not math.isfinite(log_norm):
                raise UnsupportedInput(
                    f"{display_name(node.title)}: all weights of the layer are zero (or not finite), so that it cannot be normalized."
                )
            self.done[node.weight] = log_norm
            self._store(node.weight, weight * math.exp(-log_norm))
            self.log_norms[node.title] = log_norm
        if node.bias is not None:
            self._divide(node.bias, log + log_norm)
        return log + log_norm

    def _shift(self, node: Node, log: float) -> float:
        if node.bias is not None:
            self._divide(node.bias, log)
        elif log:
            raise UnsupportedInput(f"{node.title}: it adds a fixed number after layers with weights; normalize by the output norm instead.")
        return log

    def _divide(self, ref: Ref, log: float) -> None:
        """The bias at ``ref`` divided by ``exp(log)``; a bias in two places would need two values."""
        if ref in self.done and abs(self.done[ref] - log) > 1e-12 * max(1.0, abs(log)):
            raise UnsupportedInput(
                f"{display_name(ref.name)}: the bias is shared between layers with different products of norms; it cannot be normalized."
            )
        if ref not in self.done:
            self.done[ref] = log
            self._store(ref, self._held(ref) * math.exp(-log))

    def _held(self, ref: Ref) -> Tensor:
        tensor = self.graph.tensor(ref)
        assert tensor is not None
        return tensor

    def _store(self, ref: Ref, tensor: Tensor) -> None:
        (self.params if ref.where == "param" else self.buffers)[ref.name] = tensor
