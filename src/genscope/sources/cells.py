"""Finished matrices on disk: one small file each, written atomically, so that a killed run loses only what was in flight.

A folder of results may come from anybody: links are not followed, and a cell that is not whole by its own checksum is computed again.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genscope.core import strict_json
from genscope.core.files import write_atomically
from genscope.core.sealed import read_regular, sealed, unsealed
from genscope.errors import StoreError

FORMAT = 2


@dataclass(frozen=True)
class Cell:
    """One finished row: the row itself, its curves, and the digests of the tensors it was made of."""

    key: str
    row: Mapping[str, Any]
    curves: Mapping[str, Any]
    digests: Mapping[str, str]


class CellStore:
    """The folder ``DIR/cells`` and the manifest that says which run it belongs to."""

    def __init__(self, folder: Path, manifest: Mapping[str, Any], *, fresh: bool = False) -> None:
        self._cells = folder / "cells"
        self._manifest = folder / "run.json"
        manifest = {"cell_format": FORMAT, **manifest}
        if self._cells.is_symlink() or (self._cells.exists() and not self._cells.is_dir()):
            raise StoreError(f"{folder.name}/cells is a link or a file, not a folder of results; choose another --out folder.")
        held = self._read_manifest()
        if held is not None and not fresh:
            _refuse_other_run(folder, held, json.loads(strict_json.dumps(manifest)))
        if fresh and self._cells.is_dir():
            for path in self._cells.glob("*.json"):
                path.unlink()
        if held is None and folder.is_dir() and any(folder.iterdir()) and not fresh and not self._is_ours(folder):
            raise StoreError(f"{folder.name}: this folder holds other files; choose an empty or new folder for --out.")
        write_atomically(self._manifest, strict_json.dumps(manifest, indent=1))

    @staticmethod
    def _is_ours(folder: Path) -> bool:
        return {path.name for path in folder.iterdir() if not path.name.startswith(".")} <= {"cells", "run.json"}

    def _read_manifest(self) -> dict[str, Any] | None:
        try:
            held = json.loads(read_regular(self._manifest))
            if isinstance(held, dict):
                return held
            raise ValueError
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            raise StoreError(f"{self._manifest.parent.name}/run.json cannot be read; use --fresh to start over, or another --out folder.") from None

    def load(self) -> dict[str, Cell]:
        """All finished cells by key; files that cannot be read are ignored and computed again."""
        found = {}
        for path in sorted(self._cells.glob("*.json")) if self._cells.is_dir() else ():
            try:
                document = json.loads(unsealed(read_regular(path)))
                cell = Cell(document["key"], document["row"], document["curves"], document["digests"])
            except (OSError, ValueError, KeyError, TypeError, RecursionError):
                continue
            if path.name == _file_name(cell.key) and isinstance(cell.row, dict) and cell.row.keys() >= {"layer", "view", "status"}:
                found[cell.key] = cell
        return found

    def save(self, cell: Cell) -> None:
        """Write one cell; complete or not at all."""
        document = {"key": cell.key, "row": cell.row, "curves": cell.curves, "digests": cell.digests}
        write_atomically(self._cells / _file_name(cell.key), sealed(strict_json.dumps(document)))


def _file_name(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:24] + ".json"


def _refuse_other_run(folder: Path, held: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    different = [name for name in sorted({*held, *asked}) if held.get(name) != asked.get(name)]
    if not different:
        return
    name = different[0]
    before, after = held.get(name), asked.get(name)
    if isinstance(before, dict) and isinstance(after, dict):
        inner = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
        name, before, after = f"{name}.{inner[0]}", before.get(inner[0]), after.get(inner[0])
    if name == "files":
        raise StoreError(f"{folder.name}: the checkpoint has changed since this run was begun; use --fresh to start over, or another --out folder.")
    change = f"{name} was {json.dumps(before)[:80]}, now {json.dumps(after)[:80]}"
    raise StoreError(f"{folder.name}: it holds another run ({change}); use --fresh to replace it, or another --out folder.")
