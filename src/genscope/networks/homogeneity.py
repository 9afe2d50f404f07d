"""Which layers make a network positively homogeneous in its weights, which break it, and a numerical check."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from genscope.networks.functional import Network, cast
from genscope.networks.graph import Graph, Node, Ref
from genscope.networks.operations import operation_name
from genscope.networks.trace import relative_error

LINEAR_KINDS = ("linear", "conv", "conv_transpose", "diagonal", "embedding", "scale")
PASSING_KINDS = ("relu", "leaky_relu", "max_pool", "avg_pool", "sum", "cat", "structural", "dropout", "pad", "add", "sub")


@dataclass(frozen=True)
class LayerHomogeneity:
    """One operation's part: whether it keeps homogeneity, and a sentence for a person."""

    layer: str
    kind: str
    keeps: bool
    sentence: str


@dataclass(frozen=True)
class Homogeneity:
    """What multiplying weights does to the output.

    Args:
        uniform: ``f(c·W) = c^degree f(W)`` for every c > 0 when all weights are multiplied alike.
        layerwise: the same holds when each layer is multiplied by its own factor, so that layers can be normalized one by one.
        degree: total degree (of the longest path where homogeneity is broken).
        degrees: degree in each layer's own weights.
        layers: one sentence per layer with weights and per operation that breaks it.
    """

    uniform: bool
    layerwise: bool
    degree: int
    degrees: Mapping[str, int]
    layers: tuple[LayerHomogeneity, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """The sentences of what breaks homogeneity."""
        return tuple(layer.sentence for layer in self.layers if not layer.keeps)


def homogeneity(graph: Graph) -> Homogeneity:
    """Positive homogeneity of a traced network in its weights, read off the graph.

    ``f`` is positively homogeneous of degree K if ``f(c·W; x) = c^K f(W; x)`` for all c > 0. ReLU, pooling, linear layers
    without bias and a bias in the first layer keep it; a later bias, batch normalization, layer normalization, smooth activations,
    softmax attention, and skips that join paths of different length break it.

    Args:
        graph: a traced network; fold batch normalizations first if they should count as weights and biases.

    Returns:
        Degrees and sentences; see :class:`Homogeneity`.

    Cost: none (no tensor is multiplied). Source: Liao et al. 2018, equation 2; Poggio et al. 2020.

    Example:
        >>> from torch import nn
        >>> from genscope.networks.trace import trace
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1, bias=False))
        >>> homogeneity(trace(net, torch.zeros(1, 2))).degree
        2
    """
    reader = _Reader(graph)
    for node in graph.nodes:
        if node.data:
            reader.visit(node)
    degrees = reader.degrees.get(graph.output, Counter())
    broken = any(not layer.keeps for layer in reader.layers)
    return Homogeneity(not broken, not broken and reader.layerwise, degrees.total(), dict(degrees), tuple(reader.layers))


class _Reader:
    """Carries the degree in each layer's weights along the graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.degrees: dict[Ref, Counter[str]] = {}
        self.layers: list[LayerHomogeneity] = []
        self.layerwise = True

    def visit(self, node: Node) -> None:
        incoming = [self.degrees.get(ref, Counter()) for ref in node.inputs]
        if node.kind in LINEAR_KINDS:
            self.degrees[node.ref] = self._linear(node, incoming[0])
        elif node.kind == "shift":
            self.degrees[node.ref] = self._shift(node, incoming[0])
        elif node.kind in PASSING_KINDS:
            self.degrees[node.ref] = self._join(node, incoming)
        elif node.kind in ("mul", "matmul"):
            total: Counter[str] = Counter()
            for degrees in incoming:
                total += degrees
            self.degrees[node.ref] = total
        else:
            self.degrees[node.ref] = self._breaking(node, incoming)

    def _note(self, node: Node, keeps: bool, sentence: str) -> None:
        self.layers.append(LayerHomogeneity(node.title, node.kind, keeps, f"{node.title}: {sentence}"))

    def _trained(self, ref: Ref | None) -> bool:
        return ref is not None and ref.where in ("param", "node")

    def _linear(self, node: Node, incoming: "Counter[str]") -> "Counter[str]":
        own = Counter([node.title]) if self._trained(node.weight) else Counter[str]()
        has_bias = node.bias is not None and not self._is_zero(node.bias)
        if has_bias and incoming.total():
            self._note(node, False, "its bias adds a term of degree 1 to a term of higher degree; only the first layer may have one")
        elif own:
            words = "the bias of the first layer counts as a weight of a constant input" if has_bias else "linear in its weights"
            self._note(node, True, words)
        return incoming + own

    def _is_zero(self, ref: Ref) -> bool:
        held = {"param": self.graph.params, "buffer": self.graph.buffers}.get(ref.where, {})
        return ref.name in held and not bool(torch.any(held[ref.name]))

    def _shift(self, node: Node, incoming: "Counter[str]") -> "Counter[str]":
        added = Counter([node.title]) if self._trained(node.bias) else Counter[str]()
        if incoming.total() != added.total():
            self._note(node, False, "it adds a constant or a bias to a term of another degree")
        elif incoming != added:
            self.layerwise = False
        return incoming if incoming.total() >= added.total() else added

    def _join(self, node: Node, incoming: list["Counter[str]"]) -> "Counter[str]":
        totals = sorted({degrees.total() for degrees in incoming})
        if len(totals) > 1:
            self._note(node, False, f"it joins paths of degree {' and '.join(map(str, totals))} (a skip connection)")
        elif any(degrees != incoming[0] for degrees in incoming):
            self.layerwise = False
        return max(incoming, key=lambda degrees: degrees.total(), default=Counter())

    def _breaking(self, node: Node, incoming: list["Counter[str]"]) -> "Counter[str]":
        before: Counter[str] = max(incoming, key=lambda degrees: degrees.total(), default=Counter())
        if node.kind == "batch_norm":
            self._note(
                node,
                False,
                "batch normalization with fixed statistics subtracts a mean that does not scale with the weights; fold it to see its bias",
            )
            return before + Counter([node.title])
        if not before.total() and node.kind != "normalization":
            return before
        words = {
            "normalization": "it divides by the norm of its input, so that the scale of all layers before it is forgotten",
            "softmax": "softmax does not scale with its input",
            "attention": "softmax attention does not scale with its input",
            "activation": f"{operation_name(node.target)} is not positively homogeneous",
        }
        self._note(node, False, words.get(node.kind, f"{operation_name(node.target)} is not known to be positively homogeneous"))
        return before


def homogeneity_error(network: Network, x: Any, degree: int, *, factor: float = 1.5) -> float:
    """How far ``f(c·W)`` is from ``c^degree f(W)`` on ``x``, relative, in float64.

    Args:
        network: its floating parameters are all multiplied by ``factor``.
        x: a batch.
        degree: as found by :func:`homogeneity`.
        factor: c > 0.

    Returns:
        Largest absolute difference over the largest logit; about 1e-15 where the theory holds.

    Example:
        >>> from genscope.networks.functional import wrap_module
        >>> net = wrap_module(torch.nn.Linear(2, 1, bias=False))
        >>> homogeneity_error(net, torch.ones(1, 2), 1) < 1e-14
        True
    """
    exact, x = network.to(torch.float64), cast(x, torch.float64)
    with torch.no_grad():
        scaled = exact.forward({name: tensor * factor for name, tensor in exact.params.items()}, x)
        return relative_error(scaled, exact(x) * factor**degree)


def euler_errors(network: Network, x: Any, groups: Mapping[str, Sequence[str]] | None = None) -> dict[str, float]:
    """For each layer, how far ``⟨W_k, ∂f/∂W_k⟩`` is from ``f``, relative, in float64.

    A network that is homogeneous of degree one in each layer satisfies the identity exactly (Poggio et al. 2020, structural lemma;
    Liang et al. 2019 build the Fisher–Rao norm on it).

    Args:
        network: the function.
        x: a batch.
        groups: names of the parameters that form a layer, by layer; by default parameters with the same module path.

    Returns:
        Per layer, the largest absolute difference over the largest logit.

    Cost: one forward and one directional derivative per layer.

    Example:
        >>> from genscope.networks.functional import wrap_module
        >>> euler_errors(wrap_module(torch.nn.Linear(2, 1)), torch.ones(1, 2))[""] < 1e-12
        True
    """
    exact, x = network.to(torch.float64), cast(x, torch.float64)
    if groups is None:
        paths = dict.fromkeys(name.rpartition(".")[0] for name in exact.params)
        groups = {path: [name for name in exact.params if name.rpartition(".")[0] == path] for path in paths}
    errors = {}
    for layer, names in groups.items():
        own = {name: exact.params[name] for name in names}
        logits, derivative = torch.func.jvp(lambda part: exact.forward({**exact.params, **part}, x), (own,), (own,))[:2]
        errors[layer] = relative_error(derivative.detach(), logits.detach())
    return errors
