"""From a checkpoint to its table: plan, read one tensor at a time, compute, keep what is done."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import genscope
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.open import open_checkpoint
from genscope.core.matrices import MatrixSpec
from genscope.core.resolver import Plan, plan
from genscope.core.results import Result
from genscope.core.tensors import Checkpoint
from genscope.layers.matricize import plan_matrices
from genscope.layers.stream import group_by_tensor
from genscope.measures.load import load_matrix_measures
from genscope.numerics.singular_values import predicted_bytes, predicted_seconds
from genscope.sources.cells import Cell, CellStore
from genscope.sources.fan_out import MemoryGate, run_tasks
from genscope.sources.fingerprint import fingerprint
from genscope.sources.matrix_task import MatrixTask, analyze_task, refused_row
from genscope.sources.naming import source_name
from genscope.sources.options import AnalyzeOptions, Execution, Opening, sort_keywords
from genscope.sources.reproducibility import reproducibility_block, usable_cores
from genscope.sources.verdicts import summarize

SMALLEST_GATE = 192 << 20


def analyze(source: Any, **chosen: Any) -> Result:
    """Spectra, power-law fits and norms of every weight matrix of a checkpoint; no data needed.

    Args:
        source: a path, ``org/name[@revision]`` in the local Hugging Face cache, an ``nn.Module``, a ``state_dict`` or one array.
        chosen: fields of :class:`AnalyzeOptions` (what to compute), :class:`Opening` (how the file is opened) and
            :class:`Execution` (``out``, ``jobs``, ``engine`` …) as keywords.

    Returns:
        A :class:`genscope.Result`: ``.table`` has one row per layer view, ``.summary`` the means and the verdict.

    Raises:
        GenscopeError: the checkpoint is corrupt, unsafe or unsupported; the sentence says where and what to do.
        UsageError: a keyword or value that does not exist.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> result = analyze(rng.pareto(1.5, (60, 80)), resamples=0)
        >>> result.summary["n_matrices"]
        1
    """
    options, opening, execution = sort_keywords(chosen)
    began = time.perf_counter()
    if options.device is not None:
        from genscope.numerics.singular_values_torch import check_device

        check_device(options.device)
    checkpoint = open_checkpoint(source, **opening.keywords())
    try:
        result = _Analysis(checkpoint, options, opening, execution).run(source)
    finally:
        checkpoint.close()
    result = replace(result, timing={"seconds": round(time.perf_counter() - began, 3)})
    if execution.out is not None:
        result.save(execution.out)
    return result


def measure_plan(options: AnalyzeOptions) -> Plan:
    """The resolver's plan for the asked measures; twin- and vector-based ones enter only on request."""
    catalogue = load_matrix_measures()
    if options.measures is not None:
        names = list(options.measures)
    else:
        wanted = {"randomize": options.randomize, "vectors": options.vectors, "resampled": options.resamples > 0, "asked": False}
        names = [node.name for node in catalogue.measures(root="matrix") if wanted.get(node.facts.get("when", ""), True)]
    ordered = plan(names, ["matrix"], catalogue)
    standing = plan(["belief"], ["matrix"], catalogue)
    extra = tuple(node for node in standing.order if node.name not in {held.name for held in ordered.order})
    return Plan((*ordered.order, *extra), ordered.wanted, ordered.missing)


class _Analysis:
    """One run over one checkpoint; exists to keep the steps short."""

    def __init__(self, checkpoint: Checkpoint, options: AnalyzeOptions, opening: Opening, execution: Execution) -> None:
        self.checkpoint, self.options, self.opening, self.execution = checkpoint, options, opening, execution
        self.plan = measure_plan(options)
        wanted, skips = options.select(checkpoint)
        self.layout = plan_matrices(wanted, options.views)
        self.skips = [*skips, *self.layout.skips]
        self.tasks, self.refused = plan_tasks(self.layout.matrices, opening.limits)

    def run(self, source: Any) -> Result:
        out, progress = self.execution.out, self.execution.progress
        store = CellStore(Path(out), self._manifest(source), fresh=self.execution.fresh) if out is not None else None
        cells = store.load() if store else {}
        pending = [task for task in self.tasks if any(spec.key not in cells for spec in task.specs)]
        total = sum(task.predicted_seconds for task in pending) or 1.0
        done_seconds = 0.0
        for n_done, (task_seconds, finished) in enumerate(self._compute(pending, source), start=1):
            for cell in finished:
                cells[cell.key] = cell
                if store:
                    store.save(cell)
            done_seconds += task_seconds
            if progress:
                progress(n_done, len(pending), finished[-1].row["layer"], done_seconds / total)
        return self._assemble(cells)

    def _compute(self, pending: Sequence[MatrixTask], source: Any) -> Iterator[tuple[float, list[Cell]]]:
        largest_first = sorted(pending, key=lambda task: -task.predicted_seconds)
        engine = self.execution.engine
        if engine == "threads":
            gate = MemoryGate(gate_bytes(pending))
            worker: Any = partial(_gated, gate=gate, checkpoint=self.checkpoint, plan=self.plan, options=self.options)
        else:
            # a worker elsewhere does not share this process's folder
            reference = os.path.abspath(source) if isinstance(source, str | Path) and os.path.exists(source) else source
            worker = partial(_reopened, reference=reference, opening=self.opening, options=self.options)
        return run_tasks(worker, largest_first, jobs=self.execution.jobs or usable_cores(), engine=engine)

    def _assemble(self, cells: dict[str, Cell]) -> Result:
        rows: list[dict[str, Any]] = []
        curves: dict[str, Any] = {}
        digests: dict[str, str] = {}
        for spec in self.layout.matrices:
            if spec.key in self.refused:
                rows.append(refused_row(spec, self.plan.wanted, self.refused[spec.key]))
                continue
            cell = cells[spec.key]
            rows.append(dict(cell.row))
            digests |= cell.digests
            if cell.curves:
                curves[spec.key] = cell.curves
        skipped = [{"layer": skip.layer, "reason": skip.reason} for skip in self.skips]
        return Result(
            verb="analyze",
            head={
                "source": source_name(self.checkpoint),
                "format": self.checkpoint.format,
                "options": self.options.to_dict(),
                "summary": summarize(rows, len(skipped)),
            },
            rows=rows,
            tail={"skipped": skipped, "notes": [*self.checkpoint.notes, *self.layout.notes]},
            curves=curves,
            reproducibility=reproducibility_block(seed=self.options.seed, device=self.options.device or "cpu", digests=digests),
        )

    def _manifest(self, source: Any) -> dict[str, Any]:
        return {
            "verb": "analyze",
            "genscope": genscope.__version__,
            "source": source_name(self.checkpoint),
            "options": self.options.to_dict(),
            "files": fingerprint(source, self.checkpoint),
            "n_tensors": len(self.checkpoint.specs),
        }


def plan_tasks(matrices: Sequence[MatrixSpec], limits: Limits) -> tuple[list[MatrixTask], dict[str, str]]:
    """Group rows by tensor with predicted cost; rows beyond the memory budget come back as sentences by key."""
    tasks, refused = [], {}
    for group in group_by_tensor(matrices):
        fitting = []
        for spec in group:
            needed = predicted_bytes(spec.rows, spec.cols, spec.n_matrices)
            if needed > limits.memory_bytes:
                refused[spec.key] = f"needs {needed / 1e9:.1f} GB, the budget is {limits.memory_bytes / 1e9:.1f} GB; raise it with --max-memory"
            else:
                fitting.append(spec)
        if fitting:
            peak = max(predicted_bytes(spec.rows, spec.cols, spec.n_matrices) for spec in fitting)
            seconds = sum(predicted_seconds(spec.rows, spec.cols, spec.n_matrices) for spec in fitting)
            tasks.append(MatrixTask(tuple(fitting), peak, seconds))
    return tasks, refused


def gate_bytes(tasks: Sequence[MatrixTask]) -> int:
    """Memory that tasks may hold together: the largest alone and a little beside it, or three times the largest matrix in float32."""
    largest = max((task.predicted_bytes for task in tasks), default=0)
    matrix = max((4 * spec.rows * spec.cols * spec.n_matrices for task in tasks for spec in task.specs if spec.view != "operator"), default=0)
    return max(largest + SMALLEST_GATE, 3 * matrix)


def _gated(task: MatrixTask, gate: MemoryGate, checkpoint: Checkpoint, plan: Plan, options: AnalyzeOptions) -> tuple[float, list[Cell]]:
    with gate.hold(task.predicted_bytes):
        return task.predicted_seconds, analyze_task(task, checkpoint, plan, options)


def _reopened(task: MatrixTask, reference: Any, opening: Opening, options: AnalyzeOptions) -> tuple[float, list[Cell]]:
    # another process: it opens the checkpoint and plans for itself, so that only names travel
    checkpoint = open_checkpoint(reference, **opening.keywords())
    try:
        return task.predicted_seconds, analyze_task(task, checkpoint, measure_plan(options), options)
    finally:
        checkpoint.close()
