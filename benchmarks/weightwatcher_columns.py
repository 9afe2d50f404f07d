"""Live check: every column that WeightWatcher 0.7.7 prints, against `genscope analyze --convention weightwatcher`, on one model.

    python benchmarks/weightwatcher_columns.py --peer PYTHON

PYTHON is an interpreter with weightwatcher==0.7.7 from PyPI. Prints the largest relative difference per column; ends with 1 if any exceeds 1e-6.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

PEER = """
import sys, torch, weightwatcher
state = torch.load(sys.argv[1], weights_only=True)
details = weightwatcher.WeightWatcher(model=state, log_level=50).analyze()
details.to_json(sys.argv[2], orient="records", double_precision=15)
"""


def make_model(path: Path) -> None:
    import torch

    generator = torch.Generator().manual_seed(0)
    heavy = torch.randn(200, 300, generator=generator) * (1 - torch.rand(1, 300, generator=generator)) ** -0.5
    shapes = {
        "fc1.weight": (60, 40),
        "conv.weight": (20, 16, 3, 3),
        "point.weight": (30, 40, 1, 1),
        "small.weight": (12, 12),
        "wide.weight": (30, 400),
    }
    state = {name: torch.randn(shape, generator=generator) / 5 for name, shape in shapes.items()}
    torch.save({**state, "heavy.weight": heavy / 10, "fc1.bias": torch.zeros(60)}, path)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", required=True)
    given = parser.parse_args()
    import genscope

    with tempfile.TemporaryDirectory() as folder:
        model, table = Path(folder) / "model.pt", Path(folder) / "peer.json"
        make_model(model)
        subprocess.run([given.peer, "-c", PEER, str(model), str(table)], check=True, capture_output=True)
        theirs = json.loads(table.read_text())
        ours = [row["weightwatcher"] for row in genscope.analyze(model, convention="weightwatcher", resamples=0).rows]
    worst: dict[str, float] = {}
    for peer, own in zip(theirs, ours, strict=True):
        for name, value in peer.items():
            if name == "layer_id":
                continue
            same = own[name] == value
            numbers = isinstance(value, int | float) and isinstance(own[name], int | float)
            worst[name] = max(worst.get(name, 0.0), 0.0 if same else abs(own[name] - value) / max(abs(value), 1e-12) if numbers else float("inf"))
    for name, difference in sorted(worst.items()):
        print(f"{name:20} {difference:.1e}")
    print(f"{len(theirs)} layers, {len(worst)} columns, largest difference {max(worst.values()):.1e}")
    return int(max(worst.values()) > 1e-6)


if __name__ == "__main__":
    sys.exit(main())
