"""What an analysis would do: rows, predicted time and memory, and what it would leave out. Reads no tensor."""

from typing import Any

from genscope.checkpoints.open import open_checkpoint
from genscope.core.results import Result
from genscope.core.status import OK, SKIPPED
from genscope.layers.matricize import plan_matrices
from genscope.numerics.singular_values import predicted_bytes, predicted_seconds
from genscope.sources.matrices import plan_tasks
from genscope.sources.matrix_task import identity
from genscope.sources.naming import source_name
from genscope.sources.options import sort_keywords
from genscope.sources.reproducibility import reproducibility_block, usable_cores


def dry_run(source: Any, **chosen: Any) -> Result:
    """Plan ``analyze(source, **chosen)`` from names and shapes alone.

    Returns:
        A Result whose rows carry ``predicted_seconds`` and ``predicted_bytes`` per matrix; the summary adds them up.

    Raises:
        GenscopeError: as ``analyze``.
    """
    options, opening, execution = sort_keywords(chosen)
    checkpoint = open_checkpoint(source, **opening.keywords())
    try:
        wanted, left_out = options.select(checkpoint)
        layout = plan_matrices(wanted, options.views)
        skips = [*left_out, *layout.skips]
        _, refused = plan_tasks(layout.matrices, opening.limits)
        rows = []
        for spec in layout.matrices:
            reason = refused.get(spec.key)
            size = (spec.rows, spec.cols, spec.n_matrices)
            cost = {"predicted_seconds": predicted_seconds(*size), "predicted_bytes": predicted_bytes(*size)}
            rows.append({**identity(spec), "status": SKIPPED if reason else OK, "reason": reason, **cost})
        jobs = execution.jobs or usable_cores()
        doing = [row for row in rows if row["status"] == OK]
        summary = {
            "n_matrices": len(rows),
            "n_skipped": len(skips),
            "predicted_seconds": sum(row["predicted_seconds"] for row in doing) / jobs,
            "predicted_bytes": max((row["predicted_bytes"] for row in doing), default=0),
            "jobs": jobs,
        }
        return Result(
            verb="analyze",
            head={"source": source_name(checkpoint), "format": checkpoint.format, "dry_run": True, "options": options.to_dict(), "summary": summary},
            rows=rows,
            tail={"skipped": [{"layer": skip.layer, "reason": skip.reason} for skip in skips], "notes": [*checkpoint.notes, *layout.notes]},
            reproducibility=reproducibility_block(seed=options.seed),
        )
    finally:
        checkpoint.close()
