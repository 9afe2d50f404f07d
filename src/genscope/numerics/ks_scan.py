"""Kolmogorov–Smirnov distance of a power-law tail for every possible ``xmin``, and its exact minimum without visiting them all.

A candidate's distance is a maximum over the points of its tail, so its value at a few points is a lower bound. The scan keeps a
lower bound per candidate, measures the most promising ones exactly, and raises everybody else's bound at the very points where
those had their largest gaps: neighbouring tails go wrong at the same places, so a handful of rounds leaves no candidate that could
still win. The answer is the exact minimum; typical work is some tens of ``n`` instead of ``n²/2`` exponentials.
"""

import numpy as np

_FIRST_LOOK = (np.arange(8) + 0.5) / 8.0
_SLACK = 1e-13
_NO_SPREAD = 1e-9


def tail_exponents(logs: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Maximum-likelihood ``alpha - 1 = m / Σ (y_j - y_i)`` for tails that start at each candidate; 0 where the tail has no spread.

    Args:
        logs: ascending logarithms whose largest is 0, [n].
        candidates: indices into ``logs`` where tails start.

    Returns:
        [len(candidates)] float64.
    """
    n = logs.size
    above = np.cumsum(logs[::-1])[::-1][candidates]  # from the top, where the logs are small: no cancellation
    count = n - candidates
    spread = above - count * logs[candidates]
    safe = spread > _NO_SPREAD * count
    return np.where(safe, count / np.where(safe, spread, 1.0), 0.0)


def ks_distance(logs: np.ndarray, start: int, rate: float, *, both_steps: bool = True) -> tuple[float, int, int]:
    """Two-sided KS distance of the tail ``logs[start:]`` from ``S(y) = exp(-rate (y - y_start))``, and where its two sides are worst.

    ``D = max_j max(u_j/m - S_j, S_j - (u_j - 1)/m)`` with ``u_j`` the rank from the top (largest = 1) and ``m`` the tail's size: both
    sides of every step of the empirical distribution. Ties need no special care, because the inner steps of a tie lie between its
    outer ones.

    With ``both_steps=False`` only the lower side of each step is seen, ``max_j |u_j/m - S_j|``, as in WeightWatcher.

    Returns:
        The distance, the index of the largest ``u/m - S`` and the index of the smallest.
    """
    size = logs.size - start
    gap = np.arange(size, 0, -1) / size
    gap -= np.exp(-rate * (logs[start:] - logs[start]))
    over, under = int(gap.argmax()), int(gap.argmin())
    return max(float(gap[over]), both_steps / size - float(gap[under])), start + over, start + under


def best_start(logs: np.ndarray, candidates: np.ndarray, rates: np.ndarray, *, both_steps: bool = True) -> tuple[int, float]:
    """Position in ``candidates`` of the smallest KS distance (the smallest ``xmin`` among equals), and that distance; exact.

    Args:
        logs: ascending logarithms, [n].
        candidates: ascending indices where tails may start; in a tie only its first index.
        rates: ``alpha - 1`` of each candidate, positive.
        both_steps: see :func:`ks_distance`.
    """
    n = logs.size
    sizes = n - candidates
    bounds = _bounds(logs, candidates, rates, candidates[:, None] + (sizes[:, None] * _FIRST_LOOK).astype(np.int64), both_steps)
    alive = np.arange(candidates.size)
    best, smallest, per_round = -1, np.inf, 4
    while alive.size:
        chosen = alive[np.argpartition(bounds[alive], per_round - 1)[:per_round]] if alive.size > per_round else alive
        hot = np.empty((chosen.size, 2), dtype=np.int64)
        for row, k in enumerate(chosen.tolist()):
            distance, hot[row, 0], hot[row, 1] = ks_distance(logs, int(candidates[k]), float(rates[k]), both_steps=both_steps)
            bounds[k] = np.inf
            if distance < smallest or (distance == smallest and k < best):
                best, smallest = k, distance
        alive = alive[bounds[alive] <= smallest + _SLACK]
        if alive.size:
            points = np.maximum(np.unique(hot)[None, :], candidates[alive, None])
            bounds[alive] = np.maximum(bounds[alive], _bounds(logs, candidates[alive], rates[alive], points, both_steps))
            alive = alive[bounds[alive] <= smallest + _SLACK]
        per_round = min(32, 2 * per_round)
    return best, smallest


def _bounds(logs: np.ndarray, starts: np.ndarray, rates: np.ndarray, points: np.ndarray, both_steps: bool) -> np.ndarray:
    """Largest gap of each candidate over its own row of points: a lower bound of its distance."""
    sizes = (logs.size - starts)[:, None]
    gap = (logs.size - points) / sizes
    gap -= np.exp(-rates[:, None] * (logs[points] - logs[starts][:, None]))
    return np.maximum(gap.max(axis=1), both_steps / sizes[:, 0] - gap.min(axis=1))
