"""What a checkpoint holds, without reading a tensor."""

from typing import Any

from genscope.checkpoints.open import open_checkpoint
from genscope.core.results import Result
from genscope.layers.matricize import plan_matrices
from genscope.sources.naming import source_name
from genscope.sources.options import Opening
from genscope.sources.reproducibility import reproducibility_block


def describe(source: Any, **chosen: Any) -> Result:
    """Names, shapes, dtypes and sizes of a checkpoint; no tensor is read.

    Args:
        source: anything ``analyze`` accepts.
        chosen: fields of :class:`Opening`.

    Returns:
        A Result with one row per stored tensor: name, shape, dtype, n_bytes, kind, n_matrices, aliases, and
        the reason why it gives no matrix.

    Raises:
        GenscopeError: the checkpoint is corrupt, unsafe or unsupported.

    Example:
        >>> import numpy as np
        >>> describe({"fc.weight": np.zeros((3, 4), np.float32)}).rows[0]["n_bytes"]
        48
    """
    checkpoint = open_checkpoint(source, **Opening(**chosen).keywords())
    try:
        layout = plan_matrices(checkpoint.specs)
        views: dict[str, list[Any]] = {}
        for spec in layout.matrices:
            views.setdefault(spec.layer, []).append(spec)
        skipped = [{"layer": skip.layer, "reason": skip.reason} for skip in (*checkpoint.skips, *layout.skips)]
        reasons = {skip["layer"]: skip["reason"] for skip in skipped}
        rows = []
        # what the file holds, the tensors that cannot become numbers here (integers, unknown types) included
        stored = getattr(checkpoint, "held", checkpoint.specs)
        for tensor in stored:
            made = views.get(tensor.name, [])
            rows.append(
                {
                    "name": tensor.name,
                    "shape": list(tensor.shape),
                    "dtype": tensor.dtype,
                    "n_bytes": tensor.n_bytes,
                    "kind": made[0].kind if made else None,
                    "n_matrices": sum(spec.n_matrices for spec in made),
                    "aliases": list(tensor.aliases),
                    "reason": reasons.get(tensor.name),
                }
            )
        elements = sum(tensor.n_elements for tensor in stored)
        summary = {
            "n_tensors": len(rows),
            "n_elements": elements,
            "n_bytes": sum(row["n_bytes"] for row in rows),
            "n_matrices": len(layout.matrices),
        }
        return Result(
            verb="describe",
            head={"source": source_name(checkpoint), "format": checkpoint.format, "summary": summary},
            rows=rows,
            tail={"skipped": skipped, "notes": list(checkpoint.notes), "metadata": dict(checkpoint.metadata)},
            reproducibility=reproducibility_block(seed=0),
        )
    finally:
        checkpoint.close()
