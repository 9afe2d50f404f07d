"""A copy of a checkpoint without noise (truncated spectra) or without correlation traps (single outsized entries)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genscope.checkpoints.open import open_checkpoint
from genscope.checkpoints.write_safetensors import write_safetensors
from genscope.core.matrices import MatrixSpec
from genscope.core.results import Result
from genscope.core.seeds import generator_for
from genscope.core.status import FAILED, OK, SKIPPED, Undefined
from genscope.core.tensors import Checkpoint, TensorSpec
from genscope.errors import GenscopeError, UsageError
from genscope.layers.matricize import build_matrix, plan_matrices
from genscope.layers.write_back import write_back
from genscope.numerics.low_rank import remove_correlation_traps, truncate
from genscope.numerics.marchenko_pastur import fit_marchenko_pastur
from genscope.numerics.power_law import fit_power_law
from genscope.numerics.singular_values import singular_values
from genscope.sources.fan_out import one_blas_thread
from genscope.sources.matrix_task import identity
from genscope.sources.naming import source_name
from genscope.sources.options import AnalyzeOptions, Opening
from genscope.sources.reproducibility import reproducibility_block

KEEP = ("spikes", "tail", "rank", "untrapped")


def smooth(
    source: Any,
    out: str | Path,
    *,
    keep: str = "spikes",
    rank: int | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    seed: int = 0,
) -> Result:
    """Write a smoothed copy of a checkpoint as one safetensors file.

    Args:
        source: anything ``analyze`` accepts; it is not changed.
        out: the new ``.safetensors`` file.
        keep: ``spikes`` (what stands above the random bulk), ``tail`` (eigenvalues from the power law's xmin on), ``rank`` (the ``rank``
            largest of each matrix), or ``untrapped`` (everything, with single entries that make outliers of their own shrunk).
        rank: for ``keep="rank"``.
        include, exclude: shell patterns on tensor names; other tensors are copied as they are.
        seed: of the shuffled twin that traps are measured on.

    Returns:
        A Result with a row per matrix view: ``rank_kept`` and ``energy`` (share of ‖W‖_F² kept), or ``n_changed`` entries; status and reason.

    Raises:
        UsageError: an unknown ``keep`` or a missing rank.
        GenscopeError: the checkpoint cannot be read, or the file cannot be written.
    """
    if keep not in KEEP or (keep == "rank") != (rank is not None) or (rank is not None and rank < 1):
        raise UsageError(f"keep={keep!r} with rank={rank} is not possible; use spikes, tail, untrapped, or rank with a rank of at least 1.")
    if isinstance(source, str | Path) and Path(out).exists() and Path(source).exists() and Path(out).samefile(source):
        raise UsageError(f"{Path(out).name}: the copy would replace the checkpoint itself; choose another file.")
    checkpoint = open_checkpoint(source, **Opening().keywords())
    try:
        options = AnalyzeOptions.named(include=tuple(include), exclude=tuple(exclude))
        views: dict[str, list[MatrixSpec]] = {}
        for spec in plan_matrices([spec for spec in checkpoint.specs if options.wants(spec.name)]).matrices:
            if len(spec.tensors) == 1 and spec.recipe[0] == "steps":
                views.setdefault(spec.tensors[0], []).append(spec)
        rows: list[dict[str, Any]] = []
        with one_blas_thread():
            write_safetensors(
                Path(out), list(checkpoint.specs), lambda spec: _smoothed_tensor(checkpoint, spec, views.get(spec.name, []), keep, rank, seed, rows)
            )
        skipped = [{"layer": skip.layer, "reason": f"not copied: {skip.reason}"} for skip in checkpoint.skips]
        changed = sum(row["status"] == OK for row in rows)
        summary = {
            "n_matrices": len(rows),
            "n_changed": changed,
            "verdict": f"{changed} of {len(rows)} matrices were smoothed; all other tensors were copied.",
        }
        head = {"source": source_name(checkpoint), "options": {"keep": keep, "rank": rank, "seed": seed}, "summary": summary}
        return Result("smooth", head, rows, {"skipped": skipped, "notes": list(checkpoint.notes)}, reproducibility=reproducibility_block(seed=seed))
    finally:
        checkpoint.close()


def _smoothed_tensor(
    checkpoint: Checkpoint, tensor: TensorSpec, views: Sequence[MatrixSpec], keep: str, rank: int | None, seed: int, rows: list[dict[str, Any]]
) -> np.ndarray:
    array = checkpoint.read(tensor.name)
    if not views:
        return array
    copy = array
    for spec in views:
        row = {**identity(spec), "status": OK, "reason": None, "rank_kept": None, "energy": None, "n_changed": None}
        try:
            stack = build_matrix(spec, {tensor.name: array}).stack
            changed = _smoothed(stack, spec, keep, rank, seed, row)
            if changed is not None:
                copy = write_back(spec, copy, changed)
        except GenscopeError as error:
            row |= {"status": FAILED, "reason": str(error)}
        rows.append(row)
    return copy


def _smoothed(stack: np.ndarray | None, spec: MatrixSpec, keep: str, rank: int | None, seed: int, row: dict[str, Any]) -> np.ndarray | None:
    assert stack is not None
    if keep == "untrapped":
        cleaned = remove_correlation_traps(stack, rng=generator_for(seed, "smooth", spec.key))
        if isinstance(cleaned, Undefined):
            row |= {"status": SKIPPED, "reason": cleaned.reason}
            return None
        row["n_changed"] = len(cleaned.changed)
        return cleaned.stack if cleaned.changed else None
    bound = _eigenvalue_bound(stack, spec, keep)
    if isinstance(bound, Undefined):
        row |= {"status": SKIPPED, "reason": bound.reason}
        return None
    kept = truncate(stack, rank=rank) if keep == "rank" else truncate(stack, eigenvalue=bound)
    if sum(kept.ranks) == 0:
        row |= {"status": SKIPPED, "reason": "nothing stands above the random bulk, so nothing would be left; copied as it is"}
        return None
    row |= {"rank_kept": sum(kept.ranks), "energy": kept.energy}
    return kept.stack


def _eigenvalue_bound(stack: np.ndarray, spec: MatrixSpec, keep: str) -> float | Undefined:
    if keep == "rank":
        return 0.0
    spectrum = singular_values(stack)
    if keep == "tail":
        fit = fit_power_law(np.square(spectrum.values[spectrum.values > spectrum.resolution]))
        # xmin is an eigenvalue itself and must survive another routine's rounding
        return Undefined(fit.reason or "no power law", SKIPPED) if fit.xmin is None else fit.xmin * (1 - 1e-9)
    bulk = fit_marchenko_pastur(spectrum.values, spec.rows, spec.cols, n_matrices=spec.n_matrices, resolution=spectrum.resolution)
    return bulk if isinstance(bulk, Undefined) else bulk.spike_threshold
