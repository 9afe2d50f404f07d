"""Lipschitz bounds of whole networks from the norms of their layers, and the norms of their Jacobians at data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genscope.core.status import Undefined
from genscope.errors import UnsupportedInput
from genscope.networks.functional import Network
from genscope.networks.graph import Graph, Node, Ref
from genscope.networks.layer_operators import layer_operators
from genscope.networks.operations import operation_name
from genscope.networks.path_norm import folded_graph
from genscope.networks.pooling import window_divisors, window_overlap, window_sums

# Largest slope of each activation (suprema of the derivative, rounded up in the last digit).
SLOPES = {"gelu": 1.1290, "silu": 1.0999, "tanh": 1.0, "sigmoid": 0.25, "elu": 1.0, "softplus": 1.0, "hardtanh": 1.0, "relu6": 1.0}
SLOPES |= {"hardswish": 1.5, "hardsigmoid": 1 / 6, "mish": 1.0885, "log_sigmoid": 1.0, "softsign": 1.0, "clamp": 1.0, "abs": 1.0}
ISOMETRIC = ("relu", "dropout", "shift")


def log_lipschitz_bound(graph: Graph, norms: Mapping[str, float] | None = None) -> float | Undefined:
    """Natural logarithm of a bound on the ℓ₂ Lipschitz constant of the logits in the input.

    Along a chain the operator norms multiply; branches that are added add, branches that are concatenated add in squares. Max pooling
    counts in how many windows an input falls, average pooling divides by the root of its window size. For a chain without pooling this is
    the product of the spectral norms.

    Args:
        graph: a traced network; batch normalizations are folded.
        norms: operator norm by graph node, if they are known already (otherwise :func:`layer_operators` finds them).

    Returns:
        The logarithm (nats), or ``Undefined`` if a layer has no finite Lipschitz constant (attention, LayerNorm) or one that is not known.

    Invariances: node rescaling leaves the function but not this bound unchanged. Cost: that of :func:`layer_operators`.
    Source: Szegedy et al. 2014, section 4.3; Neyshabur et al. 2017, section 2.

    Example:
        >>> from torch import nn
        >>> from genscope.networks.trace import trace
        >>> net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False))
        >>> with torch.no_grad(): _ = net[0].weight.fill_(2.0), net[2].weight.fill_(-3.0)
        >>> round(math.exp(log_lipschitz_bound(trace(net, torch.ones(1, 1)))), 9)
        6.0
    """
    plain = folded_graph(graph)
    if norms is None:
        norms = {layer.node: found.operator_norm for layer, found in zip(plain.layers(), layer_operators(plain), strict=True)}
    logs: dict[Ref, float] = {}
    for node in plain.nodes:
        if node.data:
            try:
                logs[node.ref] = _step(node, [logs.get(ref, 0.0) for ref in node.inputs], norms, plain)
            except _NotLipschitz as reason:
                return Undefined(str(reason))
    found = logs.get(plain.output, 0.0)
    return (
        found
        if found > -math.inf
        else Undefined("a layer is exactly zero: the network is constant and the logarithm of its Lipschitz constant does not exist")
    )


class _NotLipschitz(Exception):
    """A layer without a known Lipschitz constant."""


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _step(node: Node, incoming: list[float], norms: Mapping[str, float], graph: Graph) -> float:
    name = operation_name(node.target)
    if node.name in norms:
        return incoming[0] + _log(norms[node.name])
    if node.kind in ISOMETRIC:
        return incoming[0]
    if node.kind == "leaky_relu" and isinstance(node.argument("negative_slope", 0.01), float):
        return incoming[0] + _log(max(1.0, abs(node.argument("negative_slope", 0.01))))
    if node.kind in ("add", "sub") and abs(node.argument("alpha", 1)) == 1:
        return float(torch.logsumexp(torch.tensor(incoming, dtype=torch.float64), 0)) + (math.log(2) if len(incoming) == 1 else 0.0)
    if node.kind == "cat":
        return float(torch.logsumexp(2 * torch.tensor(incoming, dtype=torch.float64), 0)) / 2
    if node.kind == "softmax" and "log" not in name:
        return incoming[0]
    if name in SLOPES:
        return incoming[0] + _log(SLOPES[name])
    if node.kind == "scale":
        return incoming[0] + _log(_largest_factor(node, graph))
    if node.kind in ("max_pool", "avg_pool", "sum", "structural", "pad"):
        return incoming[0] + _shape_step(node, name, graph)
    raise _NotLipschitz(f"{node.title}: no finite Lipschitz constant is known for {name}")


def _largest_factor(node: Node, graph: Graph) -> float:
    other = next(node.argument(side) for side in ("other", "self") if node.argument(side) not in node.inputs)
    held = graph.tensor(other) if isinstance(other, Ref) else torch.as_tensor(other)
    assert held is not None
    factor = held.double().abs()
    return float(1 / factor.min() if operation_name(node.target) == "div" else factor.max())


def _shape_step(node: Node, name: str, graph: Graph) -> float:
    shape = graph.shapes()[node.inputs[0]]
    if node.kind == "max_pool":
        return math.log(window_overlap(node)) / 2
    if node.kind == "avg_pool" and shape:
        counts = (
            window_divisors(node, torch.ones(shape, dtype=torch.float64))
            if name != "mean"
            else window_sums(node, torch.ones(shape, dtype=torch.float64))
        )
        even = "adaptive" in name and all(a % b == 0 for a, b in zip(shape[2:], (node.shape or ())[2:], strict=False))
        overlap = 1.0 if name == "mean" or even else window_overlap(node)
        return (math.log(overlap) - math.log(float(counts.min()))) / 2
    if node.kind == "sum" and shape:
        return math.log(float(window_sums_all(node, shape))) / 2
    if name in ("expand", "expand_as", "repeat") and shape and node.shape:
        return math.log(math.prod(node.shape) / math.prod(shape)) / 2
    if node.kind == "pad" and node.argument("mode", "constant") != "constant" and not _feeds_convolutions(node, graph):
        raise _NotLipschitz(f"{node.title}: {node.argument('mode')} padding repeats inputs before something other than a convolution")
    if name == "index_select":
        raise _NotLipschitz(f"{node.title}: an input may be selected several times")
    return 0.0


def _feeds_convolutions(node: Node, graph: Graph) -> bool:
    """Whether the norms of the layers that read it already contain this padding."""
    nodes = {other.name: other for other in graph.nodes}
    return all(name in nodes and nodes[name].kind in ("conv", "conv_transpose") for name in graph.users().get(node.ref, ()))


def window_sums_all(node: Node, shape: tuple[int, ...]) -> int:
    """How many entries a sum adds up."""
    dims = node.argument("dim")
    chosen = range(len(shape)) if not dims else [dims] if isinstance(dims, int) else dims
    return math.prod(shape[d] for d in chosen)


@dataclass(frozen=True)
class JacobianNorms:
    """Per example, norms of the derivative of the logits in the input: ``spectral`` and ``frobenius``, float64 [examples]."""

    spectral: Tensor
    frobenius: Tensor


def jacobian_norms(network: Network, x: Any, *, max_classes: int = 1024) -> JacobianNorms:
    """Spectral and Frobenius norm of ∂f/∂x at each example, exactly.

    Formula: ``‖J‖_F² = Σ_{c,d} (∂f_c/∂x_d)²`` and ``‖J‖₂² = λ_max(J Jᵀ)``, the Gram matrix having one row per class.

    The local sensitivity of the network where the data are; a Lipschitz bound is an upper bound on ``spectral``. Larger goes with
    a larger gap (Novak et al. 2018).

    Args:
        network: logits of shape [examples, classes], one example not depending on another.
        x: a batch of floating-point inputs [examples, …].
        max_classes: refuse beyond, because the cost is one backward pass per class.

    Returns:
        Norms in float64, one per example, in logits per unit of input.

    Raises:
        UnsupportedInput: integer inputs, logits that are not [examples, classes], too many classes.

    Cost: one forward and ``classes`` backward passes of the batch; memory classes · batch · inputs. Source: Novak et al. 2018.

    Example:
        >>> from genscope.networks.functional import wrap_module
        >>> net = torch.nn.Linear(2, 1, bias=False)
        >>> with torch.no_grad(): _ = net.weight.copy_(torch.tensor([[3.0, 4.0]]))
        >>> jacobian_norms(wrap_module(net), torch.ones(1, 2)).spectral
        tensor([5.], dtype=torch.float64)
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise UnsupportedInput(
            f"{network.name}: its inputs are not one floating-point tensor, so that a derivative with respect to them does not exist."
        )
    logits, pull = torch.func.vjp(network, x)[:2]
    if logits.ndim != 2 or logits.shape[1] > max_classes:
        raise UnsupportedInput(
            f"{network.name}: Jacobian norms need logits [examples, classes] with at most {max_classes} classes, not {list(logits.shape)}."
        )
    rows = []
    for label in range(logits.shape[1]):
        cotangent = torch.zeros_like(logits)
        cotangent[:, label] = 1
        rows.append(pull(cotangent)[0].detach().flatten(1).double())
    jacobian = torch.stack(rows, 1)
    gram = jacobian @ jacobian.transpose(1, 2)
    spectral = torch.linalg.eigvalsh(gram)[:, -1].clamp_min(0).sqrt()
    return JacobianNorms(spectral, jacobian.square().sum((1, 2)).sqrt())
