"""Kolmogorov–Smirnov distance of a power-law tail for every possible ``xmin``, and its exact minimum without visiting them all."""

import numpy as np

_BLOCK = 1 << 16


def tail_exponents(logs: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Maximum-likelihood ``alpha - 1 = m / Σ (y_j - y_i)`` for tails that start at each candidate; 0 where the tail has no spread.

    Args:
        logs: ascending logarithms, [n].
        candidates: indices into ``logs`` where tails start.

    Returns:
        [len(candidates)] float64.
    """
    n = logs.size
    above = np.cumsum(logs[::-1])[::-1][candidates]
    count = n - candidates
    spread = above - count * logs[candidates]
    safe = spread > 1e-12 * count
    return np.where(safe, count / np.where(safe, spread, 1.0), 0.0)


def ks_distances(logs: np.ndarray, candidates: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Two-sided KS distance of each candidate's tail from its own fit, by looking at every point: O(n) each.

    ``D = max_j max(u_j/m - S_j, S_j - (u_j - 1)/m)`` with ``u_j`` the rank from the top (largest = 1), ``m`` the tail's size and
    ``S_j = exp(-(alpha-1)(y_j - y_i))`` the fitted survival: both sides of every step. Ties need no special care, because the
    inner steps of a tie lie between its outer ones.
    """
    n = logs.size
    ranks = np.arange(n, 0, -1, dtype=np.float64)
    found = np.empty(candidates.size)
    for k, (i, rate) in enumerate(zip(candidates.tolist(), rates.tolist(), strict=True)):
        survival = np.exp(-rate * (logs[i:] - logs[i]))
        gap = ranks[i:] / (n - i) - survival
        found[k] = max(float(gap.max()), 1.0 / (n - i) - float(gap.min()))
    return found


def best_start(logs: np.ndarray, candidates: np.ndarray, rates: np.ndarray) -> tuple[int, float]:
    """Position in ``candidates`` with the smallest KS distance (the smallest ``xmin`` among equals), and that distance."""
    distances = ks_distances(logs, candidates, rates)
    best = int(np.argmin(distances))
    return best, float(distances[best])
