"""Decision boundaries as maps: which class a network predicts, and by how much, on a plane of inputs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genscope.errors import UsageError
from genscope.networks.outputs import lead, predictions

Logits = Callable[[Tensor], Tensor]
CHUNK = 8192


@dataclass(frozen=True)
class InputPlane:
    """A plane of inputs with Euclidean coordinates.

    Args:
        origin: one input, any shape.
        axes: two orthonormal inputs of the same shape.
    """

    origin: Tensor
    axes: tuple[Tensor, Tensor]

    def at(self, coordinates: Tensor) -> Tensor:
        """Inputs ``[points, …]`` at coordinates ``[points, 2]``."""
        basis = torch.stack([axis.reshape(-1) for axis in self.axes])
        flat = self.origin.reshape(-1) + coordinates.to(basis) @ basis
        return flat.reshape(len(coordinates), *self.origin.shape)

    def project(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates ``[examples, 2]`` of the nearest points on the plane, and how far ``[examples]`` the inputs are from it."""
        basis = torch.stack([axis.reshape(-1) for axis in self.axes])
        offset = inputs.reshape(len(inputs), -1) - self.origin.reshape(-1)
        coordinates = offset @ basis.T
        return coordinates, (offset - coordinates @ basis).norm(dim=1)


def coordinate_plane(example: Tensor) -> InputPlane:
    """The plane of two-dimensional inputs itself.

    Raises:
        UsageError: the inputs have another number of values.
    """
    if example.numel() != 2:
        raise UsageError(f"A map without a plane needs inputs of 2 values, not {example.numel()}; choose three examples for a plane through them.")
    unit = torch.eye(2, dtype=example.dtype, device=example.device)
    return InputPlane(torch.zeros_like(example), (unit[0].reshape(example.shape), unit[1].reshape(example.shape)))


def plane_through(examples: Tensor) -> InputPlane:
    """The plane through three inputs: origin at the first, first axis towards the second; coordinates are distances in input space.

    Args:
        examples: ``[3, …]``.

    Raises:
        UsageError: not three inputs, or three on one line.

    Example:
        >>> plane = plane_through(torch.tensor([[0.0, 0.0, 1.0], [3.0, 0.0, 1.0], [0.0, 4.0, 1.0]]))
        >>> plane.project(torch.tensor([[3.0, 4.0, 6.0]]))[0].tolist(), plane.project(torch.tensor([[3.0, 4.0, 6.0]]))[1].tolist()
        ([[3.0, 4.0]], [5.0])
    """
    if len(examples) != 3:
        raise UsageError(f"A plane goes through three examples, not {len(examples)}.")
    flat = examples.reshape(3, -1).double()
    first, second = flat[1] - flat[0], flat[2] - flat[0]
    longest = max(float(first.norm()), float(second.norm()))
    if float(first.norm()) <= 1e-9 * max(longest, 1e-300):
        raise UsageError("The first two examples of the plane are the same; choose three different ones.")
    one = first / first.norm()
    rest = second - (second @ one) * one
    if float(rest.norm()) <= 1e-6 * longest:
        raise UsageError("The three examples of the plane lie on one line; choose another third example.")
    axes = tuple(axis.to(examples.dtype).reshape(examples.shape[1:]) for axis in (one, rest / rest.norm()))
    return InputPlane(examples[0], (axes[0], axes[1]))


@dataclass(frozen=True)
class Extent:
    """The window of a map, in coordinates of its plane."""

    left: float
    right: float
    bottom: float
    top: float

    def axes(self, points: int) -> tuple[np.ndarray, np.ndarray]:
        """Equally spaced coordinates, ``points`` along the wider side and as dense along the other."""
        width, height = self.right - self.left, self.top - self.bottom
        longer = max(width, height)
        counts = [max(2, round(1 + (points - 1) * side / longer)) for side in (width, height)]
        return np.linspace(self.left, self.right, counts[0]), np.linspace(self.bottom, self.top, counts[1])


def extent_around(coordinates: Tensor, margin: float = 0.1) -> Extent:
    """A square window around points with a ``margin`` of its width on each side."""
    points = coordinates.double().cpu().numpy()
    middle = (points.min(0) + points.max(0)) / 2
    half = float((points.max(0) - points.min(0)).max()) / 2 or 1.0
    half *= 1 + 2 * margin
    return Extent(float(middle[0] - half), float(middle[0] + half), float(middle[1] - half), float(middle[1] + half))


def grid_of(x: np.ndarray, y: np.ndarray) -> Tensor:
    """Coordinates ``[len(y) · len(x), 2]`` row by row, the first row at ``y[0]``."""
    across, up = np.meshgrid(x, y)
    return torch.from_numpy(np.stack([across.ravel(), up.ravel()], axis=1))


@dataclass(frozen=True)
class BoundaryMap:
    """A network's classes on a window.

    Args:
        x, y: coordinates of the columns and rows.
        classes: ``[rows, columns]`` predicted class.
        lead: ``[rows, columns]`` by how many logits the predicted class leads over the next.
    """

    x: np.ndarray
    y: np.ndarray
    classes: np.ndarray
    lead: np.ndarray


def boundary_map(logits: Logits, plane: InputPlane, x: np.ndarray, y: np.ndarray, chunk: int = CHUNK) -> BoundaryMap:
    """Class and lead at every point of a grid.

    Args:
        logits: the network as a function of a batch of inputs.
        plane: where the inputs lie.
        x, y: coordinates of columns and rows on the plane.
        chunk: points per forward pass.

    Cost: ``len(x) · len(y)`` forward passes of one example.

    Example:
        >>> identity = coordinate_plane(torch.zeros(2))
        >>> boundary_map(lambda p: p[:, :1], identity, np.array([-1.0, 1.0]), np.array([0.0, 1.0])).classes.tolist()
        [[0, 1], [0, 1]]
    """
    classes, leads = [], []
    with torch.no_grad():
        for part in grid_of(x, y).split(chunk):
            found = logits(plane.at(part))
            classes.append(predictions(found).cpu())
            leads.append(lead(found).double().cpu())
    shape = (len(y), len(x))
    return BoundaryMap(x, y, torch.cat(classes).numpy().reshape(shape), torch.cat(leads).numpy().reshape(shape))


def nearest_classes(x: np.ndarray, y: np.ndarray, points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the data say on the same grid: the class of the nearest labelled point, and how far it is.

    Args:
        x, y: coordinates of columns and rows.
        points: ``[n, 2]`` labelled points on the plane.
        labels: ``[n]``.

    Returns:
        ``[rows, columns]`` classes and distances.
    """
    from scipy.spatial import cKDTree

    distance, index = cKDTree(points).query(grid_of(x, y).numpy())
    shape = (len(y), len(x))
    return np.asarray(labels)[index].reshape(shape), distance.reshape(shape)


def wrong_class_area(classes: np.ndarray, reference: np.ndarray, counted: np.ndarray | None = None) -> float:
    """Share of the window whose predicted class is not the reference's.

    Args:
        classes, reference: ``[rows, columns]``.
        counted: ``[rows, columns]`` bool, where the reference is known; everywhere by default.

    Source: Huang et al. 2019, Figure 6 (the area of one class that encroaches upon the other).

    Example:
        >>> wrong_class_area(np.array([[0, 1]]), np.array([[0, 0]]))
        0.5
    """
    wrong = classes != reference
    if counted is None:
        return float(wrong.mean())
    return float(wrong[counted].mean()) if counted.any() else 0.0


def swing(amplitude: float, frames: int) -> list[float]:
    """Steps along a direction for a loop of ``frames`` pictures: to ``+amplitude``, to ``−amplitude`` and back to where it began."""
    return [float(amplitude * np.sin(2 * np.pi * k / frames)) for k in range(frames)]


def boundary_frames(
    moved: Callable[[float], Logits], steps: Sequence[float], plane: InputPlane, x: np.ndarray, y: np.ndarray, chunk: int = CHUNK
) -> Iterator[BoundaryMap]:
    """The map at each step of a perturbation of the parameters.

    Args:
        moved: ``moved(t)`` is the network at ``w + t d`` as a function of inputs.
        steps: values of t, one per frame.
        plane, x, y, chunk: as in :func:`boundary_map`.

    Source: Huang et al. 2019, section 4 (the animation of the boundary under perturbation).
    """
    for step in steps:
        yield boundary_map(moved(step), plane, x, y, chunk)
