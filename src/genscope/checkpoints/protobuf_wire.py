"""Protocol-buffer fields by byte position: nothing is decoded that is not asked for, and nothing beyond its message is read."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from genscope.checkpoints.input_file import InputFile
from genscope.errors import CorruptInput, LimitExceeded

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_BLOCK = 1 << 18


class Field(NamedTuple):
    """One field: its number, wire type, ``value`` (varint and fixed types) and the span ``[start, end)`` of its bytes."""

    number: int
    wire: int
    value: int
    start: int
    end: int


class WireReader:
    """Fields of the messages of one file, through a block buffer.

    ``max_fields`` bounds the work a hostile file of tiny fields can ask for.
    """

    def __init__(self, file: InputFile, max_fields: int = 3_000_000) -> None:
        self.file = file
        self._block, self._block_at = b"", 0
        self._fields_left = max_fields

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """The fields of the message in ``[start, end)``, in order."""
        at = start
        while at < end:
            self._fields_left -= 1
            if self._fields_left < 0:
                raise LimitExceeded(f"{self.file.name} holds more protobuf fields than any real model; the file is damaged or hostile.")
            key, at = self._varint(at, end)
            number, wire = key >> 3, key & 7
            if number == 0:
                raise CorruptInput(f"{self.file.name}: byte {at} is not the start of a protobuf field; the file is damaged or no ONNX model.")
            if wire == VARINT:
                begin = at
                value, at = self._varint(at, end)
                yield Field(number, wire, value, begin, at)
                continue
            begin = at
            if wire == BYTES:
                length, begin = self._varint(at, end)
            elif wire in (FIXED64, FIXED32):
                length = 8 if wire == FIXED64 else 4
            else:
                raise CorruptInput(f"{self.file.name}: byte {at} has the protobuf wire type {wire}; the file is damaged or no ONNX model.")
            if length > end - begin:
                raise CorruptInput(f"{self.file.name}: a field at byte {begin} claims {length} bytes of {end - begin}; was it downloaded completely?")
            at = begin + length
            yield Field(number, wire, int.from_bytes(self.bytes(begin, at), "little") if wire != BYTES else 0, begin, at)

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        raw = self.bytes(at, min(at + 10, end))
        for index, byte in enumerate(raw):
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value & 0xFFFFFFFFFFFFFFFF, at + index + 1
        raise CorruptInput(f"{self.file.name} ends inside a number at byte {at}; was it downloaded completely?")

    def bytes(self, start: int, end: int) -> bytes:
        """The bytes ``[start, end)``; short spans come from a buffer."""
        begin = start - self._block_at
        if begin < 0 or end - self._block_at > len(self._block):
            if end - start > _BLOCK:
                return self.file.pread(start, end - start)
            self._block_at = start
            self._block = self.file.pread(start, min(_BLOCK, self.file.size - start))
            begin = 0
        return self._block[begin : begin + end - start]

    def text(self, field: Field, limit: int, what: str) -> str:
        """A short UTF-8 string."""
        if field.wire != BYTES:
            raise CorruptInput(f"{self.file.name}: {what} is not text; the file is damaged.")
        if field.end - field.start > limit:
            raise LimitExceeded(f"{self.file.name}: {what} is {field.end - field.start} bytes long and the limit is {limit}.")
        try:
            return self.bytes(field.start, field.end).decode("utf-8")
        except UnicodeDecodeError:
            raise CorruptInput(f"{self.file.name}: {what} is not valid UTF-8; the file is damaged.") from None

    def integers(self, field: Field, limit: int, what: str) -> list[int]:
        """A repeated integer field's entries here: one, or a packed run of at most ``limit``; as signed 64-bit numbers."""
        if field.wire == VARINT:
            return [_signed(field.value)]
        if field.wire != BYTES:
            raise CorruptInput(f"{self.file.name}: {what} is stored in an unexpected way; the file is damaged.")
        values: list[int] = []
        at = field.start
        while at < field.end:
            value, at = self._varint(at, field.end)
            values.append(_signed(value))
            if len(values) > limit:
                raise LimitExceeded(f"{self.file.name}: {what} has more than {limit} entries.")
        return values


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def packed_varints(raw: bytes, label: str) -> np.ndarray:
    """All varints of a packed run as uint64, vectorized.

    Example:
        >>> packed_varints(bytes([1, 0x96, 0x01]), "x").tolist()
        [1, 150]
    """
    data = np.frombuffer(raw, dtype=np.uint8)
    last = data < 0x80
    if len(data) and not last[-1]:
        raise CorruptInput(f"{label}: a packed list of numbers is cut short; the file is damaged.")
    ends = np.flatnonzero(last)
    starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
    lengths = ends - starts + 1
    if len(lengths) and lengths.max() > 10:
        raise CorruptInput(f"{label}: a packed list holds a number of more than 64 bits; the file is damaged.")
    values = np.zeros(len(ends), dtype=np.uint64)
    for index in range(int(lengths.max()) if len(lengths) else 0):
        held = lengths > index
        values[held] |= (data[starts[held] + index] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * index)
    return values
