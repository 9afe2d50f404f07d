"""Planning, stacked runs, shared networks, missing data, keys."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from genscope.errors import StoreError, UsageError
from genscope.experiments.context import Context, MissingData
from genscope.experiments.execute import pending_tasks, run_pending
from genscope.experiments.runs import Runs
from genscope.experiments.store import RunStore
from genscope.experiments.values import Cell, Experiment, Family, Judgement, Outcome

CELLS = [Cell(f"cell {k}", {"k": k}) for k in range(10)]


def square(cell: Cell, context: Context) -> Outcome:
    return Outcome({"square": cell.settings["k"] ** 2, "nothing": float("nan")}, {"row": np.full(3, cell.settings["k"])})


FAMILY = Family("squares", 1, lambda size: CELLS[: {"smoke": 3, "small": 5, "full": 10}[size]], square)


def experiment(*families: Family) -> Experiment:
    return Experiment("S9-T1", "nobody", "squares", "squares are squares", families, lambda runs: Judgement("HOLDS", (), ""))


def test_sizes_share_what_they_have_in_common(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    assert run_pending([FAMILY], store, Context(size="smoke")).n_done == 3
    summary = run_pending([FAMILY], store, Context(size="small"))
    assert (summary.n_held, summary.n_done) == (3, 2)
    runs = Runs(experiment(FAMILY), "small", store)
    assert runs.n == 5 and runs.n_missing == 0 and runs.has(FAMILY)
    assert runs.table(FAMILY)[2] == ({"k": 2}, {"square": 4, "nothing": None})
    assert runs.column("squares", "square").tolist() == [0, 1, 4, 9, 16] and runs.column(FAMILY, "k", k=3).tolist() == [3]
    assert np.isnan(runs.column(FAMILY, "nothing")).all()
    assert runs.arrays(CELLS[4])["row"].tolist() == [4, 4, 4]
    with pytest.raises(StoreError, match="not in the store"):
        runs.arrays(CELLS[9])
    assert Runs(experiment(FAMILY), "full", store).n_missing == 5


def test_another_version_seed_or_setting_is_another_cell(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    keys = {store.key(FAMILY, CELLS[0]), store.key(replace(FAMILY, version=2), CELLS[0]), store.key(FAMILY, CELLS[1])}
    keys.add(RunStore(tmp_path, seed=1).key(FAMILY, CELLS[0]))
    assert len(keys) == 4
    assert store.key(FAMILY, Cell("renamed", {"k": 0})) == store.key(FAMILY, CELLS[0])
    assert store.key(FAMILY, Cell("", {"a": 1, "b": [2]})) == store.key(FAMILY, Cell("", {"b": (2,), "a": 1}))


def test_planning_refuses_what_would_collide(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    with pytest.raises(UsageError, match="same settings"):
        pending_tasks([replace(FAMILY, cells=lambda size: [CELLS[0], Cell("twin", {"k": 0})])], "smoke", store)
    with pytest.raises(UsageError, match="Two families"):
        pending_tasks([FAMILY, replace(FAMILY, version=2)], "smoke", store)
    with pytest.raises(UsageError, match="JSON values"):
        pending_tasks([replace(FAMILY, cells=lambda size: [Cell("set", {"k": {1}})])], "smoke", store)
    with pytest.raises(UsageError, match="cannot be a folder"):
        pending_tasks([replace(FAMILY, name="../up")], "smoke", store)
    assert len(pending_tasks([FAMILY, FAMILY], "smoke", store)[0]) == 3


def test_many_cells_are_trained_together_and_saved_one_by_one(tmp_path: Path) -> None:
    groups: list[int] = []

    def many(cells: Sequence[Cell], context: Context) -> Iterator[tuple[Cell, Outcome]]:
        groups.append(len(cells))
        for cell in cells:
            if cell.settings["k"] == 6 and len(groups) == 2:
                raise ValueError("diverged")
            yield cell, square(cell, context)

    family = replace(FAMILY, run_many=many, at_most=4)
    seen: list[tuple[int, int, str, float]] = []
    summary = run_pending([family], RunStore(tmp_path), Context(size="full"), progress=lambda *told: seen.append(told))
    assert groups == [4, 4, 2] and summary.n_done == 8 and [report.name for report in summary.failed] == ["cell 6", "cell 7"]
    assert [told[0] for told in seen] == list(range(1, 11)) and seen[-1][3] == 1.0
    assert run_pending([family], RunStore(tmp_path), Context(size="full")).n_done == 2 and groups[3:] == [2]


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_engines_give_the_same_bytes(tmp_path: Path, engine: str) -> None:
    for name, jobs, chosen in (("one", 1, "processes"), ("two", 2, engine)):
        run_pending([FAMILY], RunStore(tmp_path / name), Context(size="full"), jobs=jobs, engine=chosen)
    one, two = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name / "cells").rglob("*.*")} for name in ("one", "two")
    )
    assert one == two and len(one) == 20


def test_networks_are_trained_once_and_shared(tmp_path: Path) -> None:
    trained: list[int] = []

    def train(width: int) -> dict[str, torch.Tensor]:
        trained.append(width)
        return {"w": torch.full((width, 2), 0.1, dtype=torch.float64), "steps": torch.tensor(7), "half": torch.ones(2, dtype=torch.bfloat16)}

    def use(cell: Cell, context: Context) -> Outcome:
        width = cell.settings["k"] % 2 + 1
        tensors = context.trained({"width": width}, lambda: train(width))
        return Outcome({"sum": float(tensors["w"].sum()), "steps": int(tensors["steps"]), "type": str(tensors["half"].dtype)})

    store = RunStore(tmp_path)
    families = [replace(FAMILY, run=use), replace(FAMILY, name="others", run=use)]
    context = Context(size="small", trained_folder=store.trained_folder)
    assert run_pending(families, store, context).failed == [] and sorted(trained) == [1, 2]
    assert Runs(experiment(*families), "small", store).table("others")[1][1] == {"sum": pytest.approx(0.4), "steps": 7, "type": "torch.float32"}
    weights = next(store.trained_folder.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-2])
    run_pending([replace(families[0], name="third")], store, context)
    assert len(trained) == 3
    context.trained({"width": 2}, lambda: train(2))
    replace(context, seed=1).trained({"width": 2}, lambda: train(2))
    assert len(trained) == 4 and not list(store.trained_folder.glob(".*"))


def test_missing_data_are_said_and_the_rest_is_run(tmp_path: Path) -> None:
    def needs_inside(cell: Cell, context: Context) -> Outcome:
        context.folder("tables/late")
        raise AssertionError

    families = [replace(FAMILY, name="needy", needs=("cifar10",)), replace(FAMILY, name="late", run=needs_inside), FAMILY]
    summary = run_pending(families, RunStore(tmp_path), Context())
    assert summary.n_done == 3 and not summary.failed
    assert summary.missing_data["needy"] == "The data 'cifar10' are not here; give their folder with --data-dir cifar10=FOLDER."
    assert "--data-dir tables=FOLDER" in summary.missing_data["late"]


def test_folders_are_found_by_name_by_parent_and_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "root" / "tables" / "a").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    context = Context(data={"": str(tmp_path / "root"), "cifar10": str(tmp_path / "c")})
    assert context.folder("tables/a") == tmp_path / "root/tables/a" and context.folder("cifar10") == tmp_path / "c"
    assert Context(data={"tables": str(tmp_path / "root/tables")}).folder("tables/a").name == "a"
    with pytest.raises(MissingData):
        context.folder("mnist")


def test_generators_depend_on_names_and_seed_alone() -> None:
    first, again, other = (Context(seed=seed).rng("weights", 3).random() for seed in (0, 0, 1))
    assert first == again != other
    assert torch.equal(torch.rand(3, generator=Context().generator("w")), torch.rand(3, generator=Context(size="full").generator("w")))


def test_outcomes_that_cannot_be_stored_fail_by_name(tmp_path: Path) -> None:
    family = replace(FAMILY, run=lambda cell, context: Outcome({"model": object()}))
    summary = run_pending([family], RunStore(tmp_path), Context())
    assert len(summary.failed) == 3 and "cannot be stored" in summary.failed[0].reason
