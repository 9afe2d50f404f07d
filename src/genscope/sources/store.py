"""Saved results, read back with suspicion: a colleague's folder is untrusted too."""

import json
import os
from pathlib import Path
from typing import Any

from genscope.core.results import ROWS_NAME, SCHEMA_VERSION, Result
from genscope.core.sealed import read_regular
from genscope.errors import StoreError
from genscope.sources.run_folder import is_run_folder, load_run


def load(folder: str | Path) -> Result:
    """The Result saved in a folder by ``--out`` or ``Result.save``; of a watched run, how it stands now.

    Raises:
        StoreError: no result there, not finished, damaged, or written by a newer genscope.
    """
    folder = Path(folder)
    if is_run_folder(folder):
        return load_run(folder)
    document = _read(folder / "result.json", folder)
    verb = document.get("verb")
    if verb not in ROWS_NAME or not isinstance(document.get(ROWS_NAME[verb]), list):
        raise StoreError(f"{folder.name}/result.json is not a genscope result; run `genscope analyze … --out {folder.name}` first.")
    if not isinstance(document.get("schema_version"), int) or document["schema_version"] > SCHEMA_VERSION:
        raise StoreError(f"{folder.name}/result.json was written by a newer genscope; upgrade genscope to read it.")
    rows_name = ROWS_NAME[verb]
    names = list(document)
    position = names.index(rows_name)
    known_end = {"schema_version", "verb", "reproducibility", "timing"}
    return Result(
        verb=verb,
        head={name: document[name] for name in names[:position]},
        rows=document[rows_name],
        tail={name: document[name] for name in names[position + 1 :] if name not in known_end},
        curves=_optional(folder / "curves.json", folder),
        reproducibility=document.get("reproducibility", {}),
        timing=_optional(folder / "timing.json", folder),
    )


def is_result_folder(path: str | Path) -> bool:
    """Whether ``path`` is a folder that ``--out`` made."""
    path = Path(path)
    return (path / "result.json").is_file() or (path / "run.json").is_file()


def _optional(path: Path, folder: Path) -> dict[str, Any]:
    return _read(path, folder) if os.path.lexists(path) else {}


def _read(path: Path, folder: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_regular(path))
    except FileNotFoundError:
        unfinished = (folder / "run.json").is_file()
        hint = "the run is not finished; the command that began it resumes it" if unfinished else "there is no saved result here"
        raise StoreError(f"{folder.name}: {hint}.") from None
    except (OSError, ValueError, RecursionError):
        raise StoreError(f"{folder.name}/{path.name} is damaged; run the analysis again with --fresh.") from None
    if not isinstance(document, dict):
        raise StoreError(f"{folder.name}/{path.name} is not a genscope result.")
    return document
