import numpy as np
import pytest
import torch

from genscope.errors import UsageError
from genscope.landscape.boundary import (
    Extent,
    boundary_frames,
    boundary_map,
    coordinate_plane,
    extent_around,
    nearest_classes,
    plane_through,
    swing,
    wrong_class_area,
)


def quadrants(x):
    """Class 0 to 3 by the signs of both inputs."""
    a, b = x[:, 0], x[:, 1]
    return torch.stack([-a - b, a - b, -a + b, a + b], 1)


def test_a_map_shows_the_class_and_lead_of_every_point_in_any_chunks():
    x, y = np.linspace(-2, 2, 7), np.linspace(-1, 3, 5)
    plane = coordinate_plane(torch.zeros(2))
    drawn = boundary_map(quadrants, plane, x, y, chunk=4)
    for row, up in enumerate(y):
        for column, across in enumerate(x):
            z = quadrants(torch.tensor([[across, up]]))[0]
            top = z.topk(2).values
            assert drawn.lead[row, column] == pytest.approx(float(top[0] - top[1]), abs=1e-6)
            if float(top[0] - top[1]) > 1e-6:
                assert drawn.classes[row, column] == int(z.argmax())


def test_a_plane_goes_through_its_examples_and_keeps_distances():
    three = torch.randn(3, 1, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plane = plane_through(three)
    place, away = plane.project(three)
    assert float(away.max()) < 1e-12
    torch.testing.assert_close(plane.at(place), three)
    torch.testing.assert_close(torch.cdist(place, place), torch.cdist(three.flatten(1), three.flatten(1)))
    other = torch.randn(1, 1, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    spot, off = plane.project(other)
    residual = (other - plane.at(spot)).flatten()
    assert float(off) == pytest.approx(float(residual.norm()))
    assert abs(float(residual @ plane.axes[0].flatten())) < 1e-12 and abs(float(residual @ plane.axes[1].flatten())) < 1e-12


def test_what_spans_no_plane_is_refused():
    a = torch.ones(4)
    with pytest.raises(UsageError, match="one line"):
        plane_through(torch.stack([0 * a, a, 2 * a]))
    with pytest.raises(UsageError, match="are the same"):
        plane_through(torch.stack([a, a, 2 * a]))
    with pytest.raises(UsageError, match="three examples, not 2"):
        plane_through(torch.stack([a, 2 * a]))
    with pytest.raises(UsageError, match="inputs of 2 values, not 4"):
        coordinate_plane(a)


def test_wrong_class_area_counts_cells_and_nearest_classes_are_voronoi():
    x = y = np.linspace(0, 1, 11)
    points, labels = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([0, 1])
    found, distance = nearest_classes(x, y, points, labels)
    across, up = np.meshgrid(x, y)
    off = np.abs(across + up - 1) > 1e-9
    assert ((across + up > 1) == (found == 1))[off].all()
    np.testing.assert_allclose(distance, np.minimum(np.hypot(across, up), np.hypot(1 - across, 1 - up)))
    assert wrong_class_area(np.array([[0, 1], [1, 1]]), np.array([[0, 0], [1, 0]])) == 0.5
    assert wrong_class_area(np.array([[0, 1]]), np.array([[1, 1]]), np.array([[False, True]])) == 0.0
    assert wrong_class_area(np.array([[0, 1]]), np.array([[1, 1]]), np.zeros((1, 2), dtype=bool)) == 0.0


def test_windows_are_square_around_points_and_grids_keep_the_aspect():
    window = extent_around(torch.tensor([[0.0, 0.0], [4.0, 1.0]]))
    assert (window.right - window.left) == pytest.approx(window.top - window.bottom) == pytest.approx(4.8)
    x, y = Extent(0, 4, 0, 1).axes(41)
    assert (len(x), len(y)) == (41, 11) and x[1] - x[0] == pytest.approx(y[1] - y[0])
    assert extent_around(torch.zeros(1, 2)).right > 0  # a single point still has a window


def test_a_swing_returns_and_frames_move_the_boundary():
    steps = swing(0.5, 8)
    assert steps[0] == 0.0 and max(steps) == pytest.approx(0.5) and min(steps) == pytest.approx(-0.5) and sum(steps) == pytest.approx(0)
    plane, x, y = coordinate_plane(torch.zeros(2)), np.linspace(-1, 1, 41), np.array([0.0, 1.0])
    frames = list(boundary_frames(lambda t: lambda p: torch.stack([p[:, 0] * 0 + t, p[:, 0]], 1), steps, plane, x, y))
    for step, frame in zip(steps, frames, strict=True):
        off = np.abs(x - step) > 1e-6
        assert (frame.classes[0][off] == (x[off] > step)).all()
