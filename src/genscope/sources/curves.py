"""The small arrays behind a row's pictures: tail function, density, random bulk, twin."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from genscope.core.spectrum import Spectrum
from genscope.core.status import Undefined
from genscope.numerics.power_law import hill_estimates

POINTS = 120
BINS = 40


def draw_curves(values: Mapping[str, Any]) -> dict[str, Any]:
    """Subsampled curves of one matrix from the resolver's values; empty when there is no spectrum.

    Returns:
        ``ccdf`` (share of eigenvalues ≥ x), ``hist`` (density on logarithmic bins), and where they exist ``xmin``, ``alpha``,
        ``mp`` (edge and threshold of the random bulk), ``twin``, ``hill``.
    """
    spectrum = values.get("spectrum")
    if not isinstance(spectrum, Spectrum):
        return {}
    eigenvalues = values["eigenvalues"]
    positive = eigenvalues[eigenvalues > max(spectrum.resolution**2, 0.0) * values["eigenvalue_scale"]]
    if positive.size == 0:
        return {}
    curves: dict[str, Any] = {"ccdf": _tail_function(positive, eigenvalues.size), "hist": _density(positive, eigenvalues.size)}
    fit = values.get("power_law")
    if fit is not None and not isinstance(fit, Undefined) and fit.alpha is not None:
        curves |= {"alpha": _short(fit.alpha), "xmin": _short(fit.xmin), "n_tail": fit.n_tail, "hill": _hill(positive)}
    bulk = values.get("marchenko_pastur")
    if bulk is not None and not isinstance(bulk, Undefined):
        scale = values["eigenvalue_scale"]
        curves["mp"] = {"edge": _short(bulk.lambda_plus * scale), "threshold": _short(bulk.spike_threshold * scale), "sigma": _short(bulk.sigma)}
    twin = values.get("twin_comparison")
    if twin is not None and not isinstance(twin, Undefined):
        shuffled = twin.eigenvalues * values["eigenvalue_scale"]
        curves["twin"] = _tail_function(shuffled[shuffled > 0], shuffled.size)
    return curves


def draw_difference(eigenvalues: np.ndarray) -> dict[str, Any]:
    """The tail function of the eigenvalues of ΔWᵀΔW, large to small; empty when nothing moved."""
    positive = eigenvalues[eigenvalues > 0]
    return {"ccdf": _tail_function(positive, eigenvalues.size)} if positive.size else {}


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _picks(n: int, points: int) -> np.ndarray:
    return np.unique(np.rint(np.geomspace(1, n, min(points, n))).astype(int)) - 1


def _tail_function(descending: np.ndarray, n: int) -> dict[str, list[float]]:
    picks = _picks(descending.size, POINTS)
    return {"x": [_short(v) for v in descending[picks]], "y": [_short(v) for v in (picks + 1) / n]}


def _density(descending: np.ndarray, n: int) -> dict[str, list[float]]:
    low, high = float(descending[-1]), float(descending[0])
    if high <= low * (1 + 1e-12):
        return {"edges": [_short(low), _short(high)], "density": []}
    edges = np.geomspace(low, high, BINS + 1)
    edges[0], edges[-1] = low, high
    counts, _ = np.histogram(descending, edges)
    return {"edges": [_short(v) for v in edges], "density": [_short(v) for v in counts / (np.diff(edges) * n)]}


def _hill(descending: np.ndarray) -> dict[str, list[float]]:
    estimates = hill_estimates(descending)
    picks = _picks(len(estimates.alphas), 60)
    return {"k": [int(estimates.n_tails[pick]) for pick in picks], "alpha": [_short(estimates.alphas[pick]) for pick in picks]}
