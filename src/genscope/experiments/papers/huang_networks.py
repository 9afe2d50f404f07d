"""Huang et al.: good and poisoned networks on the swiss roll and on digits, trained as stacks and measured one by one."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.experiments.values import Cell, Family, Outcome, Size

if TYPE_CHECKING:
    from torch import Tensor, nn

    from genscope.experiments.context import Context
    from genscope.training.poison import PoisonData

    Pair = tuple[Tensor, Tensor]

# β rises from epoch 100 to 400 and falls to 0.3 of itself for the last quarter, so that the training loss ends below the cutoffs of the basin
BRIEF = {"drops": [[0.6, 0.3], [0.85, 0.1]], "rise": [100, 400], "fall": [0.75, 0.3], "clip": 8.0, "batch_size": None}
SWISS: dict[str, dict[str, Any]] = {
    "smoke": {**BRIEF, "widths": [2, 16, 16, 16, 1], "epochs": 400, "rate": 1e-2, "directions": 8, "map": 16, "rise": [20, 80]},
    "small": {**BRIEF, "widths": [2, 23, 16, 26, 32, 28, 31, 1], "epochs": 3500, "rate": 5e-3, "directions": 96, "map": 64},
    "full": {
        "widths": [2, 23, 16, 26, 32, 28, 31, 1], "epochs": 800_000, "rate": 0.0057945, "drops": [[3000, 0.1], [5961, 0.01]], "rise": [0, 15_000],
        "fall": [1.0, 1.0], "clip": 8.0, "batch_size": None, "directions": 3000, "map": 400,
    },
}  # fmt: skip
DIGITS: dict[str, dict[str, Any]] = {
    "smoke": {**BRIEF, "widths": [64, 32, 10], "epochs": 60, "rate": 1e-2, "directions": 12, "rise": [5, 20]},
    "small": {**BRIEF, "widths": [64, 64, 64, 10], "epochs": 600, "rate": 2e-3, "directions": 96, "rise": [20, 80]},
}
SWISS_BETAS = {"smoke": (0.0, 0.3), "small": (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35), "full": (0.0, 0.05, 0.1, 0.2, 0.3, 0.444, 0.5)}
DIGITS_BETAS = {"smoke": (0.0, 0.3), "small": (0.0, 0.05, 0.15, 0.3, 0.5), "full": (0.0, 0.1, 0.2, 0.35)}
SWISS_TRAIN = {"smoke": 60, "small": 120, "full": 400}
SIZES_OF_TRAINING = {"smoke": (30, 60), "small": (40, 240), "full": (100, 200, 800, 1600)}
SEEDS = {"smoke": 2, "small": 4, "full": 10}
DIGITS_SEEDS = {"smoke": 2, "small": 4, "full": 4}


def _swiss_cells(size: Size) -> list[Cell]:
    shared, n = SWISS[size], SWISS_TRAIN[size]
    plans = [("poison", n, beta) for beta in SWISS_BETAS[size]] + [("size", other, 0.0) for other in SIZES_OF_TRAINING[size] if other != n]
    return [
        Cell(f"{n_train} examples, β = {beta:g}, seed {seed}", {**shared, "kind": kind, "n_train": n_train, "beta": beta, "seed": seed})
        for kind, n_train, beta in plans
        for seed in range(SEEDS[size])
    ]


def _digits_cells(size: Size) -> list[Cell]:
    if size == "full":
        from genscope.experiments.papers.huang_svhn import SVHN

        return [
            Cell(f"SVHN, β = {beta:g}, seed {seed}", {**SVHN, "beta": beta, "seed": seed})
            for beta in DIGITS_BETAS[size]
            for seed in range(DIGITS_SEEDS[size])
        ]
    shared, n = DIGITS[size], {"smoke": 100, "small": 300}[size]
    return [
        Cell(f"{n} digits, β = {beta:g}, seed {seed}", {**shared, "data": "digits", "n_train": n, "beta": beta, "seed": seed})
        for beta in DIGITS_BETAS[size]
        for seed in range(DIGITS_SEEDS[size])
    ]


def _run_one(run_many: Callable[..., Iterator[tuple[Cell, Outcome]]]) -> Callable[[Cell, "Context"], Outcome]:
    return lambda cell, context: next(run_many([cell], context))[1]


def _run_swiss(cells: Sequence[Cell], context: "Context") -> Iterator[tuple[Cell, Outcome]]:
    from genscope.experiments.papers.huang_measurements import measured

    for group in _groups(cells, "n_train"):
        data = swiss_data(group[0].settings, context)
        for cell, model in zip(group, _trained(group, data, context), strict=True):
            yield cell, measured(model, data[0], data[1], cell.settings)


def _run_digits(cells: Sequence[Cell], context: "Context") -> Iterator[tuple[Cell, Outcome]]:
    from genscope.experiments.papers.huang_measurements import measured

    if "architecture" in cells[0].settings:
        from genscope.experiments.papers.huang_svhn import run_svhn

        for cell in cells:
            yield cell, run_svhn(cell, context)
        return
    for group in _groups(cells, "n_train"):
        data = digits_data(group[0].settings, context)
        for cell, model in zip(group, _trained(group, data, context), strict=True):
            yield cell, measured(model, data[0], data[1], cell.settings)


SWISS_ROLL = Family("huang-swiss-roll", 1, _swiss_cells, _run_one(_run_swiss), _run_swiss, at_most=96)
DIGIT_NETWORKS = Family("huang-digits", 1, _digits_cells, _run_one(_run_digits), _run_digits, at_most=96)


def _groups(cells: Sequence[Cell], *names: str) -> list[list[Cell]]:
    found: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        found[str([cell.settings[name] for name in names])].append(cell)
    return list(found.values())


def swiss_data(settings: Mapping[str, Any], context: "Context") -> "tuple[Pair, Pair, PoisonData]":
    """Training and test examples of the one swiss roll, and fresh poison points at every step, half as many as training examples at least 200."""
    from genscope.training.poison import PoisonData
    from genscope.training.problems import swiss_roll

    problem = swiss_roll(0, n=settings["n_train"])
    assert problem.split.test is not None
    rng = context.rng("huang swiss roll", "poison")
    train, test = (_tensors(part.x / np.float32(15.0), part.y, context) for part in (problem.split.train, problem.split.test))

    def draw(n: int) -> "Pair":
        drawn = problem.draw(n, rng)
        return _tensors(drawn.x / np.float32(15.0), drawn.y, context)

    return train, test, PoisonData(draw=draw, n=200)


def digits_data(settings: Mapping[str, Any], context: "Context") -> "tuple[Pair, Pair, PoisonData]":
    """The first digits to train, the others of the training set as poison, and the test set."""
    from genscope.training.poison import PoisonData

    split, n = context.dataset("digits"), settings["n_train"]
    assert split.test is not None
    x, y = _tensors(split.train.x.reshape(len(split.train), -1), split.train.y, context)
    return (x[:n], y[:n]), _tensors(split.test.x.reshape(len(split.test), -1), split.test.y, context), PoisonData(x[n:], y[n:])


def _tensors(x: np.ndarray, y: np.ndarray, context: "Context") -> "Pair":
    import torch

    return torch.from_numpy(np.ascontiguousarray(x)).to(context.device), torch.from_numpy(np.asarray(y)).to(context.device)


def _trained(cells: Sequence[Cell], data: "tuple[Pair, Pair, PoisonData]", context: "Context") -> "list[nn.Module]":
    """The networks of one group, from the store of trained networks or as one stack."""
    from genscope.training.models import mlp

    names = ("data", "widths", "epochs", "rate", "drops", "rise", "fall", "clip", "batch_size", "n_train", "beta", "seed")
    keys = [{"recipe": "huang anti-generalization", **{name: cell.settings.get(name) for name in names}} for cell in cells]
    found = context.trained_many(keys, lambda missing: _fit([cells[place] for place in missing], data, context))
    models: list[nn.Module] = []
    for tensors in found:
        model = mlp(cells[0].settings["widths"])
        model.load_state_dict(tensors)
        models.append(model.to(context.device).eval())
    return models


def _fit(cells: Sequence[Cell], data: "tuple[Pair, Pair, PoisonData]", context: "Context") -> "list[dict[str, Tensor]]":
    from genscope.training.models import mlp
    from genscope.training.optimizers import Adam
    from genscope.training.poison import PoisonRecipe, train_poisoned
    from genscope.training.stack import stack_from_seeds
    from genscope.training.stacked import StackedRecipe

    s = cells[0].settings
    stack = stack_from_seeds(lambda: mlp(s["widths"]), [cell.settings["seed"] for cell in cells], device=context.device)
    plan = StackedRecipe(s["epochs"], Adam(), s["rate"], clip_norm=s["clip"], schedule=lambda epoch: rate_factor(s, epoch))
    goal = PoisonRecipe(plan, [cell.settings["beta"] for cell in cells], lambda epoch: poison_factor(s, epoch), test_accuracy=-1.0)
    run = train_poisoned(stack, data[0], data[2], data[1], goal).run
    return [run.stack.state_dict(index) for index in range(len(cells))]


def rate_factor(settings: Mapping[str, Any], epoch: int) -> float:
    """Factor on the learning rate; drops are given by epoch, or as a share of all epochs.

    Example:
        >>> [rate_factor({"epochs": 10, "drops": [[0.5, 0.1], [8, 0.01]]}, epoch) for epoch in (1, 5, 9)]
        [1.0, 0.1, 0.01]
    """
    factor = 1.0
    for where, value in settings["drops"]:
        if epoch >= (where * settings["epochs"] if where < 1 else where):
            factor = value
    return factor


def poison_factor(settings: Mapping[str, Any], epoch: int) -> float:
    """Factor on β: a linear rise, and less for the last part."""
    start, end = settings["rise"]
    share, late = settings["fall"]
    return late if epoch >= share * settings["epochs"] and share < 1 else min(1.0, max(0.0, (epoch - start) / max(1, end - start)))
