"""Points of parameter space: named tensors, alone or stacked along a first axis, and their Euclidean geometry in float64."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

Params = Mapping[str, Tensor]


def stack_points(points: Sequence[Params]) -> dict[str, Tensor]:
    """Points as one mapping of tensors ``[points, ...]``.

    Example:
        >>> stack_points([{"w": torch.zeros(2)}, {"w": torch.ones(2)}])["w"].tolist()
        [[0.0, 0.0], [1.0, 1.0]]
    """
    return {name: torch.stack([point[name] for point in points]) for name in points[0]}


def point_of(points: Params, index: int) -> dict[str, Tensor]:
    """One point of a stack, as views."""
    return {name: tensor[index] for name, tensor in points.items()}


def points_along(origin: Params, directions: Sequence[Params], coordinates: np.ndarray) -> dict[str, Tensor]:
    """``w + Σ_k c_k d_k`` for each row of coordinates, stacked.

    The sum runs in the order of the directions, and a coordinate of zero adds an exact zero: the origin comes back bit for bit.

    Args:
        origin: parameters w.
        directions: K directions; a name that one of them lacks is not moved by it.
        coordinates: ``[points, K]``.

    Example:
        >>> points_along({"w": torch.ones(1)}, [{"w": torch.tensor([2.0])}], np.array([[0.0], [3.0]]))["w"].flatten().tolist()
        [1.0, 7.0]
    """
    found = {}
    for name, tensor in origin.items():
        scales = torch.as_tensor(np.asarray(coordinates), dtype=torch.float64, device=tensor.device).to(tensor.dtype)
        total = tensor.unsqueeze(0).expand(len(coordinates), *tensor.shape)
        for k, direction in enumerate(directions):
            if name in direction:
                total = total + scales[:, k].reshape(-1, *[1] * tensor.ndim) * direction[name]
        found[name] = total
    return found


def inner(one: Params, other: Params) -> float:
    """The inner product over the names that both hold, in float64."""
    return float(sum(float((tensor.double() * other[name].double()).sum()) for name, tensor in one.items() if name in other))


def length(point: Params) -> float:
    """The Euclidean norm, in float64.

    Example:
        >>> length({"a": torch.tensor([3.0]), "b": torch.tensor([4.0])})
        5.0
    """
    return float(np.sqrt(inner(point, point)))


def difference(end: Params, start: Params) -> dict[str, Tensor]:
    """``end − start``."""
    return {name: end[name] - tensor for name, tensor in start.items()}


def scaled(point: Params, factor: float) -> dict[str, Tensor]:
    """``factor · point``."""
    return {name: factor * tensor for name, tensor in point.items()}


def coordinates_of(offset: Params, directions: Sequence[Params]) -> tuple[np.ndarray, float]:
    """Least-squares coordinates of ``offset`` along ``directions``, in units of these directions, and the length of what they leave over.

    The directions need not be unit or orthogonal: coordinates are in the units of a surface's axes, so that what is projected can be drawn on it.

    Example:
        >>> found, rest = coordinates_of({"w": torch.tensor([4.0, 1.0])}, [{"w": torch.tensor([2.0, 0.0])}])
        >>> found.tolist(), rest
        ([2.0], 1.0)
    """
    gram = np.array([[inner(one, other) for other in directions] for one in directions])
    right = np.array([inner(one, offset) for one in directions])
    found = np.linalg.lstsq(gram, right, rcond=None)[0]
    rest = {name: tensor.double() for name, tensor in offset.items()}
    for factor, direction in zip(found, directions, strict=True):
        rest = {name: tensor - factor * direction[name].double() if name in direction else tensor for name, tensor in rest.items()}
    return found, length(rest)
