"""Per-example losses, errors and margins of logits, for classifiers with one output (binary) or one per class."""

from typing import Any

import numpy as np

from genscope.errors import UsageError

LOSSES = ("cross_entropy", "logistic", "exponential", "squared")


def check_loss(loss: str) -> str:
    """``loss`` itself, or a sentence that lists the known ones."""
    if loss not in LOSSES:
        raise UsageError(f"There is no loss {loss!r}; use one of {', '.join(LOSSES)}.")
    return loss


def example_losses(loss: str, logits: Any, labels: Any) -> Any:
    """The loss of each example in nats (or squared units), differentiable and safe under ``torch.func.vmap``.

    With one logit the label is read as a sign (0 → −1). ``cross_entropy`` is −ln softmax; ``logistic`` and ``exponential`` act on the signed
    output, or with several classes on the margins to each other class, ``ln(1 + Σ e^{−α_j})`` (which is cross-entropy) and ``Σ e^{−α_j}``.

    Args:
        loss: one of :data:`LOSSES`.
        logits: ``[..., classes]``.
        labels: ``[...]`` integers.
    """
    import torch
    from torch.nn import functional

    if logits.shape[-1] == 1:
        signed = logits[..., 0] * (2.0 * labels.to(logits.dtype) - 1.0)
        if loss == "squared":
            return (signed - 1.0).square()
        return torch.exp(-signed) if loss == "exponential" else functional.softplus(-signed)
    if logits.shape[-1] == 2 and loss in ("cross_entropy", "logistic"):
        # One gap instead of a log-sum over one term: the same number.
        return functional.softplus((logits[..., 0] - logits[..., 1]) * (2.0 * labels.to(logits.dtype) - 1.0))
    one_hot = functional.one_hot(labels, logits.shape[-1]).to(logits.dtype)
    if loss == "squared":
        return (logits - one_hot).square().sum(-1)
    right = (logits * one_hot).sum(-1)
    if loss == "exponential":
        return (torch.exp(logits - right.unsqueeze(-1)) * (1.0 - one_hot)).sum(-1)
    # From the gaps to the right class: exact down to the smallest losses, where log-softmax rounds to zero.
    gaps = torch.where(one_hot.bool(), -torch.inf, logits - right.unsqueeze(-1))
    return functional.softplus(torch.logsumexp(gaps, -1))


def example_errors(logits: Any, labels: Any) -> Any:
    """1 where the predicted class is wrong, else 0 (``argmax``; for one logit its sign, 0 counting as class 0)."""
    predicted = (logits[..., 0] > 0).to(labels.dtype) if logits.shape[-1] == 1 else logits.argmax(-1)
    return (predicted != labels).to(logits.dtype)


def margins_of(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """``f[y] − max_{j≠y} f[j]`` of each example (Neyshabur et al. 2017, eq. 2); the signed output for one logit.

    Args:
        logits: ``[examples, classes]``.
        labels: ``[examples]``.

    Example:
        >>> margins_of(np.array([[3.0, 1.0, 2.0]]), np.array([0]))
        array([1.])
    """
    if logits.shape[1] == 1:
        return logits[:, 0] * (2.0 * labels - 1.0)
    rows = np.arange(len(labels))
    others = logits.copy()
    others[rows, labels] = -np.inf
    return logits[rows, labels] - others.max(axis=1)


def example_margins(logits: Any, labels: Any) -> Any:
    """:func:`margins_of` for tensors with any leading axes, differentiable almost everywhere.

    Args:
        logits: ``[..., examples, classes]``.
        labels: ``[examples]``.
    """
    import torch

    if logits.shape[-1] == 1:
        return logits[..., 0] * (2.0 * labels.to(logits.dtype) - 1.0)
    chosen = torch.nn.functional.one_hot(labels, logits.shape[-1]).bool()
    return torch.where(chosen, logits, 0.0).sum(-1) - torch.where(chosen, -torch.inf, logits).amax(-1)


def scores_of(loss: str) -> Any:
    """``(logits, labels) -> (losses, errors, margins)`` per example: what a landscape reads at each point.

    Raises:
        UsageError: an unknown loss.
    """
    check_loss(loss)
    return lambda logits, labels: (example_losses(loss, logits, labels), example_errors(logits, labels), example_margins(logits, labels))
