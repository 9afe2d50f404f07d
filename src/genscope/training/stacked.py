"""Training many networks of one architecture at once; each ends with the numbers that it would have alone."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from genscope.errors import UsageError
from genscope.networks.outputs import two_logits
from genscope.training.batches import Batch, Batches
from genscope.training.losses import cross_entropies, reverse_cross_entropies
from genscope.training.optimizers import Adam, Optimizer, State
from genscope.training.stack import Stack

PerNetwork = float | Sequence[float] | Tensor


@dataclass(frozen=True)
class StackedRecipe:
    """How a stack is trained. Numbers marked * may be one for all or one per network.

    Args:
        epochs: passes over the data at most.
        optimizer: ``SGD``, ``Adam`` or ``RMSprop`` of :mod:`genscope.training.optimizers`.
        learning_rate*: of the optimizer.
        weight_decay*: λ added as λθ to the gradient.
        decay_biases: whether one-dimensional parameters decay too.
        clip_norm: largest Euclidean norm of a network's gradient; ``None`` for no limit.
        schedule: factor on the learning rate by epoch (from 1).
        stop_at_loss, stop_at_error: a network ends when an epoch's mean training loss is below the first, or its training error at most the second.
    """

    epochs: int = 100
    optimizer: Optimizer = field(default_factory=Adam)
    learning_rate: PerNetwork = 1e-3
    weight_decay: PerNetwork = 0.0
    decay_biases: bool = True
    clip_norm: float | None = None
    schedule: Callable[[int], float] | None = None
    stop_at_loss: float = 0.0
    stop_at_error: float | None = None


@dataclass(frozen=True)
class Progress:
    """Handed to ``on_epoch``.

    Args:
        epoch: from 1.
        stack: all networks as they are now; a view, to be copied (``stack.rows``) when kept.
        loss, error: ``[networks]`` mean loss and share of wrong training examples during the epoch.
        running: ``[networks]`` bool, false for networks that have ended.
    """

    epoch: int
    stack: Stack
    loss: Tensor
    error: Tensor
    running: Tensor


@dataclass(frozen=True)
class StackedRun:
    """A trained stack.

    Args:
        stack: the networks at their end.
        loss, error: ``[epochs, networks]`` per epoch; after its end a network keeps its last number.
        epochs: ``[networks]`` epochs run.
    """

    stack: Stack
    loss: Tensor
    error: Tensor
    epochs: Tensor


def fit_stack(stack: Stack, batches: Batches, recipe: StackedRecipe, *, on_epoch: Callable[[Progress], Tensor | None] | None = None) -> StackedRun:
    """Train a copy of ``stack``; every network ends as if it had been trained alone with its own seed, rate and data.

    Args:
        stack: the starting points; it is not changed.
        batches: the steps of an epoch, from :func:`genscope.training.batches.batches_of` or :func:`genscope.training.poison.poisoned_batches`.
        recipe: optimizer and schedule.
        on_epoch: called after each epoch; may return ``[networks]`` bool, true for networks that shall end here.

    Returns:
        Networks, losses in nats, errors as shares.

    Raises:
        UsageError: a number per network for another number of networks.

    Cost: one forward and backward pass of all running networks per step; networks that have ended cost nothing.

    Example:
        >>> from genscope.training.batches import batches_of
        >>> from genscope.training.models import mlp
        >>> from genscope.training.stack import stack_from_seeds
        >>> x = torch.tensor([[-1.0], [1.0]])
        >>> stack = stack_from_seeds(lambda: mlp((1, 8, 2)), range(3))
        >>> run = fit_stack(stack, batches_of(x, torch.tensor([0, 1])), StackedRecipe(50, learning_rate=0.1))
        >>> bool((run.error[-1] == 0).all())
        True
    """
    whole = stack.rows(torch.arange(len(stack), device=stack.flat.device))
    n, flat = len(whole), whole.flat
    rates, decays = _column(recipe.learning_rate, flat, "learning rates"), _column(recipe.weight_decay, flat, "weight decays")
    running, live, state = torch.arange(n, device=flat.device), whole, recipe.optimizer.init(flat)
    history, epochs = _History(n, flat), torch.zeros(n, dtype=torch.int64)
    for epoch in range(1, recipe.epochs + 1):
        factor = recipe.schedule(epoch) if recipe.schedule is not None else 1.0
        loss, error = _epoch(live, state, batches(epoch, running), recipe, rates[running] * factor, decays[running])
        if live is not whole:
            _write_back(whole, live, running)
        epochs[running.cpu()] = epoch
        history.add(running, loss, error)
        ended = loss < recipe.stop_at_loss
        if recipe.stop_at_error is not None:
            ended |= error <= recipe.stop_at_error
        if on_epoch is not None:
            mask = torch.zeros(n, dtype=torch.bool, device=flat.device).index_fill_(0, running, True)
            asked = on_epoch(Progress(epoch, whole, history.loss[-1], history.error[-1], mask))
            ended = ended if asked is None else ended | asked.to(flat.device)[running]
        if bool(ended.any()):
            keep = (~ended).nonzero().squeeze(1)
            running, live, state = running[keep], live.rows(keep), {name: tensor[keep] for name, tensor in state.items()}
            if not len(running):
                break
    return StackedRun(whole, *history.tables(), epochs)


def _column(value: PerNetwork, flat: Tensor, what: str) -> Tensor:
    """One number per network as ``[networks, 1]``."""
    column = torch.as_tensor(value, dtype=flat.dtype, device=flat.device).reshape(-1, 1)
    if len(column) not in (1, len(flat)):
        raise UsageError(f"{len(column)} {what} for {len(flat)} networks; give one for all or one for each.")
    return column.expand(len(flat), 1).contiguous()


def _write_back(whole: Stack, live: Stack, running: Tensor) -> None:
    whole.flat[running] = live.flat
    for name, tensor in whole.buffers.items():
        tensor[running] = live.buffers[name]


class _History:
    """Loss and error per epoch; a network that has ended keeps its last number."""

    def __init__(self, n: int, like: Tensor) -> None:
        self.loss: list[Tensor] = []
        self.error: list[Tensor] = []
        self._blank = torch.zeros(n, dtype=like.dtype, device=like.device)

    def add(self, running: Tensor, loss: Tensor, error: Tensor) -> None:
        for table, new in ((self.loss, loss), (self.error, error)):
            row = new if len(running) == len(self._blank) else (table[-1] if table else self._blank).clone()
            if row is not new:
                row[running] = new
            table.append(row)

    def tables(self) -> tuple[Tensor, Tensor]:
        empty = self._blank[None][:0]
        return (torch.stack(self.loss) if self.loss else empty).cpu(), (torch.stack(self.error) if self.error else empty).cpu()


def _epoch(live: Stack, state: State, steps: Iterable[Batch], recipe: StackedRecipe, rate: Tensor, decay: Tensor) -> tuple[Tensor, Tensor]:
    """Every step of one epoch, in place; mean loss and share of wrong counted examples per network."""
    loss = torch.zeros(len(live), dtype=live.flat.dtype, device=live.flat.device)
    error = torch.zeros_like(loss)
    decay = decay * _decaying(live, recipe.decay_biases) if bool((decay != 0).any()) else decay[:0]
    for batch in steps:
        gradient, batch_loss, batch_error = _gradient(live, batch)
        if decay.numel():
            gradient.addcmul_(decay, live.flat)
        if recipe.clip_norm is not None:
            gradient.mul_((recipe.clip_norm / (gradient.norm(dim=1, keepdim=True) + 1e-6)).clamp_max(1.0))
        _move(live, gradient, state, recipe.optimizer, rate, batch)
        loss += batch_loss if batch.share is None else batch_loss * batch.share
        error += batch_error if batch.share is None else batch_error * batch.share
    return loss, error


def _decaying(live: Stack, biases: bool) -> Tensor:
    """A row of ones, with zeros at one-dimensional parameters unless ``biases``."""
    layout = live.architecture.layout
    parts = [torch.full((size,), float(biases or len(shape) > 1)) for size, shape in zip(layout.sizes, layout.shapes, strict=True)]
    return torch.cat(parts).to(live.flat)


def _gradient(live: Stack, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient ``[networks, params]`` of the objective, and the mean loss and error of the counted examples."""
    flat = live.flat.detach().requires_grad_()
    logits = two_logits(live.architecture.logits(flat, live.buffers, batch.inputs, batch.shared))
    plain = cross_entropies(logits, batch.labels)
    each = plain if batch.reversed is None else torch.where(batch.reversed, reverse_cross_entropies(logits, batch.labels), plain)
    # networks do not see each other, so the gradient of the sum is every network's own gradient
    (gradient,) = torch.autograd.grad((each * batch.weights).sum(), flat)
    with torch.no_grad():
        share = batch.counted / batch.counted.sum(1, keepdim=True).clamp_min(1.0)
        return gradient, (plain * share).sum(1), ((logits.argmax(-1) != batch.labels) * share).sum(1)


def _move(live: Stack, gradient: Tensor, state: State, optimizer: Optimizer, rate: Tensor, batch: Batch) -> None:
    """One step of the optimizer; networks whose epoch is already over (fewer examples than others) stay as they are."""
    over = None if batch.share is None else (batch.share == 0).nonzero().squeeze(1)
    if over is None or not len(over):
        optimizer.step(live.flat, gradient, state, rate)
        return
    kept = {name: tensor[over] for name, tensor in state.items()}
    before = live.flat[over]
    optimizer.step(live.flat, gradient, state, rate)
    live.flat[over] = before
    for name, tensor in kept.items():
        state[name][over] = tensor
