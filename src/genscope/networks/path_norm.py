"""Path norms: sums over all paths of a ReLU network, in one forward pass, in log space."""

import math
from collections import ChainMap
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from genscope.core.status import Undefined
from genscope.errors import UnsupportedInput
from genscope.networks.fold_batch_norm import fold_batch_norm, freeze_weights
from genscope.networks.graph import Graph, Node, Ref, resolve
from genscope.networks.operations import operation_name
from genscope.networks.pooling import window_divisors, window_sums


def log_path_norm(graph: Graph, q: float = 1.0) -> float | Undefined:
    """Natural logarithm of the ℓ_q path norm of a traced ReLU network.

    Formula: ``(Σ_paths Π_{edges} |weight|^q)^{1/q}`` over all paths that start at an input or at a bias and end at an output.

    A small path norm bounds the Lipschitz constant (q = 1) and the Rademacher complexity; a larger value goes with a larger gap. It is
    computed as one forward pass on ones with ``|θ|^q``: max pooling sums its windows (each edge has weight one), average pooling has
    weights ``1/k``, skips add, batch normalization is folded first, biases start paths. Each value carries its own logarithmic scale, so
    that networks of any depth neither overflow nor vanish.

    Args:
        graph: a traced network, batch-normalized or not.
        q: at least 1 in the literature; any positive number works.

    Returns:
        The logarithm (nats), or ``Undefined`` if a layer has no path norm (attention, softmax, GELU, LayerNorm …) or no path reaches an output.

    Invariances: node rescaling (exact up to float64 rounding), permutation of hidden units.
    Cost: one forward pass in float64.
    Source: Neyshabur et al. 2015 and 2017 (section 2.2); Gonon et al. 2024 (definition 3.2 and theorem 3.1: pooling, skips, biases).

    Example:
        >>> from torch import nn
        >>> from genscope.networks.trace import trace
        >>> net = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
        >>> with torch.no_grad(): net[0].weight[:], net[2].weight[:] = torch.tensor([[1.0], [-2.0]]), torch.tensor([[3.0, 4.0]])
        >>> round(math.exp(log_path_norm(trace(net, torch.zeros(1, 1)))), 6)
        11.0
    """
    if not q > 0:
        raise UnsupportedInput(f"A path norm needs a positive exponent, not q = {q}.")
    try:
        plain = folded_graph(graph)
        with torch.no_grad():
            return _Paths(plain, q).log_norm()
    except NoPathNorm as reason:
        return Undefined(str(reason))


def folded_graph(graph: Graph) -> Graph:
    """The graph in float64 with weights frozen and batch normalizations folded (with their proof)."""
    graph = graph.to(torch.float64)
    if any(node.kind == "batch_norm" for node in graph.nodes):
        return fold_batch_norm(graph).graph
    return freeze_weights(graph)


class NoPathNorm(Exception):
    """A layer for which paths have no meaning."""


@dataclass
class _Paths:
    """Forward pass on ones: the value of ``ref`` is ``values[ref] · exp(logs[ref])``."""

    graph: Graph
    q: float
    values: dict[Ref, Any] = field(default_factory=dict)
    logs: dict[Ref, float] = field(default_factory=dict)

    def log_norm(self) -> float | Undefined:
        size = self.graph.batch or 2
        self.values = self.graph.tensors(self.graph.params, self.graph.buffers)
        for name, example in zip(self.graph.inputs, self.graph.example, strict=True):
            rows = example[torch.arange(size) % len(example)]
            self.values[Ref("input", name)] = torch.ones_like(rows) if rows.is_floating_point() else rows
        for node in self.graph.nodes:
            self._visit(node)
        total = float(self.values[self.graph.output].sum()) / size
        if total <= 0:
            return Undefined("no path with non-zero weights reaches an output: the path norm is zero and has no logarithm")
        return (math.log(total) + self.logs.get(self.graph.output, 0.0)) / self.q

    def _visit(self, node: Node) -> None:
        if not node.data:
            self.values[node.ref] = node.target(*resolve(node.args, self.values), **resolve(node.kwargs, self.values))
            return
        rule = getattr(self, f"_{node.kind}", None)
        if rule is None:
            raise NoPathNorm(f"{node.title}: a path norm is defined for ReLU networks, not through {operation_name(node.target)}")
        value, log = rule(node)
        largest = float(value.max()) if isinstance(value, Tensor) and value.is_floating_point() and value.numel() else 0.0
        if largest > 0:
            value, log = value / largest, log + math.log(largest)
        self.values[node.ref], self.logs[node.ref] = value, log

    def _input(self, node: Node) -> tuple[Tensor, float]:
        ref = node.inputs[0]
        return self.values[ref], self.logs.get(ref, 0.0)

    def _power(self, constant: Any) -> Tensor:
        held = self.values[constant] if isinstance(constant, Ref) else constant
        return torch.as_tensor(held, dtype=torch.float64).abs() ** self.q

    def _call(self, node: Node, changed: dict[Ref, Any]) -> Any:
        values = ChainMap(changed, self.values)
        return node.target(*resolve(node.args, values), **resolve(node.kwargs, values))

    def _layer(self, node: Node) -> tuple[Tensor, float]:
        x, log = self._input(node)
        assert node.weight is not None
        changed: dict[Ref, Any] = {node.weight: self._power(node.weight)}
        if node.bias is not None:
            bias = self._power(node.bias)
            largest = float(bias.max())
            # Input and bias must meet on one scale; the larger of the two decides.
            reference = max(log, math.log(largest)) if largest > 0 else log
            x, log = x * math.exp(log - reference), reference
            changed[node.bias] = bias * math.exp(-reference) if largest > 0 else bias
        changed[node.inputs[0]] = x
        return self._call(node, changed), log

    _linear = _conv = _conv_transpose = _diagonal = _layer

    def _embedding(self, node: Node) -> tuple[Tensor, float]:
        assert node.weight is not None and node.shape is not None
        tokens = self.values[node.inputs[0]]
        return self._power(node.weight).sum(0).expand(*tokens.shape, -1), 0.0

    def _pass(self, node: Node) -> tuple[Tensor, float]:
        return self._input(node)

    _relu = _dropout = _pass

    def _leaky_relu(self, node: Node) -> tuple[Tensor, float]:
        slope = node.argument("negative_slope", node.argument("weight", 0.01))
        if float(self._power(slope).max()) > 1:
            raise NoPathNorm(f"{node.title}: the slope of the leaky ReLU is larger than one, so that path weights are not defined")
        return self._input(node)

    def _max_pool(self, node: Node) -> tuple[Tensor, float]:
        x, log = self._input(node)
        return window_sums(node, x), log

    def _avg_pool(self, node: Node) -> tuple[Tensor, float]:
        x, log = self._input(node)
        return window_sums(node, x) / window_divisors(node, x) ** self.q, log

    def _structural(self, node: Node) -> tuple[Any, float]:
        return self._call(node, {}), self._input(node)[1]

    def _sum(self, node: Node) -> tuple[Any, float]:
        return self._structural(node)

    def _pad(self, node: Node) -> tuple[Tensor, float]:
        if node.argument("value") not in (None, 0, 0.0):
            raise NoPathNorm(f"{node.title}: it pads with a constant other than zero")
        return self._structural(node)

    def _aligned(self, refs: tuple[Ref, ...]) -> tuple[dict[Ref, Any], float]:
        log = max(self.logs.get(ref, 0.0) for ref in refs)
        return {ref: self.values[ref] * math.exp(self.logs.get(ref, 0.0) - log) for ref in refs}, log

    def _add(self, node: Node) -> tuple[Tensor, float]:
        changed, log = self._aligned(node.inputs)
        left, right = (changed[node.argument(side)] for side in ("self", "other"))
        return left + right * abs(node.argument("alpha", 1)) ** self.q, log

    _sub = _add

    def _cat(self, node: Node) -> tuple[Tensor, float]:
        changed, log = self._aligned(node.inputs)
        return self._call(node, changed), log

    def _shift(self, node: Node) -> tuple[Tensor, float]:
        x, log = self._input(node)
        left, right = node.argument("self"), node.argument("other")
        constant = self._power(right if left == node.inputs[0] else left) * abs(node.argument("alpha", 1)) ** self.q
        largest = float(constant.max())
        if largest <= 0:
            return x + constant, log
        reference = max(log, math.log(largest))
        return x * math.exp(log - reference) + constant * math.exp(-reference), reference

    def _scale(self, node: Node) -> tuple[Tensor, float]:
        x, log = self._input(node)
        left, right = node.argument("self"), node.argument("other")
        factor = self._power(right if left == node.inputs[0] else left)
        return (x / factor if operation_name(node.target) == "div" else x * factor), log
