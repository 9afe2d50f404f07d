"""Train small networks on noisy digits plainly and with each training aid, and see what the aid changes. No download; about a minute on two cores.

Usage: python examples/training_aids.py [SEEDS] [EPOCHS]
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import genscope
from genscope.cli.output import console
from genscope.core.seeds import generator_for
from genscope.numerics.few_seeds import mean_over_seeds
from genscope.training.loop import error_and_loss, initialize, shuffled_batches
from genscope.training.models import mlp
from genscope.training.sharpness_aware import SharpnessAware
from genscope.training.spectral_penalties import AlphaHatPenalty, stable_rank_penalty, weight_matrices
from genscope.training.unit_norm import UnitNorm, unit_layers
from genscope.training.weight_normalization import normalize_weights, restore_weights
from genscope.training.zoo import corrupt, load_digits

NOISE = 0.3  # share of training labels that are random: without noise every aid is right on all but two percent
RATE = 0.05
MEASURES = ("test error", "train error", "stable rank", "alpha-hat", "sharpness")


@dataclass
class Aid:
    """A model and how one step on a batch is taken; ``finish`` gives a plain model of the same function."""

    model: nn.Module
    step: Callable[[Tensor, Tensor], None]
    finish: Callable[[], None] = lambda: None


def descend(loss: Callable[[Tensor, Tensor], Tensor], optimizer: torch.optim.Optimizer | UnitNorm) -> Callable[[Tensor, Tensor], None]:
    def step(x: Tensor, y: Tensor) -> None:
        optimizer.zero_grad()
        loss(x, y).backward()
        optimizer.step()

    return step


def sgd(model: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)


def plain(model: nn.Module) -> Aid:
    return Aid(model, descend(lambda x, y: F.cross_entropy(model(x), y), sgd(model)))


def weight_normalization(model: nn.Module) -> Aid:
    normalize_weights(model, per="layer")
    return Aid(model, plain(model).step, lambda: restore_weights(model))


def unit_spheres(model: nn.Module) -> Aid:
    matrices, rho = unit_layers(model)
    # a direction moves as in the plain run when its rate is divided by the square of the layer's norm
    rates = [{"params": [one], "lr": RATE / float(one.detach().norm()) ** 2} for one in matrices]
    optimizer = UnitNorm(torch.optim.SGD(rates, momentum=0.9), matrices)

    def finish() -> None:
        with torch.no_grad():
            matrices[-1].mul_(rho)

    return Aid(model, descend(lambda x, y: F.cross_entropy(rho * model(x), y), optimizer), finish)


def penalized(penalty: Callable[[list[Tensor]], Tensor], weight: float) -> Callable[[nn.Module], Aid]:
    def build(model: nn.Module) -> Aid:
        return Aid(model, descend(lambda x, y: F.cross_entropy(model(x), y) + weight * penalty(weight_matrices(model)), sgd(model)))

    return build


def sharpness_aware(rho: float, adaptive: bool) -> Callable[[nn.Module], Aid]:
    def build(model: nn.Module) -> Aid:
        sam = SharpnessAware(model, sgd(model), rho, adaptive=adaptive)
        return Aid(model, lambda x, y: sam.step(lambda: F.cross_entropy(model(x), y)) and None)

    return build


AIDS: dict[str, Callable[[], Callable[[nn.Module], Aid]]] = {
    "plain": lambda: plain,
    "weight normalization": lambda: weight_normalization,
    "unit spheres": lambda: unit_spheres,
    "stable rank, 0.02": lambda: penalized(stable_rank_penalty, 0.02),
    "alpha-hat, 0.05": lambda: penalized(AlphaHatPenalty(refit_every=20), 0.05),
    "SAM, 0.1": lambda: sharpness_aware(0.1, False),
    "ASAM, 1": lambda: sharpness_aware(1.0, True),
}


def train(aid: str, seed: int, epochs: int) -> list[float]:
    """The measures of one network, in the order of MEASURES."""
    digits = load_digits(seed)
    labels = corrupt(digits.train_labels, NOISE, generator_for(seed, "digits", "noise"))
    built = AIDS[aid]()(initialize(mlp((64, 128, 128, 10), bias=False), torch.Generator().manual_seed(seed)))
    order = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for picks in shuffled_batches(len(labels), 50, order):
            built.step(digits.train_inputs[picks], labels[picks])
    built.finish()
    test_error, _ = error_and_loss(built.model, digits.test_inputs, digits.test_labels)
    train_error, _ = error_and_loss(built.model, digits.train_inputs, labels)
    state = {name: value.detach().numpy() for name, value in built.model.state_dict().items()}
    weights = genscope.analyze(state, resamples=0).summary
    found = genscope.assess(built.model, (digits.train_inputs, labels), measures=["adaptive_sharpness"], budget="fast", seed=seed)
    return [test_error, train_error, weights["stable_rank"], weights["alpha_weighted"], found.rows[0]["value"]]


def main(n_seeds: int, epochs: int) -> None:
    screen = console()
    screen.width = max(screen.width, 100)
    screen.print(f"{n_seeds} seeds, {epochs} epochs, {NOISE:.0%} of the training labels random; mean ± half of its 95 % interval (Student)")
    screen.print("differences to plain are paired by seed; * where their interval leaves out zero")
    screen.print(f"{'':21s}" + "".join(f"{name:>15s}" for name in MEASURES))
    reference = np.zeros((n_seeds, len(MEASURES)))
    for aid in AIDS:
        values = np.array([train(aid, seed, epochs) for seed in range(n_seeds)], dtype=np.float64)
        reference = values if aid == "plain" else reference
        screen.print(f"{aid:21s}" + "".join(f"{cell(values[:, place], reference[:, place]):>15s}" for place in range(len(MEASURES))))


def cell(values: np.ndarray, reference: np.ndarray) -> str:
    found, moved = (mean_over_seeds(one, np.random.default_rng(0)) for one in (values, values - reference))
    if found is None or found.low is None or found.high is None:
        return "–" if found is None else f"{found.mean:.3g}"
    clear = moved is not None and moved.low is not None and moved.high is not None and (moved.low > 0 or moved.high < 0)
    return f"{found.mean:#.3g} ±{found.high - found.mean:.1g}{'*' if clear else ' '}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*(int(text) for text in (*sys.argv[1:3], *("5", "40")[len(sys.argv[1:3]) :])))
