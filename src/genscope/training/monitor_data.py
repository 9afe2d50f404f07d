"""A network in training on whole data sets: in evaluation mode, on a private copy of its structure, with no trace left behind."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genscope.errors import UnsupportedInput
from genscope.networks.functional import wrap_module
from genscope.training.monitor_outputs import Examples, examples_of, joined
from genscope.training.monitor_scale import plain_module

BATCH = 1024


@torch.no_grad()
def examined(model: nn.Module, data: Any, loss: str, log_scale: float | None) -> Examples | None:
    """Losses and margins of every example of ``data``.

    Args:
        model: the module; its mode, buffers and the global random state stay as they are.
        data: a mapping with ``logits`` and ``targets``; a pair ``(inputs, targets)`` of tensors; or batches ``(inputs, targets)``.
        loss: name of the loss.
        log_scale: ``ln ρ``.

    Raises:
        UnsupportedInput: data of another kind.
    """
    if isinstance(data, Mapping) and "logits" in data and "targets" in data:
        return joined([examples_of(data["logits"], data["targets"], loss, log_scale)])
    network = wrap_module(plain_module(model))
    with torch.random.fork_rng(devices=[]):  # a DataLoader draws from the global generator on every pass
        parts = [examples_of(network(_moved(x, network.device)), y, loss, log_scale) for x, y in batches_of(data)]
    return joined(parts)


def batches_of(data: Any) -> Iterator[tuple[Any, Tensor]]:
    """Pairs ``(inputs, targets)`` from a pair of tensors, or from anything that gives such batches."""
    if isinstance(data, tuple | list) and len(data) == 2 and all(isinstance(part, Tensor) for part in data):
        if len(data[0]) != len(data[1]):
            raise UnsupportedInput(f"There are {len(data[0])} inputs and {len(data[1])} targets; each input needs one.")
        yield from zip(data[0].split(BATCH), data[1].split(BATCH), strict=True)
        return
    if isinstance(data, Mapping) or not hasattr(data, "__iter__"):
        raise UnsupportedInput(f"Data are a pair (inputs, targets), a DataLoader, or a mapping with logits and targets, not {type(data).__name__}.")
    for batch in data:
        yield split_batch(batch)


def split_batch(batch: Any) -> tuple[Any, Tensor]:
    """Inputs and targets of one batch: a pair, or a mapping with ``labels`` (or ``label``, ``targets``, ``target``, ``y``).

    Raises:
        UnsupportedInput: neither.
    """
    if isinstance(batch, Mapping):
        key = next((name for name in ("labels", "label", "targets", "target", "y") if isinstance(batch.get(name), Tensor)), None)
        if key is not None:
            return {name: value for name, value in batch.items() if name != key}, batch[key]
    elif isinstance(batch, tuple | list) and len(batch) >= 2 and isinstance(batch[-1], Tensor):
        return (batch[0] if len(batch) == 2 else tuple(batch[:-1])), batch[-1]
    raise UnsupportedInput("A batch is a pair (inputs, targets) or a mapping with labels; give logits and targets instead.")


def _moved(x: Any, device: torch.device) -> Any:
    if isinstance(x, Tensor):
        return x.to(device)
    if isinstance(x, Mapping):
        return {key: _moved(value, device) for key, value in x.items()}
    return tuple(_moved(value, device) for value in x) if isinstance(x, tuple | list) else x
