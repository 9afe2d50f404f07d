"""The published CIFAR-10 networks reach their reported accuracy through genscope's own loaders, from the official files."""

import importlib.util
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from genscope.cli.factories import read_weights
from genscope.sources.model import assess
from genscope.training import models
from genscope.training.datasets.open import open_dataset

pytestmark = [pytest.mark.data, pytest.mark.slow]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="session")
def cifar_folder(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``GENSCOPE_CIFAR``, or the ten thousand test images unpacked into the official layout (every training file holds them too)."""
    if "GENSCOPE_CIFAR" in os.environ:
        return Path(os.environ["GENSCOPE_CIFAR"])
    spec = importlib.util.spec_from_file_location("unpack", real_data / "cifar10" / "unpack.py")
    assert spec is not None and spec.loader is not None
    unpack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unpack)
    images = unpack.decode((real_data / "cifar10" / "test_batch.med.xz").read_bytes())
    with np.load(real_data / "cifar10" / "labels.npz") as held:
        labels = held["test_labels"].tolist()
    folder = tmp_path_factory.mktemp("cifar") / "cifar-10-batches-py"
    folder.mkdir()
    batch = pickle.dumps({b"data": np.ascontiguousarray(images).reshape(len(images), 3072), b"labels": labels}, protocol=2)
    for name in ("test_batch", *(f"data_batch_{k}" for k in range(1, 6))):
        (folder / name).write_bytes(batch)
    return folder.parent


@pytest.mark.parametrize(
    ("file", "build", "errors", "n"),
    [
        ("resnet20-12fca82f.th", models.resnet20, 827, 10_000),
        ("resnet56-4bfd9763.th", models.resnet56, 141, 2_000),  # of all ten thousand it gets 661 wrong
    ],
)
def test_reported_accuracy(real_data: Path, cifar_folder: Path, file: str, build: type, errors: int, n: int) -> None:
    split = open_dataset(f"cifar10:{cifar_folder}")
    assert split.test is not None
    test = split.test.scaled(MEAN, STD)
    model = build()
    model.load_state_dict(read_weights(str(real_data / "resnet-cifar10-series" / file), model))
    result = assess(model.eval(), (test.x[:n], test.y[:n]), measures=["train_error"], budget="fast")
    assert round(result.rows[0]["value"] * n) == errors
