"""safetensors files: the format's own rules, checked in full before a single value is read, with the byte numbers in every refusal.

Layout: 8 bytes of little-endian header length, a JSON object name -> {dtype, shape, data_offsets}, then the data without gaps.
"""

import os
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from genscope.checkpoints.dtypes import ITEM_BYTES, decode
from genscope.checkpoints.input_file import InputFile
from genscope.checkpoints.limits import Limits, checked_shape
from genscope.checkpoints.paths import open_input
from genscope.checkpoints.state_dict import Found
from genscope.checkpoints.strict_header import Entry, parse_header
from genscope.checkpoints.table import RawTensor, TableCheckpoint, TensorTable, plain_errors
from genscope.core.text import display_name
from genscope.errors import CorruptInput

DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0",
    "F4": "float4_e2m1",
    "F6_E2M3": "float6_e2m3",
    "F6_E3M2": "float6_e3m2",
    "BOOL": "bool",
    "I8": "int8",
    "U8": "uint8",
    "I16": "int16",
    "U16": "uint16",
    "I32": "int32",
    "U32": "uint32",
    "I64": "int64",
    "U64": "uint64",
    "C64": "complex64",
}
BITS = {**{word: 8 * ITEM_BYTES[name] for word, name in DTYPES.items() if name in ITEM_BYTES}, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}


def sniff(head: bytes, size: int) -> bool:
    """Whether a file beginning with ``head`` is a safetensors file: a header length inside the file, then an open brace."""
    return len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8


def open_safetensors(path: str | os.PathLike[str], limits: Limits | None = None, *, part: str | None = None) -> TableCheckpoint:
    """Open one safetensors file; no tensor is read.

    Raises:
        CorruptInput, LimitExceeded: the header breaks a rule of the format or promises more than a limit.
    """
    limits = limits or Limits()
    file = open_input(path)
    with plain_errors(file.name):
        return TableCheckpoint(os.fspath(path), read_table(file, limits), limits, part=part)


def read_table(file: InputFile, limits: Limits) -> TensorTable:
    """Header and placement of all tensors of ``file``, validated."""
    length = _header_length(file, limits)
    entries, metadata = parse_header(file.pread(8, length), file.name)
    limits.check("n_tensors", len(entries), f"{file.name}: number of tensors")
    start = 8 + length
    found = [Found((name,), _raw_tensor(file, name, entry, start, limits)) for name, entry in entries.items()]
    _check_placement(file, entries, file.size - start)
    return TensorTable(found, "safetensors", [], metadata, file.release)


def _header_length(file: InputFile, limits: Limits) -> int:
    if file.size < 8:
        raise CorruptInput(f"{file.name}: has {file.size} bytes, but a safetensors file begins with 8 bytes of header length; get a fresh copy.")
    length = int.from_bytes(file.pread(0, 8), "little")
    if length > file.size - 8:
        raise CorruptInput(f"{file.name}: the header claims {length} bytes but file has {file.size} bytes; it is incomplete or no safetensors file.")
    limits.check("header_bytes", length, f"{file.name}: length of the header")
    return length


def _raw_tensor(file: InputFile, name: str, entry: Entry, start: int, limits: Limits) -> RawTensor:
    word, sizes, begin, end = entry
    if type(begin) is not int or type(end) is not int or begin < 0 or end < begin:
        raise _broken(file, name, f"its data offsets [{_show(begin)}, {_show(end)}] are not two non-negative integers in order")
    shape = tuple(sizes)
    count = 1
    for size in shape:
        if type(size) is not int or size < 0:
            count = -1
            break
        count *= size
    if count < 0 or count > limits.elements or len(shape) > limits.ndim:
        checked_shape(shape, limits, f"{file.name}, tensor {display_name(name)!r}")
    if word not in DTYPES:
        shown = display_name(word, 40)
        return RawTensor(shape, shown, end - begin, reason=f"unsupported dtype {shown}")
    if count * BITS[word] != 8 * (end - begin):
        needed = count * BITS[word]
        whole = f"{needed // 8} bytes" if needed % 8 == 0 else f"{needed} bits, which is no whole number of bytes"
        raise _broken(file, name, f"shape {list(shape)} of {word} needs {whole} but its offsets [{begin}, {end}] hold {end - begin}")
    return RawTensor(shape, DTYPES[word], end - begin, partial(read_values, file, start + begin, DTYPES[word], shape))


def read_values(file: InputFile, offset: int, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """One tensor from its place in ``file``."""
    count = 1
    for size in shape:
        count *= size
    raw = file.pread_buffer(offset, count * ITEM_BYTES[dtype])
    return decode(raw, dtype, shape)


def _check_placement(file: InputFile, entries: dict[str, Entry], available: int) -> None:
    """The data must be covered from the first byte to the last, once."""
    order = sorted(((entry[2], entry[3], name) for name, entry in entries.items()), key=itemgetter(0, 1))
    reached, last = 0, ""
    for begin, end, name in order:
        if begin != reached:
            raise _misplaced(file, name, begin, reached, last)
        reached, last = end, name
    if reached > available:
        raise CorruptInput(f"{file.name}: incomplete: {available} of {reached} data bytes; the download was cut short, get a fresh copy.")
    if reached < available:
        raise CorruptInput(
            f"{file.name}: {available - reached} trailing bytes after the last tensor (data end at byte {reached} of {available}); get a fresh copy."
        )


def _misplaced(file: InputFile, name: str, begin: int, reached: int, last: str) -> CorruptInput:
    if not last:
        return _broken(file, name, f"the first tensor begins at data byte {begin} instead of 0")
    if begin < reached:
        return _broken(file, name, f"it overlaps {display_name(last)!r}: it begins at data byte {begin}, before that one's end at {reached}")
    return _broken(file, name, f"there is a hole of {begin - reached} bytes before it (from data byte {reached} to {begin})")


def _broken(file: InputFile, name: str, what: str) -> CorruptInput:
    return CorruptInput(f"{file.name}, tensor {display_name(name)!r}: {what}; the file is damaged, get a fresh copy.")


def _show(value: Any) -> str:
    return display_name(repr(value), 40)
