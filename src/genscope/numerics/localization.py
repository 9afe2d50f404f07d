"""How many coordinates a singular vector lives on: spread over all, or localized on a few."""

from dataclasses import dataclass

import numpy as np

from genscope.errors import CorruptInput, UsageError


@dataclass(frozen=True)
class Localization:
    """Three measures of spread, one value per vector, in the order of the vectors.

    Args:
        participation_ratio: ``1/Σ v⁴``, the number of coordinates that take part: 1 (one coordinate) to n (all equal); n/3 for a random vector.
        localization_ratio: ``‖v‖₁/‖v‖_∞``: 1 to n; small when one coordinate dominates.
        entropy: ``−Σ v² ln v² / ln n``: 0 (one coordinate) to 1 (all equal).
        size: n, the length of the vectors.
    """

    participation_ratio: np.ndarray
    localization_ratio: np.ndarray
    entropy: np.ndarray
    size: int


@dataclass(frozen=True)
class BulkAndTail:
    """Mean and standard deviation of a measure over the bulk and the tail of a spectrum; ``None`` where there is no vector."""

    bulk_mean: float | None
    bulk_std: float | None
    tail_mean: float | None
    tail_std: float | None
    n_bulk: int
    n_tail: int


def singular_vectors(matrix: np.ndarray, *, side: str = "short") -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of ``WᵀW``, large to small, and the singular vectors that go with them, as columns.

    Args:
        matrix: [rows, cols], not changed.
        side: ``short`` (vectors of length min(rows, cols), from the symmetric eigenproblem of the Gram matrix) or ``long`` (from an SVD).

    Returns:
        (eigenvalues [m], vectors [min or max, m]) with orthonormal columns.

    Raises:
        UsageError: an unknown side or an array that is not a matrix.
        CorruptInput: no entries, or NaN or infinite ones.

    Cost: ``short``: one symmetric eigenproblem of the smaller side; ``long``: an SVD.

    Example:
        >>> values, vectors = singular_vectors(np.diag([1.0, 3.0]))
        >>> values.tolist(), np.abs(vectors).tolist()
        ([9.0, 1.0], [[0.0, 1.0], [1.0, 0.0]])
    """
    array = np.asarray(matrix, dtype=np.float64)
    if array.ndim != 2 or side not in {"short", "long"}:
        raise UsageError("singular_vectors needs a matrix [rows, cols] and side 'short' or 'long'.")
    if array.size == 0 or not np.isfinite(array).all():
        raise CorruptInput(
            f"Singular vectors need a matrix of finite entries; this one has {int((~np.isfinite(array)).sum())} NaN or infinite of {array.size}."
        )
    wide = array if array.shape[0] <= array.shape[1] else array.T
    scale = float(np.abs(wide).max(initial=0.0)) or 1.0
    if side == "short":
        values, vectors = np.linalg.eigh((wide / scale) @ (wide / scale).T)
        return np.clip(values[::-1], 0.0, None) * scale**2, vectors[:, ::-1]
    _, singular, right = np.linalg.svd(wide / scale, full_matrices=False)
    return np.square(singular * scale), right.T


def localization(vectors: np.ndarray) -> Localization:
    r"""Participation ratio, localization ratio and entropy of vectors.

    :math:`1/\sum_i v_i^4`, :math:`\|v\|_1/\|v\|_\infty`, :math:`-\sum_i v_i^2 \ln v_i^2/\ln n`, with the vectors normalized
    first. Delocalized tail vectors mean correlations shared by many units; localized ones point to single units or entries.

    Args:
        vectors: [n, m], one vector per column; a zero vector is refused.

    Returns:
        ``Localization`` with arrays [m].

    Raises:
        UsageError: zero or non-finite vectors, or not a matrix.

    Invariances: length, sign and the order of the coordinates do not matter.

    Cost: O(n m).

    Source: Bell & Dean 1970 (participation); Martin & Mahoney 2021 (its use on weight matrices).

    Example:
        >>> found = localization(np.array([[1.0, 1.0], [0.0, 1.0]]))
        >>> found.participation_ratio.round(12).tolist(), found.localization_ratio.round(12).tolist(), found.entropy.round(12).tolist()
        ([1.0, 2.0], [1.0, 2.0], [0.0, 1.0])
    """
    array = np.asarray(vectors, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise UsageError(f"localization needs vectors as columns of [n, m], not shape {list(array.shape)}.")
    sizes = np.abs(array)
    largest = sizes.max(axis=0)
    if not (np.isfinite(largest).all() and (largest > 0).all()):
        raise UsageError("localization is not defined for a zero or non-finite vector.")
    sizes = sizes / largest
    weight = np.square(sizes)
    weight /= weight.sum(axis=0)
    logs = np.log(np.where(weight > 0, weight, 1.0))
    n = array.shape[0]
    entropy = -(weight * logs).sum(axis=0) / np.log(n) if n > 1 else np.zeros(array.shape[1])
    return Localization(1.0 / np.square(weight).sum(axis=0), sizes.sum(axis=0), np.clip(entropy, 0.0, 1.0) + 0.0, n)


def bulk_and_tail(measure: np.ndarray, eigenvalues: np.ndarray, xmin: float) -> BulkAndTail:
    """Mean and standard deviation of a measure below and from ``xmin`` on.

    Args:
        measure: one value per eigenvalue.
        eigenvalues: in the same order and the same normalization as ``xmin``.
        xmin: where the tail begins (the power-law fit's).

    Returns:
        ``BulkAndTail``.

    Raises:
        UsageError: arrays of different length.

    Example:
        >>> found = bulk_and_tail(np.array([1.0, 2.0, 6.0]), np.array([9.0, 4.0, 1.0]), 4.0)
        >>> found.tail_mean, found.bulk_mean, found.n_tail
        (1.5, 6.0, 2)
    """
    values, lambdas = np.asarray(measure, dtype=np.float64), np.asarray(eigenvalues)
    if values.shape != lambdas.shape:
        raise UsageError(f"{values.size} measured vectors do not match {lambdas.size} eigenvalues.")
    tail, bulk = values[lambdas >= xmin], values[lambdas < xmin]

    def summary(part: np.ndarray) -> tuple[float | None, float | None]:
        return (float(part.mean()), float(part.std())) if part.size else (None, None)

    return BulkAndTail(*summary(bulk), *summary(tail), bulk.size, tail.size)
