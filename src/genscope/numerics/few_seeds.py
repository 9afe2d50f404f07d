"""Means over a handful of seeds, with intervals that do not promise too much."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from genscope.numerics.bootstrap import resampling_weights


@dataclass(frozen=True)
class SeedMean:
    """A mean over seeds.

    Args:
        mean: of the finite values.
        low, high: Student's 95 % interval, or ``None`` with fewer than two values.
        bootstrap_low, bootstrap_high: the percentile interval over resampled seeds, or ``None``.
        n: how many values were finite.
    """

    mean: float
    low: float | None
    high: float | None
    bootstrap_low: float | None
    bootstrap_high: float | None
    n: int


def mean_over_seeds(values: np.ndarray, rng: np.random.Generator, *, level: float = 0.95, n_resamples: int = 2000) -> SeedMean | None:
    """Mean of one value per seed with two intervals: Student's t and the bootstrap over seeds.

    Resampling five seeds covers the truth in about 84 % of cases where 95 % is claimed (their spread is underestimated by √(4/5), and the
    quantile of the normal law is too short); Student's t is exact for normal values and is the one to quote.

    Args:
        values: one per seed, [seeds]; those that are not finite are left out.
        rng: seeded, for the bootstrap.
        level: of the intervals.
        n_resamples: bootstrap resamples.

    Returns:
        :class:`SeedMean`, or ``None`` without a finite value.

    Example:
        >>> found = mean_over_seeds(np.array([1.0, 2.0, 3.0]), np.random.default_rng(0))
        >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3)
        (2.0, -0.484, 4.484)
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    n = len(values)
    if n == 0:
        return None
    mean = float(values.mean())
    if n == 1:
        return SeedMean(mean, None, None, None, None, 1)
    half = float(stats.t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / np.sqrt(n))
    means = resampling_weights(n, n_resamples, rng).astype(np.float64) @ values / n
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return SeedMean(mean, mean - half, mean + half, float(low), float(high), n)
