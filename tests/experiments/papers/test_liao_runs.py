"""The runs behind Liao et al.: printed parameter counts, the protocol at full size, data, training and what is measured."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from genscope.experiments.papers.liao_data import SCALES, Examples, load_examples
from genscope.experiments.papers.liao_measurements import measure_network, runner_up_margins
from genscope.experiments.papers.liao_networks import build_network
from genscope.experiments.papers.liao_protocols import Schedule
from genscope.experiments.papers.liao_series import FIVE_LAYER, INITIALIZATION, MNIST, PRETRAINING
from genscope.experiments.papers.liao_sizes import SAMPLES, WIDTHS
from genscope.experiments.papers.liao_training import ClosestSnapshot, initialize_normal, train_epochs
from genscope.experiments.values import Family
from genscope.training.datasets.labelled import Labelled, Split


def blobs(n: int = 60, classes: int = 3, size: int = 8) -> Examples:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % classes
    centres = torch.randn((classes, 1, size, size), generator=generator)
    x = centres[labels] + 0.3 * torch.randn((n, 1, size, size), generator=generator)
    return Examples(x[: n // 2], labels[: n // 2], x[n // 2 :], labels[n // 2 :], classes)


@pytest.mark.parametrize(
    ("family", "channels", "printed"), [(PRETRAINING, 3, 154_464), (MNIST, 1, 165_784), (INITIALIZATION, 3, 148_160), (SAMPLES, 3, 9_370)]
)
def test_full_size_has_the_printed_parameters(family: Family, channels: int, printed: int) -> None:
    model = build_network(family.cells("full")[0].settings, channels, 10)
    assert sum(parameter.numel() for parameter in model.parameters()) == printed


def test_the_five_layer_network_is_near_its_rounded_count() -> None:
    model = build_network(FIVE_LAYER["cifar10", "pretraining"].cells("full")[0].settings, 3, 10)
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(188_810, rel=0.025)


def test_full_size_follows_the_printed_protocol() -> None:
    cells = INITIALIZATION.cells("full")
    stds = [cell.settings["std"] for cell in cells if not cell.settings["random_labels"]]
    assert len(stds) == 25 and stds[0] == 1e-4 and stds[-1] == 0.14 and 0.1024 in stds
    assert [cell.settings["std"] for cell in cells if cell.settings["random_labels"]] == [0.1]
    assert cells[0].settings["n_train"] == 50_000 and cells[0].settings["schedule"]["epochs"] == 200
    pretrained = PRETRAINING.cells("full")[3].settings
    assert pretrained["pretrain_epochs"] == 30 and pretrained["schedule"]["epochs"] == 300 and pretrained["reference_loss"] == 0.0044
    assert MNIST.cells("full")[0].settings["schedule"]["epochs"] == 800
    assert max(cell.settings["n_train"] for cell in SAMPLES.cells("full")) == 50_000
    assert FIVE_LAYER["cifar100", "pretraining"].cells("full")[0].settings["reference_loss"] == 0.006
    # some widths have more parameters than training images
    widest = WIDTHS.cells("full")[-1].settings
    assert sum(parameter.numel() for parameter in build_network(widest, 3, 10).parameters()) > widest["n_train"]


def test_images_are_cut_shrunk_and_scaled() -> None:
    x = np.random.default_rng(0).random((20, 3, 32, 32), dtype=np.float32)
    split = Split(Labelled(x, np.arange(20) % 10), Labelled(x, np.arange(20) % 10))
    data = load_examples(split, {"data": "cifar10", "n_train": 5, "n_test": 7, "image_size": 16})
    assert data.train_x.shape == (5, 3, 16, 16) and len(data.test_y) == 7
    mean, std = SCALES["cifar10"]
    block = (x[0, 1, :2, :2].mean() - mean[1]) / std[1]
    assert float(data.train_x[0, 1, 0, 0]) == pytest.approx(block, abs=1e-5)
    assert load_examples(split, {"data": "cifar10", "n_train": 5, "n_test": 7, "image_size": 34}).train_x.shape[-1] == 34


def test_labels_are_replaced_not_swapped() -> None:
    labels = torch.arange(20_000) % 10
    data = Examples(torch.zeros(20_000, 1), labels, torch.zeros(10, 1), labels[:10], 10)
    assert float((data.corrupted(0.5, 0) != labels).double().mean()) == pytest.approx(0.45, abs=0.01)
    random = data.with_random_labels(0)
    assert float((random.train_y != labels).double().mean()) == pytest.approx(0.9, abs=0.01)
    assert not torch.equal(random.test_y, labels[:10])


def test_training_fits_and_the_snapshot_is_near_its_reference() -> None:
    data = blobs()
    settings = {"network": "three-layer-24", "widths": [4, 4], "image_size": 8, "kernel": 3}
    generator = torch.Generator().manual_seed(1)
    model = initialize_normal(build_network(settings, 1, 3), None, generator)
    closest = ClosestSnapshot(0.05)
    met = [loss for _, loss in _offered(model, data, closest, generator)]
    assert met[-1] < 0.005 and len(met) < 200
    assert closest.weights is not None and closest.loss is not None and 0.01 < closest.loss < 0.25
    model.load_state_dict(closest.weights)
    with torch.no_grad():
        assert float(F.cross_entropy(model(data.train_x).double(), data.train_y)) == pytest.approx(closest.loss, rel=1e-6)


def _offered(model: torch.nn.Module, data: Examples, closest: ClosestSnapshot, generator: torch.Generator) -> list[tuple[int, float]]:
    found = []
    for epoch, loss in train_epochs(model, data.train_x, data.train_y, Schedule(200, 0.02, batch_size=10, stop_at_loss=0.005), generator):
        closest.offer(model, data.train_x, data.train_y, loss)
        found.append((epoch, loss))
    return found


def test_rates_drop_where_they_should() -> None:
    model = torch.nn.Linear(1, 2, bias=False)
    x, y = torch.ones(1, 1), torch.zeros(1, dtype=torch.int64)
    steps = []
    before = model.weight.detach().clone()
    for _ in train_epochs(model, x, y, Schedule(3, 0.1, momentum=0.0, batch_size=1, drops=(1, 2)), torch.Generator().manual_seed(0)):
        steps.append(float((model.weight.detach() - before).abs().max()))
        before = model.weight.detach().clone()
    assert steps[1] / steps[0] == pytest.approx(0.1, rel=0.1) and steps[2] / steps[1] == pytest.approx(0.1, rel=0.1)


@torch.no_grad()
def test_measured_numbers_agree_with_the_network() -> None:
    data = blobs()
    settings = {"network": "three-layer-64", "widths": [4, 4], "image_size": 8, "kernel": 3}
    model = initialize_normal(build_network(settings, 1, 3), 0.3, torch.Generator().manual_seed(2)).eval()
    numbers, logits = measure_network(model, data)
    norms = [float(parameter.double().norm()) for parameter in model.parameters()]
    assert numbers["log_rho"] == pytest.approx(sum(math.log(norm) for norm in norms), abs=1e-9)
    scaled = torch.from_numpy(logits["test"]) / math.prod(norms)
    assert numbers["test_loss_normalized"] == pytest.approx(float(F.cross_entropy(scaled, data.test_y)), abs=1e-9)
    absolute = [float(parameter.double().abs().sum()) / 100 for parameter in model.parameters()]
    assert numbers["log_rho_l1"] == pytest.approx(sum(math.log(norm) for norm in absolute), abs=1e-9)
    assert numbers["test_error_biases_left"] == numbers["test_error"]  # no biases beyond the first layer
    assert np.all((runner_up_margins(logits["train"], data.train_y.numpy()) > 0) == (logits["train"].argmax(1) == data.train_y.numpy()))
