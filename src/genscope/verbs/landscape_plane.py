"""``landscape plane``: the loss on a plane through a trained network."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Unpack

import numpy as np

from genscope.core.results import Result
from genscope.errors import UsageError
from genscope.landscape.auto_range import Range
from genscope.landscape.batches import rows
from genscope.landscape.directions import Direction, cosines, gaussian_directions
from genscope.landscape.planes import Plane, eigen_directions, plane_through, principal_plane
from genscope.landscape.readings import NAMES
from genscope.landscape.surface import Partial, grid_coordinates, symmetric_axis, tiles_of
from genscope.measures.ingredients.hessian_operator import hessian_of
from genscope.verbs.landscape_models import params_of, trajectory_reader
from genscope.verbs.landscape_reach import reach_of
from genscope.verbs.landscape_subject import How, Subject, numbers, open_subject, point_rows, values_at_zero

POINTS, MARGIN, HESSIAN_EXAMPLES = 25, 0.25, 512
KINDS = ("random", "hessian")


def landscape_plane(
    model: Any,
    data: Any,
    *,
    directions: str | Sequence[Direction] = "random",
    through: Sequence[Any] = (),
    trajectory: Sequence[Any] = (),
    normalization: str = "filter",
    vectors: str = "zero",
    radius: float | None = None,
    points: int | tuple[int, int] = POINTS,
    **how: Unpack[How],
) -> Result:
    """Loss, error and margin on a plane of a network's parameters.

    Formula:
        L(w + x·d₁ + y·d₂) on a grid; value [i, j] belongs to (x_i, y_j), also where the grid is not square.
    Reading:
        Two random directions show the basin's shape in general position; the two leading Hessian eigenvectors its steepest section; a plane through
        three models whether they share a basin; the principal components of a trajectory the way that training took. Models and checkpoints are
        marked at their projections, with the loss that they really have and their distance from the plane.
    Args:
        model: an ``nn.Module``; it is not changed.
        data: a DataLoader, a Dataset, or a pair ``(X, y)``, without augmentation.
        directions: ``random``, ``hessian``, or two directions made before.
        through: two more models (modules, state dicts or checkpoint files): the plane through the three.
        trajectory: earlier checkpoints of the same training, in order, without the model itself.
        normalization: ``filter``, ``layer``, ``whole``, ``weight`` or ``none``, for random directions.
        vectors: ``zero`` or ``tensor``: what biases and other parameters with one dimension do in random directions.
        radius: half-width; default found from the loss, or around the marked models.
        points: per axis, or ``(n_x, n_y)``; odd numbers put a point on the trained weights.
        how: the options that all landscape verbs share, see :class:`genscope.verbs.landscape_subject.How`.
    Returns:
        A :class:`genscope.Result` with a row per point: ``x y loss error margin status reason``; curves ``x``, ``y``, ``loss`` … as ``[n_x][n_y]``.
    Raises:
        GenscopeError: the model, data or an option cannot be used.
    Cost:
        ``n_x · n_y`` forward passes over the data, twice that with batch normalization on more than 512 examples.
    Source:
        Li et al. 2018; Garipov et al. 2018 for planes through three models.

    Example:
        >>> import torch
        >>> x = torch.linspace(-1, 1, 20)[:, None]
        >>> result = landscape_plane(torch.nn.Linear(1, 2), (x, (x[:, 0] > 0).long()), points=(3, 5), radius=1.0)
        >>> len(result.rows), result.rows[1]["x"], result.rows[1]["y"]
        (15, -1.0, -0.5)
    """
    sizes = (points, points) if isinstance(points, int) else tuple(points)
    if len(sizes) != 2 or min(sizes) < 2:
        raise UsageError("A plane needs at least 2 points along each axis.")
    subject = open_subject(model, data, how)
    plane, kind = _plane(subject, directions, through, trajectory, normalization, vectors)
    pair = [one.tensors for one in plane.directions]
    subject = subject.tuned(pair, sizes[0] * sizes[1])
    axes, reach = _axes(subject, plane, radius, (sizes[0], sizes[1]))
    tiles = tiles_of(pair, grid_coordinates(axes), sizes[1])
    identity = {"verb": "plane", "directions": [one.as_dict() for one in plane.directions], "axes": [axis.tolist() for axis in axes]}
    partial = subject.evaluate(tiles, {**identity, "range": asdict(reach)}, finish=lambda kept: _result(subject, plane, kind, reach, axes, kept))
    return _result(subject, plane, kind, reach, axes, partial)


def _plane(
    subject: Subject, directions: str | Sequence[Direction], through: Sequence[Any], trajectory: Sequence[Any], normalization: str, vectors: str
) -> tuple[Plane, str]:
    network = subject.network
    if sum((bool(through), bool(trajectory), directions != "random")) > 1:
        raise UsageError("Choose one plane: by directions, through models, or of a trajectory.")
    if through:
        if len(through) != 2:
            raise UsageError(f"A plane through models needs two more models, and {len(through)} are given.")
        others = [params_of(other, network, f"Model {index + 2}") for index, other in enumerate(through)]
        return plane_through(network.params, *others), "models"
    if trajectory:
        steps = [*trajectory, dict(network.params)]
        return principal_plane(trajectory_reader(steps, network), len(steps), network.params), "trajectory"
    if isinstance(directions, str) and directions not in KINDS:
        raise UsageError(f"There are no directions {directions!r}; use one of {', '.join(KINDS)}.")
    if directions == "random":
        chosen: Sequence[Direction] = gaussian_directions(network, 2, seed=subject.seed, normalization=normalization, vectors=vectors)
    elif directions == "hessian":
        chosen = hessian_directions(subject, 2)
    else:
        chosen = [one for one in directions if isinstance(one, Direction)]
    if len(chosen) != 2:
        raise UsageError(f"A plane needs two directions, and {len(chosen)} are given.")
    return Plane(network.params, (chosen[0], chosen[1]), np.zeros((0, 2)), np.zeros(0)), "directions"


def hessian_directions(subject: Subject, count: int) -> list[Direction]:
    """The Hessian's leading eigenvectors on the first 512 examples, at the trained weights and their batch statistics."""
    batches, left = [], HESSIAN_EXAMPLES
    for x, y in subject.batches:
        if left > 0:
            part = min(left, len(y))
            batches.append((rows(x, 0, part), y[:part]))
            left -= part
    network = subject.network
    operator = hessian_of(dict(network.params), network.forward, subject.loss, tuple(batches))
    return eigen_directions(operator, network.params, count, seed=subject.seed)


def _axes(subject: Subject, plane: Plane, radius: float | None, sizes: tuple[int, int]) -> tuple[list[np.ndarray], Range]:
    """Symmetric about the trained weights; around the marked models where there are any, with a quarter of their extent to spare."""
    if not len(plane.marks) or radius is not None:
        reach = reach_of(subject, list(plane.directions), radius)
        return [symmetric_axis(reach.radius, n) for n in sizes], reach
    low, high = plane.marks.min(0), plane.marks.max(0)
    low, high = low - MARGIN * (high - low), high + MARGIN * (high - low)
    axes = [_with_zero(np.linspace(a, b, n)) for a, b, n in zip(low, high, sizes, strict=True)]
    return axes, Range(float((high - low).max() / 2), 0.0, 0.0, "models")


def _with_zero(axis: np.ndarray) -> np.ndarray:
    """The value next to zero moved onto it, by shifting the whole axis less than half a step: the first model is a point of the grid."""
    return axis - axis[np.abs(axis).argmin()]


def _result(subject: Subject, plane: Plane, kind: str, reach: Range, axes: Sequence[np.ndarray], partial: Partial) -> Result:
    places = [{"x": float(x), "y": float(y)} for x, y in grid_coordinates(axes)]
    cells = point_rows(places, partial)
    head = subject.head(values_at_zero(grid_coordinates(axes), partial))
    head |= {"kind": kind, "directions": [one.as_dict() for one in plane.directions], "cosine": cosines(plane.directions)[0][1]}
    head |= {"shape": [len(axis) for axis in axes], "radius": reach.radius, "marks": _marks(subject, plane, kind)}
    losses = partial.values[:, 0]
    head["summary"] = _summary(head, losses, cells)
    notes = []
    if reach.status == "doubtful":
        notes.append(f"the loss reached {reach.target:.3g} on only {reach.reached:.0%} of the rays; the half-width is set to {reach.radius:g}")
    grids = {name: partial.values[:, i].reshape(len(axes[0]), len(axes[1])).tolist() for i, name in enumerate(NAMES)}
    return subject.result("landscape plane", head, cells, {"x": axes[0].tolist(), "y": axes[1].tolist(), **grids}, notes)


def _marks(subject: Subject, plane: Plane, kind: str) -> list[dict[str, Any]]:
    """Where the models lie, their distance from the plane, and the loss that the plane has under them."""
    if not len(plane.marks):
        return [{"label": "trained", "x": 0.0, "y": 0.0, "off_plane": 0.0, **numbers(subject.evaluator.centre(), 0)}]
    names = ["trained", "model 2", "model 3"] if kind == "models" else [f"checkpoint {t + 1}" for t in range(len(plane.marks) - 1)] + ["trained"]
    on_plane = subject.evaluator.along(plane.origin, [one.tensors for one in plane.directions], plane.marks)
    return [
        {"label": name, "x": float(x), "y": float(y), "off_plane": float(rest), **numbers(on_plane, index)}
        for index, (name, (x, y), rest) in enumerate(zip(names, plane.marks, plane.residuals, strict=True))
    ]


def _summary(head: dict[str, Any], losses: np.ndarray, cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    finite = losses[np.isfinite(losses)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
    centre = head["centre"]["loss"]
    shown = "has no finite value" if low is None else f"runs from {low:.3g} to {high:.3g}"
    at = "no finite value" if centre is None else f"{centre:.3g}"
    named = " and ".join(one.get("label", "") for one in head["directions"])
    words = f"On the plane of {named} the loss {shown}; at the trained weights it is {at}."
    failed = sum(row["status"] == "failed" for row in cells)
    return {"loss": centre, "lowest_loss": low, "highest_loss": high, "n_points": len(cells), "n_failed": failed, "verdict": words}
