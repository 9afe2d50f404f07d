"""Rearrangements of an array as data: planned on shapes, applied to values later.

A step is ``("transpose", axes)``, ``("reshape", shape)`` or ``("slice", axis, start, stop, stride)``; a tuple of steps ends in
``[n_matrices, rows, cols]``. Being data, a plan can be compared, stored and sent to a worker.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

Step = tuple[Any, ...]
Steps = tuple[Step, ...]


def transpose(*axes: int) -> Step:
    """Reorder axes."""
    return ("transpose", axes)


def reshape(*shape: int) -> Step:
    """Regroup axes."""
    return ("reshape", shape)


def take(axis: int, start: int, stop: int, stride: int = 1) -> Step:
    """Keep ``start:stop:stride`` along one axis."""
    return ("slice", axis, start, stop, stride)


def apply_steps(array: np.ndarray, steps: Sequence[Step]) -> np.ndarray:
    """The rearranged array; a view where NumPy can give one.

    Example:
        >>> apply_steps(np.arange(6).reshape(2, 3), (transpose(1, 0), take(0, 1, 3))).tolist()
        [[1, 4], [2, 5]]
    """
    for step in steps:
        if step[0] == "transpose":
            array = array.transpose(step[1])
        elif step[0] == "reshape":
            array = array.reshape(step[1])
        else:
            _, axis, start, stop, stride = step
            array = array[(slice(None),) * axis + (slice(start, stop, stride),)]
    return array


def shape_after(shape: tuple[int, ...], steps: Sequence[Step]) -> tuple[int, ...]:
    """The shape that :func:`apply_steps` would give, without an array.

    Example:
        >>> shape_after((2, 3), (transpose(1, 0), take(0, 1, 3)))
        (2, 2)
    """
    for step in steps:
        if step[0] == "transpose":
            shape = tuple(shape[axis] for axis in step[1])
        elif step[0] == "reshape":
            shape = tuple(step[1])
        else:
            _, axis, start, stop, stride = step
            shape = (*shape[:axis], len(range(start, stop, stride)), *shape[axis + 1 :])
    return shape
