"""A regular file read by position from one descriptor, which notices when the file changes under it."""

import os
import stat
from collections.abc import Callable

from genscope.errors import ChangedInput, CorruptInput, UnsupportedInput

_BLOCK = 1 << 26


class InputFile:
    """A regular file, read by position from one descriptor; a change of size or content time while reading is an error.

    ``release`` closes the descriptor but remembers what was open: the next read opens the file again and refuses another one in its place.
    """

    def __init__(self, name: str, opener: Callable[[], int]) -> None:
        self.name = name
        self._opener = opener
        self._fd: int | None = opener()
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            self.release()
            raise UnsupportedInput(f"{name}: not a regular file; give a checkpoint file or a folder.")
        self.size = status.st_size
        self._print = _fingerprint(status)

    def pread(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise CorruptInput(
                f"{self.name}: incomplete: bytes {offset} to {offset + length} are needed but the file has {self.size} bytes; get a fresh copy."
            )
        fd = self._descriptor()
        parts: list[bytes] = []
        done = 0
        while done < length:
            part = os.pread(fd, min(length - done, _BLOCK), offset + done)
            if not part:
                raise self._changed()
            parts.append(part)
            done += len(part)
        self.check_unchanged()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def pread_buffer(self, offset: int, length: int) -> bytearray:
        """Like :meth:`pread` for a large stretch: one allocation, no second copy."""
        if offset < 0 or length < 0 or offset + length > self.size:
            self.pread(offset, length)
        buffer = bytearray(length)
        self.pread_into(memoryview(buffer), offset)
        return buffer

    def pread_into(self, buffer: memoryview, offset: int) -> None:
        """Fill ``buffer`` (writable bytes) from ``offset``: no second copy for a large tensor."""
        if offset < 0 or offset + len(buffer) > self.size:
            self.pread(offset, len(buffer))
        fd = self._descriptor()
        done = 0
        while done < len(buffer):
            count = os.preadv(fd, [buffer[done : done + _BLOCK]], offset + done)
            if count == 0:
                raise self._changed()
            done += count
        self.check_unchanged()

    def check_unchanged(self) -> None:
        """Refuse to go on if the file was written to since it was opened."""
        if _fingerprint(os.fstat(self._descriptor())) != self._print:
            raise self._changed()

    def release(self) -> None:
        """Close the descriptor for now."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @property
    def identity(self) -> tuple[int, ...]:
        """Device, inode, size and times: equal only for the same unchanged file."""
        return self._print

    def _descriptor(self) -> int:
        if self._fd is None:
            self._fd = self._opener()
            if _fingerprint(os.fstat(self._fd)) != self._print:
                self.release()
                raise self._changed()
        return self._fd

    def _changed(self) -> ChangedInput:
        return ChangedInput(f"{self.name}: the file changed while it was being read; run again when nothing writes to it.")

    def __del__(self) -> None:
        if getattr(self, "_fd", None) is not None:
            self.release()


def _fingerprint(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
