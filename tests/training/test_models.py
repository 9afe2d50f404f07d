from pathlib import Path

import pytest
import torch

from genscope.errors import UsageError
from genscope.training import models


def state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a torch or safetensors file, wrapper keys and prefixes removed."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    held = torch.load(path, weights_only=True, map_location="cpu")
    return {name.removeprefix("module."): tensor for name, tensor in held.get("state_dict", held).items()}


def n_params(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_published_parameter_counts():
    assert n_params(models.resnet20()) == 269_722
    assert n_params(models.resnet32()) == 464_154
    assert n_params(models.resnet44()) == 658_586
    assert n_params(models.resnet56()) == 853_018
    assert n_params(models.small_conv((24, 24))) == 154_464
    assert n_params(models.small_conv((34, 34), in_channels=1, image_size=28)) == 165_784
    assert n_params(models.lenet5()) == 61_706
    assert n_params(models.mlp((1024, *[1000] * 10, 10))) == 10_044_010


def test_shapes_and_options():
    x = torch.randn(2, 3, 32, 32)
    for option in ("A", "B"):
        assert models.resnet20(option).eval()(x).shape == (2, 10)
    assert models.small_conv((4, 5), stride=2, padding=2)(x).shape == (2, 10)
    assert models.mlp((3072, 5), bias=False)(x).shape == (2, 5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: models.mlp((3,)),
        lambda: models.mlp((3, 2), activation="sine"),
        lambda: models.small_conv((2, 2), image_size=5),
        lambda: models.cifar_resnet(21),
        lambda: models.cifar_resnet(20, option="C"),
    ],
)
def test_impossible_networks_are_refused_in_a_sentence(make):
    with pytest.raises(UsageError):
        make()


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "build"),
    [
        ("resnet-cifar10-series/resnet20-12fca82f.th", models.resnet20),
        ("resnet-cifar10-series/resnet32-d509ac18.th", models.resnet32),
        ("resnet-cifar10-series/resnet44-014dd654.th", models.resnet44),
        ("resnet-cifar10-series/resnet56-4bfd9763.th", models.resnet56),
        *[(f"resnet56-init-scale/{scale}.pt", lambda: models.resnet56("B")) for scale in ("0.6", "1", "1.3", "4", "9", "50")],
        ("pyhessian-resnet20/net.pkl", lambda: models.resnet20("B")),
        ("distiller-resnet20/checkpoint_trained_dense.safetensors", lambda: models.resnet20("B")),
        ("distiller-resnet20/checkpoint_trained_4D_regularized_5Lremoved.safetensors", lambda: models.resnet20("B")),
        ("distiller-resnet20/checkpoint_trained_ch_regularized_dense.safetensors", lambda: models.resnet20("B")),
        ("small-mnist/lenet_example.pth", models.lenet5),
        ("small-mnist/tinygrad_mlp_784_128_10.safetensors", lambda: models.mlp((784, 128, 10), bias=False, activation="leaky_relu")),
    ],
)
def test_public_checkpoints_load_strictly_by_name(real_data, file, build):
    model = build()
    assert model.load_state_dict(state_dict(real_data / file), strict=True)
