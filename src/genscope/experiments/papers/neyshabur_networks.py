"""Neyshabur et al.: how the networks of their figures are trained and measured; each file of figures names its own cells."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genscope.experiments.values import Cell, Outcome

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from genscope.experiments.context import Context

NORMS = ("l2_over_margin", "l1_path_over_margin", "l2_path_over_margin", "spectral_over_margin")
NORM_NAMES = dict(zip(NORMS, ("ℓ2 norm", "ℓ1-path norm", "ℓ2-path norm", "spectral norm"), strict=True))
# the capacities as they stand in the text, with the factors 4 and h_i that the figures drop
CAPACITIES = ("l2_capacity", "l1_path_capacity", "l2_path_capacity", "spectral_capacity")
MEASURES = ("train_error", "train_loss", "test_error", "margin", *NORMS, *CAPACITIES, "keskar_sharpness", "kl_at_sharpness")
EFFORTS = {
    "smoke": {"max_examples": 200, "ascent_steps": 10, "n_draws": 4, "n_scales": 9},
    "small": {"max_examples": 600, "ascent_steps": 100, "n_draws": 20, "n_scales": 13},
    "full": {"max_examples": 5000, "ascent_steps": 2000, "n_draws": 1000, "n_scales": 25},
}
DEPARTURES = (
    "Fully connected networks on scikit-learn's digits (8×8 pixels) instead of a VGG network on CIFAR-10.",
    "Trained with learning rate 0.1 to a cross-entropy of 10⁻³ instead of 0.01 to 10⁻⁴; batch size 64 and momentum 0.9 as in the paper.",
    "Expected sharpness over 20 perturbations of up to 600 examples instead of 1,000 perturbations of one batch of 64.",
)


def recipe(size: str, data: str = "cifar10") -> dict[str, Any]:
    """What the cells of a size share: data, architecture, schedule and effort of the measurements."""
    if size == "full":
        return {"data": data, "architecture": "vgg", "learning_rate": 0.01, "stop_at_loss": 1e-4, "epochs": 2000, "effort": "full"}
    epochs = {"smoke": 400, "small": 1500}[size]
    stop = {"smoke": 1e-2, "small": 1e-3}[size]
    return {"data": "digits", "architecture": "mlp", "learning_rate": 0.1, "stop_at_loss": stop, "epochs": epochs, "effort": size}


def run_one(cell: Cell, context: "Context") -> Outcome:
    """One network, trained and measured."""
    return next(run_networks([cell], context))[1]


def run_networks(cells: Sequence[Cell], context: "Context") -> Iterator[tuple[Cell, Outcome]]:
    """Networks of equal widths are trained as one stack; convolutional ones one by one."""
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[str((cell.settings["architecture"], cell.settings.get("widths"), cell.settings["data"]))].append(cell)
    for group in groups.values():
        if group[0].settings["architecture"] == "mlp":
            yield from _stacked(group, context)
        else:
            for cell in group:
                yield cell, _alone(cell, context)


def training_set(settings: Mapping[str, Any], context: "Context", labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the examples a network is trained on, and the labels it sees for all examples.

    The first ``n_true`` examples of a seeded order keep their labels unless ``random``; the next ``n_confusion`` get uniformly random ones.
    """
    n_classes = int(labels.max()) + 1
    order = context.rng("neyshabur examples", settings["data"], settings["seed"]).permutation(len(labels))
    noise = context.rng("neyshabur labels", settings["data"], settings["seed"]).integers(n_classes, size=len(labels))
    n_true, n_confusion = settings["n_true"], settings.get("n_confusion", 0)
    seen = labels.copy()
    replaced = order[: n_true + n_confusion] if settings.get("random") else order[n_true : n_true + n_confusion]
    seen[replaced] = noise[replaced]
    return order[: n_true + n_confusion], seen


def _stacked(cells: Sequence[Cell], context: "Context") -> Iterator[tuple[Cell, Outcome]]:
    import torch

    from genscope.training.batches import batches_of
    from genscope.training.models import mlp
    from genscope.training.optimizers import SGD
    from genscope.training.stack import stack_from_seeds
    from genscope.training.stacked import StackedRecipe, fit_stack

    settings = cells[0].settings
    train = context.dataset(settings["data"]).train
    sets = [training_set(cell.settings, context, train.y) for cell in cells]
    members = torch.zeros(len(cells), len(train), dtype=torch.bool)
    for row, (chosen, _) in zip(members, sets, strict=True):
        row[torch.from_numpy(chosen)] = True
    labels = torch.from_numpy(np.stack([seen for _, seen in sets]))
    seeds = [int(cell.settings["seed"]) for cell in cells]
    inputs = torch.from_numpy(train.x).flatten(1).to(context.device)
    stack = stack_from_seeds(lambda: mlp(settings["widths"]), seeds, device=context.device)
    steps = batches_of(inputs, labels.to(context.device), 64, seeds, members.to(context.device))
    schedule = StackedRecipe(
        epochs=settings["epochs"], optimizer=SGD(0.9), learning_rate=settings["learning_rate"], stop_at_loss=settings["stop_at_loss"]
    )
    run = fit_stack(stack, steps, schedule)
    for index, (cell, (chosen, seen)) in enumerate(zip(cells, sets, strict=True)):
        outcome = measured(run.stack.module(index), stack.module(index), cell, context, (chosen, seen))
        yield cell, Outcome({**outcome.numbers, "epochs": int(run.epochs[index])}, outcome.arrays)


def _alone(cell: Cell, context: "Context") -> Outcome:
    import torch

    from genscope.training.loop import Recipe, fit, initialize
    from genscope.training.vgg import vgg

    settings = cell.settings
    train = context.dataset(settings["data"]).train
    chosen, seen = training_set(settings, context, train.y)

    def trained() -> "dict[str, Tensor]":
        model = initialize(vgg(in_channels=train.x.shape[1]), torch.Generator().manual_seed(settings["seed"])).to(context.device)
        inputs = torch.from_numpy(train.x[chosen]).to(context.device)
        plan = Recipe(settings["epochs"], settings["learning_rate"], 0.0, 64, settings["stop_at_loss"], settings["seed"], momentum=0.9)
        fit(model, inputs, torch.from_numpy(seen[chosen]).to(context.device), plan)
        return model.state_dict()

    model: nn.Module = vgg(in_channels=train.x.shape[1])
    model.load_state_dict(context.trained({"family": "neyshabur", **settings}, trained))
    initial = initialize(vgg(in_channels=train.x.shape[1]), torch.Generator().manual_seed(settings["seed"]))
    return measured(model, initial, cell, context, (chosen, seen))


def measured(
    model: "torch.nn.Module", initial: "torch.nn.Module", cell: Cell, context: "Context", examples: tuple[np.ndarray, np.ndarray]
) -> Outcome:
    """Norms over the margin, sharpness and the bi-criteria curve of one network, on its own training examples."""
    from genscope.sources.model import assess

    chosen, seen = examples
    settings = cell.settings
    split = context.dataset(settings["data"])
    held_out = None if split.test is None else (split.test.x, split.test.y)
    n_true = settings["n_true"]
    result = assess(
        model.to(context.device).eval(),
        (split.train.x[chosen], seen[chosen]),
        test=held_out,
        initial=initial.to(context.device),
        measures=list(MEASURES),
        seed=int(settings["seed"]),
        options=EFFORTS[settings["effort"]],
    )
    numbers: dict[str, Any] = {row["measure"]: row["value"] for row in result.rows}
    numbers |= {"n_train": len(chosen), "n_true": n_true, "reasons": {row["measure"]: row["reason"] for row in result.rows if row["value"] is None}}
    curve = result.curves.get("bi_criteria", {})
    names = {"kl": "x", "sharpness": "y", "alpha": "alpha", "error": "error"}
    arrays = {name: np.array(curve[key], dtype=np.float64) for name, key in names.items() if key in curve}
    return Outcome(numbers, arrays)
