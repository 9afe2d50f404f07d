"""The pages of landscapes: pictures of slices, planes and paths with how to read them, an interactive surface, and the table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genscope.core.results import Result
from genscope.figures.surface import contour_picture, path_picture, rays_picture, surface_picture
from genscope.figures.theme import Picture
from genscope.report import sections as parts
from genscope.report.intake import is_number
from genscope.report.payload import rounded, table_of
from genscope.report.pictures import pictures_section
from genscope.report.sections import Section
from genscope.report.wording import number_of, text_of

_KEYS = {
    "loss": "Loss (trained)",
    "loss_at_end": "Loss at the ends",
    "lowest_loss": "Lowest loss",
    "highest_loss": "Highest loss",
    "barrier": "Barrier",
    "error_barrier": "Error barrier",
    "radius": "Half-width",
    "n_points": "Points",
    "n_failed": "Not finite",
}
_RULES = {
    "zero": "biases, normalization parameters and other vectors fixed",
    "tensor": "each vector by its own length",
    "moved": "all parameters move",
}
_POLICIES = {
    "recalibrate": "batch-normalization statistics recomputed at every point",
    "frozen": "batch-normalization statistics of the trained weights kept",
    "batch": "batch normalization by each micro-batch",
    "none": "no batch normalization",
}
_READINGS = ("loss", "error", "margin")
_LARGEST = 250  # points along an axis that the interactive surface takes


def slice_sections(result: Result) -> list[Section]:
    """The page of ``landscape slice``."""
    t, grids = _axis(result.curves.get("t")), {name: _grid(result.curves.get(name)) for name in _READINGS}
    directions = _mappings(result.head.get("directions"))
    pictures = []
    losses, errors = grids["loss"], grids["error"]
    if t is not None and losses is not None and errors is not None and losses.shape == errors.shape == (len(losses), len(t)):
        words = f"{_how(result)} Each line is one direction; 0 is the trained network."
        pictures = [rays_picture(t, losses, errors, xlabel=_unit(directions), caption=words)]
    return _page(result, pictures, None, ("direction", "t", "loss", "error", "margin", "status"))


def plane_sections(result: Result) -> list[Section]:
    """The page of ``landscape plane``."""
    x, y = _axis(result.curves.get("x")), _axis(result.curves.get("y"))
    grids = {name: _grid(result.curves.get(name)) for name in _READINGS}
    marks = [one for one in _mappings(result.head.get("marks")) if is_number(one.get("x")) and is_number(one.get("y"))]
    marks = [{**one, "label": text_of(one.get("label"), 40)} for one in marks]
    pictures, explorer = [], None
    if x is not None and y is not None and all(grid is not None and grid.shape == (len(x), len(y)) for grid in grids.values()):
        labels = _axis_labels(result)
        words = f"{_how(result)} {_off_plane(marks)}".strip()
        found = {name: grid for name, grid in grids.items() if grid is not None}
        pictures = [surface_picture(x, y, found["loss"], labels=labels, caption=f"Height and colour are the loss. {words}")]
        pictures += [contour_picture(x, y, found[name], marks, reading=name, labels=labels, caption=words) for name in _READINGS]
        explorer = _explorer(x, y, found, marks, labels)
    return _page(result, pictures, explorer, ("x", "y", "loss", "error", "margin", "status"))


def path_sections(result: Result) -> list[Section]:
    """The page of ``landscape path``."""
    t, losses, errors = (_axis(result.curves.get(name), increasing=name == "t") for name in ("t", "loss", "error"))
    pictures = []
    if t is not None and losses is not None and errors is not None and len(t) == len(losses) == len(errors):
        line = "straight line" if result.head.get("curve") == "linear" else "Bézier curve whose middle point was trained"
        words = f"The path is the {line}; its length is {number_of(result.head.get('path_length'))} in parameter space. {_how(result)}"
        pictures = [path_picture(t, losses, errors, ends=("this model", "the other"), caption=words)]
    return _page(result, pictures, None, ("t", "arc", "loss", "error", "margin", "status"))


def landscape_verdict(result: Result) -> str:
    """When the summary has no words: how many points there are."""
    return f"{len(result.rows)} points of the loss landscape."


def _page(result: Result, pictures: Sequence[Picture], explorer: Section | None, visible: Sequence[str]) -> list[Section]:
    keys = [key for key in _KEYS if is_number(result.summary.get(key))]
    table = table_of([{"point": index + 1, **row} for index, row in enumerate(result.rows)], ("point", *visible), "point")
    pending = sum(row.get("status") == "skipped" for row in result.rows)
    notes = [text for text in result.tail.get("notes") or () if isinstance(text, str)]
    notes += [f"{pending} of {len(result.rows)} points are not computed yet; the command that began this resumes it"] if pending else []
    return parts.present(
        parts.key_numbers(result.summary, keys, _KEYS, {}),
        explorer,
        pictures_section(pictures, "pictures", "Pictures"),
        parts.table_section(table, "All points", "", ("status",), "There are no points."),
        parts.notes(notes),
        parts.glossary("landscape"),
        parts.reproducibility(result),
    )


def _explorer(x: np.ndarray, y: np.ndarray, grids: Mapping[str, np.ndarray], marks: Sequence[Mapping[str, Any]], labels: tuple[str, str]) -> Section:
    steps = [max(1, -(-len(axis) // _LARGEST)) for axis in (x, y)]
    payload = {
        "x": rounded(x[:: steps[0]], 6),
        "y": rounded(y[:: steps[1]], 6),
        "readings": {name: [rounded(row, 5) for row in grid[:: steps[0], :: steps[1]]] for name, grid in grids.items()},
        "marks": [{"label": one["label"], "x": one["x"], "y": one["y"]} for one in marks[:200]],
        "labels": list(labels),
    }
    lead = (
        "Drag to turn; click and scroll to zoom. With the keyboard: arrow keys turn, plus and minus zoom, 0 resets; on the map the pointer or the "
        "arrow keys read values."
    )
    return Section("surface", "surface", "Explore the surface", lead, payload=payload)


def _how(result: Result) -> str:
    """Units, normalization, policy, seed: what a surface means."""
    held = result.head.get("evaluation")
    facts = held if isinstance(held, Mapping) else {}
    directions = _mappings(result.head.get("directions"))
    words = []
    if directions:
        one = directions[0]
        name, moved = text_of(one.get("normalization"), 20), _RULES.get(str(one.get("one_dimensional")), "")
        kind = f"{name}-normalized" if name not in ("none", "unit") else "unit-length" if name == "unit" else "unnormalized"
        words.append(f"{kind.capitalize()} {text_of(one.get('kind'), 20)} directions ({moved}; {number_of(one.get('n_perturbed'))} parameters move).")
        if is_number(one.get("seed")):
            words.append(f"Seed {number_of(one['seed'])}.")
    words.append(f"{_POLICIES.get(str(facts.get('bn_policy')), '').capitalize()}; {number_of(facts.get('n_examples'))} examples per point.")
    return " ".join(words)


def _off_plane(marks: Sequence[Mapping[str, Any]]) -> str:
    rests = [float(one["off_plane"]) for one in marks if is_number(one.get("off_plane"))]
    if len(rests) < 2:
        return ""
    return f"Marked models are projections: the farthest lies {max(rests):.3g} off the plane (parameter length)."


def _unit(directions: Sequence[Mapping[str, Any]]) -> str:
    name = text_of(directions[0].get("normalization"), 20) if directions else ""
    return {
        "filter": "distance (1: as long as the filters)",
        "layer": "distance (1: as long as each layer)",
        "whole": "distance (1: as long as all weights)",
        "weight": "distance (1: each weight by about itself)",
        "unit": "distance in parameter space",
    }.get(name, "coordinate along the direction")


def _axis_labels(result: Result) -> tuple[str, str]:
    directions = _mappings(result.head.get("directions"))
    found = []
    for index in range(2):
        one = directions[index] if index < len(directions) else {}
        more = f" (λ = {number_of(one['eigenvalue'], 3)})" if is_number(one.get("eigenvalue")) else ""
        more = f" ({one['explained']:.0%} of the movement)" if is_number(one.get("explained")) else more
        found.append((text_of(one.get("label"), 60) or ("x", "y")[index]) + more)
    return found[0], found[1]


def _axis(values: Any, *, increasing: bool = True) -> np.ndarray | None:
    """Numbers in a row, or nothing where a file holds anything else."""
    if not isinstance(values, list | tuple) or len(values) < 2:
        return None
    found = np.array([float(value) if is_number(value) else np.nan for value in values])
    return found if not increasing or bool((np.diff(found) > 0).all()) else None


def _grid(values: Any) -> np.ndarray | None:
    if not isinstance(values, list | tuple) or not values or not all(isinstance(row, list | tuple) for row in values):
        return None
    if len({len(row) for row in values}) != 1:
        return None
    return np.array([[float(value) if is_number(value) else np.nan for value in row] for row in values])


def _mappings(values: Any) -> list[Mapping[str, Any]]:
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list | tuple) else []
