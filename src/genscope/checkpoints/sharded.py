"""One checkpoint in many files: a ``*.index.json`` that maps tensors to shards, or shards that number themselves.

The index is untrusted: shard names must be plain file names of the same folder, and what it says must be what the shards hold.
"""

import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from genscope.checkpoints import safetensors, torch_file, torch_legacy
from genscope.checkpoints.input_file import InputFile
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.paths import check_component, file_inside, open_input, shown
from genscope.checkpoints.sniff import sniff_format
from genscope.checkpoints.state_dict import Found
from genscope.checkpoints.strict_header import strict_json
from genscope.checkpoints.table import RawTensor, TableCheckpoint, TensorTable, plain_errors
from genscope.core.text import display_name
from genscope.errors import CorruptInput, PartialResult, UnsafeInput, UnsupportedInput

_MOST_OPEN = 8
NUMBERED = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5,6})-of-(?P<count>\d{5,6})(?P<suffix>\.safetensors|\.bin|\.pt|\.pth)$")


def open_index(
    path: str | os.PathLike[str], limits: Limits | None = None, *, allow_missing: bool = False, verify: bool = False, part: str | None = None
) -> TableCheckpoint:
    """Open the checkpoint of an index file; headers of all shards are read, no tensor.

    Raises:
        UnsafeInput: a shard's name or symlink leads out of the folder.
        PartialResult: shards are missing (all are listed), unless ``allow_missing``.
        CorruptInput: index and shards contradict each other.
    """
    limits = limits or Limits()
    name = shown(path)
    with plain_errors(name):
        index = read_index(open_input(path), limits)
        folder = os.path.dirname(os.fspath(path)) or "."
        table = read_shards(folder, index, limits, allow_missing=allow_missing, verify=verify)
        return TableCheckpoint(os.fspath(path), table, limits, part=part)


@dataclass(frozen=True)
class ShardIndex:
    """Which file holds which tensor (``None`` if only the files are known)."""

    name: str
    shards: tuple[str, ...]
    weight_map: Mapping[str, str] | None
    metadata: Mapping[str, Any]


def read_index(file: InputFile, limits: Limits) -> ShardIndex:
    """The index in ``file``, every shard name checked before any is opened."""
    limits.check("json_bytes", file.size, f"{file.name}: length of the index")
    document = strict_json(file.pread(0, file.size), file.name, "the index")
    file.release()
    weight_map = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CorruptInput(f'{file.name}: the index has no "weight_map" of tensor names to file names; get a fresh copy.')
    limits.check("n_tensors", len(weight_map), f"{file.name}: number of tensors")
    checked: dict[str, None] = {}
    for tensor, shard in weight_map.items():
        if not isinstance(shard, str) or shard not in checked:
            checked[check_component(shard, f"{file.name}, tensor {display_name(tensor)!r}")] = None
    _refuse_same_but_case(file.name, tuple(checked))
    metadata = document.get("metadata")
    return ShardIndex(file.name, tuple(checked), weight_map, metadata if isinstance(metadata, dict) else {})


def numbered_shards(names: Sequence[str], suffix: str) -> ShardIndex | None:
    """The one set of ``x-00001-of-0000N`` files among ``names``, or ``None``; absent numbers are in its list."""
    sets: dict[tuple[str, int, str], str] = {}
    for name in sorted(names):
        match = NUMBERED.match(name)
        if match and match["suffix"] == suffix and 0 < int(match["count"]) <= 10_000:
            sets.setdefault((match["stem"], int(match["count"]), match["suffix"]), name)
    if len(sets) != 1:
        return None
    (stem, count, _), example = next(iter(sets.items()))
    match = NUMBERED.match(example)
    width = len(match["number"]) if match else 5
    shards = tuple(f"{stem}-{number:0{width}d}-of-{count:0{width}d}{suffix}" for number in range(1, count + 1))
    return ShardIndex(f"{stem}-*{suffix}", shards, None, {})


def read_shards(
    folder: str | os.PathLike[str], index: ShardIndex, limits: Limits, *, allow_missing: bool = False, verify: bool = False
) -> TensorTable:
    """The tensors of all shards in one table, index and shards compared."""
    present = set(os.listdir(folder))
    missing = [shard for shard in index.shards if shard not in present]
    if missing and not allow_missing:
        raise PartialResult(
            f"{index.name}: {len(missing)} of {len(index.shards)} shards are missing: {_some(missing)}; download them, or use --allow-missing."
        )
    if len(missing) == len(index.shards):
        raise PartialResult(f"{index.name}: all of its {len(missing)} shards are missing ({_some(missing)}); download them.")
    files = Files()
    found: list[Found] = []
    home: dict[str, str] = {}
    notes: dict[str, None] = {}
    for shard in index.shards:
        if shard in missing:
            continue
        file = file_inside(folder, shard)
        table = _read_one(file, limits, verify)
        notes.update(dict.fromkeys(table.notes))
        for item in table.found:
            name = ".".join(item.path)
            _place(name, shard, home, index)
            found.append(Found(item.path, files.behind(file, item.tensor, shard), item.optimizer))
        file.release()
    texts = [*notes, *_compare(index, home, found, missing)]
    return TensorTable(found, "sharded", texts, dict(index.metadata), files.release, index.shards)


def _read_one(file: InputFile, limits: Limits, verify: bool) -> TensorTable:
    kind = sniff_format(file, file.name)
    if kind == "safetensors":
        return safetensors.read_table(file, limits)
    if kind == "torch_zip":
        return torch_file.read_table(file, limits, verify=verify)
    if kind == "torch_legacy":
        return torch_legacy.read_table(file, limits)
    raise UnsupportedInput(f"{file.name}: a shard must be a safetensors or torch file, not {kind}; get a fresh copy.")


def _place(name: str, shard: str, home: dict[str, str], index: ShardIndex) -> None:
    if name in home:
        raise CorruptInput(
            f"{index.name}: tensor {display_name(name)!r} is stored in both {display_name(home[name], 60)} and {display_name(shard, 60)}."
        )
    listed = index.weight_map.get(name, shard) if index.weight_map is not None else shard
    if listed != shard:
        raise CorruptInput(
            f"{index.name}: tensor {display_name(name)!r} is listed in {display_name(listed, 60)} but stored in {display_name(shard, 60)}."
        )
    home[name] = shard


def _compare(index: ShardIndex, home: Mapping[str, str], found: Sequence[Found], missing: Sequence[str]) -> list[str]:
    notes = []
    if missing:
        notes.append(f"{len(missing)} of {len(index.shards)} shards are missing and were left out, as allowed: {_some(missing)}.")
    if index.weight_map is None:
        return notes
    absent = [name for name, shard in index.weight_map.items() if name not in home and shard not in missing]
    if absent:
        raise CorruptInput(f"{index.name}: {len(absent)} listed tensors are not in their shards: {_some(absent)}; get a fresh copy.")
    unlisted = [name for name in home if name not in index.weight_map]
    if unlisted:
        notes.append(f"{len(unlisted)} tensors are in the shards but not in the index (they are read too): {_some(unlisted)}.")
    total = index.metadata.get("total_size")
    stored = sum(item.tensor.n_bytes for item in found)
    if total is not None and not missing and total != stored:
        notes.append(f"The index says {display_name(str(total), 40)} bytes in total but the tensors hold {stored}.")
    return notes


class Files:
    """Keeps a few shards open at a time, so that a thousand of them need no thousand descriptors."""

    def __init__(self) -> None:
        self._recent: list[InputFile] = []
        self._lock = threading.Lock()

    def behind(self, file: InputFile, raw: RawTensor, shard: str) -> RawTensor:
        """``raw`` reading through this turnstile; the same storage key in two shards is not the same storage."""
        identity = None if raw.identity is None else (shard, raw.identity)
        read = None if raw.read is None else partial(self._read, file, raw.read)
        return RawTensor(raw.shape, raw.dtype, raw.n_bytes, read, raw.reason, identity, raw.kind, raw.attributes)

    def _read(self, file: InputFile, read: Any) -> np.ndarray:
        with self._lock:
            if file not in self._recent:
                self._recent.append(file)
                while len(self._recent) > _MOST_OPEN:
                    self._recent.pop(0).release()
            return read()

    def release(self) -> None:
        """Close all of them."""
        with self._lock:
            while self._recent:
                self._recent.pop().release()


def _refuse_same_but_case(name: str, shards: Sequence[str]) -> None:
    folded: dict[str, str] = {}
    for shard in shards:
        other = folded.setdefault(shard.casefold(), shard)
        if other != shard:
            raise UnsafeInput(f"{name}: the shards {display_name(other, 60)} and {display_name(shard, 60)} differ only in case; rename one.")


def _some(names: Sequence[str]) -> str:
    # "Listing all missing" must stay one sentence: a hundred names, then a count.
    shown_names = ", ".join(display_name(name, 80) for name in names[:100])
    return shown_names + (f" and {len(names) - 100} more" if len(names) > 100 else "")
