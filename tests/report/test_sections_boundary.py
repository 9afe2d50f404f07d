from dataclasses import replace

import pytest
from tests.report.sample_models import boundary_result, trajectory_result

from genscope.errors import UsageError
from genscope.report.sections_boundary import boundary_sections, write_animation
from genscope.report.sections_trajectory import trajectory_sections


def pictures_of(sections):
    return [item["title"] for section in sections if section.kind == "pictures" for item in section.data["items"]]


def test_both_pages_hold_their_pictures_in_both_themes():
    assert pictures_of(boundary_sections(boundary_result())) == ["Map", "Distances to the boundary", "The boundary under perturbation"]
    assert pictures_of(trajectory_sections(trajectory_result())) == ["Principal components", "t-SNE", "Off the plane"]
    (shown,) = (section for section in boundary_sections(boundary_result()) if section.kind == "pictures")
    for item in shown.data["items"]:
        assert item["light"] != item["dark"] and item["caption"] and item["alt"]
    assert shown.data["items"][2]["light"].startswith("data:image/gif")


def test_an_animation_is_a_looping_gif_of_all_frames(tmp_path):
    from PIL import Image

    with Image.open(write_animation(boundary_result(), tmp_path / "b.gif")) as moving:
        assert moving.n_frames >= 3 and moving.info["loop"] == 0
    with pytest.raises(UsageError, match="no animation"):
        write_animation(replace(boundary_result(), curves={}), tmp_path / "c.gif")


@pytest.mark.parametrize(
    "damage", [{}, {"map": 3}, {"map": {"x": [0, 1], "y": [0, 1], "classes": "x", "lead": None}, "animation": {"steps": "no"}, "examples": []}]
)
def test_damaged_curves_leave_their_pictures_out(damage):
    assert pictures_of(boundary_sections(replace(boundary_result(), curves=damage))) == ["Distances to the boundary"]


def test_a_map_whose_window_is_no_window_is_left_out():
    result = boundary_result()
    for x in ([1.0, 1.0], [2.0, -2.0], [float("nan"), 1.0], [0.0], "ab"):
        curves = {**result.curves, "map": {**result.curves["map"], "x": x}}
        assert "Map" not in pictures_of(boundary_sections(replace(result, curves=curves)))


@pytest.mark.parametrize("walk", [None, 3, {"coordinates": [[1]], "explained": []}, {"coordinates": "x", "explained": [[1, 2]]}])
def test_a_trajectory_without_a_walk_is_still_drawn(walk):
    result = trajectory_result()
    shown = pictures_of(trajectory_sections(replace(result, curves={"explained": [0.7, 0.2], "walk": walk})))
    assert shown == ["Principal components", "t-SNE", "Off the plane"]
    assert pictures_of(trajectory_sections(replace(result, curves={}, rows=[]))) == []
