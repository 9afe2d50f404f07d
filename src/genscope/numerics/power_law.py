"""Power-law tail of an eigenvalue density: maximum likelihood with ``xmin`` chosen by the Kolmogorov–Smirnov distance."""

from dataclasses import dataclass

import numpy as np

from genscope.core.power_law_fit import PowerLawFit
from genscope.core.status import SKIPPED
from genscope.errors import CorruptInput, UsageError
from genscope.numerics.ks_scan import best_start, tail_exponents
from genscope.numerics.power_law_weightwatcher import fit_weightwatcher

CONVENTIONS = ("clauset", "weightwatcher")
MIN_EIGENVALUES = 6
MIN_TAIL = 10
_SAME = 1e-9
_RELATIVE_FLOOR = 8.0 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class HillEstimates:
    """The Hill curve: ``alphas[k]`` from the ``n_tails[k]`` largest eigenvalues, whose smallest is ``xmins[k]``."""

    n_tails: np.ndarray
    xmins: np.ndarray
    alphas: np.ndarray


def default_min_tail(n: int) -> int:
    """The smallest tail that is fitted: 10 values, half the spectrum when it has fewer than 20, never fewer than 6.

    With fewer than ten values the standard error exceeds a third of ``alpha - 1``. Beyond that the choice hardly matters: the
    two-sided distance of a tail of ``m`` is at least ``1/(2m)``, so short tails rarely win (error on pure and on hidden tails unchanged
    for 6, 10 and n/20).
    """
    return min(MIN_TAIL, max(MIN_EIGENVALUES, n // 2))


def log_eigenvalues(eigenvalues: np.ndarray) -> np.ndarray:
    """Ascending ``log(λ / λ_max)`` of the eigenvalues above rounding noise (``8 n eps λ_max``): what every fit works on."""
    values = np.sort(np.asarray(eigenvalues, dtype=np.float64), axis=None)
    if values.size == 0 or values[-1] <= 0.0:
        return np.empty(0)
    if not np.isfinite(values[-1]):
        raise CorruptInput("the eigenvalues hold NaN or infinite entries; a tail fit needs finite ones")
    relative = values / values[-1]
    return np.log(relative[relative > _RELATIVE_FLOOR * values.size])


def fit_power_law(
    eigenvalues: np.ndarray, *, min_tail: int | None = None, xmin: float | None = None, xmax: float | None = None, convention: str = "clauset"
) -> PowerLawFit:
    """Fit ``ρ(λ) ~ λ^(-alpha)`` for ``λ >= xmin``: maximum likelihood, with the ``xmin`` that brings the fit closest to the data.

    ``alpha(xmin) = 1 + m / Σ log(λ_j / xmin)`` over the ``m`` eigenvalues ``λ_j >= xmin``; ``xmin = argmin D``, with
    ``D = sup |F_empirical - F_fit|`` the two-sided Kolmogorov–Smirnov distance, over every eigenvalue that leaves ``min_tail`` above it;
    exact, not a grid. Standard error ``(alpha - 1) / sqrt(m)``, which ignores the choice of ``xmin``: see
    :func:`~genscope.numerics.power_law_bootstrap.bootstrap_power_law`.

    Smaller alpha is a heavier tail; trained layers lie around 2 to 6, matrices of independent Gaussian entries give no stable value.

    Args:
        eigenvalues: any order, [n]; those at or below ``8 n eps λ_max`` (rounding noise, zeros) are left out.
        min_tail: smallest tail; see :func:`default_min_tail`.
        xmin: fix the start of the tail instead of searching for it.
        xmax: leave out larger eigenvalues (the density is not renormalized).
        convention: ``clauset``, or ``weightwatcher`` for what WeightWatcher 0.7.7 computes: distance to the lower step ``(k - 1)/m`` only,
            every tail of two or more, an absolute cut at 1e-5, another estimator below 20 values. Its distance misses the upper side
            of each step, so it is up to ``1/m`` smaller and prefers shorter tails.

    Returns:
        PowerLawFit; ``n`` counts the eigenvalues above noise. Skipped with a reason when fewer than 6 remain, fewer than three differ,
        or no tail has any spread.

    Raises:
        UsageError: an unknown convention.
        CorruptInput: NaN or infinite eigenvalues.

    Invariances: alpha, its error, the tail and the distance do not change with the scale of the eigenvalues (convention ``clauset``).

    Cost: O(n log n) and some tens of passes over the tail; 0.3 ms for 768 eigenvalues, 2 ms for 4608.

    Source: Clauset, Shalizi & Newman 2009, eqs. 3.1, 3.2 and 3.9; Martin & Mahoney, eq. 1.

    Example:
        >>> fit = fit_power_law(np.arange(1, 1001) ** -0.5)
        >>> round(fit.alpha, 1), fit.status
        (3.0, 'ok')
    """
    if convention not in CONVENTIONS:
        raise UsageError(f"fit_power_law: convention {convention!r} is unknown; choose one of {', '.join(CONVENTIONS)}")
    values = np.sort(np.asarray(eigenvalues, dtype=np.float64), axis=None)
    if xmax is not None:
        values = values[values <= xmax]
    if convention == "weightwatcher":
        return fit_weightwatcher(values, xmin=xmin)
    logs = log_eigenvalues(values)
    n = logs.size
    if n < MIN_EIGENVALUES:
        return _skipped(n, f"{n} eigenvalue{'' if n == 1 else 's'} above rounding noise; a power-law fit needs at least {MIN_EIGENVALUES}")
    distinct = 1 + int(np.count_nonzero(np.diff(logs) > _SAME))
    if distinct < 3:
        return _skipped(n, "all eigenvalues are equal: no tail to fit" if distinct == 1 else "only two distinct eigenvalues: no tail to fit")
    tail = default_min_tail(n) if min_tail is None else max(2, min_tail)
    if xmin is None:
        firsts = np.flatnonzero(np.concatenate(([True], np.diff(logs) > 0.0)))
    else:
        firsts = np.array([int(np.searchsorted(values, xmin, side="left")) - (values.size - n)]).clip(0)
    candidates = firsts[firsts <= n - tail]
    rates = tail_exponents(logs, candidates)
    candidates, rates = candidates[rates > 0.0], rates[rates > 0.0]
    if candidates.size == 0:
        return _skipped(n, f"no tail of {tail} or more eigenvalues has any spread")
    best, distance = best_start(logs, candidates, rates)
    start, rate = int(candidates[best]), float(rates[best])
    size = n - start
    return PowerLawFit(1.0 + rate, float(values[values.size - size]), size, distance, rate / size**0.5, n)


def hill_estimates(eigenvalues: np.ndarray) -> HillEstimates:
    """The maximum-likelihood exponent as a function of where the tail starts, for every tail of two or more.

    ``alphas[k] = 1 + m / Σ log(λ_j / xmins[k])`` over the ``m = n_tails[k]`` eigenvalues at or above ``xmins[k]``. A plateau is a power
    law; a curve that never settles is not.

    Args:
        eigenvalues: any order, [n].

    Returns:
        :class:`HillEstimates`, from the shortest tail to the longest; empty when fewer than two eigenvalues are above noise.

    Invariances: alphas do not change with the scale of the eigenvalues.

    Cost: O(n log n).

    Source: Hill 1975; Clauset, Shalizi & Newman 2009, eq. 3.1 (which divides by ``m``, Hill by ``m - 1``).

    Example:
        >>> hill_estimates(np.exp([2.0, 1.0, 0.0])).alphas.round(9).tolist()
        [3.0, 2.0]
    """
    logs = log_eigenvalues(eigenvalues)
    if logs.size < 2:
        return HillEstimates(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0))
    candidates = np.arange(logs.size - 2, -1, -1)
    rates = tail_exponents(logs, candidates)
    kept = rates > 0.0
    largest = float(np.max(eigenvalues))
    return HillEstimates((logs.size - candidates)[kept], np.exp(logs[candidates[kept]]) * largest, 1.0 + rates[kept])


def finger_sensitivity(eigenvalues: np.ndarray, k_max: int = 5) -> tuple[float | None, ...]:
    """``alpha`` after dropping the ``1 … k_max`` largest eigenvalues: how much a few outlying "fingers" decide.

    Args:
        eigenvalues: any order, [n].
        k_max: how many to drop at most.

    Returns:
        ``k_max`` exponents; ``None`` where too few eigenvalues remain.

    Invariances: the scale of the eigenvalues.

    Cost: ``k_max`` fits.

    Source: the jackknife of the top of the spectrum; "fingers" are WeightWatcher's word.

    Example:
        >>> [round(alpha, 1) for alpha in finger_sensitivity(np.arange(1, 1001) ** -0.5, k_max=2)]
        [3.0, 3.0]
    """
    values = np.sort(np.asarray(eigenvalues, dtype=np.float64), axis=None)
    return tuple(fit_power_law(values[: max(0, values.size - k)]).alpha for k in range(1, k_max + 1))


def _skipped(n: int, reason: str) -> PowerLawFit:
    return PowerLawFit(None, None, 0, None, None, n, SKIPPED, reason)
