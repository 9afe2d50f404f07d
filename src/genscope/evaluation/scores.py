"""Test accuracy or error per model, from a small file, matched to models by name."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from genscope.errors import UsageError
from genscope.evaluation.roles import guess_target, higher_is_better
from genscope.evaluation.table import read_table

_SUFFIXES = (".safetensors", ".pt", ".pth", ".th", ".bin", ".ckpt", ".tar", ".npz", ".npy", ".onnx", ".h5", ".hdf5", ".keras", ".gguf", ".json")


@dataclass(frozen=True)
class Scores:
    """One number per model: ``values`` by name, the column it came from, and whether more is better."""

    values: Mapping[str, float]
    column: str
    higher_is_better: bool
    notes: tuple[str, ...] = field(default=())


def read_scores(source: Any, *, column: str | None = None) -> Scores:
    """Read ``model,accuracy`` or ``model,error`` (or any table with one usual outcome column).

    Args:
        source: what :func:`genscope.evaluation.table.read_table` takes.
        column: the outcome column; guessed from usual names when not given.

    Returns:
        :class:`Scores`; models whose cell is empty are left out and counted in ``notes``.

    Raises:
        GenscopeError: the file or column cannot be used; one sentence.
    """
    table = read_table(source, what="scores file")
    notes: list[str] = []
    if column is None and len(table.numbers) == 1:
        goal = next(iter(table.numbers))
    else:
        goal, notes = guess_target(table, column)
    values = {model: float(value) for model, value in zip(table.models, table.numbers[goal], strict=True) if np.isfinite(value)}
    if len(values) < len(table.models):
        notes.append(f"{len(table.models) - len(values)} model(s) of {table.source} have no {goal}")
    return Scores(values, goal, higher_is_better(goal), (*table.notes, *notes))


def match_scores(models: Iterable[str], scores: Scores) -> tuple[dict[str, float], tuple[str, ...], tuple[str, ...]]:
    """Pair models with scores by name: exact, else by base name without a weight file's suffix, else the same regardless of letter case.

    Returns:
        (score by model, models without a score, scores without a model).

    Raises:
        UsageError: one model fits two scores.

    Example:
        >>> scores = Scores({"vgg11": 69.0, "vgg13": 70.0}, "accuracy", True)
        >>> match_scores(["runs/vgg11.safetensors", "vgg16.pt"], scores)
        ({'runs/vgg11.safetensors': 69.0}, ('vgg16.pt',), ('vgg13',))
    """
    by_short: dict[str, list[str]] = {}
    for name in scores.values:
        by_short.setdefault(short_name(name), []).append(name)
    found: dict[str, float] = {}
    used: set[str] = set()
    missing = []
    for model in models:
        candidates = [model] if model in scores.values else by_short.get(short_name(model), [])
        if len(candidates) > 1:
            raise UsageError(f"The model {model!r} fits several rows of the scores ({', '.join(candidates[:4])}); use the same names in both.")
        if candidates:
            found[model] = scores.values[candidates[0]]
            used.add(candidates[0])
        else:
            missing.append(model)
    return found, tuple(missing), tuple(name for name in scores.values if name not in used)


def short_name(name: str) -> str:
    """Base name in lower case without the suffix of a weight file.

    Example:
        >>> short_name("/zoo/VGG11_bn.pth.tar")
        'vgg11_bn'
    """
    base = os.path.basename(str(Path(name))).lower()
    while True:
        cut = next((suffix for suffix in _SUFFIXES if base.endswith(suffix) and len(base) > len(suffix)), None)
        if cut is None:
            return base
        base = base[: -len(cut)]
