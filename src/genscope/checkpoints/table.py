"""From what a format's reader lists to a finished checkpoint: names chosen, tied weights joined, unreadable tensors given a reason."""

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genscope.checkpoints import quantized
from genscope.checkpoints.dtypes import dtype_reason
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.listing import ListedCheckpoint
from genscope.checkpoints.state_dict import Found, Selection, select
from genscope.core.tensors import Skip, TensorSpec
from genscope.core.text import display_name, valid_unicode
from genscope.errors import CorruptInput, GenscopeError, LimitExceeded

_NO_ATTRIBUTES: Mapping[str, Any] = {}
_FOREIGN = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    RuntimeError,
    AssertionError,
    BufferError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    OSError,
)


@contextmanager
def plain_errors(where: str) -> Iterator[None]:
    """The one place where other people's exceptions become one sentence of ours.

    Example:
        >>> with plain_errors("w.pt"):
        ...     raise KeyError("deep inside")
        Traceback (most recent call last):
        ...
        genscope.errors.CorruptInput: w.pt: the file is damaged or not what it claims to be (KeyError while reading it); get a fresh copy.
    """
    try:
        yield
    except GenscopeError:
        raise
    except MemoryError:
        raise LimitExceeded(f"{where}: reading it needs more memory than there is; give the process more or choose fewer tensors.") from None
    except _FOREIGN as error:
        raise CorruptInput(
            f"{where}: the file is damaged or not what it claims to be ({type(error).__name__} while reading it); get a fresh copy."
        ) from None


@dataclass(frozen=True, slots=True)
class RawTensor:
    """One stored tensor before names are chosen.

    Args:
        shape, dtype, n_bytes: as in :class:`TensorSpec`.
        read: gives the values (floats widened, integers as stored).
        reason: why it cannot be read, or ``None``.
        identity: equal for tensors that are the same view of the same storage.
        kind, attributes: what the source knows of the layer.
    """

    shape: tuple[int, ...]
    dtype: str
    n_bytes: int
    read: Callable[[], np.ndarray] | None = None
    reason: str | None = None
    identity: Hashable = None
    kind: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=lambda: _NO_ATTRIBUTES)


@dataclass
class TensorTable:
    """What one file (or the named ``files`` of a set) holds: tensors by key path, and how to let go of it."""

    found: Sequence[Found]
    format: str
    notes: list[str] = field(default_factory=list)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    close: Callable[[], None] = lambda: None
    files: Sequence[str] = ()


class TableCheckpoint(ListedCheckpoint):
    """A checkpoint made of a :class:`TensorTable`; ``held`` lists every stored tensor, the unreadable ones too."""

    def __init__(self, source: str, table: TensorTable, limits: Limits, *, part: str | None = None) -> None:
        super().__init__(source, table.format, limits)
        self._close = table.close
        limits.check("n_tensors", len(table.found), f"{self.label}: number of tensors")
        chosen = select(table.found, part=part)
        names = [_stored_name(name, limits) for name in chosen.names]
        self._tensors, aliases = _join_tied(names, chosen, self.label)
        self._scaled = quantized.plan(self._tensors)
        self.held: Sequence[TensorSpec] = tuple(_spec(name, raw, aliases.get(name, ())) for name, raw in self._tensors.items())
        self._publish()
        self.notes = (*table.notes, *chosen.notes, *_notes(aliases, self.held))
        self.metadata = table.metadata

    def _publish(self) -> None:
        specs: list[TensorSpec] = []
        skips: list[Skip] = []
        for spec in self.held:
            raw = self._tensors[spec.name]
            if spec.name in self._scaled.rules:
                specs.append(quantized.dequantized_spec(spec, self._scaled.rules[spec.name]))
                continue
            reason = (
                raw.reason or self._scaled.reasons.get(spec.name) or ("empty: it has no elements" if 0 in spec.shape else dtype_reason(spec.dtype))
            )
            if reason is None:
                specs.append(spec)
            else:
                skips.append(Skip(spec.name, reason))
        self.set_specs(specs, skips)

    def read(self, name: str) -> np.ndarray:
        """Read one tensor: float64 stays, narrower floats become float32, scaled integers are multiplied out."""
        raw = self._tensors.get(name)
        self.spec_of(name, 4 if raw is not None and raw.dtype != "float64" else 8)
        with plain_errors(f"{self.label}, tensor {display_name(name)!r}"):
            if name in self._scaled.rules:
                return quantized.dequantize(self._scaled.rules[name], lambda key: self._values(key))
            return self._values(name)

    def _values(self, name: str) -> np.ndarray:
        raw = self._tensors[name]
        if raw.read is None:
            raise CorruptInput(f"{self.label}: tensor {display_name(name)!r} holds no values to read.")
        return raw.read()

    def close(self) -> None:
        """Close the files."""
        super().close()
        self._close()


def _stored_name(name: str, limits: Limits) -> str:
    name = valid_unicode(name)
    # Endless names cannot be printed or compared by a person: a digest keeps them apart.
    if len(name) <= limits.name_bytes // 4 or len(name.encode("utf-8")) <= limits.name_bytes:
        return name
    return f"{name[:200]}…#{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _join_tied(names: Sequence[str], chosen: Selection, label: str) -> tuple[dict[str, RawTensor], dict[str, tuple[str, ...]]]:
    tensors: dict[str, RawTensor] = {}
    first: dict[Hashable, str] = {}
    aliases: dict[str, tuple[str, ...]] = {}
    taken: set[str] = set()
    for name, raw in zip(names, chosen.tensors, strict=True):
        if name in taken:
            raise CorruptInput(f"{label}: two tensors are called {display_name(name)!r}; the file is damaged or made by hand.")
        taken.add(name)
        identity = raw.identity
        if identity is not None and 0 not in raw.shape:
            owner = first.setdefault(identity, name)
            if owner != name:
                aliases[owner] = (*aliases.get(owner, ()), name)
                continue
        tensors[name] = raw
    return tensors, aliases


def _spec(name: str, raw: RawTensor, aliases: tuple[str, ...]) -> TensorSpec:
    return TensorSpec(name, raw.shape, raw.dtype, raw.n_bytes, raw.kind, attributes=raw.attributes, aliases=aliases)


def _notes(aliases: Mapping[str, tuple[str, ...]], held: Sequence[TensorSpec]) -> list[str]:
    notes = []
    if aliases:
        owner, others = next(iter(aliases.items()))
        more = f" and {len(aliases) - 1} more" if len(aliases) > 1 else ""
        notes.append(f"Tied weights are counted once: {display_name(owner, 60)!r} is also {display_name(others[0], 60)!r}{more}.")
    if not held:
        notes.append("The checkpoint holds no tensors.")
    return notes
