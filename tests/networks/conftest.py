"""Small networks of every kind that the floor must handle, with batch statistics that are not trivial."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F


def shake(model: nn.Module, seed: int = 0) -> nn.Module:
    """Batch normalizations with statistics and scales of both signs, as after training."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            size = module.running_mean.shape
            module.running_mean.copy_(torch.randn(size, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(size, generator=generator))
            if module.affine:
                module.weight.data.copy_(torch.randn(size, generator=generator))
                module.bias.data.copy_(torch.randn(size, generator=generator))
    return model.eval()


class LateRegistration(nn.Module):
    """Batch normalization and convolutions used in another order than they are registered; one convolution without bias."""

    def __init__(self) -> None:
        super().__init__()
        self.bn_b, self.bn_a = nn.BatchNorm2d(4), nn.BatchNorm2d(3)
        self.head = nn.Linear(4, 2)
        self.conv_b, self.conv_a = nn.Conv2d(3, 4, 3, padding=1, bias=True), nn.Conv2d(2, 3, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn_a(self.conv_a(x)))
        return self.head(F.relu(self.bn_b(self.conv_b(x))).mean((2, 3)))


class PreActivation(nn.Module):
    """BN → ReLU → conv, twice, with a residual addition."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.bn1, self.conv1 = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out)))
        out += x
        return self.head(torch.flatten(F.adaptive_avg_pool2d(F.relu(out), 1), 1))


class Shared(nn.Module):
    """One convolution used twice, each time with its own batch normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(2), nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv(F.relu(self.bn1(self.conv(x))))).mean((2, 3))


class Attention(nn.Module):
    """Tokens → tied embedding, self-attention, LayerNorm, GELU; returns an object with ``logits`` like a language model."""

    def __init__(self, tied: bool = True) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(8, 11, bias=False)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> SimpleNamespace:
        x = self.embedding(input_ids)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        x = F.gelu(self.dropout(self.norm(x)))
        if attention_mask is not None:
            x = x * attention_mask.unsqueeze(-1)
        return SimpleNamespace(loss=None, logits=self.head(x.mean(1)))


class Pools(nn.Module):
    """Overlapping max pooling with padding, average pooling, concatenation and a scaled skip, without biases."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1, bias=False)
        self.side = nn.Conv2d(1, 2, 1, bias=False)
        self.head = nn.Linear(8, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        left = F.max_pool2d(F.relu(self.conv(x)), 3, stride=2, padding=1)
        right = F.avg_pool2d(F.relu(self.side(x)), 2)
        both = torch.cat([left + 0.5 * right, right], 1)
        return self.head(torch.flatten(F.adaptive_avg_pool2d(both, (1, 2)), 1))


@pytest.fixture
def zoo() -> SimpleNamespace:
    """The classes above, by name."""
    torch.manual_seed(0)
    kinds = {kind.__name__: kind for kind in (LateRegistration, PreActivation, Shared, Attention, Pools)}
    return SimpleNamespace(shake=shake, **kinds)
