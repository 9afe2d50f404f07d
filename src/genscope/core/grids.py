"""Dense grids inside JSON: a few hundred bytes where a list of lists would take a megabyte."""

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from genscope.errors import CorruptInput

KINDS: dict[str, np.dtype] = {"uint8": np.dtype("u1"), "float32": np.dtype("<f4")}
LARGEST = 2**26


def pack_grid(grid: np.ndarray) -> dict[str, Any]:
    """A grid of small whole numbers (as bytes) or of floats (as float32), compressed.

    Args:
        grid: any shape; integers must lie in 0 … 255.

    Example:
        >>> unpack_grid(pack_grid(np.array([[1, 2], [3, 4]]))).tolist()
        [[1, 2], [3, 4]]
    """
    if grid.dtype.kind in "iub":
        if grid.size and (grid.min() < 0 or grid.max() > 255):
            raise ValueError("whole numbers outside 0 … 255 do not fit a byte")
        kind = "uint8"
    else:
        kind = "float32"
    raw = np.ascontiguousarray(grid.astype(KINDS[kind])).tobytes()
    return {"shape": list(grid.shape), "type": kind, "zlib": base64.b64encode(zlib.compress(raw, 9)).decode()}


def unpack_grid(packed: Any) -> np.ndarray:
    """The grid that :func:`pack_grid` packed, from a document that nobody vouches for.

    Raises:
        CorruptInput: not such a grid, too large, or damaged.
    """
    if not isinstance(packed, Mapping) or packed.get("type") not in KINDS or not isinstance(packed.get("zlib"), str):
        raise CorruptInput("A grid of the result is damaged; compute the result again.")
    shape, kind = packed.get("shape"), KINDS[packed["type"]]
    if not isinstance(shape, list) or not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= LARGEST for n in shape):
        raise CorruptInput("A grid of the result has no valid shape; compute the result again.")
    size = kind.itemsize
    for n in shape:
        size *= n
    if size > LARGEST:
        raise CorruptInput(f"A grid of the result would take {size} bytes, more than the {LARGEST} that are allowed.")
    try:
        # one byte more than announced is enough to see that a stream holds more
        stream = zlib.decompressobj()
        raw = stream.decompress(base64.b64decode(packed["zlib"], validate=True), size + 1)
    except (zlib.error, binascii.Error, ValueError):
        raise CorruptInput("A grid of the result is damaged; compute the result again.") from None
    if len(raw) != size or not stream.eof:
        raise CorruptInput("A grid of the result is longer or shorter than its shape; compute the result again.")
    return np.frombuffer(raw, kind).reshape(shape)
