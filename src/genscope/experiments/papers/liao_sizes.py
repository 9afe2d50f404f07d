"""The runs behind Figures 1, 3 and 19 of Liao et al.: more training images, natural and random labels, and wider networks."""

from dataclasses import asdict
from typing import Any

from genscope.experiments.papers.liao_protocols import Schedule
from genscope.experiments.papers.liao_series import FULL_DATA, SMALL_DATA, SMOKE_DATA, train_cell
from genscope.experiments.values import Cell, Family, Size

# The paper prints no grid; its figures begin near a hundred images and end at 50,000.
FULL_N = (100, 250, 500, 1000, 2500, 5000, 10_000, 20_000, 35_000, 50_000)
SMALL_N = (50, 200, 400, 800, 1600, 3200)
SMALL_WIDTHS = (2, 3, 4, 6, 8, 12, 16, 24, 32)


def _base(size: Size) -> dict[str, Any]:
    data: dict[str, Any] = {"full": {"data": "cifar10", **FULL_DATA["cifar10"]}, "small": SMALL_DATA["cifar10"], "smoke": SMOKE_DATA}[size]
    epochs, rate, batch = {"full": (70, 0.01, 100), "small": (100, 0.005, 40), "smoke": (5, 0.05, 10)}[size]
    schedule = Schedule(epochs=epochs, learning_rate=rate, batch_size=batch, stop_at_loss=0.0 if size == "full" else 0.004)
    network = {"network": "five-layer-16", "widths": [{"full": 16, "small": 10, "smoke": 4}[size]]}
    return {**data, **network, "schedule": asdict(schedule), "reference_loss": 0.01, "std": None, "seed": 0, "random_labels": False}


def sample_cells(size: Size) -> list[Cell]:
    """Natural and random labels at every number of training images; epochs are counted so that small sets get at least as many steps."""
    base = _base(size)
    chosen = {"full": FULL_N, "small": SMALL_N, "smoke": (50, 200)}[size]
    cells = []
    for random in (False, True):
        for n in chosen:
            schedule = dict(base["schedule"])
            if size == "small":
                schedule["epochs"] = max(60, min(400, 120_000 // n))
            settings = {**base, "n_train": n, "random_labels": random, "schedule": schedule}
            cells.append(Cell(f"{n} images, {'random' if random else 'natural'} labels", settings))
    return cells


def width_cells(size: Size) -> list[Cell]:
    """Widths of every layer at a fixed training set."""
    base = _base(size)
    widths, n, seeds = {"full": ((2, 4, 8, 16, 32, 48, 64, 96), 50_000, 1), "small": (SMALL_WIDTHS, 500, 1), "smoke": ((2, 8), 100, 1)}[size]
    return [Cell(f"width {width}, seed {seed}", {**base, "n_train": n, "widths": [width], "seed": seed}) for width in widths for seed in range(seeds)]


SAMPLES = Family("liao-samples", 1, sample_cells, train_cell)
WIDTHS = Family("liao-widths", 1, width_cells, train_cell)
