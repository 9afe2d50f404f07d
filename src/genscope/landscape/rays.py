"""Rays from the weights in random directions: drawn ray by ray from seeds, so that neither batches nor resuming change a number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genscope.landscape.coordinates import Coordinates
from genscope.landscape.proposal import ISOTROPIC, Proposal


@dataclass(frozen=True)
class RayBatch:
    """Directions in parameter space.

    Args:
        directions: ``[rays, n_total]``; one step of length 1 along ray i is ``v_i = P u_i`` in coordinates.
        lengths: ``[rays]`` of ``v_i`` in coordinates.
        raw_lengths: ``[rays]`` of the same step in parameters.
    """

    directions: Tensor
    lengths: np.ndarray
    raw_lengths: np.ndarray


@dataclass(frozen=True)
class Rays:
    """``n`` rays ``P u_i`` with u uniform on the unit sphere of the coordinates.

    Args:
        coordinates: what moves and in which unit.
        seeds: one per ray.
        proposal: the map P.
    """

    coordinates: Coordinates
    seeds: Sequence[int]
    proposal: Proposal = ISOTROPIC

    def batch(self, start: int, stop: int) -> RayBatch:
        """The rays ``start … stop − 1``."""
        scale, varied = self.coordinates.scale, self.coordinates.varied
        steps = self.proposal.apply(unit_directions(self.coordinates.n, self.seeds[start:stop], scale))
        lengths = torch.linalg.vector_norm(steps.double(), dim=1)
        if self.coordinates.n == len(scale):
            directions = steps if self.coordinates.name == "raw" else steps * scale
        else:
            directions = steps.new_zeros(len(steps), len(scale))
            directions[:, varied] = steps * scale[varied]
        raw = torch.linalg.vector_norm(directions.double(), dim=1)
        return RayBatch(directions, lengths.cpu().numpy(), raw.cpu().numpy())


def unit_directions(n: int, seeds: Sequence[int], like: Tensor) -> Tensor:
    """Uniform points of the unit sphere, ``[len(seeds), n]``, each from its own seed and the same on every device.

    Example:
        >>> unit_directions(3, [1, 2], torch.zeros(1)).square().sum(1).round(decimals=5).tolist()
        [1.0, 1.0]
    """
    dtype = like.dtype if like.dtype in (torch.float32, torch.float64) else torch.float32
    drawn = torch.empty(len(seeds), n, dtype=dtype)
    generator = torch.Generator()
    for row, seed in zip(drawn, seeds, strict=True):
        row.normal_(generator=generator.manual_seed(seed))
    return (drawn / torch.linalg.vector_norm(drawn, dim=1, keepdim=True)).to(like)


def flattened(params: Mapping[str, Tensor]) -> Tensor:
    """All parameters end to end, ``[n_total]``."""
    return torch.cat([value.detach().reshape(-1) for value in params.values()])


def named(flat: Tensor, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Views of ``[..., n_total]`` in the shapes and under the names of ``params``."""
    parts = flat.split([value.numel() for value in params.values()], dim=-1)
    return {name: part.reshape(*flat.shape[:-1], *value.shape) for (name, value), part in zip(params.items(), parts, strict=True)}
