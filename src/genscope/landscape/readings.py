"""What is read off the outputs at a point of parameter space: mean loss, error rate, margin."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

# (logits [..., examples, classes], labels [examples]) -> losses, errors, margins, each [..., examples]
Score = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
MARGIN_QUANTILE = 0.05
NAMES = ("loss", "error", "margin")


@dataclass(frozen=True)
class Readings:
    """Numbers of several points, in float64; a NaN or infinity is what the network gave there, and stays.

    Args:
        loss: mean loss, ``[points]``, in nats (or the loss's own unit).
        error: share of wrong examples, ``[points]``; NaN where any output is NaN.
        margin: the 5 % quantile of the margins, ``[points]``, in logits; NaN where any output is NaN.
    """

    loss: np.ndarray
    error: np.ndarray
    margin: np.ndarray

    def __len__(self) -> int:
        return len(self.loss)

    def array(self) -> np.ndarray:
        """``[points, 3]`` in the order of :data:`NAMES`."""
        return np.stack([self.loss, self.error, self.margin], axis=1)


def from_array(values: np.ndarray) -> Readings:
    """The readings behind :meth:`Readings.array`."""
    return Readings(values[:, 0].copy(), values[:, 1].copy(), values[:, 2].copy())


def joined(parts: Iterable[Readings]) -> Readings:
    """Readings of several groups of points, one after the other."""
    arrays = [part.array() for part in parts]
    return from_array(np.concatenate(arrays) if arrays else np.empty((0, 3)))


def readings_of(logits: Tensor, labels: Tensor, score: Score) -> Readings:
    """The readings of stacked outputs.

    Args:
        logits: ``[points, examples, classes]``.
        labels: ``[examples]``.
        score: losses, errors and margins per example.
    """
    losses, errors, margins = score(logits, labels)
    broken = logits.isnan().flatten(1).any(1).cpu().numpy()
    loss = losses.double().mean(1).cpu().numpy()
    error = np.where(broken, np.nan, errors.double().mean(1).cpu().numpy())
    rank = max(1, math.ceil(MARGIN_QUANTILE * len(labels) - 1e-12))
    margin = np.where(broken, np.nan, margins.kthvalue(rank, dim=1).values.double().cpu().numpy())
    return Readings(loss, error, margin)
