"""The power law against other families on the same tail."""

from genscope.core.catalogue import measure
from genscope.core.status import SKIPPED, Undefined
from genscope.numerics.tail_alternatives import TailComparison


def _against(tail_comparison: dict[str, TailComparison], name: str) -> float | Undefined:
    comparison = tail_comparison.get(name)
    if comparison is None or comparison.normalized_ratio is None:
        return Undefined(f"the {name.replace('_', ' ')} could not be fitted to this tail", SKIPPED)
    return float(comparison.normalized_ratio)


@measure(
    symbol=r"R_{\mathrm{lognormal}}",
    unit="standard deviations",
    expects="none",
    source="Vuong 1989; Clauset, Shalizi & Newman 2009, section 5",
    invariant_to=("scale", "rotation", "transpose"),
)
def power_law_vs_lognormal(tail_comparison: dict[str, TailComparison]) -> float | Undefined:
    """Vuong's statistic of the power law against the log-normal on the same tail.

    Formula:
        R / (σ √n), R the log-likelihood ratio, σ the standard deviation of its terms.
    Reading:
        Positive speaks for the power law, negative for the log-normal; beyond ±2 is evidence.
    Args:
        tail_comparison: likelihood ratios on the fitted tail.
    Returns:
        A standard-normal score.
    Raises:
        Nothing; undefined when either family cannot be fitted.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        A two-parameter maximum-likelihood fit of the tail.
    Source:
        Vuong 1989; Clauset, Shalizi & Newman 2009, section 5 and appendix C.
    Example:
        >>> power_law_vs_lognormal({})
        Undefined(reason='the lognormal could not be fitted to this tail', status='skipped')
    """
    return _against(tail_comparison, "lognormal")


@measure(
    symbol=r"R_{\mathrm{exp}}",
    unit="standard deviations",
    expects="none",
    source="Vuong 1989; Clauset, Shalizi & Newman 2009, section 5",
    invariant_to=("scale", "rotation", "transpose"),
)
def power_law_vs_exponential(tail_comparison: dict[str, TailComparison]) -> float | Undefined:
    """Vuong's statistic of the power law against the exponential on the same tail.

    Formula:
        R / (σ √n), R the log-likelihood ratio, σ the standard deviation of its terms.
    Reading:
        Positive speaks for the power law; clearly negative says the tail is not heavy.
    Args:
        tail_comparison: likelihood ratios on the fitted tail.
    Returns:
        A standard-normal score.
    Raises:
        Nothing; undefined when either family cannot be fitted.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        O(n_tail).
    Source:
        Vuong 1989; Clauset, Shalizi & Newman 2009, section 5 and appendix C.
    Example:
        >>> power_law_vs_exponential({})
        Undefined(reason='the exponential could not be fitted to this tail', status='skipped')
    """
    return _against(tail_comparison, "exponential")


@measure(
    symbol=r"R_{\mathrm{TPL}}",
    unit="standard deviations",
    expects="none",
    source="Clauset, Shalizi & Newman 2009, section 5 (nested case)",
    invariant_to=("scale", "rotation", "transpose"),
)
def power_law_vs_truncated(tail_comparison: dict[str, TailComparison]) -> float | Undefined:
    """Signed root of the likelihood ratio of the power law against the power law with exponential cut-off (nested).

    Formula:
        −√(2 (L_truncated − L_power)), a chi-square score with one degree of freedom.
    Reading:
        0: the cut-off adds nothing; below −2: the tail bends down, as finite matrices' tails often do.
    Args:
        tail_comparison: likelihood ratios on the fitted tail.
    Returns:
        A score ≤ 0.
    Raises:
        Nothing; undefined when the truncated family cannot be fitted.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        A two-parameter maximum-likelihood fit of the tail.
    Source:
        Clauset, Shalizi & Newman 2009, section 5 and appendix C.
    Example:
        >>> power_law_vs_truncated({})
        Undefined(reason='the truncated power law could not be fitted to this tail', status='skipped')
    """
    return _against(tail_comparison, "truncated_power_law")
