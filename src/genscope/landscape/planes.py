"""Planes with a meaning: through three models, along the curvature, along a trajectory's principal components."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from genscope.core.seeds import generator_for
from genscope.errors import UnsupportedInput
from genscope.landscape.directions import Direction
from genscope.landscape.points import Params, coordinates_of, difference, inner, length
from genscope.numerics.lanczos import Operator, top_eigenvalue

# below this share of the first difference's length, three models lie on one line as far as float32 can tell
_COLLINEAR = 1e-5


@dataclass(frozen=True)
class Plane:
    """Two directions from an origin.

    Args:
        origin: the parameters at (0, 0).
        directions: what the coordinates x and y multiply.
        marks: ``(x, y)`` of models that belong to it, ``[models, 2]``.
        residuals: how far each of these lies off the plane, in units of parameter length, ``[models]``.
    """

    origin: Params
    directions: tuple[Direction, Direction]
    marks: np.ndarray
    residuals: np.ndarray


def plane_through(first: Params, second: Params, third: Params) -> Plane:
    """The plane through three models, with a square scale: the first at (0, 0), the second at (1, 0), the third above.

    Formula:
        d₁ = B − A; d₂ = the part of C − A that is orthogonal to d₁, stretched to the length of d₁.

    Raises:
        UnsupportedInput: two of the models are the same, or the three lie on a line.

    Example:
        >>> def at(x, y): return {"w": torch.tensor([x, y])}
        >>> plane_through(at(0.0, 0.0), at(2.0, 0.0), at(1.0, 3.0)).marks.tolist()
        [[0.0, 0.0], [1.0, 0.0], [0.5, 1.5]]
    """
    along, other = difference(second, first), difference(third, first)
    reach = length(along)
    if reach == 0 or length(other) == 0:
        raise UnsupportedInput("Two of the three models have the same parameters, so they span no plane; give three different ones.")
    share = inner(along, other) / reach**2
    across = {name: tensor - share * along[name] for name, tensor in other.items()}
    if length(across) <= _COLLINEAR * reach:
        raise UnsupportedInput("The three models lie on one line, so they span no plane; use `landscape path`, or give another model.")
    factor = reach / length(across)
    across = {name: factor * tensor for name, tensor in across.items()}
    kinds = [_moved(tensors, "difference", label) for tensors, label in ((along, "to the second model"), (across, "towards the third model"))]
    return _with_marks(first, (kinds[0], kinds[1]), (first, second, third))


def eigen_directions(multiply: Operator, params: Params, count: int, *, seed: int = 0, max_products: int = 60) -> list[Direction]:
    """The eigenvectors of the largest eigenvalues of the Hessian, unit length, by Lanczos with deflation.

    Args:
        multiply: Hessian products for blocks ``[n, k]``, the parameters flattened in order.
        params: the parameters, for names and shapes.
        count: how many.
        seed: of the starting vectors.
        max_products: products per eigenvector.

    Returns:
        Directions whose ``facts`` hold ``eigenvalue`` and ``residual`` (‖Hv − λv‖), in descending order.

    Example:
        >>> scales = np.array([5.0, 1.0, 3.0])
        >>> found = eigen_directions(lambda v: scales[:, None] * v, {"w": torch.zeros(3)}, 2)
        >>> [round(one.facts["eigenvalue"], 6) for one in found]
        [5.0, 3.0]
    """
    n = sum(tensor.numel() for tensor in params.values())
    vectors: list[np.ndarray] = []
    values: list[float] = []
    found = []

    def deflated(block: np.ndarray) -> np.ndarray:
        image = multiply(block)
        for value, vector in zip(values, vectors, strict=True):
            # pushed to zero curvature and below, so that the next largest is the top one
            image = image - (value + abs(values[0])) * np.outer(vector, vector @ block)
        return image

    for index in range(min(count, n)):
        top = top_eigenvalue(deflated, n, generator_for(seed, "eigenvector", str(index)), max_products=max_products)
        vector = top.vector / np.linalg.norm(top.vector)
        residual = float(np.linalg.norm(multiply(vector[:, None])[:, 0] - top.value * vector))
        vectors.append(vector)
        values.append(top.value)
        tensors = _named(vector, params)
        facts = {"eigenvalue": top.value, "residual": residual}
        found.append(Direction(tensors, "hessian", "unit", "moved", n, seed, f"Hessian eigenvector {index + 1}", facts))
    return sorted(found, key=lambda one: -(one.facts or {})["eigenvalue"])


def principal_plane(read: Callable[[int, str], torch.Tensor], n_checkpoints: int, final: Params) -> Plane:
    """The plane through the last checkpoint that holds most of a trajectory: the principal components of the differences to it.

    The differences are not centred, so that the last checkpoint lies on the plane, at (0, 0). Directions have unit length: coordinates are
    distances in parameter space. The Gram matrix is summed tensor by tensor, so that the checkpoints are never in memory together.

    Args:
        read: ``(checkpoint, name) -> tensor``.
        n_checkpoints: at least 3.
        final: parameters of the last checkpoint.

    Returns:
        The plane; ``marks`` and ``residuals`` of every checkpoint; the directions' ``facts`` hold ``explained`` (share of the squared distances).

    Raises:
        UnsupportedInput: fewer than three different checkpoints.
    """
    gram = np.zeros((n_checkpoints, n_checkpoints))
    for name in final:
        rows = torch.stack([(read(t, name) - final[name]).double().reshape(-1) for t in range(n_checkpoints)])
        gram += (rows @ rows.T).cpu().numpy()
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1].clip(0.0), vectors[:, ::-1]
    if n_checkpoints < 3 or values[1] <= 1e-12 * max(values[0], 1e-300):
        raise UnsupportedInput("A trajectory's plane needs at least three checkpoints that do not lie on one line; give more of them.")
    directions = []
    for k in range(2):
        tensors = {name: torch.zeros_like(tensor) for name, tensor in final.items()}
        for t in range(n_checkpoints):
            weight = float(vectors[t, k] / np.sqrt(values[k]))
            tensors = {name: total + weight * (read(t, name) - final[name]) for name, total in tensors.items()}
        share = float(values[k] / values.sum())
        moved = _moved(tensors, "principal", f"principal component {k + 1}")
        directions.append(Direction(**{**moved.__dict__, "normalization": "unit", "facts": {"explained": share}}))
    marks = vectors[:, :2] * np.sqrt(values[:2])
    residuals = np.sqrt(np.clip(np.diag(gram) - (marks**2).sum(1), 0.0, None))
    return Plane(final, (directions[0], directions[1]), marks, residuals)


def _with_marks(origin: Params, directions: tuple[Direction, Direction], models: Sequence[Params]) -> Plane:
    found = [coordinates_of(difference(model, origin), [one.tensors for one in directions]) for model in models]
    return Plane(origin, directions, np.array([place for place, _ in found]), np.array([rest for _, rest in found]))


def _moved(tensors: Params, kind: str, label: str) -> Direction:
    n = sum(int(torch.count_nonzero(tensor)) for tensor in tensors.values())
    return Direction(tensors, kind, "none", "moved", n, None, label)


def _named(vector: np.ndarray, params: Params) -> dict[str, torch.Tensor]:
    parts = torch.from_numpy(vector).split([tensor.numel() for tensor in params.values()])
    return {name: part.reshape(tensor.shape).to(tensor) for (name, tensor), part in zip(params.items(), parts, strict=True)}
