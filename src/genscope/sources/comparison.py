"""The same layers of several checkpoints side by side: what moved, how far, in which directions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genscope.checkpoints.open import open_checkpoint
from genscope.core.matrices import MatrixSpec
from genscope.core.results import Result
from genscope.core.seeds import generator_for
from genscope.core.text import display_name
from genscope.errors import GenscopeError, UsageError
from genscope.layers.matricize import build_matrix, plan_matrices
from genscope.numerics.power_law import fit_power_law
from genscope.numerics.singular_values import predicted_bytes, singular_values
from genscope.numerics.subspace import subspace_overlap
from genscope.sources.curves import draw_difference
from genscope.sources.fan_out import one_blas_thread
from genscope.sources.matrices import analyze
from genscope.sources.options import AnalyzeOptions, Opening, sort_keywords
from genscope.sources.reproducibility import reproducibility_block
from genscope.sources.store import is_result_folder, load

IDENTITY = ("layer", "kind", "view", "rows", "cols", "n_matrices", "n_eigenvalues", "status", "reason", "verdict", "undefined")
OVERLAP_DIRECTIONS = 5
DELTA_MEASURES = ("relative_change", "delta_log_spectral_norm", "delta_stable_rank", "delta_alpha", "subspace_overlap")


def compare_checkpoints(models: Sequence[Any], **chosen: Any) -> Result:
    """Every measure of every shared layer in each model, and what the weights themselves did between the first model and the others.

    Args:
        models: two or more sources of ``analyze``, or folders that ``--out`` saved (those give no weight differences).
        chosen: keywords of ``analyze``.

    Returns:
        A Result: rows are layer views, each measure a mapping ``{"values": […], "change": last − first}``. Besides the measures of
        ``analyze``: ``relative_change`` ‖W_i − W_0‖_F / ‖W_0‖_F, spectrum of the difference (``delta_…``), and ``subspace_overlap``
        of the five leading directions. ``unmatched`` lists layers that are not in every model, or differ in shape.

    Raises:
        UsageError: fewer than two models.
        GenscopeError: as ``analyze``, for the model it names.
    """
    if len(models) < 2:
        raise UsageError("compare needs two or more checkpoints.")
    options, opening, _ = sort_keywords(chosen)
    results = [load(model) if _is_saved(model) else analyze(model, **chosen) for model in models]
    names = model_names(models, results)
    tables = [{_key(row): row for row in result.rows} for result in results]
    shared, unmatched = _match(tables, names)
    rows = [_compare_row([table[key] for table in tables]) for key in shared]
    moves = {} if any(_is_saved(model) for model in models) else _add_differences(rows, models, options, opening)
    summary = {
        "n_matrices": len(rows),
        "n_unmatched": len(unmatched),
        "models": [dict(result.summary) for result in results],
        "verdict": _verdict(rows, names, unmatched),
    }
    notes = [f"{name}: {note}" for name, result in zip(names, results, strict=True) for note in result.tail.get("notes", [])]
    return Result(
        verb="compare",
        head={"models": names, "options": options.to_dict(), "summary": summary},
        rows=rows,
        tail={"unmatched": unmatched, "notes": notes},
        curves={
            key: {"models": [result.curves.get(key, {}) for result in results], **({"differences": moves[key]} if key in moves else {})}
            for key in shared
            if key in moves or any(key in result.curves for result in results)
        },
        reproducibility={
            **reproducibility_block(seed=options.seed),
            "weights_digests": [result.reproducibility.get("weights_digest") for result in results],
        },
    )


def model_names(models: Sequence[Any], results: Sequence[Result]) -> list[str]:
    """A short, unique name for each model: the file's own, with its folder where two files share one."""
    names = [str(result.head.get("source", "model")) for result in results]
    if len(set(names)) < len(names):
        names = [
            f"{Path(str(model)).parent.name}/{name}" if isinstance(model, str | Path) else name for model, name in zip(models, names, strict=True)
        ]
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique


def _is_saved(model: Any) -> bool:
    return isinstance(model, str | Path) and is_result_folder(model)


def _key(row: Mapping[str, Any]) -> str:
    return f"{row['layer']}::{row['view']}"


def _match(tables: Sequence[Mapping[str, Mapping[str, Any]]], names: Sequence[str]) -> tuple[list[str], list[dict[str, Any]]]:
    shared, unmatched = [], []
    for key in dict.fromkeys(key for table in tables for key in table):
        holders = [index for index, table in enumerate(tables) if key in table]
        row = tables[holders[0]][key]
        shapes = [f"{tables[index][key]['rows']}×{tables[index][key]['cols']}" for index in holders]
        entry = {"layer": row["layer"], "view": row["view"], "in": [names[index] for index in holders]}
        if len(holders) < len(tables):
            unmatched.append({**entry, "reason": f"in {len(holders)} of {len(tables)} models"})
        elif len(set(shapes)) > 1:
            unmatched.append({**entry, "reason": f"shapes differ: {', '.join(shapes)}"})
        else:
            shared.append(key)
    return shared, unmatched


def _compare_row(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = rows[0]
    compared: dict[str, Any] = {
        name: first[name] for name in ("layer", "kind", "view", "rows", "cols", "n_matrices", "n_eigenvalues") if name in first
    }
    compared["statuses"] = [row["status"] for row in rows]
    compared["reasons"] = [row.get("reason") for row in rows]
    for name in first:
        if name in IDENTITY or not all(_is_number(row.get(name)) for row in rows):
            continue
        compared[name] = _values([row.get(name) for row in rows])
    return compared


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _values(values: list[Any]) -> dict[str, Any]:
    first, last = values[0], values[-1]
    return {"values": values, "change": None if first is None or last is None else last - first}


def _add_differences(rows: list[dict[str, Any]], models: Sequence[Any], options: AnalyzeOptions, opening: Opening) -> dict[str, list[Any]]:
    """Add the columns of what moved to ``rows``; returns, for the layers that moved, the curve of each difference."""
    curves = {}
    checkpoints = [open_checkpoint(model, **opening.keywords()) for model in models]
    try:
        plans = [
            {spec.key: spec for spec in plan_matrices([s for s in c.specs if options.wants(s.name)], options.views).matrices} for c in checkpoints
        ]
        with one_blas_thread():
            for row in rows:
                key = _key(row)
                specs = [plan[key] for plan in plans]
                too_large = predicted_bytes(row["rows"], row["cols"], row["n_matrices"]) > opening.limits.memory_bytes
                found = [{}] * (len(specs) - 1) if too_large else _differences(key, checkpoints, specs, options.seed)
                row.update({name: _values([_at_rest(name), *(one.get(name) for one in found)]) for name in DELTA_MEASURES})
                if any(one.get("curve") for one in found):
                    curves[key] = [{}, *(one.get("curve", {}) for one in found)]
    finally:
        for checkpoint in checkpoints:
            checkpoint.close()
    return curves


def _differences(key: str, checkpoints: Sequence[Any], specs: Sequence[MatrixSpec], seed: int) -> list[dict[str, Any]]:
    found = []
    for checkpoint, spec in zip(checkpoints[1:], specs[1:], strict=True):
        try:
            origin, moved = _stack(checkpoints[0], specs[0]), _stack(checkpoint, spec)
            found.append(_difference(origin, moved, seed, key) if origin is not None and moved is not None else {})
        except GenscopeError:
            # unreadable or non-finite weights: the row's status says so already, the differences stay undefined
            found.append({})
    return found


def _at_rest(name: str) -> float | None:
    return {"relative_change": 0.0, "subspace_overlap": 1.0}.get(name)


def _stack(checkpoint: Any, spec: MatrixSpec) -> np.ndarray | None:
    return build_matrix(spec, {name: checkpoint.read(name) for name in spec.tensors}).stack


def _difference(origin: np.ndarray, moved: np.ndarray, seed: int, key: str) -> dict[str, Any]:
    delta = np.subtract(moved, origin, dtype=np.float64)
    # in units of the largest entry: squares of tiny and huge weights stay representable
    unit = float(np.abs(origin).max(initial=0.0)) or 1.0
    size = float(np.linalg.norm(np.divide(origin, unit, dtype=np.float64)))
    spectrum = singular_values(delta)
    eigenvalues = np.square(spectrum.values)
    found: dict[str, Any] = {"relative_change": float(np.linalg.norm(delta / unit)) / size if size else None, "curve": draw_difference(eigenvalues)}
    if eigenvalues.size and eigenvalues[0] > 0:
        found["delta_log_spectral_norm"] = float(np.log10(eigenvalues[0]))
        found["delta_stable_rank"] = float(eigenvalues.sum() / eigenvalues[0])
        found["delta_alpha"] = fit_power_law(eigenvalues[spectrum.values > spectrum.resolution]).alpha
    flat = [np.concatenate(list(stack), axis=1) for stack in (origin, moved)]
    overlap = subspace_overlap(flat[0], flat[1], min(OVERLAP_DIRECTIONS, *flat[0].shape), generator_for(seed, "subspace_overlap", key))
    found["subspace_overlap"] = overlap if np.isfinite(overlap) else None
    return found


def _short(name: str) -> str:
    return display_name(name.rsplit("/", 1)[-1], 40)


def _verdict(rows: Sequence[Mapping[str, Any]], names: Sequence[str], unmatched: Sequence[Any]) -> str:
    if not rows:
        return "The models share no layer of the same name and shape."
    moved = [
        (row["relative_change"]["values"][-1], row["layer"])
        for row in rows
        if row.get("relative_change") and row["relative_change"]["values"][-1] is not None
    ]
    changes = [row["alpha"]["change"] for row in rows if row.get("alpha") and row["alpha"]["change"] is not None]
    parts = [f"{len(rows)} layers are in all models" + (f", {len(unmatched)} are not" if unmatched else "")]
    if moved:
        size, layer = max(moved)
        still = sum(value == 0 for value, _ in moved)
        parts.append(
            "no weight differs"
            if size == 0
            else f"from {_short(names[0])} to {_short(names[-1])}, {display_name(layer, 60)} moved most ({size:.0%} of its norm)"
        )
        if still and size:
            parts.append(f"{still} did not move at all")
    if changes:
        parts.append(f"alpha fell in {sum(change < 0 for change in changes)} and rose in {sum(change > 0 for change in changes)}")
    return "; ".join(parts) + "."
