import pytest
import torch

from genscope.numerics.ascent import Params, ascend

CENTRE = {"w": torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)}
SLOPE = torch.tensor([3.0, -1.0, 2.0], dtype=torch.float64)


def linear(params: Params) -> tuple[float, Params]:
    return float(SLOPE @ params["w"]), {"w": SLOPE}


def test_linear_loss_in_a_box_is_solved_exactly() -> None:
    radii = {"w": torch.tensor([0.1, 0.2, 0.0], dtype=torch.float64)}
    found = ascend(linear, CENTRE, radii, steps=5)
    assert found.increase == pytest.approx(0.3 + 0.2)
    assert float(found.worst["w"][2]) == 0.5


def test_linear_loss_in_an_ellipsoid_is_solved_exactly() -> None:
    radii = {"w": torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)}
    found = ascend(linear, CENTRE, radii, steps=10, norm="l2")
    assert found.increase == pytest.approx(float((SLOPE * radii["w"]).norm()), rel=1e-9)


def test_quadratic_needs_the_step_to_shrink() -> None:
    target = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)

    def peak(params: Params) -> tuple[float, Params]:
        away = params["w"] - CENTRE["w"] - target
        return -float(away @ away), {"w": -2 * away}

    found = ascend(peak, CENTRE, {"w": torch.ones(3, dtype=torch.float64)}, steps=200, norm="l2")
    assert found.increase == pytest.approx(float(target @ target), abs=1e-4)


def test_never_below_the_centre_and_inside_the_box() -> None:
    found = ascend(lambda p: (-float(p["w"].square().sum()), {"w": -2 * p["w"]}), {"w": torch.zeros(3)}, {"w": torch.full((3,), 0.5)}, steps=7)
    assert found.increase == 0.0
    assert float(found.worst["w"].abs().max()) <= 0.5
