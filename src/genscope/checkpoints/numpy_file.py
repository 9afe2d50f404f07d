"""NumPy files (``.npy``, ``.npz``), read without pickle."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genscope.checkpoints.input_file import InputFile
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.listing import ListedCheckpoint
from genscope.checkpoints.low_precision import widen
from genscope.checkpoints.npy_header import MAGIC, NpyHeader, parse_header, prefix_length
from genscope.checkpoints.paths import open_input
from genscope.checkpoints.zip_archive import STORED, Member, data_offset, read_directory
from genscope.checkpoints.zip_stream import unfold
from genscope.core.tensors import Skip, TensorSpec
from genscope.core.text import display_name
from genscope.errors import CorruptInput

__all__ = ["MAGIC", "NumpyCheckpoint", "open_numpy"]


@dataclass(frozen=True)
class _Place:
    """Where an array's bytes are: a window of the file, or a deflated member of it."""

    header: NpyHeader
    start: int
    size: int
    member: Member | None = None


class NumpyCheckpoint(ListedCheckpoint):
    """The arrays of one ``.npy`` or ``.npz`` file."""

    def __init__(self, source: str, file: InputFile, limits: Limits, npy_dtype: str | None) -> None:
        is_archive = file.size >= 4 and file.pread(0, 2) == b"PK"
        super().__init__(source, "npz" if is_archive else "npy", limits)
        self._file = file
        self._npy_dtype = npy_dtype
        self._places: dict[str, _Place] = {}
        self._specs: list[TensorSpec] = []
        self._skips: list[Skip] = []
        if is_archive:
            for member in read_directory(file, limits).values():
                self._add_member(member)
        else:
            self._add_window(Path(source).stem, self.label, 0, file.size)
        limits.check("n_tensors", len(self._specs) + len(self._skips), f"{self.label}: number of arrays")
        self.set_specs(self._specs, self._skips)

    def _add_member(self, member: Member) -> None:
        if member.name.endswith("/"):
            return
        if not member.name.endswith(".npy"):
            self._skips.append(Skip(member.name, "not an array (no .npy member)"))
            return
        name = member.name.removesuffix(".npy")
        label = f"{self.label}, array {display_name(name)!r}"
        if member.method == STORED:
            self._add_window(name, label, data_offset(self._file, member), member.size, member)
            return
        head = b"".join(_first_pieces(self._file, member, 12))
        length = prefix_length(head[:12], label)
        prefix = b"".join(_first_pieces(self._file, member, length))[:length] if len(head) < length else head[:length]
        header = parse_header(_whole(prefix, length, label), label, self.limits, self._npy_dtype)
        self._publish(name, label, prefix, _Place(header, 0, member.size, member))

    def _add_window(self, name: str, label: str, start: int, size: int, member: Member | None = None) -> None:
        length = prefix_length(self._file.pread(start, min(12, size)), label)
        prefix = _whole(self._file.pread(start, min(length, size)), length, label)
        self._publish(name, label, prefix, _Place(parse_header(prefix, label, self.limits, self._npy_dtype), start, size, member))

    def _publish(self, name: str, label: str, prefix: bytes, place: _Place) -> None:
        header = place.header
        if header.skip is not None:
            self._skips.append(Skip(name, header.skip))
            return
        spec = TensorSpec(name, header.shape, header.dtype, place.member.stored if place.member else place.size - len(prefix))
        wanted, there = spec.n_elements * header.item, place.size - header.data_at
        if wanted > there or (wanted < there and place.member is not None):
            raise CorruptInput(f"{label}: shape {header.shape} needs {wanted} bytes and the file holds {there}; was it downloaded completely?")
        if wanted < there:
            self.notes = (*self.notes, f"{there - wanted} bytes after the array were ignored.")
        self._places[name] = place
        self._specs.append(spec)

    def read(self, name: str) -> np.ndarray:
        """Read one array as float32 or float64; members of an archive are checked against their checksum."""
        spec = self.spec_of(name)
        place = self._places[name]
        header = place.header
        n_bytes = spec.n_elements * header.item
        raw = bytearray(n_bytes)
        if place.member is None:
            self._file.pread_into(memoryview(raw), place.start + header.data_at)
        else:
            _unpack_into(memoryview(raw), self._file, place.member, header.data_at)
        if header.big_endian:
            np.frombuffer(raw, dtype=f"<u{header.item}").byteswap(inplace=True)
        if header.fortran and len(spec.shape) > 1:
            return np.ascontiguousarray(widen(raw, header.dtype, spec.shape[::-1]).T)
        return widen(raw, header.dtype, spec.shape)

    def close(self) -> None:
        """Release the file."""
        super().close()
        self._file.release()


def _whole(prefix: bytes, length: int, label: str) -> bytes:
    if len(prefix) < length:
        raise CorruptInput(f"{label} ends inside its header ({len(prefix)} of {length} bytes); was it downloaded completely?")
    return prefix


def _first_pieces(file: InputFile, member: Member, wanted: int) -> list[bytes]:
    """Enough pieces of a deflated member to hold ``wanted`` bytes, if it has so many."""
    pieces: list[bytes] = []
    have = 0
    for piece in unfold(file, member, 1 << 12):
        pieces.append(piece)
        have += len(piece)
        if have >= wanted:
            break
    return pieces


def _unpack_into(buffer: memoryview, file: InputFile, member: Member, skip: int) -> None:
    """Fill ``buffer`` with the member's bytes after the first ``skip``."""
    at = -skip
    for piece in unfold(file, member):
        body = piece[-at:] if at < 0 else piece
        begin = max(at, 0)
        if at + len(piece) > 0:
            buffer[begin : begin + len(body)] = body
        at += len(piece)


def open_numpy(path: str | Path, limits: Limits | None = None, *, npy_dtype: str | None = None) -> NumpyCheckpoint:
    """Open a ``.npy`` (one tensor, named after the file) or ``.npz`` file; object arrays are listed as skipped, never unpickled.

    Args:
        npy_dtype: what arrays of raw 2-byte items are (``"bf16"``), for NumPy forgets that type when it saves.

    Raises:
        CorruptInput, LimitExceeded, UnsafeInput, UnsupportedInput: in one sentence that names the file and the array.
    """
    return NumpyCheckpoint(os.fspath(path), open_input(path), limits or Limits(), npy_dtype)
