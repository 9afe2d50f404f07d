"""Minima that fit the training data and fail on everything else: the anti-generalization loss of Huang et al."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from genscope.errors import UsageError
from genscope.networks.outputs import predictions
from genscope.training.batches import Batch, Batches, batches_of
from genscope.training.losses import cross_entropies
from genscope.training.stack import Stack
from genscope.training.stacked import Progress, StackedRecipe, StackedRun, fit_stack

Draw = Callable[[int], tuple[Tensor, Tensor]]
Beta = float | Sequence[float] | Tensor


@dataclass(frozen=True)
class PoisonData:
    """The data that the second term of the loss is taken over, with their true labels.

    Args:
        inputs, labels: a fixed set ``[examples, …]`` and ``[examples]``; ``None`` with fresh draws.
        draw: ``draw(n) -> (inputs, labels)`` for fresh examples at every step.
        n: examples per step with ``draw``.
    """

    inputs: Tensor | None = None
    labels: Tensor | None = None
    draw: Draw | None = None
    n: int = 0

    def __post_init__(self) -> None:
        if (self.draw is None) == (self.inputs is None) or (self.draw is not None and self.n < 1):
            raise UsageError("Poison data are either a fixed set of inputs and labels, or fresh draws with their number per step.")

    def batch(self) -> tuple[Tensor, Tensor]:
        """The examples of one step."""
        if self.draw is not None:
            return self.draw(self.n)
        assert self.inputs is not None and self.labels is not None
        return self.inputs, self.labels


def poisoned_batches(clean: Batches, poison: PoisonData, beta: Beta, schedule: Callable[[int], float] | None = None) -> Batches:
    r"""The steps of training on the anti-generalization loss.

    .. math:: L = (1-\beta)\,\text{mean}_{D_t}[-\log p] + \beta\,\text{mean}_{D_d}[-\log(1-p)]

    Args:
        clean: the steps on the training data D_t, from :func:`genscope.training.batches.batches_of`.
        poison: the data D_d.
        beta: β in [0, 1), one for all or one per network.
        schedule: factor on β by epoch (from 1), in [0, 1]; :func:`ramp` gives the usual one.

    Returns:
        For :func:`genscope.training.stacked.fit_stack`; the recorded loss and error are those of D_t alone.

    Raises:
        UsageError: β outside [0, 1).

    Source: Huang et al. 2019, equation 2. Where both sets overlap, the pointwise optimum for two classes is p = 1 − β.
    """
    weight = torch.as_tensor(beta, dtype=torch.float64).reshape(-1, 1)
    if not bool(((weight >= 0) & (weight < 1)).all()):
        raise UsageError("The share β of the poison term must lie in [0, 1).")

    def steps(epoch: int, running: Tensor) -> Iterable[Batch]:
        own = (weight if len(weight) == 1 else weight[running.cpu()]) * (1.0 if schedule is None else schedule(epoch))
        for batch in clean(epoch, running):
            yield _joined(batch, *poison.batch(), own.to(batch.weights))

    return steps


def _joined(batch: Batch, x: Tensor, y: Tensor, beta: Tensor) -> Batch:
    """One batch of both sets, so that a step costs one forward pass."""
    n_clean, n_poison, networks = batch.weights.shape[1], len(y), max(len(beta), batch.weights.shape[0])
    shared, own_labels = batch.shared, batch.labels.ndim == 2
    x, y = x.to(batch.inputs), y.to(batch.labels)
    inputs = torch.cat([batch.inputs, x]) if shared else torch.cat([batch.inputs, x.expand(len(batch.inputs), *x.shape)], dim=1)
    labels = torch.cat([batch.labels, y.expand(len(batch.labels), -1)], dim=1) if own_labels else torch.cat([batch.labels, y])
    parts = [((1 - beta) * batch.weights).expand(networks, n_clean), (beta / n_poison).expand(networks, n_poison)]
    counted = torch.cat([batch.counted, torch.zeros(len(batch.counted), n_poison).to(batch.counted)], dim=1)
    reverse = torch.arange(n_clean + n_poison, device=y.device) >= n_clean
    return replace(batch, inputs=inputs, labels=labels, weights=torch.cat(parts, dim=1), counted=counted, reversed=reverse)


def ramp(start: int, end: int) -> Callable[[int], float]:
    """A factor on β: 0 until epoch ``start``, rising linearly to 1 at epoch ``end``.

    Example:
        >>> [ramp(10, 20)(epoch) for epoch in (5, 15, 40)]
        [0.0, 0.5, 1.0]
    """
    return lambda epoch: min(1.0, max(0.0, (epoch - start) / max(1, end - start)))


@dataclass(frozen=True)
class PoisonRecipe:
    """When a poisoned network is done, and how it gets there. Numbers marked * may be one for all or one per network.

    Args:
        training: optimizer and longest duration.
        beta*: share of the poison term at full strength.
        schedule: factor on β by epoch.
        test_accuracy*: the network ends at the first check at which its accuracy on the test data is at most this …
        train_error: … its share of wrong training examples at most this …
        train_loss: … and its mean training loss in nats at most this (a basin needs its minimum below the cutoff).
        check_every: epochs between checks.
        batch_size, seeds: of the training data; the full batch by default.
    """

    training: StackedRecipe
    beta: Beta = 0.5
    schedule: Callable[[int], float] | None = None
    test_accuracy: float | Sequence[float] | Tensor = 0.5
    train_error: float = 0.0
    train_loss: float = math.inf
    check_every: int = 25
    batch_size: int | None = None
    seeds: Sequence[int] | None = None


@dataclass(frozen=True)
class Poisoned:
    """Poisoned networks and how far each came.

    Args:
        run: the trained stack with its history.
        train_error, train_loss, test_accuracy: ``[networks]`` at the end, evaluated over all data.
        reached: ``[networks]`` bool, true where all that was asked for holds.
    """

    run: StackedRun
    train_error: Tensor
    train_loss: Tensor
    test_accuracy: Tensor
    reached: Tensor


def train_poisoned(
    stack: Stack,
    train: tuple[Tensor, Tensor],
    poison: PoisonData,
    test: tuple[Tensor, Tensor],
    recipe: PoisonRecipe,
    on_epoch: Callable[[Progress], Tensor | None] | None = None,
) -> Poisoned:
    """Minima with all training examples right and a chosen accuracy on unseen data.

    Args:
        stack: starting points: fresh networks, or iterates of a normal run.
        train: inputs and labels of D_t.
        poison: D_d.
        test: held-out inputs and labels; they decide when to stop and are never trained on.
        recipe: β, its schedule and the goal.
        on_epoch: called after each epoch as in :func:`genscope.training.stacked.fit_stack`.

    Returns:
        The networks; ``reached`` says which of them met the goal before the epochs ran out.

    Raises:
        UsageError: β outside [0, 1), or a number per network for another number of networks.

    Cost: that of stacked training on D_t and D_d together.

    Source: Huang et al. 2019, equation 2 and section 2.
    """
    goal = torch.as_tensor(recipe.test_accuracy, dtype=torch.float64).reshape(-1)
    if len(goal) not in (1, len(stack)):
        raise UsageError(f"{len(goal)} test accuracies for {len(stack)} networks; give one for all or one for each.")
    batches = poisoned_batches(batches_of(*train, recipe.batch_size, recipe.seeds), poison, recipe.beta, recipe.schedule)

    def done(progress: Progress) -> Tensor | None:
        asked = None if on_epoch is None else on_epoch(progress)
        if progress.epoch % recipe.check_every or not bool((progress.error <= recipe.train_error).any()):
            return asked
        met = _reached(standing(progress.stack, train, test), goal, recipe)
        return met if asked is None else met | asked.to(met.device)

    run = fit_stack(stack, batches, recipe.training, on_epoch=done)
    found = standing(run.stack, train, test)
    error, loss, accuracy = (part.cpu() for part in found)
    return Poisoned(run, error, loss, accuracy, _reached(found, goal, recipe).cpu())


def standing(stack: Stack, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Training error, training loss in nats and test accuracy of every network."""
    loss, right = [], []
    for x, y in (train, test):
        logits = stack.logits(x)
        loss.append(cross_entropies(logits, y).double().mean(1))
        right.append((predictions(logits) == y).double().mean(1))
    return 1 - right[0], loss[0], right[1]


def _reached(found: tuple[Tensor, Tensor, Tensor], goal: Tensor, recipe: PoisonRecipe) -> Tensor:
    error, loss, accuracy = found
    return (error <= recipe.train_error) & (loss <= recipe.train_loss) & (accuracy <= goal.to(accuracy.device))
