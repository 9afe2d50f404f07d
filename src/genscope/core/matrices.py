"""The matrices that tensors become."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class MatrixSpec:
    """One row of an analysis, planned from names and shapes alone.

    Args:
        layer: the tensor's name (``layer1.0.conv1.weight``).
        kind: layer kind (``linear conv2d embedding lstm attention …``).
        view: how the tensor is seen as matrices: ``weight``, ``slices`` (all kernel positions pooled),
            ``slice[1,2]``, ``reshape``, ``operator``, ``q``, ``k``, ``v``, ``gate_i`` …, ``expert[3]``, ``lora_BA``.
        rows, cols: shape of one matrix, oriented [out, in].
        n_matrices: how many matrices of that shape are pooled into one spectrum.
        tensors: names that must be read to build it.
        recipe: how to build it, private to ``genscope.layers``.
    """

    layer: str
    kind: str
    view: str
    rows: int
    cols: int
    n_matrices: int
    tensors: tuple[str, ...]
    recipe: tuple[Any, ...] = ()

    @property
    def key(self) -> str:
        """A name unique within one analysis: ``layer`` and ``view``."""
        return f"{self.layer}::{self.view}"

    @property
    def n_eigenvalues(self) -> int:
        """Eigenvalues of the pooled spectrum: ``n_matrices · min(rows, cols)``."""
        return self.n_matrices * min(self.rows, self.cols)


@dataclass(frozen=True)
class ConvOperator:
    """A convolution as the linear map it is: kernel [out, in/groups, *k], at one input size."""

    kernel: np.ndarray
    input_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: str
    groups: int = 1


@dataclass(frozen=True)
class Matrix:
    """Weights ready for a spectrum.

    ``stack`` has shape [n_matrices, rows, cols] (float32 or float64); for the ``operator`` view ``stack`` is ``None`` and
    ``operator`` holds the convolution.
    """

    spec: MatrixSpec
    stack: np.ndarray | None
    operator: ConvOperator | None = None
    notes: tuple[str, ...] = field(default=())
