"""Whatever happens to a run (killed, doubled, damaged, out of space), the finished store is the uninterrupted one, byte for byte."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from genscope.errors import StoreError
from genscope.experiments.context import Context
from genscope.experiments.execute import run_pending
from genscope.experiments.store import RunStore
from genscope.experiments.values import Cell, Family, Outcome

DRIVER = Path(__file__).with_name("faults_driver.py")
N_CELLS = 24


def start(store: Path, jobs: int, log: Path, what: str = "", engine: str = "processes", **chosen: object) -> subprocess.Popen[str]:
    command = [sys.executable, str(DRIVER), str(store), str(jobs), str(log), what, engine]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **chosen)  # type: ignore[call-overload]


def finish(process: subprocess.Popen[str]) -> str:
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return out


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted((folder / "cells").rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    assert finish(start(folder / "store", 1, folder / "log")).startswith(f"0 {N_CELLS} 0")
    return tree(folder / "store")


def test_killed_before_and_after_every_rename(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(DRIVER), str(tmp_path), "1", str(tmp_path / "log"), "crash"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_killed_at_random_times_loses_at_most_what_was_in_flight(tmp_path: Path, whole: dict[str, bytes]) -> None:
    draw = random.Random(7)
    store, log, kills = tmp_path / "store", tmp_path / "log", 0
    for _ in range(6):
        process = start(store, 1, log)
        before = len(log.read_text().split()) if log.exists() else 0
        while process.poll() is None and (len(log.read_text().split()) if log.exists() else 0) <= before:
            time.sleep(0.005)
        time.sleep(draw.random() * 0.1)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
    finish(start(store, 1, log))
    assert tree(store) == whole
    attempts = Counter(log.read_text().split())
    assert kills >= 3 and sum(attempts.values()) <= N_CELLS + kills and len(attempts) == N_CELLS


def test_two_runners_do_every_cell_once(tmp_path: Path, whole: dict[str, bytes]) -> None:
    store, log = tmp_path / "store", tmp_path / "log"
    both = [start(store, 1, log), start(store, 1, log)]
    said = [finish(process).split() for process in both]
    assert tree(store) == whole
    assert Counter(log.read_text().split()) == Counter({str(k): 1 for k in range(N_CELLS)})
    assert sum(int(words[1]) for words in said) == N_CELLS


def test_a_runner_takes_over_the_cells_of_a_killed_one(tmp_path: Path, whole: dict[str, bytes]) -> None:
    store, log = tmp_path / "store", tmp_path / "log"
    first, second = start(store, 1, log), start(store, 1, log)
    while not log.exists() or len(log.read_text().split()) < 6:
        time.sleep(0.005)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    finish(second)
    assert tree(store) == whole


@pytest.mark.slow
def test_a_cell_that_kills_its_worker_costs_only_itself(tmp_path: Path, whole: dict[str, bytes]) -> None:
    store, log = tmp_path / "store", tmp_path / "log"
    out = finish(start(store, 2, log, "killer"))
    assert out.startswith(f"0 {N_CELLS - 1} 1 ") and "died 3 times" in out
    assert Counter(log.read_text().split())["5"] == 3
    assert finish(start(store, 2, log)).startswith(f"{N_CELLS - 1} 1 0")
    assert tree(store) == whole


def test_a_cell_that_raises_costs_only_itself_and_is_tried_again(tmp_path: Path, whole: dict[str, bytes]) -> None:
    store, log = tmp_path / "store", tmp_path / "log"
    out = finish(start(store, 1, log, "raises"))
    assert out.startswith(f"0 {N_CELLS - 1} 1 ") and "ValueError: no luck" in out
    finish(start(store, 1, log))
    assert tree(store) == whole


def test_a_full_disk_is_one_sentence_and_nothing_is_lost(tmp_path: Path) -> None:
    store, log = tmp_path / "store", tmp_path / "log"
    full = start(store, 1, log, "grows", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000)))
    _, error = full.communicate(timeout=60)
    assert full.returncode == 1 and "could not be written" in error and len(error.strip().splitlines()) == 1
    kept = {name: content for name, content in tree(store).items() if name.endswith(".json")}
    assert 0 < len(kept) < N_CELLS and not [name for name in tree(store) if Path(name).name.startswith(".")]
    assert finish(start(store, 1, log, "grows")).startswith(f"{len(kept)} {N_CELLS - len(kept)} 0")
    assert kept.items() <= tree(store).items()


@pytest.mark.parametrize("damage", ["flipped", "cut", "emptied", "arrays flipped", "arrays gone", "another cell's", "a link"])
def test_a_damaged_cell_is_named_and_computed_again(tmp_path: Path, damage: str) -> None:
    family = Family("small", 1, lambda size: [Cell(f"cell {k}", {"k": k}) for k in range(3)], _run)
    run_pending([family], RunStore(tmp_path / "store"), Context())
    before = tree(tmp_path / "store")
    path, other = (RunStore(tmp_path / "store").path(family, cell) for cell in family.cells("smoke")[:2])
    arrays = path.with_suffix(".safetensors")
    raw = bytearray(path.read_bytes())
    if damage == "flipped":
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)
    elif damage in {"cut", "emptied"}:
        path.write_bytes(raw[: len(raw) // 2 if damage == "cut" else 0])
    elif damage == "arrays flipped":
        arrays.write_bytes(arrays.read_bytes()[:-1] + b"\x00")
    elif damage == "arrays gone":
        arrays.unlink()
    elif damage == "another cell's":
        path.write_bytes(other.read_bytes())
    else:
        path.unlink()
        path.symlink_to(other)
    store = RunStore(tmp_path / "store")
    summary = run_pending([family], store, Context())
    assert (summary.n_held, summary.n_done) == (2, 1)
    assert len(store.damaged) == 1 and path.name in store.damaged[0] and "computed again" in store.damaged[0]
    assert tree(tmp_path / "store") == before and not path.is_symlink()


def test_an_interrupt_leaves_whole_cells_and_no_claim(tmp_path: Path) -> None:
    def stops(cell: Cell, context: Context) -> Outcome:
        if cell.settings["k"] == 2:
            raise KeyboardInterrupt
        return _run(cell, context)

    cells = [Cell(f"cell {k}", {"k": k}) for k in range(4)]
    with pytest.raises(KeyboardInterrupt):
        run_pending([Family("small", 1, lambda size: cells, stops)], RunStore(tmp_path), Context())
    assert not list((tmp_path / "claims").iterdir())
    summary = run_pending([Family("small", 1, lambda size: cells, _run)], RunStore(tmp_path), Context())
    assert (summary.n_held, summary.n_done) == (2, 2)


def test_folders_that_are_no_store_are_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match="holds other files"):
        RunStore(tmp_path)
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "store.json").write_text(json.dumps({"store_format": 99}))
    with pytest.raises(StoreError, match="newer genscope"):
        RunStore(newer)
    (newer / "store.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        RunStore(newer)
    with pytest.raises(StoreError, match="a file"):
        RunStore(tmp_path / "thesis.tex")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["newer", "thesis.tex"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_a_cluster_does_the_same_and_a_lost_worker_costs_one_cell(tmp_path: Path, engine: str, whole: dict[str, bytes]) -> None:
    pytest.importorskip({"dask": "distributed", "ray": "ray"}[engine], reason=f"{engine} is not installed")
    store, log = tmp_path / "store", tmp_path / "log"
    out = finish(start(store, 2, log, "killer", engine)).strip().splitlines()[-1]
    held, done, failed = (int(word) for word in out.split()[:3])
    assert (held + done, failed) == (N_CELLS - 1, 1), out
    assert Counter(log.read_text().split())["5"] <= 12  # Dask itself tries a task on four workers
    assert finish(start(store, 2, log, "", engine)).strip().splitlines()[-1].startswith(f"{N_CELLS - 1} 1 0")
    assert tree(store) == whole


def _run(cell: Cell, context: Context) -> Outcome:
    return Outcome({"k": cell.settings["k"]}, {"walk": context.rng("walk", cell.settings["k"]).standard_normal(8).astype(np.float32)})
