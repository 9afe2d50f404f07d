"""Several eigenpairs and the diagonal of a symmetric operator that is only known by its action."""

from dataclasses import dataclass

import numpy as np

from genscope.errors import UsageError
from genscope.numerics.lanczos import Operator

# Up to this size (or when most of the spectrum is wanted) the matrix is built and diagonalised.
_DENSE = 64


@dataclass(frozen=True)
class Eigenpairs:
    """The k largest (algebraic) eigenvalues in descending order.

    Args:
        values: ``[k]``.
        vectors: ``[n, k]`` orthonormal columns.
        residuals: ``‖Av − λv‖`` of each.
        n_products: products with the operator, those for the residuals not counted where the matrix was built.
        converged: whether every residual is within the tolerance of the largest ``|λ|``.
    """

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray
    n_products: int
    converged: bool


def top_eigenpairs(multiply: Operator, n: int, k: int, rng: np.random.Generator, *, tolerance: float = 1e-3, max_products: int = 500) -> Eigenpairs:
    """The k largest eigenvalues by implicitly restarted Lanczos (ARPACK), sorted, each with its residual.

    Args:
        multiply: the action on columns, ``[n, k] -> [n, k]``.
        n: dimension.
        k: how many, 1 ≤ k ≤ n.
        rng: generator of the starting vector.
        tolerance: residual asked for, relative to the largest ``|λ|``.
        max_products: budget; past it the Ritz pairs that did converge are returned, which may be fewer than k.

    Example:
        >>> found = top_eigenpairs(lambda v: np.arange(200.0)[:, None] * v, 200, 3, np.random.default_rng(0))
        >>> found.values.round(3).tolist(), found.converged
        ([199.0, 198.0, 197.0], True)
    """
    if not 1 <= k <= n:
        raise UsageError(f"An operator of dimension {n} has no {k} largest eigenvalues; ask for 1 to {n}.")
    if n <= _DENSE or 2 * k + 1 >= n:
        matrix = multiply(np.eye(n))
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
        return _checked(multiply, values[::-1][:k], vectors[:, ::-1][:, :k], n, tolerance)
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    spent = [0]

    def product(vector: np.ndarray) -> np.ndarray:
        spent[0] += 1
        return multiply(vector.reshape(n, 1))[:, 0]

    size = min(n - 1, max(2 * k + 1, 20))
    operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
    rounds = max(1, (max_products - size) // max(1, size - k))
    try:
        values, vectors = eigsh(operator, k=k, which="LA", ncv=size, tol=tolerance, v0=rng.standard_normal(n), maxiter=rounds)
    except ArpackNoConvergence as stopped:
        values, vectors = stopped.eigenvalues, stopped.eigenvectors
    order = np.argsort(values)[::-1]
    found = _checked(multiply, values[order], vectors[:, order], spent[0], tolerance)
    return found if len(values) == k else Eigenpairs(found.values, found.vectors, found.residuals, found.n_products, False)


def _checked(multiply: Operator, values: np.ndarray, vectors: np.ndarray, spent: int, tolerance: float) -> Eigenpairs:
    if not len(values):
        return Eigenpairs(values, vectors, np.zeros(0), spent, False)
    residuals = np.linalg.norm(multiply(np.ascontiguousarray(vectors)) - values * vectors, axis=0)
    scale = float(np.abs(values).max())
    return Eigenpairs(values, vectors, residuals, spent + len(values), bool((residuals <= 10 * tolerance * max(scale, 1e-300)).all()))


def sampled_diagonal(multiply: Operator, n: int, rng: np.random.Generator, *, n_probes: int = 64, block: int = 8) -> np.ndarray:
    """``E[z ⊙ Az]`` over random signs z: unbiased for the diagonal, exact for a diagonal matrix (Bekas, Kokiopoulou & Saad 2007).

    The variance of entry i is ``Σ_{j≠i} A_ij² / n_probes``.

    Example:
        >>> sampled_diagonal(lambda v: np.array([3.0, 1.0])[:, None] * v, 2, np.random.default_rng(0), n_probes=1).tolist()
        [3.0, 1.0]
    """
    total, done = np.zeros(n), 0
    while done < n_probes:
        signs = rng.choice((-1.0, 1.0), size=(n, min(block, n_probes - done)))
        total += (signs * multiply(signs)).sum(axis=1)
        done += signs.shape[1]
    return total / n_probes
