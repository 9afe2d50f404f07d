"""Basins of networks from end to end: exact linear models, the contract of the JSON, resuming, bad input."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import genscope
from genscope.errors import GenscopeError, UnsupportedInput, UsageError
from genscope.training.loop import Recipe, fit, initialize
from genscope.training.models import mlp, small_conv
from genscope.verbs.basin_options import BasinOptions
from genscope.verbs.landscape_basin import landscape_basin

FIELDS = {
    "n_params", "coordinates", "cutoff", "radii", "log_volume", "log_volume_low", "log_volume_high", "effective_radius", "ess", "estimator",
    "n_never_crossed",
}  # fmt: skip
QUICK = BasinOptions(n_gradients=64, layer_directions=8, n_profiles=8)


def blobs(n: int = 120, d: int = 2, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 2
    return torch.randn(n, d, generator=generator) + 3.0 * (2.0 * y[:, None] - 1), y


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, Any]:
    data = blobs()
    net = initialize(mlp((2, 8, 6, 2)), torch.Generator().manual_seed(0))
    fit(net, *data, Recipe(epochs=200, learning_rate=1e-2, stop_at_loss=5e-3))
    return net.eval(), data


class Least(nn.Module):
    """Squared loss of a linear map on orthogonal inputs: a quadratic with known curvature."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n, 1, bias=False, dtype=torch.float64)
        with torch.no_grad():
            self.linear.weight.fill_(1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


def quadratic(n: int) -> tuple[nn.Module, Any, np.ndarray]:
    """Inputs ``±s_i e_i`` with labels the model fits exactly; the loss is ``½ Σ h_i δ_i²`` with ``h_i = 2 s_i²/N · 2``."""
    scale = torch.logspace(0, 1, n, dtype=torch.float64)
    x = torch.cat([torch.diag(scale), -torch.diag(scale)])
    net = Least(n)
    with torch.no_grad():
        net.linear.weight.copy_((1.0 / scale)[None])  # outputs ±1 on the classes 1 and 0
    y = torch.cat([torch.ones(n), torch.zeros(n)]).long()
    return net, (x, y), (2.0 * scale.numpy() ** 2 * 2 / (2 * n))


def test_an_exact_quadratic_gives_its_volume_by_every_estimator_that_can() -> None:
    n = 40
    net, data, curvature = quadratic(n)
    result = landscape_basin(
        net, data, cutoffs=["loss:0.1"], directions=1000, coordinates="raw", loss="squared", options=BasinOptions(layer_directions=0)
    )
    truth = (n / 2) * math.log(math.pi) - math.lgamma(1 + n / 2) - 0.5 * np.log(curvature / 0.2).sum()
    document = json.loads(result.to_json())
    assert set(document) >= FIELDS
    assert document["n_params"] == n and document["estimator"] in ("diagonal", "low_rank") and document["volume_status"] == "ok"
    assert document["log_volume_low"] - 0.02 <= truth <= document["log_volume_high"] + 0.02
    assert document["effective_radius"] == pytest.approx(math.exp((truth - (n / 2) * math.log(math.pi) + math.lgamma(1 + n / 2)) / n), rel=2e-3)
    rows = {row["estimator"]: row for row in document["estimators"]}
    assert rows["laplace"]["log_volume"] == pytest.approx(truth, abs=1e-6) and rows["laplace"]["status"] == "ok"
    assert rows["low_rank"]["log_volume"] == pytest.approx(truth, abs=0.05)
    assert rows["naive"]["ess"] < rows["diagonal"]["ess"]
    expected = 1 / np.sqrt(np.mean(curvature) / 0.2)  # to first order in 1/n
    assert np.exp(document["mean_log_radius"]) == pytest.approx(expected, rel=0.2)
    assert len(document["radii"]) == 1000 and document["n_never_crossed"] == 0


def test_a_refused_volume_leaves_the_headline(trained: tuple[nn.Module, Any]) -> None:
    result = landscape_basin(*trained, directions=120, options=BasinOptions(n_gradients=64, layer_directions=8, least_ess=1e9))
    document = result.to_dict()
    assert document["log_volume"] is None and document["volume_status"] == "skipped" and document["volume_reason"]
    assert document["effective_radius"] == pytest.approx(math.exp(document["mean_log_radius"]))
    assert "lower bound" in document["effective_radius_is"] and "refused" in result.summary["verdict"]
    assert {row["layer"] for row in document["layers"]} == {"l1", "l2", "l3"}
    assert [row["cutoff"] for row in result.rows] == [0.1, 0.5, 1.0]
    medians = [row["radius_median"] for row in result.rows]
    assert medians == sorted(medians) and all(row["mean_log_radius_sem"] > 0 for row in result.rows)


def test_radii_are_first_crossings_of_the_real_loss(trained: tuple[nn.Module, Any]) -> None:
    """The point at each radius, rebuilt from the seeds alone, lies on the edge; all criteria agree with a plain forward pass."""
    from genscope.core.seeds import generator_for
    from genscope.landscape.rays import unit_directions
    from genscope.numerics.perturbation import noise_seeds

    net, (x, y) = trained
    result = landscape_basin(net, (x, y), cutoffs=["kl:0.2", "loss:0.3"], directions=6, coordinates="raw", estimators=["naive"], options=QUICK)
    seeds = noise_seeds(generator_for(0, "basin rays", "isotropic"), 6)
    flat = torch.cat([p.detach().reshape(-1) for p in net.parameters()])
    units = unit_directions(len(flat), seeds, flat)
    with torch.no_grad():
        reference = net(x).log_softmax(1)
        for unit, at_kl, at_loss in zip(units, result.head["radii"], result.tail["further_radii"]["loss:0.3"], strict=True):
            moved = mlp((2, 8, 6, 2))
            torch.nn.utils.vector_to_parameters(flat + at_kl * unit, moved.parameters())
            found = (reference.exp() * (reference - moved(x).log_softmax(1))).sum(1).mean()
            assert float(found) == pytest.approx(0.2, rel=0.01)
            torch.nn.utils.vector_to_parameters(flat + at_loss * unit, moved.parameters())
            assert float(nn.functional.cross_entropy(moved(x), y)) == pytest.approx(0.3, rel=0.01)


def test_filter_normalized_radii_ignore_the_scale_of_relu_units(trained: tuple[nn.Module, Any]) -> None:
    data = trained[1]
    plain = mlp((2, 8, 6, 2), bias=False)
    fit(initialize(plain, torch.Generator().manual_seed(1)), *data, Recipe(epochs=200, learning_rate=1e-2, stop_at_loss=5e-3))
    scaled = mlp((2, 8, 6, 2), bias=False)
    scaled.load_state_dict(plain.state_dict())
    with torch.no_grad():
        scaled.l1.weight.mul_(5.0)
        scaled.l2.weight.div_(5.0)
    shared = {"cutoffs": ["loss:0.5"], "directions": 40, "estimators": ["naive"], "options": QUICK}
    radii = [landscape_basin(model, data, **shared).head["radii"] for model in (plain, scaled)]  # type: ignore[arg-type]
    assert np.allclose(radii[0], radii[1], rtol=2e-3)
    raw = [landscape_basin(model, data, coordinates="raw", **shared).head["mean_log_radius"] for model in (plain, scaled)]  # type: ignore[arg-type]
    assert abs(raw[0] - raw[1]) > 0.1


def test_an_interrupted_run_resumes_to_the_same_numbers(trained: tuple[nn.Module, Any], tmp_path: Any) -> None:
    asked: dict[str, Any] = {"directions": 400, "estimators": ["naive", "diagonal"], "options": QUICK}
    whole = landscape_basin(*trained, **asked)
    seen: list[int] = []

    def interrupt(done: int, total: int, stage: str, share: float) -> None:
        seen.append(done)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        landscape_basin(*trained, **asked, out=tmp_path / "run", progress=interrupt)
    assert (tmp_path / "run" / "rays.npz").is_file()
    later: list[int] = []
    resumed = landscape_basin(*trained, **asked, out=tmp_path / "run", progress=lambda done, *_: later.append(done))
    assert later[0] > seen[-1]
    assert resumed.head["radii"] == whole.head["radii"] and resumed.tail["estimators"] == whole.tail["estimators"]
    assert genscope.load(tmp_path / "run").head["radii"] == whole.head["radii"]


def test_rays_of_another_request_are_not_taken(trained: tuple[nn.Module, Any], tmp_path: Any) -> None:
    asked: dict[str, Any] = {"directions": 30, "estimators": ["naive"], "options": QUICK, "out": tmp_path}
    first = landscape_basin(*trained, **asked, seed=0)
    other = landscape_basin(*trained, **asked, seed=1)
    assert first.head["radii"] != other.head["radii"]
    (tmp_path / "rays.npz").write_bytes(b"no archive")
    assert landscape_basin(*trained, **asked, seed=0).head["radii"] == first.head["radii"]


def test_the_model_is_not_touched_and_seeds_repeat(trained: tuple[nn.Module, Any]) -> None:
    net, data = trained
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = torch.get_rng_state()
    first, again = (landscape_basin(net, data, directions=20, estimators=["naive"], options=QUICK).to_dict() for _ in range(2))
    assert first["radii"] == again["radii"] and torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_batch_normalization_is_recalibrated_unless_told_otherwise() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(48, 1, 8, 8, generator=generator), torch.arange(48) % 2
    x[y == 1] += 2.0
    net = initialize(small_conv((4,), in_channels=1, image_size=8, n_classes=2, kernel=3, batch_norm=True), generator)
    fit(net, x, y, Recipe(epochs=25, learning_rate=1e-2, batch_size=16))
    asked: dict[str, Any] = {
        "cutoffs": ["loss:0.5"],
        "directions": 8,
        "options": BasinOptions(n_gradients=8, layer_directions=0, n_profiles=0, n_check=0),
    }
    found = landscape_basin(net, (x, y), **asked)
    frozen = landscape_basin(net, (x, y), **asked, bn_policy="frozen")
    assert found.head["evaluation"]["bn_policy"] == "recalibrate" and frozen.head["evaluation"]["bn_policy"] == "frozen"
    assert found.head["mean_log_radius"] > frozen.head["mean_log_radius"]
    reasons = {row["estimator"]: row["reason"] for row in found.tail["estimators"]}
    assert "recalibrate" in reasons["laplace"] and "recalibrate" in reasons["low_rank"]


def test_an_empty_basin_is_a_sentence(trained: tuple[nn.Module, Any]) -> None:
    with pytest.raises(UnsupportedInput, match=r"not below the cutoff 1e-09.*loss_increase"):
        landscape_basin(*trained, cutoffs=["loss:1e-9"], directions=10)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"cutoffs": ["los:0.1"]}, "no criterion 'los'"), ({"cutoffs": ["loss:x"]}, "criterion:number"), ({"cutoffs": []}, "At least one cutoff"),
        ({"cutoffs": ["loss:-1"]}, "positive"), ({"directions": 1}, "At least 2 directions"), ({"coordinates": "polar"}, "no coordinates 'polar'"),
        ({"estimators": ["magic"]}, "no volume estimator 'magic'"), ({"bn_policy": "none of it"}, "policy"),
    ],
)  # fmt: skip
def test_requests_that_make_no_sense(trained: tuple[nn.Module, Any], asked: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        landscape_basin(*trained, **asked)


def test_weights_that_are_not_finite_or_all_zero() -> None:
    data = blobs()
    net = mlp((2, 4, 2))
    with torch.no_grad():
        net.l1.weight[0, 0] = math.nan
    with pytest.raises(GenscopeError, match="not finite"):
        landscape_basin(net, data, directions=4)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    with pytest.raises(UnsupportedInput, match="use raw"):
        landscape_basin(net, data, directions=4)


def test_a_basin_without_an_edge_says_so(trained: tuple[nn.Module, Any]) -> None:
    net = mlp((2, 4, 2))
    with torch.no_grad():
        net.l2.weight.zero_()
        net.l2.bias.zero_()
    result = landscape_basin(
        net, blobs(), cutoffs=["error:2"], directions=5, coordinates="raw", options=BasinOptions(largest=5.0, layer_directions=0, n_gradients=4)
    )
    assert result.head["n_never_crossed"] == 5 and result.head["radii"] == [None] * 5
    assert result.head["effective_radius"] is None and "None of 5" in result.summary["verdict"]
