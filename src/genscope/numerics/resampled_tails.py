"""Tail fits of many resamples at once: what the exact scan does for one spectrum, on a grid of tail sizes and of points.

A resample's fit is only ever one draw among hundreds, so ``xmin`` is chosen among 48 tail sizes in geometric steps, the KS distance
of each is seen through 12 points of its tail, and the best five are looked at again through 64. Work per resample is a thousand
exponentials whatever ``n``; what it loses against the exact scan is measured in ``tests/numerics/test_resampled_tails.py``.
"""

import numpy as np

N_SIZES = 48
_FIRST = (np.arange(12) + 0.5) / 12.0
_SECOND = 2 * np.arange(64) + 1  # of 128 parts
_KEPT = 5
_NO_SPREAD = 1e-6


def tail_sizes(n: int, smallest: int) -> np.ndarray:
    """Tail sizes to try: ``smallest … n`` in geometric steps, each once."""
    return np.unique(np.round(np.geomspace(smallest, n, N_SIZES)).astype(np.int64))


def with_replacement(logs: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` sorted resamples of ``logs``, [count, n] float32: counted, not sorted."""
    n = logs.size
    picked = rng.integers(0, n, (count, n))
    picked += np.arange(count)[:, None] * n
    counts = np.bincount(picked.ravel(), minlength=count * n)
    return np.repeat(np.broadcast_to(logs.astype(np.float32), (count, n)).ravel(), counts).reshape(count, n)


def semi_parametric(logs: np.ndarray, start: int, rate: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` sorted samples, [count, n] float32, of the fitted model: the body resampled, the tail drawn from the power law.

    Each value lies in the tail with the observed share (Clauset, Shalizi & Newman 2009, section 4.1). The tail's order statistics
    come sorted, as cumulative sums of ``E_j / (n - j)`` with standard exponential ``E_j`` (Rényi 1953).
    """
    n = logs.size
    below = rng.binomial(n, start / n, count) if start else np.zeros(count, dtype=np.int64)
    in_tail = np.arange(n) >= below[:, None]
    steps = rng.standard_exponential((count, n), dtype=np.float32)
    steps *= (1.0 / (rate * np.arange(n, 0, -1))).astype(np.float32)
    steps *= in_tail
    values = np.cumsum(steps, axis=1)
    values += np.float32(logs[start])
    if start:
        kind = np.uint16 if n < 65535 else np.int64
        picked = rng.integers(0, start, (count, n), dtype=kind)
        picked[in_tail] = np.iinfo(kind).max
        picked.sort(axis=1, kind="stable")  # a radix sort for 16-bit integers
        np.copyto(values, logs.astype(np.float32)[np.minimum(picked, start - 1)], where=~in_tail)
    return values


def fit_tails(samples: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``alpha - 1``, tail size and KS distance of each row's best tail.

    Args:
        samples: ascending logarithms, [count, n] float32.
        sizes: tail sizes to try.

    Returns:
        Three arrays [count]; ``alpha - 1`` is 0 where a row has no tail with any spread.
    """
    count, n = samples.shape
    above = np.cumsum(samples[:, ::-1], axis=1, dtype=np.float64)[:, ::-1]
    points = (sizes * _FIRST[:, None]).astype(np.int64)
    starts = np.broadcast_to(n - sizes, (count, sizes.size))
    rate = _rates(samples, above, starts)
    seen = samples[:, (n - sizes) + points]  # [count, points, sizes]
    seen -= samples[:, n - sizes][:, None, :]
    distance = _gaps(seen, rate[:, None, :], (sizes - points)[None], sizes, axis=1)
    distance[rate <= 0.0] = np.inf
    kept = np.argpartition(distance, min(_KEPT, sizes.size) - 1, axis=1)[:, :_KEPT]
    starts = _first_of_tie(samples, n - sizes[kept])
    rate = _rates(samples, above, starts)
    size = n - starts
    points = (size * _SECOND[:, None, None]) >> 7  # [points, count, kept]
    rows = np.arange(count)[:, None] * n
    seen = samples.ravel().take(points + (starts + rows))
    seen -= samples.ravel().take(starts + rows)
    distance = np.maximum(_gaps(seen, rate[None], size - points, size, axis=0), np.take_along_axis(distance, kept, axis=1))
    distance[rate <= 0.0] = np.inf
    best = distance.argmin(axis=1)[:, None]
    rate, size, distance = (np.take_along_axis(part, best, axis=1)[:, 0] for part in (rate, size, distance))
    return rate, size, distance


def _rates(samples: np.ndarray, above: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """``alpha - 1`` of the tails at ``starts``, [count, tails]; 0 without spread."""
    size = samples.shape[1] - starts
    spread = np.take_along_axis(above, starts, axis=1) - size * np.take_along_axis(samples, starts, axis=1).astype(np.float64)
    safe = spread > _NO_SPREAD * size
    return np.where(safe, size / np.where(safe, spread, 1.0), 0.0)


def _gaps(seen: np.ndarray, rate: np.ndarray, ranks: np.ndarray, size: np.ndarray, axis: int) -> np.ndarray:
    """Largest two-sided gap over the points along ``axis``; overwrites ``seen``, the logarithms above the tail's start."""
    seen *= -rate.astype(np.float32)
    np.exp(seen, out=seen)
    np.subtract((ranks / size).astype(np.float32), seen, out=seen)
    return np.maximum(seen.max(axis=axis), 1.0 / size - seen.min(axis=axis))


def _first_of_tie(samples: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Move each start back to the first entry equal to it: one binary search over all rows, kept apart by an offset."""
    count, n = samples.shape
    offsets = np.arange(count)[:, None] * (float(np.ptp(samples)) + 1.0)
    values = np.take_along_axis(samples, starts, axis=1)
    return np.searchsorted((samples + offsets).ravel(), values + offsets) - np.arange(count)[:, None] * n
