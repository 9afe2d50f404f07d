"""The exact-renormalization-group condition: the largest part of the tail whose determinant is still one."""

from dataclasses import dataclass

import numpy as np

from genscope.core.status import SKIPPED, Undefined


@dataclass(frozen=True)
class DeterminantCondition:
    """The tail that the determinant condition picks.

    Args:
        n_tail: largest number of top eigenvalues whose product, in units of the mean eigenvalue, is at least 1.
        xmin: the smallest of them, in the given normalization.
        log_determinant: natural log of that product; the next eigenvalue would make it negative.
    """

    n_tail: int
    xmin: float
    log_determinant: float


def determinant_condition(eigenvalues: np.ndarray) -> DeterminantCondition | Undefined:
    r"""Where the product of the largest eigenvalues, normalized to mean 1, falls below 1.

    :math:`n = \max\{k : \sum_{i \le k} \ln(\lambda_i/\bar\lambda) \ge 0\}` with λ from large to small. The sum rises while λ is above the mean,
    then falls for good, so one walk finds it; by the inequality of the means it ends at or below 0. Compare ``n`` with the power law's ``n_tail``:
    the theory expects them to agree in a well-trained layer.

    Args:
        eigenvalues: not negative, any order; zeros count in the mean.

    Returns:
        ``DeterminantCondition``, or ``Undefined`` for fewer than two eigenvalues, or when all are equal or zero. WeightWatcher's ``detX_num``
        is one larger: it counts the eigenvalue that crosses.

    Invariances: independent of the scale.

    Cost: O(n log n), logs only, no overflow.

    Source: Martin & Hinrichs 2025 (SETOL), the trace-log condition.

    Example:
        >>> found = determinant_condition(np.array([8.0, 1.0, 0.5, 0.5]))
        >>> found.n_tail, found.xmin, round(found.log_determinant, 4)
        (2, 1.0, 0.2469)
    """
    values = np.sort(np.asarray(eigenvalues, dtype=np.float64).ravel())[::-1]
    if values.size < 2 or values[0] <= 0 or values[0] == values[-1]:
        return Undefined("the determinant condition needs at least two different eigenvalues", SKIPPED)
    shares = values / values[0]
    mean = shares.mean()
    positive = shares[shares > 0]
    sums = np.cumsum(np.log(positive / mean))
    count = int(np.nonzero(sums >= 0)[0][-1]) + 1
    return DeterminantCondition(count, float(values[count - 1]), float(sums[count - 1]))


def determinant_gap(condition: DeterminantCondition, n_tail: int) -> int:
    """Eigenvalues in the determinant's tail minus those in the power law's; near 0 when the two agree.

    Example:
        >>> determinant_gap(DeterminantCondition(12, 1.0, 0.1), 10)
        2
    """
    return condition.n_tail - n_tail
