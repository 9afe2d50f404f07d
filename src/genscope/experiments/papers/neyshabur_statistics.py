"""Neyshabur et al.: comparisons between paired networks, with intervals over seeds."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from genscope.experiments.values import Check

if TYPE_CHECKING:
    from genscope.experiments.runs import Runs
    from genscope.experiments.values import Family

Interval = tuple[float, float]


def mean_with_interval(values: np.ndarray) -> tuple[float | None, Interval | None]:
    """The mean and its 95% Student interval; no interval from fewer than two values.

    Example:
        >>> mean, (low, high) = mean_with_interval(np.array([1.0, 2.0, 3.0]))
        >>> mean, round(low, 3), round(high, 3)
        (2.0, -0.484, 4.484)
    """
    from genscope.numerics.few_seeds import mean_over_seeds

    found = mean_over_seeds(values, np.random.default_rng(0), n_resamples=1)
    if found is None:
        return None, None
    return found.mean, None if found.low is None or found.high is None else (found.low, found.high)


def share_with_interval(wins: int, n: int) -> tuple[float | None, Interval | None]:
    """``wins`` of ``n`` and the exact (Clopper–Pearson) 95% interval.

    Example:
        >>> share, (low, high) = share_with_interval(9, 10)
        >>> share, round(low, 3), round(high, 3)
        (0.9, 0.555, 0.997)
    """
    from scipy import stats

    if not n:
        return None, None
    found = stats.binomtest(wins, n).proportion_ci()
    return wins / n, (float(found.low), float(found.high))


def grid(runs: "Runs", family: "Family", name: str, rows: str, **where: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One number over the values of the setting ``rows`` and over seeds: ``(rows, seeds, [rows, seeds])``, NaN where it is undefined."""
    chosen = [(settings, numbers) for settings, numbers in runs.table(family) if all(settings.get(key) == value for key, value in where.items())]
    levels = sorted({settings[rows] for settings, _ in chosen})
    seeds = sorted({settings["seed"] for settings, _ in chosen})
    table = np.full((len(levels), len(seeds)), np.nan)
    for settings, numbers in chosen:
        value = numbers.get(name)
        if value is not None:
            table[levels.index(settings[rows]), seeds.index(settings["seed"])] = value
    return np.array(levels, dtype=np.float64), np.array(seeds), table


def slopes(levels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Least-squares slope of every seed's column over ``ln levels``.

    Example:
        >>> slopes(np.exp([0.0, 1.0]), np.array([[0.0, 1.0], [2.0, 1.0]])).tolist()
        [2.0, 0.0]
    """
    x = np.log(levels) - np.log(levels).mean()
    return x @ table / (x @ x)


def twins(table: np.ndarray) -> np.ndarray:
    """The null control's pairs: differences of networks that differ in nothing but the seed, ``[rows, seeds // 2]``."""
    half = table.shape[1] // 2
    return table[:, :half] - table[:, half : 2 * half]


def with_null(check: Check, interval: Interval | None, threshold: float) -> Check:
    """The null control passes only where its whole interval lies above the threshold, as the claim has to."""
    return replace(check, null_passed=None if check.null is None else interval is not None and interval[0] > threshold)


def wins(differences: np.ndarray) -> tuple[int, int]:
    """How many differences are positive, of those that are defined."""
    kept = differences[np.isfinite(differences)]
    return int((kept > 0).sum()), len(kept)
