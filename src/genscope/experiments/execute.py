"""Does what is pending: cells over workers, each claimed, computed, saved; what one cell or one worker suffers, the others do not."""

import contextlib
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import genscope
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
        if seen.setdefault(family.name, family) is not family:
            if seen[family.name] != family:
                raise UsageError(f"Two families are called {family.name!r}; give one of them another name.")
            continue
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


def _run_all(tasks: Sequence[Task], store: RunStore, context: Context, jobs: int, engine: str, counter: _Counter) -> list[tuple[Task, Cell]]:
    """Run ``tasks``; cells that another process holds are returned. Dead workers are replaced, and a cell that killed three is given up."""
    busy: list[tuple[Task, Cell]] = []
    deaths: Counter[str] = Counter()
    left = {(task.family.name, cell.name, store.key(task.family, cell)): (task, cell) for task in tasks for cell in task.cells}
    while tasks:
        worker = _Worker(store, context, counter.add if engine == "threads" and jobs <= 1 else None)
        try:
            for reports in run_tasks(worker, tasks, jobs=jobs, engine=engine):
                for key, report in reports:
                    entry = left.pop((report.family, report.name, key), None)
                    if report.state == "busy" and entry is not None:
                        busy.append(entry)
                    elif worker.observe is None:
                        counter.add(report)
            return busy
        except GenscopeError:
            raise
        except Exception as error:
            if engine == "threads":
                raise
            tasks = _after_loss(left, store, deaths, counter, error)
    return busy


def _after_loss(
    left: dict[tuple[str, str, str], tuple[Task, Cell]], store: RunStore, deaths: Counter[str], counter: _Counter, error: Exception
) -> list[Task]:
    """What remains after a worker died: finished cells counted, those in flight suspected (their claims lie behind, unlocked)."""
    suspects = 0
    for (name, cell_name, key), (task, cell) in list(left.items()):
        if store.read(task.family, cell) is not None:
            del left[(name, cell_name, key)]
            counter.add(Report(name, cell_name, "done"))
        elif store.claim_path(task.family, cell).exists():
            suspects += 1
            deaths[key] += 1
            if deaths[key] >= DEATHS:
                del left[(name, cell_name, key)]
                counter.add(Report(name, cell_name, "failed", f"its worker died {DEATHS} times (out of memory, or killed)"))
    if not suspects:
        deaths["engine"] += 1
        if deaths["engine"] >= DEATHS:
            raise StoreError(f"The engine was lost {DEATHS} times ({type(error).__name__}: {str(error)[:200]}); finished cells are kept, run again.")
    return [Task(task.family, (cell,)) for task, cell in left.values()]


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


def environment_of(device: str) -> Mapping[str, Any]:
    """Versions and device that a cell's numbers come from; no user, host or path."""
    found: dict[str, Any] = {"genscope": genscope.__version__, "python": platform.python_version()}
    for name in ("numpy", "scipy", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return {**found, "machine": platform.machine(), "device": device}
