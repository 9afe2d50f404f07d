"""ONNX models: initializers and constants, read by our own bounded protobuf reader and the one path policy for external data."""

import math
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from genscope.checkpoints.dtypes import ITEM_BYTES, decode
from genscope.checkpoints.input_file import InputFile
from genscope.checkpoints.limits import Limits, checked_shape
from genscope.checkpoints.listing import ListedCheckpoint
from genscope.checkpoints.low_precision import BYTES
from genscope.checkpoints.onnx_dequantize import INTEGERS, dequantize, find_dequantizations
from genscope.checkpoints.onnx_external import ExternalFiles
from genscope.checkpoints.onnx_graph import TENSOR_RAW, GraphParser, OnnxTensor
from genscope.checkpoints.onnx_roles import RECURRENT, Role, tensor_roles
from genscope.checkpoints.paths import open_input
from genscope.checkpoints.protobuf_wire import WireReader, packed_varints
from genscope.core.tensors import Skip, TensorSpec
from genscope.core.text import display_name
from genscope.errors import CorruptInput

# id: (our word, field that holds it when not raw)
FLOATS = {
    1: ("float32", 4), 11: ("float64", 10), 10: ("float16", 5), 16: ("bfloat16", 5),
    17: ("float8_e4m3fn", 5), 18: ("float8_e4m3fnuz", 5), 19: ("float8_e5m2", 5), 20: ("float8_e5m2fnuz", 5),
}  # fmt: skip
OTHERS = {
    2: ("uint8", 1), 3: ("int8", 1), 4: ("uint16", 2), 5: ("int16", 2), 6: ("int32", 4), 7: ("int64", 8), 9: ("bool", 1), 12: ("uint32", 4),
    13: ("uint64", 8), 14: ("complex64", 8), 15: ("complex128", 16),
}  # fmt: skip
_WORDS = {
    8: "text",
    21: "4-bit integers (uint4)",
    22: "4-bit integers (int4)",
    23: "4-bit floats",
    24: "8-bit exponents",
    25: "2-bit integers",
    26: "2-bit integers",
}
_FUSED = re.compile(r"qkv|query_key_value|in_proj_weight|c_attn", re.IGNORECASE)
# Rows of a recurrent weight by gate, in ONNX's order (LSTM i o f c, GRU z r h) and in torch's (i f g o, r z n), which the gates' views expect.
_GATE_ORDER = {"lstm": (0, 2, 3, 1), "gru": (1, 0, 2), "rnn": (0,)}


@dataclass(frozen=True)
class _Place:
    """Where a tensor's values are, and which of its slices and rows a logical tensor takes."""

    file: InputFile
    spans: tuple[tuple[int, int], ...]
    varints: bool
    shape: tuple[int, ...]
    dtype: str
    direction: int | None = None
    kind: str | None = None


class OnnxCheckpoint(ListedCheckpoint):
    """Initializers and constants of an ONNX model and its subgraphs."""

    def __init__(self, source: str, file: InputFile, limits: Limits) -> None:
        super().__init__(source, "onnx", limits)
        self._file = file
        self._external = ExternalFiles(file, Path(source).parent)
        self._places: dict[str, _Place] = {}
        self._specs: list[TensorSpec] = []
        self._skips: list[Skip] = []
        graphs = GraphParser(WireReader(file), limits).parse()
        tensors = {graph.prefix + name: tensor for graph in graphs for name, tensor in graph.tensors.items()}
        self._rules = find_dequantizations(graphs, tensors)
        self._helpers = {helper: name for name, rule in self._rules.items() for helper in (rule.scale, rule.zero) if helper}
        roles = tensor_roles(graphs, {name: len(tensor.dims) for name, tensor in tensors.items()})
        for name, tensor in tensors.items():
            self._add(name, tensor, roles.get(name, Role()))
        self.set_specs(self._specs, self._skips)
        if self._external.names:
            self.notes = (f"External data were read from {', '.join(display_name(name) for name in self._external.names[:5])}.",)
        if self._rules:
            self.notes = (*self.notes, f"{len(self._rules)} quantized weights are read as the numbers they stand for.")

    def _add(self, name: str, tensor: OnnxTensor, role: Role) -> None:
        where = f"{self.label}, tensor {display_name(name)!r}"
        shape = checked_shape(tensor.dims, self.limits, where)
        place = self._place(tensor, shape, where)
        if place is not None:
            self._places[name] = place
        reason = _why_skipped(tensor, role)
        if name in self._helpers:
            reason = f"scale or zero point of {display_name(self._helpers[name])}, multiplied into it"
        elif name in self._rules:
            reason = role.skip
        if reason is not None or place is None:
            self._skips.append(Skip(name, reason or "no values"))
        elif name in self._rules:
            facts = {**role.attributes, "dequantized_from": place.dtype, "scale": self._rules[name].scale}
            self._specs.append(TensorSpec(name, shape, "float32", math.prod(shape), role.kind, role.layout, facts))
        elif role.kind in RECURRENT.values():
            self._add_directions(name, place, role)
        else:
            n_bytes = math.prod(shape) * BYTES[place.dtype]
            kind = "attention" if role.kind == "linear" and _FUSED.search(name) else role.kind
            self._specs.append(TensorSpec(name, shape, place.dtype, n_bytes, kind, role.layout, role.attributes))

    def _add_directions(self, name: str, place: _Place, role: Role) -> None:
        """[directions, gates · hidden, inputs] as one matrix per direction, gates in torch's order."""
        n_directions, rows, cols = place.shape
        if n_directions not in (1, 2):
            self._skips.append(Skip(name, f"a recurrent weight with {n_directions} directions"))
            return
        for direction in range(n_directions):
            own = name if n_directions == 1 else f"{name}.{('forward', 'reverse')[direction]}"
            self._places[own] = replace(place, direction=direction, kind=role.kind)
            n_bytes = rows * cols * BYTES[place.dtype]
            self._specs.append(TensorSpec(own, (rows, cols), place.dtype, n_bytes, role.kind, attributes=role.attributes))

    def _place(self, tensor: OnnxTensor, shape: tuple[int, ...], where: str) -> _Place | None:
        """Where the values are, after checking that their number fits the shape; ``None`` for types without a known size."""
        count = math.prod(shape)
        known = FLOATS.get(tensor.data_type) or (INTEGERS.get(tensor.data_type, ""), 5)
        item = BYTES[known[0]] if known[0] in BYTES else OTHERS.get(tensor.data_type, ("", None))[1]
        n_bytes = None if item is None or tensor.sparse else count * item
        if tensor.external is not None:
            if tensor.spans:
                raise CorruptInput(f"{where}: holds values both inside and outside the model; two readers would see different ones.")
            file, start, end = self._external.span(tensor.external, n_bytes, where)
            return _Place(file, ((start, end),), False, shape, known[0])
        if not known[0] or tensor.sparse or tensor.segmented:
            self._check_raw(tensor, n_bytes, where)
            return None
        raw = tensor.spans.get(TENSOR_RAW)
        if len(tensor.spans) > 1 or (raw and len(raw) > 1):
            raise CorruptInput(f"{where}: holds its values twice; two readers would see different ones.")
        if raw:
            self._check_raw(tensor, n_bytes, where)
            return _Place(self._file, tuple(raw), False, shape, known[0])
        spans = tuple(tensor.spans.get(known[1], ()))
        held = sum(end - start for start, end in spans)
        varints = known[1] == 5
        fits = count <= held <= 10 * count if varints else held == n_bytes
        if not fits:
            raise CorruptInput(f"{where}: shape {shape} needs {count} values and the {held} bytes there cannot be that many.")
        return _Place(self._file, spans, varints, shape, known[0])

    @staticmethod
    def _check_raw(tensor: OnnxTensor, n_bytes: int | None, where: str) -> None:
        raw = tensor.spans.get(TENSOR_RAW)
        if raw and n_bytes is not None and not tensor.sparse and raw[0][1] - raw[0][0] != n_bytes:
            raise CorruptInput(f"{where}: its shape needs {n_bytes} bytes and the model holds {raw[0][1] - raw[0][0]}.")

    def read(self, name: str) -> np.ndarray:
        """Read one tensor as float32 or float64; 8-bit integers with a scale are multiplied out."""
        self.spec_of(name)
        rule = self._rules.get(name)
        if rule is not None:
            zero = self._values(rule.zero) if rule.zero is not None else None
            return dequantize(self._values(name), self._values(rule.scale), zero, rule.axis)
        place = self._places[name]
        values = self._values(name)
        return values if place.direction is None else _torch_gates(values[place.direction], place.kind or "rnn")

    def _values(self, name: str) -> np.ndarray:
        place = self._places[name]
        where = f"{self.label}, tensor {display_name(name)!r}"
        raw: Any = bytearray(sum(end - start for start, end in place.spans))
        at = 0
        for start, end in place.spans:
            place.file.pread_into(memoryview(raw)[at : at + end - start], start)
            at += end - start
        if place.varints:
            raw = _from_varints(bytes(raw), place.dtype, math.prod(place.shape), where)
        return decode(raw, place.dtype, place.shape)

    def close(self) -> None:
        """Release the model and its data files."""
        super().close()
        self._file.release()
        self._external.release()


def _why_skipped(tensor: OnnxTensor, role: Role) -> str | None:
    if tensor.sparse:
        return "sparse tensor, which genscope does not read"
    if tensor.segmented:
        return "stored in segments, which genscope does not read"
    if tensor.data_type in OTHERS:
        word = OTHERS[tensor.data_type][0]
        return f"complex values ({word}), which genscope does not analyze" if word.startswith("complex") else f"integer values ({word}): not weights"
    if tensor.data_type not in FLOATS:
        return f"holds {_WORDS.get(tensor.data_type, f'values of the unknown ONNX type {tensor.data_type}')}, which genscope does not analyze"
    return role.skip


def _from_varints(raw: bytes, dtype: str, count: int, where: str) -> bytes:
    """16- and 8-bit values kept as one integer each; negative ones carry their sign through all 64 bits."""
    values = packed_varints(raw, where)
    bits = 8 * ITEM_BYTES[dtype]
    if len(values) != count:
        raise CorruptInput(f"{where}: its shape needs {count} values and {len(values)} are there.")
    too_large = values >= 1 << bits if not dtype.startswith("int") else np.abs(values.view(np.int64)) > 1 << (bits - 1)
    if too_large.any():
        raise CorruptInput(f"{where}: an entry does not fit {bits} bits; the file is damaged.")
    return values.astype(f"<u{bits // 8}").tobytes()


def _torch_gates(values: np.ndarray, kind: str) -> np.ndarray:
    order = _GATE_ORDER[kind]
    if values.shape[0] % len(order):
        return values
    return np.concatenate([np.split(values, len(order))[gate] for gate in order])


def open_onnx(path: str | Path, limits: Limits | None = None) -> OnnxCheckpoint:
    """Open an ONNX model; neither ``onnx`` nor any native parser is needed.

    Raises:
        UnsafeInput: external data outside the model's folder, or described in an unknown way.
        CorruptInput, LimitExceeded: the file contradicts itself or promises too much.
    """
    return OnnxCheckpoint(os.fspath(path), open_input(path), limits or Limits())
