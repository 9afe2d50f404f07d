"""Whether a source is still what it was: a resumed run must not mix the rows of two checkpoints of one name."""

import hashlib
import os
from pathlib import Path
from typing import Any

from genscope.checkpoints.hub import resolve_name
from genscope.core.tensors import Checkpoint
from genscope.sources.reproducibility import array_digest

_BESIDE = {".csv", ".html", ".log", ".md", ".parquet", ".png", ".py", ".txt"}


def fingerprint(source: Any, checkpoint: Checkpoint) -> str:
    """A digest of names, sizes and times of the files behind ``source``; of the values themselves when it lives in memory.

    Cost: a look at each file of a folder; for objects in memory one pass over the tensors.
    """
    lines = [f"{spec.name!r} {spec.shape} {spec.dtype}" for spec in checkpoint.specs]
    if isinstance(source, str | bytes | os.PathLike):
        path = os.fsdecode(os.fspath(source))
        if not os.path.lexists(path):
            path = resolve_name(path) or path
        lines += _files(Path(path))
    else:
        lines += [array_digest(checkpoint.read(spec.name)) for spec in checkpoint.specs]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def _files(path: Path) -> list[str]:
    # an index or a split file speaks for its neighbours
    folder = path if path.is_dir() else path.parent if path.suffix in {".json", ".onnx", ".gguf"} else None
    entries = [path] if folder is None else sorted(entry for entry in folder.iterdir() if entry.is_file() and entry.suffix.lower() not in _BESIDE)
    found = []
    for entry in entries:
        status = entry.stat()
        found.append(f"{entry.name!r} {status.st_size} {status.st_mtime_ns}")
    return found
