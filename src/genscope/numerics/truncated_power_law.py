"""The power law with an exponential cut-off, ``ρ(λ) ~ λ^(-alpha) exp(-Λ λ)``, fitted to the tail of a spectrum."""

from dataclasses import dataclass

import numpy as np

from genscope.core.status import OK, SKIPPED
from genscope.errors import UsageError
from genscope.numerics.power_law import default_min_tail, log_eigenvalues
from genscope.numerics.tail_families import fit_truncated_power_law, truncated_power_law_survival

_N_STARTS = 32


@dataclass(frozen=True)
class TruncatedPowerLawFit:
    """A fitted cut-off tail; ``cut_rate`` is 0 where no cut improves on the plain power law.

    ``alpha`` may lie below 1, even below 0: the cut alone makes the density integrable.
    """

    alpha: float | None
    cut_rate: float | None
    xmin: float | None
    n_tail: int
    ks_distance: float | None
    n: int
    status: str = OK
    reason: str | None = None


def fit_truncated_tail(eigenvalues: np.ndarray, *, xmin: float | str = "ks", min_tail: int | None = None) -> TruncatedPowerLawFit:
    """Fit ``ρ(λ) ~ λ^(-alpha) exp(-Λ λ)`` for ``λ >= xmin`` by maximum likelihood.

    Args:
        eigenvalues: any order, [n]; those below rounding noise are left out.
        xmin: ``"ks"`` takes the smallest KS distance among 32 tail sizes in geometric steps; ``"peak"`` starts at the peak of the density of
            ``log λ`` (the extended truncated fit, where the whole falling side of the spectrum is the tail); a number is taken as given.
        min_tail: smallest tail; see :func:`~genscope.numerics.power_law.default_min_tail`.

    Returns:
        :class:`TruncatedPowerLawFit`; ``cut_rate`` in units of 1/λ; ``skipped`` with a reason for too few or degenerate eigenvalues.

    Invariances: alpha and the KS distance do not change with the scale of the eigenvalues.

    Cost: a millisecond per tail tried.

    Source: Clauset, Shalizi & Newman 2009, table 2.1.

    Example:
        >>> values = np.random.default_rng(0).exponential(1.0, 500) + 0.5
        >>> fit = fit_truncated_tail(values, xmin=0.5)
        >>> abs(fit.alpha) < 0.6 and abs(fit.cut_rate - 1.0) < 0.4
        True
    """
    logs = log_eigenvalues(eigenvalues)
    n = logs.size
    tail = default_min_tail(n) if min_tail is None else max(3, min_tail)
    if n < tail or not float(np.ptp(logs[-tail:])) > 1e-9:
        return TruncatedPowerLawFit(None, None, None, 0, None, n, SKIPPED, f"{n} eigenvalues hold no tail of {tail} with any spread")
    largest = float(np.max(eigenvalues))
    if isinstance(xmin, str):
        if xmin not in ("ks", "peak"):
            raise UsageError(f"fit_truncated_tail: xmin {xmin!r} is unknown; give 'ks', 'peak' or a number")
        starts = np.unique(n - np.geomspace(tail, n, _N_STARTS).astype(np.int64)) if xmin == "ks" else np.array([_peak(logs, n - tail)])
    else:
        starts = np.array([min(int(np.searchsorted(logs, np.log(xmin / largest) - 1e-12)), n - tail)])
    fits = [(distance, -int(start), parameters) for start in starts for distance, parameters in [_fit_from(logs, int(start))]]
    distance, negative_start, (alpha, cut) = min(fits, key=lambda found: found[:2])
    start_value = float(np.exp(logs[-negative_start])) * largest
    return TruncatedPowerLawFit(alpha, cut / start_value, start_value, n + negative_start, distance, n)


def _fit_from(logs: np.ndarray, start: int) -> tuple[float, tuple[float, float]]:
    """KS distance, alpha and cut rate (per ``xmin``) of the tail that begins at ``start``."""
    z = logs[start:] - logs[start]
    family = fit_truncated_power_law(z)
    if family is None:
        alpha, cut = 1.0 + 1.0 / float(z.mean()), 0.0
        survival = np.exp(-(alpha - 1.0) * z)
    else:
        alpha, cut = family.parameters["alpha"], family.parameters["cut_rate"]
        survival = truncated_power_law_survival(z, alpha, cut)
    gap = np.arange(z.size, 0, -1) / z.size - survival
    return max(float(gap.max()), 1.0 / z.size - float(gap.min())), (alpha, cut)


def _peak(logs: np.ndarray, last: int) -> int:
    """Index of the first value at or beyond the highest point of a Gaussian-smoothed histogram of ``logs``; at most ``last``."""
    spread = float(min(logs.std(), np.subtract(*np.quantile(logs, [0.75, 0.25])) / 1.34)) or float(logs.std())
    width = 0.9 * spread * logs.size**-0.2
    grid = np.linspace(logs[0], logs[-1], 256)
    density = np.exp(-0.5 * ((grid[:, None] - logs) / width) ** 2).sum(axis=1)
    return min(int(np.searchsorted(logs, grid[int(density.argmax())])), last)
