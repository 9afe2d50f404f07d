"""Losses per example, of many networks at once: cross-entropy and its reverse."""

import torch
from torch import Tensor
from torch.nn import functional as F

from genscope.networks.outputs import two_logits


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """−log p(label) of every example.

    Args:
        logits: ``[…, classes]``; one class means the log-odds of class 1.
        labels: ``[…]`` int64, broadcast to the logits.

    Returns:
        ``[…]`` in nats.
    """
    logits = two_logits(logits)
    return F.cross_entropy(logits.flatten(0, -2), labels.expand(logits.shape[:-1]).reshape(-1), reduction="none").view(logits.shape[:-1])


def reverse_cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    r"""−log(1 − p(label)) of every example, without forming 1 − p.

    :math:`-\log(1-p_y) = \operatorname{softplus}\bigl(z_y - \log\sum_{j\neq y} e^{z_j}\bigr)`, finite and with a useful gradient even where
    float arithmetic has p = 1.

    Args:
        logits: ``[…, classes]``; one class means the log-odds of class 1.
        labels: ``[…]`` int64, broadcast to the logits: the class to avoid.

    Returns:
        ``[…]`` in nats.

    Invariances: adding a constant to all logits of an example changes nothing.

    Source: Huang et al. 2019, equation 2 (second term). Its literal form is unbounded in floating point, and the released code for more than
    two classes normalizes 1 − p over the classes, which adds the constant log(classes − 1).

    Example:
        >>> confident = torch.tensor([[800.0, 0.0, 0.0]])
        >>> round(float(reverse_cross_entropies(confident, torch.tensor([0]))), 3)
        799.307
    """
    logits = two_logits(logits)
    picks = labels.expand(logits.shape[:-1])[..., None]
    own = logits.gather(-1, picks).squeeze(-1)
    others = logits.scatter(-1, picks, -torch.inf).logsumexp(-1)
    return F.softplus(own - others)
