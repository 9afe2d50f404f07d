"""From changed matrices back to the tensor they came from, for smoothed copies of a model."""

import numpy as np

from genscope.core.matrices import MatrixSpec
from genscope.errors import UsageError
from genscope.layers.steps import apply_steps


def write_back(spec: MatrixSpec, tensor: np.ndarray, stack: np.ndarray) -> np.ndarray:
    """The tensor with the entries of one view replaced: the inverse of ``build_matrix``.

    Views of one tensor (gates, kernel positions, experts) cover different entries, so they are written one after the other.

    Args:
        spec: the view that ``stack`` came from.
        tensor: the tensor as read; not changed.
        stack: [n_matrices, rows, cols], new values.

    Returns:
        A new array, shape and dtype of ``tensor``.

    Raises:
        UsageError: a view that is not a rearrangement of one tensor (``operator``, ``lora_BA``), or a stack of another shape.

    Cost: one copy and one integer per entry.

    Example:
        >>> from genscope.core.tensors import TensorSpec
        >>> from genscope.layers.matricize import plan_matrices
        >>> only = plan_matrices([TensorSpec("c.weight", (2, 3, 1, 2), "float32", 48)]).matrices[0]
        >>> write_back(only, np.zeros((2, 3, 1, 2)), np.ones((2, 2, 3))).sum()
        np.float64(12.0)
    """
    if spec.recipe[0] != "steps":
        raise UsageError(f"{spec.key!r} is not a rearrangement of one tensor, so it cannot be written back; use the slices or reshape view.")
    places = apply_steps(np.arange(tensor.size).reshape(tensor.shape), spec.recipe[2])
    if places.shape != np.shape(stack):
        raise UsageError(f"{spec.key!r} needs a stack of shape {list(places.shape)}, not {list(np.shape(stack))}.")
    out = np.array(tensor, order="C")
    out.reshape(-1)[places] = stack
    return out
