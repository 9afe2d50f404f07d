"""Planes against dense truth: three models where they are, eigenvectors of a known Hessian, principal components by a full SVD."""

import numpy as np
import pytest
import torch

from genscope.errors import UnsupportedInput
from genscope.landscape.planes import eigen_directions, plane_through, principal_plane
from genscope.landscape.points import coordinates_of, inner, length


def random_point(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"a": torch.randn(5, 3, generator=generator), "b": torch.randn(4, generator=generator)}


def test_three_models_lie_where_the_marks_say() -> None:
    points = [random_point(seed) for seed in range(3)]
    plane = plane_through(*points)
    first, second = (one.tensors for one in plane.directions)
    assert inner(first, second) == pytest.approx(0, abs=1e-4 * length(first) ** 2) and length(first) == pytest.approx(length(second), rel=1e-5)
    np.testing.assert_allclose(plane.marks[:2], [[0, 0], [1, 0]], atol=1e-5)
    assert plane.marks[2, 1] > 0 and plane.residuals.max() < 1e-5 * length(first)
    for (x, y), point in zip(plane.marks, points, strict=True):
        for name, tensor in point.items():
            torch.testing.assert_close(plane.origin[name] + float(x) * first[name] + float(y) * second[name], tensor, rtol=1e-4, atol=1e-5)


def test_models_on_a_line_or_equal_span_no_plane() -> None:
    a, b = random_point(0), random_point(1)
    middle = {name: (tensor + b[name]) / 2 for name, tensor in a.items()}
    with pytest.raises(UnsupportedInput, match="lie on one line"):
        plane_through(a, b, middle)
    with pytest.raises(UnsupportedInput, match="same parameters"):
        plane_through(a, b, a)


def test_a_projection_is_in_the_units_of_its_directions_and_says_what_is_left() -> None:
    one, other = {"w": torch.tensor([2.0, 0.0, 0.0])}, {"w": torch.tensor([2.0, 4.0, 0.0])}  # neither unit nor orthogonal
    found, rest = coordinates_of({"w": torch.tensor([6.0, 8.0, 5.0])}, [one, other])
    np.testing.assert_allclose(found, [1.0, 2.0])
    assert rest == pytest.approx(5.0)


def test_eigenvectors_are_those_of_the_dense_hessian_in_descending_order() -> None:
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((60, 60)))[0]
    values = np.concatenate([[9.0, 7.0, 6.5], np.linspace(1, -12, 57)])  # the largest in size is negative
    matrix = (basis * values) @ basis.T
    found = eigen_directions(lambda v: matrix @ v, {"a": torch.zeros(10, 4, dtype=torch.float64), "b": torch.zeros(20, dtype=torch.float64)}, 3)
    for index, one in enumerate(found):
        facts = one.facts or {}
        assert facts["eigenvalue"] == pytest.approx(values[index], rel=1e-3) and facts["residual"] < 0.05 and length(one.tensors) == pytest.approx(1)
        flat = torch.cat([tensor.reshape(-1) for tensor in one.tensors.values()]).numpy()
        assert abs(flat @ basis[:, index]) > 0.999


def test_the_plane_of_a_trajectory_is_that_of_a_full_decomposition() -> None:
    points = [random_point(seed) for seed in range(7)]
    final = points[-1]
    plane = principal_plane(lambda t, name: points[t][name], 7, final)
    rows = np.stack([np.concatenate([(point[name] - final[name]).reshape(-1).numpy() for name in final]) for point in points]).astype(float)
    _, singular, right = np.linalg.svd(rows, full_matrices=False)
    for k, one in enumerate(plane.directions):
        flat = np.concatenate([tensor.reshape(-1).numpy() for tensor in one.tensors.values()])
        assert abs(flat @ right[k]) == pytest.approx(1, abs=1e-5)
        assert (one.facts or {})["explained"] == pytest.approx(singular[k] ** 2 / (singular**2).sum(), rel=1e-5)
    np.testing.assert_allclose(np.abs(plane.marks), np.abs(rows @ right[:2].T), atol=1e-5)
    np.testing.assert_allclose(plane.residuals, np.linalg.norm(rows - rows @ right[:2].T @ right[:2], axis=1), atol=1e-4)
    assert plane.marks[-1] == pytest.approx([0, 0], abs=1e-6)
    with pytest.raises(UnsupportedInput, match="at least three"):
        principal_plane(lambda t, name: points[t][name], 2, points[1])
