"""The page of a decision boundary: the map, the margins, the animation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from genscope.core.files import write_atomically
from genscope.core.grids import unpack_grid
from genscope.core.results import Result
from genscope.errors import CorruptInput, UsageError
from genscope.figures.boundary import Map, animation_picture, map_picture, margins_picture
from genscope.figures.theme import LIGHT, Picture, Theme
from genscope.report import sections as parts
from genscope.report.payload import table_of
from genscope.report.pictures import pictures_section
from genscope.report.sections import Section

_VISIBLE = ("example", "label", "predicted", "distance", "lower_bound", "exact", "x", "y", "off_plane")
_KEYS = {
    "margin_median": "Median margin",
    "margin_q05": "Margin, 5 %",
    "margin_min": "Smallest margin",
    "wrong_class_area": "Wrong-class area",
    "train_error": "Training error, measured examples",
    "test_accuracy": "Test accuracy",
}
_UNITS = {
    "margin_median": "units of the inputs",
    "margin_q05": "units of the inputs",
    "margin_min": "units of the inputs",
    "wrong_class_area": "share of the window",
}
_LONGEST_SIDE = 2000


def boundary_sections(result: Result) -> list[Section]:
    """Numbers, the map, the distances, the animation, the table."""
    lead = "Classes by colour, paler where the predicted class leads by little; a line where it changes; examples by their labels."
    return parts.present(
        parts.key_numbers(result.summary, list(_KEYS), _KEYS, _UNITS),
        pictures_section(_pictures(result), "boundary", "The decision boundary", lead),
        parts.table_section(table_of(result.rows, _VISIBLE, "example"), "Examples", "", ("status",), "No example was measured."),
        parts.notes(result.tail.get("notes")),
        parts.glossary("landscape boundary"),
        parts.reproducibility(result),
    )


def boundary_verdict(result: Result) -> str:
    """How many examples were measured."""
    return f"{len(result.rows):,} examples were measured against the decision boundary." if result.rows else "No example was measured."


def _pictures(result: Result) -> list[Picture]:
    """Whatever of the pictures the result's curves allow; damaged ones are left out."""
    found: list[Picture] = []
    curves = result.curves
    shown = _map(curves.get("map"), result)
    if shown is not None:
        found.append(map_picture(shown, "Map", _map_caption(result)))
    right = [row.get("distance") for row in result.rows if row.get("correct") and isinstance(row.get("distance"), int | float)]
    wrong = [row.get("distance") for row in result.rows if row.get("correct") is False and isinstance(row.get("distance"), int | float)]
    groups = {name: np.array(values, dtype=float) for name, values in (("right", right), ("wrong", wrong)) if values}
    if groups:
        found.append(margins_picture(groups, "Distances to the boundary", _margin_caption(result), "units of the inputs"))
    moving = _animation(result)
    return found if moving is None else [*found, moving]


def _animation(result: Result) -> Picture | None:
    moving = result.curves.get("animation")
    frames = _map(moving, result, stacked=True)
    steps = moving.get("steps") if isinstance(moving, Mapping) else None
    if frames is None or not isinstance(steps, list) or len(steps) != len(frames.classes) or not all(isinstance(step, int | float) for step in steps):
        return None
    return animation_picture(frames.classes, steps, frames, "The boundary under perturbation", _motion_caption(result))


def write_animation(result: Result, path: str | Path, theme: Theme = LIGHT) -> Path:
    """Write the boundary under perturbation as a GIF.

    Raises:
        UsageError: the result has no animation.
    """
    picture = _animation(result)
    if picture is None or picture.animation is None:
        raise UsageError("The result holds no animation; ask for frames (--frames 24).")
    write_atomically(Path(path), picture.animation(theme))
    return Path(path)


def _map(curve: Any, result: Result, *, stacked: bool = False) -> Map | None:
    try:
        classes = unpack_grid(curve.get("classes"))
        lead = None if stacked else unpack_grid(curve.get("lead"))
        (left, right), (bottom, top) = (tuple(float(value) for value in curve[axis]) for axis in ("x", "y"))
    except (AttributeError, KeyError, TypeError, ValueError, CorruptInput):
        return None
    sides = classes.shape[1:] if stacked else classes.shape
    window = np.isfinite([left, right, bottom, top]).all() and left < right and bottom < top
    if len(sides) != 2 or min(sides) < 2 or max(sides) > _LONGEST_SIDE or not window:
        return None
    if lead is not None and lead.shape != classes.shape:
        return None
    points, labels = _examples(result)
    return Map(left, right, bottom, top, classes.astype(int), lead, points, labels, _axes(result))


def _examples(result: Result) -> tuple[np.ndarray, np.ndarray]:
    """Examples that lie in the window's plane, or that span it."""
    held: Any = result.curves.get("examples")
    plane = result.head.get("plane")
    chosen = plane.get("through") if isinstance(plane, Mapping) else None
    try:
        points = np.array([held["x"], held["y"]], dtype=np.float64).T.reshape(-1, 2)
        labels = np.array(held["label"], dtype=np.int64)
        if isinstance(chosen, list):
            picks = [index for index in chosen if index < len(points)]
            points, labels = points[picks], labels[picks]
    except (KeyError, TypeError, ValueError, IndexError):
        return np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
    fits = len(points) == len(labels) and np.isfinite(points).all()
    return (points, labels) if fits else (np.zeros((0, 2)), np.zeros(0, dtype=np.int64))


def _axes(result: Result) -> tuple[str, str]:
    plane = result.head.get("plane")
    if isinstance(plane, Mapping) and plane.get("through") is None:
        return "input 1", "input 2"
    return "distance along the first axis", "distance along the second axis"


def _facts(result: Result, key: str) -> Mapping[str, Any]:
    held = result.head.get(key)
    return held if isinstance(held, Mapping) else {}


def _map_caption(result: Result) -> str:
    plane = _facts(result, "plane")
    words = "Colour: predicted class; strength: its lead over the next class in logits, up to the median of the window. "
    if plane.get("through") is None:
        area = result.head.get("wrong_class_area")
        if isinstance(area, Mapping) and isinstance(area.get("value"), int | float):
            words += f"Wrong-class area {area['value']:.1%}: share of the window whose class is not the {area.get('reference')}. "
        return words + "Axes in units of the inputs."
    return words + f"The plane goes through the training examples {plane.get('through')}, which are marked; axes are distances in input space."


def _margin_caption(result: Result) -> str:
    margins = _facts(result, "margins")
    words = "Euclidean distance to the nearest change of predicted class that was found along gradients, further directions and the line to the "
    words += "nearest example of another class; upper bounds."
    if isinstance(margins.get("n_exact"), int) and margins["n_exact"]:
        words += f" {margins['n_exact']} of them are exact: the boundary is met inside the linear region of the example."
    return words


def _motion_caption(result: Result) -> str:
    facts = _facts(result, "animation")
    direction = facts.get("direction")
    direction = direction if isinstance(direction, Mapping) else {}
    words = f"The weights move along one random direction ({direction.get('normalization', 'filter')}-normalized, seed {direction.get('seed')}) to "
    words += f"+{facts.get('amplitude')}, to −{facts.get('amplitude')} and back; a step of 0.1 moves each filter by a tenth of its norm."
    policy = facts.get("bn_policy")
    return words if policy in (None, "none") else f"{words} Batch normalization: {policy}."
