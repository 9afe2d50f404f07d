"""Rank correlations as sums over pairs, for many columns and many weightings of the same models at once.

Everything here is a quadratic form ``Σ wᵢ wⱼ Mᵢⱼ`` of a matrix of signs, so a thousand bootstrap resamples are one matrix product.
"""

from collections.abc import Iterator

import numpy as np

_BLOCK = 1024


def dense_ranks(values: np.ndarray) -> np.ndarray:
    """Order of each value among the distinct values, from 0, as float32 (equal values share a rank).

    Example:
        >>> dense_ranks(np.array([3.0, 1.0, 3.0])).tolist()
        [1.0, 0.0, 1.0]
    """
    return np.unique(values, return_inverse=True)[1].reshape(np.shape(values)).astype(np.float32)


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, ties sharing the mean of their places.

    Example:
        >>> average_ranks(np.array([3.0, 1.0, 3.0])).tolist()
        [2.5, 1.0, 2.5]
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2.0)[inverse]


def kendall_tau(x: np.ndarray, y: np.ndarray) -> float | None:
    r"""Kendall's rank correlation τ-b, corrected for ties.

    .. math:: \tau_b = (C - D) / \sqrt{(n_0 - n_x)(n_0 - n_y)}

    with C concordant and D discordant pairs, n₀ = n(n−1)/2 pairs and n_x, n_y pairs tied in x, in y. 1: same order; −1: reversed.

    Args:
        x, y: finite values, shape [n].

    Returns:
        τ-b in [−1, 1], or ``None`` when a side is constant or n < 2.

    Invariances: any strictly increasing function of x or of y.
    Cost: O(n²) vectorized, memory O(n).
    Source: Kendall 1945, "The treatment of ties in ranking problems".

    Example:
        >>> kendall_tau(np.array([1, 2, 3, 4]), np.array([1, 3, 2, 4]))
        0.6666666666666666
    """
    tau = weighted_correlations(np.ones((1, len(x))), np.asarray(x)[None], np.asarray(y))[0][0, 0]
    return float(tau) if np.isfinite(tau) else None


def spearman_rho(x: np.ndarray, y: np.ndarray) -> float | None:
    """Spearman's rank correlation: the Pearson correlation of average ranks; ``None`` when a side is constant.

    Example:
        >>> round(spearman_rho(np.array([1, 2, 3, 4]), np.array([1, 3, 2, 4])), 6)
        0.8
    """
    return pearson_r(average_ranks(np.asarray(x)), average_ranks(np.asarray(y)))


def pearson_r(x: np.ndarray, y: np.ndarray) -> float | None:
    """Pearson's linear correlation; ``None`` when a side is constant.

    Example:
        >>> round(pearson_r(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])), 6)
        1.0
    """
    dx, dy = _centred(x), _centred(y)
    scale = float(np.sqrt(dx @ dx) * np.sqrt(dy @ dy)) if len(dx) else 0.0
    return float(np.clip((dx @ dy) / scale, -1.0, 1.0)) if scale > 0 else None


def _centred(values: np.ndarray) -> np.ndarray:
    """Values minus their mean, divided by their largest magnitude first so that squares neither overflow nor vanish."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) == 0 or np.all(values == values[0]):
        return np.zeros(len(values))
    values = values / np.abs(values).max()
    centred = values - values.mean()
    return centred / np.abs(centred).max()


def weighted_correlations(
    weights: np.ndarray, columns: np.ndarray, target: np.ndarray, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """τ-b and Spearman's ρ of every column with the target, under every row of weights (bootstrap counts, jackknife, ones).

    A weight w stands for w copies of the model; copies are tied with each other in both orders and so drop out of τ-b.

    Args:
        weights: non-negative counts, shape [resamples, n].
        columns: finite values, shape [k, n].
        target: finite values, shape [n].
        groups: integer labels [n]; when given, only pairs within one group count (pooled within-group τ-b) and ρ is NaN.

    Returns:
        (kendall, spearman), each of shape [k, resamples]; NaN where a side is constant under the weights.

    Cost: two matrix products [resamples, n] × [n, n] per column; memory O(resamples · n).
    """
    weights = np.ascontiguousarray(weights, dtype=np.float32)
    ranks = np.stack([dense_ranks(column) for column in np.atleast_2d(columns)])
    goal = dense_ranks(target)
    labels = np.zeros(len(goal)) if groups is None else groups
    every = _class_mass(weights, labels)
    y_pairs = every - _class_mass(weights, _joint(labels, goal))
    x_pairs = np.stack([every - _class_mass(weights, _joint(labels, rank)) for rank in ranks])
    agree, rho = np.zeros(x_pairs.shape), np.zeros((3, *x_pairs.shape))
    for block, same in _blocks(len(goal), groups):
        part = weights[:, block].astype(np.float64)
        sign_y = np.clip(goal[block] - goal[:, None], -1, 1) * same
        y_ranks = (weights @ sign_y).astype(np.float64) if groups is None else part
        for k, rank in enumerate(ranks):
            sign_x = np.clip(rank[block] - rank[:, None], -1, 1)
            agree[k] += np.einsum("bn,bn->b", weights @ (sign_x * sign_y), part)
            if groups is None:
                x_ranks = (weights @ sign_x).astype(np.float64)
                for total, left, right in zip(rho, (x_ranks, x_ranks, y_ranks), (y_ranks, x_ranks, y_ranks), strict=True):
                    total[k] += np.einsum("bn,bn,bn->b", part, left, right)
    kendall = _ratio(agree, x_pairs, y_pairs)
    return kendall, _ratio(*rho) if groups is None else np.full_like(kendall, np.nan)


def _joint(groups: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    return groups * (float(ranks.max(initial=0.0)) + 1) + ranks


def _class_mass(weights: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Σ over classes of equal label of (Σ weights)²: the weight of all ordered pairs within a class, per row of weights."""
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(labels[order]) != 0])
    return np.square(np.add.reduceat(weights[:, order].astype(np.float64), starts, axis=1)).sum(axis=1)


def _blocks(n: int, groups: np.ndarray | None) -> Iterator[tuple[slice, np.ndarray | np.float32]]:
    for start in range(0, n, _BLOCK):
        block = slice(start, min(n, start + _BLOCK))
        same = np.float32(1) if groups is None else (groups[:, None] == groups[block]).astype(np.float32)
        yield block, same


def _ratio(top: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    scale = np.sqrt(left * right)
    return np.where(scale > 0, np.clip(top / np.where(scale > 0, scale, 1.0), -1.0, 1.0), np.nan)
