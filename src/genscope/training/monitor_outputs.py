"""What the logits of a batch say: losses, errors and margins of each example, plain and normalized, gathered over batches and ranks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genscope.errors import UnsupportedInput
from genscope.measures.ingredients.losses import example_errors, example_losses, margins_of
from genscope.measures.margins import order_statistic

QUANTILES = {"margin_min": 0.0, "margin_q05": 0.05, "margin_q25": 0.25, "margin_median": 0.5}


@dataclass(frozen=True)
class Examples:
    """One number per example, in float64.

    Args:
        losses: the named loss.
        errors: 0 or 1.
        margins: ``f[y] − max_{j≠y} f[j]``.
        normalized_losses: the loss of ``f/ρ``; empty where no ρ is known.
        scale: ``1/ρ``, or ``None``.
    """

    losses: np.ndarray
    errors: np.ndarray
    margins: np.ndarray
    normalized_losses: np.ndarray
    scale: float | None


@torch.no_grad()
def examples_of(logits: Tensor, targets: Tensor, loss: str, log_scale: float | None, limit: int | None = None) -> Examples:
    """The first ``limit`` labelled examples of a batch.

    Args:
        logits: ``[…, classes]``, any floating type; ``[examples]`` for a binary classifier with one output.
        targets: class numbers of the leading shape of ``logits``; negative ones (padding) are left out.
        loss: name of the loss.
        log_scale: ``ln ρ``.
        limit: at most this many.

    Raises:
        UnsupportedInput: shapes that do not fit, or labels that are no class numbers.
    """
    logits = logits.detach()
    if logits.ndim == targets.ndim:
        logits = logits.unsqueeze(-1) if logits.ndim == 1 or logits.shape[-1] != 1 else logits
    if logits.ndim == targets.ndim and logits.shape[-1] == 1 and targets.shape == logits.shape:
        targets = targets[..., 0]
    if logits.ndim < 2 or logits.shape[:-1] != targets.shape:
        raise UnsupportedInput(
            f"The logits have shape {list(logits.shape)} and the targets {list(targets.shape)}; targets are one class number per row of logits."
        )
    flat, labels = logits.reshape(-1, logits.shape[-1]), targets.detach().reshape(-1)
    if labels.is_floating_point() and not bool((labels == labels.round()).all()):
        raise UnsupportedInput("The targets are not class numbers; margins and the normalized loss are those of classifiers.")
    kept = (labels >= 0).nonzero()[:limit, 0]
    flat, labels = flat[kept].cpu().double(), labels[kept].long().cpu()
    if len(labels) and int(labels.max()) >= max(2, flat.shape[1]):
        raise UnsupportedInput(f"The targets go up to {int(labels.max())}, but the logits have {flat.shape[1]} classes.")
    normalized = np.empty(0)
    if log_scale is not None and math.isfinite(log_scale):
        normalized = example_losses(loss, flat * math.exp(-log_scale), labels).numpy()
    scale = math.exp(-log_scale) if log_scale is not None and math.isfinite(log_scale) else None
    losses, errors = example_losses(loss, flat, labels).numpy(), example_errors(flat, labels).numpy()
    return Examples(losses, errors, margins_of(flat.numpy(), labels.numpy()), normalized, scale)


def joined(parts: Sequence[Examples]) -> Examples | None:
    """Several batches as one; ``None`` for none."""
    if not parts or not sum(len(part.losses) for part in parts):
        return None
    names = ("losses", "errors", "margins", "normalized_losses")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Examples(**columns, scale=parts[-1].scale)


def statistics_of(examples: Examples | None, given_loss: float | None) -> tuple[dict[str, float | None], dict[str, str]]:
    """The numbers of one record for these examples, and the reasons for those that do not exist.

    Args:
        examples: labelled examples, or ``None`` when no logits were given.
        given_loss: the training loss as the loop computed it; else the named loss is taken.

    Returns:
        Values by name (``loss error margin_… normalized_loss normalized_margin_…``) and reasons by name.
    """
    values: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    if given_loss is not None:
        values["loss"] = given_loss
    if examples is None:
        return values, reasons
    values.setdefault("loss", float(examples.losses.mean()))
    if not np.isfinite(examples.margins).all():
        return values, {"margin_median": f"the logits are not finite on {int((~np.isfinite(examples.margins)).sum())} examples"}
    values["error"] = float(examples.errors.mean())
    quantiles = {name: order_statistic(examples.margins, share) for name, share in QUANTILES.items()}
    values |= quantiles
    if examples.scale is None:
        return values, {"normalized_loss": "no norm to divide the logits by is known yet"}
    values["normalized_loss"] = float(examples.normalized_losses.mean())
    values |= {f"normalized_{name}": quantile * examples.scale for name, quantile in quantiles.items()}
    return values, reasons


def ranks() -> tuple[int, int]:
    """This process's rank and the number of processes that train together."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def gathered(value: Any) -> list[Any]:
    """``value`` of every process, in order of rank; every process has to call it."""
    _, world = ranks()
    if world == 1:
        return [value]
    every: list[Any] = [None] * world
    torch.distributed.all_gather_object(every, value)
    return every
