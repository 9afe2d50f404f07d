"""What of a network's input space is drawn: the plane, its window, and the examples that are measured."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genscope.core.seeds import generator_for
from genscope.errors import UnsupportedInput, UsageError
from genscope.landscape.boundary import Extent, InputPlane, coordinate_plane, extent_around, plane_through
from genscope.networks.outputs import predictions


def joined(batches: Sequence[tuple[Any, Tensor]]) -> tuple[Tensor, Tensor]:
    """All inputs and labels as two tensors.

    Raises:
        UnsupportedInput: the inputs are tokens or several tensors.
    """
    if not all(isinstance(x, Tensor) and x.is_floating_point() for x, _ in batches):
        raise UnsupportedInput("A decision boundary is drawn for inputs that are one tensor of numbers; tokens and several inputs have no distances.")
    return torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])


def window_of(
    logits: Any, x: Tensor, y: Tensor, through: Sequence[int] | None, extent: Sequence[float] | None, flat: bool
) -> tuple[InputPlane, list[int] | None, Extent]:
    """The plane, the examples that span it, and the part of it that is drawn."""
    chosen: list[int] | None = None
    if flat and through is None:
        plane, shown = coordinate_plane(x[0]), x.reshape(len(x), 2)
    else:
        chosen = _three(logits, x, y) if through is None else [int(index) for index in through]
        if len(set(chosen)) != 3 or min(chosen) < 0 or max(chosen) >= len(x):
            raise UsageError(f"The plane needs the numbers of three different training examples from 0 to {len(x) - 1}.")
        plane = plane_through(x[chosen])
        shown = plane.project(x[chosen])[0]
    return plane, chosen, Extent(*(float(value) for value in extent)) if extent is not None else extent_around(shown, 0.1 if chosen is None else 0.3)


def _three(logits: Any, x: Tensor, y: Tensor) -> list[int]:
    """The first example of each of three classes, correctly classified ones first; where there are fewer classes, further examples."""
    with torch.no_grad():
        part = x[:2000]
        right = predictions(logits(part)) == y[: len(part)]
    order = [*right.nonzero().squeeze(1).tolist(), *(~right).nonzero().squeeze(1).tolist()]
    found: dict[int, int] = {}
    for index in order:
        found.setdefault(int(y[index]), index)
    chosen = [found[label] for label in sorted(found)][:3]
    chosen += [index for index in order if index not in chosen][: 3 - len(chosen)]
    if len(chosen) < 3:
        raise UsageError(f"A plane needs three examples, and there are {len(x)}.")
    return chosen


def examples_of(n: int, wanted: int, seed: int) -> Tensor:
    """Which examples are measured: all, or ``wanted`` drawn with the seed."""
    if n <= wanted:
        return torch.arange(n)
    return torch.from_numpy(np.sort(generator_for(seed, "boundary", "examples").choice(n, wanted, replace=False)))
