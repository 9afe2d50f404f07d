"""The top eigenvalue of a symmetric operator that is only known by its action, with its residual and the Krylov space that found it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Operator = Callable[[np.ndarray], np.ndarray]

# Vectors kept at most, and kept at a restart; large operators keep fewer, so that the basis stays under 2 GB.
_KRYLOV, _KEPT, _BASIS_NUMBERS = 24, 6, 2**28


@dataclass(frozen=True)
class TopEigenvalue:
    """The largest (algebraic) eigenvalue, ``‖Av − λv‖`` of its vector and the number of products spent.

    Args:
        value: the Ritz value λ.
        residual: its residual norm.
        n_products: products with the operator.
        vector: the unit Ritz vector.
        converged: whether the residual is within the tolerance.
        basis: orthonormal columns ``Q`` of the Krylov space; a sketch of the operator's largest part.
        captured: ``tr(QᵀAQ)``.
    """

    value: float
    residual: float
    n_products: int
    vector: np.ndarray
    converged: bool
    basis: np.ndarray
    captured: float


def top_eigenvalue(
    multiply: Operator, n: int, rng: np.random.Generator, *, tolerance: float = 1e-3, max_products: int = 60, start: np.ndarray | None = None
) -> TopEigenvalue:
    """The largest algebraic eigenvalue of a symmetric operator by thick-restart Lanczos (Wu & Simon 2000) with full re-orthogonalisation.

    It stops at the first step whose residual is within ``tolerance · |λ|``; the residual comes from the recurrence and costs no product. By Weyl's
    theorem an eigenvalue lies within ``residual`` of the value; for the largest one the value is also a lower bound.

    Args:
        multiply: the action on a block of columns, ``[n, k] -> [n, k]``.
        n: dimension; up to 32 the matrix is built and diagonalised exactly.
        rng: generator of the starting vector.
        tolerance: residual asked for, relative to the value.
        max_products: budget of products; past it the best Ritz vector so far is returned with ``converged=False``.
        start: a guess of the eigenvector; a tenth of a random vector is mixed in, so that a guess without the eigenvector in it does no harm.

    Example:
        >>> found = top_eigenvalue(lambda v: np.arange(100.0)[:, None] * v, 100, np.random.default_rng(0))
        >>> round(found.value, 1)
        99.0
    """
    if n <= 32:
        matrix = multiply(np.eye(n))
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
        residual = float(np.linalg.norm(matrix @ vectors[:, -1] - values[-1] * vectors[:, -1]))
        return TopEigenvalue(float(values[-1]), residual, n, vectors[:, -1], True, vectors, float(np.trace(matrix)))
    size = int(min(_KRYLOV, max(2 * _KEPT, _BASIS_NUMBERS // n), n))
    basis, projected, used, coming = np.empty((size, n)), np.zeros((size, size)), 0, _first(start, n, rng)
    for product in range(1, max_products + 1):
        if used == size:
            used = _restart(basis, projected)
        basis[used] = coming
        image = multiply(coming[:, None])[:, 0]
        coefficients, coming, length = _orthogonalised(image, basis[: used + 1])
        projected[: used + 1, used] = projected[used, : used + 1] = coefficients
        used += 1
        values, vectors = np.linalg.eigh(projected[:used, :used])
        residual = length * abs(float(vectors[-1, -1]))
        exhausted = length <= 1e-10 * max(float(np.linalg.norm(image)), 1e-300)
        converged = exhausted or used == n or residual <= tolerance * abs(values[-1])
        if (converged and product > 2) or exhausted or used == n:
            break
    kept = basis[:used]
    return TopEigenvalue(
        float(values[-1]), residual, product, kept.T @ vectors[:, -1], bool(converged), kept.T, float(np.trace(projected[:used, :used]))
    )


def _first(start: np.ndarray | None, n: int, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.standard_normal(n)
    drawn /= np.linalg.norm(drawn)
    length = 0.0 if start is None else float(np.linalg.norm(start))
    if start is not None and np.isfinite(length) and length > 0:
        drawn = start / length + 0.1 * drawn
    return drawn / np.linalg.norm(drawn)


def _orthogonalised(image: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Coefficients of ``image`` in the basis (rows), the unit rest and its length; Gram–Schmidt twice is enough (Parlett)."""
    coefficients = basis @ image
    rest = image - coefficients @ basis
    again = basis @ rest
    rest -= again @ basis
    length = float(np.linalg.norm(rest))
    return coefficients + again, rest / length if length > 0 else rest, length


def _restart(basis: np.ndarray, projected: np.ndarray) -> int:
    """Keep the Ritz vectors of the largest values; the next vector's coefficients restore what couples them."""
    values, vectors = np.linalg.eigh(projected)
    basis[:_KEPT] = vectors[:, -_KEPT:].T @ basis
    projected[:] = 0.0
    projected[range(_KEPT), range(_KEPT)] = values[-_KEPT:]
    return _KEPT
