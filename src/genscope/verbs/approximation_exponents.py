"""How fast errors fall with units: exponents with intervals, and what optimization may hide."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genscope.core.seeds import generator_for
from genscope.core.status import OK, SKIPPED
from genscope.numerics.few_seeds import SeedMean, mean_over_seeds
from genscope.training.tree_cells import BUILT, CellErrors

LEAST_WIDTHS = 3


def error_rows(cells: Sequence[CellErrors], seed: int) -> list[dict[str, Any]]:
    """One row per architecture, n and width: geometric means of the errors over seeds, with intervals."""
    return [_error_row(cell, seed) for cell in cells]


def _error_row(cell: CellErrors, seed: int) -> dict[str, Any]:
    task, shape = cell.task, cell.task.shape
    found = _log_mean(cell.errors, seed, task.key, "error")
    largest = _log_mean(cell.largest_errors, seed, task.key, "largest")
    n_failed = sum(not np.isfinite(value) for value in cell.errors)
    row = {"architecture": task.architecture, "variables": task.variables, "width": shape.width, "matched_to": task.width}
    row |= {"n_units": shape.n_units, "n_parameters": shape.n_parameters, "n_seeds": len(cell.errors)}
    row |= {"error": None, "error_low": None, "error_high": None, "largest_error": None}
    if found is not None:
        low, high = (None if end is None else float(np.exp(end)) for end in (found.low, found.high))
        row |= {"error": float(np.exp(found.mean)), "error_low": low, "error_high": high}
    if largest is not None:
        row["largest_error"] = float(np.exp(largest.mean))
    row["status"] = OK if n_failed == 0 else "doubtful" if found is not None else "failed"
    row["reason"] = None if n_failed == 0 else f"{n_failed} of {len(cell.errors)} trainings diverged"
    row["errors"] = list(cell.errors)
    return row


def exponent_rows(rows: Sequence[Mapping[str, Any]], smoothness: float, seed: int) -> list[dict[str, Any]]:
    """Per architecture and n: the exponent b of error ≈ c·units^(−b), against units and against parameters.

    Every seed has its own line (least squares in logarithms); the exponent is the mean of the slopes, and its interval comes from their spread.
    """
    groups = dict.fromkeys((row["architecture"], row["variables"]) for row in rows)
    return [_exponent_row([row for row in rows if (row["architecture"], row["variables"]) == group], smoothness, seed) for group in groups]


def _exponent_row(rows: Sequence[Mapping[str, Any]], smoothness: float, seed: int) -> dict[str, Any]:
    architecture, variables = rows[0]["architecture"], rows[0]["variables"]
    theorem = None if architecture == "deep" else smoothness / (variables if architecture == "shallow" else 2)
    told: dict[str, Any] = {"architecture": architecture, "variables": variables, "exponent": None, "low": None, "high": None}
    told |= {"bootstrap_low": None, "bootstrap_high": None, "theorem": theorem, "exponent_parameters": None, "n_widths": len(rows)}
    slopes = slopes_by_seed(rows, "n_units")
    found = None if slopes is None else mean_over_seeds(slopes, generator_for(seed, "exponent", architecture, str(variables)))
    if found is None:
        reason = f"{len(rows)} widths; a slope needs at least {LEAST_WIDTHS}" if len(rows) < LEAST_WIDTHS else "no training ended with a finite error"
        return {**told, "seed_exponents": [], "status": SKIPPED, "reason": reason}
    by_parameters = slopes_by_seed(rows, "n_parameters")
    assert slopes is not None and by_parameters is not None
    told |= {"exponent": found.mean, "low": found.low, "high": found.high}
    told |= {"bootstrap_low": found.bootstrap_low, "bootstrap_high": found.bootstrap_high}
    told["exponent_parameters"] = float(np.nanmean(by_parameters))
    return {**told, "seed_exponents": slopes.tolist(), "status": OK, "reason": None}


def slopes_by_seed(rows: Sequence[Mapping[str, Any]], against: str) -> np.ndarray | None:
    """Minus the least-squares slope of log error against log ``against`` for every seed; NaN where a training diverged.

    Example:
        >>> rows = [{"n_units": n, "errors": [n**-0.5, 3 / n]} for n in (2, 4, 8)]
        >>> slopes_by_seed(rows, "n_units").round(6).tolist()
        [0.5, 1.0]
    """
    if len({row[against] for row in rows}) < LEAST_WIDTHS:
        return None
    x = np.log([row[against] for row in rows])
    y = np.log(np.array([[np.nan if value is None else value for value in row["errors"]] for row in rows], dtype=np.float64))
    dx = x - x.mean()
    return -(dx @ y) / (dx @ dx)


def optimization_rows(rows: Sequence[Mapping[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Where training provably stopped short of the best approximation.

    Two signs, both one-sided. ``excess``: the error of the tree trained from random weights over that of the tree built node by node (geometric
    mean over widths, interval over seeds); above 1, that part of its error is optimization error. ``n_inversions``: seeds and neighbouring
    widths where the wider network is worse, which best approximations never are.
    """
    told = []
    for architecture, variables in dict.fromkeys((row["architecture"], row["variables"]) for row in rows):
        own = sorted((row for row in rows if (row["architecture"], row["variables"]) == (architecture, variables)), key=lambda row: row["n_units"])
        errors = _errors(own)
        entry: dict[str, Any] = {"architecture": architecture, "variables": variables, "excess": None, "excess_low": None, "excess_high": None}
        entry |= {"n_inversions": int((np.diff(errors, axis=0) > 0).sum()), "n_steps": int(np.diff(errors, axis=0).size)}
        built = {row["matched_to"]: row for row in rows if (row["architecture"], row["variables"]) == (BUILT, variables)}
        if architecture in ("tree", "tree_shared") and all(row["matched_to"] in built for row in own):
            ratios = np.log(errors / _errors([built[row["matched_to"]] for row in own])).mean(axis=0)
            found = mean_over_seeds(ratios, generator_for(seed, "excess", architecture, str(variables)))
            if found is not None:
                low, high = (None if end is None else float(np.exp(end)) for end in (found.low, found.high))
                entry |= {"excess": float(np.exp(found.mean)), "excess_low": low, "excess_high": high}
        told.append(entry)
    return told


def slope_curves(rows: Sequence[Mapping[str, Any]], exponents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the picture draws: ``lines``, the fits through the mean of the logarithms, and ``guides``, the theorem's slopes below the data."""
    lines, guides = [], []
    for fit in exponents:
        own = [row for row in rows if (row["architecture"], row["variables"]) == (fit["architecture"], fit["variables"]) and row["error"] is not None]
        if fit["exponent"] is None or not own:
            continue
        x = np.array(sorted(row["n_units"] for row in own), dtype=np.float64)
        middle = np.exp(np.mean([[np.log(row["n_units"]), np.log(row["error"])] for row in own], axis=0))
        ends = x[[0, -1]]
        lines.append({**_group(fit), "x": ends.tolist(), "y": (middle[1] * (ends / middle[0]) ** -fit["exponent"]).tolist()})
    for n in sorted({row["variables"] for row in rows}):
        own = [row for row in rows if row["variables"] == n and row["error"] is not None]
        theory = {
            ("tree" if "tree" in fit["architecture"] else "shallow"): fit["theorem"] for fit in exponents if fit["variables"] == n and fit["theorem"]
        }
        for kind, style in (("tree", "--"), ("shallow", ":")):
            if kind in theory and own and not (n == 2 and kind == "shallow"):  # one and the same line for n = 2
                units = [row["n_units"] for row in own]
                ends = np.array([min(units), max(units)], dtype=np.float64)
                start = max(row["error"] for row in own) * 1.25
                label = f"−{theory[kind]:.2g}"
                y = start * (ends / ends[0]) ** -theory[kind]
                guides.append({"variables": n, "label": label, "style": style, "x": ends.tolist(), "y": y.tolist()})
    return {"lines": lines, "guides": guides}


def _group(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"architecture": row["architecture"], "variables": row["variables"]}


def _errors(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    return np.array([[np.nan if value is None else value for value in row["errors"]] for row in rows], dtype=np.float64)


def _log_mean(values: Sequence[float], seed: int, *names: str) -> SeedMean | None:
    with np.errstate(divide="ignore", invalid="ignore"):
        return mean_over_seeds(np.log(np.asarray(values, dtype=np.float64)), generator_for(seed, "approximate", *names))
