"""The data of Liao et al.: MNIST, CIFAR-10 and CIFAR-100 (or the bundled digits), cut to size, shrunk and normalized as the protocol says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from genscope.core.seeds import generator_for
from genscope.experiments.papers.liao_protocols import CLASSES
from genscope.training.datasets.labelled import Split
from genscope.training.zoo import corrupt

# Channel means and standard deviations; those of CIFAR-10 are printed in the paper's appendix B, and its code uses them for CIFAR-100 too.
CIFAR = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
SCALES = {"cifar10": CIFAR, "cifar100": CIFAR, "mnist": ((0.1307,), (0.3081,)), "digits": ((0.3053,), (0.3762,))}


@dataclass(frozen=True)
class Examples:
    """Images [n, channels, size, size] and labels [n] to train on, and the same held out."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    n_classes: int

    def to(self, device: str) -> "Examples":
        """All four tensors on ``device``."""
        train_x, train_y, test_x, test_y = (tensor.to(device) for tensor in (self.train_x, self.train_y, self.test_x, self.test_y))
        return Examples(train_x, train_y, test_x, test_y, self.n_classes)

    def with_random_labels(self, seed: int) -> "Examples":
        """Labels drawn uniformly, for training and test images alike, as the authors' code does."""
        drawn = [
            corrupt(labels, 1.0, generator_for(seed, "liao", "random labels", part), self.n_classes)
            for part, labels in (("train", self.train_y), ("test", self.test_y))
        ]
        return Examples(self.train_x, drawn[0], self.test_x, drawn[1], self.n_classes)

    def corrupted(self, share: float, seed: int) -> Tensor:
        """Training labels of which a share is replaced by a uniformly random class (so that share·(1 − 1/C) of them really change)."""
        return corrupt(self.train_y, share, generator_for(seed, "liao", "corruption", f"{share:g}"), self.n_classes)


def load_examples(split: Split, settings: Mapping[str, Any]) -> Examples:
    """The examples of one cell: the first ``n_train`` and ``n_test`` images.

    Args:
        split: the whole data.
        settings: ``data`` (name), ``n_train``, ``n_test``, ``image_size``.
    """
    name, n_train, n_test, image_size = str(settings["data"]), int(settings["n_train"]), int(settings["n_test"]), int(settings["image_size"])
    held_out = split.test
    assert held_out is not None  # every format in CLASSES has a test part
    parts: list[Tensor] = []
    for part, n in ((split.train, n_train), (held_out, n_test)):
        chosen = part if n >= len(part) else type(part)(part.x[:n], part.y[:n])
        scaled = chosen.scaled(*SCALES[name])
        parts += [_shrink(torch.from_numpy(np.ascontiguousarray(scaled.x)), image_size), torch.from_numpy(scaled.y)]
    return Examples(parts[0], parts[1], parts[2], parts[3], CLASSES[name])


def _shrink(images: Tensor, size: int) -> Tensor:
    """Means over blocks of pixels, or zero padding when ``size`` is larger."""
    own = images.shape[-1]
    if size > own:
        margin = size - own
        return F.pad(images, (margin // 2, margin - margin // 2) * 2)
    return images if size == own else F.adaptive_avg_pool2d(images, size)
