"""PyTorch's zip files (``.pt .pth .bin .ckpt``) and TorchScript archives, read without torch and without running anything."""

import os
from collections.abc import Mapping

from genscope.checkpoints import zip_archive
from genscope.checkpoints.input_file import InputFile
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.paths import open_input
from genscope.checkpoints.pickle_bytes import PickleBytes
from genscope.checkpoints.table import TableCheckpoint, TensorTable, plain_errors
from genscope.checkpoints.torch_object import find_tensors, pickle_notes, plain_facts, torch_unpickler
from genscope.checkpoints.zip_archive import STORED, Member
from genscope.core.text import display_name
from genscope.errors import CorruptInput, UnsafeInput


def open_torch(path: str | os.PathLike[str], limits: Limits | None = None, *, part: str | None = None, verify: bool = False) -> TableCheckpoint:
    """Open a torch zip file; no storage is read.

    With ``verify`` every member is compared with its stored checksum first; without it a changed byte in the weights goes unseen.

    Raises:
        GenscopeError: see :func:`genscope.checkpoints.zip_archive.read_directory` and :func:`genscope.checkpoints.torch_storage.raw_tensor`.
    """
    limits = limits or Limits()
    file = open_input(path)
    with plain_errors(file.name):
        return TableCheckpoint(os.fspath(path), read_table(file, limits, verify=verify), limits, part=part)


def read_table(file: InputFile, limits: Limits, *, verify: bool = False) -> TensorTable:
    """All tensors of the archive's one ``data.pkl``."""
    members = zip_archive.read_directory(file, limits)
    pickles = [name for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise UnsafeInput(
            f"{file.name}: the archive holds {len(pickles)} pickles called data.pkl instead of one; two readers could see different files."
        )
    if verify:
        zip_archive.verify_members(file, members, limits)
    main = members[pickles[0]]
    prefix = pickles[0][: -len("data.pkl")]
    where = f"{file.name}, member {display_name(main.name)!r}"
    limits.check("pickle_bytes", main.size, f"{where}: bytes")
    source = PickleBytes.of(zip_archive.read_member(file, main, limits), where)
    unpickler = torch_unpickler(source, limits)
    root = unpickler.load()
    storages = ZipStorages(file, members, prefix, limits)
    found = find_tensors(root, storages, limits, file.name)
    kind = "torchscript" if f"{prefix}constants.pkl" in members else "torch"
    return TensorTable(found, kind, pickle_notes(unpickler, root), plain_facts(root), file.release)


class ZipStorages:
    """Storages as members ``<prefix>data/<key>``."""

    def __init__(self, file: InputFile, members: Mapping[str, Member], prefix: str, limits: Limits) -> None:
        self._file = file
        self._members = members
        self._prefix = prefix
        self._limits = limits
        order = members.get(f"{prefix}byteorder")
        self.big_endian = order is not None and order.size < 16 and zip_archive.read_member(file, order, limits) == b"big"

    def n_bytes(self, key: str) -> int:
        """Bytes of the storage's member."""
        return self._member(key).size

    def read(self, key: str, offset: int, length: int) -> bytes | bytearray:
        """Part of a stored member, or of a deflated one after unfolding it."""
        member = self._member(key)
        if member.method == STORED:
            return self._file.pread_buffer(zip_archive.data_offset(self._file, member) + offset, length)
        return zip_archive.read_member(self._file, member, self._limits)[offset : offset + length]

    def _member(self, key: str) -> Member:
        if not key or "/" in key or "\\" in key or key in (".", ".."):
            raise UnsafeInput(
                f"{self._file.name}: the storage key {display_name(key, 60)!r} is no plain name; the file was made by hand, do not trust it."
            )
        member = self._members.get(f"{self._prefix}data/{key}")
        if member is None:
            raise CorruptInput(f"{self._file.name}: storage {display_name(key, 60)!r} is missing from the archive; get a fresh copy.")
        return member
