"""Bytes of a data file: plain or gzip, never more than is allowed."""

import zlib
from pathlib import Path

from genscope.checkpoints.paths import open_input
from genscope.errors import CorruptInput, LimitExceeded

LARGEST = 4 * 2**30


def read_bytes(path: Path, *, largest: int = LARGEST) -> bytes:
    """The content of a regular file, unpacked when it is gzip.

    Raises:
        GenscopeError: no regular file, a damaged gzip stream, or more bytes than ``largest``.
    """
    file = open_input(path)
    try:
        if file.size > largest:
            raise LimitExceeded(f"{path.name}: {file.size} bytes, more than the {largest} that a data file of this format can have.")
        raw = file.pread(0, file.size)
    finally:
        file.release()
    return _unpacked(raw, path.name, largest) if raw[:2] == b"\x1f\x8b" else raw


def _unpacked(raw: bytes, name: str, largest: int) -> bytes:
    parts, total = [], 0
    try:
        while raw:
            machine = zlib.decompressobj(wbits=31)
            piece = machine.decompress(raw, largest - total + 1)
            total += len(piece)
            if total > largest:
                raise LimitExceeded(f"{name}: unpacks to more than {largest} bytes; it is not an official data file.")
            if not machine.eof:
                raise CorruptInput(f"{name}: the gzip stream ends early; download it again.")
            parts.append(piece)
            raw = machine.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise CorruptInput(f"{name}: damaged gzip data ({error}); download it again.") from None
    return b"".join(parts)


def find_file(folder: Path, *names: str) -> Path | None:
    """The first of ``names`` (also with ``.gz``) in the folder or one level below."""
    for place in (folder, *sorted(child for child in folder.iterdir() if child.is_dir())):
        for name in names:
            for candidate in (place / name, place / f"{name}.gz"):
                if candidate.is_file():
                    return candidate
    return None
