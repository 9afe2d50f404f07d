"""Runs a small family into a store, in a process of its own that tests may kill: ``python faults_driver.py STORE JOBS LOG [WHAT [ENGINE]]``."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from genscope.errors import GenscopeError
from genscope.experiments.context import Context
from genscope.experiments.execute import run_pending
from genscope.experiments.store import RunStore
from genscope.experiments.values import Cell, Family, Outcome

N_CELLS = 24
MAIN = __name__ == "__main__"  # workers of a cluster import this file with arguments of their own
LOG = Path(sys.argv[3]) if MAIN and len(sys.argv) > 3 else None
WHAT = sys.argv[4] if MAIN and len(sys.argv) > 4 else ""
ENGINE = sys.argv[5] if MAIN and len(sys.argv) > 5 else "processes"


def cells(_size: str) -> list[Cell]:
    return [Cell(f"cell {k}", {"k": k}) for k in range(N_CELLS)]


def run(cell: Cell, context: Context) -> Outcome:
    k = cell.settings["k"]
    if LOG is not None:
        with LOG.open("a") as log:
            log.write(f"{k}\n")
    if WHAT == "killer" and k == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if WHAT == "raises" and k == 5:
        raise ValueError("no luck")
    time.sleep(0.002 if WHAT == "crash" else 0.02)
    return Outcome(
        {"k": k, "draw": float(context.rng("draw", k).random())},
        {"walk": context.rng("walk", k).standard_normal(50 * (k + 1) if WHAT == "grows" else 50)},
    )


def run_many(many: Sequence[Cell], context: Context) -> Iterator[tuple[Cell, Outcome]]:
    for cell in many:
        yield cell, run(cell, context)


FAMILY = Family("faults", 1, cells, run)
STACKED = Family("stacked", 1, cells, run, run_many=run_many, at_most=8)


def tree(folder: Path) -> dict[str, bytes]:
    """What must be the same bytes after any interruption."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted((folder / "cells").rglob("*")) if path.is_file()}


def crash_everywhere(folder: Path) -> None:
    """Kill a forked run before and after each of its renames in turn, then finish: the store must always be the uninterrupted one."""
    whole = folder / "whole"
    run_pending([FAMILY], RunStore(whole), Context())
    expected = tree(whole)
    rename = os.replace
    n_renames = 3 * 3 + 1  # of the marker and the first three cells
    for before in (True, False):
        for stop in range(1, n_renames + 1):
            store = folder / f"{before}-{stop}"
            child = os.fork()
            if child == 0:
                count = 0

                def counting(source: str, target: str, before: bool = before, stop: int = stop) -> None:
                    nonlocal count
                    count += 1
                    if count == stop and before:
                        os.kill(os.getpid(), signal.SIGKILL)
                    rename(source, target)
                    if count == stop:
                        os.kill(os.getpid(), signal.SIGKILL)

                os.replace = counting
                run_pending([FAMILY], RunStore(store), Context())
                os._exit(3)
            _, status = os.waitpid(child, 0)
            assert os.WIFSIGNALED(status), "the child was to be killed"
            found = tree(store) if store.exists() else {}
            assert all(expected[name] == content for name, content in found.items() if not Path(name).name.startswith("."))
            summary = run_pending([FAMILY], RunStore(store), Context())
            n_whole = sum(name.endswith(".json") and not Path(name).name.startswith(".") for name in found)
            assert (summary.n_held, summary.n_done) == (n_whole, N_CELLS - n_whole)
            assert tree(store) == expected
            assert not list((store / "claims").iterdir())


if __name__ == "__main__":
    if WHAT == "crash":
        crash_everywhere(Path(sys.argv[1]))
        sys.exit(0)
    try:
        chosen = STACKED if WHAT == "stacked" else FAMILY
        summary = run_pending([chosen], RunStore(sys.argv[1]), Context(), jobs=int(sys.argv[2]), engine=ENGINE)
    except GenscopeError as error:
        sys.exit(str(error))
    sys.stdout.write(f"{summary.n_held} {summary.n_done} {len(summary.failed)} {[report.reason for report in summary.failed]}\n")
