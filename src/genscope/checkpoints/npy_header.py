"""The header of a ``.npy`` array: a Python literal, parsed without evaluating anything."""

import ast
import re
import struct
import warnings
from dataclasses import dataclass

from genscope.checkpoints.limits import Limits, checked_shape
from genscope.errors import CorruptInput, LimitExceeded, UnsupportedInput, UsageError

MAGIC = b"\x93NUMPY"
MAX_HEADER = 10_000
_DESCRIPTION = re.compile(r"^(?P<order>[<>|=]?)(?P<kind>[A-Za-z?])(?P<size>\d{0,9})(\[\w+\])?$")
_SKIPPED = {
    "O": "holds Python objects (never unpickled)",
    "U": "holds text",
    "S": "holds byte strings",
    "a": "holds byte strings",
    "M": "holds dates",
    "m": "holds durations",
    "?": "holds booleans (no spectrum is defined for them)",
    "b": "holds booleans (no spectrum is defined for them)",
    "i": "holds integers (no spectrum is defined for them)",
    "u": "holds integers (no spectrum is defined for them)",
    "c": "holds complex numbers, which genscope does not analyze",
}
LOST_TYPES = {"bf16": "bfloat16", "bfloat16": "bfloat16", "float8_e4m3fn": "float8_e4m3fn", "float8_e5m2": "float8_e5m2"}
_LOST_BYTES = {"bfloat16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1}


@dataclass(frozen=True)
class NpyHeader:
    """Shape, element type and where the values begin; ``skip`` says why an array has no spectrum."""

    shape: tuple[int, ...]
    dtype: str
    item: int
    big_endian: bool
    fortran: bool
    data_at: int
    skip: str | None = None


def prefix_length(head: bytes, label: str) -> int:
    """Bytes up to the first value, from the first 12 bytes of the array."""
    if not head.startswith(MAGIC) or len(head) < 10:
        raise CorruptInput(f"{label} is not a NumPy array file (it begins with {head[:6]!r}).")
    major = head[6]
    if major not in (1, 2, 3):
        raise UnsupportedInput(f"{label}: NumPy format version {major}.{head[7]} is not known; save it again with a current NumPy.")
    if major > 1 and len(head) < 12:
        raise CorruptInput(f"{label} ends inside its header; was it downloaded completely?")
    length, start = (struct.unpack_from("<H", head, 8)[0], 10) if major == 1 else (struct.unpack_from("<I", head, 8)[0], 12)
    if length > MAX_HEADER:
        raise LimitExceeded(f"{label}: the array header is {length} bytes long and the limit is {MAX_HEADER}.")
    return int(start + length)


def parse_header(prefix: bytes, label: str, limits: Limits, npy_dtype: str | None) -> NpyHeader:
    """Parse the bytes before the values; ``npy_dtype`` names the type of arrays that NumPy saved as raw bytes (``V2``)."""
    text = prefix[10 if prefix[6] == 1 else 12 :].decode("utf-8" if prefix[6] == 3 else "latin-1", "replace")
    described = _literal(text, label)
    shape = described["shape"]
    if not isinstance(shape, tuple) or not isinstance(described["fortran_order"], bool):
        raise CorruptInput(f"{label}: the array header has a malformed shape or order.")
    checked = checked_shape(shape, limits, label)
    if not isinstance(described["descr"], str):
        return NpyHeader(checked, "structured", 0, False, False, len(prefix), "holds structured records")
    dtype, item, big_endian, skip = _element(described["descr"], label, npy_dtype)
    return NpyHeader(checked, dtype, item, big_endian, described["fortran_order"], len(prefix), skip)


def _literal(text: str, label: str) -> dict[str, object]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        value = None
    if not isinstance(value, dict) or set(value) != {"descr", "fortran_order", "shape"}:
        raise CorruptInput(f"{label}: the array header is not the plain description that NumPy writes; the file is damaged or hostile.")
    return value


def _element(descr: str, label: str, npy_dtype: str | None) -> tuple[str, int, bool, str | None]:
    match = _DESCRIPTION.match(descr)
    if match is None:
        raise CorruptInput(f"{label}: the array header names the unknown element type {descr[:40]!r}.")
    kind, size = match["kind"], int(match["size"] or 0)
    if kind == "f" and size in (2, 4, 8):
        return f"float{8 * size}", size, match["order"] == ">", None
    if kind == "V":
        return _lost_type(size, npy_dtype)
    if kind == "f":
        return descr, size, False, f"holds {8 * size}-bit floats, a type without a fixed layout"
    if kind not in _SKIPPED:
        raise CorruptInput(f"{label}: the array header names the unknown element type {descr[:40]!r}.")
    return descr, size, False, _SKIPPED[kind]


def _lost_type(size: int, npy_dtype: str | None) -> tuple[str, int, bool, str | None]:
    if npy_dtype is None:
        hint = {2: "; pass --npy-dtype bf16 if it was bfloat16", 1: "; pass --npy-dtype float8_e4m3fn or float8_e5m2 if it was one of these"}.get(
            size, ""
        )
        return f"V{size}", size, False, f"dtype lost (NumPy saved raw {size}-byte items){hint}"
    if npy_dtype not in LOST_TYPES:
        raise UsageError(f"--npy-dtype {npy_dtype!r} is not one of {', '.join(LOST_TYPES)}.")
    dtype = LOST_TYPES[npy_dtype]
    if _LOST_BYTES[dtype] != size:
        return f"V{size}", size, False, f"dtype lost: raw {size}-byte items cannot be {dtype}"
    return dtype, size, False, None
