"""Layers as the linear maps they are, at the input size they really see, and the largest singular value of each."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genscope.networks.graph import Graph, Node, Ref
from genscope.networks.path_norm import folded_graph

LinearMap = Callable[[Tensor], Tensor]
EXACT_SIDE = 4096
FLOAT32_TOLERANCE = 1e-4


@dataclass(frozen=True)
class TopSingularValue:
    """Largest singular value; ``residual`` is ‖Aᵀu − σv‖/σ, a bound on its relative distance to a true singular value."""

    value: float
    residual: float
    steps: int
    converged: bool


@dataclass(frozen=True)
class LayerOperator:
    """Norms of one layer.

    Args:
        layer: module path.
        weight: name of the weight tensor (of the folded network).
        kind: ``linear conv conv_transpose diagonal embedding``.
        operator_norm: largest singular value of the layer as a map from its real input (padding, stride and groups included).
        residual: relative residual ‖Aᵀu − σv‖/σ; 0 for exact methods.
        converged: whether it reached the tolerance.
        method: ``svd`` (of the matrix), ``lanczos`` (of the true convolution and its adjoint), ``entries`` (diagonal layers, embeddings).
        reshaped_norm: largest singular value of the kernel reshaped to [out, in·k·k] (largest over groups); equal to ``operator_norm`` for matrices.
        upper_bound: ``√(k·k) · reshaped_norm``, a bound on the operator norm at any size, stride and zero padding.
        input_shape: the size the layer sees, without the batch.
    """

    layer: str
    weight: str
    kind: str
    operator_norm: float
    residual: float
    converged: bool
    method: str
    reshaped_norm: float
    upper_bound: float
    input_shape: tuple[int, ...]


def top_singular_value(
    apply: LinearMap, start: Tensor, *, tolerance: float = 1e-4, max_steps: int = 400, memory_bytes: float = 5e8
) -> TopSingularValue:
    """Largest singular value of a linear map by Golub–Kahan–Lanczos bidiagonalization with full reorthogonalization.

    The adjoint is the map's own vector–Jacobian product, so that whatever the map does at its borders is right.

    Args:
        apply: a linear function of one tensor.
        start: random starting vector; its shape is the input's shape, its type the precision.
        tolerance: wanted relative residual r; the value, never too large, is within r of a singular value.
            From 1e-4 upwards the steps run in float32; value and residual are always those of the final vectors in float64.
        max_steps: applications of the map and of its adjoint.
        memory_bytes: for the basis; a smaller one restarts from the best vector.

    Returns:
        The value, its relative residual, and whether that reached the tolerance.

    Cost: ``steps`` applications of the map and its adjoint. Source: Golub & Kahan 1965.

    Example:
        >>> top_singular_value(lambda x: 3 * x, torch.ones(4, dtype=torch.float64)).value
        3.0
    """
    exact = _map_and_adjoint(apply, start.double())
    quick = exact if tolerance < FLOAT32_TOLERANCE else _map_and_adjoint(apply, start.float())
    n_outputs = exact[0](start.double().flatten()).numel()
    room = int(memory_bytes / (8 * (start.numel() + n_outputs)))
    block = max(8, min(max_steps, room, start.numel(), n_outputs))
    vector, steps, value, residual = start.flatten(), 0, 0.0, 1.0
    while steps < max_steps and residual > tolerance:
        vector, used = _lanczos(*quick, vector.to(start if quick is exact else start.float()), n_outputs, min(block, max_steps - steps), tolerance)
        steps += used
        value, residual = _polish(*exact, vector.double())
    return TopSingularValue(value, residual, steps, residual <= tolerance)


def _map_and_adjoint(apply: LinearMap, like: Tensor) -> tuple[LinearMap, LinearMap]:
    """The map and its adjoint on flat vectors, in the precision of ``like``."""
    output, pull = torch.func.vjp(apply, torch.zeros_like(like))[:2]
    return lambda x: apply(x.view_as(like)).flatten(), lambda y: pull(y.view_as(output))[0].flatten()


def _polish(forward: LinearMap, backward: LinearMap, vector: Tensor) -> tuple[float, float]:
    """The singular value and relative residual that belong to a right vector."""
    right = vector / vector.norm()
    left = forward(right)
    value = float(left.norm())
    if value == 0.0:
        return 0.0, 0.0
    return value, float((backward(left / value) - value * right).norm()) / value


def _lanczos(forward: LinearMap, backward: LinearMap, start: Tensor, n_outputs: int, n_steps: int, tolerance: float) -> tuple[Tensor, int]:
    """At most ``n_steps`` steps from one vector; returns the right vector of the best value and the number of steps."""
    tiny = 10 * torch.finfo(start.dtype).eps
    rights, lefts = start.new_zeros(n_steps + 1, start.numel()), start.new_zeros(n_steps, n_outputs)
    rights[0] = start / start.norm()
    small = torch.zeros(n_steps, n_steps, dtype=torch.float64)
    vector, enough = rights[0], n_steps
    for step in range(n_steps):
        left = _orthogonal(forward(rights[step]), lefts[:step])
        alpha = float(left.norm())
        if alpha <= tiny * float(small.max()):
            return vector, step + 1
        lefts[step], small[step, step] = left / alpha, alpha
        onward = _orthogonal(backward(lefts[step]), rights[: step + 1])
        beta = float(onward.norm())
        last = step == n_steps - 1 or beta <= tiny * float(small.max())
        if step % 4 == 3 or last:
            u, s, vh = torch.linalg.svd(small[: step + 1, : step + 1])
            if abs(beta * float(u[-1, 0])) <= 0.7 * tolerance * float(s[0]):
                # Half as many steps again: the first value to settle may be a close neighbour of the largest.
                enough = min(enough, 3 * (step + 1) // 2)
            if last or step + 1 >= enough:
                return vh[0].to(start) @ rights[: step + 1], step + 1
        small[step, step + 1] = beta
        rights[step + 1] = onward / beta
    return vector, n_steps


def _orthogonal(vector: Tensor, basis: Tensor) -> Tensor:
    """``vector`` without its parts along the rows of ``basis``; twice is enough."""
    for _ in range(2):
        vector = vector - (basis @ vector) @ basis
    return vector


def layer_operators(graph: Graph, *, tolerance: float = 1e-4, max_steps: int = 400, seed: int = 0) -> tuple[LayerOperator, ...]:
    """Operator norms of all layers of a traced network, batch normalizations folded.

    For a convolution this is the largest singular value of the map from its real input to its output, with its zero padding, stride,
    dilation and groups, and with a circular or reflecting padding that precedes it. The norm of the reshaped kernel, which the
    literature often uses, is neither an upper nor a lower bound of it and stands beside it.

    Args:
        graph: a traced network.
        tolerance: wanted relative residual for convolutions.
        max_steps: most steps per convolution.
        seed: of the starting vectors.

    Returns:
        One entry per use of a layer, in order of execution.

    Invariances: permutation of channels; scales with the layer's weights. Cost: some tens of convolutions per layer in float64.
    Source: Sedghi et al. 2019 (circular case); Neyshabur et al. 2017, section 2.2 (spectral norm).

    Example:
        >>> from genscope.networks.trace import trace
        >>> net = torch.nn.Linear(1, 1, bias=False)
        >>> with torch.no_grad(): _ = net.weight.fill_(-2.0)
        >>> layer_operators(trace(net, torch.ones(1, 1)))[0].operator_norm
        2.0
    """
    plain = folded_graph(graph)
    nodes = {node.name: node for node in plain.nodes}
    found = []
    with torch.no_grad():
        for layer in plain.layers():
            node = nodes[layer.node]
            weight = plain.tensor(node.weight)
            assert weight is not None
            if layer.kind in ("conv", "conv_transpose"):
                norms = _convolution(plain, node, nodes, weight, tolerance, max_steps, seed)
            else:
                value = weight_norm(weight, layer.kind)
                norms = (TopSingularValue(value, 0.0, 0, True), value, value, layer.input_shape)
            top, reshaped, bound, size = norms
            method = "lanczos" if top.steps else "svd" if layer.kind == "linear" else "entries"
            found.append(LayerOperator(layer.name, layer.weight, layer.kind, top.value, top.residual, top.converged, method, reshaped, bound, size))
    return tuple(found)


def weight_norm(weight: Tensor, kind: str) -> float:
    """Largest singular value of a matrix, largest entry of a diagonal layer, largest row of an embedding."""
    if kind == "diagonal":
        return float(weight.abs().max())
    if kind == "embedding":
        return float(weight.norm(dim=1).max())
    if min(weight.shape) > EXACT_SIDE:
        start = torch.randn(weight.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(weight)
        return top_singular_value(lambda x: weight.to(x.dtype) @ x, start).value
    gram = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
    return math.sqrt(max(0.0, float(torch.linalg.eigvalsh(gram)[-1])))


def _convolution(
    graph: Graph, node: Node, nodes: dict[str, Node], weight: Tensor, tolerance: float, max_steps: int, seed: int
) -> tuple[TopSingularValue, float, float, tuple[int, ...]]:
    apply, size = linear_map(graph, node, nodes)
    groups = int(node.argument("groups", 1))
    blocks = weight.view(groups, weight.shape[0] // groups, *weight.shape[1:])
    if node.kind == "conv_transpose":
        blocks = blocks.transpose(1, 2)
    reshaped = max(weight_norm(block.flatten(1), "linear") for block in blocks)
    bound = math.sqrt(math.prod(weight.shape[2:])) * reshaped
    if reshaped == 0.0:
        return TopSingularValue(0.0, 0.0, 1, True), 0.0, 0.0, size
    start = torch.randn((1, *size), generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(weight)
    return top_singular_value(apply, start, tolerance=tolerance, max_steps=max_steps), reshaped, bound, size


def linear_map(graph: Graph, node: Node, nodes: dict[str, Node]) -> tuple[LinearMap, tuple[int, ...]]:
    """The layer without its bias, together with the padding that feeds it, and the size of its input (without the batch)."""
    before: list[Node] = []
    source = node.inputs[0]
    while source.where == "node" and nodes[source.name].kind == "pad":
        before.insert(0, nodes[source.name])
        source = nodes[source.name].inputs[0]
    shape = graph.shapes()[source] or (0,)
    weight = graph.tensor(node.weight)
    assert weight is not None

    def apply(x: Tensor) -> Tensor:
        for pad in before:
            x = pad.target(x, *pad.args[1:], **pad.kwargs)
        rest = node.args[3:]
        options = {key: value for key, value in node.kwargs.items() if not isinstance(value, Ref)}
        return node.target(x, weight.to(x.dtype), None, *rest, **options)

    return apply, tuple(shape[1:])
