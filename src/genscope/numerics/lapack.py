"""The few LAPACK routines NumPy has inside but does not offer, reached where NumPy bundles OpenBLAS, with plain NumPy as the fallback.

Why not ``scipy.linalg.lapack``: its wrappers hold the interpreter lock, so two matrices never run side by side, and the two-stage
reduction to tridiagonal form (Haidar, Ltaief & Dongarra 2011) is not among them. ``ctypes`` releases the lock.
"""

import ctypes
from ctypes import byref, c_char_p, c_double, c_int64, c_size_t, c_void_p
from functools import cache
from pathlib import Path

import numpy as np

TWO_STAGE_FROM = 2560
"""Order from which the two-stage reduction is the faster one (measured by ``benchmarks/singular_values.py``)."""

_ROUTINES = ("dsyrk", "dsytrd", "dsytrd_2stage", "dsterf")


@cache
def _library() -> ctypes.CDLL | None:
    """The 64-bit-integer OpenBLAS that NumPy loaded, or ``None`` when this NumPy was built against another BLAS."""
    package = Path(np.__file__).parent
    folders = (package.parent / "numpy.libs", package / ".dylibs", package / ".libs")
    for path in sorted(path for folder in folders if folder.is_dir() for path in folder.glob("*scipy_openblas64*")):
        try:
            library = ctypes.CDLL(str(path))
            for name in _ROUTINES:
                getattr(library, f"scipy_{name}_64_").restype = None
        except (OSError, AttributeError):
            continue
        return library
    return None


def _pointer(array: np.ndarray) -> c_void_p:
    return c_void_p(array.ctypes.data)


def add_gram(gram: np.ndarray, rows: np.ndarray) -> None:
    """Add ``rowsᵀ rows`` to the upper triangle (as seen in C order: ``i <= j``) of ``gram``, in place.

    Args:
        gram: [n, n] float64, C-contiguous; only its upper triangle is kept up to date when BLAS is reached directly.
        rows: [k, n] float64, C-contiguous.
    """
    library = _library()
    k, n = rows.shape
    if library is None:
        gram += rows.T @ rows
        return
    # C order [k, n] is Fortran order [n, k]: gram = A Aᵀ, and C's upper triangle is Fortran's lower one.
    order, inner, one = c_int64(n), c_int64(k), c_double(1.0)
    library.scipy_dsyrk_64_(
        c_char_p(b"L"), c_char_p(b"N"), byref(order), byref(inner), byref(one), _pointer(rows), byref(order), byref(one), _pointer(gram),
        byref(order), c_size_t(1), c_size_t(1),
    )  # fmt: skip


def add_gram_of_columns(gram: np.ndarray, columns: np.ndarray) -> None:
    """Add ``columns columnsᵀ`` to the upper triangle of ``gram``, in place; ``columns`` is [n, k] float64, C-contiguous."""
    library = _library()
    n, k = columns.shape
    if library is None:
        gram += columns @ columns.T
        return
    order, inner, one = c_int64(n), c_int64(k), c_double(1.0)
    library.scipy_dsyrk_64_(
        c_char_p(b"L"), c_char_p(b"T"), byref(order), byref(inner), byref(one), _pointer(columns), byref(inner), byref(one), _pointer(gram),
        byref(order), c_size_t(1), c_size_t(1),
    )  # fmt: skip


def symmetric_eigenvalues(gram: np.ndarray) -> np.ndarray:
    """All eigenvalues of a symmetric matrix, ascending, from its upper triangle; ``gram`` is overwritten.

    Householder reduction to tridiagonal form (one stage below :data:`TWO_STAGE_FROM`, two stages above), then the square-root-free
    QL iteration ``dsterf``. Backward stable: each eigenvalue is exact for a matrix within ``n · 1e-16 · ‖gram‖``.

    Args:
        gram: [n, n] float64, C-contiguous, writable.

    Returns:
        [n] float64, ascending.

    Cost: 4/3 n³ flops, no memory beyond ``gram`` and O(100 n).
    """
    library = _library()
    n = gram.shape[0]
    if library is None or n < 2:
        return np.linalg.eigvalsh(gram, UPLO="U")
    diagonal, beside = np.empty(n), np.empty(n)
    failed = _two_stage(library, gram, diagonal, beside) if n >= TWO_STAGE_FROM else _one_stage(library, gram, diagonal, beside)
    if not failed:
        info = c_int64(0)
        library.scipy_dsterf_64_(byref(c_int64(n)), _pointer(diagonal), _pointer(beside), byref(info))
        failed = info.value
    if failed:
        raise np.linalg.LinAlgError(f"eigenvalues did not converge (LAPACK info {failed})")
    return diagonal


def _one_stage(library: ctypes.CDLL, gram: np.ndarray, diagonal: np.ndarray, beside: np.ndarray) -> int:
    n = gram.shape[0]
    order, info = c_int64(n), c_int64(0)
    reflectors, work = np.empty(n), np.empty(64 * n)
    library.scipy_dsytrd_64_(
        c_char_p(b"L"), byref(order), _pointer(gram), byref(order), _pointer(diagonal), _pointer(beside), _pointer(reflectors),
        _pointer(work), byref(c_int64(work.size)), byref(info), c_size_t(1),
    )  # fmt: skip
    return info.value


def _two_stage(library: ctypes.CDLL, gram: np.ndarray, diagonal: np.ndarray, beside: np.ndarray) -> int:
    n = gram.shape[0]
    order, info = c_int64(n), c_int64(0)
    reflectors, sizes = np.empty(n), np.zeros(2)

    def call(householder: np.ndarray, n_householder: int, work: np.ndarray, n_work: int) -> None:
        library.scipy_dsytrd_2stage_64_(
            c_char_p(b"N"), c_char_p(b"L"), byref(order), _pointer(gram), byref(order), _pointer(diagonal), _pointer(beside),
            _pointer(reflectors), _pointer(householder), byref(c_int64(n_householder)), _pointer(work), byref(c_int64(n_work)),
            byref(info), c_size_t(1), c_size_t(1),
        )  # fmt: skip

    call(sizes[:1], -1, sizes[1:], -1)  # asks how much workspace it wants
    if info.value == 0:
        householder, work = np.empty(max(1, int(sizes[0]))), np.empty(max(1, int(sizes[1])))
        call(householder, householder.size, work, work.size)
    return info.value
