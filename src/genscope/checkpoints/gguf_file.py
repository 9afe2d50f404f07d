"""GGUF files, whole or split, read by our own bounded header parser."""

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from genscope.checkpoints.gguf_dequantize import FLOATS, INTEGERS, TYPES, dequantize_rows, why_not_dequantized
from genscope.checkpoints.gguf_header import MAGIC, GgufHeader, GgufTensor, read_header
from genscope.checkpoints.input_file import InputFile
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.listing import ListedCheckpoint
from genscope.checkpoints.low_precision import widen
from genscope.checkpoints.paths import file_inside, open_input
from genscope.core.tensors import Skip, TensorSpec
from genscope.core.text import display_name
from genscope.errors import CorruptInput, PartialResult, UnsupportedInput

__all__ = ["MAGIC", "GgufCheckpoint", "open_gguf"]

_PART = re.compile(r"^(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$")
_ROWS_AT_ONCE = 1 << 24


class GgufCheckpoint(ListedCheckpoint):
    """Tensors of one GGUF file or of all its parts; shapes are reversed to [out, in]."""

    def __init__(self, source: str, files: list[InputFile], headers: list[GgufHeader], limits: Limits) -> None:
        super().__init__(source, "gguf", limits)
        self._places: dict[str, tuple[InputFile, int, GgufTensor]] = {}
        self._files = files
        specs: list[TensorSpec] = []
        skips: list[Skip] = []
        reasons: dict[int, str | None] = {}
        for file, header in zip(files, headers, strict=True):
            _check_data(file, header)
            heads = _heads(headers[0])
            for tensor in header.tensors:
                described = _describe(tensor, reasons, heads)
                if isinstance(described, Skip):
                    skips.append(described)
                else:
                    specs.append(described)
                self._places.setdefault(tensor.name, (file, header.data_start + tensor.offset, tensor))
        self.set_specs(specs, _join_reasons(skips))
        self.metadata = {key: value for header in headers for key, value in header.values.items()}
        quantized = sorted({spec.dtype for spec in specs} - set(FLOATS.values()))
        self.notes = (f"Quantized tensors ({', '.join(quantized)}) are analyzed as the numbers they stand for.",) if quantized else ()

    def read(self, name: str) -> np.ndarray:
        """Read one tensor; quantized blocks are dequantized to float32."""
        spec = self.spec_of(name)
        file, start, tensor = self._places[name]
        type_name, block, block_bytes = TYPES[tensor.type_id]
        if type_name in FLOATS:
            raw = bytearray(spec.n_bytes)
            file.pread_into(memoryview(raw), start)
            return widen(raw, FLOATS[type_name], spec.shape)
        values = np.empty(spec.n_elements, dtype=np.float32)
        step = max(1, _ROWS_AT_ONCE // block)
        n_blocks = spec.n_elements // block
        for first in range(0, n_blocks, step):
            count = min(step, n_blocks - first)
            rows = np.frombuffer(file.pread(start + first * block_bytes, count * block_bytes), dtype=np.uint8).reshape(count, block_bytes)
            values[first * block : (first + count) * block] = dequantize_rows(rows, tensor.type_id).reshape(-1)
        return values.reshape(spec.shape)

    def close(self) -> None:
        """Release the files."""
        super().close()
        for file in self._files:
            file.release()


def _n_bytes(tensor: GgufTensor) -> int:
    _, block, block_bytes = TYPES[tensor.type_id]
    count = 1
    for size in tensor.dims:
        count *= size
    return count // block * block_bytes


def _check_data(file: InputFile, header: GgufHeader) -> None:
    """Every tensor inside the file, whole blocks per row, no two sharing bytes."""
    ends: list[tuple[int, int, str]] = []
    for tensor in header.tensors:
        shown = display_name(tensor.name)
        if tensor.type_id not in TYPES:
            raise UnsupportedInput(f"{file.name}: tensor {shown!r} has the unknown type id {tensor.type_id}; a newer genscope may know it.")
        name, block, _ = TYPES[tensor.type_id]
        if tensor.dims and tensor.dims[0] % block:
            raise CorruptInput(f"{file.name}: tensor {shown!r} has rows of {tensor.dims[0]} elements, no multiple of the {name} block of {block}.")
        if not tensor.dims and block > 1:
            raise CorruptInput(f"{file.name}: tensor {shown!r} of type {name} has no dimensions.")
        end = header.data_start + tensor.offset + _n_bytes(tensor)
        if end > file.size:
            raise CorruptInput(f"{file.name}: tensor {shown!r} ends at byte {end} and the file has {file.size}; was it downloaded completely?")
        if _n_bytes(tensor):
            ends.append((tensor.offset, tensor.offset + _n_bytes(tensor), shown))
    ends.sort()
    for (_, end, first), (start, _, second) in pairwise(ends):
        if start < end:
            raise CorruptInput(f"{file.name}: tensors {first!r} and {second!r} share bytes.")


def _describe(tensor: GgufTensor, reasons: dict[int, str | None], heads: dict[str, int]) -> TensorSpec | Skip:
    type_name, block, _ = TYPES[tensor.type_id]
    if type_name in INTEGERS:
        return Skip(tensor.name, f"{INTEGERS[type_name]} values (no spectrum is defined for integers)")
    if block > 1:
        if tensor.type_id not in reasons:
            reasons[tensor.type_id] = why_not_dequantized(tensor.type_id)
        reason = reasons[tensor.type_id]
        if reason:
            return Skip(tensor.name, reason)
    shape = tuple(reversed(tensor.dims))
    kind = _kind(tensor.name, shape)
    return TensorSpec(tensor.name, shape, FLOATS.get(type_name, type_name), _n_bytes(tensor), kind, attributes=heads if kind == "attention" else {})


def _kind(name: str, shape: tuple[int, ...]) -> str | None:
    """By llama.cpp's own names: ``token_embd``, ``blk.3.attn_qkv``, ``blk.3.ffn_up_exps`` …"""
    words = name.split(".")
    if len(words) < 2 or words[-1] != "weight" or "norm" in name:
        return None
    if len(shape) == 3:
        return "experts" if words[-2].endswith("_exps") else None
    if len(shape) != 2:
        return None
    return "embedding" if "embd" in words[0] else "attention" if words[-2] == "attn_qkv" else "linear"


def _heads(header: GgufHeader) -> dict[str, int]:
    """Numbers of heads, where they are the same in every layer."""
    architecture = header.values.get("general.architecture")
    found = {}
    for ours, theirs in (("num_heads", "head_count"), ("num_kv_heads", "head_count_kv")):
        value = header.values.get(f"{architecture}.attention.{theirs}")
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 20:
            found[ours] = value
    return found


def _join_reasons(skips: list[Skip]) -> list[Skip]:
    seen: dict[str, Skip] = {}
    for skip in skips:
        if skip.layer in seen:
            raise CorruptInput(f"two parts hold the tensor {display_name(skip.layer)!r}.")
        seen[skip.layer] = skip
    return list(seen.values())


def open_gguf(path: str | Path, limits: Limits | None = None) -> GgufCheckpoint:
    """Open a GGUF file; of a split one (``name-00001-of-00003.gguf``) all parts beside it.

    Raises:
        CorruptInput: sizes, offsets or names contradict each other or the file.
        UnsupportedInput: version 1, big-endian, an unknown type.
        PartialResult: parts of a split file are missing.
    """
    path = Path(path)
    limits = limits or Limits()
    first = open_input(path)
    header = read_header(first, limits)
    count = header.values.get("split.count", 1)
    if not isinstance(count, int) or isinstance(count, bool) or count <= 1:
        return GgufCheckpoint(os.fspath(path), [first], [header], limits)
    files = _open_parts(path, first, count)
    headers = [header if file is first else read_header(file, limits) for file in files]
    _check_parts(headers, count, first.name)
    return GgufCheckpoint(os.fspath(path), files, headers, limits)


def _open_parts(path: Path, first: InputFile, count: int) -> list[InputFile]:
    named = _PART.match(path.name)
    if named is None or int(named["count"]) != count:
        raise CorruptInput(f"{first.name} says it is one of {count} parts; keep the names of the parts (…-00001-of-{count:05d}.gguf).")
    names = [f"{named['stem']}-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1)]
    present = {entry.name for entry in path.parent.iterdir()}
    missing = [display_name(name) for name in names if name not in present]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise PartialResult(f"{first.name} is one of {count} parts and {', '.join(missing[:5])}{more} cannot be found beside it; download all parts.")
    return [first if name == path.name else file_inside(path.parent, name) for name in names]


def _check_parts(headers: list[GgufHeader], count: int, label: str) -> None:
    numbers: list[Any] = [header.values.get("split.no") for header in headers]
    if numbers != list(range(count)) or any(header.values.get("split.count") != count for header in headers):
        raise CorruptInput(f"{label}: the parts do not belong together (their split.no are {numbers[:8]}).")
