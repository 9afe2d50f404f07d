"""Huang et al.: identities against closed forms, and judges on tables whose answer is known."""

import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from genscope.experiments.papers import huang_basins, huang_linear, huang_margins, huang_minefield, huang_optimizers, huang_rings, huang_theorems
from genscope.experiments.papers.huang_identities import GOLDEN_BALLS, ellipsoid_volumes, poisoned_optimum, unit_ball
from genscope.experiments.papers.huang_networks import DIGIT_NETWORKS, SWISS_ROLL, poison_factor, rate_factor
from genscope.experiments.papers.huang_statistics import quantile_with_interval, spearman_with_interval, within_groups
from genscope.experiments.values import Cell, Experiment, Family, Judgement

Numbers = Callable[[Mapping[str, Any]], dict[str, Any]]


class Table:
    """Finished cells that are made up: each family's small cells with numbers from a function of their settings."""

    size = "small"

    def __init__(self, **numbers: tuple[Family, Numbers]) -> None:
        self._rows = {
            family.name: [(cell, dict(cell.settings), make(cell.settings)) for cell in family.cells("small")] for family, make in numbers.values()
        }

    def table(self, family: Family) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        return [(settings, numbers) for _, settings, numbers in self._rows[family.name]]

    def cells(self, family: Family) -> list[Cell]:
        return [cell for cell, _, _ in self._rows[family.name]]

    def column(self, family: Family, name: str, **where: Any) -> np.ndarray:
        rows = [row for row in self.table(family) if all(row[0].get(key) == value for key, value in where.items())]
        found = [numbers[name] if name in numbers else settings[name] for settings, numbers in rows]
        return np.array([np.nan if value is None else value for value in found], dtype=np.float64)

    def has(self, family: Family) -> bool:
        return family.name in self._rows


def judged(experiment: Experiment, table: Table) -> Judgement:
    return experiment.judge(table)  # type: ignore[arg-type]


def noise(settings: Mapping[str, Any], *names: Any, size: float = 0.05) -> float:
    return float(np.random.default_rng(zlib.crc32(str((*names, sorted(settings.items(), key=str))).encode())).normal(0.0, size))


MODULES = (huang_theorems, huang_rings, huang_minefield, huang_basins, huang_margins, huang_linear, huang_optimizers)
EXPERIMENTS = {one.id: one for module in MODULES for one in module.EXPERIMENTS}


def test_unit_balls() -> None:
    assert unit_ball(2)["log_volume"] == pytest.approx(math.log(math.pi))
    assert unit_ball(3)["recurrence"] == pytest.approx(math.log(4 / 3 * math.pi))
    for n, golden in GOLDEN_BALLS.items():
        assert unit_ball(n)["recurrence"] == pytest.approx(golden, rel=1e-6)


def test_a_ball_is_found_by_every_ray_and_an_ellipsoid_by_none() -> None:
    round_ball = ellipsoid_volumes(30, 0.0, 200, 400, np.random.default_rng(0))
    assert round_ball["truth"] == pytest.approx(unit_ball(30)["log_volume"]) and abs(round_ball["naive_error"]) < 1e-9
    assert not round_ball["naive_refused"]
    long = ellipsoid_volumes(300, 1.0, 500, 4000, np.random.default_rng(0))
    assert long["naive_error"] < -40 and long["naive_refused"] and not long["naive_covers"]
    assert abs(long["preconditioned_error"]) < 0.2 and long["preconditioned_ess"] > 300


@pytest.mark.parametrize(("beta", "classes"), [(0.2, 2), (0.7, 2), (0.35, 10)])
def test_the_pointwise_optimum(beta: float, classes: int) -> None:
    found = poisoned_optimum(beta, classes, np.linspace(-1.0, 1.0, classes))
    p = 1 - beta
    assert found["p"] == pytest.approx(p, abs=1e-6)
    assert found["least"] == pytest.approx(-p * math.log(p) - beta * math.log(beta), abs=1e-9)
    assert not found["literal_finite"] and found["stable_error"] < 1e-3


@pytest.mark.parametrize(("wrong_at_small", "wrong_at_large", "verdict"), [(0.9, 0.02, "HOLDS"), (0.9, 0.9, "FAILS"), (0.02, 0.02, "FAILS")])
def test_rings(wrong_at_small: float, wrong_at_large: float, verdict: str) -> None:
    def numbers(settings: Mapping[str, Any]) -> dict[str, Any]:
        wrong = wrong_at_small if settings["gap"] < 0.01 else wrong_at_large
        return {"disagreement": wrong + noise(settings, size=0.01), "angular_deviation": wrong / 3, "train_accuracy": 1.0}

    found = judged(EXPERIMENTS["S2-F8"], Table(rings=(huang_rings.RINGS, numbers)))
    assert found.verdict == verdict


def test_the_reading_of_a_disc() -> None:
    circle = huang_rings._reading(np.zeros((10, 12), dtype=int))
    assert circle == {"disagreement": 0.0, "angular_deviation": 0.0}
    islands = np.ones((10, 12), dtype=int)
    islands[8:, ::2] = 0  # the inner class on every other ray, in the outermost fifth of the area
    found = huang_rings._reading(islands)
    assert found["disagreement"] == pytest.approx(0.9) and found["angular_deviation"] == pytest.approx(0.5)


@pytest.mark.parametrize(("error", "covers", "verdict"), [(-20.0, True, "HOLDS"), (-0.1, True, "FAILS"), (-20.0, False, "FAILS")])
def test_ellipsoids(error: float, covers: bool, verdict: str) -> None:
    def numbers(_: Mapping[str, Any]) -> dict[str, Any]:
        found = {"naive_error": error, "naive_ess": 1.1, "naive_refused": True, "naive_covers": False}
        return {**found, "preconditioned_error": 0.01, "preconditioned_ess": 900.0, "preconditioned_covers": covers}

    assert judged(EXPERIMENTS["S2-T2"], Table(shapes=(huang_theorems.ELLIPSOIDS, numbers))).verdict == verdict


def test_statistics_by_hand() -> None:
    rho, interval = spearman_with_interval(np.arange(20.0), np.r_[np.arange(19.0), np.nan])
    assert rho == 1.0 and interval is not None and interval[0] > 0.9 and interval[1] == 1.0
    assert spearman_with_interval(np.ones(5), np.arange(5.0)) == (None, None)
    x = np.array([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])
    y = np.array([2.0, 1.0, 0.0, 22.0, 21.0, 20.0])
    assert within_groups(x, y, [0, 0, 0, 1, 1, 1]) == pytest.approx(-1.0)  # between the groups the order is the other one
    assert quantile_with_interval(np.array([np.nan])) == (None, None)
    assert quantile_with_interval(np.array([1.0, 2.0, 3.0]))[0] == 2.0


def basins(follows: float) -> Table:
    """Networks whose test accuracy falls with β, and whose basins, margins and slices follow it as strongly as ``follows``."""

    def numbers(settings: Mapping[str, Any]) -> dict[str, Any]:
        accuracy = 0.95 - settings["beta"] + noise(settings, size=0.002)
        told = follows * 4.0 * (accuracy - 0.95) + noise(settings, "r", size=0.01)
        found: dict[str, Any] = {"test_accuracy": accuracy, "train_accuracy": 1.0, "gap": 1.0 - accuracy, "wrong_area": np.exp(-told) / 10}
        found |= {f"slice_{reach}": np.exp(-told) for reach in ("0.25", "0.5", "1")} | {"margin_q05": np.exp(told), "margin_min": np.exp(told) / 2}
        for cutoff in ("0.1", "0.5", "1"):
            found |= {f"log_radius_{cutoff}": told, f"log_radius_sem_{cutoff}": 0.01, f"effective_radius_{cutoff}": np.exp(told)}
            found |= {f"log_volume_{cutoff}": 8000 * told, f"refused_{cutoff}": True}
        return {**found, "n_params": 8000, "n_directions": 96}

    return Table(swiss=(SWISS_ROLL, numbers), digits=(DIGIT_NETWORKS, numbers))


@pytest.mark.parametrize("name", ["S2-F3", "S2-F4", "S2-F5", "S2-F6", "S2-F7", "S2-C1"])
def test_basins_that_follow_accuracy_hold_and_others_do_not(name: str) -> None:
    assert judged(EXPERIMENTS[name], basins(1.0)).verdict == "HOLDS"
    assert judged(EXPERIMENTS[name], basins(-1.0)).verdict == "FAILS"
    assert judged(EXPERIMENTS[name], basins(0.0)).verdict in ("FAILS", "INCONCLUSIVE")


def test_ten_thousand_orders_that_two_good_networks_differ_by_as_well() -> None:
    wild = basins(1.0)
    for settings, numbers in wild.table(DIGIT_NETWORKS):
        for cutoff in ("0.1", "0.5", "1"):
            numbers[f"effective_radius_{cutoff}"] *= 1.2 ** (settings["seed"] % 2)
    assert judged(EXPERIMENTS["S2-C1"], wild).verdict == "HOLDS-BUT-NULL-TOO"


@pytest.mark.parametrize(
    ("bad_test", "distance", "good", "verdict"),
    [(0.5, 0.5, 0.99, "HOLDS"), (0.7, 0.5, 0.99, "FAILS"), (0.5, 3.0, 0.99, "FAILS"), (0.5, 0.5, 0.9, "FAILS")],
)
def test_the_minefield(bad_test: float, distance: float, good: float, verdict: str) -> None:
    def numbers(_: Mapping[str, Any]) -> dict[str, Any]:
        found = {"bad_train": [1.0] * 20, "bad_test": [bad_test] * 20, "distances": [distance] * 20, "paths": [1.0] * 19}
        return {**found, "good_test": good, "good_train": 1.0, "travelled": 10.0}

    assert judged(EXPERIMENTS["S2-F1"], Table(mines=(huang_minefield.MINEFIELD, numbers))).verdict == verdict


@pytest.mark.parametrize(("linear", "verdict"), [(0.5, "HOLDS"), (0.95, "FAILS")])
def test_networks_against_linear_models(linear: float, verdict: str) -> None:
    def models(settings: Mapping[str, Any]) -> dict[str, Any]:
        return {"train_accuracy": 1.0, "test_accuracy": (0.92 if settings["model"] == "network" else linear) + noise(settings, size=0.003)}

    def optimizers(settings: Mapping[str, Any]) -> dict[str, Any]:
        return {"train_accuracy": 1.0, "test_accuracy": 0.92 + noise(settings, size=0.003)}

    table = Table(linear=(huang_linear.LINEAR, models), optimizers=(huang_optimizers.UNDER_OPTIMIZERS, optimizers))
    assert judged(EXPERIMENTS["S2-F2a"], table).verdict == verdict
    assert judged(EXPERIMENTS["S2-F2b"], table).verdict == verdict


def test_polynomial_features_span_the_monomials() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (40, 2))
    features = huang_linear.polynomial_features(x, 4)
    target = x[:, 0] ** 3 * x[:, 1] - 2 * x[:, 1] ** 4
    assert features.shape == (40, 15)
    assert np.abs(features @ np.linalg.lstsq(features, target, rcond=None)[0] - target).max() < 1e-10


def test_schedules() -> None:
    settings = {"epochs": 100, "drops": [[0.5, 0.1]], "rise": [10, 20], "fall": [0.75, 0.3]}
    assert [rate_factor(settings, epoch) for epoch in (49, 50)] == [1.0, 0.1]
    assert [poison_factor(settings, epoch) for epoch in (5, 15, 60, 75)] == [0.0, 0.5, 1.0, 0.3]


def test_the_counts_of_the_paper() -> None:
    from genscope.experiments.papers.huang_cifar import build
    from genscope.experiments.papers.huang_svhn import leaky_resnet
    from genscope.training.models import mlp

    def count(model: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in model.parameters())

    assert count(leaky_resnet(0.1)) == 269_722 and count(build("resnet20")) == 269_722
    assert count(build("quadratic")) == 2_983_690
    swiss = mlp(SWISS_ROLL.cells("full")[0].settings["widths"])
    assert count(swiss) == 3614 and sum(parameter.numel() for parameter in swiss.parameters() if parameter.ndim > 1) == 3457
    assert count(mlp(huang_rings.RINGS.cells("full")[0].settings["widths"])) == 81_302
    assert count(mlp(huang_minefield.MINEFIELD.cells("full")[0].settings["widths"])) == 2_051
    negative = leaky_resnet(0.1)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(negative(x), _plain(negative)(x))


def _plain(model: torch.nn.Module) -> torch.nn.Module:
    from genscope.training.models import cifar_resnet

    other = cifar_resnet(20)
    other.load_state_dict(model.state_dict())
    return other


def test_the_full_protocols_take_their_steps() -> None:
    from genscope.experiments.papers.huang_cifar import build, shifted, trained
    from genscope.experiments.papers.huang_svhn import leaky_resnet, train_against

    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(6, 3, 32, 32, generator=generator), torch.arange(6) % 10
    settings = {"seed": 0, "rate": 0.01, "momentum": 0.9, "beta": 0.35, "batch_size": 4, "epochs": 1, "drops": [[0.5, 0.1]]}
    model = train_against(leaky_resnet(0.1), (x, y), (x, y), settings, "cpu")
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    plan = {
        "seed": 0,
        "epochs": 1,
        "batch_size": 4,
        "drops": [[0.5, 0.1]],
        "augment": True,
        "optimizer": "LBFGS",
        "options": {"lr": 0.1, "max_iter": 2},
    }
    small = trained(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10)), (x, y), plan, "cpu")
    assert torch.isfinite(small[1].weight).all()
    assert build("vgg13")(x[:2]).shape == (2, 10)
    moved = shifted(x, generator)
    assert moved.shape == x.shape and not torch.equal(moved, x)
