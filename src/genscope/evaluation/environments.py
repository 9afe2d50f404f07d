"""Does a measure follow the error when one hyper-parameter changes and the others stay? Pairs of such models, and τ along each axis."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from genscope.evaluation.association import put_interval
from genscope.evaluation.study import Batch, RankOptions
from genscope.numerics.bootstrap import percentile_interval
from genscope.numerics.rank_correlation import dense_ranks


@dataclass(frozen=True)
class AxisPairs:
    """Pairs of models that differ on one axis only: ``i``, ``j`` [pairs], the set of all else they share, and the two values on the axis."""

    i: np.ndarray
    j: np.ndarray
    rest: np.ndarray
    values: np.ndarray


def axis_pairs(codes: Mapping[str, np.ndarray], axis: str) -> AxisPairs:
    """All pairs i < j equal on every axis but ``axis`` and different there.

    Args:
        codes: integer labels [n] of every axis.
    """
    others = [codes[name] for name in codes if name != axis]
    n = len(codes[axis])
    rest = np.unique(np.stack(others), axis=1, return_inverse=True)[1].reshape(-1) if others else np.zeros(n, dtype=np.int64)
    left, right = [], []
    for group in range(int(rest.max()) + 1 if n else 0):
        members = np.flatnonzero(rest == group)
        a, b = np.triu_indices(len(members), 1)
        differ = codes[axis][members[a]] != codes[axis][members[b]]
        left.append(members[a[differ]])
        right.append(members[b[differ]])
    i = np.concatenate(left) if left else np.zeros(0, dtype=np.int64)
    j = np.concatenate(right) if right else np.zeros(0, dtype=np.int64)
    low, high = np.minimum(codes[axis][i], codes[axis][j]), np.maximum(codes[axis][i], codes[axis][j])
    return AxisPairs(i, j, rest[i], low * n + high)


def sign_of_change(values: np.ndarray, pairs: AxisPairs) -> np.ndarray:
    """−1, 0 or +1 per pair: the sign of the first value minus the second (of their ranks, which never overflow)."""
    ranks = dense_ranks(values)
    return np.clip(ranks[pairs.i] - ranks[pairs.j], -1, 1).astype(np.float64)


def granulated_kendall(batch: Batch, options: RankOptions) -> dict[str, dict[str, Any]]:
    r"""Granulated Kendall coefficients: τ along each hyper-parameter with all others held fixed.

    .. math:: \psi_a = \frac1{m_a}\sum_{g} \tau_g, \qquad \Psi = \frac1{|A|}\sum_a \psi_a

    where g runs over the m_a settings of the other hyper-parameters that hold a comparable pair, and τ_g is the mean of sgn·sgn over pairs with
    different values of a. Immune to a measure that only tells large nets from small ones.

    Returns:
        by measure: ``granulated_kendall``, ``granulated_kendall_low/high`` and ``granulated_kendall_per_axis`` {axis: ψ or None}.

    Source: Jiang et al. 2020, "Fantastic generalization measures and where to find them", section 2.2.2.
    """
    codes = {name: batch.codes(labels) for name, labels in batch.study.axes.items()}
    usable = {name: code for name, code in codes.items() if code is not None and len(np.unique(code)) > 1}
    rows: dict[str, dict[str, Any]] = {name: {"granulated_kendall_per_axis": dict.fromkeys(codes)} for name in batch.names}
    if usable:
        weights = batch.weights(options)
        rng_free = np.vstack([np.ones((1, batch.n), dtype=np.float32), weights[:500]])
        all_pairs = {axis: axis_pairs(usable, axis) for axis in usable}
    for name, column in zip(batch.names, batch.columns, strict=True):
        found = [_psi(column, batch.target, all_pairs[axis], rng_free) for axis in usable] if usable else []
        for axis, psi in zip(usable, found, strict=True):
            rows[name]["granulated_kendall_per_axis"][axis] = _finite(psi[0]) if psi is not None else None
        kept = [psi for psi in found if psi is not None]
        mean = np.mean(kept, axis=0) if kept else None
        rows[name]["granulated_kendall"] = _finite(mean[0]) if mean is not None else None
        put_interval(rows[name], "granulated_kendall", percentile_interval(mean[1:], options.level) if mean is not None else None)
    return rows


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _psi(x: np.ndarray, y: np.ndarray, pairs: AxisPairs, weights: np.ndarray) -> np.ndarray | None:
    """ψ of one axis under every row of weights; each setting of the rest counts once, its τ is weighted by pairs."""
    if len(pairs.i) == 0:
        return None
    agree = sign_of_change(x, pairs) * sign_of_change(y, pairs)
    order = np.argsort(pairs.rest, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(pairs.rest[order]) != 0])
    psi = np.empty(len(weights))
    step = max(1, 4_000_000 // len(order))
    for first in range(0, len(weights), step):
        rows = weights[first : first + step].astype(np.float64)
        mass = rows[:, pairs.i[order]] * rows[:, pairs.j[order]]
        total = np.add.reduceat(mass, starts, axis=1)
        tau = np.add.reduceat(mass * agree[order], starts, axis=1) / np.where(total > 0, total, 1)
        present = (total > 0).sum(axis=1)
        psi[first : first + step] = np.where(present > 0, tau.sum(axis=1) / np.maximum(present, 1), np.nan)
    return psi
