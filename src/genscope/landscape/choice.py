"""Which way of evaluating is fastest for this network on this machine: measured on a few points, and only among ways that agree."""

import time
from collections.abc import Sequence

import numpy as np

from genscope.errors import GenscopeError
from genscope.landscape.backends import Compiled
from genscope.landscape.evaluator import Evaluator
from genscope.landscape.points import Params
from genscope.landscape.readings import Readings

AGREEMENT = 1e-5
_WORTH_COMPILING = 20.0  # seconds that the loop would take: below it, compiling costs more than it gains
_CLEARLY = 0.9  # another way than the first must take at most this share of its time, so that noise does not choose
_FEW = 3


def fastest(evaluator: Evaluator, directions: Sequence[Params], points: int) -> Evaluator:
    """The evaluator in the way that took the least time per point, among those whose readings agree with the plain loop to 1e-5.

    Args:
        evaluator: as made with ``backend=None``.
        directions: those of the surface; points on the first two are tried.
        points: how many will be evaluated, which decides whether a compilation is worth its seconds.

    Returns:
        The evaluator to use; its ``timings`` hold seconds per point of every way that was tried.
    """
    trial = np.zeros((_FEW, min(2, len(directions))))
    trial[:, :1] = np.linspace(0.0, 0.05, _FEW)[:, None]
    loop = evaluator.with_backend("loop")
    reference, seconds = _timed(loop, directions, trial)
    timings, best = {"loop": seconds}, loop
    for name in _candidates(evaluator, seconds * points):
        try:
            candidate = evaluator.with_backend(name)
            _timed(candidate, directions, trial[:1])  # warms up: compiles, fills caches
            many = np.resize(trial, (min(candidate.chunk, 16, max(points, _FEW)), trial.shape[1]))
            found, spent = _timed(candidate, directions, many)
        except (GenscopeError, RuntimeError, ValueError, TypeError, NotImplementedError, AssertionError):
            continue  # what a compiler or vmap cannot do for a user's module; the loop can
        if agrees(found, reference):
            timings[name] = spent
            if spent < _CLEARLY * timings[best.backend.name]:
                best = candidate
    best.timings = timings
    return best


def agrees(found: Readings, reference: Readings) -> bool:
    """Whether losses are the same to 1e-5 (relative, or absolute below 1); NaN agrees with NaN."""
    n = min(len(found), len(reference))
    one, other = found.loss[:n], reference.loss[:n]
    return bool(np.allclose(one, other, rtol=AGREEMENT, atol=AGREEMENT, equal_nan=True))


def _candidates(evaluator: Evaluator, loop_seconds: float) -> list[str]:
    found = []
    if evaluator.backend.name == "products":
        found.append("products")
    elif evaluator.network.device.type != "cpu" or not any(value.ndim > 2 for value in evaluator.network.params.values()):
        found.append("vmap")
    if "products" not in found and loop_seconds > _WORTH_COMPILING and Compiled.possible(evaluator.network.device):
        found.append("compiled")
    return found


def _timed(evaluator: Evaluator, directions: Sequence[Params], coordinates: np.ndarray) -> tuple[Readings, float]:
    """Readings, and seconds per point."""
    began = time.perf_counter()
    found = evaluator.along(evaluator.network.params, directions[: coordinates.shape[1]], coordinates)
    return found, (time.perf_counter() - began) / len(coordinates)
