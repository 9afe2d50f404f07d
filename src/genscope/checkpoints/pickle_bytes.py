"""The bytes of a pickle stream, pulled in pieces from a file or a member of an archive."""

from collections.abc import Callable

from genscope.errors import CorruptInput

_PIECE = 1 << 18


class PickleBytes:
    """Sequential reading of ``[start, end)`` through ``pread(offset, length)``."""

    def __init__(self, pread: Callable[[int, int], bytes], start: int, end: int, where: str) -> None:
        self._pread = pread
        self._buffer = b""
        self._buffer_at = start
        self._cursor = 0
        self._end = end
        self.where = where

    @classmethod
    def of(cls, data: bytes, where: str) -> "PickleBytes":
        """Over bytes in memory."""
        return cls(lambda offset, length: data[offset : offset + length], 0, len(data), where)

    @property
    def position(self) -> int:
        """Offset of the next byte."""
        return self._buffer_at + self._cursor

    def byte(self) -> int:
        """The next byte."""
        cursor = self._cursor
        if cursor < len(self._buffer):
            self._cursor = cursor + 1
            return self._buffer[cursor]
        return self.take(1)[0]

    def take(self, length: int) -> bytes:
        """The next ``length`` bytes; a claim beyond the end is refused before anything is allocated."""
        cursor = self._cursor
        if cursor + length <= len(self._buffer):
            self._cursor = cursor + length
            return self._buffer[cursor : cursor + length]
        position = self.position
        if length > self._end - position:
            raise CorruptInput(
                f"{self.where}: the pickle asks for {length} bytes at byte {position} but only {self._end - position} are left; get a fresh copy."
            )
        self._buffer = self._pread(position, min(max(length, _PIECE), self._end - position))
        self._buffer_at, self._cursor = position, length
        return self._buffer[:length]

    def line(self, limit: int = 1 << 16) -> bytes:
        """Bytes up to the next newline, without it."""
        parts = bytearray()
        while True:
            found = self._buffer.find(b"\n", self._cursor, self._cursor + limit)
            if found >= 0:
                parts += self._buffer[self._cursor : found]
                self._cursor = found + 1
                return bytes(parts)
            parts += self._buffer[self._cursor : self._cursor + limit]
            self._cursor = min(len(self._buffer), self._cursor + limit)
            if len(parts) > limit or self.position >= self._end:
                raise CorruptInput(f"{self.where}: a line of the pickle at byte {self.position} does not end; get a fresh copy.")
            parts += self.take(1)
            if parts[-1:] == b"\n":
                return bytes(parts[:-1])
