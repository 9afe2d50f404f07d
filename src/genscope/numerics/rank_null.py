"""What a rank correlation looks like when nothing is there: permutations, exact for few models, a normal law for many."""

import math
from itertools import permutations

import numpy as np

from genscope.numerics.rank_correlation import dense_ranks

_EXACT_UP_TO = 7
_PERMUTE_UP_TO = 500
_AT_ONCE = 1000
_WORK = 400_000_000


def draw_permutations(n: int, n_permutations: int, rng: np.random.Generator, groups: np.ndarray | None = None) -> tuple[np.ndarray, str]:
    """Orders of n models: all of them when n ≤ 7 (``"exact"``), else ``n_permutations`` random ones (``"permutation"``).

    Args:
        groups: integer labels [n]; models then only change places within their group.
    """
    if n <= _EXACT_UP_TO and groups is None:
        return np.array(list(permutations(range(n)))), "exact"
    keys = rng.random((n_permutations, n))
    if groups is None:
        return np.argsort(keys, axis=1), "permutation"
    places = np.argsort(groups, kind="stable")
    shuffled = np.lexsort((keys, np.broadcast_to(groups, keys.shape)), axis=1)
    orders = np.empty_like(shuffled)
    orders[:, places] = shuffled
    return orders, "permutation"


def kendall_p_values(
    columns: np.ndarray, target: np.ndarray, n_permutations: int, rng: np.random.Generator, groups: np.ndarray | None = None
) -> tuple[np.ndarray, str]:
    """Two-sided p-value of Kendall's τ for every column against the hypothesis that the target's order is arbitrary.

    The null keeps the ties of both sides. With at most 7 models all orders are counted; up to 500 models ``n_permutations`` random
    orders are drawn and p = (1 + #{|S| ≥ |S observed|}) / (1 + n_permutations); beyond, the normal law with the exact tie-corrected variance.

    Args:
        columns: finite values [k, n].
        target: finite values [n].
        groups: integer labels [n]: only pairs within a group count, and only models of one group are exchanged.

    Returns:
        (p [k], method) with method ``exact``, ``permutation`` or ``normal``.

    Source: Kendall & Gibbons 1990, "Rank Correlation Methods", chapters 4 and 5 (variance with ties).
    """
    n = len(target)
    if n > _PERMUTE_UP_TO and groups is None:
        return np.array([_normal_p(column, target) for column in columns]), "normal"
    labels = np.zeros(n, dtype=np.int64) if groups is None else groups
    n_pairs = int((np.unique(labels, return_counts=True)[1] ** 2).sum()) // 2
    orders, method = draw_permutations(n, min(n_permutations, max(200, _WORK // max(1, n_pairs))), rng, groups)
    places = np.argsort(labels, kind="stable")  # models of a group side by side, so that pairs are slices
    ranks = np.stack([dense_ranks(column)[places] for column in columns])
    goal = dense_ranks(target)
    observed = np.abs(_pair_agreement(ranks, goal[places][:, None], labels[places]))
    reached = np.zeros(len(columns))
    for start in range(0, len(orders), _AT_ONCE):
        null = np.abs(_pair_agreement(ranks, goal[orders[start : start + _AT_ONCE]].T[places], labels[places]))
        reached += (null >= observed).sum(axis=1)
    return (reached / len(orders) if method == "exact" else (1 + reached) / (1 + len(orders))), method


def _pair_agreement(ranks: np.ndarray, goals: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Concordant minus discordant pairs within groups, for columns [k, n] and orders of the target [n, b]: shape [k, b]. Ranks are whole numbers."""
    goals = np.ascontiguousarray(goals, dtype=np.float32)
    total = np.zeros((len(ranks), goals.shape[1]), dtype=np.float64)
    ends = np.searchsorted(labels, labels, side="right")
    for i, end in enumerate(ends):
        if i + 1 < end:
            x = np.clip(ranks[:, i + 1 : end] - ranks[:, i : i + 1], -1, 1)
            total += x @ np.clip(goals[i + 1 : end] - goals[i], -1, 1)
    return total


def _normal_p(x: np.ndarray, y: np.ndarray) -> float:
    from genscope.numerics.rank_correlation import weighted_correlations

    tau = weighted_correlations(np.ones((1, len(x))), x[None], y)[0][0, 0]
    if not np.isfinite(tau):
        return 1.0
    n = float(len(x))
    t, u = (np.unique(side, return_counts=True)[1].astype(np.float64) for side in (x, y))
    pairs = n * (n - 1) / 2
    s = tau * math.sqrt((pairs - (t * (t - 1)).sum() / 2) * (pairs - (u * (u - 1)).sum() / 2))
    base = (n * (n - 1) * (2 * n + 5) - (t * (t - 1) * (2 * t + 5)).sum() - (u * (u - 1) * (2 * u + 5)).sum()) / 18
    triple = (t * (t - 1) * (t - 2)).sum() * (u * (u - 1) * (u - 2)).sum() / (9 * n * (n - 1) * (n - 2))
    double = (t * (t - 1)).sum() * (u * (u - 1)).sum() / (2 * n * (n - 1))
    return max(1e-300, math.erfc(abs(s) / math.sqrt(2 * (base + triple + double))))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment: controls the chance of even one false discovery among all measures, whatever their dependence.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1.0, stepped)
    return adjusted


def models_needed(tau: float, n_tests: int = 1, level: float = 0.05) -> int | None:
    """Smallest number of models at which a Kendall correlation of size ``tau`` would reach significance.

    For a perfect order: the smallest n with 2/n! ≤ level/n_tests. Otherwise the normal law's variance 2(2n+5)/(9n(n−1)).
    ``None`` when more than 100,000 would be needed.

    Example:
        >>> models_needed(1.0), models_needed(0.5)
        (5, 10)
    """
    goal = level / max(1, n_tests)
    n = 3
    while 2.0 / math.factorial(n) > goal:
        n += 1
    while n <= 100_000:
        if abs(tau) >= 1 - 1e-12 or math.erfc(abs(tau) / math.sqrt(4 * (2 * n + 5) / (9 * n * (n - 1)))) <= goal:
            return n
        n += 1 + n // 50
    return None
