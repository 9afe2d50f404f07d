"""What there is to reproduce, and how far a store has come with it."""

import json
from pathlib import Path
from typing import Any

from genscope.core.sealed import read_regular
from genscope.experiments.registry import experiments
from genscope.experiments.store import RunStore
from genscope.experiments.values import VERDICTS, Experiment, Size, size_of


def listing(store: str | Path, size: str, *, seed: int = 0) -> list[dict[str, Any]]:
    """One row per experiment: id, source, title, cost, finished and all cells, state (``new``, ``begun``, ``done``) and last verdict."""
    held = RunStore(store, seed=seed)
    return [_row(experiment, size_of(size), held) for experiment in experiments().values()]


def _row(experiment: Experiment, size: Size, store: RunStore) -> dict[str, Any]:
    paths = [store.path(family, cell) for family in experiment.families for cell in family.cells(size)]
    n_held = sum(path.is_file() for path in paths)
    return {
        "id": experiment.id,
        "source": experiment.source,
        "title": experiment.title,
        "cost": experiment.cost,
        "needs": sorted({name for family in experiment.families for name in family.needs}),
        "n_cells": len(paths),
        "n_finished": n_held,
        "state": "done" if n_held == len(paths) else "begun" if n_held else "new",
        "verdict": _verdict(store, experiment, size) if n_held else None,
    }


def _verdict(store: RunStore, experiment: Experiment, size: Size) -> str | None:
    try:
        verdict = json.loads(read_regular(store.verdict_path(experiment.id, size)))["verdict"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return verdict if verdict in VERDICTS else None
