"""The heavy tail with an exponential cut-off; computed only when asked for, as it tries many tails."""

import numpy as np

from genscope.core.catalogue import ingredient, measure
from genscope.core.status import SKIPPED, Undefined
from genscope.numerics.truncated_power_law import TruncatedPowerLawFit, fit_truncated_tail

SOURCE = "Clauset, Shalizi & Newman 2009, table 2.1"


@ingredient
def truncated_power_law(resolved_eigenvalues: np.ndarray, *, truncated_xmin: str = "ks") -> TruncatedPowerLawFit:
    """The cut-off fit; ``truncated_xmin="peak"`` is the extended fit that begins at the peak of the density of log λ."""
    return fit_truncated_tail(resolved_eigenvalues, xmin=truncated_xmin)


@measure(
    symbol=r"\alpha_{\mathrm{TPL}}",
    unit="1",
    expects="larger gap",
    source=SOURCE,
    invariant_to=("scale", "rotation", "transpose"),
    when="asked",
)
def alpha_truncated(truncated_power_law: TruncatedPowerLawFit) -> float | Undefined:
    """Exponent of the tail when it may be cut off exponentially.

    Formula:
        ρ(λ) ~ λ^(−α) e^(−Λλ) for λ ≥ xmin, by maximum likelihood.
    Reading:
        As alpha, for tails that bend down at their end; may lie below 1, since the cut alone makes the density integrable.
    Args:
        truncated_power_law: the cut-off fit.
    Returns:
        An exponent.
    Raises:
        Nothing; undefined when no tail can be fitted.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        About 30 milliseconds: 32 tails are tried.
    Source:
        Clauset, Shalizi & Newman 2009, table 2.1 (power law with cut-off).
    Example:
        >>> alpha_truncated(TruncatedPowerLawFit(2.1, 0.3, 1.0, 80, 0.04, 200))
        2.1
    """
    return Undefined(truncated_power_law.reason or "no tail", SKIPPED) if truncated_power_law.alpha is None else truncated_power_law.alpha


@measure(symbol=r"\Lambda", unit="1/eigenvalue", expects="none", source=SOURCE, invariant_to=("rotation", "transpose"), when="asked")
def cut_rate(truncated_power_law: TruncatedPowerLawFit) -> float | Undefined:
    """Rate of the exponential cut-off of the tail.

    Formula:
        Λ in ρ(λ) ~ λ^(−α) e^(−Λλ).
    Reading:
        0: no cut; 1/Λ is the eigenvalue at which the tail bends.
    Args:
        truncated_power_law: the cut-off fit.
    Returns:
        A rate ≥ 0 per eigenvalue.
    Raises:
        Nothing; undefined when no tail can be fitted.
    Invariances:
        Rotation and transpose; W → cW divides it by c².
    Cost:
        Shared with alpha_truncated.
    Source:
        Clauset, Shalizi & Newman 2009, table 2.1.
    Example:
        >>> cut_rate(TruncatedPowerLawFit(2.1, 0.3, 1.0, 80, 0.04, 200))
        0.3
    """
    return Undefined(truncated_power_law.reason or "no tail", SKIPPED) if truncated_power_law.cut_rate is None else truncated_power_law.cut_rate
