"""Norms of one weight matrix, from its spectrum."""

import numpy as np

from genscope.core.catalogue import measure
from genscope.core.status import SKIPPED, Undefined

MARTIN_MAHONEY = "Martin & Mahoney, Universality and capacity metrics"
ZERO = Undefined("all weights are zero", SKIPPED)


@measure(symbol=r"\lambda_{\max}", unit="eigenvalue", expects="larger gap", source=f"{MARTIN_MAHONEY}, Eq. 3", invariant_to=("rotation", "transpose"))
def lambda_max(eigenvalues: np.ndarray) -> float:
    """Largest eigenvalue of the correlation matrix: the squared spectral norm.

    Formula:
        λ_max = ‖W‖₂² (``WtW``) or ‖W‖₂² / N (``WtW/N``); over pooled kernel positions the largest of them.
    Reading:
        How much the layer can stretch an input, squared.
    Args:
        eigenvalues: large to small, [n].
    Returns:
        An eigenvalue in the chosen normalization, ≥ 0.
    Raises:
        Nothing.
    Invariances:
        Rotation and transpose; W → cW multiplies it by c².
    Cost:
        O(1) beyond the spectrum.
    Source:
        Martin & Mahoney, Eq. 3.
    Example:
        >>> lambda_max(np.array([9.0, 4.0]))
        9.0
    """
    return float(eigenvalues[0])


@measure(
    symbol=r"\log_{10}\|W\|_F^2", unit="decades", expects="larger gap", source=f"{MARTIN_MAHONEY}, Eq. 4", invariant_to=("rotation", "transpose")
)
def log_frobenius_norm(eigenvalues: np.ndarray) -> float | Undefined:
    """Logarithm of the squared Frobenius norm.

    Formula:
        log₁₀ Σ λ_i = log₁₀ ‖W‖_F².
    Reading:
        The layer's size; its average over layers is the log product norm per layer.
    Args:
        eigenvalues: large to small, [n].
    Returns:
        A number in decades.
    Raises:
        Nothing; undefined for an all-zero matrix.
    Invariances:
        Rotation and transpose; W → cW adds 2 log₁₀ c.
    Cost:
        O(n).
    Source:
        Martin & Mahoney, Eq. 4 (squared norm, base 10, as in their tables).
    Example:
        >>> log_frobenius_norm(np.array([90.0, 10.0]))
        2.0
    """
    total = float(np.sum(eigenvalues))
    return float(np.log10(total)) if total > 0 else ZERO


@measure(
    symbol=r"\log_{10}\lambda_{\max}", unit="decades", expects="larger gap", source=f"{MARTIN_MAHONEY}, Eq. 4", invariant_to=("rotation", "transpose")
)
def log_spectral_norm(eigenvalues: np.ndarray) -> float | Undefined:
    """Logarithm of the squared spectral norm.

    Formula:
        log₁₀ λ_max = log₁₀ ‖W‖₂².
    Reading:
        Smaller goes with better test accuracy within an architecture series; on the VGG series it beats alpha-hat.
    Args:
        eigenvalues: large to small, [n].
    Returns:
        A number in decades.
    Raises:
        Nothing; undefined for an all-zero matrix.
    Invariances:
        Rotation and transpose; W → cW adds 2 log₁₀ c.
    Cost:
        O(1).
    Source:
        Martin & Mahoney, Eq. 4 (squared norm, base 10, as in their tables).
    Example:
        >>> log_spectral_norm(np.array([100.0, 10.0]))
        2.0
    """
    return float(np.log10(eigenvalues[0])) if eigenvalues[0] > 0 else ZERO


@measure(
    symbol=r"\mathcal{R}_s",
    unit="1",
    expects="larger gap",
    source="Martin & Mahoney; Neyshabur et al. 2018",
    invariant_to=("scale", "rotation", "transpose"),
)
def stable_rank(eigenvalues: np.ndarray) -> float | Undefined:
    """Squared Frobenius over squared spectral norm: a rank that small singular values do not disturb.

    Formula:
        Σ λ_i / λ_max = ‖W‖_F² / ‖W‖₂².
    Reading:
        1 for a rank-one matrix, M for an orthogonal one; pooled kernel positions add up.
    Args:
        eigenvalues: large to small, [n].
    Returns:
        A number in [1, n].
    Raises:
        Nothing; undefined for an all-zero matrix.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        O(n).
    Source:
        Martin & Mahoney (stable rank); Neyshabur et al. 2018.
    Example:
        >>> stable_rank(np.array([4.0, 1.0]))
        1.25
    """
    return float(np.sum(eigenvalues) / eigenvalues[0]) if eigenvalues[0] > 0 else ZERO


@measure(symbol=r"\mathcal{R}_s^{\log}", unit="1", expects="none", source=f"{MARTIN_MAHONEY}, Eq. 6", invariant_to=("rotation", "transpose"))
def log_stable_rank(eigenvalues: np.ndarray) -> float | Undefined:
    """The paper's logarithmic stable rank: a ratio of logarithms, near alpha for very heavy tails.

    Formula:
        log ‖W‖_F² / log λ_max.
    Reading:
        Equals alpha only in the limit of very small alpha; meaningless near λ_max = 1, where it is undefined.
    Args:
        eigenvalues: large to small, [n].
    Returns:
        A ratio (no unit); any logarithm base gives the same.
    Raises:
        Nothing; undefined for an all-zero matrix or λ_max = 1.
    Invariances:
        Rotation and transpose, not scale.
    Cost:
        O(n).
    Source:
        Martin & Mahoney, Eq. 6.
    Example:
        >>> log_stable_rank(np.array([100.0, 9900.0])[::-1])
        1.0010923...
    """
    if eigenvalues[0] <= 0:
        return ZERO
    denominator = float(np.log10(eigenvalues[0]))
    if abs(denominator) < 1e-12:
        return Undefined("the largest eigenvalue is 1, so its logarithm is 0", SKIPPED)
    return float(np.log10(np.sum(eigenvalues)) / denominator)
