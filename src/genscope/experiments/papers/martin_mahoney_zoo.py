"""The project's own networks for Martin & Mahoney's claims: MLPs on digits that differ in width and label noise."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from genscope.experiments.values import Cell, Family, Outcome, Size
from genscope.numerics.power_law import fit_power_law
from genscope.numerics.singular_values import singular_values

if TYPE_CHECKING:
    from genscope.experiments.context import Context
    from genscope.experiments.runs import Runs

COLUMNS = ("noise", "width", "test_error", "train_error", "alpha", "alpha_weighted", "log_spectral_norm", "log_norm")
SMALLEST = 50


def _cells(size: Size) -> list[Cell]:
    widths, noises, seeds = {
        "smoke": ((64,), (0.0, 0.5), 1),
        "small": ((64, 128), (0.0, 0.25, 0.5, 1.0), 1),
        "full": ((64, 128, 256, 512), (0.0, 0.25, 0.5, 0.75, 1.0), 5),
    }[size]
    epochs = {"smoke": 5, "small": 40, "full": 300}[size]
    return [
        Cell(f"width {width}, noise {noise:g}, seed {seed}", {"width": width, "noise": noise, "seed": seed, "epochs": epochs})
        for width in widths
        for noise in noises
        for seed in range(seeds)
    ]


def _run(cell: Cell, context: "Context") -> Outcome:
    """Train one MLP and fit the matrices that the paper's rule M ≥ 50 admits; the last layer has ten rows and is left out."""
    from genscope.training.loop import error_and_loss, fit, initialize
    from genscope.training.threads import one_thread
    from genscope.training.zoo import Member, corrupt, load_digits

    settings = cell.settings
    digits = load_digits(context.seed)
    labels = corrupt(digits.train_labels, settings["noise"], context.rng("digits zoo", cell.name))
    member = Member("mlp", settings["width"], settings["noise"])
    model = initialize(member.build(), context.generator("digits zoo", cell.name))
    with one_thread():
        fit(model, digits.train_inputs, labels, replace(member.recipe, epochs=settings["epochs"], seed=settings["seed"]))
    found = []
    for parameter in model.parameters():
        if parameter.ndim == 2 and min(parameter.shape) >= SMALLEST:
            values = singular_values(parameter.detach().double().numpy()).values ** 2 / max(parameter.shape)
            law = fit_power_law(values)
            if law.alpha is not None:
                top = float(np.log10(values.max()))
                found.append((law.alpha, law.alpha * top, top, float(np.log10(values.sum()))))
    means = np.mean(found, axis=0)
    train_error, _ = error_and_loss(model, digits.train_inputs, labels)
    test_error, _ = error_and_loss(model, digits.test_inputs, digits.test_labels)
    numbers = dict(zip(("alpha", "alpha_weighted", "log_spectral_norm", "log_norm"), (float(value) for value in means), strict=True))
    return Outcome({**numbers, "train_error": train_error, "test_error": test_error})


DIGITS_ZOO = Family("martin-mahoney-digits", 1, _cells, _run)


def zoo_table(runs: "Runs") -> dict[str, np.ndarray]:
    """One column per number of the networks."""
    return {name: runs.column(DIGITS_ZOO, name) for name in COLUMNS}
