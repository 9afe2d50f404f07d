"""The monitor's numbers against hand computation, and that nothing it watches is changed."""

import copy
import math

import numpy as np
import pytest
import torch
from tests.training.watched import product_norm, small_net, some_data, train, watched
from torch import nn
from torch.nn import functional as F

import genscope
from genscope.errors import GenscopeError, UnsupportedInput, UsageError
from genscope.training.early_stopping import StopOnNormalizedLoss
from genscope.training.models import cifar_resnet
from genscope.training.monitor_budget import Account
from genscope.training.monitor_layers import Spectra


def test_a_record_agrees_with_hand_computation() -> None:
    net = small_net()
    x, y = some_data(32)
    before = [p.detach().clone() for p in net.parameters()]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    with watched(net, optimizer=optimizer) as monitor:
        logits = net(x)
        loss = F.cross_entropy(logits, y)
        loss.backward()
        gradients = [p.grad.clone() for p in net.parameters()]
        optimizer.step()
        record = monitor.step(loss=loss, logits=logits, targets=y)
    rho = product_norm(net)
    train_values, values = record["train"], record["values"]
    assert train_values["loss"] == pytest.approx(float(loss.detach()), rel=1e-6)
    assert train_values["normalized_loss"] == pytest.approx(float(F.cross_entropy(logits.detach().double() / rho, y)), rel=1e-9)
    own = logits.detach().double().gather(1, y[:, None])[:, 0]
    others = logits.detach().double().scatter(1, y[:, None], -math.inf).max(1).values
    margins = np.sort((own - others).numpy())
    assert train_values["margin_min"] == pytest.approx(margins[0])
    assert train_values["margin_median"] == pytest.approx(margins[15])
    assert train_values["normalized_margin_q05"] == pytest.approx(margins[1] / rho)
    assert train_values["error"] == pytest.approx(float((logits.argmax(1) != y).double().mean()))
    assert values["log_rho"] == values["log_scale"] == pytest.approx(math.log(rho), rel=1e-6)
    flat = torch.cat([g.flatten() for g in gradients])
    weights = torch.cat([p.detach().flatten() for p in net.parameters()])
    assert values["gradient_norm"] == pytest.approx(float(flat.norm()), rel=1e-5)
    assert values["alignment"] == pytest.approx(-float(F.cosine_similarity(flat, weights, dim=0)), abs=1e-6)
    assert values["effective_learning_rate"] == pytest.approx(0.05 / float(weights.square().sum()), rel=1e-5)
    first = record["layers"]["0"]
    assert first["rho"] == pytest.approx(float(net[0].weight.detach().norm()), rel=1e-5)
    assert first["alignment"] == pytest.approx(-float(F.cosine_similarity(gradients[0].flatten(), net[0].weight.detach().flatten(), dim=0)), abs=1e-6)
    assert first["effective_learning_rate"] == pytest.approx(0.05 / float(net[0].weight.detach().square().sum()), rel=1e-5)
    assert any(not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_growth_is_the_change_of_log_rho_per_step() -> None:
    net = small_net()
    norms = []
    with watched(net, every=2) as monitor:
        for _ in range(3):
            train(net, monitor, steps=2)
            norms.append(product_norm(net))
    # steps 1, 3 and 5 are measured; the last record is of step 5
    assert monitor.last["kind"] == "end"
    with watched(net) as monitor:
        first, second = train(net, monitor, steps=2)
    assert "rho_growth" not in first["values"]
    assert second["values"]["rho_growth"] == pytest.approx(second["values"]["log_rho"] - first["values"]["log_rho"], abs=1e-9)
    assert second["layers"]["0"]["rho_growth"] == pytest.approx(math.log(second["layers"]["0"]["rho"] / first["layers"]["0"]["rho"]), abs=1e-7)


def test_the_first_bias_counts_to_the_first_norm() -> None:
    net = small_net(bias=True)
    with watched(net) as monitor:
        record = train(net, monitor, steps=1)[0]
    first = math.sqrt(float((net[0].weight.square().sum() + net[0].bias.square().sum()).detach()))
    assert record["layers"]["0"]["rho"] == pytest.approx(first, rel=1e-5)
    assert "exactly the normalized network" in monitor.notes[0]


def test_alphas_and_norms_are_those_of_analyze() -> None:
    net = nn.Sequential(nn.Linear(40, 60), nn.ReLU(), nn.Linear(60, 30))
    with watched(net) as monitor:
        record = monitor.step()
    table = {row["layer"]: row for row in genscope.analyze(net, resamples=0).rows}
    for layer in ("0", "2"):
        row = table[f"{layer}.weight"]
        for name in ("alpha", "log_spectral_norm", "stable_rank", "log_frobenius_norm"):
            assert record["layers"][layer][name] == pytest.approx(row[name], rel=1e-6)


def test_layers_are_looked_at_only_when_due() -> None:
    net = small_net()
    with watched(net, layers_every=3) as monitor:
        records = train(net, monitor, steps=7)
    assert ["log_spectral_norm" in record["layers"]["2"] for record in records] == [True, False, False, True, False, False, True]
    with watched(net, layers_every=0) as monitor:
        assert "log_spectral_norm" not in train(net, monitor, steps=1)[0]["layers"]["2"]


def test_spectra_wait_until_the_budget_allows_them() -> None:
    class Purse(Account):
        rich = False

        def allows(self, seconds: float) -> bool:
            return self.rich

    net, purse = small_net(), Purse(0.05)
    spectra = Spectra(net, 2, purse)
    assert spectra.look(1) == ({}, {})
    purse.rich = True
    found, _ = spectra.look(2)
    assert sorted(found) == ["0", "2", "4"] and found["0"]["log_frobenius_norm"] > 0
    assert spectra.look(2) == ({}, {})
    assert sorted(spectra.look(3)[0]) == ["0", "2", "4"]  # due two steps after the look began


def test_an_epoch_before_any_step_learns_from_its_data() -> None:
    net = small_net()
    x, y = some_data(32)
    with watched(net) as monitor:
        record = monitor.epoch(train=(x, y))
    with torch.no_grad():
        expected = F.cross_entropy(net(x).double() / product_norm(net), y)
    assert record["train"]["normalized_loss"] == pytest.approx(float(expected), rel=1e-9)


def test_a_training_step_is_not_measured_more_often_than_the_budget_allows() -> None:
    net = small_net()
    with watched(net, every=1, budget=1e-6) as monitor:
        measured = [record is not None for record in train(net, monitor, steps=40)]
    assert measured[0] and sum(measured) < 12


def test_training_is_the_same_with_and_without() -> None:
    plain, seen = small_net(), small_net()
    for net in (plain, seen):
        net.insert(1, nn.Dropout(0.3))
    torch.manual_seed(3)
    train(plain, None, steps=5)
    state = torch.get_rng_state()
    torch.manual_seed(3)
    with watched(seen) as monitor:
        train(seen, monitor, steps=5)
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*some_data(64)), 16, shuffle=True)
        monitor.epoch(train=loader, validation=some_data(32, seed=5))
    assert torch.equal(state, torch.get_rng_state())
    for a, b in zip(plain.state_dict().values(), seen.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert seen.training and not seen._forward_pre_hooks and not seen._forward_hooks


def test_batch_norm_is_not_touched_and_the_output_norm_is_taken() -> None:
    net = cifar_resnet(8, widths=(4, 4, 4))
    x, y = torch.randn(6, 3, 8, 8), torch.arange(6) % 3
    with watched(net) as monitor:
        logits = net(x)
        state = copy.deepcopy(net.state_dict())
        record = monitor.step(loss=F.cross_entropy(logits, y), logits=logits, targets=y)
    assert all(torch.equal(a, b) for a, b in zip(state.values(), net.state_dict().values(), strict=True))
    net.eval()
    norm = float(net(x[:1]).detach().norm())
    assert record["values"]["log_scale"] == pytest.approx(math.log(norm), rel=1e-4)
    assert record["train"]["normalized_loss"] == pytest.approx(float(F.cross_entropy(logits.detach().double() / norm, y)), rel=1e-5)
    assert "output norm on one training example" in monitor.notes[0] and "BatchNorm" in monitor.notes[0]


def test_an_epoch_measures_the_data_it_is_given() -> None:
    net = small_net()
    x, y = some_data(200, seed=7)
    with watched(net, example=x) as monitor:
        given = monitor.epoch(validation=(x, y))["validation"]
        with torch.no_grad():
            logits = net(x)
        same = monitor.epoch(validation={"logits": logits, "targets": y})["validation"]
        for part in zip(x.split(64), y.split(64), strict=True):
            monitor.accumulate(logits=net(part[0]), targets=part[1], split="validation")
        batches = monitor.epoch()["validation"]
    assert given["loss"] == pytest.approx(float(F.cross_entropy(logits, y)), rel=1e-5)
    assert given["normalized_loss"] == pytest.approx(float(F.cross_entropy(logits.double() / product_norm(net), y)), rel=1e-9)
    for name in given:
        assert given[name] == pytest.approx(same[name], rel=1e-5) == pytest.approx(batches[name], rel=1e-5)


def test_an_epoch_without_data_gives_the_means_of_its_steps() -> None:
    net = small_net()
    with watched(net) as monitor:
        records = train(net, monitor, steps=4)
        epoch = monitor.epoch()
        assert monitor.epoch()["train"] == {}
    assert epoch["train"]["loss"] == pytest.approx(np.mean([record["train"]["loss"] for record in records]))


def test_the_catalogues_measures_by_name() -> None:
    net, data = small_net(), some_data(64)
    with watched(net, data=data, measures=["log_path_norm_l2"], sharpness=True) as monitor:
        train(net, monitor, steps=2)
        record = monitor.epoch()
    rows = {
        row["measure"]: row["value"] for row in genscope.assess(net, data, measures=["log_path_norm_l2", "adaptive_sharpness"], budget="fast").rows
    }
    assert record["values"]["log_path_norm_l2"] == pytest.approx(rows["log_path_norm_l2"])
    assert record["values"]["adaptive_sharpness"] == pytest.approx(rows["adaptive_sharpness"])


def test_targets_of_any_leading_shape_with_padding() -> None:
    logits = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[0, 1, 2, -100, -100], [3, 2, -100, 1, 0]])
    with watched(small_net()) as monitor:
        record = monitor.step(logits=logits, targets=targets)
    assert record["train"]["loss"] == pytest.approx(float(F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)), rel=1e-5)


def test_a_binary_classifier_with_one_output() -> None:
    logits, targets = torch.tensor([[1.0], [-2.0], [0.5]]), torch.tensor([1, 0, 0])
    with watched(small_net()) as monitor:
        one = monitor.step(logits=logits, targets=targets)["train"]
        flat = monitor.step(logits=logits[:, 0], targets=targets.float())["train"]
    assert one["loss"] == flat["loss"] == pytest.approx(float(F.binary_cross_entropy_with_logits(logits[:, 0], targets.float())), rel=1e-6)
    assert one["margin_min"] == -0.5


def test_what_cannot_be_had_has_a_reason() -> None:
    net = small_net()
    with torch.no_grad():
        net[2].weight.zero_()
    with watched(net, optimizer=None) as monitor:
        logits = net(some_data(8)[0])
        record = monitor.step(logits=logits, targets=some_data(8)[1])
    assert "log_rho" not in record["values"] and "zero" in record["reasons"]["log_rho"]
    assert "backward" in record["reasons"]["gradient_norm"]
    assert "optimizer" in record["reasons"]["learning_rate"]
    assert "normalized_loss" not in record["train"] and record["reasons"]["train normalized_loss"]
    assert record["layers"]["2"]["rho"] == 0.0


def test_nan_logits_are_told_and_do_not_raise() -> None:
    net = small_net()
    with watched(net, example=some_data(4)[0]) as monitor:
        record = monitor.step(loss=math.nan, logits=torch.full((4, 3), math.nan), targets=torch.zeros(4, dtype=torch.long))
    assert math.isnan(record["train"]["loss"]) and "not finite" in record["reasons"]["train margin_median"]
    assert [alarm.rule for alarm in monitor.alarms] == ["nan_loss"]


@pytest.mark.parametrize(
    ("logits", "targets", "word"),
    [
        (torch.zeros(4, 3), torch.zeros(5, dtype=torch.long), "shape"),
        (torch.zeros(4, 3), torch.full((4,), 3), "3 classes"),
        (torch.zeros(4, 3), torch.full((4,), 0.5), "class numbers"),
    ],
)
def test_labels_that_do_not_fit_are_one_sentence(logits: torch.Tensor, targets: torch.Tensor, word: str) -> None:
    with watched(small_net()) as monitor, pytest.raises(UnsupportedInput, match=word):
        monitor.step(logits=logits, targets=targets)


@pytest.mark.parametrize(
    "options",
    [
        {"every": 0},
        {"budget": 2.0},
        {"normalization": "l3"},
        {"loss": "hinge"},
        {"evry": 3},
        {"measures": "margin"},
        {"measures": ["margin"]},
        {"to": ["x"]},
    ],
)
def test_options_that_do_not_exist_are_one_sentence(options: dict) -> None:
    with pytest.raises(UsageError):
        watched(small_net(), **options).step()
    with pytest.raises(GenscopeError):
        genscope.watch("model", out=False)


def test_a_frozen_tied_and_half_precision_network() -> None:
    net = small_net().to(torch.bfloat16)
    net[0].weight.requires_grad_(False)
    with watched(net) as monitor:
        record = train(_Cast(net), monitor, steps=1)[0]
    assert record["values"]["log_rho"] == pytest.approx(math.log(product_norm(net)), rel=1e-3)
    assert "0" in record["layers"] and "alignment" not in record["layers"]["0"]
    tied = nn.Sequential(nn.Linear(5, 5, bias=False), nn.ReLU(), nn.Linear(5, 5, bias=False))
    tied[2].weight = tied[0].weight
    with watched(tied, example=torch.randn(4, 5)) as monitor:
        monitor.step()
    assert "output norm" in monitor.notes[0]


class _Cast(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x.bfloat16()).float()


def test_stopping_follows_the_normalized_validation_loss() -> None:
    net = small_net()
    x, y = some_data(64)
    with watched(net, stop=StopOnNormalizedLoss(patience=2), example=x) as monitor:
        while not monitor.should_stop:
            record = monitor.epoch(validation=(x, y))  # nothing trains: nothing improves after the first
    assert monitor.epochs == 3 and record["stop"] and monitor.last["reason"] == "stopped early"
