"""Training and test data in any of the usual forms, as batches in a fixed order that can be read again and again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler, default_collate

from genscope.errors import GenscopeError, UnsupportedInput

BATCH = 256
LABELS = ("labels", "label", "y", "targets")


@dataclass(frozen=True)
class Data:
    """Re-iterable ``(x, y)`` batches: labels checked, floats in the network's type, everything on the network's device."""

    source: Any
    name: str
    dtype: torch.dtype
    device: torch.device
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[tuple[Any, Tensor]]:
        for batch in _guarded(self.source, self.name):
            if not isinstance(batch, list | tuple | Mapping) or len(batch) < 2:
                raise UnsupportedInput(f"The {self.name} data give {type(batch).__name__} per batch; they must give pairs (x, y).")
            x, y = _pair(batch)
            yield placed(x, self.dtype, self.device), class_labels(y, self.name).to(self.device)


def _guarded(source: Any, name: str) -> Iterator[Any]:
    """The batches; what a user's own loader raises becomes a sentence with the number of the batch."""
    done = 0
    try:
        for batch in source:
            yield batch
            done += 1
    except GenscopeError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        raise UnsupportedInput(f"Reading the {name} data fails at batch {done + 1} with {type(error).__name__}: {words}.") from None


def open_data(data: Any, *, name: str, dtype: torch.dtype, device: torch.device) -> Data:
    """A DataLoader, a Dataset, or a pair of arrays or tensors as :class:`Data`.

    A loader that shuffles or drops the last batch is read in the order of its data set instead, all of it.

    Args:
        data: the data.
        name: ``training`` or ``test``, for messages.
        dtype: floating type of the network.
        device: where the network is.

    Raises:
        UnsupportedInput: not one of these forms, empty, x and y of different lengths.
    """
    notes: tuple[str, ...] = ()
    if isinstance(data, DataLoader):
        source, notes = _ordered(data, name)
    elif isinstance(data, tuple | list) and data and all(_is_mapped_batch(batch) for batch in data):
        source = data
    elif isinstance(data, tuple | list) and len(data) == 2 and not _is_pair(data[0]):
        source = _Arrays(*data, name=name)
    elif isinstance(data, tuple | list) and data and _is_pair(data[0]) and np.ndim(data[0][1]) == 1:
        source = data  # already batches
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, Mapping | str | np.ndarray | Tensor):
        source = DataLoader(data, batch_size=BATCH, shuffle=False)
    elif hasattr(data, "__iter__") and not hasattr(data, "__next__") and not isinstance(data, Mapping | str | np.ndarray | Tensor):
        source = data
    else:
        raise UnsupportedInput(f"The {name} data are {type(data).__name__}; give a DataLoader, a Dataset or a pair (X, y) of arrays.")
    return Data(source, name, dtype, device, notes)


@dataclass(frozen=True)
class Profile:
    """What one look at all the data tells: how many examples, and the labels that occur."""

    n_examples: int
    labels: np.ndarray
    first: tuple[Any, Tensor]


def profile(data: Data) -> Profile:
    """Read all data once and check them.

    Raises:
        UnsupportedInput: no examples, NaN or infinite inputs, or data that change from one reading to the next.
    """
    n, seen, first, bad = 0, set(), None, 0
    for x, y in data:
        if len(y) == 0:
            continue
        first = first or (x, y)
        n += len(y)
        seen.update(torch.unique(y).tolist())
        bad += _not_finite(x)
    if first is None:
        raise UnsupportedInput(f"The {data.name} data are empty.")
    if bad:
        raise UnsupportedInput(f"The {data.name} data hold NaN or infinite inputs in {bad} of {n} examples; remove or repair them.")
    again = next(iter(data))
    if not _same(first[0], again[0]) or not torch.equal(first[1], again[1]):
        raise UnsupportedInput(f"The {data.name} data change from one reading to the next (augmentation or shuffling); give them without it.")
    return Profile(n, np.array(sorted(seen)), first)


class _Arrays:
    """A pair of arrays as batches."""

    def __init__(self, x: Any, y: Any, *, name: str) -> None:
        self.x = x if isinstance(x, Mapping | tuple) else _tensor(x, f"{name} inputs")
        self.y = _tensor(y, f"{name} labels")
        length = len(next(iter(self.x.values()))) if isinstance(self.x, Mapping) else len(self.x[0]) if isinstance(self.x, tuple) else len(self.x)
        if self.y.ndim == 0 or length != len(self.y):
            raise UnsupportedInput(f"The {name} data have {length} inputs but {len(self.y) if self.y.ndim else 1} labels.")

    def __iter__(self) -> Iterator[tuple[Any, Tensor]]:
        for start in range(0, len(self.y), BATCH):
            part = slice(start, start + BATCH)
            yield _mapped(self.x, lambda value, part=part: value[part]), self.y[part]


def class_labels(y: Any, name: str) -> Tensor:
    """Integer class numbers ``[examples]``; ±1 becomes 0 and 1.

    Raises:
        UnsupportedInput: fractional, one-hot or negative labels.
    """
    y = torch.as_tensor(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise UnsupportedInput(
            f"The {name} labels have shape {tuple(y.shape)}; give one integer class number per example (for one-hot labels, their argmax)."
        )
    if y.is_floating_point():
        if not torch.equal(y, y.round()):
            raise UnsupportedInput(f"The {name} labels are fractional numbers; give integer class numbers from 0.")
        y = y.round()
    y = y.long()
    if len(y) and int(y.min()) < 0:
        if set(torch.unique(y).tolist()) <= {-1, 1}:
            return (y > 0).long()
        raise UnsupportedInput(f"The {name} labels contain {int(y.min())}; class numbers start at 0.")
    return y


def placed(x: Any, dtype: torch.dtype, device: torch.device) -> Any:
    """Inputs on the device, floats in the given type, integers as they are."""
    return _mapped(x, lambda value: _channels_last(value.to(device=device, dtype=dtype if value.is_floating_point() else None)))


def _channels_last(value: Tensor) -> Tensor:
    """Images in the memory order that convolutions are fastest in (twice as fast on a CPU); the values are the same."""
    return value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 and value.is_floating_point() else value


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(part, Tensor | np.ndarray) for part in value)


def _is_mapped_batch(batch: Any) -> bool:
    """Whether this is ``{"input_ids": …, "labels": …}`` of a whole batch."""
    return isinstance(batch, Mapping) and any(key in batch and np.ndim(batch[key]) >= 1 for key in LABELS)


def _pair(batch: Any) -> tuple[Any, Any]:
    if isinstance(batch, Mapping):
        key = next((key for key in LABELS if key in batch), None)
        if key is None:
            raise UnsupportedInput("The batches are mappings without a key labels, label, y or targets.")
        rest = {name: value for name, value in batch.items() if name != key}
        return (next(iter(rest.values())) if len(rest) == 1 and next(iter(rest)) in {"x", "image", "inputs"} else rest), batch[key]
    return batch[0] if len(batch) == 2 else tuple(batch[:-1]), batch[-1]


def _ordered(loader: DataLoader, name: str) -> tuple[Any, tuple[str, ...]]:
    if isinstance(loader.dataset, IterableDataset) or loader.batch_sampler is None:
        return loader, ()
    shuffles = isinstance(getattr(loader, "sampler", None), RandomSampler)
    plain = isinstance(getattr(loader, "sampler", None), SequentialSampler)
    if not shuffles and (not plain or not loader.drop_last):
        return loader, ()
    collate = loader.collate_fn or default_collate
    fresh = DataLoader(loader.dataset, batch_size=loader.batch_size or BATCH, shuffle=False, drop_last=False, collate_fn=collate)
    words = " and ".join(["shuffles"] * shuffles + ["drops the last batch"] * bool(loader.drop_last))
    return fresh, (f"the {name} loader {words}; its data set is read in order, all of it",)


def _tensor(value: Any, what: str) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach()
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(str(array.dtype))
        return torch.from_numpy(np.ascontiguousarray(array))
    except (TypeError, ValueError) as error:
        raise UnsupportedInput(f"The {what} are not an array of numbers ({error}).") from None


def _mapped(x: Any, change: Any) -> Any:
    if isinstance(x, Mapping):
        return {name: _mapped(value, change) for name, value in x.items()}
    if isinstance(x, tuple | list):
        return tuple(_mapped(value, change) for value in x)
    return change(torch.as_tensor(x))


def _leaves(x: Any) -> list[Tensor]:
    if isinstance(x, Mapping):
        return [leaf for value in x.values() for leaf in _leaves(value)]
    return [leaf for value in x for leaf in _leaves(value)] if isinstance(x, tuple) else [x]


def _not_finite(x: Any) -> int:
    return max(int((~torch.isfinite(leaf)).reshape(len(leaf), -1).any(1).sum()) if leaf.is_floating_point() else 0 for leaf in _leaves(x))


def _same(a: Any, b: Any) -> bool:
    return all(torch.equal(one, other) for one, other in zip(_leaves(a), _leaves(b), strict=True))
