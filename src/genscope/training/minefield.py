"""The minefield of Huang et al.: poisoned minima next to every tenth iterate of a normal run."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from genscope.training.batches import batches_of
from genscope.training.poison import PoisonData, Poisoned, PoisonRecipe, train_poisoned
from genscope.training.stack import Stack
from genscope.training.stacked import Progress, StackedRecipe, StackedRun, fit_stack


@dataclass(frozen=True)
class Minefield:
    """A normal run, and the bad minima found from its iterates.

    Args:
        good: the normal run.
        iterates: ``[points, params]`` of the run at ``epochs``, the first of each stride.
        epochs: ``[points]``.
        bad: poisoned networks, one per iterate.
    """

    good: StackedRun
    iterates: Tensor
    epochs: Tensor
    bad: Poisoned

    @property
    def distances(self) -> Tensor:
        """``[points]`` Euclidean distance in parameters from each iterate to its bad minimum."""
        return (self.bad.run.stack.flat.double() - self.iterates.double()).norm(dim=1).cpu()

    @property
    def step_lengths(self) -> Tensor:
        """``[points − 1]`` Euclidean distance between successive iterates."""
        return self.iterates.double().diff(dim=0).norm(dim=1).cpu()


def minefield(
    start: Stack,
    train: tuple[Tensor, Tensor],
    poison: PoisonData,
    test: tuple[Tensor, Tensor],
    good: StackedRecipe,
    bad: PoisonRecipe,
    *,
    every: int = 10,
    batch_size: int | None = None,
    seed: int = 0,
) -> Minefield:
    """Train one network, and poison it from its iterate after epochs 1, 1 + ``every``, 1 + 2 ``every`` … all at once.

    Args:
        start: a stack of one network.
        train, poison, test: as in :func:`genscope.training.poison.train_poisoned`.
        good: recipe of the normal run.
        bad: recipe of the poisoned runs.
        every: epochs between starting points.
        batch_size, seed: mini-batches of the normal run; the full batch by default.

    Returns:
        The runs; ``bad.reached`` says which poisoned networks met their goal.

    Cost: one normal run, and one stacked run of as many networks as there are starting points.

    Source: Huang et al. 2019, Figure 1 (RMSprop for both; weight decay for the normal run only, as released).
    """
    kept: list[Tensor] = []
    epochs: list[int] = []

    def keep(progress: Progress) -> None:
        if (progress.epoch - 1) % every == 0:
            kept.append(progress.stack.flat[0].clone())
            epochs.append(progress.epoch)

    run = fit_stack(start, batches_of(*train, batch_size, [seed]), good, on_epoch=keep)
    iterates = torch.stack(kept)
    buffers = {name: tensor.expand(len(iterates), *tensor.shape[1:]).clone() for name, tensor in run.stack.buffers.items()}
    poisoned = train_poisoned(replace(start, flat=iterates.clone(), buffers=buffers), train, poison, test, bad)
    return Minefield(run, iterates, torch.tensor(epochs), poisoned)
