"""Losses in the loss frame: everything in logarithms, so that a loss of 1e-1000 is as exact as one of 0.5.

With ``r_n`` the log-excess of example n (``-y f`` for one output, ``log Σ_{j≠y} exp(f_j - f_y)`` for several) every loss here is
``(1/N) Σ_n exp(h(r_n))``: ``h(r) = r`` for the exponential, ``h(r) = log log(1 + e^r)`` for the logistic loss and cross-entropy.
"""

import math

import torch
from torch import Tensor

from genscope.errors import UsageError

LOSSES = ("exponential", "logistic", "cross_entropy")
_FAR = -30.0  # below, log log(1 + e^r) is r - e^r / 2 to the last bit


def check_loss(loss: str) -> str:
    """``loss`` itself.

    Raises:
        UsageError: not one of :data:`LOSSES`.
    """
    if loss not in LOSSES:
        raise UsageError(f"There is no loss {loss!r} for flows; choose one of {', '.join(LOSSES)}.")
    return loss


def log_excess(logits: Tensor, y: Tensor) -> Tensor:
    """``r_n``: the logarithm by which the wrong outputs exceed the right one.

    Args:
        logits: ``[examples]`` with labels ±1, or ``[examples, classes]`` with class numbers.
        y: ``[examples]``.

    Returns:
        ``[examples]``; negative for an example with a positive gap (of one wrong class).

    Example:
        >>> log_excess(torch.tensor([2.0, -1.0]), torch.tensor([1.0, -1.0])).tolist()
        [-2.0, -1.0]
    """
    if logits.ndim == 1:
        return -y * logits
    right = logits.gather(1, y[:, None])
    others = logits - right
    return torch.logsumexp(others.scatter(1, y[:, None], -math.inf), 1)


def gaps(logits: Tensor, y: Tensor) -> Tensor:
    """``q_n``: ``y f`` for one output, ``f_y - max_{j≠y} f_j`` for several; positive where the example is right."""
    if logits.ndim == 1:
        return y * logits
    right = logits.gather(1, y[:, None])[:, 0]
    return right - logits.scatter(1, y[:, None], -math.inf).max(1).values


def log_example_losses(excess: Tensor, loss: str) -> Tensor:
    """``h(r_n) = log loss_n``, exact for any ``r``.

    Example:
        >>> log_example_losses(torch.tensor([-1e4], dtype=torch.float64), "logistic").item()
        -10000.0
    """
    if loss == "exponential":
        return excess
    near = torch.nn.functional.softplus(torch.clamp(excess, min=_FAR)).log()
    return torch.where(excess < _FAR, excess - excess.clamp(max=_FAR).exp() / 2, near)


def log_loss(logits: Tensor, y: Tensor, loss: str) -> Tensor:
    """``log L`` with ``L = (1/N) Σ_n loss_n``, natural logarithm; differentiable, never under- or overflowing.

    Example:
        >>> f = torch.full((4,), 5000.0, dtype=torch.float64)
        >>> log_loss(f, torch.ones(4), "exponential").item()
        -5000.0
    """
    return torch.logsumexp(log_example_losses(log_excess(logits, y), loss), 0) - math.log(len(y))


def smoothed_gap(log_mean_loss: float, n_examples: int, loss: str) -> float:
    """The smallest gap as the loss sees it: ``log 1/(N L)``, or its counterpart ``-log(e^{N L} - 1)`` for logistic losses.

    It is at most the smallest gap, and differs from it by at most ``log N`` (Lyu & Li 2020, definition 1 and appendix A).

    Example:
        >>> smoothed_gap(-100.0, 1, "exponential"), smoothed_gap(-100.0, 1, "logistic")
        (100.0, 100.0)
    """
    log_sum = log_mean_loss + math.log(n_examples)
    if loss == "exponential":
        return -log_sum
    if log_sum < _FAR:
        return -(log_sum + math.exp(log_sum) / 2)
    return -math.log(math.expm1(math.exp(log_sum))) if log_sum < 6.5 else -math.exp(log_sum)
