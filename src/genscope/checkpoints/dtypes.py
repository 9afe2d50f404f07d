"""Words for stored element types, their sizes, and what is said of those that have no spectrum."""

from typing import Any

import numpy as np

from genscope.checkpoints.low_precision import BYTES, widen

INTEGERS = {
    "bool": ("?", 1),
    "int8": ("<i1", 1),
    "uint8": ("<u1", 1),
    "int16": ("<i2", 2),
    "uint16": ("<u2", 2),
    "int32": ("<i4", 4),
    "uint32": ("<u4", 4),
    "int64": ("<i8", 8),
    "uint64": ("<u8", 8),
}
COMPLEX = {"complex32": 4, "complex64": 8, "complex128": 16}
READABLE = ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")
ITEM_BYTES = {**BYTES, **{name: size for name, (_, size) in INTEGERS.items()}, **COMPLEX}


def dtype_reason(dtype: str) -> str | None:
    """Why a tensor of this type is not analyzed, or ``None`` if it is.

    Example:
        >>> dtype_reason("float32") is None
        True
        >>> dtype_reason("complex64")
        'complex values (complex64): no measure here is defined for them'
    """
    if dtype in READABLE:
        return None
    if dtype in INTEGERS:
        return f"integer values ({dtype}): not weights"
    if dtype.startswith("complex"):
        return f"complex values ({dtype}): no measure here is defined for them"
    return f"unsupported dtype {dtype}"


def decode(raw: Any, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Little-endian bytes as an array: floats as float32 or float64, integers as they are."""
    if dtype in INTEGERS:
        return np.frombuffer(raw, dtype=INTEGERS[dtype][0]).reshape(shape)
    return widen(raw, dtype, shape)


def swapped(raw: bytearray, item: int) -> bytearray:
    """``raw`` with the bytes of each element reversed (big-endian files)."""
    return bytearray(np.frombuffer(raw, dtype=f"V{item}").view(np.uint8).reshape(-1, item)[:, ::-1].tobytes()) if item > 1 else raw
