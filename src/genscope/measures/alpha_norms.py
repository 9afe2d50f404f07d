"""Norms weighted by the exponent: alpha-hat and the alpha-norm."""

import numpy as np

from genscope.core.catalogue import measure
from genscope.core.power_law_fit import PowerLawFit
from genscope.core.status import SKIPPED, Undefined

MARTIN_MAHONEY = "Martin & Mahoney, Universality and capacity metrics"


@measure(symbol=r"\hat\alpha", unit="decades", expects="larger gap", source=f"{MARTIN_MAHONEY}, Eq. 3", invariant_to=("rotation", "transpose"))
def alpha_weighted(power_law: PowerLawFit, eigenvalues: np.ndarray) -> float | Undefined:
    """Alpha-hat of one matrix: the exponent weighted by the log of the largest eigenvalue.

    Formula:
        α · log₁₀ λ_max.
    Reading:
        Smaller goes with better test accuracy within an architecture series; its absolute value depends on the
        normalization, so compare only numbers of one convention. Negative when λ_max < 1, which is legal.
    Args:
        power_law: the fitted tail.
        eigenvalues: large to small, [n].
    Returns:
        A number in decades.
    Raises:
        Nothing; undefined without a fit.
    Invariances:
        Rotation and transpose; W → cW adds 2α log₁₀ c.
    Cost:
        O(1).
    Source:
        Martin & Mahoney, Eq. 3 (λ_max is that of the correlation matrix; the paper's text says "of W").
    Example:
        >>> alpha_weighted(PowerLawFit(2.0, 1.0, 50, 0.1, 0.1, 99), np.array([100.0, 1.0]))
        4.0
    """
    return (
        Undefined(power_law.reason or "no power law was fitted", SKIPPED)
        if power_law.alpha is None
        else power_law.alpha * float(np.log10(eigenvalues[0]))
    )


@measure(
    symbol=r"\log_{10}\|X\|_\alpha^\alpha",
    unit="decades",
    expects="larger gap",
    source="Martin, Peng & Mahoney 2021, Eq. 6",
    invariant_to=("rotation", "transpose"),
)
def log_alpha_norm(power_law: PowerLawFit, eigenvalues: np.ndarray) -> float | Undefined:
    """Logarithm of the Schatten norm whose order is the layer's own exponent.

    Formula:
        log₁₀ Σ λ_i^α, summed in the log domain.
    Reading:
        Close to alpha-hat when one eigenvalue dominates; smaller goes with better test accuracy.
    Args:
        power_law: the fitted tail.
        eigenvalues: large to small, [n].
    Returns:
        A number in decades.
    Raises:
        Nothing; undefined without a fit.
    Invariances:
        Rotation and transpose; W → cW adds 2α log₁₀ c.
    Cost:
        O(n).
    Source:
        Martin, Peng & Mahoney 2021, Eq. 6 (the α-norm).
    Example:
        >>> round(log_alpha_norm(PowerLawFit(2.0, 1.0, 50, 0.1, 0.1, 99), np.array([10.0, 1.0])), 4)
        2.0043
    """
    if power_law.alpha is None:
        return Undefined(power_law.reason or "no power law was fitted", SKIPPED)
    largest = eigenvalues[0]
    relative = eigenvalues[eigenvalues > 0] / largest
    return float(power_law.alpha * np.log10(largest) + np.log10(np.sum(relative**power_law.alpha)))
