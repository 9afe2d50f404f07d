"""Power-law tail of an eigenvalue density: maximum likelihood with ``xmin`` chosen by the Kolmogorov–Smirnov distance."""

from dataclasses import dataclass

import numpy as np

from genscope.core.power_law_fit import PowerLawFit
from genscope.core.status import SKIPPED
from genscope.errors import UsageError
from genscope.numerics.ks_scan import best_start, tail_exponents

CONVENTIONS = ("clauset", "weightwatcher")
MIN_EIGENVALUES = 6
MIN_TAIL = 10
_RELATIVE_FLOOR = 8.0 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class HillEstimates:
    """The Hill curve: ``alphas[k]`` from the ``n_tails[k]`` largest eigenvalues, whose smallest is ``xmins[k]``."""

    n_tails: np.ndarray
    xmins: np.ndarray
    alphas: np.ndarray


def default_min_tail(n: int) -> int:
    """The smallest tail that is fitted: 10 values, half the spectrum when it has fewer than 20, never fewer than 6.

    With fewer than ten values the standard error exceeds a third of ``alpha - 1``, and the minimum of the KS distance drifts to
    accidental little tails.
    """
    return min(MIN_TAIL, max(MIN_EIGENVALUES, n // 2))


def log_eigenvalues(eigenvalues: np.ndarray) -> np.ndarray:
    """Ascending ``log(λ / λ_max)`` of the eigenvalues above rounding noise (``8 n eps λ_max``): what every fit works on."""
    values = np.sort(np.asarray(eigenvalues, dtype=np.float64), axis=None)
    if values.size == 0 or not values[-1] > 0.0:
        return np.empty(0)
    if not np.isfinite(values[-1]):
        raise UsageError("fit_power_law needs finite eigenvalues")
    relative = values / values[-1]
    return np.log(relative[relative > _RELATIVE_FLOOR * values.size])


def fit_power_law(
    eigenvalues: np.ndarray, *, min_tail: int | None = None, xmin: float | None = None, xmax: float | None = None, convention: str = "clauset"
) -> PowerLawFit:
    """Fit ``ρ(λ) ~ λ^(-alpha)`` for ``λ >= xmin`` by maximum likelihood."""
    if convention not in CONVENTIONS:
        raise UsageError(f"fit_power_law: convention {convention!r} is unknown; choose one of {', '.join(CONVENTIONS)}")
    values = np.sort(np.asarray(eigenvalues, dtype=np.float64), axis=None)
    if xmax is not None:
        values = values[values <= xmax]
    if convention == "weightwatcher":
        from genscope.numerics.power_law_weightwatcher import fit_weightwatcher

        return fit_weightwatcher(values, xmin=xmin)
    logs = log_eigenvalues(values)
    n = logs.size
    if n < MIN_EIGENVALUES:
        return _skipped(n, f"{n} positive eigenvalues; a power-law fit needs at least {MIN_EIGENVALUES}")
    tail = default_min_tail(n) if min_tail is None else max(2, min_tail)
    largest = float(values[-1])
    firsts = np.flatnonzero(np.concatenate(([True], np.diff(logs) > 0.0)))
    if firsts.size < 3:
        return _skipped(n, f"only {firsts.size} distinct eigenvalues: no tail to fit")
    if xmin is not None:
        firsts = np.array([int(np.searchsorted(logs, np.log(xmin / largest) - 1e-12))])
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
    """The maximum-likelihood exponent as a function of where the tail starts."""
    logs = log_eigenvalues(eigenvalues)
    if logs.size < 2:
        return HillEstimates(np.empty(0, dtype=np.int64), np.empty(0), np.empty(0))
    candidates = np.arange(logs.size - 2, -1, -1)
    rates = tail_exponents(logs, candidates)
    kept = rates > 0.0
    top = float(np.max(eigenvalues))
    return HillEstimates((logs.size - candidates)[kept], np.exp(logs[candidates[kept]]) * top, 1.0 + rates[kept])


def finger_sensitivity(eigenvalues: np.ndarray, k_max: int = 5) -> tuple[float | None, ...]:
    """``alpha`` after dropping the ``1 … k_max`` largest eigenvalues."""
    values = np.sort(np.asarray(eigenvalues, dtype=np.float64), axis=None)
    return tuple(fit_power_law(values[: values.size - k]).alpha for k in range(1, k_max + 1))


def _skipped(n: int, reason: str) -> PowerLawFit:
    return PowerLawFit(None, None, 0, None, None, n, SKIPPED, reason)
