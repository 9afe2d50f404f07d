"""Resampling as counts: one row of weights per resample, so that every statistic of a resample is a weighted one."""

import math
from collections.abc import Sequence

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


def perfect_order_bound(sizes: int | Sequence[int], level: float = 0.95) -> float:
    r"""Lowest τ that a perfect order of the models still allows.

    A bootstrap of a perfect order only ever finds perfect orders and would claim certainty. Instead: among all laws of orders with a given
    expected τ, take the one of largest entropy (Mallows' model, P ∝ q^{discordant pairs}), and give the τ at which a perfect order has the
    chance (1 − level)/2:

    .. math:: P(\mathrm{perfect}) = \prod_{j=1}^{n}\frac{1-q}{1-q^j}, \qquad
        \mathrm{E}[D] = \sum_{j=1}^{n}\Big(\frac{q}{1-q} - \frac{j q^j}{1-q^j}\Big)

    The bound is above 0 exactly when 1/n! is below (1 − level)/2, that is when the exact permutation test rejects independence.

    Args:
        sizes: number of models, or the sizes of the groups within which pairs are compared.
        level: of the interval.

    Source: Mallows 1957, "Non-null ranking models".

    Example:
        >>> round(perfect_order_bound(4), 3), round(perfect_order_bound(8), 3), round(perfect_order_bound(20), 3)
        (-0.116, 0.684, 0.958)
    """
    j = np.concatenate([np.arange(2.0, n + 1) for n in np.atleast_1d(sizes)])
    goal = math.log((1 - level) / 2)
    low, high = -40.0, 40.0  # log q; the chance of a perfect order falls as q grows
    for _ in range(80):
        middle = (low + high) / 2
        if _mallows(middle, j)[0] > goal:
            low = middle
        else:
            high = middle
    pairs = float((j - 1).sum())
    return 1 - 2 * _mallows(low, j)[1] / pairs


def _mallows(log_q: float, j: np.ndarray) -> tuple[float, float]:
    """Log chance of a perfect order and expected discordant pairs, for insertions into 1 … j−1 earlier places."""
    if abs(log_q) < 1e-7:
        return float(-np.log(j).sum()), float(((j - 1) / 2).sum())
    if log_q > 0:  # reversed: q → 1/q exchanges concordant and discordant
        perfect, expected = _mallows(-log_q, j)
        return perfect - log_q * float((j - 1).sum()), float((j - 1).sum()) - expected
    one, all_j = -np.expm1(log_q), -np.expm1(j * log_q)
    q_j = np.exp(j * log_q)
    return float((np.log(one) - np.log(all_j)).sum()), float((np.exp(log_q) / one - j * q_j / all_j).sum())


def correlation_interval(observed: float, resampled: np.ndarray, sizes: int | Sequence[int], level: float = 0.95) -> tuple[float, float] | None:
    """Percentile interval of a rank correlation; for a perfect order of ``sizes`` models the bound of :func:`perfect_order_bound`."""
    if abs(observed) >= 1 - 1e-12:
        bound = perfect_order_bound(sizes, level)
        return (bound, 1.0) if observed > 0 else (-1.0, -bound)
    return percentile_interval(resampled, level)
