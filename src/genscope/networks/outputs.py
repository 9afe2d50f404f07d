"""What a network's outputs say: classes and margins, whether it has one output or many."""

import torch
from torch import Tensor


def two_logits(logits: Tensor) -> Tensor:
    """Logits of a network with one output (the log-odds of class 1) as two; all others stay as they are.

    Example:
        >>> two_logits(torch.tensor([[3.0]])).tolist()
        [[0.0, 3.0]]
    """
    return torch.cat([torch.zeros_like(logits), logits], dim=-1) if logits.shape[-1] == 1 else logits


def predictions(logits: Tensor) -> Tensor:
    """The predicted class of every example; a tie goes to the lower class.

    Example:
        >>> predictions(torch.tensor([[-1.0], [2.0]])).tolist()
        [0, 1]
    """
    return two_logits(logits).argmax(-1)


def lead(logits: Tensor) -> Tensor:
    """By how much the predicted class leads over the next one, in logits."""
    top = two_logits(logits).topk(2, dim=-1).values
    return top[..., 0] - top[..., 1]
