"""Should a fitted tail be believed? The evidence gathered into a status and a sentence."""

from genscope.core.power_law_fit import PowerLawFit
from genscope.core.status import DOUBTFUL, OK
from genscope.numerics.tail_alternatives import TailComparison

LARGEST_ALPHA = 10.0
SMALLEST_P_VALUE = 0.02
WIDEST_RATIO = 5.0
NARROW = 0.5
EXPONENTIAL_SCORE = -1.96
CUT_P_VALUE = 0.01


def belief(
    fit: PowerLawFit,
    *,
    p_value: float | None = None,
    low: float | None = None,
    high: float | None = None,
    alternatives: dict[str, TailComparison] | None = None,
) -> tuple[str, str | None]:
    """Whether the tail is heavy for all one can tell: ``ok``, ``doubtful`` with the reason, or the fit's own ``skipped``.

    Doubtful when, in this order,

    1. ``alpha > 10``: such a tail falls as fast as the edge of a random bulk;
    2. ``(high - 1) / (low - 1) > 5``: the interval spans a factor of five in ``alpha - 1`` — the mark of a spectrum whose ``xmin`` moves
       from resample to resample, as in matrices of independent entries (an interval narrower than 0.5 is none, however close to 1);
    3. the goodness-of-fit ``p_value < 0.02``;
    4. Vuong's statistic prefers the exponential by 1.96 standard deviations;
    5. a truncation improves the fit with ``p < 0.01``.

    Calibration (``benchmarks/power_law.py belief``): of Gaussian and uniform matrices, 50 to 1000 rows, aspect 1 to 10, at most 2 % of
    any kind are believed; of pure power laws, alpha 2 to 6, n 50 to 1000, 95 to 100 %; of tails that hold a fifth of the spectrum on a
    flat bulk 93 % from 500 eigenvalues on, 65 % at 50. Without resampling (2 and 3 missing) most noise matrices of 50 rows pass: ask
    for it.

    Args:
        fit: the fit.
        p_value: its goodness of fit, if known.
        low, high: its 95 % interval, if known.
        alternatives: its :func:`~genscope.numerics.tail_alternatives.compare_tail`, if known.

    Returns:
        A status and a sentence (``None`` for ``ok``).

    Example:
        >>> belief(PowerLawFit(3.1, 0.2, 80, 0.05, 0.23, 100), low=1.4, high=17.0)[1]
        'the 95% interval of alpha, 1.4 to 17.0, is too wide to tell a heavy tail from noise'
    """
    if fit.alpha is None or fit.status != OK:
        return fit.status, fit.reason
    if fit.alpha > LARGEST_ALPHA:
        return DOUBTFUL, f"alpha {fit.alpha:.1f} is above {LARGEST_ALPHA:g}: the tail falls like the edge of a random spectrum, not like a power law"
    if low is not None and high is not None and high - 1.0 > WIDEST_RATIO * (low - 1.0) and high - low > NARROW:
        return DOUBTFUL, f"the 95% interval of alpha, {low:.1f} to {high:.1f}, is too wide to tell a heavy tail from noise"
    if p_value is not None and p_value < SMALLEST_P_VALUE:
        return DOUBTFUL, f"the tail does not follow a power law (goodness-of-fit p = {p_value:.3f})"
    others = alternatives or {}
    exponential, truncated = others.get("exponential"), others.get("truncated_power_law")
    if exponential is not None and exponential.normalized_ratio is not None and exponential.normalized_ratio < EXPONENTIAL_SCORE:
        return DOUBTFUL, f"an exponential describes the tail better than a power law (Vuong statistic {exponential.normalized_ratio:.1f})"
    if truncated is not None and truncated.p_value is not None and truncated.p_value < CUT_P_VALUE:
        return DOUBTFUL, f"the tail is cut off: a truncated power law describes it better (p = {truncated.p_value:.1g})"
    return OK, None
