"""The randomized twin of a matrix — the same entries in shuffled places — and what the difference says.

Shuffling keeps every entry and destroys every correlation. Where the spectrum differs from its twin's, the matrix has structure. Where the
twin itself has outliers, single entries are too large for the rest: correlation traps.
"""

import math
from dataclasses import dataclass

import numpy as np

from genscope.core.status import Undefined
from genscope.errors import UsageError
from genscope.numerics.marchenko_pastur import MarchenkoPasturFit, fit_marchenko_pastur
from genscope.numerics.marchenko_pastur_law import outlier_eigenvalue, signal_behind

_MOST_ENTRIES = 1000


@dataclass(frozen=True)
class TwinComparison:
    """A spectrum beside its twin's.

    Args:
        eigenvalues: of the twin, large to small.
        wasserstein: Wasserstein-1 distance of the two eigenvalue densities over their common mean; 0 for equal spectra, below 2.
        jensen_shannon: Jensen–Shannon distance (base 2) of the two densities on a logarithmic grid, 0 to 1.
        largest_ratio: the twin's largest eigenvalue over the matrix's; far below 1 when something learned stands out.
        n_traps: outliers of the twin that its mean does not explain.
        n_mean_spikes: outliers of the twin that come from a nonzero mean of the entries (one rank-one term per matrix), not from single entries.
        bulk: the random bulk of the twin, or why there is none.
    """

    eigenvalues: np.ndarray
    wasserstein: float
    jensen_shannon: float
    largest_ratio: float
    n_traps: int | None
    n_mean_spikes: int
    bulk: MarchenkoPasturFit | Undefined


@dataclass(frozen=True)
class TrapEntries:
    """Single entries large enough to be an outlier of a random matrix by themselves.

    Args:
        limit: an entry whose distance from the mean is above this makes an outlier beyond the spike threshold.
        n_entries: how many there are.
        entries: (matrix, row, column, value), largest first, at most 1000.
    """

    limit: float
    n_entries: int
    entries: tuple[tuple[int, int, int, float], ...]


def randomized_twin(stack: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """The entries of each matrix in a random order.

    Args:
        stack: [k, rows, cols] or [rows, cols]; each matrix is shuffled by itself, so matrices of different scale keep it. Not changed.
        rng: the generator; the same state gives the same twin.

    Returns:
        A new array of the same shape and dtype.

    Invariances: mean, norm and histogram of the entries of each matrix are kept exactly.

    Cost: O(entries), one copy.

    Source: Martin & Mahoney 2021 (randomizing a layer to find correlation traps).

    Example:
        >>> twin = randomized_twin(np.arange(6.0).reshape(2, 3), rng=np.random.default_rng(0))
        >>> twin.shape, sorted(twin.ravel().tolist())
        ((2, 3), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    """
    array = np.asarray(stack)
    if array.ndim not in (2, 3):
        raise UsageError(f"A twin is drawn of [rows, cols] or [k, rows, cols], not of shape {list(array.shape)}.")
    flat = np.array(array.reshape(1 if array.ndim == 2 else array.shape[0], -1), order="C")
    for row in flat:
        rng.shuffle(row)
    return flat.reshape(array.shape)


def compare_with_twin(
    singular_values: np.ndarray, twin_singular_values: np.ndarray, *, rows: int, cols: int, means: np.ndarray, level: float = 0.01
) -> TwinComparison:
    """Distances between a spectrum and its twin's, and the twin's own outliers.

    Args:
        singular_values: of the matrix, pooled over its matrices.
        twin_singular_values: of :func:`randomized_twin` of it, same length.
        rows, cols: shape of each matrix.
        means: mean entry of each matrix, [k]; its length says how many matrices were pooled.
        level: chance that a twin without traps shows one.

    Returns:
        ``TwinComparison``; ``n_traps`` is ``None`` when the twin has no bulk to measure against.

    Raises:
        UsageError: spectra of different length.

    Invariances: unchanged when the matrix is scaled.

    Cost: two sorts and one bulk fit.

    Example:
        >>> w = np.random.default_rng(0).standard_normal((60, 90)) + 2 * np.ones((60, 1)) * np.linspace(-1, 1, 90)
        >>> twin = randomized_twin(w, rng=np.random.default_rng(1))
        >>> s, t = np.linalg.svd(w, compute_uv=False), np.linalg.svd(twin, compute_uv=False)
        >>> found = compare_with_twin(s, t, rows=60, cols=90, means=np.array([w.mean()]))
        >>> found.n_traps, found.largest_ratio < 0.1, found.wasserstein > 0.5
        (0, True, True)
    """
    own, twin = (np.sort(np.asarray(v, dtype=np.float64).ravel())[::-1] for v in (singular_values, twin_singular_values))
    if own.size != twin.size or own.size == 0:
        raise UsageError(f"A spectrum of {own.size} values cannot be compared with a twin of {twin.size}.")
    bulk = fit_marchenko_pastur(twin, rows, cols, n_matrices=len(means), level=level)
    mean_spikes, traps = 0, None
    if isinstance(bulk, MarchenkoPasturFit):
        pushes = np.abs(np.asarray(means, dtype=np.float64)) * math.sqrt(rows * cols)
        mean_spikes = int((outlier_eigenvalue(pushes, rows, cols, bulk.sigma) > bulk.spike_threshold).sum())
        mean_spikes = min(mean_spikes, bulk.n_spikes)
        traps = bulk.n_spikes - mean_spikes
    scale = float(own[0]) or 1.0
    first, second = np.square(own / scale), np.square(twin / scale)
    return TwinComparison(
        eigenvalues=np.square(twin),
        wasserstein=wasserstein_distance(first, second),
        jensen_shannon=jensen_shannon_distance(first, second),
        largest_ratio=float(second[0]),
        n_traps=traps,
        n_mean_spikes=mean_spikes,
        bulk=bulk,
    )


def wasserstein_distance(first: np.ndarray, second: np.ndarray) -> float:
    r"""Wasserstein-1 distance of two eigenvalue densities with equally many values, over the mean of the first.

    :math:`W_1 = \sum_i |\lambda_{(i)} - \mu_{(i)}| / \sum_i \lambda_i`. A matrix and its twin share the mean (‖W‖_F² is kept):
    the value is below 2.

    Example:
        >>> wasserstein_distance(np.array([3.0, 1.0]), np.array([2.0, 2.0]))
        0.5
    """
    a, b = np.sort(first), np.sort(second)
    total = float(a.sum())
    return float(np.abs(a - b).sum()) / total if total > 0 else 0.0


def jensen_shannon_distance(first: np.ndarray, second: np.ndarray, *, bins: int | None = None) -> float:
    """Jensen–Shannon distance (square root of the base-2 divergence) of two densities on one logarithmic grid.

    The grid spans the positive values of both, with ``⌈2 n^(1/3)⌉`` equal steps of the logarithm (Rice's rule) unless ``bins`` is given; values
    below 1e-14 of the largest share one further bin. Two samples of one law of n values are apart by about sqrt(0.36 · bins / n), not by 0.

    Args:
        first, second: values, not negative.
        bins: number of steps.

    Returns:
        0 for the same histogram, 1 for disjoint ones.

    Source: Lin 1991.

    Example:
        >>> jensen_shannon_distance(np.array([1.0, 2.0]), np.array([1.0, 2.0])), jensen_shannon_distance(np.array([1.0]), np.array([9.0]))
        (0.0, 1.0)
    """
    largest = float(max(first.max(), second.max()))
    positive = np.concatenate([first[first > largest * 1e-14], second[second > largest * 1e-14]])
    if largest == 0.0 or positive.min() == positive.max():
        return 0.0 if (first > 0).mean() == (second > 0).mean() else 1.0
    steps = bins or math.ceil(2 * max(first.size, second.size) ** (1 / 3))
    edges = np.linspace(math.log(positive.min()), math.log(positive.max()) + 1e-9, steps + 1)
    shares = []
    for values in (first, second):
        counted = np.histogram(np.log(values[values > largest * 1e-14]), bins=edges)[0]
        shares.append(np.append(counted, values.size - counted.sum()) / values.size)
    mixture = (shares[0] + shares[1]) / 2
    divergence = sum(float((p[p > 0] * np.log2(p[p > 0] / mixture[p > 0])).sum()) / 2 for p in shares)
    return math.sqrt(min(max(divergence, 0.0), 1.0))


def trap_entries(stack: np.ndarray, bulk: MarchenkoPasturFit) -> TrapEntries:
    r"""The entries that by themselves make an outlier of the twin.

    One entry at distance d from the mean is a rank-one signal of strength d; in noise of scale σ it stands out at
    :math:`(d^2 + \sigma^2 M)(d^2 + \sigma^2 N)/d^2`. ``limit`` is the d at which this reaches the spike threshold; it is near σ (MN)^{1/4}, far
    beyond the largest of MN Gaussian entries.

    Args:
        stack: [k, rows, cols] or [rows, cols].
        bulk: the bulk of the *twin* (``TwinComparison.bulk``).

    Returns:
        ``TrapEntries``.

    Source: Benaych-Georges & Nadakuditi 2012, section 3.1, with a rank-one term on one entry.

    Example:
        >>> w = np.random.default_rng(0).standard_normal((100, 100)); w[3, 7] = 40.0
        >>> bulk = fit_marchenko_pastur(np.linalg.svd(w, compute_uv=False), 100, 100)
        >>> trap_entries(w, bulk).entries
        ((0, 3, 7, 40.0),)
    """
    array = np.asarray(stack, dtype=np.float64)
    array = array[None] if array.ndim == 2 else array
    limit = float(signal_behind(np.array([bulk.spike_threshold]), bulk.rows, bulk.cols, bulk.sigma)[0])
    distance = np.abs(array - array.mean(axis=(1, 2), keepdims=True))
    places = np.argwhere(distance > limit)
    order = np.argsort(-distance[tuple(places.T)], kind="stable")[:_MOST_ENTRIES]
    entries = tuple((int(k), int(i), int(j), float(array[k, i, j])) for k, i, j in places[order])
    return TrapEntries(limit, len(places), entries)
