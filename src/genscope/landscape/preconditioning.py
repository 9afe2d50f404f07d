"""What is learned of a basin's shape before its volume is sampled: gradients at its edge, or its Hessian."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from genscope.landscape.basin import BasinRays
from genscope.landscape.coordinates import Coordinates
from genscope.landscape.criteria import Criteria
from genscope.landscape.proposal import Proposal, diagonal_proposal, low_rank_proposal
from genscope.landscape.rays import Rays
from genscope.numerics.eigenpairs import sampled_diagonal, top_eigenpairs

FLOOR = 1e-4
"""Curvatures are floored at this share of their mean: the flattest directions reach at most 100 times further than an average one."""
Multiply = Callable[[np.ndarray], np.ndarray]


def edge_proposal(criteria: Criteria, rays: Rays, found: BasinRays, *, floor: float = FLOOR, batch: int = 128) -> Proposal | None:
    r"""A diagonal from gradients of the loss where rays leave the basin.

    At the edge the loss is at the cutoff, so its gradients do not vanish as they do at an interpolating minimum, and they see the basin at the size
    that matters. For a quadratic with curvatures h they are ``r h_i u_i``, so the root of their second moment is proportional to h.

    Args:
        criteria: with the gradient of the loss.
        rays: isotropic rays that are not used for the volume (a proposal must not know the rays that test it).
        found: their crossings; the first cutoff is taken.
        floor: share of the mean curvature added to each.
        batch: gradients held at once.

    Returns:
        The proposal, or ``None`` when no ray crosses.
    """
    coordinates, total, count = rays.coordinates, torch.zeros(rays.coordinates.n, dtype=torch.float64), 0
    radii = found.radii[:, 0]
    for start in range(0, len(radii), batch):
        part = rays.batch(start, min(start + batch, len(radii)))
        crossed = np.flatnonzero(np.isfinite(radii[start : start + batch]))
        if not len(crossed):
            continue
        steps = torch.from_numpy(radii[start : start + batch][crossed]).to(part.directions)
        points = criteria.flat + steps[:, None] * part.directions[torch.from_numpy(crossed)]
        gradients = in_coordinates(criteria.gradients(points), coordinates)
        finite = gradients.isfinite().all(dim=1)
        total += gradients[finite].square().sum(dim=0).cpu()
        count += int(finite.sum())
    return diagonal_proposal((total / count).sqrt(), floor=floor) if count else None


def hessian_proposal(
    multiply: Multiply, coordinates: Coordinates, rng: np.random.Generator, *, rank: int = 20, n_probes: int = 64, floor: float = FLOOR
) -> Proposal:
    """The top eigenvectors of the Hessian, and a diagonal from what they leave of it.

    Args:
        multiply: the Hessian over all parameters, ``[n_total, k] -> [n_total, k]``.
        coordinates: in which the proposal acts.
        rng: generator of probes and starting vector.
        rank: directions of their own.
        n_probes: random signs for the diagonal (exact for a diagonal Hessian).
        floor: as in :func:`edge_proposal`.
    """
    n = coordinates.n
    moved = restricted_product(multiply, coordinates)
    found = top_eigenpairs(moved, n, min(rank, max(1, n // 4)), rng, tolerance=1e-2, max_products=20 * rank + 100)
    heights, vectors = np.maximum(found.values, 0.0), found.vectors
    rest = sampled_diagonal(lambda block: moved(block) - vectors @ (heights[:, None] * (vectors.T @ block)), n, rng, n_probes=n_probes)
    return low_rank_proposal(torch.from_numpy(rest), torch.from_numpy(heights), torch.from_numpy(np.ascontiguousarray(vectors)), floor=floor)


def restricted_product(multiply: Multiply, coordinates: Coordinates) -> Multiply:
    """The Hessian in coordinates, ``S H S`` on the parameters that move."""
    places = coordinates.varied.cpu().numpy()
    scale = coordinates.scale.double().cpu().numpy()[places][:, None]

    def product(block: np.ndarray) -> np.ndarray:
        whole = np.zeros((len(coordinates.scale), block.shape[1]))
        whole[places] = scale * block
        return np.asarray(scale * multiply(whole)[places])

    return product


def in_coordinates(gradients: Tensor, coordinates: Coordinates) -> Tensor:
    """Gradients ``[k, n_total]`` in parameters as ``[k, n]`` in coordinates, float64."""
    return (gradients[:, coordinates.varied] * coordinates.scale[coordinates.varied]).double()
