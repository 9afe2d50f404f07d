"""How far a picture should reach: out until the loss has risen by a set factor on most rays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genscope.landscape.evaluator import Evaluator
from genscope.landscape.points import Params

FACTOR, SHARE = 10.0, 0.8
_RISE = (1.0, 5.0)
_START, _STEPS, _LARGEST = 2.0**-7, 14, 2.0**7


@dataclass(frozen=True)
class Range:
    """The half-width, and whether the loss rose as asked.

    Args:
        radius: half-width in units of the directions.
        reached: share of the rays on which the loss reached the target inside it.
        target: the loss asked for.
        status: ``ok``, or ``doubtful`` when the loss never rose that far on enough rays.
    """

    radius: float
    reached: float
    target: float
    status: str


def find_range(evaluator: Evaluator, origin: Params, directions: Sequence[Params], *, factor: float = FACTOR, share: float = SHARE) -> Range:
    """Double the half-width until the loss has risen on a share of the rays (both ways along each direction).

    It has risen when it is ``factor`` times that at w, and at least 1 and at most 5 above it: tiny and large losses give useful pictures too.
    A loss that is NaN or infinite has left the basin and counts as reached.

    Cost: two evaluations per direction and doubling, at most 14 doublings.
    """
    centre = float(evaluator.along(origin, [], np.zeros((1, 0))).loss[0])
    target = centre + float(np.clip((factor - 1.0) * centre, *_RISE))
    radius, risen = _START, np.zeros(2 * len(directions), dtype=bool)
    for _ in range(_STEPS + 1):
        for k, direction in enumerate(directions):
            for side, sign in enumerate((1.0, -1.0)):
                if not risen[2 * k + side]:
                    loss = evaluator.along(origin, [direction], np.array([[sign * radius]])).loss[0]
                    risen[2 * k + side] = not loss < target
        if risen.mean() >= share or radius >= _LARGEST:
            break
        radius *= 2
    reached = float(risen.mean())
    return Range(radius if reached >= share else min(radius, 1.0), reached, target, "ok" if reached >= share else "doubtful")
