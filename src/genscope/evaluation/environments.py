"""Does a measure follow the error when one hyper-parameter changes and the others stay? On average, and in the worst case."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from genscope.evaluation.association import put_interval
from genscope.evaluation.study import Batch, RankOptions
from genscope.numerics.bootstrap import percentile_interval
from genscope.numerics.rank_correlation import dense_ranks

MIN_EFFECTIVE_SAMPLE_SIZE = 12.0


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


def hoeffding_weights(differences: np.ndarray, n_test_examples: int | None) -> np.ndarray:
    r"""How sure one may be that two errors differ at all, as a weight.

    .. math:: w = \left(\max(0,\,1-2e^{-2n(\Delta/2)^2})^2 - \tfrac12\right)_+

    Args:
        differences: differences of two errors as fractions, any shape.
        n_test_examples: examples behind each error; ``None`` gives every differing pair weight 1.

    Source: Dziugaite et al. 2020, "In search of robust measures of generalization", section 4 and its released code.

    Example:
        >>> hoeffding_weights(np.array([0.0, 0.1]), 10_000).round(3).tolist()
        [0.0, 0.5]
    """
    differences = np.abs(differences)
    if n_test_examples is None:
        return (differences > 0).astype(np.float64)
    sure = np.maximum(0.0, 1 - 2 * np.exp(-2 * n_test_examples * (differences / 2) ** 2)) ** 2
    return np.maximum(sure - 0.5, 0.0)


def sign_errors(batch: Batch, options: RankOptions) -> dict[str, dict[str, Any]]:
    r"""Robust sign error: how often a measure and the error move in opposite directions, per environment, on average and at worst.

    .. math:: \mathrm{err}_e = \frac{\sum_{p\in e} w_p\,(1-\mathrm{sgn}\,\Delta C\,\mathrm{sgn}\,\Delta g)/2}{\sum_{p\in e} w_p}

    An environment is a change of one hyper-parameter: a pair of full settings when repeats (seeds) give it enough weight, otherwise the change
    of one value into another pooled over the other hyper-parameters. Environments with (Σw)²/Σw² < 12 are left out. 0: always right; ½: a coin.
    The direction is that of error: for an accuracy target its negative is used.

    Returns:
        by measure: ``sign_error_mean``, ``sign_error_worst``, ``sign_error_worst_environment``, ``n_environments``.

    Source: Dziugaite et al. 2020, "In search of robust measures of generalization".
    """
    empty = {"sign_error_mean": None, "sign_error_worst": None, "sign_error_worst_environment": None, "n_environments": 0}
    rows: dict[str, dict[str, Any]] = {name: dict(empty) for name in batch.names}
    codes = {name: code for name, labels in batch.study.axes.items() if (code := batch.codes(labels)) is not None}
    codes = {name: code for name, code in codes.items() if len(np.unique(code)) > 1}
    bad = -batch.target if batch.study.higher_is_better else batch.target
    scale = 100.0 if np.abs(bad).max(initial=0.0) > 1 else 1.0
    pairs = {axis: axis_pairs(codes, axis) for axis in codes}
    share = np.clip(bad / scale, -1e6, 1e6)
    weights = {axis: hoeffding_weights(share[p.i] - share[p.j], options.n_test_examples) for axis, p in pairs.items()}
    for kind in ("settings", "changes"):
        keys = {axis: (p.rest * batch.n**2 + p.values) if kind == "settings" else p.values for axis, p in pairs.items()}
        environments = {axis: _environments(keys[axis], weights[axis]) for axis in pairs}
        if any(found for found in environments.values()):
            break
    else:
        return rows
    for name, column in zip(batch.names, batch.columns, strict=True):
        losses = {}
        for axis, p in pairs.items():
            loss = (1 - sign_of_change(column, p) * sign_of_change(bad, p)) / 2
            for members in environments[axis]:
                w = weights[axis][members]
                losses[_name(batch, axis, p, members, kind)] = float((w * loss[members]).sum() / w.sum())
        worst = max(losses, key=losses.__getitem__)
        found = (float(np.mean(list(losses.values()))), losses[worst], worst, len(losses))
        rows[name] = dict(zip(empty, found, strict=True))
    return rows


def _environments(keys: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """Positions of the pairs of each environment whose effective sample size reaches the minimum."""
    if len(keys) == 0:
        return []
    order = np.argsort(keys, kind="stable")
    cuts = np.flatnonzero(np.diff(keys[order])) + 1
    found = []
    for members in np.split(order, cuts):
        w = weights[members]
        if w.sum() > 0 and w.sum() ** 2 / (w * w).sum() >= MIN_EFFECTIVE_SAMPLE_SIZE - 1e-9:
            found.append(members)
    return found


def _name(batch: Batch, axis: str, pairs: AxisPairs, members: np.ndarray, kind: str) -> str:
    kept = np.flatnonzero(batch.mask)
    first, second = kept[pairs.i[members[0]]], kept[pairs.j[members[0]]]
    labels = batch.study.axes
    change = f"{axis}: {labels[axis][first]} → {labels[axis][second]}"
    if kind == "changes":
        return change
    rest = ", ".join(f"{other}={labels[other][first]}" for other in labels if other != axis)
    return f"{change} at {rest}" if rest else change
