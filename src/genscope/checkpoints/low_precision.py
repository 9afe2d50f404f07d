"""Stored floating-point bytes to float32 or float64 arrays, exactly."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from genscope.errors import UnsupportedInput

BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1, "float8_e4m3fnuz": 1, "float8_e5m2": 1, "float8_e5m2fnuz": 1}
_EIGHT_BIT = {"float8_e4m3fn": (4, 7, "fn"), "float8_e4m3fnuz": (4, 8, "fnuz"), "float8_e5m2": (5, 15, "ieee"), "float8_e5m2fnuz": (5, 16, "fnuz")}


def widen(raw: Any, dtype: str, shape: Sequence[int]) -> np.ndarray:
    """Little-endian ``raw`` bytes of ``dtype`` as an array of ``shape``: float64 stays, everything narrower becomes float32.

    Raises:
        UnsupportedInput: not a floating-point type of this table.

    Example:
        >>> widen(bytes([0x80, 0x3F, 0x00, 0xC0]), "bfloat16", (2,)).tolist()
        [1.0, -2.0]
    """
    if dtype in ("float64", "float32"):
        return np.frombuffer(raw, dtype="<f8" if dtype == "float64" else "<f4").reshape(shape)
    if dtype == "float16":
        return np.frombuffer(raw, dtype="<f2").astype(np.float32).reshape(shape)
    if dtype == "bfloat16":
        wide = np.frombuffer(raw, dtype="<u2").astype(np.uint32)
        wide <<= 16
        return wide.view(np.float32).reshape(shape)
    if dtype in _EIGHT_BIT:
        return eight_bit_table(dtype)[np.frombuffer(raw, dtype=np.uint8)].reshape(shape)
    raise UnsupportedInput(f"values of type {dtype} cannot be read as numbers.")


@cache
def eight_bit_table(dtype: str) -> np.ndarray:
    """The 256 values of an 8-bit float as float32."""
    exponent_bits, bias, style = _EIGHT_BIT[dtype]
    table = np.array([_eight_bit_value(code, exponent_bits, bias, style) for code in range(256)], dtype=np.float32)
    table.setflags(write=False)
    return table


def _eight_bit_value(code: int, exponent_bits: int, bias: int, style: str) -> float:
    mantissa_bits = 7 - exponent_bits
    sign = -1.0 if code & 0x80 else 1.0
    exponent, mantissa = (code & 0x7F) >> mantissa_bits, code & ((1 << mantissa_bits) - 1)
    if style == "fnuz" and code == 0x80:
        return math.nan
    if style == "fn" and code & 0x7F == 0x7F:
        return math.nan
    if style == "ieee" and exponent == (1 << exponent_bits) - 1:
        return math.nan if mantissa else sign * math.inf
    if exponent == 0:
        return sign * math.ldexp(mantissa, 1 - bias - mantissa_bits)
    return sign * math.ldexp((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits)
