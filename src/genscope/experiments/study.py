"""A user's own sweep on the machine of the experiments: a grid, a training, measures; then a table and a ranking."""

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from genscope.core.results import Result
from genscope.core.text import display_name
from genscope.errors import GenscopeError, PartialResult, UnsupportedInput, UsageError
from genscope.experiments.context import Context
from genscope.experiments.execute import Progress, Summary, run_pending
from genscope.experiments.reproduce import DEFAULT_STORE, data_folders
from genscope.experiments.store import RunStore
from genscope.experiments.trained import Trained
from genscope.experiments.values import Cell, Family, Outcome, Size

ERRORS = ("train_error", "test_error", "gap")


@dataclass(frozen=True)
class Study:
    """A sweep over hyper-parameters, each network measured and all of them ranked.

    Args:
        name: of the study; letters, digits, ``-`` and ``_``.
        grid: values by hyper-parameter (all combinations are trained), or a list of settings, one per network.
        train: ``"mlp"`` for the built-in networks (see :class:`genscope.experiments.study_mlp.MlpSettings`), or ``train(settings, context)``
            returning a :class:`Trained`; it must draw its randomness from the settings and ``context.generator(...)`` alone.
        fixed: settings that all networks share.
        measures: names of measures; default all that the budget includes.
        budget: ``fast``, ``default`` or ``paper``, as in ``assess``.
        target: the column to predict: ``gap``, ``test_error``, or one of ``Trained.numbers``.
        axes: hyper-parameters for the statistics along axes; default those that vary.
        group: hyper-parameter that may explain everything by itself (label noise, data size): correlations are then also taken within its values.
        version: raised when the training function changes, so that networks are trained again.
        needs: data folders without which nothing can run.
    """

    name: str
    grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]
    train: str | Callable[[Mapping[str, Any], Context], Trained] = "mlp"
    fixed: Mapping[str, Any] = field(default_factory=dict)
    measures: Sequence[str] | None = None
    budget: str = "fast"
    target: str = "gap"
    axes: Sequence[str] | None = None
    group: str | None = None
    version: int = 1
    needs: tuple[str, ...] = ()

    @property
    def settings(self) -> list[dict[str, Any]]:
        """The settings of every network, in order."""
        if isinstance(self.grid, Mapping):
            combined = itertools.product(*self.grid.values())
            rows = [dict(zip(self.grid, values, strict=True)) for values in combined]
        else:
            rows = [dict(row) for row in self.grid]
        if not rows:
            raise UsageError(f"{self.name}: the grid has no network; give each hyper-parameter at least one value.")
        return [{**self.fixed, **row} for row in rows]

    @property
    def varied(self) -> list[str]:
        """Settings that differ between networks."""
        every = self.settings
        return [name for name in every[0] if any(row.get(name) != every[0][name] for row in every)]


def study(
    spec: Study | str | Path,
    *,
    store: str | Path = DEFAULT_STORE,
    data: str | Path | Mapping[str, str | Path] | None = None,
    run: bool = True,
    jobs: int = 1,
    engine: str = "processes",
    device: str = "cpu",
    seed: int = 0,
    progress: Progress | None = None,
) -> Result:
    """Train and measure every network of a sweep, and rank the measures.

    The same call resumes: each network is trained once, each measurement is kept, and the table is always made from the store.

    Args:
        spec: a :class:`Study`, or a Python file that defines ``STUDY``.
        store: folder of finished runs.
        data: folders of data by name, or one folder that holds them all.
        run: ``False`` ranks what the store holds.
        jobs, engine, device, seed, progress: as in ``reproduce``.

    Returns:
        The Result of ``rank``; ``tail["models"]`` is the table, one row per network.

    Raises:
        GenscopeError: the grid or the file is wrong, the store cannot be used, or fewer than three networks are finished.

    Example:
        >>> import tempfile
        >>> tiny = Study("tiny", {"width": [4, 8, 16, 32]}, fixed={"epochs": 2, "n_train": 100}, measures=["margin", "l2_dist"])
        >>> result = study(tiny, store=tempfile.mkdtemp())
        >>> result.head["n_models"], {"margin", "l2_dist"} <= {row["measure"] for row in result.rows}
        (4, True)
    """
    chosen = spec if isinstance(spec, Study) else load_study(spec)
    _check_measures(chosen)
    held = RunStore(store, seed=seed)
    context = Context("full", device, data_folders(data), seed, held.trained_folder)
    family = family_of(chosen)
    summary = run_pending([family], held, context, jobs=jobs, engine=engine, progress=progress) if run else Summary()
    rows = [row for cell in family.cells("full") if (row := _row(held, family, cell)) is not None]
    notes = [*held.damaged, *(f"{report.name} failed: {report.reason}" for report in summary.failed), *summary.missing_data.values()]
    if len(rows) < 3:
        why = f": {notes[0]}" if notes else "; run it first."
        raise PartialResult(f"{chosen.name}: {len(rows)} of {len(family.cells('full'))} networks are finished, at least 3 are needed{why}")
    return _ranked(chosen, rows, notes, seed)


def _check_measures(chosen: Study) -> None:
    """Refuse a misspelt measure before anything is trained."""
    from genscope.core.resolver import unknown_name_sentence
    from genscope.measures.load import load_all_measures
    from genscope.sources.model_budget import budget_options

    budget_options(chosen.budget)
    for name in chosen.measures or ():
        if name not in load_all_measures().nodes:
            raise UsageError(unknown_name_sentence(name))


def progress_of(chosen: Study, store: str | Path, seed: int = 0) -> tuple[int, int]:
    """(finished, all) networks of a study."""
    held, family = RunStore(store, seed=seed), family_of(chosen)
    cells = family.cells("full")
    return sum(held.path(family, cell).is_file() for cell in cells), len(cells)


def family_of(chosen: Study) -> Family:
    """The study as a family of runs."""
    cells = [Cell(_name(row, chosen.varied), _cell_settings(chosen, row)) for row in chosen.settings]
    runner = _Runner(chosen)

    def every(_size: Size) -> list[Cell]:
        return cells

    many = runner.run_many if chosen.train == "mlp" else None
    return Family(f"study-{chosen.name}", chosen.version, every, runner.run, many, chosen.needs, at_most=64)


@dataclass(frozen=True)
class _Runner:
    """Trains and measures; picklable, for workers elsewhere."""

    study: Study

    def run(self, cell: Cell, context: Context) -> Outcome:
        """One network."""
        if self.study.train == "mlp":
            return next(self.run_many([cell], context))[1]
        if not callable(self.study.train):
            raise UsageError(f"{self.study.name}: there is no built-in training {self.study.train!r}; use 'mlp' or a function.")
        trained = self.study.train(cell.settings["train"], context)
        if not isinstance(trained, Trained):
            raise UsageError(f"{self.study.name}: the training function must return a genscope.Trained, not {type(trained).__name__}.")
        return measured(trained, self.study, context)

    def run_many(self, cells: Sequence[Cell], context: Context) -> Iterator[tuple[Cell, Outcome]]:
        """Many networks of the built-in training, as stacks."""
        from genscope.experiments.study_mlp import MlpSettings, trained_mlps

        every = trained_mlps([MlpSettings.of(cell.settings["train"]) for cell in cells], context)
        for cell, trained in zip(cells, every, strict=True):
            yield cell, measured(trained, self.study, context)


def measured(trained: Trained, chosen: Study, context: Context) -> Outcome:
    """Errors and measures of one network."""
    from genscope.measures.load import load_all_measures
    from genscope.sources.model import assess, default_measures

    names = list(chosen.measures) if chosen.measures is not None else default_measures(chosen.budget, load_all_measures())
    wanted = list(dict.fromkeys((*ERRORS[: 3 if trained.test is not None else 1], *names)))
    result = assess(
        trained.model, trained.train, trained.test, trained.initial, measures=wanted, budget=chosen.budget, seed=context.seed, device=context.device
    )
    values = {row["measure"]: row for row in result.rows if row["layer"] is None}
    return Outcome(
        {
            "columns": dict(trained.numbers),
            "values": {name: row["value"] for name, row in values.items()},
            "reasons": {name: row["reason"] for name, row in values.items() if row["value"] is None},
        }
    )


def load_study(path: str | Path) -> Study:
    """The ``STUDY`` that a Python file defines; the file is run.

    Raises:
        UsageError: no such file, or it defines no ``STUDY``.
        UnsupportedInput: running it fails.
    """
    import importlib.util

    path = Path(path)
    shown = display_name(path.name, 80)
    spec = importlib.util.spec_from_file_location(f"genscope_study_{path.stem}", path) if path.is_file() and path.suffix == ".py" else None
    if spec is None or spec.loader is None:
        raise UsageError(f"{shown}: give a Python file that defines STUDY = genscope.Study(...).")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except GenscopeError:
        raise
    except Exception as error:
        raise UnsupportedInput(f"{shown} fails with {type(error).__name__}: {' '.join(str(error).split())[:200]}.") from None
    finally:
        # not importable by name, so that its functions travel to workers by value
        sys.modules.pop(spec.name, None)
    found = getattr(module, "STUDY", None)
    if not isinstance(found, Study):
        raise UsageError(f"{shown}: it defines no STUDY = genscope.Study(...).")
    return found


def _cell_settings(chosen: Study, row: Mapping[str, Any]) -> dict[str, Any]:
    return {"train": dict(row), "measures": None if chosen.measures is None else list(chosen.measures), "budget": chosen.budget}


def _name(row: Mapping[str, Any], varied: Sequence[str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {row[name]}" for name in varied if name in row) or "the network"


def _row(store: RunStore, family: Family, cell: Cell) -> dict[str, Any] | None:
    finished = store.read(family, cell)
    if finished is None:
        return None
    numbers = finished.numbers
    return {"model": cell.name, **finished.cell.settings["train"], **numbers["columns"], **numbers["values"]}


def _ranked(chosen: Study, rows: Sequence[Mapping[str, Any]], notes: Sequence[str], seed: int) -> Result:
    from genscope.evaluation.rank import rank

    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    if chosen.target not in columns:
        raise UsageError(f"{chosen.name}: there is no column {chosen.target!r} to predict; there are {', '.join(names[:12])} …")
    settings = set(chosen.settings[0])
    barred = settings | {"model", chosen.target, *ERRORS, *_seen_test_data()}
    candidates = [name for name in names if name not in barred and _has_numbers(columns[name])]
    axes = [name for name in (chosen.axes if chosen.axes is not None else chosen.varied) if name in columns]
    result = rank(columns, target=chosen.target, measures=candidates, axes=axes, group=chosen.group, seed=seed)
    left_out = f"{len(chosen.settings) - len(rows)} of {len(chosen.settings)} networks are not finished"
    extra = [left_out] if len(rows) < len(chosen.settings) else []
    tail = {**result.tail, "notes": [*extra, *notes, *result.tail["notes"]], "models": [dict(row) for row in rows]}
    return replace(result, head={**result.head, "study": chosen.name}, tail=tail)


def _seen_test_data() -> set[str]:
    """Measures that are made of test data: they would know the answer."""
    from genscope.measures.load import load_all_measures

    catalogue = load_all_measures()
    return {node.name for node in catalogue.measures() if any(root.startswith("test") for root in catalogue.roots_of(node.name))}


def _has_numbers(values: Sequence[Any]) -> bool:
    return sum(isinstance(value, int | float) and not isinstance(value, bool) for value in values) >= 3
