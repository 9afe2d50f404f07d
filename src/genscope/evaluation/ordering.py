"""The small arrays behind the three pictures of a ranking: scatter, per axis, ordering."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genscope.evaluation.study import Study


def draw_curves(rows: Sequence[Mapping[str, Any]], study: Study) -> dict[str, Any]:
    """Curves for plots.

    Returns:
        ``scatter``: ``models``, ``target``, ``group`` (labels or ``None``) and ``measures`` {name: values}; missing numbers are ``None``.
        ``per_axis``: ``axes`` and ``measures`` {name: {axis: ψ}}.
        ``ordering``: measures from the largest to the smallest |τ|, with ``kendall``, ``low``, ``high``, ``baseline`` and the overall, within-group and
        partial values side by side.
    """
    ranked = sorted((row for row in rows if row["kendall"] is not None), key=lambda row: -abs(row["kendall"]))
    return {
        "scatter": {
            "models": list(study.models),
            "target_name": study.target_name,
            "target": _plain(study.target),
            "group": list(study.groups) if study.groups is not None else None,
            "measures": {name: _plain(values) for name, values in study.values.items()},
        },
        "per_axis": {"axes": list(study.axes), "measures": {row["measure"]: dict(row["granulated_kendall_per_axis"]) for row in rows}},
        "ordering": [
            {
                "measure": row["measure"],
                "kendall": row["kendall"],
                "low": row["kendall_low"],
                "high": row["kendall_high"],
                "baseline": row["baseline"],
                "within": row["within_kendall"],
                "partial": row["partial_kendall"],
                "granulated": row["granulated_kendall"],
            }
            for row in ranked
        ],
    }


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
