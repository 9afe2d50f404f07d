"""The top eigenvalue of a symmetric operator that is only known by its action, with its residual."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

Operator = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class TopEigenvalue:
    """The largest (algebraic) eigenvalue, ``‖Av − λv‖`` of its vector and the number of products spent."""

    value: float
    residual: float
    n_products: int
    vector: np.ndarray
    converged: bool = True


def top_eigenvalue(multiply: Operator, n: int, rng: np.random.Generator, *, tolerance: float = 1e-3, max_products: int = 60) -> TopEigenvalue:
    """The largest algebraic eigenvalue of a symmetric operator by implicitly restarted Lanczos (ARPACK).

    By Weyl's theorem an eigenvalue lies within ``residual`` of the value; for the largest one the value is also a lower bound.

    Args:
        multiply: the action on a block of columns, ``[n, k] -> [n, k]``.
        n: dimension; up to 32 the matrix is built and diagonalised exactly.
        rng: generator of the starting vector.
        tolerance: relative accuracy asked of ARPACK.
        max_products: budget of products; past it the best Ritz vector so far is returned with ``converged=False``.

    Example:
        >>> found = top_eigenvalue(lambda v: np.arange(100.0)[:, None] * v, 100, np.random.default_rng(0))
        >>> round(found.value, 2)
        99.0
    """
    count = 0

    def action(vector: np.ndarray) -> np.ndarray:
        nonlocal count
        count += 1
        return multiply(vector.reshape(n, 1)).reshape(n)

    if n <= 32:
        matrix = multiply(np.eye(n))
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
        return TopEigenvalue(float(values[-1]), float(np.linalg.norm(matrix @ vectors[:, -1] - values[-1] * vectors[:, -1])), n, vectors[:, -1])
    start = rng.standard_normal(n)
    krylov = min(10 if tolerance >= 1e-2 else 20, n - 1)  # a rough value needs half the space, and ARPACK always fills it once
    converged = True
    try:
        restarts = max(1, max_products // krylov)
        _, vectors = eigsh(LinearOperator((n, n), matvec=action, dtype=float), k=1, which="LA", v0=start, ncv=krylov, maxiter=restarts, tol=tolerance)
        vector = vectors[:, 0]
    except ArpackNoConvergence as error:
        converged = False
        vector = error.eigenvectors[:, 0] if error.eigenvectors.shape[1] else _plain_lanczos(action, start, krylov)
    image = action(vector)
    value = float(vector @ image)
    return TopEigenvalue(value, float(np.linalg.norm(image - value * vector)), count, vector, converged)


def _plain_lanczos(action: Operator, start: np.ndarray, steps: int) -> np.ndarray:
    """The top Ritz vector of a Krylov space with full re-orthogonalisation."""
    basis = [start / np.linalg.norm(start)]
    images = []
    for _ in range(steps):
        images.append(action(basis[-1]))
        residual = images[-1].copy()
        for _ in range(2):
            for vector in basis:
                residual -= (vector @ residual) * vector
        size = np.linalg.norm(residual)
        if size < 1e-12 * np.linalg.norm(images[-1]) or len(basis) == steps:
            break
        basis.append(residual / size)
    stacked = np.stack(basis[: len(images)], axis=1)
    small = stacked.T @ np.stack(images, axis=1)
    return stacked @ np.linalg.eigh((small + small.T) / 2)[1][:, -1]
