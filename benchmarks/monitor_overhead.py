"""What watching costs: ResNet-20 training steps on CPU with and without a monitor of default settings, in alternating blocks.

    python benchmarks/monitor_overhead.py [--batch 64] [--blocks 8] [--steps 40] [--threads 1] [--cpu-time]

Both sides train the same network on the same made-up images. A block is a run of steps timed together; the blocks alternate, so that a change of the
machine's speed falls on both. The overhead is the median over pairs of blocks of time with over time without, minus one; its interval is a bootstrap
over pairs. "inside" is the time spent in monitor.step over that of a step without, which is steadier; "own account" is what the monitor itself says
that it took.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import genscope
from genscope.numerics.bootstrap import percentile_interval, resampling_weights
from genscope.training.models import resnet20
from genscope.training.monitor import Monitor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cpu-time", action="store_true", help="CPU seconds of the process instead of wall time, for a machine with other jobs")
    parser.add_argument("--out", type=Path, default=None, help="keep the run here")
    given = parser.parse_args()
    clock = time.process_time if given.cpu_time else time.perf_counter
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    model = resnet20()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    inputs, targets = torch.randn(given.batch, 3, 32, 32), torch.randint(0, 10, (given.batch,))

    inside: list[float] = []

    def block(monitor: Monitor | None) -> float:
        began = clock()
        for _ in range(given.steps):
            optimizer.zero_grad()
            logits = model(inputs)
            loss = F.cross_entropy(logits, targets)
            loss.backward()
            optimizer.step()
            if monitor is not None:
                asked = clock()
                monitor.step(loss=loss, logits=logits, targets=targets)
                inside.append(clock() - asked)
        return (clock() - began) / given.steps

    with tempfile.TemporaryDirectory() as folder:
        monitor = genscope.watch(model, given.out or Path(folder) / "run", optimizer=optimizer)
        block(monitor), block(None)  # caches, allocations, the one look that chooses the normalization
        inside.clear()
        pairs = np.array([(block(monitor), block(None)) if k % 2 else tuple(reversed((block(None), block(monitor)))) for k in range(given.blocks)])
        monitor.close()
    ratios = pairs[:, 0] / pairs[:, 1] - 1.0
    weights = resampling_weights(len(ratios), 2000, np.random.default_rng(0)).astype(int)
    interval = percentile_interval(np.array([np.median(np.repeat(ratios, row)) for row in weights])) or (float("nan"), float("nan"))
    print(f"ResNet-20, batch {given.batch}, {given.threads} thread(s), PyTorch {torch.__version__}, {given.blocks} pairs of {given.steps} steps")
    print(f"step without: {1e3 * np.median(pairs[:, 1]):.1f} ms    with: {1e3 * np.median(pairs[:, 0]):.1f} ms")
    print(f"overhead: {np.median(ratios):+.2%} (95 % {interval[0]:+.2%} … {interval[1]:+.2%}); own account {monitor.overhead:.2%}")
    share = sum(inside) / (len(inside) * np.median(pairs[:, 1]))
    print(f"inside monitor.step: {share:.2%} of a step without, on average over {len(inside)} steps")
    print(f"monitor: {monitor.steps} steps, options {monitor.options}")


if __name__ == "__main__":
    main()
