"""The tail fit as WeightWatcher 0.7.7 computes it, for column-for-column comparison."""

import numpy as np

from genscope.core.power_law_fit import PowerLawFit
from genscope.core.status import SKIPPED

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
    logs = np.log(data)
    alphas, distances = np.zeros(n - 1), np.ones(n - 1)
    small = n < _SMALL
    for i in range(n - 1):
        size = n - i
        spread = float(np.sum(logs[i:])) - size * logs[i]
        if (small and (size < _SMALL_TAIL or spread <= 1e-12)) or spread == 0.0:
            continue
        alphas[i] = 1.0 + (size - small) / spread
        if alphas[i] > 1.0:
            fitted = 1.0 - (data[i:] / data[i]) ** (1.0 - alphas[i])
            distances[i] = np.max(np.abs(fitted - np.arange(size) / size))
    best = int(np.argmin(distances))
    if alphas[best] <= 1.0:
        return PowerLawFit(None, None, 0, None, None, n, SKIPPED, "no tail has any spread")
    size = int(np.count_nonzero(data >= data[best]))
    return PowerLawFit(float(alphas[best]), float(data[best]), size, float(distances[best]), float((alphas[best] - 1.0) / np.sqrt(n - best)), n)
