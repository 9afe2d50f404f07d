"""Surfaces with known answers: every point is where it says it is, nothing is altered, and what was computed is kept."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from genscope.errors import StoreError
from genscope.landscape.auto_range import find_range
from genscope.landscape.evaluator import Evaluator
from genscope.landscape.surface import Partial, Tile, evaluate_tiles, grid_coordinates, symmetric_axis, tiles_of
from genscope.networks.functional import Network

X, Y = {"w": torch.tensor([1.0, 0.0, 0.0])}, {"w": torch.tensor([0.0, 1.0, 0.0])}


def quadratic(function: object, w: tuple[float, ...] = (0.0, 0.0, 0.0)) -> Evaluator:
    """An evaluator whose loss is ``function(w)`` exactly: the outputs are the weights."""
    net = Network({"w": torch.tensor(w, dtype=torch.float64)}, {}, lambda p, b, x: p["w"].expand(len(x), -1))

    def score(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        loss = function(logits)  # type: ignore[operator]
        return loss, (loss > 1).double(), -loss

    return Evaluator(net, [(torch.zeros(4, 1), torch.zeros(4, dtype=torch.long))], score)


def surface(evaluator: Evaluator, axes: list[np.ndarray], tile: int = 3, **how: object) -> np.ndarray:
    points = grid_coordinates(axes)
    kept = evaluate_tiles(evaluator, evaluator.network.params, tiles_of([X, Y], points, tile), Partial(len(points)), **how)  # type: ignore[arg-type]
    return kept.values[:, 0].reshape([len(axis) for axis in axes])


@pytest.mark.parametrize("tile", [1, 3, 7, 100])
def test_a_grid_that_is_not_square_is_not_transposed_or_shifted(tile: int) -> None:
    axes = [np.linspace(-1.0, 2.0, 4), np.linspace(-0.5, 3.0, 6)]
    found = surface(quadratic(lambda w: 3 * w[..., 0] ** 2 + w[..., 1] ** 2 + w[..., 0]), axes, tile)
    expected = 3 * axes[0][:, None] ** 2 + axes[1][None, :] ** 2 + axes[0][:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_symmetric_loss_gives_a_symmetric_surface_without_zig_zag() -> None:
    axis = symmetric_axis(1.3, 9)
    found = surface(quadratic(lambda w: w[..., 0] ** 2 + 2 * w[..., 1] ** 2), [axis, axis])
    assert np.array_equal(found, found[::-1]) and np.array_equal(found, found[:, ::-1])
    assert axis[4] == 0.0 and np.array_equal(axis, -axis[::-1])


def test_the_middle_is_the_trained_network_to_the_bit() -> None:
    evaluator = quadratic(lambda w: (w * w).sum(-1), (0.1, -0.7, 0.3))
    axis = symmetric_axis(1.0, 5)
    assert (
        surface(evaluator, [axis, axis])[2, 2]
        == float(evaluator.centre().loss[0])
        == float(evaluator.at({"w": evaluator.network.params["w"][None]}).loss[0])
    )


def test_losses_that_are_negative_or_zero_count_as_computed() -> None:
    calls = []
    evaluator = quadratic(lambda w: w[..., 0] - 1.0)
    original = evaluator.along

    def counted(*given: object) -> object:
        calls.append(len(given[2]))  # type: ignore[arg-type]
        return original(*given)  # type: ignore[arg-type]

    evaluator.along = counted  # type: ignore[method-assign, assignment]
    points = grid_coordinates([np.linspace(0, 2, 3), np.linspace(0, 1, 2)])
    kept = Partial(len(points))
    for _ in range(3):
        evaluate_tiles(evaluator, evaluator.network.params, tiles_of([X, Y], points, 2), kept)
    assert sum(calls) == len(points) and (kept.values[:, 0] <= 0).sum() == 4


def test_nan_and_infinity_stay_what_they_are() -> None:
    evaluator = quadratic(lambda w: torch.log(w[..., 0]))
    axes = [np.array([-1.0, 0.0, 1.0]), np.array([0.0, 1.0])]
    found = surface(evaluator, axes)
    assert np.isnan(found[0]).all() and (found[1] == -np.inf).all() and (found[2] == 0).all()


def test_a_stopped_surface_goes_on_and_another_one_is_not_mixed_in(tmp_path: Path) -> None:
    evaluator = quadratic(lambda w: w[..., 0] ** 2 + w[..., 1])
    points = grid_coordinates([np.linspace(-1, 1, 5), np.linspace(0, 1, 4)])
    tiles, path = tiles_of([X, Y], points, 3), tmp_path / "partial.npz"
    whole = evaluate_tiles(evaluator, evaluator.network.params, tiles, Partial(len(points))).values

    def stop(done: int, *_: object) -> None:
        if done >= 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_tiles(evaluator, evaluator.network.params, tiles, Partial(len(points), path, {"seed": 0}), progress=stop)
    again = Partial(len(points), path, {"seed": 0})
    assert again.done.sum() == 9 and np.array_equal(again.values[:9], whole[:9]) and np.isnan(again.values[9:]).all()
    evaluate_tiles(evaluator, evaluator.network.params, tiles, again)
    assert np.array_equal(again.values, whole)
    with pytest.raises(StoreError, match="another model, data or setting"):
        Partial(len(points), path, {"seed": 1})
    path.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(StoreError, match="damaged"):
        Partial(len(points), path, {"seed": 0})


def test_tiles_side_by_side_give_the_same_bits() -> None:
    evaluator = quadratic(lambda w: (w**3).sum(-1))
    axes = [np.linspace(-1, 1, 5), np.linspace(-1, 1, 5)]

    def backwards(worker: object, tiles: list[Tile]) -> object:
        return (worker(tile) for tile in reversed(tiles))  # type: ignore[operator]

    assert np.array_equal(surface(evaluator, axes), surface(evaluator, axes, map_tiles=backwards))


def test_the_range_grows_until_the_loss_has_risen() -> None:
    evaluator = quadratic(lambda w: 0.01 + (w**2).sum(-1))
    found = find_range(evaluator, evaluator.network.params, [X, Y])
    assert found.status == "ok" and found.radius == 1.0 and found.target == pytest.approx(1.01)
    flat = quadratic(lambda w: 0.0 * w[..., 0])
    lost = find_range(flat, flat.network.params, [X])
    assert lost.status == "doubtful" and lost.reached == 0.0
    wild = quadratic(lambda w: torch.where(w[..., 0].abs() > 0.2, torch.nan, 0.0 * w[..., 0]))
    assert find_range(wild, wild.network.params, [X]).radius == 0.25
