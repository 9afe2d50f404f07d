"""What a study's training function hands over."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Trained:
    """A trained network with its data.

    Args:
        model: an ``nn.Module``.
        train: its training data: a pair ``(X, y)`` of tensors or arrays, a Dataset or a DataLoader without augmentation.
        test: held-out data.
        initial: the module or ``state_dict`` before training, for distances and certificates.
        numbers: further columns of the table, such as ``{"epochs": 40}``.
    """

    model: Any
    train: Any
    test: Any = None
    initial: Any = None
    numbers: Mapping[str, Any] = field(default_factory=dict)
