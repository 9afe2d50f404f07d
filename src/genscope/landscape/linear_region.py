"""Around each input a network of rectified linear units is linear: how far that region reaches, and where its boundary would lie."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genscope.networks.functional import Network
from genscope.networks.outputs import two_logits
from genscope.networks.stacked import ElementwiseStep, LinearStep, Step, chain_of

MEMORY = 256 * 2**20


@dataclass(frozen=True)
class LinearRegion:
    """What one linear region tells of the decision boundary.

    Args:
        region: ``[examples]`` distance to the nearest face of the linear region; infinite without hidden units.
        boundary: ``[examples]`` distance at which the region's own linear function changes class.
    """

    region: np.ndarray
    boundary: np.ndarray

    @property
    def exact(self) -> np.ndarray:
        """Where ``boundary`` is the exact distance to the decision boundary: it is met before the region ends."""
        return self.boundary <= self.region

    @property
    def lower_bound(self) -> np.ndarray:
        """A distance within which the predicted class does not change, for every example."""
        return np.minimum(self.region, self.boundary)


def linear_region(network: Network, inputs: Tensor, memory: int = MEMORY) -> LinearRegion | None:
    r"""Exact distances for chains of linear layers and (leaky) rectifiers.

    Inside the region, unit i changes sign at :math:`|a_i|/\|\nabla a_i\|` and class j overtakes class c at
    :math:`(z_c-z_j)/\|\nabla(z_c-z_j)\|`; the smallest of the latter is the distance to the decision boundary if none of the former is smaller.
    For a linear network it always is.

    Args:
        network: any network.
        inputs: ``[examples, …]``.
        memory: bytes that the Jacobians of one chunk may take; one example that needs more makes the answer ``None``.

    Returns:
        In the units of the inputs, computed in float64; ``None`` for other networks.

    Cost: a forward pass of the whole Jacobian.

    Example:
        >>> from genscope.networks.functional import wrap_module
        >>> layer = nn.Linear(2, 2, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        >>> linear_region(wrap_module(layer), torch.tensor([[1.0, 0.0]])).boundary.round(6).tolist()
        [0.6]
    """
    steps = None if network.module is None else chain_of(network.module)
    slopes = None if steps is None else [_slope(step) for step in steps]
    if (
        steps is None
        or slopes is None
        or any(slope is None and not isinstance(step, LinearStep | str) for step, slope in zip(steps, slopes, strict=True))
    ):
        return None
    params = {name: tensor.detach().double().cpu() for name, tensor in network.params.items()}
    size = int(np.prod(inputs.shape[1:]))
    widest = max(params[step.weight].shape[0] for step in steps if isinstance(step, LinearStep))
    at_once = memory // (16 * size * widest)
    if at_once < 1:
        return None
    parts = [_of_chunk(steps, slopes, params, part.reshape(len(part), size).double().cpu()) for part in inputs.detach().split(int(at_once))]
    region, boundary = (torch.cat(column).numpy() for column in zip(*parts, strict=True))
    return LinearRegion(region, boundary)


def _of_chunk(steps: Sequence[Step], slopes: Sequence[float | None], params: Mapping[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    value, jacobian = x, None
    region = torch.full((len(x),), torch.inf, dtype=torch.float64)
    for step, slope in zip(steps, slopes, strict=True):
        if isinstance(step, LinearStep):
            weight = params[step.weight]
            value = F.linear(value, weight, None if step.bias is None else params[step.bias])
            jacobian = weight.expand(len(x), *weight.shape) if jacobian is None else weight @ jacobian
        elif slope is not None and slope != 1.0 and jacobian is not None:
            size = jacobian.norm(dim=2)
            face = torch.where(size > 0, value.abs() / size.clamp_min(1e-300), torch.inf)
            region = torch.minimum(region, face.min(1).values)
            kept = torch.where(value > 0, 1.0, slope)
            value, jacobian = value * kept, jacobian * kept[:, :, None]
    assert jacobian is not None
    if value.shape[1] == 1:
        jacobian = torch.cat([torch.zeros_like(jacobian), jacobian], dim=1)
    z = two_logits(value)
    own = z.argmax(1, keepdim=True)
    gap = z.gather(1, own) - z
    slope_of_gap = (jacobian.gather(1, own[:, :, None].expand(-1, -1, jacobian.shape[2])) - jacobian).norm(dim=2)
    distance = torch.where(slope_of_gap > 0, gap / slope_of_gap.clamp_min(1e-300), torch.inf).scatter(1, own, torch.inf)
    return region, distance.min(1).values


_RECTIFIERS: tuple[Callable[..., Tensor], ...] = (torch.relu, F.relu)


def _slope(step: Step) -> float | None:
    """Slope at negative values of a piecewise linear function (1 for the identity); ``None`` for everything else."""
    if isinstance(step, nn.Identity):
        return 1.0
    if isinstance(step, nn.ReLU):
        return 0.0
    if isinstance(step, nn.LeakyReLU):
        return float(step.negative_slope)
    if isinstance(step, ElementwiseStep) and step.function in _RECTIFIERS:
        return 0.0
    if isinstance(step, ElementwiseStep) and step.function is F.leaky_relu:
        return float(step.args[0] if step.args else step.kwargs.get("negative_slope", 0.01))
    return None
