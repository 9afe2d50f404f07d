"""In which coordinates a basin is measured: every parameter as it is, or weights in units of their filter's norm."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from genscope.errors import UnsupportedInput, UsageError

COORDINATES = ("raw", "filter_normalized")


@dataclass(frozen=True)
class Coordinates:
    r"""The linear map ``θ = w + scale ⊙ z`` from coordinates z to parameters.

    Args:
        name: ``raw`` or ``filter_normalized``.
        scale: ``[n_total]``; zero where a parameter is held fixed (biases, scales and dead filters of filter-normalized coordinates).
        varied: ``[n]`` places of the parameters that move.
        log_jacobian: ``Σ ln scale`` over them: a volume in parameters is that in coordinates times its exponential.
        n_filters: filters that move, 0 in raw coordinates.
        meaning: the sentence for people.
    """

    name: str
    scale: Tensor
    varied: Tensor
    log_jacobian: float
    n_filters: int
    meaning: str

    @property
    def n(self) -> int:
        """Dimensions: parameters that move."""
        return len(self.varied)


def coordinates_of(params: Mapping[str, Tensor], name: str) -> Coordinates:
    r"""The coordinates of a network's parameters, flattened in the order of ``params``.

    Filter-normalized: each row f of a weight with two or more dimensions is measured in units of its own norm ``‖w_f‖``, so that ``‖z‖`` is the
    root of the summed squared relative changes of the filters. A Gaussian z is a product over no spheres: rays are uniform on the sphere of all
    coordinates, and the Jacobian ``Σ_f d_f ln ‖w_f‖`` leads back to parameters (both are missing in the released code of Huang et al.).

    Raises:
        UsageError: unknown name.
        UnsupportedInput: nothing is left that can move.

    Example:
        >>> found = coordinates_of({"w": torch.tensor([[3.0, 4.0], [0.0, 0.0]]), "b": torch.ones(2)}, "filter_normalized")
        >>> found.n, found.scale.tolist(), round(found.log_jacobian, 4)
        (2, [5.0, 5.0, 0.0, 0.0, 0.0, 0.0], 3.2189)
    """
    if name not in COORDINATES:
        raise UsageError(f"There are no coordinates {name!r}; use {' or '.join(COORDINATES)}.")
    if not params:
        raise UnsupportedInput("The network has no parameters, so it has no basin.")
    if name == "raw":
        n = sum(value.numel() for value in params.values())
        first = next(iter(params.values()))
        scale = torch.ones(n, dtype=first.dtype, device=first.device)
        return Coordinates(name, scale, torch.arange(n, device=first.device), 0.0, 0, "every parameter as it is, biases included")
    parts = [_filter_norms(value) for value in params.values()]
    scale = torch.cat([part.reshape(-1) for part in parts])
    varied = torch.nonzero(scale > 0).squeeze(1)
    if not len(varied):
        raise UnsupportedInput("No filter of the network has a norm above zero, so filter-normalized coordinates do not exist; use raw ones.")
    n_filters = sum(int((part.reshape(part.shape[0], -1)[:, 0] > 0).sum()) for part in parts if part.ndim >= 2)
    meaning = "weights in units of the norm of their filter (row); biases, scales and filters of norm zero held fixed"
    return Coordinates(name, scale, varied, float(scale[varied].double().log().sum()), n_filters, meaning)


def _filter_norms(value: Tensor) -> Tensor:
    if value.ndim < 2:
        return torch.zeros_like(value)
    rows = torch.linalg.vector_norm(value.reshape(value.shape[0], -1), dim=1)
    return rows.reshape(-1, *[1] * (value.ndim - 1)).expand_as(value)
