"""Products and sums of numbers too large or too small for floating point, kept as natural logarithms."""

from collections.abc import Iterable

import numpy as np
from scipy.special import logsumexp


def log_of(value: float) -> float:
    """Natural logarithm with ``log(0) = -inf`` and no warning.

    Example:
        >>> log_of(0.0)
        -inf
    """
    return float(np.log(value)) if value > 0 else -np.inf


def log_product(factors: Iterable[float]) -> float:
    """``ln ∏ factors`` for non-negative factors; no overflow for any number of layers.

    Example:
        >>> round(float(log_product([1e200, 1e200, 1e-100]) / np.log(10)), 6)
        300.0
    """
    return float(sum(log_of(factor) for factor in factors))


def log_sum(log_terms: Iterable[float]) -> float:
    """``ln Σ exp(term)`` of logarithms.

    Example:
        >>> round(log_sum([1000.0, 1000.0]) - 1000.0, 6)
        0.693147
    """
    return float(logsumexp(np.fromiter(log_terms, dtype=float)))
