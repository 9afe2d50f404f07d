"""What the perturbation measures share: mean loss and error at other weights, gradients of the mean loss, and the widths of perturbations."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from genscope.measures.ingredients.losses import example_errors, example_losses
from genscope.measures.ingredients.types import Forward, Params
from genscope.numerics.perturbation import Statistic, evaluate_points, stack_size

Chosen = tuple[tuple[Any, Any], ...]


def loss_and_error_sums(forward: Forward, loss: str, *, unit_logits: bool = False) -> Statistic:
    """Sums of loss and 0–1 error of a batch; with ``unit_logits`` the logits of each example are first divided by their norm."""
    import torch

    def statistic(params: Params, x: Any, y: Any) -> Any:
        logits = normalized_logits(forward(params, x), unit_logits)
        return torch.stack([example_losses(loss, logits, y).sum(), example_errors(logits, y).sum()])

    return statistic


def normalized_logits(logits: Any, unit: bool) -> Any:
    """Logits as they are, or each example's divided by its norm (a zero output stays zero)."""
    import torch

    if not unit:
        return logits
    return logits / torch.linalg.vector_norm(logits, dim=-1, keepdim=True).clamp_min(torch.finfo(logits.dtype).tiny)


def twice_differentiable() -> AbstractContextManager[None]:
    """Attention by plain matrix products: the fused kernels have neither second nor forward-mode derivatives."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(SDPBackend.MATH)


def mean_loss_and_error(statistic: Statistic, points: Iterable[Params], batches: Chosen, params: Params) -> np.ndarray:
    """Mean loss and mean error over the examples at each point, ``[points, 2]``."""
    n = sum(len(y) for _, y in batches)
    return evaluate_points(statistic, points, batches, stack=stack_size(params)) / n


def mean_losses_and_error(forward: Forward, loss: str, points: Iterable[Params], batches: Chosen, params: Params) -> np.ndarray:
    """Mean loss, mean error and mean loss of outputs divided by their norms, from the same outputs, ``[points, 3]``."""
    import torch

    def statistic(point: Params, x: Any, y: Any) -> Any:
        logits = forward(point, x)
        unit = example_losses(loss, normalized_logits(logits, True), y)
        return torch.stack([example_losses(loss, logits, y).sum(), example_errors(logits, y).sum(), unit.sum()])

    return mean_loss_and_error(statistic, points, batches, params)


def loss_and_gradient(forward: Forward, loss: str, batches: Chosen, *, unit_logits: bool = False) -> Callable[[Params], tuple[float, Params]]:
    """The mean loss and its gradient, accumulated over micro-batches."""
    import torch

    n = sum(len(y) for _, y in batches)

    def loss_alone(params: Params) -> float:
        with torch.no_grad():
            return sum(float(example_losses(loss, normalized_logits(forward(params, x), unit_logits), y).sum() / n) for x, y in batches)

    def objective(params: Params) -> tuple[float, Params]:
        leaves = {name: value.detach().requires_grad_(True) for name, value in params.items()}
        total, gradient = 0.0, [torch.zeros_like(value) for value in leaves.values()]
        for x, y in batches:
            value = example_losses(loss, normalized_logits(forward(leaves, x), unit_logits), y).sum() / n
            parts = torch.autograd.grad(value, tuple(leaves.values()), allow_unused=True)
            total += float(value.detach())
            gradient = [known if part is None else known + part for known, part in zip(gradient, parts, strict=True)]
        return total, dict(zip(leaves, gradient, strict=True))

    objective.value = loss_alone  # type: ignore[attr-defined]
    return objective


def filter_widths(params: Params) -> Params:
    """For each filter (row of a weight tensor) its norm over the square root of its size; zero for vectors (biases, scales).

    A Gaussian with these widths has, per filter, the norm of that filter in the mean square: the filter normalization of Li et al. 2018.
    """
    import torch

    widths = {}
    for name, value in params.items():
        if value.ndim < 2:
            widths[name] = torch.zeros_like(value)
            continue
        rows = torch.linalg.vector_norm(value.reshape(value.shape[0], -1), dim=1) / (value[0].numel() ** 0.5)
        widths[name] = rows.reshape(-1, *[1] * (value.ndim - 1)).expand_as(value)
    return widths
