"""Singular values are the truth; each normalization of the literature is a visible function of them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spectrum:
    """Singular values of one matrix, or pooled over ``n_matrices`` matrices of one shape.

    Args:
        singular_values: float64, sorted from large to small, length ``n_matrices · min(rows, cols)``.
        rows, cols: shape of each matrix.
        n_matrices: number of pooled matrices.
        resolution: singular values below this absolute value are rounding noise of the method that found them.
        method: how they were computed (``gram``, ``svd``, ``fft``, …).
        frobenius_squared: exact sum of squared entries (float64), independent of the eigenvalue routine.
    """

    singular_values: np.ndarray
    rows: int
    cols: int
    n_matrices: int = 1
    resolution: float = 0.0
    method: str = "svd"
    frobenius_squared: float | None = None

    @property
    def eigenvalues(self) -> np.ndarray:
        """Eigenvalues of ``WᵀW``: squared singular values, large to small."""
        return np.square(self.singular_values)

    @property
    def n_long(self) -> int:
        """N, the larger side."""
        return max(self.rows, self.cols)

    @property
    def n_short(self) -> int:
        """M, the smaller side: eigenvalues per matrix."""
        return min(self.rows, self.cols)
