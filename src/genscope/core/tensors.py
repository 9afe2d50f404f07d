"""What a checkpoint is made of, before any tensor is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True)
class TensorSpec:
    """Name, shape and storage of one tensor; known without reading its values.

    Args:
        name: the tensor's name in the checkpoint, wrapper prefixes (``module.``) removed.
        shape: its dimensions.
        dtype: ``float64 float32 float16 bfloat16 float8_e4m3fn float8_e5m2 int8 uint8 … bool complex64``,
            or the format's own word (``Q4_0``) for block-quantized tensors.
        n_bytes: bytes that hold it in the file.
        kind: the layer kind if the source knows it (``linear conv2d embedding lstm …``), else ``None`` and the
            kind is inferred from name and shape.
        layout: ``"torch"`` ([out, in], [out, in, kh, kw]) or ``"keras"`` ([in, out], [kh, kw, in, out]).
        attributes: facts the source knows (``groups``, ``stride``, ``padding``, ``num_heads``).
        aliases: other names of the same storage (tied weights); the tensor is counted once, under ``name``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    n_bytes: int
    kind: str | None = None
    layout: str = "torch"
    attributes: Mapping[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()

    @property
    def n_elements(self) -> int:
        """Number of elements, in Python integers (no wrap-around)."""
        count = 1
        for size in self.shape:
            count *= size
        return count


@dataclass(frozen=True)
class Skip:
    """A tensor that gives no matrix, and why, in a sentence."""

    layer: str
    reason: str


@runtime_checkable
class Checkpoint(Protocol):
    """Tensors behind names, read one at a time.

    ``specs`` lists what can be read; ``skips`` what the format holds but genscope cannot read, with reasons; ``notes``
    are sentences for the user (what was chosen, merged or ignored).
    """

    source: str
    format: str
    specs: Sequence[TensorSpec]
    skips: Sequence[Skip]
    notes: Sequence[str]
    metadata: Mapping[str, Any]

    def read(self, name: str) -> np.ndarray:
        """Read one tensor as float32 (16- and 8-bit floats are widened exactly) or float64.

        Raises:
            GenscopeError: the tensor's bytes are missing, inconsistent or beyond a limit.
        """
        ...

    def close(self) -> None:
        """Release files; reading afterwards is an error."""
        ...
