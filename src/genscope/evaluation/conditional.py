"""Conditional mutual information: what a measure tells about the error beyond what one or two hyper-parameters already tell."""

from itertools import combinations
from typing import Any

import numpy as np

from genscope.core.seeds import generator_for
from genscope.evaluation.association import put_interval
from genscope.evaluation.study import Batch, RankOptions
from genscope.numerics.bootstrap import percentile_interval
from genscope.numerics.mutual_information import conditional_information, oriented_cells, sign_counts
from genscope.numerics.rank_correlation import dense_ranks

_MAX_PAIRS = 1_000_000
_MAX_RESAMPLES = 200
_RESAMPLED_PAIRS = 40_000
_WORK = 3e8


def conditional_mutual_informations(batch: Batch, options: RankOptions) -> dict[str, dict[str, Any]]:
    r"""The normalized conditional mutual information of Jiang et al., smallest over all sets of at most two hyper-parameters.

    .. math:: \mathcal K(\mu) = \min_{|S|\le 2} \frac{I(V_\mu; V_g \mid U_S)}{H(V_g \mid U_S)}

    V are the signs of the differences of measure and target over pairs of models, U_S the hyper-parameters in S of both models of the pair.
    0: the hyper-parameters in some S explain all that the measure knows; 1: the measure knows the order whatever is held fixed.
    Sets that leave fewer than 10 pairs per cell on average, or no entropy, are not conditioned on (the plug-in estimate would be noise).
    The number has no sign: a measure that is always wrong scores 1 too, so read it beside Kendall's τ.

    Returns:
        by measure: ``cmi`` in [0, 1], ``cmi_low/high`` (bootstrap over models at the minimizing set, centred on the estimate),
        ``cmi_conditioned_on`` (names of S).

    Source: Jiang et al. 2020, "Fantastic generalization measures and where to find them", section 2.2.3.
    """
    rows: dict[str, dict[str, Any]] = {name: {"cmi": None, "cmi_low": None, "cmi_high": None, "cmi_conditioned_on": None} for name in batch.names}
    codes = {name: code for name, labels in batch.study.axes.items() if (code := batch.codes(labels)) is not None}
    codes = {name: code for name, code in codes.items() if len(np.unique(code)) > 1}
    if batch.n < 3 or not codes:
        return rows
    rng = generator_for(options.seed, "rank", "pairs")
    i, j = _pairs(batch.n, rng)
    signs_y = _signs(batch.target, i, j)
    cells = {chosen: _cells(codes, chosen, i, j) for chosen in _subsets(tuple(codes))}
    cells = {chosen: cell for chosen, cell in cells.items() if not chosen or len(i) >= 10 * cell[2]}
    kept = np.arange(len(i)) if len(i) <= _RESAMPLED_PAIRS else np.sort(rng.choice(len(i), _RESAMPLED_PAIRS, replace=False))
    n_resamples = int(min(_MAX_RESAMPLES, options.n_bootstrap, max(40.0, _WORK / (len(kept) * max(1, len(batch.names))))))
    weights = batch.weights(options)[:n_resamples]
    for name, column in zip(batch.names, batch.columns, strict=True):
        signs_x = _signs(column, i, j)
        scored = {}
        for chosen, (cell, turn, size) in cells.items():
            information, entropy = conditional_information(sign_counts(signs_x, signs_y, cell, turn, size))
            if entropy > 1e-12:
                scored[chosen] = float(information / entropy)
        if not scored or not signs_x.any():
            continue
        best = min(scored, key=lambda chosen: (scored[chosen], len(chosen)))
        rows[name].update(cmi=min(1.0, scored[best]), cmi_conditioned_on=list(best))
        cell, turn, size = cells[best]
        parts = (signs_x[kept], signs_y[kept], (cell[kept], turn[kept], size))
        resampled = np.array([_resampled(*parts, w[i[kept]] * w[j[kept]]) for w in weights])
        put_interval(rows[name], "cmi", _recentred(resampled, rows[name]["cmi"], options.level))
    return rows


def _recentred(resampled: np.ndarray, observed: float, level: float) -> tuple[float, float] | None:
    """Percentile interval moved so that its median is the estimate: information found in resamples is biased upwards, as every plug-in is."""
    good = resampled[np.isfinite(resampled)]
    interval = percentile_interval(good - np.median(good) + observed, level) if len(good) else None
    return None if interval is None else (max(0.0, interval[0]), min(1.0, interval[1]))


def _signs(values: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    ranks = dense_ranks(values)
    return np.clip(ranks[i] - ranks[j], -1, 1).astype(np.int8)


def _resampled(signs_x: np.ndarray, signs_y: np.ndarray, cell: tuple[np.ndarray, np.ndarray, int], mass: np.ndarray) -> float:
    information, entropy = conditional_information(sign_counts(signs_x, signs_y, *cell, weights=mass))
    return min(1.0, float(information / entropy)) if entropy > 1e-12 else float("nan")


def _subsets(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [chosen for size in (0, 1, 2) for chosen in combinations(names, size)]


def _pairs(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    if n * (n - 1) // 2 <= _MAX_PAIRS:
        return np.triu_indices(n, 1)
    i, j = rng.integers(0, n, size=(2, _MAX_PAIRS))
    return i[i != j], j[i != j]


def _cells(codes: dict[str, np.ndarray], chosen: tuple[str, ...], i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    if not chosen:
        return np.zeros(len(i), dtype=np.int64), np.zeros(len(i), dtype=np.int8), 1
    setting = np.unique(np.stack([codes[name] for name in chosen]), axis=1, return_inverse=True)[1].reshape(-1)
    return oriented_cells(setting[i], setting[j])
