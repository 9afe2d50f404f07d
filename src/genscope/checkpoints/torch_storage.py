"""Tensors of a torch file as references into storages: checked against the stored bytes before anything is allocated."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from genscope.checkpoints.dtypes import ITEM_BYTES, decode
from genscope.checkpoints.inert_values import InertGlobal, PersistentId
from genscope.checkpoints.limits import Limits, checked_shape
from genscope.checkpoints.table import RawTensor
from genscope.core.text import display_name
from genscope.errors import CorruptInput

STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "bytes",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
}
DTYPES = {"double": "float64", "float": "float32", "half": "float16", "long": "int64", "int": "int32", "short": "int16", "cfloat": "complex64"}
ITEM_BYTES_OF_STORAGE = {**ITEM_BYTES, "bytes": 1, "qint8": 1, "quint8": 1, "qint32": 4}


@dataclass(frozen=True, slots=True)
class StorageRef:
    """A storage by its key: element type, number of elements, and where a view of it begins."""

    key: str
    dtype: str
    numel: int
    begin: int = 0


@dataclass(frozen=True, slots=True)
class TensorRef:
    """A tensor of a pickle: a strided view of a storage, or a reason why there is none."""

    storage: StorageRef | None
    offset: Any
    size: tuple[Any, ...]
    stride: tuple[Any, ...]
    dtype: str
    reason: str | None = None


class StorageBytes(Protocol):
    """Where the bytes of storages are."""

    big_endian: bool

    def n_bytes(self, key: str) -> int:
        """Stored bytes of a storage, or an error if there is none of that key."""
        ...

    def read(self, key: str, offset: int, length: int) -> bytes | bytearray:
        """Some bytes of a storage."""
        ...


def storage_of(value: Any) -> Any:
    """The inert value of a persistent id: a :class:`StorageRef`, a class for a pickled module's source, or the id itself."""
    if not isinstance(value, tuple) or not value:
        return PersistentId(value)
    if value[0] == "module" and len(value) > 1:
        return value[1]
    if value[0] != "storage" or len(value) < 5 or not isinstance(value[1], InertGlobal):
        return PersistentId(value)
    _, kind, key, _, numel, *view = value
    if not isinstance(key, str) or type(numel) is not int or numel < 0:
        raise ValueError("a storage needs a text key and a non-negative number of elements")
    begin = 0
    if view and isinstance(view[0], tuple):
        begin, length = view[0][1], view[0][2]
        if type(begin) is not int or type(length) is not int or begin < 0 or length < 0 or begin + length > numel:
            raise ValueError("a storage view leaves its storage")
    return StorageRef(key, STORAGES.get(kind.name, display_name(kind.name, 40)), numel, begin)


def raw_tensor(ref: TensorRef, source: StorageBytes, limits: Limits, where: str) -> RawTensor:
    """``ref`` checked against its storage, ready to be read.

    Raises:
        CorruptInput: a view that leaves its storage, negative strides, a storage of another size than its record, no such record.
        LimitExceeded: too many dimensions or elements.
    """
    size = tuple(ref.size)
    limits.check("ndim", len(size), f"{where}: number of dimensions")
    if ref.reason is not None or ref.storage is None:
        shape = size if all(type(n) is int and n >= 0 for n in size) else ()
        return RawTensor(shape, ref.dtype, 0, reason=ref.reason or "has no values in the file")
    _check_view(ref, where)
    item = ITEM_BYTES_OF_STORAGE.get(ref.dtype)
    if item is None:
        return RawTensor(size, ref.dtype, 0, reason=f"unsupported dtype {ref.dtype}")
    storage_item = ITEM_BYTES_OF_STORAGE.get(ref.storage.dtype)
    if storage_item is None:
        return RawTensor(size, ref.dtype, 0, reason=f"unsupported storage {ref.storage.dtype}")
    stored = source.n_bytes(ref.storage.key)
    if stored != ref.storage.numel * storage_item:
        raise CorruptInput(
            f"{where}: its storage {display_name(ref.storage.key, 40)!r} needs {ref.storage.numel * storage_item} bytes, has {stored}."
        )
    available = stored // item
    begin = ref.storage.begin * storage_item // item + ref.offset
    if 0 not in size:
        last = begin + sum((n - 1) * step for n, step in zip(size, ref.stride, strict=True))
        if last >= available:
            raise CorruptInput(f"{where}: reaches element {last} of a storage of {available}; the file is damaged, get a fresh copy.")
        if any(step == 0 and n > 1 for n, step in zip(size, ref.stride, strict=True)):
            return RawTensor(size, ref.dtype, stored, reason="an expanded view (stride 0): it repeats a few stored values")
        if math.prod(size) > available:
            return RawTensor(size, ref.dtype, stored, reason="an overlapping view: it repeats stored values")
    checked_shape(size, limits, where)
    view = StridedView(source, ref.storage.key, begin, size, tuple(ref.stride), ref.dtype)
    identity = (ref.storage.key, begin, size, view.canonical_stride, ref.dtype)
    return RawTensor(size, ref.dtype, math.prod(size) * item, partial(view.read), identity=identity)


def _check_view(ref: TensorRef, where: str) -> None:
    if len(ref.size) != len(ref.stride):
        raise CorruptInput(f"{where}: has {len(ref.size)} sizes but {len(ref.stride)} strides; the file is damaged, get a fresh copy.")
    for what, values in (("offset", (ref.offset,)), ("size", ref.size), ("stride", ref.stride)):
        for value in values:
            if type(value) is not int:
                raise CorruptInput(f"{where}: its {what} holds {display_name(repr(value), 40)}, no integer; the file is damaged, get a fresh copy.")
            if value < 0:
                raise CorruptInput(f"{where}: its {what} is negative ({value}); the file is damaged or made by hand, do not trust it.")


@dataclass(frozen=True, slots=True)
class StridedView:
    """A checked view, which reads only the stretch of the storage that it touches."""

    source: StorageBytes
    key: str
    begin: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str

    @property
    def canonical_stride(self) -> tuple[int, ...]:
        """Strides with those of dimensions of one element (which mean nothing) set to zero."""
        return tuple(0 if n == 1 else step for n, step in zip(self.size, self.stride, strict=True))

    def read(self) -> np.ndarray:
        """The values in row-major order."""
        item = ITEM_BYTES_OF_STORAGE[self.dtype]
        if 0 in self.size:
            return decode(b"", self.dtype, self.size)
        span = 1 + sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))
        raw = self.source.read(self.key, self.begin * item, span * item)
        if self.canonical_stride != _row_major(self.size) or self.source.big_endian:
            steps = tuple(step * item for step in self.stride)
            kind = {1: "u1", 2: "u2", 4: "u4", 8: "u8"}[item]
            values: np.ndarray = np.ndarray(self.size, dtype=("<" if not self.source.big_endian else ">") + kind, buffer=raw, strides=steps)
            raw = np.ascontiguousarray(values.astype("<" + kind, copy=False)).tobytes()
        return decode(raw, self.dtype, self.size)


def _row_major(size: tuple[int, ...]) -> tuple[int, ...]:
    steps: list[int] = []
    step = 1
    for n in reversed(size):
        steps.append(0 if n == 1 else step)
        step *= n
    return tuple(reversed(steps))
