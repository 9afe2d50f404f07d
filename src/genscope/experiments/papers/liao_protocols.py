"""Networks and schedules of Liao et al. as plain values, so that listing experiments loads no framework."""

from collections.abc import Mapping
from dataclasses import dataclass

CLASSES = {"cifar10": 10, "cifar100": 100, "mnist": 10, "digits": 10}


@dataclass(frozen=True)
class Schedule:
    """SGD as in the authors' released code.

    Args:
        epochs: passes over the data at most.
        learning_rate, momentum, batch_size: of SGD.
        drops: epochs at which the rate falls by ten.
        stop_at_loss: end when the mean training loss of an epoch falls below this.
    """

    epochs: int
    learning_rate: float = 0.01
    momentum: float = 0.9
    batch_size: int = 256
    drops: tuple[int, ...] = ()
    stop_at_loss: float = 0.0


@dataclass(frozen=True)
class Design:
    """A network of the paper.

    Args:
        where: section of the paper.
        widths: filters per convolution.
        kernel, stride, padding: of the convolutions.
        batch_norm: normalization during training.
        first_bias: bias in the first layer (the only one).
        channels, image_size: of the images that the printed count belongs to.
        printed: parameters that the paper prints (``None`` where it prints none).
    """

    where: str
    widths: tuple[int, ...]
    kernel: int
    stride: int | tuple[int, ...]
    padding: int | tuple[int, ...]
    batch_norm: bool
    first_bias: bool
    channels: int
    image_size: int
    printed: int | None


DESIGNS: Mapping[str, Design] = {
    "three-layer-24": Design("L.1.1", (24, 24), 5, 1, 0, False, True, 3, 32, 154_464),
    # "the same, except it had 34 units": 165,784 parameters come out on MNIST's 28x28 images, where its figures use it.
    "three-layer-34": Design("L.1.2", (34, 34), 5, 1, 0, False, True, 1, 28, 165_784),
    "three-layer-64": Design("appendix B", (64, 64), 5, 2, 2, False, False, 3, 32, None),
    # Strides are not printed; these give 192,608 weights, the closest to "about 188,810" that 3x3 filters and one linear layer allow.
    "five-layer-bn": Design("L.2", (32, 64, 64, 128), 3, (2, 2, 1, 1), (0, 0, 1, 1), True, False, 3, 32, 188_810),
}
