"""The small arrays behind the three pictures of a ranking: scatter, per axis, ordering."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genscope.evaluation.study import Study


def draw_curves(rows: Sequence[Mapping[str, Any]], study: Study) -> dict[str, Any]:
    """Curves for plots.

    Returns:
        ``scatter``: by measure ``x``, ``y`` (target), ``labels`` (models) and, with groups, ``groups``; models without a number are left out.
        ``per_axis``: ``axes`` and ``measures`` {name: {axis: ψ}}.
        ``ordering``: measures from the largest to the smallest |τ|, with ``kendall``, ``low``, ``high``, ``baseline``, and the within-group,
        partial and granulated values beside it.
    """
    ranked = sorted((row for row in rows if row["kendall"] is not None), key=lambda row: -abs(row["kendall"]))
    return {
        "scatter": {row["measure"]: _points(study, row["measure"]) for row in ranked},
        "per_axis": {"axes": list(study.axes), "measures": {row["measure"]: dict(row["granulated_kendall_per_axis"]) for row in rows}},
        "ordering": [
            {
                "measure": row["measure"],
                "kendall": row["kendall"],
                "low": row["kendall_low"],
                "high": row["kendall_high"],
                "baseline": row["baseline"],
                "within": row["within_kendall"],
                "partial": row["partial_spearman"],
                "granulated": row["granulated_kendall"],
            }
            for row in ranked
        ],
    }


def _points(study: Study, measure: str) -> dict[str, list[Any]]:
    x = study.values[measure]
    kept = np.flatnonzero(np.isfinite(x) & np.isfinite(study.target))
    points: dict[str, list[Any]] = {"x": x[kept].tolist(), "y": study.target[kept].tolist(), "labels": [study.models[k] for k in kept]}
    if study.groups is not None:
        points["groups"] = [study.groups[k] for k in kept]
    return points
