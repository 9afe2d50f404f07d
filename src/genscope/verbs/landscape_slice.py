"""``landscape slice``: the loss along lines through a trained network."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Unpack

import numpy as np

from genscope.core.results import Result
from genscope.errors import UsageError
from genscope.landscape.auto_range import Range
from genscope.landscape.directions import Direction, cosines, gaussian_directions
from genscope.landscape.surface import Partial, symmetric_axis, tiles_of
from genscope.verbs.landscape_reach import reach_of
from genscope.verbs.landscape_subject import How, Subject, open_subject, point_rows, values_at_zero

POINTS, DIRECTIONS, TILE = 51, 5, 17


def landscape_slice(
    model: Any,
    data: Any,
    *,
    directions: int | Sequence[Direction] = DIRECTIONS,
    normalization: str = "filter",
    vectors: str = "zero",
    radius: float | None = None,
    points: int = POINTS,
    **how: Unpack[How],
) -> Result:
    """Loss, error and margin along straight lines through a network's parameters.

    Formula:
        L(w + t·d_k) for ``points`` values of t in [−radius, radius] and each direction d_k.
    Reading:
        A filter-normalized direction is measured against the weights, so that slices of networks with batch normalization or rescaled ReLU layers
        can be compared; a flat bottom that reaches further goes with a wider minimum. Other normalizations have other units: they are part of the
        result and stand in every caption.
    Args:
        model: an ``nn.Module``; it is not changed.
        data: a DataLoader, a Dataset, or a pair ``(X, y)``, without augmentation.
        directions: how many random ones, or directions made before (:mod:`genscope.landscape.directions`).
        normalization: ``filter``, ``layer``, ``whole``, ``weight`` or ``none``, for random ones.
        vectors: ``zero`` or ``tensor``: what biases and other parameters with one dimension do.
        radius: half-width; default found by doubling until the loss rises tenfold (by at least 1 and at most 5) on 80 % of the rays.
        points: per direction; an odd number puts one on the trained weights.
        how: the options that all landscape verbs share, see :class:`genscope.verbs.landscape_subject.How`.
    Returns:
        A :class:`genscope.Result` with a row per point: ``direction t loss error margin status reason``.
    Raises:
        GenscopeError: the model, data or an option cannot be used.
    Cost:
        ``directions · points`` forward passes over the data, twice that with batch normalization on more than 512 examples.
    Source:
        Goodfellow et al. 2015; Li et al. 2018.

    Example:
        >>> import torch
        >>> x = torch.linspace(-1, 1, 20)[:, None]
        >>> result = landscape_slice(torch.nn.Linear(1, 2), (x, (x[:, 0] > 0).long()), directions=2, points=5, radius=1.0)
        >>> [row["t"] for row in result.rows[:5]]
        [-1.0, -0.5, 0.0, 0.5, 1.0]
    """
    if points < 3:
        raise UsageError("A slice needs at least 3 points.")
    subject = open_subject(model, data, how)
    chosen = directions
    if isinstance(chosen, int):
        chosen = gaussian_directions(subject.network, chosen, seed=subject.seed, normalization=normalization, vectors=vectors)
    subject = subject.tuned([one.tensors for one in chosen], points * len(chosen))
    reach = reach_of(subject, chosen, radius)
    axis = symmetric_axis(reach.radius, points)
    tiles = [tile for k, one in enumerate(chosen) for tile in tiles_of([one.tensors], axis[:, None], TILE, k * points)]
    identity = {"verb": "slice", "directions": [one.as_dict() for one in chosen], "axis": axis.tolist(), "range": asdict(reach)}
    partial = subject.evaluate(tiles, identity, finish=lambda kept: _result(subject, chosen, reach, axis, kept))
    return _result(subject, chosen, reach, axis, partial)


def _result(subject: Subject, directions: Sequence[Direction], reach: Range, axis: np.ndarray, partial: Partial) -> Result:
    places = [{"direction": k, "t": float(t)} for k in range(len(directions)) for t in axis]
    rows = point_rows(places, partial)
    head = subject.head(values_at_zero(np.tile(axis, len(directions))[:, None], partial))
    head |= {"directions": [one.as_dict() for one in directions], "cosines": cosines(directions), "radius": reach.radius}
    losses = partial.values[:, 0].reshape(len(directions), len(axis))
    head["summary"] = {**_summary(head, losses), "n_points": len(rows), "n_failed": sum(row["status"] == "failed" for row in rows)}
    notes = []
    if reach.status == "doubtful":
        notes.append(f"the loss reached {reach.target:.3g} on only {reach.reached:.0%} of the rays; the half-width is set to {reach.radius:g}")
    curves = {name: partial.values[:, i].reshape(len(directions), len(axis)).tolist() for i, name in enumerate(("loss", "error", "margin"))}
    return subject.result("landscape slice", head, rows, {"t": axis.tolist(), **curves}, notes)


def _summary(head: dict[str, Any], losses: np.ndarray) -> dict[str, Any]:
    """The median loss at the ends and where the loss has doubled, in words."""
    ends = losses[:, [0, -1]]
    finite = ends[np.isfinite(ends)]
    end = float(np.median(finite)) if finite.size else None
    centre = head["centre"]["loss"]
    words = f"Along {len(losses)} {head['directions'][0]['normalization']}-normalized directions the loss goes from "
    words += f"{_shown(centre)} at the trained weights to {_shown(end)} (median) at a distance of {head['radius']:g}."
    return {"loss": centre, "loss_at_end": end, "radius": head["radius"], "verdict": words}


def _shown(value: float | None) -> str:
    return "no finite value" if value is None else f"{value:.3g}"
