"""Stopping when the normalized loss has stopped improving, as Liao et al. recommend watching it instead of the loss."""

import math
from collections.abc import Mapping
from typing import Any

from genscope.errors import UsageError


class StopOnNormalizedLoss:
    """Says when to stop: no smaller normalized loss for ``patience`` epochs.

    Formula:
        stop after epoch t when ``min_{s ≤ t − patience} L(f̃_s) ≤ min_{s > t − patience} L(f̃_s) + min_delta``, ``f̃ = f/ρ``.

    The plain loss falls for as long as the outputs can be scaled up; the normalized one only while the data are fitted better. Whether
    stopping by it gives a better network than stopping by the plain validation loss depends on the data: ``examples/early_stopping.py``
    measures it.

    Args:
        patience: epochs without improvement, at least 1.
        min_delta: improvement in nats that counts; the normalized loss lies close to ``ln C``, so that useful values are tiny.
        split: ``validation``, ``train``, or ``auto`` for the first where it is measured and else the second.
        metric: ``normalized_loss``, or another number of the split such as ``loss`` or ``error``.

    Cost: nothing. Source: Liao et al. 2018, sections 3 and 5.

    Example:
        >>> stop = StopOnNormalizedLoss(patience=2)
        >>> [stop.update(loss) for loss in (2.30, 2.29, 2.291, 2.295)]
        [False, False, False, True]
        >>> stop.best_epoch
        2
    """

    def __init__(self, patience: int = 5, min_delta: float = 0.0, split: str = "auto", metric: str = "normalized_loss") -> None:
        if patience < 1 or min_delta < 0:
            raise UsageError("StopOnNormalizedLoss: patience is at least 1 and min_delta not negative.")
        if split not in ("auto", "train", "validation"):
            raise UsageError(f"StopOnNormalizedLoss: there is no split {split!r}; use auto, train or validation.")
        self.patience, self.min_delta, self.split, self.metric = patience, min_delta, split, metric
        self.best = math.inf
        self.best_epoch = 0
        self.epochs = 0

    @property
    def should_stop(self) -> bool:
        """Whether patience has run out."""
        return self.epochs - self.best_epoch >= self.patience and self.epochs > 0

    @property
    def improved(self) -> bool:
        """Whether the last epoch is the best so far: the moment to keep its weights."""
        return self.epochs > 0 and self.best_epoch == self.epochs

    def update(self, value: float | None) -> bool:
        """Take the value of one epoch and say whether to stop; an undefined value counts as no improvement."""
        self.epochs += 1
        if value is not None and math.isfinite(value) and (value < self.best - self.min_delta or self.best == math.inf):
            self.best, self.best_epoch = float(value), self.epochs
        return self.should_stop

    def observe(self, record: Mapping[str, Any]) -> bool:
        """Take what :meth:`Monitor.epoch` returned and say whether to stop."""
        splits = ("validation", "train") if self.split == "auto" else (self.split,)
        values = [(record.get(split) or {}).get(self.metric) for split in splits]
        return self.update(next((value for value in values if value is not None), None))

    def state_dict(self) -> dict[str, Any]:
        """What has to be kept to go on after a restart."""
        return {"best": self.best, "best_epoch": self.best_epoch, "epochs": self.epochs}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.best, self.best_epoch, self.epochs = float(state["best"]), int(state["best_epoch"]), int(state["epochs"])
