"""The fitted heavy tail: exponent, standard error, where it begins and how well it fits."""

from genscope.core.catalogue import measure
from genscope.core.power_law_fit import PowerLawFit
from genscope.core.status import SKIPPED, Undefined

MARTIN_MAHONEY = "Martin & Mahoney, Universality and capacity metrics"
CLAUSET = "Clauset, Shalizi & Newman 2009"


def _fitted(power_law: PowerLawFit, value: float | None) -> float | Undefined:
    return Undefined(power_law.reason or "no power law was fitted", SKIPPED) if value is None else value


@measure(
    symbol=r"\alpha",
    unit="1",
    expects="larger gap",
    source=f"{MARTIN_MAHONEY}, Eq. 1; {CLAUSET}, Eq. 3.1",
    invariant_to=("scale", "rotation", "transpose"),
)
def alpha(power_law: PowerLawFit) -> float | Undefined:
    """Power-law exponent of the tail of the eigenvalue density.

    Formula:
        ρ(λ) ~ λ^(−α) for λ ≥ xmin; α = 1 + n_tail / Σ ln(λ_i / xmin), xmin where the Kolmogorov–Smirnov distance is least.
    Reading:
        2 to about 6 is the range of well-trained layers, smaller is better within an architecture; above 6 the tail is no
        heavier than a random matrix's; below 2 the layer may be over-fitted. Read it with its interval and status.
    Args:
        power_law: the fitted tail.
    Returns:
        The exponent (no unit), > 1.
    Raises:
        Nothing; undefined when no tail can be fitted (too few or too equal eigenvalues).
    Invariances:
        W → cW, W → UWV (orthogonal U, V), W → Wᵀ.
    Cost:
        O(n log n) beyond the eigenvalues, plus the pruned scan over xmin.
    Source:
        Martin & Mahoney, Eq. 1; Clauset, Shalizi & Newman 2009, Eq. 3.1 and section 3.3.
    Example:
        >>> alpha(PowerLawFit(alpha=3.1, xmin=0.5, n_tail=80, ks_distance=0.04, alpha_stderr=0.23, n=200))
        3.1
    """
    return _fitted(power_law, power_law.alpha)


@measure(symbol=r"\sigma_\alpha", unit="1", expects="none", source=f"{CLAUSET}, Eq. 3.2", invariant_to=("scale", "rotation", "transpose"))
def alpha_stderr(power_law: PowerLawFit) -> float | Undefined:
    """Standard error of alpha when xmin is taken as known.

    Formula:
        (α − 1) / √n_tail.
    Reading:
        A lower bound of the true uncertainty: the choice of xmin is not in it. The bootstrap interval is.
    Args:
        power_law: the fitted tail.
    Returns:
        The standard error (no unit).
    Raises:
        Nothing; undefined without a fit.
    Invariances:
        Those of alpha.
    Cost:
        O(1).
    Source:
        Clauset, Shalizi & Newman 2009, Eq. 3.2.
    Example:
        >>> alpha_stderr(PowerLawFit(alpha=3.0, xmin=1.0, n_tail=100, ks_distance=0.05, alpha_stderr=0.2, n=300))
        0.2
    """
    return _fitted(power_law, power_law.alpha_stderr)


@measure(symbol=r"\lambda_{\min}", unit="eigenvalue", expects="none", source=f"{CLAUSET}, section 3.3", invariant_to=("rotation", "transpose"))
def xmin(power_law: PowerLawFit) -> float | Undefined:
    """Smallest eigenvalue of the fitted tail.

    Formula:
        argmin over eigenvalues of the Kolmogorov–Smirnov distance of the tail above it.
    Reading:
        Where the power law begins; scales with W².
    Args:
        power_law: the fitted tail.
    Returns:
        An eigenvalue in the chosen normalization.
    Raises:
        Nothing; undefined without a fit.
    Invariances:
        Rotation and transpose; W → cW multiplies it by c².
    Cost:
        O(1) beyond the fit.
    Source:
        Clauset, Shalizi & Newman 2009, section 3.3.
    Example:
        >>> xmin(PowerLawFit(alpha=3.0, xmin=1.5, n_tail=100, ks_distance=0.05, alpha_stderr=0.2, n=300))
        1.5
    """
    return _fitted(power_law, power_law.xmin)


@measure(symbol=r"n_{\mathrm{tail}}", unit="eigenvalues", expects="none", source=CLAUSET, invariant_to=("scale", "rotation", "transpose"))
def n_tail(power_law: PowerLawFit) -> int:
    """Number of eigenvalues in the fitted tail.

    Formula:
        #{λ_i ≥ xmin}.
    Reading:
        Fewer than about 50 make alpha uncertain; the interval says how much.
    Args:
        power_law: the fitted tail.
    Returns:
        A count; 0 without a fit.
    Raises:
        Nothing.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        O(1) beyond the fit.
    Source:
        Clauset, Shalizi & Newman 2009.
    Example:
        >>> n_tail(PowerLawFit(alpha=3.0, xmin=1.5, n_tail=100, ks_distance=0.05, alpha_stderr=0.2, n=300))
        100
    """
    return power_law.n_tail


@measure(symbol="D", unit="1", expects="none", source=f"{CLAUSET}, Eq. 3.9", invariant_to=("scale", "rotation", "transpose"))
def ks_distance(power_law: PowerLawFit) -> float | Undefined:
    """Kolmogorov–Smirnov distance between the tail and its fitted power law.

    Formula:
        D = max over λ ≥ xmin of |F_empirical(λ) − F_fit(λ)|.
    Reading:
        Small is a good fit; what is small depends on n_tail, which is why ``p_value`` exists.
    Args:
        power_law: the fitted tail.
    Returns:
        A distance in [0, 1].
    Raises:
        Nothing; undefined without a fit.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        O(1) beyond the fit.
    Source:
        Clauset, Shalizi & Newman 2009, Eq. 3.9.
    Example:
        >>> ks_distance(PowerLawFit(alpha=3.0, xmin=1.5, n_tail=100, ks_distance=0.05, alpha_stderr=0.2, n=300))
        0.05
    """
    return _fitted(power_law, power_law.ks_distance)
