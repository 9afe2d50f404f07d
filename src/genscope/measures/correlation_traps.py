"""Measures of what survives when the entries of a matrix are shuffled: correlation, and correlation traps."""

import numpy as np  # noqa: F401 - examples

from genscope.core.catalogue import measure
from genscope.core.status import SKIPPED, Undefined
from genscope.numerics.randomized_twin import TwinComparison


@measure(
    symbol=r"W_1",
    unit="mean eigenvalue",
    expects="none",
    source="Martin & Mahoney 2021, Implicit self-regularization (randomized layers)",
    invariant_to=("scale",),
    when="randomize",
)
def twin_distance(twin_comparison: TwinComparison) -> float:
    """How far the spectrum is from that of the same entries in random order.

    Formula:
        Wasserstein-1 distance of the two eigenvalue densities over their common mean.
    Reading:
        Near 0: the layer has no more correlation than its shuffled entries; up to 2 for strong structure.
    Args:
        twin_comparison: the spectrum beside its twin.
    Returns:
        A distance in [0, 2].
    Raises:
        Nothing; undefined for the operator view of a convolution.
    Invariances:
        Scale.
    Cost:
        One more spectrum of the same size.
    Source:
        Martin & Mahoney 2021, Implicit self-regularization (randomized layers).
    Example:
        >>> from genscope.core.status import SKIPPED
        >>> twin = TwinComparison(np.array([2.0, 1.0]), 0.4, 0.3, 0.5, 1, 0, Undefined("too small", SKIPPED))
        >>> twin_distance(twin)
        0.4
    """
    return twin_comparison.wasserstein


@measure(
    symbol=r"\sqrt{\mathrm{JSD}}",
    unit="1",
    expects="none",
    source="Martin & Mahoney 2021, Implicit self-regularization (randomized layers)",
    invariant_to=("scale",),
    when="randomize",
)
def twin_jensen_shannon(twin_comparison: TwinComparison) -> float:
    """Jensen–Shannon distance of the spectrum and that of its shuffled entries.

    Formula:
        √ of the base-2 divergence of the two densities on one logarithmic grid.
    Reading:
        0 for equal densities, 1 for disjoint ones.
    Args:
        twin_comparison: the spectrum beside its twin.
    Returns:
        A distance in [0, 1].
    Raises:
        Nothing; undefined for the operator view of a convolution.
    Invariances:
        Scale.
    Cost:
        One more spectrum of the same size.
    Source:
        Martin & Mahoney 2021, Implicit self-regularization (randomized layers).
    Example:
        >>> from genscope.core.status import SKIPPED
        >>> twin = TwinComparison(np.array([2.0, 1.0]), 0.4, 0.3, 0.5, 1, 0, Undefined("too small", SKIPPED))
        >>> twin_jensen_shannon(twin)
        0.3
    """
    return twin_comparison.jensen_shannon


@measure(
    symbol=r"\lambda_{\max}^{\mathrm{twin}}/\lambda_{\max}",
    unit="1",
    expects="larger gap",
    source="Martin & Mahoney 2021, Implicit self-regularization (randomized layers)",
    invariant_to=("scale",),
    when="randomize",
)
def twin_largest_ratio(twin_comparison: TwinComparison) -> float:
    """Largest eigenvalue of the shuffled matrix over that of the matrix.

    Formula:
        λ_max(twin) / λ_max.
    Reading:
        Far below 1: something learned stands out. Near or above 1: the largest eigenvalue comes from single large entries.
    Args:
        twin_comparison: the spectrum beside its twin.
    Returns:
        A ratio > 0.
    Raises:
        Nothing; undefined for the operator view of a convolution.
    Invariances:
        Scale.
    Cost:
        One more spectrum of the same size.
    Source:
        Martin & Mahoney 2021, Implicit self-regularization (randomized layers).
    Example:
        >>> from genscope.core.status import SKIPPED
        >>> twin = TwinComparison(np.array([2.0, 1.0]), 0.4, 0.3, 0.5, 1, 0, Undefined("too small", SKIPPED))
        >>> twin_largest_ratio(twin)
        0.5
    """
    return twin_comparison.largest_ratio


@measure(
    symbol=r"n_{\mathrm{traps}}",
    unit="eigenvalues",
    expects="larger gap",
    source="Martin & Mahoney 2021, Implicit self-regularization (randomized layers)",
    invariant_to=("scale",),
    when="randomize",
)
def n_traps(twin_comparison: TwinComparison) -> int | Undefined:
    """Correlation traps: outliers of the shuffled matrix that its mean does not explain.

    Formula:
        #{λ_i(twin) > Tracy–Widom threshold of the twin} − those of the mean.
    Reading:
        0 in a healthy layer; above 0, single entries are so large that they make outliers by themselves.
    Args:
        twin_comparison: the spectrum beside its twin.
    Returns:
        A count.
    Raises:
        Nothing; undefined when the shuffled matrix has no bulk to measure against.
    Invariances:
        Scale.
    Cost:
        One more spectrum of the same size.
    Source:
        Martin & Mahoney 2021, Implicit self-regularization (randomized layers).
    Example:
        >>> from genscope.core.status import SKIPPED
        >>> twin = TwinComparison(np.array([2.0, 1.0]), 0.4, 0.3, 0.5, 1, 0, Undefined("too small", SKIPPED))
        >>> n_traps(twin)
        1
    """
    if twin_comparison.n_traps is None:
        return Undefined("the shuffled matrix has no random bulk to measure outliers against", SKIPPED)
    return twin_comparison.n_traps
