"""The landscape verbs as a user calls them: known answers on small networks, runs that resume to the byte, bad input in a sentence."""

import copy
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import genscope
from genscope.errors import GenscopeError, UnsupportedInput, UsageError
from genscope.verbs.landscape_path import barrier


def data(n: int = 80, d: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, d, generator=generator)
    return x, (x[:, 0] * x[:, 1] > 0).long()


def net(seed: int = 0, norm: bool = False) -> nn.Module:
    middle = [nn.BatchNorm1d(8)] if norm else []
    module = nn.Sequential(nn.Linear(4, 8), *middle, nn.ReLU(), nn.Linear(8, 2))
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return module.eval()


def trained(seed: int) -> nn.Module:
    module, (x, y) = net(seed), data()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x), y).backward()
        optimizer.step()
    return module


def loss_of(module: nn.Module) -> float:
    x, y = data()
    with torch.no_grad():
        return nn.functional.cross_entropy(module(x).double(), y).item()


def test_a_slice_holds_every_point_and_what_it_means() -> None:
    module = net()
    result = genscope.landscape_slice(module, data(), directions=3, points=7, radius=0.5)
    assert [row["t"] for row in result.rows[7:14]] == pytest.approx(np.linspace(-0.5, 0.5, 7).tolist())
    centres = {row["loss"] for row in result.rows if row["t"] == 0.0}
    assert len(centres) == 1 and centres.pop() == result.head["centre"]["loss"] == pytest.approx(loss_of(module), rel=1e-5)
    one = result.head["directions"][0]
    assert (one["normalization"], one["one_dimensional"], one["n_perturbed"], one["seed"]) == ("filter", "zero", 48, 0)
    assert result.head["evaluation"]["bn_policy"] == "none" and result.head["trained"] == result.head["centre"]


def test_a_plane_through_three_models_has_their_losses_at_their_marks() -> None:
    models = [net(seed) for seed in range(3)]
    result = genscope.landscape_plane(models[0], data(), through=models[1:], points=(7, 9))
    marks = result.head["marks"]
    for mark, module in zip(marks, models, strict=True):
        assert mark["loss"] == pytest.approx(loss_of(module), rel=1e-4) and mark["off_plane"] < 1e-4
    assert np.shape(result.curves["loss"]) == (7, 9) and len(result.rows) == 63
    x, y = result.curves["x"], result.curves["y"]
    assert 0.0 in x and 0.0 in y  # the first model is a point of the grid
    assert result.curves["loss"][x.index(0.0)][y.index(0.0)] == pytest.approx(loss_of(models[0]), rel=1e-5)


def test_the_plane_of_the_hessian_bends_by_its_eigenvalues() -> None:
    module = trained(1).double()
    x, y = data()
    result = genscope.landscape_plane(module, (x.double(), y), directions="hessian", points=3, radius=1e-3)
    loss = np.array(result.curves["loss"])
    bends = [loss[2, 1] - 2 * loss[1, 1] + loss[0, 1], loss[1, 2] - 2 * loss[1, 1] + loss[1, 0]]
    values = [one["eigenvalue"] for one in result.head["directions"]]
    np.testing.assert_allclose(np.array(bends) / 1e-6, values, rtol=0.02)
    assert values[0] > values[1] > 0


def test_a_trajectory_is_drawn_with_its_distance_from_the_plane() -> None:
    steps = [net(seed) for seed in range(5)]
    result = genscope.landscape_plane(steps[-1], data(), trajectory=[step.state_dict() for step in steps[:-1]], points=5)
    marks = result.head["marks"]
    assert [mark["label"] for mark in marks] == ["checkpoint 1", "checkpoint 2", "checkpoint 3", "checkpoint 4", "trained"]
    assert max(mark["off_plane"] for mark in marks[:-1]) > 0.5 and (marks[-1]["x"], marks[-1]["y"]) == pytest.approx((0, 0), abs=1e-5)
    assert sum(one["explained"] for one in result.head["directions"]) < 1


def test_paths_end_at_their_models_and_a_curve_lowers_the_barrier() -> None:
    a, b = trained(1), trained(2)
    line = genscope.landscape_path(a, b, data(), points=7)
    curve = genscope.landscape_path(a, b.state_dict(), data(), points=7, curve="bezier", steps=100, learning_rate=0.05)
    for result in (line, curve):
        assert result.rows[0]["loss"] == pytest.approx(loss_of(a), rel=1e-4) and result.rows[-1]["loss"] == pytest.approx(loss_of(b), rel=1e-3)
    assert line.head["barrier"] > 0.1 and curve.head["barrier"] < 0.7 * line.head["barrier"]
    assert line.rows[-1]["arc"] == pytest.approx(line.head["chord"], rel=1e-6) and curve.rows[-1]["arc"] > line.rows[-1]["arc"]
    assert barrier(np.array([0.0, 0.5, 1.0]), np.array([0.0, np.nan, 1.0])) == (None, None)


def test_a_user_model_and_the_random_state_stay_as_they_were() -> None:
    module, other = net(norm=True).train(), net(3, norm=True)
    before, modes = copy.deepcopy(module.state_dict()), [part.training for part in module.modules()]
    state = torch.get_rng_state()
    genscope.landscape_plane(module, data(), points=3, directions="hessian", radius=0.1)
    genscope.landscape_path(module, other, data(), curve="bezier", steps=5, points=3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert modes == [part.training for part in module.modules()] and torch.equal(state, torch.get_rng_state())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in module.parameters())


def test_rays_into_nan_are_kept_and_named() -> None:
    class Roots(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(2, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :1] @ self.w.sqrt().T

    result = genscope.landscape_slice(Roots(), data(), directions=1, points=5, radius=4.0)
    failed = [row for row in result.rows if row["status"] == "failed"]
    assert failed and all(row["loss"] is None and row["error"] is None and "NaN" in row["reason"] for row in failed)
    assert result.summary["n_failed"] == len(failed) < 5


def test_an_interrupt_keeps_what_there_is_and_the_next_run_ends_with_the_same_bytes(tmp_path: Path) -> None:
    def stop(done: int, *_: Any) -> None:
        if done > 10:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"points": 5, "backend": "loop"}
    with pytest.raises(KeyboardInterrupt):
        genscope.landscape_plane(net(), data(), out=tmp_path / "a", progress=stop, **options)
    begun = genscope.load(tmp_path / "a")
    assert {row["status"] for row in begun.rows} == {"ok", "skipped"} and begun.to_html(tmp_path / "half.html").exists()
    genscope.landscape_plane(net(), data(), out=tmp_path / "a", **options)
    genscope.landscape_plane(net(), data(), out=tmp_path / "b", **options)
    for name in ("result.json", "curves.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert not (tmp_path / "a" / "partial.npz").exists()


SLOW = """
import sys, time, torch
from tests.verbs.test_landscape import data, net
import genscope
genscope.landscape_plane(net(), data(), out=sys.argv[1], points=5, backend="loop", progress=lambda *_: time.sleep(float(sys.argv[2])))
"""


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path / "a"), "30"], env=environment)
    kept = tmp_path / "a" / "partial.npz"
    for _ in range(1200):
        if kept.exists() or running.poll() is not None:
            break
        time.sleep(0.1)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert kept.exists()
    with np.load(kept) as held:
        assert 0 < held["done"].sum() < 25
    for name in ("a", "b"):
        genscope.landscape_plane(net(), data(), out=tmp_path / name, points=5, backend="loop")
    assert (tmp_path / "a" / "result.json").read_bytes() == (tmp_path / "b" / "result.json").read_bytes()


def test_two_workers_give_the_numbers_of_one() -> None:
    one, two = (genscope.landscape_plane(net(norm=True), data(), points=5, radius=1.0, backend="loop", jobs=jobs) for jobs in (1, 2))
    assert one.curves == two.curves


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"through": [net(1)]}, UsageError, "two more models"),
        ({"through": [net(1), nn.Linear(4, 2)]}, UnsupportedInput, "no tensor"),
        ({"through": [net(1), 7]}, UnsupportedInput, "Model 3 is int"),
        ({"directions": "upwards"}, UsageError, "no directions 'upwards'"),
        ({"directions": "hessian", "through": [net(1), net(2)]}, UsageError, "Choose one plane"),
        ({"points": 1}, UsageError, "at least 2 points"),
        ({"radius": -1.0}, UsageError, "positive"),
        ({"bn_policy": "fresh"}, UsageError, "recalibrate, frozen, batch"),
        ({"loss": "hinge"}, UsageError, "no loss"),
        ({"backend": "magic"}, UsageError, "no back-end"),
        ({"memory": 10}, GenscopeError, "allow more memory"),
        ({"normalization": "unit"}, UsageError, "no normalization"),
    ],
)
def test_bad_input_is_one_sentence(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as raised:
        genscope.landscape_plane(net(), data(), **{"points": 3, **options})
    assert str(raised.value).count("\n") == 0


def test_more_bad_input() -> None:
    with pytest.raises(UnsupportedInput, match="same parameters"):
        genscope.landscape_path(net(), net(), data())
    with pytest.raises(UsageError, match="straight line"):
        genscope.landscape_path(net(), net(1), data(), curve="bezier", beyond=0.5)
    with pytest.raises(UsageError, match="at least 3"):
        genscope.landscape_slice(net(), data(), points=2)
    with pytest.raises(UnsupportedInput, match="empty"):
        genscope.landscape_slice(net(), (torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)))
