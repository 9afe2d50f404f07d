"""What layer a tensor belongs to, from its spec and its neighbours' specs; or why it holds no matrix."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from genscope.core.tensors import Skip, TensorSpec
from genscope.layers import names
from genscope.layers.steps import Steps, reshape, transpose

_LARGEST_KERNEL = 64  # a 3-D tensor whose last axis is longer is not taken for a 1-D convolution by shape alone
_STACKS = frozenset({"experts", "bilinear", "stack"})
_NOT_NUMBERS = ("int", "uint", "bool", "qint", "quint")


@dataclass(frozen=True)
class Layer:
    """A tensor whose layer kind is known.

    Args:
        spec: the tensor.
        kind: ``linear embedding conv1d conv2d conv3d conv_transpose1d … lstm gru rnn attention experts bilinear stack``.
        shape: its shape in torch's layout ([out, in], [out, in/groups, *kernel], [gates·hidden, in]).
        steps: the rearrangement from the stored layout to ``shape``.
        facts: ``groups stride padding dilation input_size num_heads num_kv_heads depthwise`` as far as known.
        notes: sentences on what had to be inferred.
    """

    spec: TensorSpec
    kind: str
    shape: tuple[int, ...]
    steps: Steps = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Neighbours:
    """All specs of one checkpoint by name, for questions about a tensor's siblings."""

    def __init__(self, specs: Iterable[TensorSpec]) -> None:
        self.by_name: dict[str, TensorSpec] = {}
        self.first_convolution: dict[int, str] = {}
        for spec in specs:
            for name in (spec.name, *spec.aliases):
                self.by_name.setdefault(name, spec)
            if len(spec.shape) in (3, 4, 5) and _no_matrix(spec) is None:
                self.first_convolution.setdefault(len(spec.shape), spec.name)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a tensor, or ``None`` when there is none of that name."""
        spec = self.by_name.get(name)
        return None if spec is None else spec.shape


def classify(spec: TensorSpec, neighbours: Neighbours) -> Layer | Skip:
    """The layer of one tensor, or a skip with its reason.

    The source's own ``kind`` and ``layout`` decide where given; else the name, its neighbours and the number of dimensions do:
    2-D is a linear map, 3-D a 1-D convolution (or a stack of experts, or a bilinear form, by name), 4-D and 5-D a convolution.

    Args:
        spec: the tensor.
        neighbours: every tensor of the same checkpoint.

    Returns:
        ``Layer`` or ``Skip``; never an exception for an odd tensor.

    Example:
        >>> alone = Neighbours([])
        >>> classify(TensorSpec("fc.weight", (10, 84), "float32", 3360), alone).kind
        'linear'
        >>> classify(TensorSpec("fc.bias", (10,), "float32", 40), alone).reason
        '1-D tensor (bias or normalization), no spectrum'
    """
    reason = _no_matrix(spec)
    if reason is not None:
        return Skip(spec.name, reason)
    if names.KERNEL.search(spec.name):
        spec = replace(spec, layout="keras")
    kind = names.known_kind(spec.kind)
    if kind is not None and not _fits(kind, len(spec.shape)):
        kind = None  # a dense kernel with an axis per head, or a class name that is too general
    if kind is None:
        found = _infer(spec, neighbours)
        if isinstance(found, Skip):
            return found
        kind, notes = found
    else:
        notes = ()
    if spec.layout == "keras":
        return _from_keras(spec, kind, notes)
    return _from_torch(spec, kind, notes, neighbours)


def _fits(kind: str, dims: int) -> bool:
    """Whether weights of that kind have so many dimensions."""
    if kind.startswith("conv"):
        return dims == int(kind[-2]) + 2
    if kind in _STACKS:
        return dims == 3
    return dims == 2 or kind == "embedding"


def _no_matrix(spec: TensorSpec) -> str | None:
    """Why a tensor can hold no weight matrix at all, whatever its layer."""
    shape, dims = spec.shape, len(spec.shape)
    if 0 in shape:
        return f"empty tensor (shape {list(shape)}), no entries"
    if names.BUFFER.search(spec.name):
        return f"buffer ({names.BUFFER.search(spec.name)[2]}), not weights"  # type: ignore[index]
    if spec.dtype.startswith(_NOT_NUMBERS):
        return f"{spec.dtype} values (indices, masks or quantized codes without their scales), not weights"
    if spec.dtype.startswith("complex"):
        return f"{spec.dtype} values: complex weights are not analyzed"
    if dims == 0:
        return "0-d tensor (a single number), no spectrum"
    if dims == 1:
        return "1-D tensor (bias or normalization), no spectrum"
    if names.BIAS.search(spec.name):
        square = dims == 4 and shape[0] == shape[1] == 1 and shape[2] == shape[3]
        return f"{dims}-D attention mask saved as a bias, not weights" if square else f"{dims}-D tensor of biases or gains, no linear map"
    named_weight = spec.name.replace("/", ".").endswith(("weight", "kernel", "kernel:0"))
    if dims > 2 and math.prod(shape) == max(shape) and not named_weight:
        return f"vector stored in {dims} dimensions {list(shape)}, no spectrum"
    if names.known_kind(spec.kind) is None and (spec.kind or "").lower().endswith("norm"):
        return f"{dims}-D normalization gains ({spec.kind}), no linear map"
    if dims > 5:
        return f"{dims}-D tensor: no layer of that shape is known, so there is no agreed matrix"
    return None


def _infer(spec: TensorSpec, neighbours: Neighbours) -> tuple[str, tuple[str, ...]] | Skip:
    """Kind by name and number of dimensions."""
    name, shape = spec.name, spec.shape
    if len(shape) == 2:
        if names.RECURRENT.match(name):
            return _recurrent_kind(name, neighbours)
        if spec.layout == "keras" and names.KERNEL.search(name):
            return _keras_recurrent_kind(spec) or "linear", ()
        if names.FUSED_BY_HEAD.search(name) or (names.FUSED_THIRDS.search(name)):
            return "attention", ()
        return ("embedding" if names.EMBEDDING.search(name) else "linear"), ()
    transposed = "_transpose" if names.TRANSPOSED_CONVOLUTION.search(name) else ""
    if len(shape) > 3:
        return f"conv{transposed}{len(shape) - 2}d", ()
    if names.BILINEAR.search(name):
        return "bilinear", ()
    if names.EXPERTS.search(name) or names.GATE_UP.search(name):
        return "experts", ()
    if shape[0] == 1 and (names.POSITIONS.search(name) or names.EMBEDDING.search(name)):
        return "embedding", ()
    if names.CONVOLUTION.search(name) or spec.layout == "keras" or shape[2] <= _LARGEST_KERNEL:
        return f"conv{transposed}1d", ()
    return "stack", (f"{name}: 3-D tensor of unknown kind, read as {shape[0]} matrices {shape[1]} × {shape[2]}",)


def _recurrent_kind(name: str, neighbours: Neighbours) -> tuple[str, tuple[str, ...]]:
    """LSTM (4 gates), GRU (3) or plain RNN (1), from the number of rows per hidden unit."""
    gates = gate_count(name, neighbours)
    if "weight_hr" in name:  # only LSTMs project their hidden state
        return "lstm", ()
    kind = {4: "lstm", 3: "gru", 1: "rnn"}.get(gates or 0)
    if kind is None:
        return "rnn", (f"{name}: the number of gates cannot be told from its neighbours, read as one matrix",)
    return kind, ()


def _keras_recurrent_kind(spec: TensorSpec) -> str | None:
    """Keras recurrent kernels are [in, gates·hidden]; the layer's name or, for the recurrent one, the shape tells the gates."""
    word = names.KERNEL.search(spec.name)["word"]  # type: ignore[index]
    named = names.RECURRENT_LAYER.search(spec.name)
    if named is not None:
        return named[1].lower()
    if word != "recurrent_kernel":
        return None
    hidden, width = spec.shape
    return {4: "lstm", 3: "gru"}.get(width // hidden if width % hidden == 0 else 0, "rnn")


def gate_count(name: str, neighbours: Neighbours) -> int | None:
    """Rows per hidden unit: ``weight_hh`` is [gates·hidden, hidden], or [gates·hidden, proj] beside a ``weight_hr`` [proj, hidden]."""
    match = names.RECURRENT.match(name)
    if match is None:
        return None
    if match["side"] == "hr":
        return 1
    hidden_to_hidden = neighbours.shape(f"{match['head']}weight_hh{match['tail']}")
    projection = neighbours.shape(f"{match['head']}weight_hr{match['tail']}")
    if hidden_to_hidden is None or len(hidden_to_hidden) != 2:
        return None
    hidden = projection[1] if projection is not None and len(projection) == 2 else hidden_to_hidden[1]
    return hidden_to_hidden[0] // hidden if hidden and hidden_to_hidden[0] % hidden == 0 else None


def _from_torch(spec: TensorSpec, kind: str, notes: tuple[str, ...], neighbours: Neighbours) -> Layer:
    shape, facts = spec.shape, dict(spec.attributes)
    if kind == "embedding" and len(shape) > 2:
        flat = (math.prod(shape[:-1]), shape[-1])
        return Layer(spec, kind, flat, (reshape(*flat),), facts, notes)
    if len(shape) == 2 and kind in {"linear", "attention"} and _stored_input_first(spec, neighbours):
        return Layer(spec, kind, shape[::-1], (transpose(1, 0),), facts, notes)
    if kind.startswith("conv") and len(shape) > 2 and "groups" not in facts:
        facts["groups"], more = _inferred_groups(spec, kind, neighbours)
        notes += more
    return Layer(spec, kind, shape, (), facts, notes)


def _inferred_groups(spec: TensorSpec, kind: str, neighbours: Neighbours) -> tuple[int, tuple[str, ...]]:
    """Depthwise if named so, or if [C, 1, …] and not the first convolution (which may look at one-channel images)."""
    shape = spec.shape
    first = neighbours.first_convolution.get(len(shape)) == spec.name
    if shape[1] != 1 or shape[0] == 1 or "transpose" in kind:
        return 1, ()
    if names.DEPTHWISE.search(spec.name) or not first:
        return shape[0], (f"{spec.name}: [{shape[0]}, 1, …] read as a depthwise convolution of {shape[0]} channels",)
    return 1, ()


def _stored_input_first(spec: TensorSpec, neighbours: Neighbours) -> bool:
    """GPT-2's Conv1D stores [in, out]; told by ``c_attn`` or ``c_fc`` of the same block, which widen (out > in)."""
    if "transposed" in spec.attributes:
        return bool(spec.attributes["transposed"])
    if (spec.kind or "").lower() == "conv1d_gpt2":
        return True
    match = names.GPT2_PROJECTION.match(spec.name)
    if match is None:
        return False
    votes = (f"{match['block']}{part}.{leaf}.weight" for part, leaf in (("mlp", "c_fc"), ("attn", "c_attn"), ("crossattention", "c_attn")))
    for name in (spec.name, *votes):
        shape = neighbours.shape(name) if name != spec.name else spec.shape
        if shape is not None and len(shape) == 2 and shape[0] != shape[1] and not name.endswith("c_proj.weight"):
            return shape[1] > shape[0]
    return False


def _from_keras(spec: TensorSpec, kind: str, notes: tuple[str, ...]) -> Layer:
    """Keras keeps inputs first: [in, out], [*kernel, in, out], depthwise [*kernel, C, multiplier], heads as extra axes."""
    shape, facts = spec.shape, dict(spec.attributes)
    if kind == "embedding":
        flat = (math.prod(shape[:-1]), shape[-1])
        return Layer(spec, kind, flat, (reshape(*flat),), facts, notes)
    if kind in _STACKS:
        return Layer(spec, kind, (shape[0], shape[2], shape[1]), (transpose(0, 2, 1),), facts, notes)
    if len(shape) == 2:
        return Layer(spec, kind, shape[::-1], (transpose(1, 0),), facts, notes)
    if facts.get("keras_weight") == "einsum" or (len(shape) == 3 and names.HEAD_AXES.search(spec.name)):
        # Query, key, value are [in, heads, dim]; the output projection is [heads, dim, out].
        outward = re.search(r"(output|[./]out)[./]kernel", spec.name) is not None
        flat = (shape[0] * shape[1], shape[2]) if outward else (shape[0], shape[1] * shape[2])
        return Layer(spec, "attention", flat[::-1], (reshape(*flat), transpose(1, 0)), facts, notes)
    dims = len(shape) - 2
    axes = (dims + 1, dims, *range(dims))
    if facts.get("depthwise") or names.DEPTHWISE.search(spec.name):
        channels, multiplier = shape[dims], shape[dims + 1]
        facts["groups"] = channels
        torch_shape = (channels * multiplier, 1, *shape[:dims])
        return Layer(spec, kind, torch_shape, (transpose(dims, dims + 1, *range(dims)), reshape(*torch_shape)), facts, notes)
    facts.setdefault("groups", 1)
    return Layer(spec, kind, tuple(shape[axis] for axis in axes), (transpose(*axes),), facts, notes)
