"""Huang et al.: rank correlations over networks with bootstrap intervals, and what chance and the seed alone make of them."""

from collections.abc import Sequence

import numpy as np

Interval = tuple[float, float]


def spearman_with_interval(x: np.ndarray, y: np.ndarray, n_resamples: int = 2000) -> tuple[float | None, Interval | None]:
    """Spearman's ρ over the networks where both are known, with its 95% bootstrap interval over networks.

    Example:
        >>> rho, interval = spearman_with_interval(np.arange(12.0), np.arange(12.0) ** 3)
        >>> rho, interval[0] > 0.8
        (1.0, True)
    """
    from genscope.numerics.bootstrap import correlation_interval, resampling_weights
    from genscope.numerics.rank_correlation import spearman_rho, weighted_correlations

    kept = np.isfinite(x) & np.isfinite(y)
    x, y = x[kept], y[kept]
    rho = spearman_rho(x, y) if len(x) > 2 else None
    if rho is None:
        return None, None
    weights = resampling_weights(len(x), n_resamples, np.random.default_rng(0))
    return rho, correlation_interval(rho, weighted_correlations(weights, x[None], y)[1][0], len(x))


def within_groups(x: np.ndarray, y: np.ndarray, groups: Sequence[object]) -> float | None:
    """Spearman's ρ of what is left of both when the mean of each group is taken out: networks that differ in nothing but the seed.

    Example:
        >>> within_groups(np.array([0.0, 1.0, 10.0, 11.0]), np.array([1.0, 0.0, 11.0, 10.0]), [0, 0, 1, 1])
        -1.0
    """
    from genscope.numerics.rank_correlation import spearman_rho

    names = np.array([str(group) for group in groups])
    kept = np.isfinite(x) & np.isfinite(y)
    left: list[np.ndarray] = [np.empty(0), np.empty(0)]
    for name in dict.fromkeys(names[kept]):
        mine = kept & (names == name)
        if mine.sum() > 1:
            left = [np.append(part, values[mine] - values[mine].mean()) for part, values in zip(left, (x, y), strict=True)]
    return spearman_rho(np.round(left[0], 12), np.round(left[1], 12)) if len(left[0]) > 3 else None


def quantile_with_interval(values: np.ndarray, q: float = 0.5, n_resamples: int = 2000) -> tuple[float | None, Interval | None]:
    """A quantile with its 95% bootstrap interval.

    Example:
        >>> quantile_with_interval(np.full(9, 2.0))
        (2.0, (2.0, 2.0))
    """
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return (float(values[0]) if len(values) else None), None
    rng = np.random.default_rng(0)
    drawn = np.quantile(values[rng.integers(len(values), size=(n_resamples, len(values)))], q, axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(np.quantile(values, q)), (float(low), float(high))
