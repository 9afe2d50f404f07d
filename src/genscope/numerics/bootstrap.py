"""Resampling as counts: one row of weights per resample, so that every statistic of a resample is a weighted one."""

import numpy as np


def resampling_weights(n: int, n_resamples: int, rng: np.random.Generator, clusters: np.ndarray | None = None) -> np.ndarray:
    """How often each of n models is drawn in each bootstrap resample.

    Args:
        n: number of models.
        n_resamples: number of resamples.
        rng: seeded generator.
        clusters: integer labels [n]; whole clusters (seeds of one configuration, families) are then drawn together.

    Returns:
        Counts as float32, shape [n_resamples, n]; rows sum to n without clusters.

    Example:
        >>> resampling_weights(4, 3, np.random.default_rng(0)).sum(axis=1).tolist()
        [4.0, 4.0, 4.0]
    """
    if clusters is None:
        return rng.multinomial(n, np.full(n, 1.0 / n), size=n_resamples).astype(np.float32)
    labels = np.unique(clusters, return_inverse=True)[1]
    k = int(labels.max()) + 1
    return rng.multinomial(k, np.full(k, 1.0 / k), size=n_resamples).astype(np.float32)[:, labels]


def percentile_interval(resampled: np.ndarray, level: float = 0.95) -> tuple[float, float] | None:
    """The central ``level`` of the resampled values; undefined resamples (NaN) are left out.

    Returns:
        (low, high), or ``None`` when fewer than half of the resamples (or fewer than 20) define the statistic.

    Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.

    Example:
        >>> percentile_interval(np.arange(101.0), 0.5)
        (25.0, 75.0)
    """
    good = resampled[np.isfinite(resampled)]
    if len(good) < max(20, len(resampled) / 2):
        return None
    tail = (1 - level) / 2
    low, high = np.quantile(good, [tail, 1 - tail])
    return float(low), float(high)


def perfect_order_bound(n: int, level: float = 0.95) -> float:
    r"""Lowest τ that a perfect order of n models still allows.

    ⌊n/2⌋ disjoint pairs are independent, each agrees with chance (1+τ)/2; all agree with chance ((1+τ)/2)^⌊n/2⌋. The bound is the τ at which
    that chance is (1 − level)/2:

    .. math:: \tau_{low} = 2\,((1-\mathrm{level})/2)^{1/\lfloor n/2\rfloor} - 1

    A bootstrap of a perfect order only ever finds perfect orders and would claim certainty; this bound, which assumes nothing about the
    distribution, does not.

    Example:
        >>> round(perfect_order_bound(8), 3)
        -0.205
    """
    return float(2 * ((1 - level) / 2) ** (1 / max(1, n // 2)) - 1)


def correlation_interval(observed: float, resampled: np.ndarray, n: int, level: float = 0.95) -> tuple[float, float] | None:
    """Percentile interval of a rank correlation, with the distribution-free bound when the order is perfect."""
    if abs(observed) >= 1 - 1e-12:
        bound = perfect_order_bound(n, level)
        return (bound, 1.0) if observed > 0 else (-1.0, -bound)
    return percentile_interval(resampled, level)
