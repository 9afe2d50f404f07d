"""Singular values on a torch device: the same Gram route and the same honesty, for tensors that already live on a GPU."""

from typing import Any

import numpy as np
import torch

from genscope.errors import UsageError
from genscope.numerics.singular_values import SingularValues, raise_non_finite, resolution

_CHUNK = 1 << 24


def check_device(device: str) -> None:
    """Refuse a device that this torch or this machine does not have, before any work is done.

    Raises:
        UsageError: there is no such device.
    """
    try:
        torch.zeros(1).to(device)
    except (RuntimeError, AssertionError, ImportError):
        raise UsageError(f"There is no device {device!r} here; give cpu, or one that this torch and this machine have, such as cuda.") from None


def singular_values_on_device(stack: Any, *, method: str = "auto", device: str | None = None) -> SingularValues:
    """:func:`~genscope.numerics.singular_values.singular_values` with torch; ``stack`` is a tensor or an array, [m, n] or [k, m, n].

    The work is done where the tensor lives, or on ``device``. Float64 throughout: consumer GPUs are slow at it, and an exponent that
    depends on the hardware is worth less than the seconds.
    """
    tensor = torch.as_tensor(stack).detach()
    tensor = tensor if device is None else tensor.to(device)
    tensor = tensor[None] if tensor.ndim == 2 else tensor
    if tensor.ndim != 3 or tensor.numel() == 0 or tensor.is_complex():
        raise UsageError(f"singular_values needs a non-empty real [m, n] or [k, m, n] tensor, got shape {tuple(tensor.shape)}")
    tensor = tensor if tensor.dtype == torch.float64 else tensor.float()
    largest = float(tensor.abs().amax())
    if not np.isfinite(largest):
        raise_non_finite(tensor.cpu().numpy())
    scale = 1.0 if largest == 0.0 else float(2.0 ** min(1000, max(-1000, -int(np.frexp(largest)[1]))))
    short = min(tensor.shape[1:])
    if method == "svd" or (method == "auto" and short <= 16):
        scaled = tensor.double() * scale
        found, squared, chosen = torch.linalg.svdvals(scaled), float(scaled.square().sum()), "svd"
    else:
        gram = torch.stack([_gram(matrix, scale) for matrix in tensor])
        squared, chosen = float(gram.diagonal(dim1=1, dim2=2).sum()), "gram"
        found = torch.linalg.eigvalsh(gram).clamp_min(0.0).sqrt()
    values = np.sort(found.flatten().cpu().numpy())[::-1] / scale
    return SingularValues(values, resolution(float(values[0]), short, chosen), chosen, squared / scale / scale)


def _gram(matrix: torch.Tensor, scale: float) -> torch.Tensor:
    """Float64 Gram matrix of the smaller side, summed over pieces of the larger one."""
    rows = matrix if matrix.shape[1] <= matrix.shape[0] else matrix.T
    gram = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64, device=rows.device)
    for piece in rows.split(max(1, _CHUNK // rows.shape[1])):
        scaled = piece.double() * scale
        gram.addmm_(scaled.T, scaled)
    return gram
