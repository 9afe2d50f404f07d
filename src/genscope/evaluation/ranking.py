"""The heart of a ranking: columns in memory to rows, with every statistic, adjustment and sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from genscope.errors import UnsupportedInput, UsageError
from genscope.evaluation.association import associations
from genscope.evaluation.conditional import conditional_mutual_informations
from genscope.evaluation.confounders import group_correlations, partial_correlations, per_group_table
from genscope.evaluation.environments import granulated_kendall
from genscope.evaluation.ordering import draw_curves
from genscope.evaluation.sign_error import sign_errors
from genscope.evaluation.study import RankOptions, Study
from genscope.evaluation.verdicts import judge, summarize
from genscope.numerics.rank_null import holm

_PARTS = (associations, granulated_kendall, conditional_mutual_informations, sign_errors, partial_correlations, group_correlations)


@dataclass(frozen=True)
class Ranking:
    """Rows per measure, rows per measure and group, the summary, and the curves for plots."""

    rows: tuple[dict[str, Any], ...]
    groups: tuple[dict[str, Any], ...]
    summary: dict[str, Any]
    curves: dict[str, Any]


def rank_study(study: Study, options: RankOptions = RankOptions()) -> Ranking:  # noqa: B008 - frozen
    """Rank measures given as columns in memory.

    Args:
        study: measures, target, models and their circumstances; only ``values``, ``target``, ``target_name`` and ``models`` are required.
        options: resamples, permutations, seed, level.

    Returns:
        A :class:`Ranking`; rows in the order of ``study.values``. See :func:`genscope.rank` for the columns.

    Raises:
        UnsupportedInput: fewer than 3 models have a target.

    Example:
        >>> x = np.arange(12.0)
        >>> study = Study({"good": x, "bad": x % 3}, 2 * x + 1, "test_error", tuple("abcdefghijkl"))
        >>> ranking = rank_study(study, RankOptions(n_bootstrap=100, n_permutations=200))
        >>> ranking.summary["best_measure"], ranking.rows[0]["kendall"]
        ('good', 1.0)
    """
    n_known = int(np.isfinite(study.target).sum())
    if n_known < 3:
        raise UnsupportedInput(f"Only {n_known} model(s) have a value of {study.target_name!r}; ranking needs at least 3, and 5 to say anything.")
    found: dict[str, dict[str, Any]] = {}
    groups: list[dict[str, Any]] = []
    for batch in study.batches():
        # One BLAS thread: the same sums on every machine, and no spinning on matrices this small.
        with threadpool_limits(1, user_api="blas"):
            parts = [part(batch, options) for part in _PARTS]
        for name, column in zip(batch.names, batch.columns, strict=True):
            row: dict[str, Any] = {"measure": name, "baseline": name in study.baselines}
            for part in parts:
                row |= part[name]
            found[name] = row | {"constant": len(np.unique(column)) < 2, "n_missing": len(study.models) - batch.n}
        groups += per_group_table(batch)
    rows = [found[name] for name in study.values]
    tested = [row for row in rows if not row["baseline"] and row["p_value"] is not None]
    _adjust(rows, tested)
    for row in rows:
        judge(row, study, len(tested), options.level)
        del row["constant"]
    ordered = [_in_order(row) for row in rows]
    return Ranking(tuple(ordered), tuple(groups), summarize(ordered, study), draw_curves(ordered, study))


def rank_measures(
    values: Mapping[str, Any],
    target: Any,
    *,
    target_name: str = "target",
    models: Sequence[str] | None = None,
    options: RankOptions | None = None,
    **more: Any,
) -> Ranking:
    """Rank columns in memory: :func:`rank_study` without writing a :class:`Study` first.

    Args:
        values: measures by name, [n] each; NaN or None is missing.
        target: error, gap or accuracy, [n].
        target_name: its name in sentences.
        models: names; numbered when not given.
        options: resamples, permutations, seed, level.
        more: other parts of :class:`Study` (``higher_is_better``, ``axes``, ``groups``, ``covariates``, ``clusters``, ``baselines``).

    Returns:
        A :class:`Ranking`.

    Example:
        >>> rank_measures({"x": [1, 2, 3, 4, 5]}, [2, 4, 5, 7, 8]).rows[0]["kendall"]
        1.0
    """
    columns = {name: np.asarray(column, dtype=np.float64) for name, column in values.items()}
    goal = np.asarray(target, dtype=np.float64)
    if any(column.shape != goal.shape for column in columns.values()) or goal.ndim != 1:
        raise UsageError("Every measure must have one value per model, as many as the target has.")
    names = tuple(models) if models is not None else tuple(f"model {k + 1}" for k in range(len(goal)))
    return rank_study(Study(columns, goal, target_name, names, **more), options or RankOptions())


def _adjust(rows: Sequence[dict[str, Any]], tested: Sequence[dict[str, Any]]) -> None:
    """Holm's adjustment over the measures that are not baselines, for the overall and the within-group p-values."""
    for p_name, adjusted_name in (("p_value", "p_adjusted"), ("within_p_value", "within_p_adjusted")):
        family = [row for row in tested if row[p_name] is not None]
        for row in rows:
            row[adjusted_name] = None
        for row, p in zip(family, holm(np.array([row[p_name] for row in family])), strict=True):
            row[adjusted_name] = float(p)


_FIRST = ("measure", "baseline", "n", "n_missing", "status", "reason", "kendall", "kendall_low", "kendall_high", "p_value", "p_adjusted")


def _in_order(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _FIRST} | {name: value for name, value in row.items() if name not in _FIRST}
