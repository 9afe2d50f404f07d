"""Pooling as sums over windows: what path norms and Lipschitz constants need to know of it."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from genscope.networks.graph import Node
from genscope.networks.operations import operation_name

CONVOLUTIONS: dict[int, Any] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def window_sums(node: Node, x: Tensor) -> Tensor:
    """Sum of ``x`` (non-negative) over each window of a max or average pooling node, padding counted as zero."""
    name = operation_name(node.target)
    if name in ("mean", "amax"):
        return x.sum(_dimensions(node, x), keepdim=bool(node.argument("keepdim", False)))
    n = int(name[-2])
    if name.startswith("adaptive"):
        counts = adaptive_counts(x.shape[-n:], _tuple(node.argument("output_size"), n))
        average: Any = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}[n]
        return average(x, _tuple(node.argument("output_size"), n)) * counts.to(x)
    kernel = _tuple(node.argument("kernel_size"), n)
    stride = _tuple(node.argument("stride") or kernel, n)
    padding, dilation = _tuple(node.argument("padding", 0), n), _tuple(node.argument("dilation", 1), n)
    assert node.shape is not None
    margins: list[int] = []
    for k, s, p, d, size, out in zip(kernel, stride, padding, dilation, x.shape[-n:], node.shape[-n:], strict=True):
        margins = [p, max(0, (out - 1) * s + d * (k - 1) + 1 - size - p), *margins]
    channels = x.shape[1]
    ones = torch.ones((channels, 1, *kernel), dtype=x.dtype, device=x.device)
    summed = CONVOLUTIONS[n](F.pad(x, margins), ones, stride=stride, dilation=dilation, groups=channels)
    windows: Any = (..., *(slice(out) for out in node.shape[-n:]))
    return summed[windows]


def window_divisors(node: Node, x: Tensor) -> Tensor:
    """By what an average pooling node divides each window's sum (it differs at borders when padding is not counted)."""
    ones = torch.ones_like(x)
    averaged = node.target(ones, *node.args[1:], **node.kwargs)
    return window_sums(node, ones) / averaged


def window_overlap(node: Node) -> float:
    """Into how many windows one input can fall at most: the squared ℓ₂ Lipschitz constant of a max pooling."""
    name = operation_name(node.target)
    if name == "amax":
        return 1.0
    n = int(name[-2])
    if name.startswith("adaptive"):
        return 2.0**n
    kernel = _tuple(node.argument("kernel_size"), n)
    stride = _tuple(node.argument("stride") or kernel, n)
    return float(math.prod(math.ceil(k / s) for k, s in zip(kernel, stride, strict=True)))


def adaptive_counts(sizes: Sequence[int], outputs: Sequence[int]) -> Tensor:
    """How many inputs each window of an adaptive pooling holds."""
    counts = torch.ones(())
    for size, out in zip(sizes, outputs, strict=True):
        width = torch.tensor([math.ceil((i + 1) * size / out) - (i * size) // out for i in range(out)], dtype=torch.float64)
        counts = counts.unsqueeze(-1) * width
    return counts


def _dimensions(node: Node, x: Tensor) -> list[int]:
    dims = node.argument("dim")
    if dims is None or dims == []:
        return list(range(x.ndim))
    return [dims] if isinstance(dims, int) else list(dims)


def _tuple(value: int | Sequence[int], n: int) -> tuple[int, ...]:
    if isinstance(value, int):
        return (value,) * n
    values = tuple(int(item) for item in value)
    return values * n if len(values) == 1 else values
