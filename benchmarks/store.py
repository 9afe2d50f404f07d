"""What the store of runs costs per cell: claim, two checks, three atomic files; and how fast finished runs are read again.

``python benchmarks/store.py [N_CELLS]``
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from genscope.experiments.context import Context
from genscope.experiments.execute import run_pending
from genscope.experiments.store import RunStore
from genscope.experiments.values import Cell, Family, Outcome

ARRAY = np.random.default_rng(0).standard_normal(10_000)


def run(cell: Cell, context: Context) -> Outcome:
    return Outcome({"k": cell.settings["k"], "curve": [0.5] * 20}, {"curve": ARRAY})


def main(n_cells: int) -> None:
    family = Family("benchmark", 1, lambda size: [Cell(f"cell {k}", {"k": k, "width": 128, "rate": 0.1}) for k in range(n_cells)], run)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        began = time.perf_counter()
        summary = run_pending([family], RunStore(Path(folder) / "store"), Context())
        written = time.perf_counter()
        assert summary.n_done == n_cells
        assert run_pending([family], RunStore(Path(folder) / "store"), Context()).n_held == n_cells
        read = time.perf_counter()
    print(f"{n_cells} cells with {ARRAY.nbytes // 1000} kB of arrays each, on the disk of the working folder, one process")
    print(f"  written: {1000 * (written - began) / n_cells:.2f} ms per cell (the aim: under 20 ms)")
    print(f"  read and verified again: {1000 * (read - written) / n_cells:.2f} ms per cell")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
