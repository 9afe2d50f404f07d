"""genscope and WeightWatcher 0.7.7 on the same weights in one run: seconds, CPU seconds, peak memory, and the floor (the bare eigenvalue routine).

    python benchmarks/against_weightwatcher.py --peer PYTHON [--models gpt2 resnet50 vgg16] [--repeats 3]

PYTHON is an interpreter with weightwatcher==0.7.7 from PyPI (`make bench` makes one). Runs alternate A B A B, so that a drifting machine hits both.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from models import write

HERE = Path(__file__).parent


def one(python: str, tool: str, path: Path) -> dict:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([python, str(HERE / "one_run.py"), tool, str(path)], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", default=None)
    parser.add_argument("--models", nargs="+", default=["gpt2", "resnet50", "vgg16"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer-repeats", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "genscope-benchmarks")
    given = parser.parse_args()
    tools = ["floor", "genscope", "genscope+200"]
    print(f"{'model':9} {'tool':14} {'rows':>5} {'seconds':>9} {'CPU s':>9} {'peak MB':>8}")
    for model in given.models:
        path = write(model, given.folder)
        runs: dict[str, list[dict]] = {}
        for repeat in range(given.repeats):
            if given.peer and repeat < given.peer_repeats:
                runs.setdefault("weightwatcher", []).append(one(given.peer, "weightwatcher", path))
            for tool in tools:
                runs.setdefault(tool, []).append(one(sys.executable, tool, path))
        names = ("rows", "seconds", "cpu", "peak_mb")
        middle = {tool: {name: statistics.median(run[name] for run in done) for name in names} for tool, done in runs.items()}
        for tool, row in middle.items():
            print(f"{model:9} {tool:14} {row['rows']:5.0f} {row['seconds']:9.2f} {row['cpu']:9.2f} {row['peak_mb']:8.0f}")
        ours, floor = middle["genscope"], middle["floor"]
        if "weightwatcher" in middle:
            peer = middle["weightwatcher"]
            print(f"{model:9} times faster than WeightWatcher: {peer['seconds'] / ours['seconds']:.1f} (wall), {peer['cpu'] / ours['cpu']:.1f} (CPU)")
        resampled = middle["genscope+200"]["seconds"] / ours["seconds"]
        print(f"{model:9} over the floor: {ours['seconds'] / floor['seconds']:.2f}; with 200 resamples over plain: {resampled:.2f}")


if __name__ == "__main__":
    main()
