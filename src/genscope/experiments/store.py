"""The folder that is the state of all runs: one sealed file per finished cell, its arrays beside it, how long it took elsewhere.

``cells/FAMILY/KEY.json`` (and ``KEY.safetensors``) are the same bytes whenever the same cell is computed on the same machine; ``times/`` differs.
``claims/`` holds locked files of cells in flight, ``trained/`` the networks that cells share.
"""

import contextlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genscope.core import strict_json
from genscope.core.arrays import packed, unpacked
from genscope.core.claims import claimed
from genscope.core.files import write_atomically
from genscope.core.sealed import LARGEST, checksum, read_regular, read_regular_bytes, sealed, unsealed
from genscope.errors import StoreError, UsageError
from genscope.experiments.values import Cell, Family, Outcome

FORMAT = 1
PARTS = ("cells", "claims", "times", "trained", "verdicts")
LARGEST_ARRAYS = 16 * LARGEST
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")


@dataclass(frozen=True)
class Finished:
    """A cell as the store holds it."""

    cell: Cell
    numbers: Mapping[str, Any]
    environment: Mapping[str, Any]
    arrays_path: Path | None

    def arrays(self) -> dict[str, np.ndarray]:
        """Its arrays by name."""
        return {} if self.arrays_path is None else unpacked(read_regular_bytes(self.arrays_path, largest=LARGEST_ARRAYS))


class RunStore:
    """Finished cells under ``folder``.

    Args:
        folder: made when the first cell is saved.
        seed: base seed; part of every cell's key.

    Raises:
        StoreError: the folder holds something else, or was written by a newer genscope.
    """

    def __init__(self, folder: str | Path, *, seed: int = 0) -> None:
        self.folder = Path(os.path.abspath(folder))  # workers may stand in other folders
        self.seed = seed
        self.damaged: list[str] = []
        self._check_folder()

    @property
    def trained_folder(self) -> Path:
        """Where trained networks are kept."""
        return self.folder / "trained"

    def key(self, family: Family, cell: Cell) -> str:
        """What a cell is found by: a digest of family, version, settings and seed (not of its name)."""
        if not _NAME.fullmatch(family.name):
            raise UsageError(f"The family name {family.name!r} cannot be a folder; use letters, digits, '-' and '_'.")
        try:
            settings = strict_json.dumps(dict(cell.settings), sort_keys=True)
        except TypeError as error:
            raise UsageError(f"{family.name}, {cell.name}: the settings must be JSON values ({error}).") from None
        return checksum("\n".join((family.name, str(family.version), str(self.seed), settings)).encode("utf-8"))[:24]

    def path(self, family: Family, cell: Cell) -> Path:
        """The cell's file."""
        return self.folder / "cells" / family.name / f"{self.key(family, cell)}.json"

    def claim(self, family: Family, cell: Cell, *, wait: bool = False) -> "contextlib.AbstractContextManager[bool]":
        """Hold the cell while it is computed; see :func:`genscope.core.claims.claimed`."""
        self._mark_folder()
        return claimed(self.claim_path(family, cell), wait=wait)

    def claim_path(self, family: Family, cell: Cell) -> Path:
        """The file that is locked while the cell is computed; it stays behind only when its owner was killed."""
        return self.folder / "claims" / f"{family.name}.{self.key(family, cell)}"

    def read(self, family: Family, cell: Cell) -> Finished | None:
        """The finished cell, or ``None`` when it is not there or damaged (its file is then named in ``damaged``)."""
        path = self.path(family, cell)
        try:
            document = json.loads(unsealed(read_regular(path)))
            arrays_path = None
            if document["arrays"] is not None:
                arrays_path = path.with_suffix(".safetensors")
                if checksum(read_regular_bytes(arrays_path, largest=LARGEST_ARRAYS)) != document["arrays"]:
                    raise ValueError("its arrays do not agree with their checksum")
            numbers, settings, environment = document["numbers"], document["settings"], document["environment"]
            if not isinstance(numbers, dict) or self.key(family, Cell(cell.name, settings)) != path.stem:
                raise ValueError("it holds another cell")
        except FileNotFoundError:
            if os.path.lexists(path):
                self._say_damaged(path, "its arrays are missing")
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError, UsageError) as error:
            self._say_damaged(path, str(error))
            return None
        return Finished(Cell(cell.name, settings), numbers, environment, arrays_path)

    def save(self, family: Family, cell: Cell, outcome: Outcome, *, environment: Mapping[str, Any], seconds: float) -> None:
        """Write a finished cell: arrays first, then the file that makes it count; complete or not at all.

        Raises:
            StoreError: the folder cannot be written (the disk is full); what was finished before is untouched.
            UsageError: the outcome holds something that is no JSON value or no array of numbers.
        """
        self._mark_folder()
        path = self.path(family, cell)
        try:
            raw = packed(outcome.arrays) if outcome.arrays else None
            document = {
                "family": family.name,
                "version": family.version,
                "name": cell.name,
                "settings": dict(cell.settings),
                "seed": self.seed,
                "numbers": dict(outcome.numbers),
                "arrays": None if raw is None else checksum(raw),
                "environment": dict(environment),
            }
            text = sealed(strict_json.dumps(document))
        except TypeError as error:
            raise UsageError(f"{family.name}, {cell.name}: its outcome cannot be stored ({error}).") from None
        if raw is not None:
            write_atomically(path.with_suffix(".safetensors"), raw)
        write_atomically(path, text)
        timing = strict_json.dumps({"name": cell.name, "seconds": round(seconds, 3)})
        write_atomically(self.folder / "times" / family.name / path.name, timing, durable=False)

    def sweep(self) -> None:
        """Remove what killed processes left behind (half-written siblings, claims), but nothing that a living one holds."""
        for path in self.folder.glob("claims/*"):
            with claimed(path):
                pass  # a claim that can be had is removed when it is given back
        for path in (*self.folder.glob("cells/*/.*"), *self.folder.glob("times/*/.*"), *self.folder.glob("trained/.*")):
            key = path.name.split(".")[1]
            claim = (
                self.trained_folder / f".{key}.claim" if path.parent == self.trained_folder else self.folder / "claims" / f"{path.parent.name}.{key}"
            )
            with claimed(claim) as mine, contextlib.suppress(OSError):
                if mine and path != claim:
                    path.unlink()

    def verdict_path(self, experiment_id: str, size: str) -> Path:
        """Where the last verdict is noted for lists; verdicts themselves are always computed from the cells."""
        return self.folder / "verdicts" / size / f"{experiment_id}.json"

    def seconds(self, family: Family, cell: Cell) -> float | None:
        """How long the cell took, if that was kept."""
        try:
            found = json.loads(read_regular(self.folder / "times" / family.name / self.path(family, cell).name))["seconds"]
            return float(found)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def _say_damaged(self, path: Path, why: str) -> None:
        sentence = f"{path.relative_to(self.folder)} is damaged ({why}); this cell is computed again."
        if sentence not in self.damaged:
            self.damaged.append(sentence)

    def _check_folder(self) -> None:
        name = self.folder.name
        if not os.path.lexists(self.folder):
            return
        if not self.folder.is_dir():
            raise StoreError(f"{name}: this is a file, not a folder of runs; choose another --store.")
        if (self.folder / "cells").is_symlink():
            raise StoreError(f"{name}/cells is a link, not a folder of runs; choose another --store.")
        try:
            held = json.loads(read_regular(self.folder / "store.json"))
            version = held["store_format"]
        except FileNotFoundError:
            if any(not entry.name.startswith(".") and entry.name not in PARTS for entry in self.folder.iterdir()):
                raise StoreError(f"{name}: this folder holds other files; choose an empty or new folder for --store.") from None
            return
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise StoreError(f'{name}/store.json cannot be read; write {{"store_format": {FORMAT}}} into it, or choose another --store.') from None
        if not isinstance(version, int) or version > FORMAT:
            raise StoreError(f"{name}: it was written by a newer genscope; upgrade genscope, or choose another --store.")

    def _mark_folder(self) -> None:
        marker = self.folder / "store.json"
        if not marker.exists():
            write_atomically(marker, strict_json.dumps({"store_format": FORMAT}))
