"""One unit of work: read the tensors of a group once, compute every row they give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genscope.core.matrices import Matrix, MatrixSpec
from genscope.core.resolver import Plan, execute
from genscope.core.status import FAILED, OK, SKIPPED, Undefined
from genscope.core.tensors import Checkpoint
from genscope.errors import ChangedInput, CorruptInput, LimitExceeded
from genscope.layers.matricize import build_matrix
from genscope.sources.cells import Cell
from genscope.sources.curves import draw_curves
from genscope.sources.options import AnalyzeOptions
from genscope.sources.reproducibility import array_digest
from genscope.sources.verdicts import layer_verdict
from genscope.sources.weightwatcher_columns import weightwatcher_columns


@dataclass(frozen=True)
class MatrixTask:
    """The rows that share tensors: analysed together so that each tensor is read once."""

    specs: tuple[MatrixSpec, ...]
    predicted_bytes: int
    predicted_seconds: float


def analyze_task(task: MatrixTask, checkpoint: Checkpoint, plan: Plan, options: AnalyzeOptions) -> list[Cell]:
    """Cells of one task, in the order of its specs."""
    try:
        arrays = {name: checkpoint.read(name) for name in dict.fromkeys(name for spec in task.specs for name in spec.tensors)}
    except (CorruptInput, LimitExceeded) as error:
        if isinstance(error, ChangedInput):
            raise
        # one damaged tensor does not take the others with it
        status = SKIPPED if isinstance(error, LimitExceeded) else FAILED
        return [Cell(spec.key, refused_row(spec, plan.wanted, str(error).rstrip("."), status), {}, {}) for spec in task.specs]
    digests = {name: array_digest(array) for name, array in arrays.items()}
    cells = []
    for position, spec in enumerate(task.specs):
        matrix = build_matrix(spec, arrays)
        if position == len(task.specs) - 1:
            arrays.clear()  # the spectrum of a large matrix needs the room
        cells.append(analyze_matrix(matrix, plan, options, digests if position == 0 else {}))
    return cells


def analyze_matrix(matrix: Matrix, plan: Plan, options: AnalyzeOptions, digests: Mapping[str, str]) -> Cell:
    """All measures of one matrix as a row, with its curves."""
    spec = matrix.spec
    values = execute(plan, {"matrix": matrix}, options=_resolver_options(options), seed=options.seed, subject=spec.key)
    row = {**identity(spec), **_standing(values)}
    undefined = {}
    for name in plan.wanted:
        value = values[name]
        row[name] = None if isinstance(value, Undefined) else _number(value)
        if isinstance(value, Undefined) and value.reason != row["reason"]:
            undefined[name] = value.reason
    row["mp_reason"] = getattr(values.get("marchenko_pastur"), "reason", None)
    row["undefined"] = undefined
    row["verdict"] = layer_verdict(row)
    if options.convention == "weightwatcher":
        row["weightwatcher"] = weightwatcher_columns(matrix, values)
    return Cell(spec.key, row, draw_curves(values), digests)


def identity(spec: MatrixSpec) -> dict[str, Any]:
    """The columns that say which matrix a row is about."""
    return {
        "layer": spec.layer,
        "kind": spec.kind,
        "view": spec.view,
        "rows": spec.rows,
        "cols": spec.cols,
        "n_matrices": spec.n_matrices,
        "n_eigenvalues": spec.n_eigenvalues,
    }


def refused_row(spec: MatrixSpec, names: Sequence[str], reason: str, status: str = SKIPPED) -> dict[str, Any]:
    """The row of a matrix that was not computed (memory budget, bytes that cannot be read)."""
    row = {**identity(spec), "status": status, "reason": reason, **dict.fromkeys(names), "undefined": {}}
    row["verdict"] = layer_verdict(row)
    return row


def _standing(values: Mapping[str, Any]) -> dict[str, Any]:
    spectrum, belief = values.get("spectrum"), values.get("belief")
    if isinstance(spectrum, Undefined):
        return {"status": spectrum.status if spectrum.status == SKIPPED else FAILED, "reason": spectrum.reason}
    if belief is None:
        return {"status": OK, "reason": None}
    return {"status": belief.status, "reason": belief.reason}


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return value


def _resolver_options(options: AnalyzeOptions) -> dict[str, Any]:
    names = ("method", "device", "normalization", "ks", "resamples")
    return {name: getattr(options, name) for name in names}
