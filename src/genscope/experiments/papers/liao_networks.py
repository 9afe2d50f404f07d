"""The networks of Liao et al. by name, with the parameter counts that the paper prints, and their small relatives."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genscope.experiments.papers.liao_protocols import DESIGNS
from genscope.training.models import small_conv


class FiveLayer16(nn.Module):
    """Three 3x3 convolutions of stride 2 and two linear layers, ``width`` units each, with biases.

    The paper's "5-layer convolutional network with 16 channels per hidden layer" of Figures 1, 3 and 19. It prints 9,370 parameters and no
    strides; this layout gives exactly that number on 32x32 colour images.

    Example:
        >>> sum(p.numel() for p in FiveLayer16(16).parameters())
        9370
    """

    def __init__(self, width: int, *, in_channels: int = 3, image_size: int = 32, n_classes: int = 10) -> None:
        super().__init__()
        size = image_size
        for index, (fan_in, fan_out) in enumerate(pairwise((in_channels, width, width, width)), start=1):
            self.add_module(f"conv{index}", nn.Conv2d(fan_in, fan_out, 3, stride=2, padding=1))
            size = (size + 1) // 2
        self.fc1 = nn.Linear(width * size * size, width)
        self.fc2 = nn.Linear(width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of square images."""
        for index in (1, 2, 3):
            x = F.relu(self.get_submodule(f"conv{index}")(x))
        return self.fc2(F.relu(self.fc1(torch.flatten(x, 1))))


def build_network(settings: Mapping[str, Any], in_channels: int, n_classes: int) -> nn.Module:
    """The untrained network of a cell.

    Args:
        settings: ``network`` (a key of :data:`DESIGNS`, or ``five-layer-16``), ``widths``, ``image_size``.
        in_channels, n_classes: of the data.
    """
    name, widths, image_size = str(settings["network"]), tuple(settings["widths"]), int(settings["image_size"])
    if name == "five-layer-16":
        return FiveLayer16(widths[0], in_channels=in_channels, image_size=image_size, n_classes=n_classes)
    design = DESIGNS[name]
    kernel = min(design.kernel, int(settings.get("kernel", design.kernel)))
    return small_conv(
        widths,
        in_channels=in_channels,
        image_size=image_size,
        n_classes=n_classes,
        kernel=kernel,
        stride=design.stride,
        padding=design.padding,
        batch_norm=design.batch_norm,
        first_bias=design.first_bias,
    )


def n_params(name: str) -> int:
    """Parameters of a network of :data:`DESIGNS` at the paper's size.

    Example:
        >>> n_params("three-layer-24"), n_params("three-layer-34"), n_params("three-layer-64")
        (154464, 165784, 148160)
    """
    design = DESIGNS[name]
    model = build_network({"network": name, "widths": design.widths, "image_size": design.image_size}, design.channels, 10)
    return sum(parameter.numel() for parameter in model.parameters())
