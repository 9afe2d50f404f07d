"""Robust sign error: how often a measure points the wrong way, on average over environments and in the worst of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from genscope.evaluation.association import put_interval
from genscope.evaluation.environments import AxisPairs, axis_pairs
from genscope.evaluation.study import Batch, RankOptions
from genscope.numerics.bootstrap import percentile_interval
from genscope.numerics.rank_correlation import dense_ranks

MIN_EFFECTIVE_SAMPLE_SIZE = 12.0
_RESAMPLES = 500
_CELLS = 4_000_000


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


@dataclass(frozen=True)
class Environments:
    """Pairs of models sorted by environment: ``i``, ``j``, ``weight`` [pairs], where each begins, and what changes in each."""

    i: np.ndarray
    j: np.ndarray
    weight: np.ndarray
    starts: np.ndarray
    names: tuple[str, ...]


def sign_errors(batch: Batch, options: RankOptions) -> dict[str, dict[str, Any]]:
    r"""Robust sign error: how often a measure and the error move in opposite directions, per environment, on average and at worst.

    .. math:: \mathrm{err}_e = \frac{\sum_{p\in e} w_p\,(1-\mathrm{sgn}\,\Delta C\,\mathrm{sgn}\,\Delta g)/2}{\sum_{p\in e} w_p}

    An environment is a change of one hyper-parameter: a pair of full settings when repeats (seeds) give it enough weight, otherwise the change
    of one value into another pooled over the other hyper-parameters. Environments with (Σw)²/Σw² < 12 are left out. 0: always right; ½: a coin.
    The direction is that of error: for an accuracy target its negative is used.

    Returns:
        by measure: ``sign_error_mean(_low,_high)``, ``sign_error_worst(_low,_high)`` (interval of the environment that is worst in the data),
        ``sign_error_worst_environment``, ``n_environments``.

    Source: Dziugaite et al. 2020, "In search of robust measures of generalization".
    """
    keys = [f"sign_error_{kind}{end}" for kind in ("mean", "worst") for end in ("", "_low", "_high")]
    empty = {**dict.fromkeys(keys), "sign_error_worst_environment": None, "n_environments": 0}
    rows: dict[str, dict[str, Any]] = {name: dict(empty) for name in batch.names}
    bad = -batch.target if batch.study.higher_is_better else batch.target
    found = find_environments(batch, bad, options.n_test_examples)
    if found is None:
        return rows
    weights = np.vstack([np.ones((1, batch.n), dtype=np.float32), batch.weights(options)[:_RESAMPLES]])
    worse = _change(bad, found)
    for name, column in zip(batch.names, batch.columns, strict=True):
        errors = _errors((1 - _change(column, found) * worse) / 2, found, weights)
        worst = int(np.argmax(errors[0]))
        means = np.array([np.mean(row[np.isfinite(row)]) if np.isfinite(row).any() else np.nan for row in errors])
        rows[name].update(sign_error_mean=float(means[0]), sign_error_worst=float(errors[0, worst]), n_environments=len(found.names))
        rows[name]["sign_error_worst_environment"] = found.names[worst]
        put_interval(rows[name], "sign_error_mean", percentile_interval(means[1:], options.level))
        put_interval(rows[name], "sign_error_worst", percentile_interval(errors[1:, worst], options.level))
    return rows


def find_environments(batch: Batch, bad: np.ndarray, n_test_examples: int | None) -> Environments | None:
    """All environments of enough weight: of full settings if there are any, else of single changes; ``None`` without either."""
    codes = {name: code for name, labels in batch.study.axes.items() if (code := batch.codes(labels)) is not None}
    codes = {name: code for name, code in codes.items() if len(np.unique(code)) > 1}
    share = np.clip(bad / (100.0 if np.abs(bad).max(initial=0.0) > 1 else 1.0), -1e6, 1e6)
    pairs = {axis: axis_pairs(codes, axis) for axis in codes}
    weights = {axis: hoeffding_weights(share[p.i] - share[p.j], n_test_examples) for axis, p in pairs.items()}
    for kind in ("settings", "changes"):
        chosen = [(axis, members) for axis in pairs for members in _members(_keys(pairs[axis], kind, batch.n), weights[axis])]
        if chosen:
            return _join(batch, pairs, weights, chosen, kind)
    return None


def _keys(pairs: AxisPairs, kind: str, n: int) -> np.ndarray:
    return pairs.rest * n**2 + pairs.values if kind == "settings" else pairs.values


def _members(keys: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """Positions of the pairs of each environment whose effective sample size reaches the minimum."""
    if len(keys) == 0:
        return []
    order = np.argsort(keys, kind="stable")
    found = []
    for members in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
        w = weights[members]
        if w.sum() > 0 and w.sum() ** 2 / (w * w).sum() >= MIN_EFFECTIVE_SAMPLE_SIZE - 1e-9:
            found.append(members)
    return found


def _join(
    batch: Batch, pairs: Mapping[str, AxisPairs], weights: Mapping[str, np.ndarray], chosen: list[tuple[str, np.ndarray]], kind: str
) -> Environments:
    i, j, weight = (
        np.concatenate([part[axis][members] for axis, members in chosen])
        for part in ({axis: p.i for axis, p in pairs.items()}, {axis: p.j for axis, p in pairs.items()}, weights)
    )
    starts = np.cumsum([0, *(len(members) for _, members in chosen[:-1])])
    names = tuple(_name(batch, axis, pairs[axis], members, kind) for axis, members in chosen)
    return Environments(i, j, weight, starts, names)


def _change(values: np.ndarray, found: Environments) -> np.ndarray:
    ranks = dense_ranks(values)
    return np.clip(ranks[found.i] - ranks[found.j], -1, 1).astype(np.float64)


def _errors(loss: np.ndarray, found: Environments, weights: np.ndarray) -> np.ndarray:
    """Sign error of each environment under each row of model weights, [resamples, environments]; NaN where no pair was drawn."""
    errors = np.empty((len(weights), len(found.names)))
    step = max(1, _CELLS // len(loss))
    for first in range(0, len(weights), step):
        rows = weights[first : first + step].astype(np.float64)
        mass = rows[:, found.i] * rows[:, found.j] * found.weight
        total = np.add.reduceat(mass, found.starts, axis=1)
        wrong = np.add.reduceat(mass * loss, found.starts, axis=1)
        errors[first : first + step] = np.where(total > 0, wrong / np.where(total > 0, total, 1.0), np.nan)
    return errors


def _name(batch: Batch, axis: str, pairs: AxisPairs, members: np.ndarray, kind: str) -> str:
    kept = np.flatnonzero(batch.mask)
    first, second = kept[pairs.i[members[0]]], kept[pairs.j[members[0]]]
    labels = batch.study.axes
    change = f"{axis}: {labels[axis][first]} → {labels[axis][second]}"
    if kind == "changes":
        return change
    rest = ", ".join(f"{other}={labels[other][first]}" for other in labels if other != axis)
    return f"{change} at {rest}" if rest else change
