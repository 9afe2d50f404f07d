"""What each step of stacked training sees: full batches, or mini-batches in an order of each network's own."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genscope.errors import UsageError


@dataclass(frozen=True)
class Batch:
    """What one step sees; the objective of a network is Σ weights · loss over the examples.

    Args:
        inputs: ``[examples, …]``, or ``[networks, examples, …]`` when not ``shared``.
        labels: ``[examples]`` or ``[networks, examples]`` int64.
        weights: ``[1 or networks, examples]``; 0 leaves an example out.
        counted: ``[1 or networks, examples]`` float, 1 where an example counts in the recorded error and loss (training data).
        shared: whether all networks see the same inputs.
        reversed: ``[examples]`` bool, true where −log(1 − p) replaces −log p; ``None`` where that is nowhere.
        share: ``[networks]`` part of the epoch that this batch is; ``None`` for a full batch.
    """

    inputs: Tensor
    labels: Tensor
    weights: Tensor
    counted: Tensor
    shared: bool = True
    reversed: Tensor | None = None
    share: Tensor | None = None


# (epoch from 1, indices of the networks still in training) -> the steps of the epoch
Batches = Callable[[int, Tensor], Iterable[Batch]]


def batches_of(
    inputs: Tensor,
    labels: Tensor,
    batch_size: int | None = None,
    seeds: Sequence[int] | None = None,
    members: Tensor | None = None,
) -> Batches:
    """Full batches, or shuffled mini-batches in an order of each network's own.

    Args:
        inputs: ``[examples, …]``, shared by all networks.
        labels: ``[examples]``, or ``[networks, examples]`` for labels of their own.
        batch_size: examples per step; ``None`` for the full batch.
        seeds: of the order, one per network; needed with ``batch_size``.
        members: ``[networks, examples]`` bool, the examples that each network is trained on; all by default.

    Raises:
        UsageError: mini-batches without seeds, or a network without examples.
    """
    if members is not None and not bool(members.any(1).all()):
        raise UsageError("Every network of a stack needs at least one training example.")
    if batch_size is None:
        return _full_batches(inputs, labels, members)
    if seeds is None:
        raise UsageError("Mini-batches need one seed per network for the order of examples.")
    return _mini_batches(inputs, labels, batch_size, [torch.Generator().manual_seed(seed) for seed in seeds], members)


def _float_of(inputs: Tensor) -> torch.dtype:
    """The precision of weights that multiply losses: that of the inputs, or single for tokens."""
    return inputs.dtype if inputs.is_floating_point() else torch.float32


def _full_batches(inputs: Tensor, labels: Tensor, members: Tensor | None) -> Batches:
    counted = (torch.ones(1, len(inputs)) if members is None else members).to(inputs.device, _float_of(inputs))

    def steps(epoch: int, running: Tensor) -> list[Batch]:  # noqa: ARG001
        here = counted if members is None else counted[running]
        own = labels if labels.ndim == 1 else labels[running]
        return [Batch(inputs, own, here / here.sum(1, keepdim=True), here)]

    return steps


def _mini_batches(inputs: Tensor, labels: Tensor, size: int, generators: Sequence[torch.Generator], members: Tensor | None) -> Batches:
    every = torch.arange(len(inputs))
    pools = [
        every if members is None else row.nonzero().squeeze(1)
        for row in (members.cpu() if members is not None else every.expand(len(generators), -1))
    ]

    def steps(epoch: int, running: Tensor) -> Iterable[Batch]:  # noqa: ARG001
        networks = running.tolist()
        orders = [pools[i][torch.randperm(len(pools[i]), generator=generators[i])] for i in networks]
        picks = torch.nn.utils.rnn.pad_sequence(orders, batch_first=True, padding_value=-1).to(inputs.device)
        totals = (picks >= 0).sum(1)
        own = labels if labels.ndim == 1 else labels[running]
        for part in picks.split(size, dim=1):
            real = (part >= 0).to(_float_of(inputs))
            part = part.clamp_min(0)
            count = real.sum(1, keepdim=True)
            chosen = own[part] if own.ndim == 1 else own.gather(1, part)
            yield Batch(inputs[part], chosen, real / count.clamp_min(1.0), real, shared=False, share=count.squeeze(1) / totals)

    return steps
