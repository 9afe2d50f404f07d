"""A 25 by 25 loss surface, 512 samples: genscope against the plain loop of the original code and loss-landscapes 3.0.6 from PyPI, in one run.

    python benchmarks/surfaces.py [--peer PYTHON] [--points 25] [--repeats 3]

PYTHON is an interpreter with loss-landscapes==3.0.6 (`make bench` makes one). CPU seconds of one thread each, compilation and choosing included; the
loops, which need no warm-up, are timed on a part of the points and scaled up. The last column is how far losses differ from the plain loop's.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

HERE = Path(__file__).parent
PART = 25


class Conv(nn.Module):
    """Three convolutions with pooling, 19 thousand parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1)
        self.fc = nn.Linear(512, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in (self.conv1, self.conv2, self.conv3):
            x = functional.max_pool2d(functional.relu(layer(x)), 2)
        return self.fc(x.flatten(1))


def problem(name: str) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    if name == "conv":
        return Conv(), torch.randn(512, 3, 32, 32), torch.randint(10, (512,))
    layers = [nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)]
    return nn.Sequential(*layers), torch.randn(512, 1, 28, 28), torch.randint(10, (512,))


def plain_loop(module: nn.Module, x: torch.Tensor, y: torch.Tensor, directions: list[dict[str, torch.Tensor]], points: np.ndarray) -> np.ndarray:
    """The original code's way: write the weights into the module, run a DataLoader, add up `.item()` of loss and correct answers."""
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=128)
    start = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    found = []
    for row in points:
        for name, parameter in module.named_parameters():
            parameter.data = start[name] + sum(float(c) * move.get(name, torch.zeros(())) for c, move in zip(row, directions, strict=True))
        total, correct = 0.0, 0
        with torch.no_grad():
            for inputs, targets in loader:
                outputs = module(inputs)
                total += functional.cross_entropy(outputs, targets).item() * len(targets)
                correct += outputs.max(1)[1].eq(targets).sum().item()
        found.append(total / len(y))
    for name, parameter in module.named_parameters():
        parameter.data = start[name]
    return np.array(found)


def timed(run: Callable[..., Any], *given: Any, **options: Any) -> tuple[Any, float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    found = run(*given, **options)
    return found, time.process_time() - cpu, time.perf_counter() - wall


def peer(python: str, name: str, n: int) -> float:
    code = f"""
import sys, time, torch; sys.path.insert(0, {str(HERE)!r}); torch.set_num_threads(1)
from peer_problem import problem
import loss_landscapes, loss_landscapes.metrics
module, x, y = problem({name!r})
metric = loss_landscapes.metrics.Loss(torch.nn.functional.cross_entropy, x, y)
began = time.process_time()
loss_landscapes.random_plane(module, metric, distance=10, steps={n}, normalization='filter', deepcopy_model=True)
print(time.process_time() - began)
"""
    source = Path(__file__).read_text(encoding="utf-8")
    (HERE / "peer_problem.py").write_text(source.replace("from genscope", "# from genscope"), encoding="utf-8")
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    finally:
        (HERE / "peer_problem.py").unlink()
    if done.returncode:
        raise SystemExit(done.stderr[-1500:])
    return float(done.stdout)


def main() -> None:
    from genscope.landscape.directions import gaussian_directions
    from genscope.landscape.surface import grid_coordinates, symmetric_axis
    from genscope.networks.functional import wrap_module
    from genscope.verbs.landscape_plane import landscape_plane

    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", default=None)
    parser.add_argument("--points", type=int, default=25)
    parser.add_argument("--repeats", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    n = given.points
    points = grid_coordinates([symmetric_axis(1.0, n)] * 2)
    rows = []
    for name, ways in (("conv", ((None, None), ("loop", 9))), ("mlp", ((None, None),))):
        module, x, y = problem(name)
        directions = gaussian_directions(wrap_module(module), 2)
        part = points[:: max(1, len(points) // PART)]
        moves = [dict(one.tensors) for one in directions]
        baseline = min((timed(plain_loop, module, x, y, moves, part) for _ in range(given.repeats)), key=lambda one: one[1])
        base_cpu = baseline[1] * len(points) / len(part)
        rows.append({"network": name, "way": "plain loop (Li et al.)", "cpu": base_cpu, "wall": baseline[2] * len(points) / len(part), "times": 1.0})
        if given.peer:
            few = 5
            cpu = peer(given.peer, name, few) * len(points) / few**2
            rows.append({"network": name, "way": "loss-landscapes 3.0.6", "cpu": cpu, "wall": cpu, "times": base_cpu / cpu})
        for way, size in ways:
            tried = size or n
            result, cpu, wall = timed(landscape_plane, module, (x, y), directions=directions, points=tried, radius=1.0, backend=way)
            share = len(points) / tried**2
            used = result.head["evaluation"]["backend"]
            label = f"genscope, chosen: {used}" if way is None else f"genscope, {way}"
            grid = grid_coordinates([symmetric_axis(1.0, tried)] * 2)
            few = np.linspace(0, len(grid) - 1, 5).astype(int)
            truth = plain_loop(module, x, y, moves, grid[few])
            off = float(np.abs(np.array(result.curves["loss"]).reshape(-1)[few] / truth - 1).max())
            rows.append({"network": name, "way": label, "cpu": cpu * share, "wall": wall * share, "times": base_cpu / cpu / share, "difference": off})
    print(f"{'network':8} {'way':32} {'CPU s':>8} {'wall s':>8} {'times':>6} {'differs':>8}")
    for row in rows:
        print(f"{row['network']:8} {row['way']:32} {row['cpu']:8.1f} {row['wall']:8.1f} {row['times']:6.2f} {row.get('difference', 0.0):8.0e}")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
