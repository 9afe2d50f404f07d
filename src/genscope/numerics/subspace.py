"""How far two matrices share their leading directions."""

import numpy as np


def leading_directions(matrix: np.ndarray, k: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` leading left and right singular vectors.

    Args:
        matrix: [rows, cols].
        k: how many, at most min(rows, cols).
        rng: draws the start vector of the iteration.

    Returns:
        ([rows, k], [cols, k]), orthonormal columns.
    """
    from scipy.sparse.linalg import svds

    matrix = np.asarray(matrix, dtype=np.float64)
    if min(matrix.shape) <= max(2 * k, 40):
        left, _, right = np.linalg.svd(matrix, full_matrices=False)
        return left[:, :k], right[:k].T
    left, _, right = svds(matrix, k=k, v0=rng.standard_normal(min(matrix.shape)), tol=1e-6)
    return left[:, ::-1], right[::-1].T


def subspace_overlap(first: np.ndarray, second: np.ndarray, k: int, rng: np.random.Generator) -> float:
    """Mean squared cosine between the leading ``k``-dimensional singular subspaces of two matrices of one shape.

    Formula: ½ (‖U_Aᵀ U_B‖_F² + ‖V_Aᵀ V_B‖_F²) / k; 1 for the same subspaces, about k/rows and k/cols (averaged) for unrelated ones.

    Args:
        first, second: [rows, cols].
        k: dimension, at most min(rows, cols).
        rng: draws start vectors.

    Example:
        >>> a = np.diag([3.0, 2.0, 1.0])
        >>> round(subspace_overlap(a, 5 * a, 2, np.random.default_rng(0)), 12)
        1.0
    """
    if not np.any(first) or not np.any(second):
        return float("nan")
    left_a, right_a = leading_directions(first, k, rng)
    left_b, right_b = leading_directions(second, k, rng)
    return float(0.5 * (np.sum((left_a.T @ left_b) ** 2) + np.sum((right_a.T @ right_b) ** 2)) / k)
