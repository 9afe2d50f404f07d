"""Every real checkpoint of the field opens, and its values are those of torch and of the safetensors library."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from genscope.checkpoints.open import open_checkpoint

pytestmark = pytest.mark.data

FILES = {
    "resnet-cifar10-series/resnet20-12fca82f.th": 269_722,
    "resnet-cifar10-series/resnet32-d509ac18.th": 464_154,
    "resnet-cifar10-series/resnet44-014dd654.th": 658_586,
    "resnet-cifar10-series/resnet56-4bfd9763.th": 853_018,
    "resnet56-init-scale/0.6.pt": None,
    "resnet56-init-scale/1.pt": None,
    "resnet56-init-scale/1.3.pt": None,
    "resnet56-init-scale/4.pt": None,
    "resnet56-init-scale/9.pt": None,
    "resnet56-init-scale/50.pt": None,
    "pyhessian-resnet20/net.pkl": None,
    "small-mnist/lenet_example.pth": 61_706,
    "distiller-resnet20/original/checkpoint_trained_4D_regularized_5Lremoved.pth.tar": None,
}


@pytest.mark.parametrize("name", FILES)
def test_equals_torch_load(name, real_data):
    checkpoint = open_checkpoint(real_data / name)
    loaded = torch.load(real_data / name, map_location="cpu", weights_only=True)
    state = loaded.get("state_dict", loaded)
    expected = {key.removeprefix("module."): value for key, value in state.items() if value.dtype.is_floating_point}
    assert {spec.name for spec in checkpoint.specs} == set(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(checkpoint.read(key), value.numpy())
    if FILES[name] is not None:
        running = sum(spec.n_elements for spec in checkpoint.specs if "running_" in spec.name)
        assert sum(spec.n_elements for spec in checkpoint.specs) - running == FILES[name]


@pytest.mark.parametrize("name", ["4D_regularized_5Lremoved", "channel_regularized_resnet20"])
def test_legacy_file_with_classes_of_its_own_equals_its_safetensors_twin(name, real_data):
    folder = real_data / "distiller-resnet20"
    checkpoint = open_checkpoint(folder / "original" / f"checkpoint_trained_{name}.pth.tar")
    twin = load_file(folder / f"checkpoint_trained_{name}.safetensors")
    assert {spec.name for spec in checkpoint.specs} == set(twin)
    for key, value in twin.items():
        np.testing.assert_array_equal(checkpoint.read(key), value)
    said = " ".join(checkpoint.notes)
    assert "65 optimizer tensors" in said and "taken from 'state_dict'" in said
    assert ("distiller.thinning.ThinningRecipe" in said) == (name == "channel_regularized_resnet20")


def test_safetensors_files_equal_the_library(real_data):
    files = [*(real_data / "distiller-resnet20").glob("*.safetensors"), *(real_data / "small-mnist").glob("*.safetensors")]
    assert len(files) == 7
    for path in files:
        checkpoint = open_checkpoint(path)
        expected = load_file(path)
        assert {spec.name for spec in checkpoint.specs} | {skip.layer for skip in checkpoint.skips} == set(expected)
        for spec in checkpoint.specs:
            np.testing.assert_array_equal(checkpoint.read(spec.name), expected[spec.name])
