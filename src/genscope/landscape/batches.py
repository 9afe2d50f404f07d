"""The data of an evaluation, held in memory and cut into micro-batches of one size."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from genscope.errors import UnsupportedInput


class HeldData:
    """Inputs and labels that are read again at every point.

    Args:
        batches: pairs ``(x, y)``; x a tensor, a tuple or a mapping of tensors whose first axis is the example.
        micro_batch: examples per forward pass; smaller ones stay in the cache, which matters more for convolutions than anything clever.
    """

    def __init__(self, batches: Iterable[tuple[Any, Tensor]], micro_batch: int) -> None:
        given = list(batches)
        if not given or not sum(len(y) for _, y in given):
            raise UnsupportedInput("There are no examples to evaluate the loss on.")
        joined = _joined([x for x, _ in given])
        self.labels = torch.cat([y for _, y in given])
        self._parts = [joined] if joined is not None else [x for x, _ in given]
        self._sizes = [len(self.labels)] if joined is not None else [len(y) for _, y in given]
        self.micro_batch = micro_batch

    @property
    def n_examples(self) -> int:
        """Number of examples."""
        return len(self.labels)

    def in_batches_of(self, size: int) -> "HeldData":
        """The same data in micro-batches of another size."""
        found = copy.copy(self)
        found.micro_batch = size
        return found

    def micro_batches(self, size: int | None = None) -> list[Any]:
        """The inputs in order, at most ``size`` examples each."""
        size = size or self.micro_batch
        return [rows(x, start, min(start + size, n)) for x, n in zip(self._parts, self._sizes, strict=True) for start in range(0, n, size)]

    def first(self, n: int) -> Any:
        """The first ``n`` examples as one batch (fewer where the data cannot be joined)."""
        return rows(self._parts[0], 0, min(n, self._sizes[0]))


def rows(x: Any, start: int, end: int) -> Any:
    """The examples from ``start`` to ``end`` of whatever a model takes."""
    if isinstance(x, Tensor):
        return x[start:end]
    if isinstance(x, Mapping):
        return {key: rows(value, start, end) for key, value in x.items()}
    return tuple(rows(value, start, end) for value in x)


def _joined(parts: list[Any]) -> Any:
    """All batches as one, or ``None`` where their shapes differ (texts of several lengths)."""
    if len(parts) == 1:
        return parts[0]
    head = parts[0]
    if isinstance(head, Tensor):
        if any(part.shape[1:] != head.shape[1:] for part in parts):
            return None
        joined = torch.cat(parts)
        return joined.contiguous(memory_format=torch.channels_last) if joined.ndim == 4 and joined.is_floating_point() else joined
    if isinstance(head, Mapping):
        columns = {key: _joined([part[key] for part in parts]) for key in head}
        return None if any(value is None for value in columns.values()) else columns
    fields = [_joined(list(values)) for values in zip(*parts, strict=True)]
    return None if any(value is None for value in fields) else tuple(fields)
