"""``landscape boundary``: where a network changes its mind, how far the data are from it, and how it moves with the weights."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from genscope.core.grids import pack_grid
from genscope.core.results import Result
from genscope.errors import UsageError
from genscope.landscape.boundary import (
    BoundaryMap,
    Extent,
    InputPlane,
    boundary_map,
    nearest_classes,
    wrong_class_area,
)
from genscope.landscape.boundary_distance import Distances, Search, boundary_distances
from genscope.landscape.linear_region import LinearRegion, linear_region
from genscope.networks.outputs import predictions
from genscope.verbs.boundary_animation import Animation, animate
from genscope.verbs.boundary_window import examples_of, joined, window_of
from genscope.verbs.landscape_subject import How, Subject, open_subject

POINTS, FRAME_POINTS, FRAMES, AMPLITUDE = 200, 120, 24, 0.1
FLAT_EXAMPLES, OTHER_EXAMPLES, SHOWN_EXAMPLES = 1000, 64, 1000


def landscape_boundary(
    model: Any,
    data: Any,
    *,
    test: Any = None,
    through: Sequence[int] | None = None,
    points: int = POINTS,
    extent: Sequence[float] | None = None,
    examples: int | None = None,
    frames: int | None = None,
    amplitude: float = AMPLITUDE,
    **how: Unpack[How],
) -> Result:
    """The decision boundary as a map, the distance of examples from it, and how it moves when the weights are perturbed.

    Formula:
        distance(x) = min ‖δ‖₂ such that the predicted class at x + δ is another; the margin of an example is its distance where it is classified
        correctly. Wrong-class area: share of the window whose predicted class is not that of the nearest example of the data.
    Reading:
        A minimum that generalizes keeps the boundary away from its data; a poisoned one leaves each training example on an island or a peninsula,
        with margins near zero, and its map shatters when the weights move a little.
    Args:
        model: an ``nn.Module``; it is not changed.
        data: training data: a DataLoader, a Dataset, or a pair ``(X, y)``.
        test: held-out data in the same forms; they join the map's reference and give a test accuracy.
        through: numbers of three training examples that span the plane, for inputs of more than two values; default the first correctly classified
            example of each of the first three classes.
        points: columns of the map along its wider side.
        extent: ``left right bottom top`` of the window; default around the data (or the three examples).
        examples: how many training examples get a distance, drawn with the seed; default 1000 for inputs of two values, else 64.
        frames: pictures of the animation under perturbation; default 24 for inputs of two values, else 0.
        amplitude: largest step along one filter-normalized random direction in the animation (0.1 moves each filter by a tenth of its norm).
        how: the options that all landscape verbs share, see :class:`genscope.verbs.landscape_subject.How`.
    Returns:
        A :class:`genscope.Result` with a row per example: ``example label predicted distance lower_bound exact x y off_plane status reason``.
        Distances are in units of the inputs as the network sees them, and upper bounds (the search may miss a nearer boundary); ``exact`` says
        where one linear region of a ReLU network proves them.
    Raises:
        GenscopeError: the model, data or an option cannot be used; inputs that are tokens; examples that span no plane.
    Cost:
        ``points²`` forward passes for the map, about 6,000 per example for the distances, ``frames · 120²`` for the animation.
    Source:
        Huang et al. 2019, Figures 3, 6 and 8 and section 4.

    Example:
        >>> x = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [2.0, 1.0]])
        >>> layer = torch.nn.Linear(2, 2)
        >>> _ = layer.load_state_dict({"weight": torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), "bias": torch.zeros(2)})
        >>> [round(row["distance"], 3) for row in landscape_boundary(layer, (x, torch.tensor([0, 1, 1])), points=20, frames=0).rows]
        [1.0, 1.0, 2.0]
    """
    _check(points, extent, examples, frames, amplitude)
    subject = open_subject(model, data, how)
    x, y = joined(subject.batches)
    held_out = None if test is None else joined(open_subject(model, test, _plain(how)).batches)
    flat = x[0].numel() == 2
    logits = subject.network
    plane, chosen, window = window_of(logits, x, y, through, extent, flat)
    columns, rows_at = window.axes(points)
    drawn = boundary_map(logits, plane, columns, rows_at)
    picks = examples_of(len(x), examples or (FLAT_EXAMPLES if flat else OTHER_EXAMPLES), subject.seed)
    measured = boundary_distances(logits, x[picks], Search(seed=subject.seed), others=None if flat else x[:2000])
    region = linear_region(logits, x[picks])
    rows = _rows(logits, plane, x, y, picks, measured, region)
    reference = _reference(plane, drawn, x, y, held_out, flat)
    pictures = (FRAMES if flat else 0) if frames is None else frames
    moving = animate(subject, plane, window, x, pictures, amplitude, min(points, FRAME_POINTS)) if pictures else None
    head = _head(subject, plane, chosen, window, drawn, rows, reference, flat, len(x))
    if held_out is not None:
        head["test_accuracy"] = _accuracy(logits, *held_out)
    head["animation"] = None if moving is None else {**moving.facts}
    head["summary"] = _summary(head, rows)
    curves = _curves(plane, drawn, reference, x, y, moving)
    return subject.result("landscape boundary", head, rows, curves, _notes(flat, held_out))


def _check(points: int, extent: Sequence[float] | None, examples: int | None, frames: int | None, amplitude: float) -> None:
    if points < 2:
        raise UsageError("A map needs at least 2 points along its wider side.")
    if extent is not None and (len(extent) != 4 or not np.isfinite(extent).all() or extent[0] >= extent[1] or extent[2] >= extent[3]):
        raise UsageError("The window is four numbers: left < right, bottom < top.")
    if examples is not None and examples < 1:
        raise UsageError("At least one example must be measured.")
    if frames is not None and frames < 0:
        raise UsageError("The number of frames cannot be negative; 0 leaves the animation out.")
    if not (amplitude > 0 and np.isfinite(amplitude)):
        raise UsageError("The amplitude of the perturbation must be a positive number.")


def _plain(how: How) -> How:
    """The same options for reading test data, without a folder of their own."""
    found = How(**how)
    found.pop("out", None)
    return found


def _rows(
    logits: Any, plane: InputPlane, x: Tensor, y: Tensor, picks: Tensor, measured: Distances, region: LinearRegion | None
) -> list[dict[str, Any]]:
    with torch.no_grad():
        predicted = torch.cat([predictions(logits(part)) for part in x[picks].split(1024)])
    place, away = plane.project(x[picks])
    rows = []
    for k, index in enumerate(picks.tolist()):
        found = float(measured.distance[k])
        exact = region is not None and bool(region.exact[k])
        lower = None if region is None or not np.isfinite(region.lower_bound[k]) else float(region.lower_bound[k])
        if exact and region is not None:
            found = float(region.boundary[k])
        reached = bool(np.isfinite(found))
        where = {"x": float(place[k, 0]), "y": float(place[k, 1]), "off_plane": float(away[k])}
        reason = "" if reached else "no other class was found as far as the farthest example"
        about = {"example": index, "label": int(y[index]), "predicted": int(predicted[k]), "correct": bool(predicted[k] == y[index])}
        numbers = {"distance": found if reached else None, "lower_bound": lower, "exact": exact}
        rows.append({**about, **numbers, **where, "status": "ok" if reached else "skipped", "reason": reason})
    return rows


@dataclass(frozen=True)
class _Reference:
    classes: np.ndarray
    area: float
    meaning: str


def _reference(plane: InputPlane, drawn: BoundaryMap, x: Tensor, y: Tensor, held_out: tuple[Tensor, Tensor] | None, flat: bool) -> _Reference | None:
    """What the data say about the map; only where the data lie in its plane."""
    if not flat:
        return None
    inputs, labels = (x, y) if held_out is None else (torch.cat([x, held_out[0]]), torch.cat([y, held_out[1]]))
    found, _ = nearest_classes(drawn.x, drawn.y, plane.project(inputs)[0].double().cpu().numpy(), labels.cpu().numpy())
    words = "class of the nearest training example" if held_out is None else "class of the nearest training or test example"
    return _Reference(found, wrong_class_area(drawn.classes, found), words)


def _accuracy(logits: Any, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float(torch.cat([predictions(logits(part)) for part in x.split(1024)]).eq(y).double().mean())


def _head(
    subject: Subject, plane: InputPlane, chosen: list[int] | None, window: Extent, drawn: BoundaryMap,
    rows: list[dict[str, Any]], reference: _Reference | None, flat: bool, n: int,
) -> dict[str, Any]:  # fmt: skip
    about = {"n_examples": n, "n_classes": subject.n_classes}
    where = {
        "through": chosen,
        "coordinates": "inputs" if chosen is None else "distance in input space from the first example, along the plane's axes",
    }
    area = None if reference is None else {"value": reference.area, "reference": reference.meaning}
    margins = np.array([row["distance"] for row in rows if row["correct"] and row["distance"] is not None])
    q05 = float(np.quantile(margins, 0.05)) if margins.size else None
    sizes = {"min": float(margins.min()) if margins.size else None, "q05": q05, "median": float(np.median(margins)) if margins.size else None}
    return {
        "model": subject.network.name,
        "data": about,
        "n_params": subject.network.n_params,
        "plane": {**where, "dimensions": int(plane.origin.numel()), "window": asdict(window), "rows": len(drawn.y), "columns": len(drawn.x)},
        "options": {"search": asdict(Search(seed=subject.seed)), "n_measured": len(rows), "seed": subject.seed},
        "margins": {**sizes, "n": int(margins.size), "n_exact": sum(bool(row["exact"]) for row in rows)},
        "wrong_class_area": area,
        "flat": flat,
    }


def _summary(head: Mapping[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    margins, area = head["margins"], head["wrong_class_area"]
    wrong = sum(not row["correct"] for row in rows)
    words = f"{len(rows) - wrong} of {len(rows)} measured examples are right"
    if margins["n"]:
        words += (
            f"; their distance to the boundary is {margins['median']:.3g} (median), {margins['q05']:.3g} (5 %) and {margins['min']:.3g} (smallest)"
        )
    if area is not None:
        words += f"; {area['value']:.1%} of the window is of another class than the nearest example"
    found = {"margin_min": margins["min"], "margin_q05": margins["q05"], "margin_median": margins["median"]}
    found |= {
        "wrong_class_area": None if area is None else area["value"],
        "train_error": wrong / len(rows),
        "test_accuracy": head.get("test_accuracy"),
    }
    return {**found, "verdict": words + "."}


def _curves(plane: InputPlane, drawn: BoundaryMap, reference: _Reference | None, x: Tensor, y: Tensor, moving: Animation | None) -> dict[str, Any]:
    place, away = plane.project(x[:SHOWN_EXAMPLES])
    shown = {"x": place[:, 0].tolist(), "y": place[:, 1].tolist(), "off_plane": away.tolist(), "label": y[:SHOWN_EXAMPLES].tolist()}
    curves: dict[str, Any] = {"map": {**_axes(drawn.x, drawn.y), "classes": pack_grid(np.minimum(drawn.classes, 255)), "lead": pack_grid(drawn.lead)}}
    curves["examples"] = shown
    if reference is not None:
        curves["reference"] = pack_grid(np.minimum(reference.classes, 255))
    if moving is not None:
        curves["animation"] = {**_axes(moving.x, moving.y), "steps": moving.steps, "classes": pack_grid(np.minimum(moving.classes, 255))}
    return curves


def _axes(x: np.ndarray, y: np.ndarray) -> dict[str, list[float]]:
    return {"x": [float(x[0]), float(x[-1])], "y": [float(y[0]), float(y[-1])]}


def _notes(flat: bool, held_out: Any) -> list[str]:
    if flat and held_out is None:
        return ["without test data the wrong-class area is held against the nearest training examples alone"]
    return [] if flat else ["examples are drawn at their nearest points on the plane; most of them lie far off it"]
