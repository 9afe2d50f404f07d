"""The tail fit as WeightWatcher 0.7.7 computes it, for column-for-column comparison."""

import numpy as np

from genscope.core.power_law_fit import PowerLawFit
from genscope.core.status import SKIPPED
from genscope.numerics.ks_scan import best_start, ks_distance, tail_exponents

_ABSOLUTE_CUT = 1e-5
_SMALL = 20
_SMALL_TAIL = 8


def fit_weightwatcher(values: np.ndarray, *, xmin: float | None = None) -> PowerLawFit:
    """Every value but the largest may start the tail; the KS distance sees only the lower step ``k/n`` at each point.

    Below 20 values the estimator is ``1 + (n-1)/Σ log``, tails have at least 8 values, and ``xmin`` still minimizes the plain distance.

    Args:
        values: ascending eigenvalues; those at or below 1e-5 are ignored, whatever the scale.
        xmin: start the candidates at the value nearest to this one.
    """
    data = values[values > _ABSOLUTE_CUT]
    if xmin is not None and data.size:
        data = data[int(np.argmin(np.abs(data - xmin))) :]
    n = data.size
    if n < 2:
        return PowerLawFit(None, None, 0, None, None, n, SKIPPED, f"{n} eigenvalues above 1e-5; a fit needs two")
    found = _short(data) if n < _SMALL else _long(data)
    if found is None:
        return PowerLawFit(None, None, 0, None, None, n, SKIPPED, "no tail has any spread")
    best, alpha, distance = found
    size = int(np.count_nonzero(data >= data[best]))
    return PowerLawFit(alpha, float(data[best]), size, distance, (alpha - 1.0) / (n - best) ** 0.5, n)


def _long(data: np.ndarray) -> tuple[int, float, float] | None:
    logs = np.log(data / data[-1])
    candidates = np.arange(data.size - 1)
    rates = tail_exponents(logs, candidates)
    candidates, rates = candidates[rates > 0.0], rates[rates > 0.0]
    if candidates.size == 0:
        return None
    best, distance = best_start(logs, candidates, rates, both_steps=False)
    return int(candidates[best]), 1.0 + float(rates[best]), distance


def _short(data: np.ndarray) -> tuple[int, float, float] | None:
    logs, found = np.log(data), []
    for start in range(data.size - _SMALL_TAIL + 1):
        size = data.size - start
        spread = float(np.sum(logs[start:])) - size * float(logs[start])
        if spread > 1e-12:
            rate = (size - 1) / spread
            found.append((ks_distance(logs, start, rate, both_steps=False)[0], start, 1.0 + rate))
    if not found:
        return None
    distance, best, alpha = min(found)
    return best, alpha, distance
