"""The small training loop: seeded, on one device, no global random state."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Recipe:
    """How a small network is trained: Adam, or SGD where a momentum is given, on shuffled mini-batches with cross-entropy.

    Args:
        epochs: passes over the data at most.
        learning_rate, weight_decay, batch_size: of the optimizer.
        stop_at_loss: end when the mean training loss of an epoch falls below this.
        seed: of initial weights and of the order of examples.
        momentum: of SGD; ``None`` for Adam.
    """

    epochs: int = 100
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    batch_size: int = 64
    stop_at_loss: float = 0.0
    seed: int = 0
    momentum: float | None = None

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """A fresh optimizer for the parameters of ``model``."""
        if self.momentum is None:
            return torch.optim.Adam(model.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        return torch.optim.SGD(model.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, momentum=self.momentum)


def initialize(model: nn.Module, generator: torch.Generator, scale: float = 1.0) -> nn.Module:
    """Draw He-normal weights times ``scale`` and zero biases from ``generator``; normalization layers start as the identity."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                fan_in = parameter[0].numel()
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * (scale * math.sqrt(2.0 / fan_in)))
        for module in model.modules():
            bias = getattr(module, "bias", None)
            if isinstance(bias, Tensor) and isinstance(module, nn.Linear | nn.Conv2d):
                bias.zero_()
    return model


def shuffled_batches(n: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Index tensors of one epoch in random order; the last batch may be smaller."""
    return iter(torch.randperm(n, generator=generator).split(size))


def fit(model: nn.Module, inputs: Tensor, labels: Tensor, recipe: Recipe, *, on_epoch: Callable[[int, float], None] | None = None) -> int:
    """Train ``model`` in place and return the number of epochs run.

    Args:
        model: maps ``inputs`` to logits [examples, classes].
        inputs: [examples, …] float; labels: [examples] int64.
        recipe: the schedule.
        on_epoch: called with (epoch, mean training loss of the epoch).
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    optimizer = recipe.optimizer(model)
    model.train()
    for epoch in range(1, recipe.epochs + 1):
        total = 0.0
        for picks in shuffled_batches(len(inputs), recipe.batch_size, generator):
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(model(inputs[picks]), labels[picks])
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(picks)
        mean = total / len(inputs)
        if on_epoch:
            on_epoch(epoch, mean)
        if mean < recipe.stop_at_loss:
            return epoch
    return recipe.epochs


@torch.no_grad()
def error_and_loss(model: nn.Module, inputs: Tensor, labels: Tensor) -> tuple[float, float]:
    """Share of wrong answers and mean cross-entropy, in evaluation mode; the model's mode is given back."""
    was_training = model.training
    model.eval()
    logits = model(inputs)
    model.train(was_training)
    return float((logits.argmax(1) != labels).double().mean()), float(F.cross_entropy(logits.double(), labels))
