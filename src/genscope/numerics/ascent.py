"""The worst point near a set of weights: projected ascent whose step finds its own size."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Params = dict[str, Any]
Objective = Callable[[Params], tuple[float, Params]]


@dataclass(frozen=True)
class Ascent:
    """The largest increase found over the centre, where it started, and the gradients spent (the loss of the last point needs none)."""

    increase: float
    centre: float
    n_gradients: int
    worst: Params


def ascend(
    objective: Objective,
    params: Params,
    radii: Mapping[str, Any],
    *,
    steps: int,
    norm: str = "linf",
    starts: tuple[Params, ...] = (),
    at_centre: tuple[float, Params] | None = None,
) -> Ascent:
    """Maximise a loss over ``{w + r ⊙ δ : ‖δ‖ ≤ 1}`` by Auto-PGD (Croce & Hein 2020): momentum .75, step 2 halved at checkpoints without progress.

    The result is a lower bound of the maximum. From the centre the first step follows the gradient; each start in ``starts`` is a further run.

    Args:
        objective: parameters to ``(loss, gradient)``; where it has an attribute ``value``, that gives the loss alone.
        params: the centre w.
        radii: name to tensor r of the region's half-widths (the step is scaled by it, so the problem is a unit ball).
        steps: gradient evaluations per run.
        norm: ``"linf"`` (box) or ``"l2"`` (ellipsoid).
        starts: starting offsets in unit coordinates.
        at_centre: the objective at the centre, where it is known already.
    """
    import torch

    with torch.no_grad():
        zero = {name: torch.zeros_like(value) for name, value in params.items()}
    first = objective(params) if at_centre is None else at_centre
    centre, best, worst, spent = first[0], first[0], params, int(at_centre is None)
    for start in (zero, *starts):
        found, where, used = _run(objective, params, radii, _project(start, norm), steps, norm, first if start is zero else None)
        spent += used
        if found > best:
            best, worst = found, where
    return Ascent(best - centre, centre, spent, worst)


def _run(
    objective: Objective, params: Params, radii: Mapping[str, Any], offset: Params, steps: int, norm: str, first: tuple[float, Params] | None
) -> tuple[float, Params, int]:
    import torch

    checkpoints, period, last = set(), max(2, int(0.22 * steps)), 0
    while last + period < steps:
        last += period
        checkpoints.add(last)
        period = max(int(0.06 * steps), period - max(1, int(0.03 * steps)), 1)
    size, best, best_offset, previous = 2.0, -float("inf"), offset, offset
    improved = halved_at = 0
    last_value = -float("inf")
    best_at_check = -float("inf")
    for step in range(steps):
        point = {name: value + radii[name] * offset[name] for name, value in params.items()}
        value, gradient = first if first is not None and step == 0 else objective(point)
        improved += value > last_value
        last_value = value
        if value > best:
            best, best_offset = value, offset
        if step in checkpoints:
            if improved < 0.75 * (step - halved_at) or best <= best_at_check:
                size /= 2.0
                offset = previous = best_offset
            improved, halved_at, best_at_check = 0, step, best
        with torch.no_grad():
            moved = _project({name: offset[name] + size * part for name, part in _steepest(gradient, radii, norm).items()}, norm)
            mixed = {name: offset[name] + 0.75 * (moved[name] - offset[name]) + 0.25 * (offset[name] - previous[name]) for name in offset}
            previous, offset = offset, _project(mixed if step else moved, norm)
    point = {name: value + radii[name] * offset[name] for name, value in params.items()}
    value = getattr(objective, "value", lambda end: objective(end)[0])(point)
    if value > best:
        best, best_offset = value, offset
    return best, {name: value + radii[name] * best_offset[name] for name, value in params.items()}, steps - (first is not None)


def _steepest(gradient: Params, radii: Mapping[str, Any], norm: str) -> Params:
    """Unit direction of steepest ascent in the coordinates where the region is the unit ball (weights of zero width stay put)."""
    scaled = {name: value * radii[name] for name, value in gradient.items()}
    if norm == "linf":
        return {name: value.sign() for name, value in scaled.items()}
    length = _length(scaled)
    return {name: value / length if length > 0 else value for name, value in scaled.items()}


def _project(offset: Params, norm: str) -> Params:
    if norm == "linf":
        return {name: value.clamp(-1.0, 1.0) for name, value in offset.items()}
    length = max(1.0, _length(offset))
    return {name: value / length for name, value in offset.items()}


def _length(offset: Params) -> float:
    return float(sum(value.double().square().sum() for value in offset.values())) ** 0.5
