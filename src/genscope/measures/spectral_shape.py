"""The shape of the whole spectrum: how many directions a layer uses, and how evenly."""

import numpy as np

from genscope.core.catalogue import measure
from genscope.core.spectrum import Spectrum
from genscope.core.status import SKIPPED, Undefined

FLOAT32_EPSILON = float(np.finfo(np.float32).eps)


def _shares(eigenvalues: np.ndarray) -> np.ndarray | Undefined:
    total = float(np.sum(eigenvalues))
    if total <= 0:
        return Undefined("all weights are zero", SKIPPED)
    shares = eigenvalues / total
    return shares[shares > 0]


@measure(symbol="S", unit="1", expects="none", source="Martin & Mahoney 2021, JMLR (matrix entropy)", invariant_to=("scale", "rotation", "transpose"))
def entropy(eigenvalues: np.ndarray, matrix_rank: int) -> float | Undefined:
    """Entropy of the eigenvalue shares, relative to its maximum for this rank.

    Formula:
        −Σ p_i ln p_i / ln(rank), p_i = λ_i / Σ λ.
    Reading:
        1: all directions equally used; near 0: one direction carries the layer.
    Args:
        eigenvalues: large to small, [n].
        matrix_rank: numerical rank.
    Returns:
        A number in [0, 1].
    Raises:
        Nothing; undefined for rank 0 or 1.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        O(n).
    Source:
        Martin & Mahoney 2021, JMLR 22 (matrix entropy).
    Example:
        >>> entropy(np.array([1.0, 1.0]), 2)
        1.0
    """
    shares = _shares(eigenvalues)
    if isinstance(shares, Undefined):
        return shares
    if matrix_rank < 2:
        return Undefined("a matrix of rank one has a single direction: its relative entropy is 0/0", SKIPPED)
    return float(-np.sum(shares * np.log(shares)) / np.log(matrix_rank))


@measure(symbol=r"r_{\mathrm{eff}}", unit="directions", expects="none", source="Roy & Vetterli 2007", invariant_to=("scale", "rotation", "transpose"))
def effective_rank(eigenvalues: np.ndarray) -> float | Undefined:
    """The number of equally used directions with the same entropy.

    Formula:
        exp(−Σ p_i ln p_i), p_i = λ_i / Σ λ.
    Reading:
        Between 1 and the rank; compare with the layer's size.
    Args:
        eigenvalues: large to small, [n].
    Returns:
        A number of directions.
    Raises:
        Nothing; undefined for an all-zero matrix.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        O(n).
    Source:
        Roy & Vetterli 2007, Eq. 4, with shares of eigenvalues in place of singular values.
    Example:
        >>> round(effective_rank(np.array([1.0, 1.0, 1.0])), 6)
        3.0
    """
    shares = _shares(eigenvalues)
    if isinstance(shares, Undefined):
        return shares
    return float(np.exp(-np.sum(shares * np.log(shares))))


@measure(
    symbol=r"\mathrm{rank}",
    unit="directions",
    expects="none",
    source="Golub & Van Loan, section 5.4",
    invariant_to=("scale", "rotation", "transpose"),
)
def matrix_rank(spectrum: Spectrum) -> int:
    """Numerical rank, counted per matrix and added up over pooled matrices.

    Formula:
        #{σ_i > max(N ε σ_max, resolution)}, ε = 2⁻²³ (weights are stored in float32 or less), ``resolution`` the eigenvalue routine's own floor.
    Reading:
        Below full rank, the layer has dead or duplicated directions.
    Args:
        spectrum: singular values with the resolution of their method.
    Returns:
        A count.
    Raises:
        Nothing.
    Invariances:
        Scale, rotation, transpose.
    Cost:
        O(n).
    Source:
        Golub & Van Loan, Matrix Computations, section 5.4 (numerical rank); the tolerance is NumPy's for float32.
    Example:
        >>> matrix_rank(Spectrum(np.array([2.0, 1.0, 1e-9]), rows=3, cols=3))
        2
    """
    largest = float(spectrum.singular_values[0])
    tolerance = max(spectrum.n_long * FLOAT32_EPSILON * largest, spectrum.resolution)
    return int(np.count_nonzero(spectrum.singular_values > tolerance))
