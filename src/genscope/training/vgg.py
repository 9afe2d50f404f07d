"""The VGG network of Neyshabur et al. 2017."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genscope.errors import UsageError


class VGG(nn.Module):
    """Pairs of 3×3 convolutions with batch normalization before each ReLU; pooling and dropout after each pair; two linear layers."""

    def __init__(self, widths: Sequence[int], *, in_channels: int, n_classes: int, batch_norm: bool, dropout: float) -> None:
        super().__init__()
        if not widths or min(widths) < 1:
            raise UsageError("A VGG network needs at least one width, each at least 1.")
        self.depth = len(widths)
        fan_in = in_channels
        for stack, width in enumerate(widths, start=1):
            for index in (1, 2):
                self.add_module(f"conv{stack}_{index}", nn.Conv2d(fan_in, width, 3, padding=1))
                self.add_module(f"bn{stack}_{index}", nn.BatchNorm2d(width) if batch_norm else nn.Identity())
                fan_in = width
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(fan_in, widths[-1])
        self.head = nn.Linear(widths[-1], n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of square images; the last average pooling is over what the stacks leave (4×4 of a 32×32 image)."""
        for stack in range(1, self.depth + 1):
            for index in (1, 2):
                x = F.relu(self.get_submodule(f"bn{stack}_{index}")(self.get_submodule(f"conv{stack}_{index}")(x)))
            if stack < self.depth:
                x = F.max_pool2d(x, 2)
            x = self.dropout(x)
        x = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        return self.head(F.relu(self.fc(x)))


def vgg(
    widths: Sequence[int] = (64, 128, 256, 512), *, in_channels: int = 3, n_classes: int = 10, batch_norm: bool = True, dropout: float = 0.5
) -> VGG:
    """The VGG network of Neyshabur et al. 2017 (appendix A): 2×64, 2×128, 2×256, 2×512 convolutions, 4×4 average pooling, 512 hidden units.

    The text asks for 2×2 max pooling after every stack, which would leave 2×2 pixels for an average over 4×4; here the last stack is
    not max-pooled. The number of parameters is the same.

    Example:
        >>> sum(p.numel() for p in vgg(batch_norm=False).parameters())
        4953162
    """
    return VGG(widths, in_channels=in_channels, n_classes=n_classes, batch_norm=batch_norm, dropout=dropout)
