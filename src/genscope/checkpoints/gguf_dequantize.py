"""Block types of GGUF: their sizes, and their values through the ``gguf`` package's NumPy kernels."""

import importlib.util
from typing import Any

import numpy as np

# id: (name, elements per block, bytes per block)
TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50), 20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18),
}  # fmt: skip
FLOATS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
INTEGERS = {"I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64"}


def why_not_dequantized(type_id: int) -> str | None:
    """``None`` if blocks of this type can be turned into numbers here, else the reason in words."""
    name, _, block_bytes = TYPES[type_id]
    if importlib.util.find_spec("gguf") is None:
        return f"quantized as {name}; install genscope[gguf] to read it"
    try:
        dequantize_rows(np.zeros((1, block_bytes), dtype=np.uint8), type_id)
    except (NotImplementedError, ValueError):
        return f"quantized as {name}, which the installed gguf package cannot dequantize"
    return None


def dequantize_rows(rows: np.ndarray, type_id: int) -> np.ndarray:
    """Bytes [n_rows, bytes_per_row] as float32 [n_rows, elements_per_row]."""
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    # Damaged scales may hold infinities; what comes out is judged where tensors are, not warned about here.
    with np.errstate(all="ignore"):
        values: Any = dequantize(rows, GGMLQuantizationType(type_id))
    return np.asarray(values, dtype=np.float32)
