"""Arrays as the bytes of a safetensors file and back: exact, the same bytes for the same arrays, no package needed."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

WORDS = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8",
    "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
_KINDS = {word: np.dtype(kind).newbyteorder("<") for kind, word in WORDS.items()}


def packed(arrays: Mapping[str, Any]) -> bytes:
    """A safetensors file of ``arrays`` (name to array), sorted by name.

    Raises:
        TypeError: an array of a type that safetensors cannot hold (complex numbers, objects, texts).

    Example:
        >>> unpacked(packed({"radii": np.arange(3)}))["radii"].tolist()
        [0, 1, 2]
    """
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    offset = 0
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        if array.dtype.name not in WORDS:
            raise TypeError(f"the array {name!r} holds {array.dtype.name}; use floats, integers or booleans")
        raw = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
        header[name] = {"dtype": WORDS[array.dtype.name], "shape": list(array.shape), "data_offsets": [offset, offset + len(raw)]}
        parts.append(raw)
        offset += len(raw)
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return b"".join((len(text).to_bytes(8, "little"), text, *parts))


def unpacked(raw: bytes) -> dict[str, np.ndarray]:
    """The arrays of a file that :func:`packed` wrote, each with memory of its own.

    Raises:
        ValueError: the bytes contradict themselves.
    """
    size = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or size > len(raw) - 8:
        raise ValueError("the header is longer than the file")
    header = json.loads(raw[8 : 8 + size])
    if not isinstance(header, dict):
        raise ValueError("the header is no table")
    body = memoryview(raw)[8 + size :]
    found = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            kind, shape, (begin, end) = _KINDS[entry["dtype"]], tuple(entry["shape"]), entry["data_offsets"]
        except (KeyError, TypeError) as error:
            raise ValueError(f"the entry of {name!r} is not understood") from error
        if not 0 <= begin <= end <= len(body) or end - begin != math.prod(shape) * kind.itemsize:
            raise ValueError(f"the bytes of {name!r} do not fit its shape")
        found[name] = np.frombuffer(body[begin:end], dtype=kind).reshape(shape).astype(kind.newbyteorder("="), copy=True)
    return found
