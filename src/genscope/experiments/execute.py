"""Does what is pending: cells over workers, each claimed, computed, saved; what one cell or one worker suffers, the others do not."""

import contextlib
import functools
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import genscope
from genscope.core.claims import is_claimed
from genscope.errors import GenscopeError, StoreError, UsageError
from genscope.experiments.context import Context, MissingData
from genscope.experiments.store import RunStore
from genscope.experiments.values import Cell, Family, Size
from genscope.sources.fan_out import run_tasks

Progress = Callable[[int, int, str, float], None]
DEATHS = 3


@dataclass(frozen=True)
class Task:
    """Cells that one worker does in one go."""

    family: Family
    cells: tuple[Cell, ...]
    wait: bool = False


@dataclass(frozen=True)
class Report:
    """What became of a cell: ``done``, ``held`` (finished meanwhile), ``busy`` (another process has it), ``failed``, ``no data`` or ``store``."""

    family: str
    name: str
    state: str
    reason: str = ""


@dataclass
class Summary:
    """What became of all cells."""

    n_done: int = 0
    n_held: int = 0
    failed: list[Report] = field(default_factory=list)
    missing_data: dict[str, str] = field(default_factory=dict)

    def add(self, report: Report) -> None:
        """Count one cell."""
        if report.state == "store":
            raise StoreError(report.reason)
        if report.state == "no data":
            self.missing_data[report.family] = report.reason
        elif report.state == "failed":
            self.failed.append(report)
        else:
            self.n_done += report.state == "done"
            self.n_held += report.state == "held"


def pending_tasks(families: Iterable[Family], size: Size, store: RunStore, jobs: int = 1) -> tuple[list[Task], int]:
    """The tasks that the store does not hold yet, and how many cells it holds.

    Raises:
        UsageError: two cells of a family have the same settings, or two families the same name.
    """
    tasks: list[Task] = []
    seen: dict[str, Family] = {}
    n_held = 0
    for family in families:
        if family.name in seen:
            if seen[family.name] != family:
                raise UsageError(f"Two families are called {family.name!r}; give one of them another name.")
            continue
        seen[family.name] = family
        cells = list(family.cells(size))
        keys = Counter(store.key(family, cell) for cell in cells)
        if len(keys) != len(cells):
            raise UsageError(f"{family.name}: two of its {len(cells)} cells at size {size} have the same settings.")
        pending = [cell for cell in cells if store.read(family, cell) is None]
        n_held += len(cells) - len(pending)
        if family.run_many is None:
            tasks += [Task(family, (cell,)) for cell in pending]
        elif pending:
            step = min(max(1, family.at_most), -(-len(pending) // max(1, jobs)))
            tasks += [Task(family, tuple(pending[start : start + step])) for start in range(0, len(pending), step)]
    return tasks, n_held


def run_pending(
    families: Iterable[Family], store: RunStore, context: Context, *, jobs: int = 1, engine: str = "processes", progress: Progress | None = None
) -> Summary:
    """Compute what is pending and save each cell as it is finished.

    Args:
        families: whose cells of ``context.size`` are wanted.
        store: where they are kept.
        context: what runs may use.
        jobs: cells at once.
        engine: ``threads``, ``processes``, ``ray`` or ``dask``; with one job everything runs in this process.
        progress: called with (done, total, name, share done).

    Returns:
        How many cells were done, held before, failed (with reasons), or lack data.

    Raises:
        StoreError: the store cannot be written; finished cells are kept.
    """
    store.sweep()
    tasks, n_held = pending_tasks(families, context.size, store, jobs)
    summary = Summary(n_held=n_held)
    tasks = [task for task in tasks if not _lacks_data(task.family, context, summary)]
    total = sum(len(task.cells) for task in tasks)
    counter = _Counter(summary, total, progress)
    engine = "threads" if engine == "processes" and jobs <= 1 else engine
    busy = _run_all(tasks, store, context, jobs, engine, counter)
    # what another process is doing now is waited for; if that process dies, the cell is done here
    _run_all([Task(task.family, (cell,), wait=True) for task, cell in busy], store, context, jobs, engine, counter)
    return summary


@dataclass
class _Counter:
    summary: Summary
    total: int
    progress: Progress | None
    n_seen: int = 0

    def add(self, report: Report) -> None:
        self.summary.add(report)
        self.n_seen += 1
        if self.progress is not None:
            self.progress(self.n_seen, self.total, report.name, self.n_seen / max(1, self.total))


def _lacks_data(family: Family, context: Context, summary: Summary) -> bool:
    for name in family.needs:
        try:
            context.folder(name)
        except MissingData as missing:
            summary.missing_data[family.name] = str(missing)
            return True
    return False


Left = dict[tuple[str, str], tuple[Task, Cell]]


def _run_all(tasks: Sequence[Task], store: RunStore, context: Context, jobs: int, engine: str, counter: _Counter) -> list[tuple[Task, Cell]]:
    """Run ``tasks``; cells that another process holds are returned. Dead workers are replaced, and a cell that killed three is given up."""
    busy: list[tuple[Task, Cell]] = []
    left: Left = {(task.family.name, store.key(task.family, cell)): (task, cell) for task in tasks for cell in task.cells}
    worker = _Worker(store, context, counter.add if engine == "threads" and jobs <= 1 else None)
    losses = 0
    while tasks:
        error = _run_pool(worker, tasks, left, busy, jobs, engine, counter)
        if error is None:
            break
        losses += 1
        for key in _suspects(left, store, counter):
            _run_alone(worker, key, left, busy, engine, counter)
        if losses >= DEATHS:
            raise StoreError(
                f"The engine {engine} was lost {losses} times ({type(error).__name__}: {' '.join(str(error).split())[:200]}); "
                "finished runs are kept, the same command resumes."
            )
        tasks = [Task(task.family, (cell,), task.wait) for task, cell in left.values()]
    return busy


def _run_pool(
    worker: "_Worker", tasks: Sequence[Task], left: Left, busy: list[tuple[Task, Cell]], jobs: int, engine: str, counter: _Counter
) -> Exception | None:
    """Run ``tasks`` and count what they report; returns the error that tells of a lost engine."""
    try:
        for reports in run_tasks(worker, tasks, jobs=jobs, engine=engine, isolated=True):
            for key, report in reports:
                entry = left.pop((report.family, key), None)
                if report.state == "busy" and entry is not None:
                    busy.append(entry)
                elif worker.observe is None:
                    counter.add(report)
    except GenscopeError:
        raise
    except Exception as error:
        if engine == "threads":
            raise  # no worker can be lost: this is an error of the machine itself
        return error
    return None


def _suspects(left: Left, store: RunStore, counter: _Counter) -> list[tuple[str, str]]:
    """After a loss: cells that were finished are counted; those in flight are named, for their claims lie behind, unlocked."""
    found = []
    for key, (task, cell) in list(left.items()):
        if store.read(task.family, cell) is not None:
            del left[key]
            counter.add(Report(key[0], cell.name, "done"))
        elif store.claim_path(task.family, cell).exists() and not is_claimed(store.claim_path(task.family, cell)):
            found.append(key)
    return found


def _run_alone(worker: "_Worker", key: tuple[str, str], left: Left, busy: list[tuple[Task, Cell]], engine: str, counter: _Counter) -> None:
    """Try a suspect again with nobody beside it, so that only the cell that kills its workers is given up."""
    task, cell = left[key]
    for _ in range(DEATHS - 1):
        if _run_pool(worker, [Task(task.family, (cell,), task.wait)], left, busy, 1, engine, counter) is None:
            return
    del left[key]
    counter.add(Report(key[0], cell.name, "failed", f"its worker died {DEATHS} times (killed, or out of memory)"))


@dataclass(frozen=True)
class _Worker:
    """Does one task; what goes wrong in a cell becomes its report."""

    store: RunStore
    context: Context
    observe: Callable[[Report], None] | None = None

    def __call__(self, task: Task) -> list[tuple[str, Report]]:
        found = []
        for cell, report in self._reports(task):
            found.append((self.store.key(task.family, cell), report))
            if self.observe is not None and report.state != "busy":
                self.observe(report)
        return found

    def _reports(self, task: Task) -> Iterator[tuple[Cell, Report]]:
        family, name = task.family, task.family.name
        with contextlib.ExitStack() as claims:
            mine: list[Cell] = []
            for cell in task.cells:
                try:
                    had = claims.enter_context(self.store.claim(family, cell, wait=task.wait))
                except StoreError as error:
                    yield cell, Report(name, cell.name, "store", str(error))
                    return
                if not had:
                    yield cell, Report(name, cell.name, "busy")
                elif self.store.read(family, cell) is not None:
                    yield cell, Report(name, cell.name, "held")
                else:
                    mine.append(cell)
            yield from self._compute(family, mine)

    def _compute(self, family: Family, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Report]]:
        left = {self.store.key(family, cell): cell for cell in cells}
        environment = environment_of(self.context.device)
        try:
            began = time.perf_counter()
            for cell, outcome in _outcomes(family, cells, self.context):
                seconds = time.perf_counter() - began
                self.store.save(family, cell, outcome, environment=environment, seconds=seconds)
                left.pop(self.store.key(family, cell), None)
                yield cell, Report(family.name, cell.name, "done")
                began = time.perf_counter()
            state, reason = "failed", "the run ended without an outcome"
        except StoreError as error:
            state, reason = "store", str(error)
        except MissingData as error:
            state, reason = "no data", str(error)
        except GenscopeError as error:
            state, reason = "failed", str(error)
        except Exception as error:
            state, reason = "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        for cell in left.values():
            yield cell, Report(family.name, cell.name, state, reason)


def _outcomes(family: Family, cells: Sequence[Cell], context: Context) -> Iterator[tuple[Cell, Any]]:
    if family.run_many is not None and len(cells) > 1:
        yield from family.run_many(cells, context)
    else:
        for cell in cells:
            yield cell, family.run(cell, context)


@functools.cache
def environment_of(device: str) -> Mapping[str, Any]:
    """Versions and device that a cell's numbers come from; no user, host or path."""
    found: dict[str, Any] = {"genscope": genscope.__version__, "python": platform.python_version()}
    for name in ("numpy", "scipy", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return {**found, "machine": platform.machine(), "device": device}
