"""The largest perturbation scale that a network tolerates: a bracketed, one-sided search that says when it saturates."""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class SigmaSearch:
    """Outcome of :func:`find_largest_sigma`.

    Args:
        sigma: the largest scale at which the condition was *observed* to hold (the lower end of the bracket).
        above: the smallest scale at which it was observed to fail, or ``inf`` when it never failed.
        n_evaluations: how often the condition was evaluated.
        saturated: ``""``, ``"above"`` (held even at the largest scale tried) or ``"below"`` (failed even at the smallest).
    """

    sigma: float
    above: float
    n_evaluations: int
    saturated: str = ""


def find_largest_sigma(
    holds: Callable[[float], bool], *, start: float = 0.1, smallest: float = 1e-6, largest: float = 1e3, rtol: float = 0.02
) -> SigmaSearch:
    """Bracket by doubling or halving from ``start``, then bisect in ``ln σ`` until ``above/sigma − 1 ≤ rtol``.

    One-sided: the returned scale satisfied ``holds``; its successor did not. ``holds`` should use common random numbers, so that it is (nearly)
    monotone in σ; where it is not, the first failing scale met from below by doubling bounds the search.

    Args:
        holds: whether the condition is met at a scale, e.g. "mean training error ≤ 0.1".
        start: the first scale tried.
        smallest: below it the search gives up (``saturated="below"``).
        largest: above it the search gives up (``saturated="above"``).
        rtol: relative width of the final bracket.

    Example:
        >>> found = find_largest_sigma(lambda s: s <= 0.3, rtol=1e-3)
        >>> found.sigma <= 0.3 < found.above, found.saturated
        (True, '')
    """
    calls = 0

    def test(scale: float) -> bool:
        nonlocal calls
        calls += 1
        return holds(scale)

    low, high = start, math.inf
    if test(start):
        while math.isinf(high):
            if low >= largest:
                return SigmaSearch(low, math.inf, calls, "above")
            following = min(2.0 * low, largest)
            low, high = (following, math.inf) if test(following) else (low, following)
    else:
        low, high = 0.0, start
        while low == 0.0:
            if high <= smallest:
                return SigmaSearch(0.0, high, calls, "below")
            following = max(high / 2.0, smallest)
            low, high = (following, high) if test(following) else (0.0, following)
    while high / low - 1.0 > rtol:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if test(middle) else (low, middle)
    return SigmaSearch(low, high, calls)
