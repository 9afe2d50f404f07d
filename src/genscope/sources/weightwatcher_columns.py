"""The table as WeightWatcher 0.7.7 prints it, column for column, for those who migrate and for checks against it.

Its conventions, kept here as they are: convolutions carry a factor (see ``eigenvalue_scale``), ``norm`` is the sum of eigenvalues (not a norm),
``sv_min`` of a convolution is the largest of the kernel positions' smallest singular values, thresholds are absolute.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from genscope.core.matrices import Matrix
from genscope.core.spectrum import Spectrum
from genscope.core.status import Undefined

EPSILON = 1e-10
WEAK_RANK_TOLERANCE = 1e-6
MIN_EVALUES, MAX_EVALUES, MAX_N = 8, 15_000, 50_000
LAYER_TYPES = {"linear": "dense", "embedding": "embedding", "conv1d": "conv1d", "conv2d": "conv2d"}


def weightwatcher_columns(matrix: Matrix, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """The columns of one layer, or ``None`` for one that WeightWatcher leaves out (fewer than 8 or over 15,000 eigenvalues, N > 50,000).

    Args:
        matrix: the layer's matrices.
        values: the resolver's values under ``convention="weightwatcher"``.
    """
    spec, spectrum = matrix.spec, values["spectrum"]
    kind = LAYER_TYPES.get(spec.kind, "dense" if min(spec.rows, spec.cols) > 1 else None)
    long, short = max(spec.rows, spec.cols), min(spec.rows, spec.cols)
    if kind is None or isinstance(spectrum, Undefined) or not MIN_EVALUES <= spec.n_eigenvalues <= MAX_EVALUES or long > MAX_N:
        return None
    scale = values["eigenvalue_scale"]
    ascending = np.sort(values["eigenvalues"])
    norms = _norm_columns(ascending, long)
    name = spec.layer.removesuffix(".weight")
    columns = {"name": name.rsplit(".", 1)[-1], "longname": name, "layer_type": kind, "M": short, "N": long, "Q": long / short}
    columns |= {"rf": spec.n_matrices if kind == "conv2d" else 1, "num_evals": spec.n_eigenvalues, "has_esd": True, **norms}
    columns |= _extremes(matrix, spectrum, scale, long)
    return columns | _fit_columns(values["power_law"], ascending)


def _norm_columns(ascending: np.ndarray, long: int) -> dict[str, Any]:
    singular = np.sqrt(ascending)
    rank = int(np.count_nonzero(singular > singular[-1] * long * np.finfo(np.float64).eps))
    total, largest = float(ascending.sum()), float(ascending[-1])
    shares = ascending / total + EPSILON if total > 0 else ascending
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = float(-np.sum(shares * np.log(shares)) / np.log(rank + EPSILON)) if total > 0 else None
        return {
            "norm": total,
            "log_norm": float(np.log10(total)),
            "spectral_norm": largest,
            "lambda_max": largest,
            "log_spectral_norm": float(np.log10(largest)),
            "stable_rank": total / largest if largest else None,
            "matrix_rank": rank,
            "entropy": entropy,
            "weak_rank_loss": int(np.count_nonzero(ascending < WEAK_RANK_TOLERANCE)),
        }


def _extremes(matrix: Matrix, spectrum: Spectrum, scale: float, long: int) -> dict[str, Any]:
    factor = float(np.sqrt(scale))
    assert matrix.stack is not None
    each = (
        [np.linalg.svd(np.asarray(piece, dtype=np.float64), compute_uv=False) for piece in matrix.stack]
        if len(matrix.stack) > 1
        else [spectrum.singular_values]
    )
    losses = [len(values) - np.count_nonzero(values > values[0] * long * np.finfo(np.float64).eps) for values in each]
    return {"sv_max": factor * max(float(v[0]) for v in each), "sv_min": factor * max(float(v[-1]) for v in each), "rank_loss": int(sum(losses))}


def _fit_columns(fit: Any, ascending: np.ndarray) -> dict[str, Any]:
    if isinstance(fit, Undefined) or fit.alpha is None:
        return {
            **dict.fromkeys(("alpha", "D", "sigma", "xmin", "xmax", "alpha_weighted", "log_alpha_norm")),
            "num_pl_spikes": 0,
            "status": "failed",
            "warning": "",
        }
    return {
        "alpha": fit.alpha,
        "D": fit.ks_distance,
        "sigma": fit.alpha_stderr,
        "xmin": fit.xmin,
        "xmax": float(ascending[-1]),
        "num_pl_spikes": fit.n_tail,
        "alpha_weighted": fit.alpha * float(np.log10(ascending[-1])),
        "log_alpha_norm": float(np.log10(np.sum(ascending**fit.alpha))),
        "status": "success",
        "warning": "over-trained" if fit.alpha < 2 else "under-trained" if fit.alpha > 6 else "",
    }
