"""Examples with labels, as every reader returns them."""

from dataclasses import dataclass

import numpy as np

from genscope.errors import CorruptInput


@dataclass(frozen=True)
class Labelled:
    """Inputs ``[examples, …]`` (images as ``[examples, channels, height, width]`` float32 in [0, 1]) and integer labels ``[examples]``."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def scaled(self, mean: tuple[float, ...], std: tuple[float, ...]) -> "Labelled":
        """Each channel minus its mean, over its standard deviation."""
        shape = (1, -1, *[1] * (self.x.ndim - 2))
        return Labelled(((self.x - np.asarray(mean).reshape(shape)) / np.asarray(std).reshape(shape)).astype(np.float32), self.y)


@dataclass(frozen=True)
class Split:
    """Training and, where the format has one, test examples."""

    train: Labelled
    test: Labelled | None = None


def labelled_images(pixels: np.ndarray, labels: np.ndarray, n_classes: int, where: str) -> Labelled:
    """Bytes ``[examples, channels, height, width]`` as floats in [0, 1], after checking counts and the range of the labels.

    Raises:
        CorruptInput: different numbers of images and labels, no examples, or a label outside ``0 … n_classes − 1``.
    """
    if len(pixels) != len(labels):
        raise CorruptInput(f"{where}: {len(pixels)} images but {len(labels)} labels; the files do not belong together.")
    if not len(labels):
        raise CorruptInput(f"{where}: holds no examples.")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise CorruptInput(f"{where}: labels from {labels.min()} to {labels.max()} where 0 to {n_classes - 1} are expected; the file is damaged.")
    return Labelled(pixels.astype(np.float32) / np.float32(255.0), labels.astype(np.int64))
