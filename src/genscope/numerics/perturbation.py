"""Networks at many points of weight space: seeded noise with common random numbers, evaluated in stacks where that pays."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

Params = dict[str, Any]
Statistic = Callable[[Params, Any, Any], Any]
Batches = Iterable[tuple[Any, Any]]

# Stacks larger than this many parameters leave the cache and lose what batching gains.
_STACKED_PARAMETERS = 2**22


def standard_noise(params: Mapping[str, Any], seed: int) -> Params:
    """One standard normal draw in the shape of ``params``, the same for the same seed on every device.

    Args:
        params: name to tensor.
        seed: a non-negative integer; the draw with the same seed can be made again instead of being kept.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(value.shape, generator=generator, dtype=value.dtype if value.dtype != torch.bfloat16 else torch.float32).to(value)
        for name, value in params.items()
    }


def noise_seeds(rng: np.random.Generator, count: int) -> list[int]:
    """Seeds of ``count`` draws, to be reused at every scale (common random numbers)."""
    return [int(seed) for seed in rng.integers(0, 2**62, size=count)]


def perturbed_points(params: Params, widths: Mapping[str, Any], seeds: Iterable[int], factor: float) -> Iterator[Params]:
    """``w + factor · widths ⊙ ε_k`` for each seed k, made one at a time.

    Args:
        params: the centre.
        widths: name to tensor (or number) of standard deviations at ``factor = 1``.
        seeds: one per point.
        factor: the common scale.
    """
    for seed in seeds:
        noise = standard_noise(params, seed)
        yield {name: value + factor * widths[name] * noise[name] for name, value in params.items()}


def stack_size(params: Mapping[str, Any]) -> int:
    """How many points to evaluate at once: many for small networks of matrices, one for convolutions (stacking does not help them on a CPU)."""
    total = sum(value.numel() for value in params.values())
    if not total or any(value.ndim > 2 for value in params.values()):
        return 1
    return int(min(64, max(1, _STACKED_PARAMETERS // (4 * total))))


def evaluate_points(statistic: Statistic, points: Iterable[Params], batches: Batches, *, stack: int = 1) -> np.ndarray:
    """Sum ``statistic(point, x, y)`` over the batches for each point.

    Args:
        statistic: maps parameters and a batch to a vector of sums ``[s]``.
        points: parameter dictionaries; consumed lazily, at most ``stack`` of them alive.
        batches: re-iterable of ``(x, y)``.
        stack: points per ``torch.func.vmap`` call; 1 loops. A network that cannot be stacked falls back to the loop.

    Returns:
        ``[points, s]`` in float64.
    """
    import torch

    rows: list[np.ndarray] = []
    remaining = iter(points)
    with torch.no_grad():
        while group := list(islice(remaining, max(1, stack))):
            sums = _stacked(statistic, group, batches) if len(group) > 1 else None
            if sums is None:
                stack = 1
                sums = torch.stack([_total(statistic, point, batches) for point in group])
            rows.append(sums.double().cpu().numpy())
    return np.concatenate(rows) if rows else np.zeros((0, 0))


def _total(statistic: Statistic, point: Params, batches: Batches) -> Any:
    total = None
    for x, y in batches:
        value = statistic(point, x, y).double()
        total = value if total is None else total + value
    return total


def _stacked(statistic: Statistic, group: list[Params], batches: Batches) -> Any:
    import torch

    stacked = {name: torch.stack([point[name] for point in group]) for name in group[0]}
    batched = torch.func.vmap(statistic, in_dims=(0, None, None))
    try:
        return sum(batched(stacked, x, y).double() for x, y in batches)
    except (RuntimeError, ValueError):
        # Data-dependent control flow or in-place updates cannot be vectorised; the loop computes the same numbers.
        return None
