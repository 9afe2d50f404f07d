"""Linear maps P that turn the unit sphere into the shape of a basin: none, a diagonal, or a diagonal with a few directions of its own."""

from dataclasses import dataclass

import torch
from torch import Tensor

from genscope.errors import UsageError


@dataclass(frozen=True)
class Proposal:
    r"""``P = D (1 + V C Vᵀ)`` with ``ln |det P|``.

    Args:
        name: ``isotropic``, ``diagonal`` or ``low_rank``.
        diagonal: ``[n]`` of D, or ``None`` for the identity.
        vectors: orthonormal columns V, ``[n, k]``.
        stretch: ``[k]``; ``C = stretch − 1``, so that P multiplies column j by ``stretch_j`` before D acts.
        log_det: ``Σ ln D + Σ ln stretch``.
    """

    name: str
    diagonal: Tensor | None = None
    vectors: Tensor | None = None
    stretch: Tensor | None = None
    log_det: float = 0.0

    def apply(self, directions: Tensor) -> Tensor:
        """``P u`` of each row, ``[k, n] -> [k, n]``."""
        moved = directions
        if self.vectors is not None and self.stretch is not None:
            vectors = self.vectors.to(directions)
            moved = moved + (moved @ vectors * (self.stretch.to(directions) - 1.0)) @ vectors.T
        return moved if self.diagonal is None else moved * self.diagonal.to(directions)


ISOTROPIC = Proposal("isotropic")


def diagonal_proposal(curvature: Tensor, *, floor: float = 1e-3, name: str = "diagonal") -> Proposal:
    r"""Axes ``∝ (c_i + floor·mean c)^{−1/2}`` of a quadratic with curvatures c on the diagonal, scaled to ``det P = 1``.

    Args:
        curvature: ``[n]``; negative ones count as zero. From the second moment g² of gradients at the basin's edge it is ``√g²``.
        floor: share of the mean curvature added to each; flat directions stay finite.
        name: of the proposal.

    Raises:
        UsageError: ``floor`` is not positive.

    Example:
        >>> [round(axis, 5) for axis in diagonal_proposal(torch.tensor([1.0, 4.0]), floor=1e-9).diagonal.tolist()]
        [1.41421, 0.70711]
    """
    logs = -0.5 * torch.log(_floored(curvature, floor))
    return Proposal(name, torch.exp(logs - logs.mean()))


def low_rank_proposal(residual: Tensor, heights: Tensor, vectors: Tensor, *, floor: float = 1e-3, name: str = "low_rank") -> Proposal:
    r"""``(R + V·heights·Vᵀ)^{−1/2}`` up to a rotation: the shape of a quadratic that is a diagonal R and k directions of its own.

    Args:
        residual: ``[n]`` the diagonal R, what is left of a Hessian's when its top directions are taken out.
        heights: ``[k]`` eigenvalues along V; negative ones count as zero.
        vectors: ``[n, k]`` orthonormal columns V.
        floor: as in :func:`diagonal_proposal`.
        name: of the proposal.

    Example:
        >>> proposal = low_rank_proposal(torch.ones(2), torch.tensor([3.0]), torch.tensor([[1.0], [0.0]]), floor=1e-9)
        >>> round(float(proposal.apply(torch.eye(2)).diag().prod()), 6)
        1.0
    """
    white = _floored(residual, floor).rsqrt()
    turned, stretched, _ = torch.linalg.svd(white[:, None] * vectors.double() * heights.double().clamp_min(0.0).sqrt(), full_matrices=False)
    bends = -0.5 * torch.log1p(stretched.square())
    shift = (white.log().sum() + bends.sum()) / len(white)
    return Proposal(name, torch.exp(white.log() - shift), turned, torch.exp(bends))


def _floored(curvature: Tensor, floor: float) -> Tensor:
    if not floor > 0:
        raise UsageError(f"The floor of a preconditioner must be positive, not {floor:g}.")
    kept = curvature.double().clamp_min(0.0)
    mean = kept.mean()
    if not float(mean) > 0:
        return torch.ones_like(kept)
    return kept + floor * mean
