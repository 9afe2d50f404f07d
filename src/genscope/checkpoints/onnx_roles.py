"""What each ONNX tensor is for, from the operators that read it: layer kind, orientation, groups and strides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from genscope.checkpoints.onnx_graph import OnnxGraph, OnnxNode

RECURRENT = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn"}
_RECURRENT_STATES = {3: "bias of a recurrent layer", 5: "initial state of a recurrent layer", 6: "initial state of a recurrent layer", 7: "peepholes"}
_NORMS = {"BatchNormalization", "LayerNormalization", "InstanceNormalization", "GroupNormalization", "SkipLayerNormalization"}


@dataclass(frozen=True)
class Role:
    """Kind and layout for :class:`TensorSpec`; ``skip`` where the tensor is no weight matrix at all."""

    kind: str | None = None
    layout: str = "torch"
    attributes: Mapping[str, Any] = field(default_factory=dict)
    skip: str | None = None


def tensor_roles(graphs: list[OnnxGraph], ranks: Mapping[str, int]) -> dict[str, Role]:
    """Roles by full tensor name; the first operator that says something decides.

    Args:
        ranks: number of dimensions by full tensor name.
    """
    roles: dict[str, Role] = {}
    for graph in graphs:
        sources: dict[str, tuple[str, bool]] = {}
        for node in graph.nodes:
            _follow(node, graph, sources, ranks)
            for position, name in enumerate(node.inputs):
                source = _source(name, graph, sources)
                if source is None or source[0] in roles:
                    continue
                role = _role(node, position, ranks[source[0]], flipped=source[1])
                if role is not None:
                    roles[source[0]] = role
    return roles


def _source(name: str, graph: OnnxGraph, sources: Mapping[str, tuple[str, bool]]) -> tuple[str, bool] | None:
    if name in sources:
        return sources[name]
    owner = graph.owner(name) if name else None
    return None if owner is None else (owner, False)


def _follow(node: OnnxNode, graph: OnnxGraph, sources: dict[str, tuple[str, bool]], ranks: Mapping[str, int]) -> None:
    """Let a weight's identity pass through operators that only rename, retype or transpose it."""
    if not node.inputs or not node.outputs or node.operator not in ("Identity", "Cast", "Transpose", "DequantizeLinear"):
        return
    source = _source(node.inputs[0], graph, sources)
    if source is None:
        return
    owner, flipped = source
    if node.operator == "Transpose":
        if ranks[owner] != 2 or node.attributes.get("perm", [1, 0]) != [1, 0]:
            return
        flipped = not flipped
    sources[node.outputs[0]] = (owner, flipped)


def _role(node: OnnxNode, position: int, rank: int, *, flipped: bool) -> Role | None:
    operator = node.operator
    if operator in ("MatMul", "Gemm", "FusedMatMul") and position < 2:
        return _linear(node, position, rank, flipped)
    if operator in ("Conv", "ConvTranspose") and position == 1 and rank in (3, 4, 5):
        kind = f"conv{'_transpose' if operator == 'ConvTranspose' else ''}{rank - 2}d"
        return Role(kind, attributes=_convolution_attributes(node))
    if operator == "Gather" and position == 0 and rank == 2 and node.attributes.get("axis", [0]) == [0]:
        return Role("embedding", "keras" if flipped else "torch")
    if operator in RECURRENT and position in (1, 2) and rank == 3:
        return Role(RECURRENT[operator], attributes={"side": "input" if position == 1 else "recurrent"})
    if operator in RECURRENT and position in _RECURRENT_STATES:
        return Role(skip=_RECURRENT_STATES[position])
    if operator in _NORMS and position > 0:
        return Role("norm")
    return None


def _linear(node: OnnxNode, position: int, rank: int, flipped: bool) -> Role:
    """``X·W`` with W [in, out] is Keras's layout; ``W·X`` or a transposed W is torch's."""
    transposed = node.attributes.get("transA" if position == 0 else "transB", [0])[:1] == [1]
    torch_layout = (position == 0) != (transposed != flipped)
    return Role("linear" if rank == 2 else None, "torch" if torch_layout or rank != 2 else "keras")


def _convolution_attributes(node: OnnxNode) -> dict[str, Any]:
    given = node.attributes
    facts: dict[str, Any] = {"groups": given["group"][0] if given.get("group") else 1}
    for ours, theirs in (("stride", "strides"), ("dilation", "dilations")):
        values = given.get(theirs)
        if values and len(values) <= 6 and all(0 <= value <= 1 << 20 for value in values):
            facts[ours] = tuple(values)
    return facts
