"""A small network that trains for a few steps, and what a monitor has to say of it, by hand."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import genscope


def small_net(seed: int = 0, bias: bool = False) -> nn.Sequential:
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(nn.Linear(6, 12, bias=bias), nn.ReLU(), nn.Linear(12, 8, bias=False), nn.ReLU(), nn.Linear(8, 3, bias=False))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.6)
    return net


def some_data(n: int = 64, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, 6, generator=generator)
    return inputs, (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0.5).long()


def train(net: nn.Module, monitor: Any = None, *, steps: int = 4, batch: int = 16, split: int = 1, amp: bool = False, lr: float = 0.1) -> list[Any]:
    """SGD on consecutive batches, each in ``split`` parts; the records of the monitor."""
    inputs, targets = some_data(steps * batch)
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    if monitor is not None:
        monitor.optimizer = optimizer
    found = []
    for x, y in zip(inputs.split(batch), targets.split(batch), strict=True):
        optimizer.zero_grad()
        parts = list(zip(x.chunk(split), y.chunk(split), strict=True))
        for index, (xs, ys) in enumerate(parts):
            with torch.autocast("cpu", torch.bfloat16, enabled=amp):
                logits = net(xs)
                loss = F.cross_entropy(logits, ys)
            (loss / split).backward()
            if monitor is not None and index < split - 1:
                monitor.accumulate(loss=loss, logits=logits, targets=ys)
        optimizer.step()
        if monitor is not None:
            found.append(monitor.step(loss=loss, logits=logits, targets=ys, learning_rate=lr))
    return found


def watched(net: nn.Module, **options: Any) -> Any:
    return genscope.watch(net, **{"out": False, "every": 1, "budget": None, **options})


def product_norm(net: nn.Module) -> float:
    return math.prod(float(p.detach().double().norm()) for p in net.parameters() if p.ndim == 2)
