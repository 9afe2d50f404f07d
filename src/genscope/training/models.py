"""The networks of the papers and of the public checkpoints, as factories for ``--model genscope.training.models:resnet20``."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genscope.errors import UsageError

ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "tanh": nn.Tanh, "gelu": nn.GELU}


class MLP(nn.Module):
    """Fully connected network whose layers are called ``l1 l2 …``."""

    def __init__(self, widths: Sequence[int], *, bias: bool = True, activation: str = "relu") -> None:
        super().__init__()
        if len(widths) < 2 or min(widths) < 1:
            raise UsageError("An MLP needs at least an input and an output width, each at least 1.")
        if activation not in ACTIVATIONS:
            raise UsageError(f"There is no activation {activation!r}; choose one of {', '.join(ACTIVATIONS)}.")
        self.depth = len(widths) - 1
        self.activation = ACTIVATIONS[activation]()
        for index, (fan_in, fan_out) in enumerate(pairwise(widths), start=1):
            self.add_module(f"l{index}", nn.Linear(fan_in, fan_out, bias=bias))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of a batch; images are flattened."""
        x = torch.flatten(x, 1)
        for index in range(1, self.depth):
            x = self.activation(self.get_submodule(f"l{index}")(x))
        return self.get_submodule(f"l{self.depth}")(x)


def mlp(widths: Sequence[int] = (784, 128, 10), *, bias: bool = True, activation: str = "relu") -> MLP:
    """A fully connected network, inputs flattened.

    Example:
        >>> sum(p.numel() for p in mlp((2, 3, 1), bias=False).parameters())
        9
    """
    return MLP(widths, bias=bias, activation=activation)


class LeNet5(nn.Module):
    """LeNet-5 with ReLU and max pooling: conv 6 (padding 2), conv 16, fully connected 120, 84, classes."""

    def __init__(self, n_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of 28x28 one-channel images."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def lenet5(n_classes: int = 10) -> LeNet5:
    """LeNet-5 for 28x28 one-channel images."""
    return LeNet5(n_classes)


class SmallConv(nn.Module):
    """Plain convolutions and one linear layer; a bias only in the first layer keeps it positively homogeneous."""

    def __init__(
        self,
        widths: Sequence[int],
        *,
        in_channels: int,
        image_size: int,
        n_classes: int,
        kernel: int,
        stride: int | Sequence[int],
        padding: int | Sequence[int],
        batch_norm: bool,
        first_bias: bool = True,
    ) -> None:
        super().__init__()
        self.depth = len(widths)
        size = image_size
        strides = (stride,) * self.depth if isinstance(stride, int) else tuple(stride)
        paddings = (padding,) * self.depth if isinstance(padding, int) else tuple(padding)
        if not len(strides) == len(paddings) == self.depth:
            raise UsageError(f"{self.depth} convolutions need {self.depth} strides and paddings, not {len(strides)} and {len(paddings)}.")
        for index, (fan_in, fan_out) in enumerate(zip((in_channels, *widths[:-1]), widths, strict=True), start=1):
            step, margin = strides[index - 1], paddings[index - 1]
            bias = first_bias and index == 1 and not batch_norm
            self.add_module(f"conv{index}", nn.Conv2d(fan_in, fan_out, kernel, stride=step, padding=margin, bias=bias))
            self.add_module(f"bn{index}", nn.BatchNorm2d(fan_out) if batch_norm else nn.Identity())
            size = (size + 2 * margin - kernel) // step + 1
        if size < 1:
            raise UsageError(
                f"{self.depth} convolutions of size {kernel} leave nothing of a {image_size}x{image_size} image; use fewer layers or padding."
            )
        self.fc = nn.Linear(widths[-1] * size * size, n_classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of square images."""
        for index in range(1, self.depth + 1):
            x = F.relu(self.get_submodule(f"bn{index}")(self.get_submodule(f"conv{index}")(x)))
        return self.fc(torch.flatten(x, 1))


def small_conv(
    widths: Sequence[int] = (24, 24),
    *,
    in_channels: int = 3,
    image_size: int = 32,
    n_classes: int = 10,
    kernel: int = 5,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    batch_norm: bool = False,
    first_bias: bool = True,
) -> SmallConv:
    """The bias-free convolutional networks of Liao et al. (appendix L.1): valid convolutions, no pooling, a bias in the first layer only.

    Stride and padding are one number, or one per convolution.

    Example:
        >>> sum(p.numel() for p in small_conv((24, 24)).parameters())
        154464
    """
    return SmallConv(
        widths,
        in_channels=in_channels,
        image_size=image_size,
        n_classes=n_classes,
        kernel=kernel,
        stride=stride,
        padding=padding,
        batch_norm=batch_norm,
        first_bias=first_bias,
    )


class PadShortcut(nn.Module):
    """He et al.'s option A: every second pixel, new channels zero."""

    def __init__(self, added: int) -> None:
        super().__init__()
        self.added = added

    def forward(self, x: Tensor) -> Tensor:
        """Subsample and pad the channels evenly on both sides."""
        half = self.added // 2
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, self.added - half))


def _rectified(x: Tensor, slope: float) -> Tensor:
    return F.leaky_relu(x, slope) if slope else F.relu(x)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, fan_in: int, fan_out: int, stride: int, option: str, slope: float = 0.0) -> None:
        super().__init__()
        self.slope = slope
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(fan_out)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(fan_out)
        changes = stride != 1 or fan_in != fan_out
        self.downsample: nn.Module = nn.Identity()
        if changes and option == "A":
            self.downsample = PadShortcut(fan_out - fan_in)
        elif changes:
            self.downsample = nn.Sequential(nn.Conv2d(fan_in, fan_out, 1, stride=stride, bias=False), nn.BatchNorm2d(fan_out))

    def forward(self, x: Tensor) -> Tensor:
        """One residual block."""
        out = _rectified(self.bn1(self.conv1(x)), self.slope)
        return _rectified(self.bn2(self.conv2(out)) + self.downsample(x), self.slope)


class CifarResNet(nn.Module):
    """ResNet of depth ``6 n + 2`` for 32x32 images (He et al. 2016, section 4.2)."""

    def __init__(self, depth: int, *, option: str, n_classes: int, widths: Sequence[int], slope: float = 0.0) -> None:
        super().__init__()
        self.slope = slope
        if option not in ("A", "B") or depth % 6 != 2 or depth < 8:
            raise UsageError(f"A CIFAR ResNet has depth 6n+2 and shortcut option A or B, not depth {depth} and option {option!r}.")
        self.conv1 = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        fan_in = widths[0]
        for stage, width in enumerate(widths, start=1):
            blocks = []
            for index in range((depth - 2) // 6):
                blocks.append(BasicBlock(fan_in, width, 2 if stage > 1 and index == 0 else 1, option, slope))
                fan_in = width
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.head = "linear" if option == "A" else "fc"
        self.add_module(self.head, nn.Linear(fan_in, n_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of 32x32 colour images."""
        x = _rectified(self.bn1(self.conv1(x)), self.slope)
        x = self.get_submodule("layer3")(self.get_submodule("layer2")(self.get_submodule("layer1")(x)))
        x = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        return self.get_submodule(self.head)(x)


Option = Literal["A", "B"]


def cifar_resnet(depth: int, *, option: Option = "A", n_classes: int = 10, widths: Sequence[int] = (16, 32, 64), slope: float = 0.0) -> CifarResNet:
    """A CIFAR ResNet; option A pads shortcuts with zeros (head ``linear``), option B uses 1x1 convolutions (``downsample``, head ``fc``).

    ``slope`` is that of leaky ReLUs below zero; 0 for plain ones.

    Example:
        >>> sum(p.numel() for p in cifar_resnet(20).parameters())
        269722
    """
    return CifarResNet(depth, option=option, n_classes=n_classes, widths=widths, slope=slope)


def resnet20(option: Option = "A", n_classes: int = 10) -> CifarResNet:
    """ResNet-20 for CIFAR."""
    return cifar_resnet(20, option=option, n_classes=n_classes)


def resnet32(option: Option = "A", n_classes: int = 10) -> CifarResNet:
    """ResNet-32 for CIFAR."""
    return cifar_resnet(32, option=option, n_classes=n_classes)


def resnet44(option: Option = "A", n_classes: int = 10) -> CifarResNet:
    """ResNet-44 for CIFAR."""
    return cifar_resnet(44, option=option, n_classes=n_classes)


def resnet56(option: Option = "A", n_classes: int = 10) -> CifarResNet:
    """ResNet-56 for CIFAR."""
    return cifar_resnet(56, option=option, n_classes=n_classes)
