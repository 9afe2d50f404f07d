"""The network and the data of the benchmarks on trained models: ResNet-20 on the first CIFAR-10 training images, or an MLP on digits."""

# ruff: noqa: E402 - the thread counts must be set before numpy is imported

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

torch.set_num_threads(1)
MEAN, STD = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def resnet20(weights: Path) -> nn.Module:
    """The published ResNet-20 (option A shortcuts) in evaluation mode."""
    from genscope.training.models import resnet20 as build

    held = torch.load(weights, map_location="cpu", weights_only=True)
    held = held.get("state_dict", held)
    model = build()
    model.load_state_dict({name.removeprefix("module."): value for name, value in held.items()})
    return model.eval()


def cifar(directory: Path, count: int) -> tuple[Tensor, Tensor]:
    """The first ``count`` images of ``data_batch_1``, normalized as the network was trained."""
    import pickle

    with (directory / "data_batch_1").open("rb") as file:
        held = pickle.load(file, encoding="bytes")
    x = held[b"data"][:count].reshape(-1, 3, 32, 32).astype(np.float32) / 255
    mean, std = (np.array(part, np.float32).reshape(3, 1, 1) for part in (MEAN, STD))
    return torch.from_numpy((x - mean) / std), torch.tensor(held[b"labels"][:count])


def digits_mlp(steps: int = 200) -> tuple[nn.Module, Tensor, Tensor]:
    """A 64-128-64-10 ReLU network trained for a few steps on scikit-learn's digits."""
    from sklearn.datasets import load_digits

    held = load_digits()
    x, y = torch.from_numpy(held.data.astype(np.float32) / 16), torch.from_numpy(held.target)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    return net.eval(), x, y


def cpu_seconds(run: Callable[[], Any], repeats: int) -> tuple[list[float], Any]:
    """CPU seconds of each repeat and the last result."""
    spent, result = [], None
    for _ in range(repeats):
        began = time.process_time()
        result = run()
        spent.append(time.process_time() - began)
    return spent, result


def told(seconds: list[float], scale: float = 1.0) -> str:
    """``min / median``."""
    return f"{min(seconds) * scale:.3g} / {statistics.median(seconds) * scale:.3g}"
