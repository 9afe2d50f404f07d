"""Batch normalization folded into the layer before it, with a proof that the function is the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from genscope.core.status import Undefined
from genscope.errors import UnsupportedInput
from genscope.networks.functional import Network
from genscope.networks.graph import LAYER_KINDS, Graph, Node, Ref, flatten_inputs, leaves, rewire_node
from genscope.networks.operations import diagonal
from genscope.networks.trace import relative_error

TOLERANCE = 1e-5
EXACT_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Folded:
    """A graph without batch normalizations, and the evidence that it computes the same.

    Args:
        graph: convolutions and linear layers with the batch normalization inside them; other ones kept as ``diagonal`` layers.
        folded: pairs (batch normalization, the layer that took it in).
        kept: pairs (batch normalization, why it stayed as a diagonal layer).
        error_random: largest relative difference of logits on random inputs, in the network's own precision.
        error_data: the same on the given data, or ``Undefined`` when none were given.
        error_exact: the same on random inputs in float64, where it shows rounding only.
    """

    graph: Graph
    folded: tuple[tuple[str, str], ...]
    kept: tuple[tuple[str, str], ...]
    error_random: float
    error_data: float | Undefined
    error_exact: float

    @property
    def network(self) -> Network:
        """The folded network as a function of its folded parameters."""
        return self.graph.network()


def fold_batch_norm(graph: Graph, data: Any = None, *, tolerance: float = TOLERANCE, n_random: int = 8, seed: int = 0) -> Folded:
    """Fold every batch normalization of a traced network and prove that the function did not change.

    A convolution or linear layer whose only reader is the batch normalization takes it in::

        W' = W · γ/√(σ² + ε)      b' = (b − μ) · γ/√(σ² + ε) + β

    Any other batch normalization (before an activation's input is formed, after an addition or pooling, after a layer that is
    used twice) stays as a diagonal layer ``γ/√(σ² + ε) · x + (β − μ γ/√(σ² + ε))``: moving it through a ReLU or a zero padding would
    change the function.

    Args:
        graph: from :func:`genscope.networks.trace.trace`; it is not changed.
        data: a batch on which to compare as well.
        tolerance: largest relative difference in float32 (scaled with the rounding unit for 16-bit networks).
        n_random: number of random inputs.
        seed: of the random inputs.

    Returns:
        The folded graph with its measured errors.

    Raises:
        UnsupportedInput: batch statistics are used even in evaluation mode, or the folded network is not the same function.

    Invariances: the function; node rescaling across a convolution and its batch normalization leaves the result unchanged.
    Cost: four forward passes on ``n_random`` examples. Source: Neyshabur et al. 2017, section 5 (folded before norms are taken).

    Example:
        >>> from torch import nn
        >>> from genscope.networks.trace import trace
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
        >>> fold_batch_norm(trace(net, torch.zeros(1, 1, 4, 4))).folded
        (('1', '0'),)
    """
    frozen = freeze_weights(graph)
    rewritten, folded, kept = _rewrite(frozen)
    exact_before = graph.to(torch.float64)
    exact, _, _ = _rewrite(freeze_weights(exact_before))
    inputs = random_inputs(graph, n_random, seed)
    error_random = _difference(rewritten, graph, inputs)
    error_exact = _difference(exact, exact_before, tuple(x.double() if x.is_floating_point() else x for x in inputs))
    error_data: float | Undefined = Undefined("no data were given")
    if data is not None:
        error_data = _difference(rewritten, graph, tuple(x.to(inputs[0].device) for x in flatten_inputs(data)))
    own = max(error_random, error_data if isinstance(error_data, float) else 0.0)
    # A tolerance for float32; coarser types round more.
    precision = torch.finfo(inputs[0].dtype if inputs[0].is_floating_point() else graph.network().dtype).eps
    tolerance *= max(1.0, precision / torch.finfo(torch.float32).eps)
    if not (error_exact <= EXACT_TOLERANCE and own <= tolerance):
        raise UnsupportedInput(
            f"{graph.name}: the folded network differs from the original by {own:.2g} (relative; {error_exact:.2g} in float64), "
            f"beyond {tolerance:g}; not folded."
        )
    return Folded(rewritten, folded, kept, error_random, error_data, error_exact)


def random_inputs(graph: Graph, n: int, seed: int) -> tuple[Tensor, ...]:
    """Random inputs shaped like the example: standard normal, or uniform within the example's range for integers."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for tensor in graph.example:
        size = (graph.batch or n, *tensor.shape[1:])
        if tensor.is_floating_point():
            drawn = torch.randn(size, generator=generator, dtype=torch.float64)
        else:
            low, high = int(tensor.min()), int(tensor.max())
            drawn = torch.randint(low, high + 1, size, generator=generator)
        found.append(drawn.to(device=tensor.device, dtype=tensor.dtype))
    return tuple(found)


def freeze_weights(graph: Graph) -> Graph:
    """The graph with everything that does not depend on the data computed once and stored as parameters.

    Weights that a module computes (weight normalization, spectral normalization, a transposed matrix) become plain weights, so that norms are
    taken of what the network really multiplies by.
    """
    constant = [node for node in graph.nodes if not node.data and node.kind != "size"]
    if not constant:
        return graph
    with torch.no_grad():
        values = graph.values(graph.params, graph.buffers, graph.example)
    readers = graph.users()
    by_name = {node.name: node for node in graph.nodes}
    params = dict(graph.params)
    swaps: dict[Ref, Ref] = {}
    kept: list[Node] = []
    for node in graph.nodes:
        value = values[node.ref]
        if node.data or node.kind == "size" or not isinstance(value, Tensor) or _needs_batch(node, by_name):
            kept.append(rewire_node(node, swaps))
            continue
        name = _weight_name(node, [by_name[user] for user in readers.get(node.ref, ()) if user in by_name], params)
        params[name] = value.detach()
        swaps[node.ref] = Ref("param", name)
    used = {ref.name for node in kept for ref in leaves((node.args, node.kwargs)) if ref.where == "param"}
    return replace(graph, nodes=tuple(kept), params={name: tensor for name, tensor in params.items() if name in used})


def _needs_batch(node: Node, by_name: Mapping[str, Node]) -> bool:
    """Whether a constant's size depends on the batch (``zeros(x.size(0), …)``), directly or through other constants."""
    for ref in leaves((node.args, node.kwargs)):
        source = by_name.get(ref.name) if ref.where == "node" else None
        if source is not None and (source.kind == "size" or (not source.data and _needs_batch(source, by_name))):
            return True
    return False


def _weight_name(node: Node, readers: Sequence[Node], taken: Mapping[str, Tensor]) -> str:
    for reader in readers:
        if reader.kind in (*LAYER_KINDS, "batch_norm") and reader.scope:
            for role, ref in (("weight", reader.weight), ("bias", reader.bias)):
                if ref == node.ref and f"{reader.scope}.{role}" not in taken:
                    return f"{reader.scope}.{role}"
    return f"{node.scope}.{node.name}" if node.scope else node.name


def _difference(changed: Graph, original: Graph, inputs: Sequence[Tensor]) -> float:
    with torch.no_grad():
        return relative_error(changed.run(changed.params, changed.buffers, inputs), original.run(original.params, original.buffers, inputs))


def _rewrite(graph: Graph) -> tuple[Graph, tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    readers = graph.users()
    nodes = {node.name: node for node in graph.nodes}
    params = dict(graph.params)
    folded: list[tuple[str, str]] = []
    kept: list[tuple[str, str]] = []
    swaps: dict[Ref, Ref] = {}
    for node in graph.nodes:
        if node.kind != "batch_norm":
            continue
        scale, shift = _affine(node, graph)
        reason = _why_not(node, nodes, readers)
        if reason:
            kept.append((node.title, reason))
            nodes[node.name] = _as_diagonal(node, scale, shift, params, _statistics_dtype(node, graph))
            continue
        layer = nodes[node.inputs[0].name]
        nodes[layer.name] = _absorb(layer, scale, shift, params)
        swaps[node.ref] = layer.ref
        folded.append((node.title, layer.title))
        del nodes[node.name]
    rewired = tuple(rewire_node(node, swaps) for node in nodes.values())
    used = {ref for node in rewired for ref in leaves((node.args, node.kwargs))}
    params = {name: tensor for name, tensor in params.items() if Ref("param", name) in used}
    buffers = {name: tensor for name, tensor in graph.buffers.items() if Ref("buffer", name) in used}
    return replace(graph, nodes=rewired, output=swaps.get(graph.output, graph.output), params=params, buffers=buffers), tuple(folded), tuple(kept)


def _affine(node: Node, graph: Graph) -> tuple[Tensor, Tensor]:
    """(γ/√(σ² + ε), β − μ γ/√(σ² + ε)) in float64."""
    mean, variance = (graph.tensor(node.argument(name)) for name in ("running_mean", "running_var"))
    if node.argument("training") or mean is None or variance is None:
        raise UnsupportedInput(
            f"{node.title}: the batch normalization uses the statistics of its batch even in evaluation mode; it cannot be folded."
        )
    gamma, beta = graph.tensor(node.weight), graph.tensor(node.bias)
    scale = (variance.double() + float(node.argument("eps"))).rsqrt()
    scale = scale if gamma is None else scale * gamma.double()
    shift = -mean.double() * scale
    return scale, shift if beta is None else shift + beta.double()


def _statistics_dtype(node: Node, graph: Graph) -> torch.dtype:
    mean = graph.tensor(node.argument("running_mean"))
    assert mean is not None
    return mean.dtype


def _why_not(node: Node, nodes: Mapping[str, Node], readers: Mapping[Ref, tuple[str, ...]]) -> str:
    source = nodes.get(node.inputs[0].name) if node.inputs[0].where == "node" else None
    if not isinstance(source, Node) or source.kind not in ("conv", "linear"):
        what = source.kind.replace("_", " ") if isinstance(source, Node) else "network's input"
        return f"it follows the {what}, not a convolution or linear layer; kept as a diagonal layer"
    if len(readers[source.ref]) > 1:
        return f"the output of {source.title} is read elsewhere too; kept as a diagonal layer"
    if source.weight is None or source.weight.where != "param" or len(readers[source.weight]) > 1:
        return f"the weights of {source.title} are shared; kept as a diagonal layer"
    if source.kind == "linear" and len(source.shape or ()) != 2:
        return f"{source.title} has its features last and the batch normalization acts on another dimension; kept as a diagonal layer"
    return ""


def _absorb(layer: Node, scale: Tensor, shift: Tensor, params: dict[str, Tensor]) -> Node:
    """The layer with the batch normalization inside its weight and bias."""
    assert layer.weight is not None
    weight = params[layer.weight.name]
    size = [1] * weight.ndim
    size[-1 if layer.transposed else 0] = -1
    old = params[layer.bias.name].double() if layer.bias else 0.0
    stem = layer.weight.name.rsplit(".", 1)[0] if "." in layer.weight.name else layer.title
    bias = Ref("param", layer.bias.name if layer.bias and layer.bias.where == "param" else f"{stem}.bias")
    params[layer.weight.name] = (weight.double() * scale.view(size)).to(weight.dtype)
    params[bias.name] = (old * scale + shift).to(weight.dtype)
    if layer.transposed:
        return replace(layer, target=torch.ops.aten.addmm.default, args=(bias, layer.inputs[0], layer.weight), kwargs={}, bias=bias)
    kwargs = {k: v for k, v in layer.kwargs.items() if k != "bias"}
    args = (*layer.args[:2], bias, *layer.args[3:])
    return replace(layer, args=args, kwargs=kwargs, bias=bias)


def _as_diagonal(node: Node, scale: Tensor, shift: Tensor, params: dict[str, Tensor], like: torch.dtype) -> Node:
    weight, bias = Ref("param", f"{node.title}.weight"), Ref("param", f"{node.title}.bias")
    if weight.name in params and node.weight not in (weight, None):
        weight, bias = Ref("param", f"{node.name}.weight"), Ref("param", f"{node.name}.bias")
    params[weight.name], params[bias.name] = scale.to(like), shift.to(like)
    return replace(node, kind="diagonal", target=diagonal, args=(node.inputs[0], weight, bias), kwargs={}, weight=weight, bias=bias)
