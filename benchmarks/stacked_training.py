"""Training 24 small networks at once against one after another, in one run: same starts, same batches, same final weights.

    python benchmarks/stacked_training.py [--networks 24] [--epochs 60]

Wall seconds with the threads that PyTorch takes by itself and CPU seconds of the process. One after another means the plain loop of
`genscope.training.loop.fit` (torch.optim.Adam, mini-batches); four networks are timed and scaled up. The largest difference between the final
weights of both ways is printed, so that nobody mistakes a faster answer for the same one.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch

from genscope.training.batches import batches_of
from genscope.training.loop import Recipe, fit, initialize
from genscope.training.models import mlp, small_conv
from genscope.training.problems import swiss_roll
from genscope.training.stack import stack_from_seeds
from genscope.training.stacked import StackedRecipe, fit_stack

TIMED = 4
ROLL = swiss_roll()
POINTS = torch.from_numpy(ROLL.split.train.x) / 10, torch.from_numpy(ROLL.split.train.y)
IMAGES = torch.randn(256, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(256) % 10
CASES: dict[str, tuple[Callable[[], Any], tuple[torch.Tensor, torch.Tensor], int | None, str | None]] = {
    "swiss-roll MLP (3,646 params), batches of 32": (lambda: mlp((2, 23, 16, 26, 32, 28, 31, 2)), POINTS, 32, None),
    "swiss-roll MLP (3,646 params), full batch": (lambda: mlp((2, 23, 16, 26, 32, 28, 31, 2)), POINTS, None, None),
    "MLP 64-64-64-10, batches of 64": (lambda: mlp((64, 64, 64, 10)), (IMAGES[0].flatten(1), IMAGES[1]), 64, None),
    "conv 8-16 on 8x8, batches of 64, loop": (lambda: small_conv((8, 16), in_channels=1, image_size=8, kernel=3), IMAGES, 64, "loop"),
    "conv 8-16 on 8x8, batches of 64, vmap": (lambda: small_conv((8, 16), in_channels=1, image_size=8, kernel=3), IMAGES, 64, "vmap"),
}


def timed(function: Callable[[], Any]) -> tuple[float, float, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = function()
    return time.perf_counter() - wall, time.process_time() - cpu, found


def compare(build: Callable[[], Any], data: tuple[torch.Tensor, torch.Tensor], size: int | None, method: str | None, n: int, epochs: int) -> str:
    seeds = list(range(n))
    # what PyTorch imports and compiles at the first step belongs to neither way
    fit_stack(stack_from_seeds(build, seeds, method=method), batches_of(*data, size, seeds), StackedRecipe(1))
    fit(build(), *data, Recipe(1, batch_size=size or len(data[1])))
    stack = stack_from_seeds(build, seeds, method=method)
    together = timed(lambda: fit_stack(stack, batches_of(*data, size, seeds), StackedRecipe(epochs)))

    def alone() -> torch.Tensor:
        rows = []
        for seed in seeds[:TIMED]:
            module = initialize(build(), torch.Generator().manual_seed(seed))
            fit(module, *data, Recipe(epochs, batch_size=size or len(data[1]), seed=seed))
            rows.append(torch.cat([p.detach().flatten() for p in module.parameters()]))
        return torch.stack(rows)

    apart = timed(alone)
    factor = n / TIMED
    off = float((together[2].stack.flat[:TIMED] - apart[2]).abs().max())
    wall, cpu = apart[0] * factor, apart[1] * factor
    return f"{together[0]:7.2f} {wall:8.2f} {wall / together[0]:6.1f}x {cpu / together[1]:6.1f}x {off:9.1e}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--networks", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=30)
    given = parser.parse_args()
    print(f"{given.networks} networks, {given.epochs} epochs, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'':48s} stacked    alone   wall     CPU  weights differ")
    for name, (build, data, size, method) in CASES.items():
        epochs = given.epochs if size else 8 * given.epochs  # about as many steps
        print(f"{name:48s}{compare(build, data, size, method, given.networks, epochs)}", flush=True)


if __name__ == "__main__":
    main()
