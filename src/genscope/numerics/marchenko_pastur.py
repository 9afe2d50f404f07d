"""How much of a spectrum is random: the Marchenko–Pastur bulk under it, and the spikes that a random bulk does not explain."""

import math
from dataclasses import dataclass

import numpy as np

from genscope.core.status import DOUBTFUL, OK, SKIPPED, Undefined
from genscope.errors import UsageError
from genscope.numerics.marchenko_pastur_law import marchenko_pastur_cdf, marchenko_pastur_edges, marchenko_pastur_quantile
from genscope.numerics.tracy_widom import largest_eigenvalue_law, tracy_widom_quantile

_FEWEST = 10  # eigenvalues below which a bulk has no shape
_SMALLEST_SIDE = 4
_LEVELS = np.linspace(0.2, 0.8, 61)  # the part of the bulk that neither spikes nor the hard edge reach
_MOST_SPIKES = 0.75
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class MarchenkoPasturFit:
    """A random bulk fitted to a spectrum; eigenvalues are those of ``WᵀW``.

    Args:
        sigma: standard deviation of the entries of the random part.
        lambda_minus, lambda_plus: edges of the bulk.
        spike_threshold: what the largest of all bulk eigenvalues exceeds with probability ``level`` only.
        n_spikes: eigenvalues above the threshold.
        soft_rank: ``lambda_plus / λ_max``; near 1 for noise, near 0 when something large stands out.
        bulk_fraction: share of the nonzero eigenvalues at or below the threshold.
        bulk_energy: their share of ``‖W‖_F²``.
        ks_distance: largest distance between the distribution of those eigenvalues and the fitted law.
        n_zero: eigenvalues that are zero to working precision, left out of the fit.
        level: the chance that pure noise shows a spike.
        rows, cols, n_matrices: what was fitted.
        status, reason: ``ok``, or ``doubtful`` when the bulk does not look like the law; then ``sigma`` and the edges describe no random bulk.
    """

    sigma: float
    lambda_minus: float
    lambda_plus: float
    spike_threshold: float
    n_spikes: int
    soft_rank: float
    bulk_fraction: float
    bulk_energy: float
    ks_distance: float
    n_zero: int
    level: float
    rows: int
    cols: int
    n_matrices: int
    status: str = OK
    reason: str | None = None


def fit_marchenko_pastur(
    singular_values: np.ndarray, rows: int, cols: int, *, n_matrices: int = 1, level: float = 0.01, resolution: float = 0.0
) -> MarchenkoPasturFit | Undefined:
    r"""The Marchenko–Pastur bulk under a spectrum, and the spikes beyond it.

    1. σ² is the least-squares slope of the middle 60 % of the eigenvalues against the law's quantiles (with its 1/M correction).
    2. Spikes are eigenvalues above :math:`\sigma^2(\mu + \tau\, s_{1-\varepsilon})`, with μ, τ the centre and width of the largest eigenvalue
       of noise, :math:`s_{1-\varepsilon}` a Tracy–Widom quantile and :math:`\varepsilon = 1 - (1 - \text{level})^{1/k}` for k pooled matrices.
    3. S spikes leave a bulk of (M − S) × (N − S); both steps repeat until the number of spikes stands.

    Few spikes and a soft rank near 1: the matrix looks random, little was learned (or it cannot be seen). The middle quantiles are used because on
    noise they are as precise as the mean square, and, unlike it, large spikes cannot hide one another; the median alone is twice as noisy.

    The level holds for Gaussian entries (and errs to the safe side for bounded ones). Heavy-tailed entries alone push eigenvalues out —
    Laplace entries at 64 × 64 raise an alarm in 12 % of draws at level 1 % — so compare with the randomized twin before reading a spike as learned.

    Args:
        singular_values: all of them, pooled over the matrices, any order (not eigenvalues).
        rows, cols: shape of each matrix.
        n_matrices: how many matrices were pooled; they are taken to share one σ.
        level: probability that pure Gaussian noise shows any spike.
        resolution: singular values up to here are rounding noise of the routine and count as zeros.

    Returns:
        ``MarchenkoPasturFit``, or ``Undefined`` when there are too few nonzero eigenvalues or the matrices are too thin.

    Raises:
        UsageError: a level outside (0, 1), or values that are negative, not finite, or too many for the shape.

    Invariances: scale-equivariant (σ and √λ scale with ``W``); rows, columns and signs may be permuted; transposition.

    Cost: one sort; milliseconds.

    Source: Marchenko & Pastur 1967; Johnstone 2001 and Ma 2012 (threshold); Kritchman & Nadler 2008 (successive removal of spikes);
    soft rank: Martin & Mahoney 2021 (Implicit self-regularization).

    Example:
        >>> noise = np.linalg.svd(np.random.default_rng(0).standard_normal((100, 300)), compute_uv=False)
        >>> fit = fit_marchenko_pastur(noise, 100, 300)
        >>> round(fit.sigma, 2), fit.n_spikes, fit.status
        (1.0, 0, 'ok')
    """
    values = _checked(singular_values, rows, cols, n_matrices, level)
    largest = float(values[-1]) if values.size else 0.0
    floor = max(resolution, largest * max(rows, cols) * _EPS)
    kept = values[values > floor]
    n_zero = values.size - kept.size
    short, long = min(rows, cols) - n_zero / n_matrices, float(max(rows, cols))
    if kept.size < _FEWEST or short < _SMALLEST_SIDE:
        return Undefined(f"no random bulk to fit: {kept.size} nonzero singular values of matrices {rows} × {cols}", SKIPPED)
    eigenvalues = np.square(kept / largest)  # scaled, so that no square over- or underflows
    variance, spikes = _settled(eigenvalues, short, long, n_matrices, level)
    short, long = short - spikes / n_matrices, long - spikes / n_matrices
    low, high = marchenko_pastur_edges(short, long, math.sqrt(variance))
    threshold = _threshold(variance, short, long, n_matrices, level)
    bulk = eigenvalues[: kept.size - spikes]
    distance = _ks_distance(bulk, short, long, math.sqrt(variance))
    status, reason = _judged(distance, short, n_matrices)
    return MarchenkoPasturFit(
        sigma=math.sqrt(variance) * largest,
        lambda_minus=low * largest**2,
        lambda_plus=high * largest**2,
        spike_threshold=threshold * largest**2,
        n_spikes=spikes,
        soft_rank=high,
        bulk_fraction=bulk.size / kept.size,
        bulk_energy=float(bulk.sum() / eigenvalues.sum()),
        ks_distance=distance,
        n_zero=n_zero,
        level=level,
        rows=rows,
        cols=cols,
        n_matrices=n_matrices,
        status=status,
        reason=reason,
    )


def _checked(singular_values: np.ndarray, rows: int, cols: int, n_matrices: int, level: float) -> np.ndarray:
    values = np.sort(np.asarray(singular_values, dtype=np.float64).ravel())
    if not 0 < level < 1:
        raise UsageError(f"The level of the spike test is a probability between 0 and 1, not {level}.")
    if values.size > n_matrices * min(rows, cols):
        raise UsageError(f"{values.size} singular values are too many for {n_matrices} matrices {rows} × {cols}.")
    if values.size and not (values[0] >= 0 and math.isfinite(values[-1])):
        raise UsageError("Singular values are finite and not negative; these are not.")
    return values


def _settled(eigenvalues: np.ndarray, short: float, long: float, n_matrices: int, level: float) -> tuple[float, int]:
    """Variance and number of spikes that agree with each other; the number only grows, so this ends."""
    spikes, most = 0, int(_MOST_SPIKES * eigenvalues.size)
    while True:
        m, n = short - spikes / n_matrices, long - spikes / n_matrices
        bulk = eigenvalues[: eigenvalues.size - spikes]
        expected = marchenko_pastur_quantile(_LEVELS, m, n, finite_size=True)
        ranks = _LEVELS * bulk.size - 0.5
        observed = np.interp(ranks, np.arange(bulk.size), bulk)
        variance = float(observed @ expected / (expected @ expected))
        above = eigenvalues.size - int(np.searchsorted(eigenvalues, _threshold(variance, m, n, n_matrices, level), side="right"))
        if above <= spikes or spikes >= most:
            return variance, spikes
        spikes = min(above, most)


def _threshold(variance: float, short: float, long: float, n_matrices: int, level: float) -> float:
    each = math.exp(math.log1p(-level) / n_matrices)
    centre, width = largest_eigenvalue_law(short, long)
    return variance * (centre + width * tracy_widom_quantile(min(each, 1 - 1e-12)))


def _ks_distance(bulk: np.ndarray, short: float, long: float, sigma: float) -> float:
    law = marchenko_pastur_cdf(bulk, short, long, sigma)
    steps = np.arange(bulk.size + 1) / bulk.size
    return float(max((steps[1:] - law).max(), (law - steps[:-1]).max()))


def _judged(distance: float, short: float, n_matrices: int) -> tuple[str, str | None]:
    """Eigenvalues of noise keep within about 1/M of the law; anything far beyond is another distribution."""
    if distance <= 0.05 + 2.0 / (short * math.sqrt(n_matrices)):
        return OK, None
    return (
        DOUBTFUL,
        f"the bulk does not follow the Marchenko–Pastur law (Kolmogorov–Smirnov distance {distance:.3f}); its edge and spikes mean little",
    )
