"""The trained networks behind the public checkpoints: accuracy, folding, path norms, operator norms."""

import gzip
import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from genscope.networks.determinism import require_deterministic
from genscope.networks.fold_batch_norm import fold_batch_norm
from genscope.networks.functional import wrap_module
from genscope.networks.homogeneity import euler_errors, homogeneity
from genscope.networks.normalize import normalize_layers
from genscope.networks.path_norm import log_path_norm
from genscope.networks.trace import trace
from genscope.training import models

pytestmark = pytest.mark.data

SERIES = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
LIAO = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
DISTILLER = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture(scope="session")
def cifar(real_data) -> tuple[Tensor, Tensor]:
    """The first 1,000 test images in [0, 1] and their labels."""
    spec = importlib.util.spec_from_file_location("unpack", real_data / "cifar10" / "unpack.py")
    assert spec is not None and spec.loader is not None
    unpack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unpack)
    images = unpack.decode((real_data / "cifar10" / "test_batch.med.xz").read_bytes())[:1000]
    with np.load(real_data / "cifar10" / "labels.npz") as held:
        labels = held["test_labels"][:1000]
    return torch.tensor(images / 255.0, dtype=torch.float32), torch.tensor(labels.astype(np.int64))


def loaded(model: torch.nn.Module, path: Path) -> torch.nn.Module:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        held = load_file(path)
    else:
        held = torch.load(path, weights_only=True, map_location="cpu")
        held = {name.removeprefix("module."): tensor for name, tensor in held.get("state_dict", held).items()}
    model.load_state_dict(held)
    return model


def normalized(images: Tensor, statistics: tuple) -> Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in statistics)
    return (images - mean) / std


@pytest.mark.parametrize(
    ("file", "build", "statistics", "reported"),
    [
        ("resnet-cifar10-series/resnet20-12fca82f.th", models.resnet20, SERIES, 91.73),
        pytest.param("resnet-cifar10-series/resnet56-4bfd9763.th", models.resnet56, SERIES, 93.39, marks=pytest.mark.slow),
        pytest.param("resnet56-init-scale/9.pt", lambda: models.resnet56("B"), LIAO, 88.2, marks=pytest.mark.slow),
        ("pyhessian-resnet20/net.pkl", lambda: models.resnet20("B"), LIAO, 92.00),
        ("distiller-resnet20/checkpoint_trained_dense.safetensors", lambda: models.resnet20("B"), DISTILLER, 91.71),
    ],
)
def test_reported_accuracy_and_a_fold_that_proves_itself(real_data, cifar, file, build, statistics, reported):
    images, labels = cifar
    x = normalized(images, statistics)
    model = loaded(build(), real_data / file)
    network = require_deterministic(model, x[:4])
    with torch.no_grad():
        logits = torch.cat([network(batch) for batch in x.split(250)])
    accuracy = 100 * float((logits.argmax(1) == labels).double().mean())
    # Three standard errors of an accuracy of 92 % on 1,000 images.
    assert accuracy == pytest.approx(reported, abs=2.6)
    folded = fold_batch_norm(trace(network, x[:4]), x[:64])
    assert folded.kept == ()
    assert folded.error_exact < 1e-12
    assert max(folded.error_random, folded.error_data) < 1e-5
    assert torch.equal(folded.network(x[:64]).argmax(1), logits[:64].argmax(1))
    assert all(math.isfinite(log_path_norm(folded.graph, q)) for q in (1.0, 2.0))


def test_lenet_on_mnist_and_its_normalized_network(real_data):
    raw = gzip.decompress((real_data / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((real_data / "mnist" / "t10k-labels-idx1-ubyte.gz").read_bytes())
    x = torch.tensor(np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 1, 28, 28)[:2000] / 255.0, dtype=torch.float32)
    y = torch.tensor(np.frombuffer(labels, np.uint8, offset=8)[:2000].astype(np.int64))
    model = loaded(models.lenet5(), real_data / "small-mnist" / "lenet_example.pth")
    predicted = wrap_module(model)(x).argmax(1)
    assert float((predicted == y).double().mean()) == pytest.approx(0.9762, abs=0.012)
    found = normalize_layers(trace(model, x[:4]))
    assert found.error < 1e-13
    assert torch.equal(found.network(x[:200].double()).argmax(1), predicted[:200])


def test_a_trained_bias_free_network_is_homogeneous(real_data):
    model = loaded(models.mlp((784, 128, 10), bias=False, activation="leaky_relu"), real_data / "small-mnist" / "tinygrad_mlp_784_128_10.safetensors")
    x = torch.rand(8, 1, 28, 28)
    assert homogeneity(trace(model, x)).layerwise
    assert max(euler_errors(wrap_module(model), x).values()) < 1e-10
