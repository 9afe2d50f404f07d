"""The page of a trajectory: its plane beside that of a random walk, t-SNE, and what lies off the plane."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from genscope.core.results import Result
from genscope.figures.theme import Picture
from genscope.figures.trajectory import Run, embedding_picture, off_plane_picture, principal_picture
from genscope.report import sections as parts
from genscope.report.payload import table_of
from genscope.report.pictures import pictures_section
from genscope.report.sections import Section
from genscope.report.wording import text_of

_VISIBLE = ("checkpoint", "run", "pc1", "pc2", "distance", "off_plane", "step_length")
_KEYS = {"n_checkpoints": "Checkpoints", "explained": "Variance in the plane", "off_plane": "Mean share off the plane"}
_UNITS = {"explained": "share", "off_plane": "of the distance from the mean"}
_POINTS, _WALK = 4, 50_000


def trajectory_sections(result: Result) -> list[Section]:
    """Numbers, pictures, the table."""
    lead = "Circles mark the first checkpoint of a run, stars the last; later checkpoints are more opaque."
    return parts.present(
        parts.key_numbers(result.summary, list(_KEYS), _KEYS, _UNITS),
        pictures_section(_pictures(result), "trajectory", "The trajectory", lead),
        parts.table_section(table_of(result.rows, _VISIBLE, "checkpoint"), "Checkpoints", "", (), "There are no checkpoints."),
        parts.notes(result.tail.get("notes")),
        parts.glossary("landscape trajectory"),
        parts.reproducibility(result),
    )


def trajectory_verdict(result: Result) -> str:
    """How many checkpoints there are."""
    return f"{len(result.rows):,} checkpoints in a plane."


def _pictures(result: Result) -> list[Picture]:
    found = []
    principal = _runs(result, "pc1", "pc2")
    explained = _shares(result.curves.get("explained"))
    if principal and explained is not None:
        found.append(principal_picture(principal, explained, _walk(result), _principal_caption(result)))
    embedded = _runs(result, "tsne1", "tsne2")
    if embedded:
        found.append(embedding_picture(embedded, _embedding_caption(result)))
    off = _off_plane(result)
    if off:
        caption = "Distance from the plane of the first two components over the distance from the mean of all checkpoints: 0 lies in the plane."
        found.append(off_plane_picture(off, caption))
    return found


def _runs(result: Result, across: str, up: str) -> list[Run]:
    """Runs with both coordinates; one run of checkpoints is a path, and so is every run unless the result says that it is none."""
    points: dict[str, list[tuple[float, float]]] = {}
    for row in result.rows:
        x, y = row.get(across), row.get(up)
        if isinstance(x, int | float) and isinstance(y, int | float):
            points.setdefault(text_of(row.get("run") or "run", 40), []).append((float(x), float(y)))
    paths = {text_of(one.get("run"), 40): one.get("path", True) for one in _listed(result.head.get("runs"))}
    return [Run(name, np.array(places), bool(paths.get(name, True))) for name, places in points.items()]


def _listed(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _shares(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, list) or not value or not all(isinstance(share, int | float) for share in value):
        return None
    return float(value[0]), float(value[1]) if len(value) > 1 else 0.0


def _walk(result: Result) -> tuple[np.ndarray, tuple[float, float]] | None:
    held = result.curves.get("walk")
    if not isinstance(held, Mapping):
        return None
    try:
        points, shares = np.array(held["coordinates"], dtype=float), np.array(held["explained"], dtype=float)
    except (KeyError, TypeError, ValueError):
        return None
    fits = points.ndim == 2 and points.shape[1] == 2 and len(points) <= _WALK and shares.ndim == 2 and shares.shape[1] == 2 and len(shares)
    if not fits or not np.isfinite(points).all() or not np.isfinite(shares).all():
        return None
    return points, (float(shares[0, 0]), float(shares[0, 1]))


def _principal_caption(result: Result) -> str:
    words = "Axes in units of the parameters, the mean of all checkpoints at the origin."
    null = result.head.get("random_walk")
    if isinstance(null, Mapping) and all(isinstance(null.get(key), int | float) for key in ("walk_low", "walk_high", "explained")):
        runs = _listed(result.head.get("runs"))
        alone = f" of the run {text_of(runs[0].get('run'), 40)} by itself" if len(runs) > 1 else ""
        words += f" Variance in the first two components{alone}: {null['explained']:.1%}"
        words += f"; random walks with steps of the same lengths: {null['walk_low']:.1%} to {null['walk_high']:.1%} (95 % of {null.get('walks')})."
        words += " A smooth curve is what a random walk draws too; only a share outside that range says more."
    return words


def _embedding_caption(result: Result) -> str:
    held = result.head.get("options")
    options: Mapping[str, Any] = held if isinstance(held, Mapping) else {}
    perplexity = options.get("perplexity")
    shown = f"{perplexity:g}" if isinstance(perplexity, int | float) else "unknown"
    words = f"t-SNE of the first 50 principal components, perplexity {shown}, seed {options.get('seed')}, started from PCA."
    return words + " Neighbourhoods are kept; distances, densities and gaps between groups are not to be read."


def _off_plane(result: Result) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    found: dict[str, list[float]] = {}
    for row in result.rows:
        away, distance = row.get("off_plane"), row.get("distance")
        if isinstance(away, int | float) and isinstance(distance, int | float):
            found.setdefault(text_of(row.get("run") or "run", 40), []).append(away / distance if distance > 0 else 0.0)
    return {name: (np.arange(len(values)), np.array(values)) for name, values in found.items()}
