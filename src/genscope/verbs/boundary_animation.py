"""The decision boundary while the weights move."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genscope.landscape.batch_norm import CALIBRATION, calibrated, private_calls
from genscope.landscape.boundary import Extent, InputPlane, boundary_frames, swing
from genscope.landscape.directions import gaussian_directions
from genscope.landscape.points import points_along
from genscope.verbs.landscape_subject import Subject


@dataclass(frozen=True)
class Animation:
    """Predicted classes ``[frames, rows, columns]`` at each step, where they are drawn, and how they came about."""

    classes: np.ndarray
    steps: list[float]
    x: np.ndarray
    y: np.ndarray
    facts: dict[str, Any]


def animate(subject: Subject, plane: InputPlane, window: Extent, x: Tensor, frames: int, amplitude: float, points: int) -> Animation:
    """The map along a loop through the trained weights: ``frames`` steps along one filter-normalized random direction."""
    (direction,) = gaussian_directions(subject.network, 1, seed=subject.seed)
    columns, rows_at = window.axes(points)
    steps = swing(amplitude, frames)
    maps = boundary_frames(_perturbed(subject, direction.tensors, x), steps, plane, columns, rows_at)
    progress, classes = subject.how.get("progress"), []
    for k, one in enumerate(maps):
        classes.append(one.classes)
        if progress is not None:
            progress(k + 1, frames, "animation", (k + 1) / frames)
    policy = subject.evaluator.facts["bn_policy"]
    facts = {"amplitude": amplitude, "frames": frames, "bn_policy": policy, "direction": direction.as_dict()}
    return Animation(np.stack(classes), steps, columns, rows_at, facts)


def _perturbed(subject: Subject, direction: Mapping[str, Tensor], x: Tensor) -> Callable[[float], Callable[[Tensor], Tensor]]:
    """The network at ``w + t d``, its batch statistics as the policy says."""
    network, policy = subject.network, subject.evaluator.facts["bn_policy"]
    stored, batch = private_calls(network)

    def moved(step: float) -> Callable[[Tensor], Tensor]:
        params = {name: tensor[0] for name, tensor in points_along(network.params, [direction], np.array([[step]])).items()}
        with torch.no_grad():
            recalibrate = policy in ("recalibrate", "batch")
            buffers = calibrated(batch, params, network.buffers, x[:CALIBRATION]) if recalibrate else network.buffers
        return lambda inputs: stored(params, buffers, inputs)

    return moved
