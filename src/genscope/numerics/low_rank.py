"""Copies of a matrix without its noise (truncated SVD) or without its correlation traps (single outsized entries)."""

import math
from dataclasses import dataclass

import numpy as np

from genscope.core.status import SKIPPED, Undefined
from genscope.errors import UsageError
from genscope.numerics.marchenko_pastur import fit_marchenko_pastur
from genscope.numerics.randomized_twin import randomized_twin, trap_entries
from genscope.numerics.singular_values import raise_non_finite


@dataclass(frozen=True)
class Smoothed:
    """A truncated copy.

    Args:
        stack: the copy, shape and dtype of the input.
        ranks: rank kept of each matrix.
        energy: share of ``‖W‖_F²`` kept.
    """

    stack: np.ndarray
    ranks: tuple[int, ...]
    energy: float


@dataclass(frozen=True)
class TrapRemoval:
    """A copy with its correlation traps shrunk.

    Args:
        stack: the copy, shape and dtype of the input.
        changed: (matrix, row, column, before, after) of every entry that was changed, largest change first.
        limit: distance from the signal at which an entry counts as a trap.
        sigma: scale of the noise that traps are measured against.
        n_traps: outliers of the randomized twin before.
    """

    stack: np.ndarray
    changed: tuple[tuple[int, int, int, float, float], ...]
    limit: float
    sigma: float
    n_traps: int


def truncate(stack: np.ndarray, *, rank: int | None = None, eigenvalue: float | None = None) -> Smoothed:
    """Each matrix with only its largest singular components: a given number of them, or those whose eigenvalue reaches a bound.

    The three ways of smoothing: ``rank`` chosen by hand; ``eigenvalue=fit.xmin`` keeps the power-law tail; ``eigenvalue=bulk.spike_threshold``
    keeps what stands out of the Marchenko–Pastur bulk.

    Args:
        stack: [k, rows, cols] or [rows, cols]; not changed.
        rank: components kept of each matrix.
        eigenvalue: keep components with λ (of ``WᵀW``) at or above this.

    Returns:
        ``Smoothed``; the best approximation of that rank in the Frobenius and the spectral norm.

    Raises:
        UsageError: neither or both of ``rank`` and ``eigenvalue``, or a negative one; no entries.
        CorruptInput: NaN or infinite entries.

    Invariances: commutes with transposition, orthogonal changes of basis, and (for ``rank``) scaling.

    Cost: one eigenproblem of the smaller side and two products per matrix.

    Source: Eckart & Young 1936.

    Example:
        >>> truncate(np.diag([3.0, 2.0, 1.0]), rank=2).stack.round(12).tolist()
        [[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]]
    """
    if (rank is None) == (eigenvalue is None) or (rank or 0) < 0 or (eigenvalue or 0.0) < 0:
        raise UsageError("truncate needs either a rank or an eigenvalue, not negative.")
    source, matrices = _as_stack(stack)
    copy, ranks = np.empty_like(matrices), []
    for position, matrix in enumerate(matrices):
        copy[position], kept = _truncated(matrix, rank, eigenvalue)
        ranks.append(kept)
    scale = float(np.abs(matrices).max(initial=0.0)) or 1.0
    energy = float(np.square(copy / scale).sum() / (np.square(matrices / scale).sum() or 1.0))
    return Smoothed(copy.reshape(source.shape).astype(source.dtype, copy=False), tuple(ranks), energy)


def _as_stack(stack: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The input as an array, and as float64 [k, rows, cols]."""
    source = np.asarray(stack)
    if source.ndim not in (2, 3) or source.size == 0:
        raise UsageError(f"A matrix [rows, cols] or a stack [k, rows, cols] with entries is needed, not shape {list(source.shape)}.")
    matrices = (source[None] if source.ndim == 2 else source).astype(np.float64)
    if not np.isfinite(matrices).all():
        raise_non_finite(matrices)
    return source, matrices


def _truncated(matrix: np.ndarray, rank: int | None, eigenvalue: float | None) -> tuple[np.ndarray, int]:
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    kept = min(rank, values.size) if rank is not None else int((values >= math.sqrt(eigenvalue or 0.0)).sum())
    return (left[:, :kept] * values[:kept]) @ right[:kept], kept


def remove_correlation_traps(stack: np.ndarray, *, rng: np.random.Generator, level: float = 0.01) -> TrapRemoval | Undefined:
    r"""A copy whose outsized single entries are pulled back to what the signal and the noise around them explain.

    A trap is an outlier of the *randomized twin*; it comes from entries, not from directions, so entries are what is changed:

    1. The twin's bulk gives σ and the entry size ``limit`` above which one entry makes an outlier.
    2. Entries beyond are first clipped; the components of that copy that stand out of its bulk are the signal ``S``.
    3. A candidate whose distance to ``S`` is above ``limit`` becomes ``S ± c``, with :math:`c = \sigma\sqrt{2\ln(2MN)}` the size of the largest of
       MN Gaussian entries; a candidate that the signal explains stays. All other entries stay as they are, bit by bit.

    The top singular directions of ``W`` itself are not touched, so planted low-rank signal survives.

    Args:
        stack: [k, rows, cols] or [rows, cols]; not changed.
        rng: draws the twin.
        level: chance that a twin without traps shows one.

    Returns:
        ``TrapRemoval`` with the list of changes (empty when there is no trap), or ``Undefined`` when the twin has no bulk to measure against.

    Raises:
        CorruptInput: NaN or infinite entries.

    Invariances: scale-equivariant; transposition.

    Cost: one SVD of the twin, and one of the clipped copy if there are candidates.

    Source: Martin & Mahoney 2021 (correlation traps); the entry criterion is the outlier formula of Benaych-Georges & Nadakuditi 2012.

    Example:
        >>> w = np.random.default_rng(0).standard_normal((100, 100)); w[3, 7] = 40.0
        >>> found = remove_correlation_traps(w, rng=np.random.default_rng(1))
        >>> [(i, j, before) for _, i, j, before, _ in found.changed], round(float(found.stack[3, 7]), 1)
        ([(3, 7, 40.0)], 4.4)
    """
    source, matrices = _as_stack(stack)
    count, rows, cols = matrices.shape
    twin = np.linalg.svd(randomized_twin(matrices, rng=rng), compute_uv=False)
    bulk = fit_marchenko_pastur(twin, rows, cols, n_matrices=count, level=level)
    if isinstance(bulk, Undefined):
        return Undefined(f"correlation traps cannot be told: {bulk.reason}", SKIPPED)
    found = trap_entries(matrices, bulk)
    cap = min(found.limit, bulk.sigma * math.sqrt(2 * math.log(2 * rows * cols)))
    copy = source.copy()
    target = copy[None] if source.ndim == 2 else copy
    centre = matrices.mean(axis=(1, 2), keepdims=True)
    candidates = np.abs(matrices - centre) > found.limit
    changed: list[tuple[int, int, int, float, float]] = []
    for k in np.nonzero(candidates.any(axis=(1, 2)))[0]:
        signal = _signal(matrices[k], candidates[k], cap, level)
        for i, j in np.argwhere(candidates[k]):
            away = matrices[k, i, j] - signal[i, j]
            if abs(away) > found.limit:
                target[k, i, j] = signal[i, j] + math.copysign(cap, away)
                changed.append((int(k), int(i), int(j), float(matrices[k, i, j]), float(target[k, i, j])))
    changed.sort(key=lambda entry: -abs(entry[3] - entry[4]))
    return TrapRemoval(copy, tuple(changed), found.limit, bulk.sigma, bulk.n_spikes)


def _signal(matrix: np.ndarray, candidates: np.ndarray, cap: float, level: float) -> np.ndarray:
    """The components that stand out once the candidates are out of the way.

    Candidates are refilled from the current signal estimate, a few times, so that the hole they leave does not weaken the signal.
    """
    signal = np.zeros_like(matrix)
    for _ in range(5):
        filled = np.where(candidates, signal + np.clip(matrix - signal, -cap, cap), matrix)
        left, values, right = np.linalg.svd(filled, full_matrices=False)
        bulk = fit_marchenko_pastur(values, *matrix.shape, level=level)
        if isinstance(bulk, Undefined) or bulk.n_spikes == 0:
            return np.zeros_like(matrix)
        signal = (left[:, : bulk.n_spikes] * values[: bulk.n_spikes]) @ right[: bulk.n_spikes]
    return signal
