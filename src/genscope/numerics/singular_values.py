"""Singular values of one matrix or of a stack: through the Gram matrix in float64 (fast), or by SVD (exact at the small end)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from genscope.errors import CorruptInput, UsageError
from genscope.numerics.lapack import add_gram, add_gram_of_columns, symmetric_eigenvalues

METHODS = ("auto", "gram", "svd")
_EPS = float(np.finfo(np.float64).eps)
_CHUNK_BYTES = 8 * 2**20
_BATCH_BYTES = 16 * 2**20
_SVD_SIDE = 16


@dataclass(frozen=True)
class SingularValues:
    """Pooled singular values and how far they can be trusted.

    Args:
        values: float64, sorted from large to small, length ``k · min(m, n)``.
        resolution: absolute singular value at and below which ``values`` are rounding noise of the method.
        method: ``gram`` or ``svd``.
        frobenius_squared: sum of squared entries over the whole stack.
    """

    values: np.ndarray
    resolution: float
    method: str
    frobenius_squared: float


def singular_values(stack: Any, *, method: str = "auto", device: str | None = None) -> SingularValues:
    """Singular values of a matrix, or of a stack of matrices of one shape pooled into one list.

    ``σ_i = sqrt(λ_i(WᵀW))`` on the smaller side (``gram``), or LAPACK's ``gesdd`` (``svd``).

    Args:
        stack: [m, n] or [k, m, n] real array (or torch tensor); not changed.
        method: ``gram`` (float64 Gram matrix, 2 to 7 times faster), ``svd`` (exact down to ``eps · σ_max``) or ``auto`` (``svd`` where a
            side has at most 16 entries, else ``gram``).
        device: a torch device such as ``cuda``; ``None`` computes with NumPy on the CPU.

    Returns:
        :class:`SingularValues`, in the unit of the weights. ``gram`` eigenvalues carry an absolute error below
        ``4 n eps λ_max``, so singular values below ``resolution = sqrt(4 n eps) σ_max`` are noise; above it the relative error of λ is at most
        ``4 n eps λ_max / λ``.

    Raises:
        CorruptInput: a NaN or an infinity, with their count and the first position.
        UsageError: an unknown method or a shape that is not a matrix.

    Invariances: σ(cW) = |c| σ(W) at any scale; rows, columns and signs may be permuted; transposition.

    Cost: ``gram`` m n min(m, n) + 4/3 min³ flops and one float64 Gram matrix of memory; ``svd`` about four times that and a float64 copy.

    Source: Golub & Van Loan, Matrix Computations, sections 8.3 and 8.6.

    Example:
        >>> singular_values(np.array([[3.0, 0.0], [0.0, 4.0]])).values.tolist()
        [4.0, 3.0]
    """
    if method not in METHODS:
        raise UsageError(f"singular_values: method {method!r} is unknown; choose one of {', '.join(METHODS)}")
    if device is not None or type(stack).__module__.partition(".")[0] == "torch":
        from genscope.numerics.singular_values_torch import singular_values_on_device

        return singular_values_on_device(stack, method=method, device=device)
    array = np.asarray(stack)
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.size == 0 or array.dtype.kind not in "fiub":
        raise UsageError(f"singular_values needs a non-empty real [m, n] or [k, m, n] array, got shape {np.shape(stack)} of {array.dtype}")
    if array.dtype != np.float32 and array.dtype != np.float64:
        array = array.astype(np.float32 if array.dtype == np.float16 else np.float64)
    scale = _scale(array)
    short = min(array.shape[1:])
    chosen = method if method != "auto" else ("svd" if short <= _SVD_SIDE else "gram")
    with np.errstate(over="ignore", invalid="ignore"):
        values, squared, chosen = _computed(array, scale, chosen)
    if not np.isfinite(squared / scale / scale):
        raise_non_finite(array)
    values = np.sort(values, axis=None)[::-1] / scale
    return SingularValues(values, resolution(float(values[0]), short, chosen), chosen, squared / scale / scale)


def resolution(largest: float, short: int, method: str) -> float:
    """The absolute singular value below which ``method`` returns rounding noise: ``sqrt(4 n eps) σ_max`` (gram), ``4 n eps σ_max`` (svd)."""
    relative = 4.0 * short * _EPS
    return largest * (relative if method == "svd" else relative**0.5)


def raise_non_finite(array: np.ndarray) -> None:
    """Raise the sentence about the NaN or infinite entries of ``array`` ([k, m, n])."""
    bad = ~np.isfinite(array)
    count = int(bad.sum())
    if count == 0:
        raise CorruptInput("the sum of squared entries overflows float64; rescale the matrix")
    first = np.unravel_index(int(np.argmax(bad)), array.shape)
    what = "NaN" if np.isnan(array[first]) else "infinite"
    place = [int(i) for i in (first if array.shape[0] > 1 else first[1:])]
    kinds = "NaN or infinite" if count > 1 and np.isnan(array).sum() not in (0, count) else what
    total = f"{array.size:,}".replace(",", " ")
    raise CorruptInput(f"{count} of {total} entries {kinds}, first at {place}; a spectrum needs finite weights")


def _scale(array: np.ndarray) -> float:
    """A power of two that brings float64 entries near one. Squares of float32 numbers always fit into float64: nothing to do there."""
    if array.dtype == np.float32:
        return 1.0
    largest = max(float(array.max()), -float(array.min()))
    if not np.isfinite(largest):
        raise_non_finite(array)
    if largest == 0.0:
        return 1.0
    return float(2.0 ** min(1000, max(-1000, -int(np.frexp(largest)[1]))))


def _computed(array: np.ndarray, scale: float, method: str) -> tuple[np.ndarray, float, str]:
    """Values, sum of squares and the method that worked: the SVD steps in should the eigenvalue iteration ever fail."""
    if method == "gram":
        try:
            return *_by_gram(array, scale), method
        except np.linalg.LinAlgError:
            method = "svd"
    try:
        return *_by_svd(array, scale), method
    except np.linalg.LinAlgError as error:
        raise CorruptInput(f"the singular values of a {array.shape[1]} by {array.shape[2]} matrix did not converge ({error})") from error


def _by_svd(array: np.ndarray, scale: float) -> tuple[np.ndarray, float]:
    scaled = np.multiply(array, scale, dtype=np.float64)
    squared = float(np.einsum("kij,kij->", scaled, scaled))
    if not np.isfinite(squared):
        return np.zeros(1), squared
    return np.linalg.svd(scaled, compute_uv=False), squared


def _by_gram(array: np.ndarray, scale: float) -> tuple[np.ndarray, float]:
    count, m, n = array.shape
    short = min(m, n)
    if count > 1 and 8 * array.size <= _BATCH_BYTES and short <= 128:
        scaled = np.multiply(array, scale, dtype=np.float64)
        turned = scaled.transpose(0, 2, 1)
        gram = scaled @ turned if m <= n else turned @ scaled
        squared = float(np.einsum("kii->", gram))
        found = np.linalg.eigvalsh(gram) if np.isfinite(squared) else np.zeros(1)
    else:
        found, squared = np.empty((count, short)), 0.0
        gram = np.empty((short, short))
        for k in range(count):
            gram[:] = 0.0
            _accumulate(gram, array[k], scale)
            trace = float(np.trace(gram))
            squared += trace
            if not np.isfinite(trace):
                return np.zeros(1), trace
            found[k] = symmetric_eigenvalues(gram)
    return np.sqrt(np.maximum(found, 0.0)), squared


def _accumulate(gram: np.ndarray, matrix: np.ndarray, scale: float) -> None:
    """Sum the Gram matrix of the smaller side over pieces of the larger one, so that no float64 copy of the matrix ever exists.

    A very long matrix is summed as two halves side by side. Whether it is depends on its shape alone and the halves are added in one
    order, so the numbers do not depend on threads.
    """
    m, n = matrix.shape
    short, long = min(m, n), max(m, n)
    if not _in_halves(short, long):
        _add_pieces(gram, matrix, scale, 0, long)
        return
    from concurrent.futures import ThreadPoolExecutor

    other = np.zeros_like(gram)
    with ThreadPoolExecutor(1) as aside:
        second = aside.submit(_add_pieces, other, matrix, scale, long // 2, long)
        _add_pieces(gram, matrix, scale, 0, long // 2)
        second.result()
    gram += other


def _add_pieces(gram: np.ndarray, matrix: np.ndarray, scale: float, begin: int, end: int) -> None:
    m, n = matrix.shape
    step = max(64, min(end - begin, _CHUNK_BYTES // (8 * min(m, n))))
    for start in range(begin, end, step):
        stop = min(start + step, end)
        if n <= m:
            add_gram(gram, np.multiply(matrix[start:stop], scale, dtype=np.float64, order="C"))
        else:
            add_gram_of_columns(gram, np.multiply(matrix[:, start:stop], scale, dtype=np.float64, order="C"))


def _in_halves(short: int, long: int) -> bool:
    """Whether a second Gram matrix pays: at least a second of work, and no more memory than half of the matrix again."""
    return long >= 4 * short and short * short * long >= 5e10


def predicted_bytes(rows: int, cols: int, n_matrices: int = 1) -> int:
    """Predicted peak memory of :func:`singular_values` in bytes, the float32 stack included."""
    short = min(rows, cols)
    grams = 2 if _in_halves(short, max(rows, cols)) else 1
    return int(4 * rows * cols * n_matrices + grams * (8 * short * short + _CHUNK_BYTES) + 8 * 110 * short + 24 * n_matrices * short)


def predicted_seconds(rows: int, cols: int, n_matrices: int = 1) -> float:
    """Predicted seconds of :func:`singular_values` on one core of a present-day CPU."""
    short, long = min(rows, cols), max(rows, cols)
    return n_matrices * (2e-5 + short * short * long / 4.5e10 + (4 / 3) * short**3 / 2.5e10 + 1.2e-8 * short**2)
