"""Writing a safetensors file one tensor at a time, so that a copy of a model never needs the model in memory."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from genscope.core.files import atomic_stream
from genscope.core.tensors import TensorSpec
from genscope.errors import StoreError

# dtype of the source -> (word in the file, bytes per element); what genscope reads widened but cannot round to is kept as float32
WORDS = {"float64": ("F64", 8), "float32": ("F32", 4), "float16": ("F16", 2), "bfloat16": ("BF16", 2)}


def write_safetensors(
    path: Path, specs: Sequence[TensorSpec], produce: Callable[[TensorSpec], np.ndarray], metadata: dict[str, str] | None = None
) -> None:
    """Write ``produce(spec)`` for every spec, in order; the file appears under its name only when complete.

    Args:
        path: the new file.
        specs: names, shapes and the dtype to store each tensor in (other than float64/32/16 and bfloat16: float32).
        produce: gives one tensor as float32 or float64 of the spec's shape.
        metadata: strings for the header.

    Raises:
        StoreError: the file cannot be written; an old file is untouched.
    """
    header: dict[str, object] = {"__metadata__": metadata or {"format": "pt"}}
    offset = 0
    for spec in specs:
        word, size = WORDS.get(spec.dtype, WORDS["float32"])
        end = offset + spec.n_elements * size
        header[spec.name] = {"dtype": word, "shape": list(spec.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with atomic_stream(path) as stream:
        stream.write(len(text).to_bytes(8, "little"))
        stream.write(text)
        for spec in specs:
            stream.write(_stored(produce(spec), spec))


def _stored(array: np.ndarray, spec: TensorSpec) -> bytes:
    if array.shape != spec.shape:
        raise StoreError(f"{spec.name}: shape {array.shape} does not match {spec.shape}.")
    if spec.dtype == "bfloat16":
        bits = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32)
        # round to nearest, ties to even, on the upper 16 bits
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()
    kind = {"float64": "<f8", "float16": "<f2"}.get(spec.dtype, "<f4")
    return np.ascontiguousarray(array, dtype=kind).tobytes()
