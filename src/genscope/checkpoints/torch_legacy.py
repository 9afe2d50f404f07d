"""PyTorch's files from before 1.6 (often ``.pth.tar`` or ``.th``) and plain pickles of arrays.

Layout: pickles of a magic number, the protocol, system facts, the object and the storage keys;
then each storage as a 64-bit count and its raw elements.
"""

import os
from typing import Any

from genscope.checkpoints.input_file import InputFile
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.paths import open_input
from genscope.checkpoints.pickle_bytes import PickleBytes
from genscope.checkpoints.table import TableCheckpoint, TensorTable, plain_errors
from genscope.checkpoints.torch_object import find_tensors, pickle_notes, plain_facts, torch_unpickler
from genscope.checkpoints.torch_storage import ITEM_BYTES_OF_STORAGE, StorageRef
from genscope.core.text import display_name
from genscope.errors import CorruptInput, UnsupportedInput

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


def open_torch_legacy(path: str | os.PathLike[str], limits: Limits | None = None, *, part: str | None = None) -> TableCheckpoint:
    """Open a legacy torch file or a plain pickle of arrays; no storage is read.

    Raises:
        GenscopeError: truncated or inconsistent, or a pickle without tensors.
    """
    limits = limits or Limits()
    file = open_input(path)
    with plain_errors(file.name):
        return TableCheckpoint(os.fspath(path), read_table(file, limits), limits, part=part)


def read_table(file: InputFile, limits: Limits) -> TensorTable:
    """All tensors of a legacy file."""
    source = PickleBytes(file.pread, 0, min(file.size, limits.pickle_bytes), file.name)
    first_reader = torch_unpickler(source, limits)
    first = first_reader.load()
    if first != MAGIC or type(first) is not int:
        found = find_tensors(first, LegacyStorages(file), limits, file.name)
        if not found:
            raise UnsupportedInput(f"{file.name}: a pickle that holds no tensors; it is no checkpoint, give another file.")
        return TensorTable(found, "pickle", pickle_notes(first_reader, first), {}, file.release)
    protocol = torch_unpickler(source, limits).load()
    if protocol != PROTOCOL:
        raise UnsupportedInput(
            f"{file.name}: torch file protocol {display_name(repr(protocol), 20)} is not {PROTOCOL}; load and save it again with torch."
        )
    facts = torch_unpickler(source, limits).load()
    unpickler = LegacyUnpickling(source, limits)
    root = unpickler.reader.load()
    keys = torch_unpickler(source, limits).load()
    storages = LegacyStorages(file, isinstance(facts, dict) and facts.get("little_endian") is False)
    storages.place(keys, unpickler.storages, source.position)
    found = find_tensors(root, storages, limits, file.name)
    return TensorTable(found, "torch (legacy)", pickle_notes(unpickler.reader, root), plain_facts(root), file.release)


class LegacyUnpickling:
    """The main pickle, and the storages that it names."""

    def __init__(self, source: PickleBytes, limits: Limits) -> None:
        self.storages: dict[str, StorageRef] = {}
        self.reader = torch_unpickler(source, limits)
        make = self.reader.persistent
        self.reader.persistent = lambda value: self._note(make(value))

    def _note(self, value: Any) -> Any:
        if isinstance(value, StorageRef):
            self.storages.setdefault(value.key, value)
        return value


class LegacyStorages:
    """Storages one behind the other after the pickles."""

    def __init__(self, file: InputFile, big_endian: bool = False) -> None:
        self._file = file
        self._places: dict[str, tuple[int, int]] = {}
        self.big_endian = big_endian

    def place(self, keys: Any, storages: dict[str, StorageRef], start: int) -> None:
        """Find each storage of ``keys`` from byte ``start`` on, checking its count against the pickle and the file's end."""
        name = self._file.name
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or len(set(keys)) < len(keys):
            raise CorruptInput(f"{name}: the list of storages is damaged; get a fresh copy.")
        at = start
        for key in keys:
            storage = storages.get(key)
            item = ITEM_BYTES_OF_STORAGE.get(storage.dtype) if storage is not None else None
            if storage is None or item is None:
                raise CorruptInput(
                    f"{name}: storage {display_name(key, 60)!r} is of an unknown kind, so what follows cannot be found; get a fresh copy."
                )
            if at + 8 > self._file.size:
                raise self._incomplete(at + 8)
            count = int.from_bytes(self._file.pread(at, 8), "big" if self.big_endian else "little", signed=True)
            if count != storage.numel:
                raise CorruptInput(
                    f"{name}: storage {display_name(key, 60)!r} holds {count} elements but the pickle says {storage.numel}; get a fresh copy."
                )
            if at + 8 + count * item > self._file.size:
                raise self._incomplete(at + 8 + count * item)
            self._places[key] = (at + 8, count * item)
            at += 8 + count * item

    def _incomplete(self, needed: int) -> CorruptInput:
        return CorruptInput(
            f"{self._file.name}: incomplete: {self._file.size} of at least {needed} bytes; the download was cut short, get a fresh copy."
        )

    def n_bytes(self, key: str) -> int:
        """Bytes of a storage."""
        return self._place(key)[1]

    def read(self, key: str, offset: int, length: int) -> bytes | bytearray:
        """Some bytes of a storage."""
        return self._file.pread_buffer(self._place(key)[0] + offset, length)

    def _place(self, key: str) -> tuple[int, int]:
        if key not in self._places:
            raise CorruptInput(f"{self._file.name}: storage {display_name(key, 60)!r} is missing from the file; get a fresh copy.")
        return self._places[key]
