"""The header of a GGUF file, read with Python integers and bounded by the bytes that are really there."""

import struct
from dataclasses import dataclass, field
from typing import Any

from genscope.checkpoints.input_file import InputFile
from genscope.checkpoints.limits import Limits
from genscope.core.text import display_name
from genscope.errors import CorruptInput, LimitExceeded, UnsupportedInput

MAGIC = b"GGUF"
STRING, ARRAY = 8, 9
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
MIN_KEY_VALUE, MIN_TENSOR = 13, 24
KEPT_STRING = 1000


@dataclass(frozen=True)
class GgufTensor:
    """One entry of the tensor table; ``dims`` as stored, fastest first."""

    name: str
    dims: tuple[int, ...]
    type_id: int
    offset: int


@dataclass(frozen=True)
class GgufHeader:
    """Key-values (scalars and short strings only), tensors, and where the data begin."""

    version: int
    values: dict[str, Any] = field(default_factory=dict)
    tensors: tuple[GgufTensor, ...] = ()
    data_start: int = 0


def read_header(file: InputFile, limits: Limits) -> GgufHeader:
    """Parse magic, version, key-values and tensor table.

    Raises:
        CorruptInput, LimitExceeded, UnsupportedInput: in a sentence that names the field.
    """
    cursor = _Cursor(file, limits.header_bytes)
    label = file.name
    version = _read_version(cursor)
    n_tensors, n_values = cursor.number("<Q"), cursor.number("<Q")
    _check_count(cursor, "tensors", n_tensors, MIN_TENSOR)
    _check_count(cursor, "key-value pairs", n_values, MIN_KEY_VALUE)
    if n_tensors > limits.n_tensors:
        raise LimitExceeded(f"{label} claims {n_tensors} tensors and the limit is {limits.n_tensors}.")
    values: dict[str, Any] = {}
    for _ in range(n_values):
        key = cursor.string("a key", limits.name_bytes)
        if key in values:
            raise CorruptInput(f"{label}: the key {display_name(key)!r} stands twice in the header.")
        values[key] = _read_value(cursor, cursor.number("<I"), key, 0)
    tensors = tuple(_read_tensor(cursor, limits) for _ in range(n_tensors))
    alignment = _alignment(values, label)
    data_start = -(-cursor.at // alignment) * alignment
    _check_offsets(tensors, alignment, label)
    return GgufHeader(version, {key: value for key, value in values.items() if value is not None}, tensors, data_start)


def _read_version(cursor: "_Cursor") -> int:
    magic = cursor.take(4, "the magic number")
    if magic != MAGIC:
        raise CorruptInput(f"{cursor.label} is not a GGUF file (it begins with {magic!r}).")
    version = cursor.number("<I")
    if version in (2, 3):
        return version
    if version == 1:
        raise UnsupportedInput(f"{cursor.label} is GGUF version 1, which nothing writes any more; convert it with a current llama.cpp.")
    if int.from_bytes(version.to_bytes(4, "little"), "big") in (1, 2, 3):
        raise UnsupportedInput(f"{cursor.label} is a big-endian GGUF file; genscope reads little-endian ones (convert it with gguf-convert-endian).")
    raise UnsupportedInput(f"{cursor.label} says GGUF version {version}; genscope reads versions 2 and 3.")


def _check_count(cursor: "_Cursor", what: str, count: int, smallest: int) -> None:
    room = (cursor.size - cursor.at) // smallest
    if count > room:
        raise CorruptInput(f"{cursor.label} claims {count} {what} and its remaining {cursor.size - cursor.at} bytes hold at most {room}.")


def _read_value(cursor: "_Cursor", type_id: int, key: str, depth: int) -> Any:
    """The value if it is a number or a short string, else ``None`` after stepping over it."""
    if type_id in SCALARS:
        return cursor.number(SCALARS[type_id])
    if type_id == STRING:
        return cursor.string_or_skip(KEPT_STRING)
    if type_id != ARRAY:
        raise CorruptInput(f"{cursor.label}: key {display_name(key)!r} has the unknown value type {type_id}.")
    if depth >= 4:
        raise LimitExceeded(f"{cursor.label}: key {display_name(key)!r} nests arrays deeper than 4 levels.")
    inner, count = cursor.number("<I"), cursor.number("<Q")
    if inner in SCALARS:
        cursor.skip(count, struct.calcsize(SCALARS[inner]), f"array {display_name(key)!r}")
        return None
    _check_count(cursor, f"entries in array {display_name(key)!r}", count, 8 if inner == STRING else 12)
    for _ in range(count):
        if inner == STRING:
            cursor.skip(cursor.number("<Q"), 1, f"a string of array {display_name(key)!r}")
        else:
            _read_value(cursor, inner, key, depth + 1)
    return None


def _read_tensor(cursor: "_Cursor", limits: Limits) -> GgufTensor:
    name = cursor.string("a tensor name", limits.name_bytes)
    n_dims = cursor.number("<I")
    if n_dims > 4:
        raise CorruptInput(f"{cursor.label}: tensor {display_name(name)!r} claims {n_dims} dimensions and GGUF allows 4.")
    dims = tuple(cursor.number("<Q") for _ in range(n_dims))
    count = 1
    for size in dims:
        count *= size
    if count > limits.elements:
        raise LimitExceeded(f"{cursor.label}: tensor {display_name(name)!r} claims {count} elements, beyond the limit of {limits.elements}.")
    return GgufTensor(name, dims, cursor.number("<I"), cursor.number("<Q"))


def _alignment(values: dict[str, Any], label: str) -> int:
    alignment = values.get("general.alignment", 32)
    if not isinstance(alignment, int) or isinstance(alignment, bool) or not 8 <= alignment <= 1 << 20 or alignment & (alignment - 1):
        raise CorruptInput(f"{label}: general.alignment is {alignment!r}; it must be a power of two from 8 to 1048576.")
    return alignment


def _check_offsets(tensors: tuple[GgufTensor, ...], alignment: int, label: str) -> None:
    names: set[str] = set()
    for tensor in tensors:
        if tensor.name in names:
            raise CorruptInput(f"{label}: two tensors are called {display_name(tensor.name)!r}.")
        names.add(tensor.name)
        if tensor.offset % alignment:
            shown = display_name(tensor.name)
            raise CorruptInput(f"{label}: tensor {shown!r} begins at offset {tensor.offset}, not a multiple of the alignment {alignment}.")


class _Cursor:
    """Sequential reads of a file with a block buffer, never past its end nor past the header limit."""

    BLOCK = 1 << 18

    def __init__(self, file: InputFile, limit: int) -> None:
        self.file, self.label, self.size, self.limit = file, file.name, file.size, limit
        self.at = 0
        self._block, self._block_at = b"", 0

    def take(self, n: int, what: str) -> bytes:
        """The next ``n`` bytes."""
        if n > self.size - self.at:
            left = self.size - self.at
            raise CorruptInput(f"{self.label} ends inside {what} (byte {self.at}: {n} bytes wanted, {left} left); was it downloaded completely?")
        if self.at + n > self.limit:
            raise LimitExceeded(f"{self.label}: the header goes on past the limit of {self.limit} bytes.")
        begin = self.at - self._block_at
        if begin < 0 or begin + n > len(self._block):
            self._block, self._block_at, begin = self.file.pread(self.at, min(max(n, self.BLOCK), self.size - self.at)), self.at, 0
        self.at += n
        return self._block[begin : begin + n]

    def skip(self, count: int, item: int, what: str) -> None:
        """Step over ``count`` items of ``item`` bytes."""
        if count * item > self.size - self.at:
            raise CorruptInput(f"{self.label}: {what} claims {count} items of {item} bytes and {self.size - self.at} bytes are left.")
        if self.at + count * item > self.limit:
            raise LimitExceeded(f"{self.label}: the header goes on past the limit of {self.limit} bytes.")
        self.at += count * item

    def number(self, code: str) -> Any:
        """One number."""
        (value,) = struct.unpack(code, self.take(struct.calcsize(code), "the header"))
        return value

    def string(self, what: str, limit: int) -> str:
        """A length-prefixed UTF-8 string of at most ``limit`` bytes."""
        length = self.number("<Q")
        if length > self.size - self.at:
            raise CorruptInput(f"{self.label}: {what} claims {length} bytes and {self.size - self.at} are left.")
        if length > limit:
            raise LimitExceeded(f"{self.label}: {what} is {length} bytes long and the limit is {limit}.")
        try:
            return self.take(length, what).decode("utf-8")
        except UnicodeDecodeError:
            raise CorruptInput(f"{self.label}: {what} is not valid UTF-8.") from None

    def string_or_skip(self, limit: int) -> str | None:
        """A string value if it is short, else ``None`` after stepping over it."""
        length = self.number("<Q")
        if length > limit:
            self.skip(length, 1, "a string")
            return None
        return self.take(length, "a string").decode("utf-8", "replace")
