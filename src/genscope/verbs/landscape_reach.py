"""How far a slice or a plane reaches: as asked, as before, or as far as the loss says."""

from collections.abc import Sequence

import numpy as np

from genscope.errors import UsageError
from genscope.landscape.auto_range import Range, find_range
from genscope.landscape.directions import Direction
from genscope.verbs.landscape_subject import Subject

RAYS = 8


def reach_of(subject: Subject, directions: Sequence[Direction], radius: float | None) -> Range:
    """The half-width that was given, that a resumed surface has, or that the loss asks for.

    Raises:
        UsageError: the given one is not a positive number.
    """
    if radius is not None:
        if not radius > 0 or not np.isfinite(radius):
            raise UsageError("The radius must be a positive number.")
        return Range(float(radius), 0.0, 0.0, "given")
    kept = subject.earlier().get("range")
    return Range(**kept) if kept else find_range(subject.evaluator, subject.network.params, [one.tensors for one in directions[:RAYS]])
