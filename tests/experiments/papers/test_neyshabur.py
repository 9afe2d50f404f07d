"""Neyshabur et al.: the statistics against hand values, and judges on tables whose answer is known."""

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from genscope.experiments.papers import neyshabur_true_random, neyshabur_width
from genscope.experiments.papers.neyshabur_conditions import CONDITIONS
from genscope.experiments.papers.neyshabur_conditions import EXPERIMENTS as CONDITION_EXPERIMENTS
from genscope.experiments.papers.neyshabur_identities import STATEMENTS
from genscope.experiments.papers.neyshabur_networks import NORMS, training_set
from genscope.experiments.papers.neyshabur_statistics import grid, mean_with_interval, share_with_interval, slopes, twins
from genscope.experiments.values import Cell, Experiment, Family, Judgement
from genscope.training.loop import Recipe, fit, initialize
from genscope.training.vgg import vgg


class Table:
    """Finished cells that are made up: the family's small cells with numbers from a function of their settings."""

    size = "small"

    def __init__(self, family: Family, numbers: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._cells: list[Cell] = list(family.cells("small"))
        self._rows = [(dict(cell.settings), numbers(dict(cell.settings))) for cell in self._cells]

    def table(self, _family: Family) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        return self._rows

    def column(self, _family: Family, name: str, **where: Any) -> np.ndarray:
        return np.array([numbers[name] for settings, numbers in self._rows if all(settings[key] == value for key, value in where.items())])


def judged(experiment: Experiment, table: Table) -> Judgement:
    return experiment.judge(table)  # type: ignore[arg-type]


def noise(settings: dict[str, Any], *names: Any) -> float:
    return float(np.random.default_rng(zlib.crc32(str((*names, sorted(settings.items()))).encode())).normal(0.0, 0.05))


EXPERIMENTS = {experiment.id: experiment for module in (neyshabur_true_random, neyshabur_width) for experiment in module.EXPERIMENTS}


@pytest.mark.parametrize(
    ("random_labels_cost", "verdict"),
    [(1.0, "HOLDS"), (0.0, "FAILS"), (-1.0, "FAILS")],
)
def test_norms_with_true_and_random_labels(random_labels_cost: float, verdict: str) -> None:
    def numbers(settings: dict[str, Any]) -> dict[str, Any]:
        growth = random_labels_cost * np.log(settings["n_true"]) if settings["random"] else 0.0
        return {name: 5.0 + growth + noise(settings, name) for name in NORMS}

    found = judged(EXPERIMENTS["S4-F1"], Table(neyshabur_true_random.NETWORKS, numbers))
    assert found.verdict == verdict
    assert not any(check.null_passed for check in found.checks)


def test_sharpness_that_turns_holds_and_one_that_does_not_fails() -> None:
    def numbers(turning: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def at(settings: dict[str, Any]) -> dict[str, Any]:
            moved = turning * np.log(settings["n_true"] / 200.0) if settings["random"] else 0.0
            return {"keskar_sharpness": float(np.exp(moved + noise(settings)))}

        return at

    assert judged(EXPERIMENTS["S4-F2a"], Table(neyshabur_true_random.NETWORKS, numbers(1.0))).verdict == "HOLDS"
    assert judged(EXPERIMENTS["S4-F2a"], Table(neyshabur_true_random.NETWORKS, numbers(-1.0))).verdict == "FAILS"


def test_width_falls_then_parts() -> None:
    def numbers(settings: dict[str, Any]) -> dict[str, Any]:
        units = settings["units"]
        late = max(0.0, np.log(units / 128.0))
        early = min(0.0, np.log(units / 128.0))
        rising, falling = -early + late + noise(settings, "r"), -early - late + noise(settings, "f")
        norms = {"l2_over_margin": rising, "l1_path_over_margin": rising, "l2_path_over_margin": falling, "spectral_over_margin": rising}
        return {**norms, "l2_path_capacity": rising, "train_error": 0.0, "kl_at_sharpness": float(np.exp(rising))}

    table = Table(neyshabur_width.NETWORKS, numbers)
    assert judged(EXPERIMENTS["S4-F4b"], table).verdict == "HOLDS"
    assert judged(EXPERIMENTS["S4-F4c"], table).verdict == "HOLDS"


def test_conditions_that_hold_before_training_hold_for_the_null_too() -> None:
    def numbers(settings: dict[str, Any]) -> dict[str, Any]:
        heavy = 100.0 if settings["state"] == "heavy-tailed" else 1.0
        return {f"{name}_{kind}": heavy * (1.0 + abs(noise(settings, name))) for name in ("c1", "c2", "c3") for kind in ("max", "median")}

    found = {experiment.id: judged(experiment, Table(CONDITIONS, numbers)).verdict for experiment in CONDITION_EXPERIMENTS}
    assert found == {"S4-F5": "HOLDS-BUT-NULL-TOO", "S4-F6": "HOLDS", "S4-F7": "HOLDS", "S4-F8": "HOLDS"}


def test_statistics_by_hand() -> None:
    assert slopes(np.exp([0.0, 1.0, 2.0]), np.array([[0.0], [3.0], [6.0]])).tolist() == pytest.approx([3.0])
    assert twins(np.array([[1.0, 5.0, 2.0, 7.0]])).tolist() == [[-1.0, -2.0]]
    assert mean_with_interval(np.array([np.nan]))[0] is None and mean_with_interval(np.array([2.0])) == (2.0, None)
    assert share_with_interval(0, 0) == (None, None)
    share, interval = share_with_interval(0, 10)
    assert share == 0.0 and interval is not None and interval[1] == pytest.approx(0.3085, abs=1e-4)
    table = Table(neyshabur_width.NETWORKS, lambda settings: {"x": settings["units"] + 0.1 * settings["seed"]})
    levels, seeds, values = grid(table, neyshabur_width.NETWORKS, "x", "units")  # type: ignore[arg-type]
    assert values[2, 1] == levels[2] + 0.1 * seeds[1]


def test_training_sets_are_nested_and_labels_random_only_where_asked() -> None:
    from genscope.experiments.context import Context

    context, labels = Context(), np.arange(100) % 10
    small, seen = training_set({"data": "digits", "seed": 1, "n_true": 10, "n_confusion": 5}, context, labels)
    large, _ = training_set({"data": "digits", "seed": 1, "n_true": 20}, context, labels)
    assert small[:10].tolist() == large[:10].tolist() and len(small) == 15
    assert (seen[small[:10]] == labels[small[:10]]).all()
    changed = np.flatnonzero(seen != labels)
    assert set(changed) <= set(small[10:].tolist())
    _, all_random = training_set({"data": "digits", "seed": 1, "n_true": 20, "random": True}, context, labels)
    assert (all_random[large] != labels[large]).mean() > 0.6


@pytest.mark.parametrize("row", ["T1", "T3", "T6"])
def test_controls_break_what_the_statements_say(row: str) -> None:
    found = STATEMENTS[row](np.random.default_rng(0), 4000)
    honest = {"T1": 1.0, "T3": 0.0, "T6": 0.0}[row]
    assert abs(found["control"] - honest) > {"T1": 0.1, "T3": 0.05, "T6": 10.0}[row]


def test_sgd_with_momentum_follows_its_formula() -> None:
    import torch

    model = torch.nn.Linear(1, 2, bias=False)
    start = model.weight.detach().clone()
    x, y = torch.tensor([[1.0]]), torch.tensor([0])
    fit(model, x, y, Recipe(epochs=2, learning_rate=0.5, batch_size=1, momentum=0.9))
    weight, moved = start.clone(), torch.zeros_like(start)
    for _ in range(2):
        gradient = (torch.softmax(weight[:, 0], 0) - torch.tensor([1.0, 0.0]))[:, None]
        moved = 0.9 * moved + gradient
        weight = weight - 0.5 * moved
    assert torch.allclose(model.weight, weight, atol=1e-6)


def test_the_vgg_of_the_paper_ends_in_one_pixel() -> None:
    import torch

    model = initialize(vgg((4, 8), n_classes=3), torch.Generator().manual_seed(0)).eval()
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 3)
