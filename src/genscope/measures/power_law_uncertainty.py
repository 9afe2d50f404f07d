"""How far the exponent can be trusted: bootstrap interval, goodness of fit, sensitivity to the largest eigenvalues."""

import numpy as np

from genscope.core.catalogue import measure
from genscope.core.power_law_fit import PowerLawFit
from genscope.core.status import SKIPPED, Undefined
from genscope.measures.ingredients.of_matrix import AlphaUncertainty
from genscope.numerics.power_law import finger_sensitivity

CLAUSET = "Clauset, Shalizi & Newman 2009"


def _resampled(value: float | None) -> float | Undefined:
    return Undefined("needs a fit and resamples > 0", SKIPPED) if value is None else float(value)


@measure(symbol=r"\alpha_{2.5\%}", unit="1", expects="none", source=CLAUSET, invariant_to=("scale", "rotation", "transpose"))
def alpha_low(alpha_uncertainty: AlphaUncertainty) -> float | Undefined:
    """Lower end of the 95 % bootstrap interval of alpha; every resample chooses its own xmin.

    Formula:
        see ``genscope.numerics.power_law_bootstrap``.
    Reading:
        Two layers differ when their intervals do not overlap.
    Args:
        alpha_uncertainty: interval and p-value from resampling.
    Returns:
        The bound (no unit).
    Raises:
        Nothing; undefined without a fit or with ``resamples=0``.
    Invariances:
        Those of alpha.
    Cost:
        ``resamples`` pruned scans, batched.
    Source:
        Clauset, Shalizi & Newman 2009, section 3.2 (uncertainty including xmin).
    Example:
        >>> alpha_low(AlphaUncertainty(low=2.7, high=3.8, p_value=0.4))
        2.7
    """
    return _resampled(alpha_uncertainty.low)


@measure(symbol=r"\alpha_{97.5\%}", unit="1", expects="none", source=CLAUSET, invariant_to=("scale", "rotation", "transpose"))
def alpha_high(alpha_uncertainty: AlphaUncertainty) -> float | Undefined:
    """Upper end of the 95 % bootstrap interval of alpha; every resample chooses its own xmin.

    Formula:
        see ``genscope.numerics.power_law_bootstrap``.
    Reading:
        An interval that spans 3 to 17 says: cannot tell.
    Args:
        alpha_uncertainty: interval and p-value from resampling.
    Returns:
        The bound (no unit).
    Raises:
        Nothing; undefined without a fit or with ``resamples=0``.
    Invariances:
        Those of alpha.
    Cost:
        Shared with ``alpha_low``.
    Source:
        Clauset, Shalizi & Newman 2009, section 3.2.
    Example:
        >>> alpha_high(AlphaUncertainty(low=2.7, high=3.8, p_value=0.4))
        3.8
    """
    return _resampled(alpha_uncertainty.high)


@measure(symbol="p", unit="probability", expects="none", source=f"{CLAUSET}, section 4.1", invariant_to=("scale", "rotation", "transpose"))
def p_value(alpha_uncertainty: AlphaUncertainty) -> float | Undefined:
    """Goodness of fit: how often a true power law of this size fits worse than what is seen.

    Formula:
        share of semi-parametric bootstrap samples whose own best fit has a larger Kolmogorov–Smirnov distance.
    Reading:
        Below 0.1 the power law is ruled out for this spectrum; a large p does not prove it.
    Args:
        alpha_uncertainty: interval and p-value from resampling.
    Returns:
        A probability.
    Raises:
        Nothing; undefined without a fit or with ``resamples=0``.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        ``resamples`` pruned scans, batched.
    Source:
        Clauset, Shalizi & Newman 2009, section 4.1.
    Example:
        >>> p_value(AlphaUncertainty(low=2.7, high=3.8, p_value=0.4))
        0.4
    """
    return _resampled(alpha_uncertainty.p_value)


@measure(
    symbol=r"\alpha_{-k}",
    unit="1",
    expects="none",
    source="WeightWatcher issue 102 ('fingers'); this implementation",
    invariant_to=("scale", "rotation", "transpose"),
    when="resampled",
)
def alpha_without_fingers(resolved_eigenvalues: np.ndarray, power_law: PowerLawFit) -> float | Undefined:
    """Median of the exponents fitted after dropping the largest 1 to 5 eigenvalues: what alpha would be without "fingers".

    Formula:
        median over k = 1…5 of α(λ without its k largest).
    Reading:
        Close to alpha: the fit is stable. Far from it: a few outlying eigenvalues decide, do not read alpha alone.
    Args:
        resolved_eigenvalues: those above the routine's resolution, large to small, [n].
        power_law: the fitted tail.
    Returns:
        An exponent.
    Raises:
        Nothing; undefined without a fit.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        Five pruned scans.
    Source:
        The jackknife of the top of the spectrum; the problem is WeightWatcher's "fingers".
    Example:
        >>> lam = np.arange(1, 301)[::-1] ** -0.5
        >>> abs(alpha_without_fingers(lam[::-1], PowerLawFit(3.0, 0.1, 200, 0.02, 0.1, 300)) - 3.0) < 0.5
        True
    """
    if power_law.alpha is None:
        return Undefined(power_law.reason or "no power law was fitted", SKIPPED)
    found = [value for value in finger_sensitivity(resolved_eigenvalues, k_max=5) if value is not None]
    return float(np.median(found)) if found else Undefined("too few eigenvalues remain after dropping the largest five", SKIPPED)
