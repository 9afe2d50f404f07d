"""Huang et al.: identities against closed forms, and judges on tables whose answer is known."""

import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from genscope.experiments.papers import huang_rings, huang_theorems
from genscope.experiments.papers.huang_identities import GOLDEN_BALLS, ellipsoid_volumes, poisoned_optimum, unit_ball
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


EXPERIMENTS = {one.id: one for module in (huang_theorems, huang_rings) for one in module.EXPERIMENTS}


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
