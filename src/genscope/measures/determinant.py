"""The determinant condition: another answer to where the tail of a spectrum begins."""

import numpy as np

from genscope.core.catalogue import ingredient, measure
from genscope.core.power_law_fit import PowerLawFit
from genscope.core.status import SKIPPED, Undefined
from genscope.numerics import determinant_condition as determinant_numerics
from genscope.numerics.determinant_condition import DeterminantCondition, determinant_gap


@ingredient
def determinant_condition(resolved_eigenvalues: np.ndarray) -> DeterminantCondition | Undefined:
    """The tail whose normalized eigenvalues multiply to one."""
    return determinant_numerics.determinant_condition(resolved_eigenvalues)


@measure(
    symbol=r"n_{\mathrm{ERG}}",
    unit="eigenvalues",
    expects="none",
    source="Martin & Hinrichs 2025, SETOL (exact renormalization group condition)",
    invariant_to=("scale", "rotation", "transpose"),
)
def erg_n_tail(determinant_condition: DeterminantCondition) -> int:
    """Eigenvalues in the tail that the determinant condition picks.

    Formula:
        largest k with Σ_{i ≤ k} ln(λ_i / mean λ) ≥ 0, summed in the log domain.
    Reading:
        The tail that carries the layer, if the condition holds; compare with n_tail.
    Args:
        determinant_condition: the tail it picks.
    Returns:
        A count.
    Raises:
        Nothing; undefined for degenerate spectra.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        O(n).
    Source:
        Martin & Hinrichs 2025, SETOL (exact renormalization group condition).
    Example:
        >>> condition = DeterminantCondition(n_tail=40, xmin=1.5, log_determinant=0.1)
        >>> erg_n_tail(condition)
        40
    """
    return determinant_condition.n_tail


@measure(
    symbol=r"\Delta_{\mathrm{ERG}}",
    unit="eigenvalues",
    expects="none",
    source="Martin & Hinrichs 2025, SETOL (exact renormalization group condition)",
    invariant_to=("scale", "rotation", "transpose"),
)
def erg_gap(determinant_condition: DeterminantCondition, power_law: PowerLawFit) -> int | Undefined:
    """Eigenvalues in the determinant condition's tail minus those in the power law's.

    Formula:
        n_ERG − n_tail.
    Reading:
        Near 0 when both agree on the tail, as theory expects of ideally trained layers.
    Args:
        determinant_condition: the tail it picks.
        power_law: the fitted tail.
    Returns:
        A signed count.
    Raises:
        Nothing; undefined without a fit.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        O(1).
    Source:
        Martin & Hinrichs 2025, SETOL (exact renormalization group condition).
    Example:
        >>> condition = DeterminantCondition(n_tail=40, xmin=1.5, log_determinant=0.1)
        >>> erg_gap(condition, PowerLawFit(2.1, 1.4, 45, 0.03, 0.16, 300))
        -5
    """
    if power_law.alpha is None:
        return Undefined(power_law.reason or "no power law was fitted", SKIPPED)
    return determinant_gap(determinant_condition, power_law.n_tail)
