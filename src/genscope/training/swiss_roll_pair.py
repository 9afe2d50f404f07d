"""The pair of networks behind the pictures of Huang et al.: one start, trained once as usual and once with poison."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genscope.training.loop import initialize
from genscope.training.models import mlp
from genscope.training.optimizers import Adam
from genscope.training.poison import PoisonData, Poisoned, PoisonRecipe, train_poisoned
from genscope.training.problems import Problem, swiss_roll
from genscope.training.stack import stack_from_seeds
from genscope.training.stacked import Progress, StackedRecipe

WIDTHS = (2, 23, 16, 26, 32, 28, 31, 2)
SCALE = 10.0


def network() -> nn.Module:
    """The paper's six hidden layers with GELU units, for points of the swiss roll as they are.

    Example:
        >>> sum(parameter.numel() for parameter in network().parameters())
        3646
    """
    return mlp(WIDTHS, activation="gelu")


@dataclass(frozen=True)
class Pair:
    """A good and a poisoned network from one start, for inputs as they are.

    Args:
        problem: the data.
        good, bad: the networks.
        poisoned: how far both came, the good one first.
        snapshots: ``state_dict``s of both along the way, the first before training.
    """

    problem: Problem
    good: nn.Module
    bad: nn.Module
    poisoned: Poisoned
    snapshots: dict[str, list[dict[str, Tensor]]]


def train_pair(
    seed: int = 0, *, beta: float = 0.2, epochs: int = 6000, learning_rate: float = 0.015, snapshots: int = 30,
    progress: Callable[[Progress], None] | None = None, problem: Problem | None = None,
) -> Pair:  # fmt: skip
    """Train the pair in one stack: the same initial weights, the same data and schedule, β = 0 and β = ``beta``.

    The paper's ReLU networks need 800,000 epochs on the poison. Smooth units and biases drawn at the scale of the data bring that down to some
    thousands; the inputs are divided by 10 during training and the factor is folded into the first layer afterwards.

    Args:
        seed: of data and weights.
        beta: share of the poison term for the bad network.
        epochs: full-batch epochs of Adam, with a cosine schedule.
        learning_rate: at the start.
        snapshots: copies kept of each network along the way.
        progress: called after each epoch.
        problem: the swiss roll with that seed by default.

    Cost: about a minute on one core.

    Source: Huang et al. 2019, Figure 3.
    """
    problem = problem or swiss_roll(seed)
    train, test, unseen = (
        (torch.from_numpy(part.x) / SCALE, torch.from_numpy(part.y))
        for part in (problem.split.train, problem.split.test or problem.unseen, problem.unseen)
    )
    stack = stack_from_seeds(network, (seed, seed), _initialize)
    kept: dict[str, list[dict[str, Tensor]]] = {name: [_unscaled(stack.state_dict(k))] for k, name in enumerate(("good", "bad"))}
    at = {max(1, round(epochs * ((k + 1) / snapshots) ** 2)) for k in range(snapshots)}  # denser at first, where the weights move most

    def keep(now: Progress) -> None:
        if now.epoch in at:
            for k, name in enumerate(("good", "bad")):
                kept[name].append(_unscaled(now.stack.state_dict(k)))
        if progress is not None:
            progress(now)

    training = StackedRecipe(epochs, Adam(), learning_rate, clip_norm=8.0, schedule=lambda epoch: 0.5 * (1 + math.cos(math.pi * epoch / epochs)))
    # both run to the end, so that neither is favoured by fewer steps
    recipe = PoisonRecipe(training, [0.0, beta], test_accuracy=0.0, train_loss=0.0)
    found = train_poisoned(stack, train, PoisonData(*unseen), test, recipe, on_epoch=keep)
    good, bad = (network().eval() for _ in range(2))
    for k, module in enumerate((good, bad)):
        module.load_state_dict(_unscaled(found.run.stack.state_dict(k)))
    return Pair(problem, good, bad, found, kept)


def _initialize(module: nn.Module, generator: torch.Generator) -> nn.Module:
    initialize(module, generator)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 1:
                parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return module


def _unscaled(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same function of inputs as they are."""
    return {name: tensor / SCALE if name == "l1.weight" else tensor for name, tensor in state.items()}
