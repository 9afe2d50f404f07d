"""How much a file may claim before genscope refuses to believe it."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genscope.core.text import display_name
from genscope.errors import CorruptInput, LimitExceeded

_FALLBACK_MEMORY = 2 * 2**30


def available_memory() -> int:
    """Bytes of memory this process may still use: the smaller of what the machine has left and what its control group allows.

    Example:
        >>> available_memory() > 0
        True
    """
    found = [value for value in (_meminfo(), _cgroup()) if value is not None and value > 0]
    return min(found) if found else _FALLBACK_MEMORY


def _meminfo() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _cgroup() -> int | None:
    for maximum, current in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            return int(Path(maximum).read_text()) - int(Path(current).read_text())
        except (OSError, ValueError):
            continue
    return None


def half_of_available_memory() -> int:
    """The default memory budget: half of :func:`available_memory`, at least 64 MiB."""
    return max(available_memory() // 2, 64 * 2**20)


@dataclass(frozen=True)
class Limits:
    """The largest sizes a file may declare; each refusal names the limit that was hit.

    Args:
        header_bytes: a safetensors header, a zip directory.
        json_bytes: an index or configuration file.
        n_tensors: tensors in one checkpoint.
        name_bytes: UTF-8 bytes of a tensor's name (longer names are shortened, not refused).
        ndim: dimensions of a tensor.
        elements: elements of a tensor.
        pickle_bytes, pickle_opcodes, pickle_objects: length of a pickle stream, and what it may make (a tensor takes about ten objects).
        inflate_ratio: decompressed over compressed bytes.
        bomb_bytes, bomb_ratio: beyond ``bomb_bytes`` decompressed, only ``bomb_ratio`` times the compressed bytes are believed (real weights
            shrink by two or three, deflate can reach a thousand).
        zip_members: entries of an archive.
        chunk_bytes: one chunk of an HDF5 data set.
        memory_bytes: the most that one tensor may need in memory.

    Example:
        >>> Limits(ndim=8).ndim
        8
    """

    header_bytes: int = 100_000_000
    json_bytes: int = 64_000_000
    n_tensors: int = 10**6
    name_bytes: int = 65536
    ndim: int = 32
    elements: int = 2**48
    pickle_bytes: int = 256_000_000
    pickle_opcodes: int = 5 * 10**7
    pickle_objects: int = 12 * 10**6
    inflate_ratio: int = 1100
    bomb_bytes: int = 256_000_000
    bomb_ratio: int = 100
    zip_members: int = 10**6
    chunk_bytes: int = 512 * 10**6
    memory_bytes: int = field(default_factory=half_of_available_memory)

    def check(self, name: str, value: int, where: str) -> None:
        """Refuse ``value`` if it is above the limit called ``name``; ``where`` says which file or tensor declares it."""
        allowed = getattr(self, name)
        if value > allowed:
            raise LimitExceeded(f"{where}: {value} is above the limit {name} = {allowed}; raise that limit if you trust the file.")

    def check_unfolding(self, stored: int, size: int, where: str) -> None:
        """Refuse ``size`` bytes that are to come out of ``stored`` compressed ones if that is no compression of weights but a bomb."""
        believed = self.inflate_ratio if size <= self.bomb_bytes else min(self.inflate_ratio, self.bomb_ratio)
        if size > believed * max(stored, 1):
            limit = (
                f"inflate_ratio = {self.inflate_ratio}"
                if believed == self.inflate_ratio
                else f"bomb_ratio = {believed} (the inflate_ratio of large members)"
            )
            raise LimitExceeded(f"{where}: {stored} bytes claim to unfold to {size}, above the limit {limit}; do not trust the file.")
        self.check("memory_bytes", size, f"{where}: bytes when unfolded")


def checked_shape(shape: Iterable[Any], limits: Limits, where: str) -> tuple[int, ...]:
    """``shape`` as a tuple of Python ints, each >= 0, within the limits on dimensions and elements.

    Raises:
        CorruptInput: a dimension is not a non-negative integer (``True``, ``1.0`` and ``"4"`` are not).
        LimitExceeded: too many dimensions or elements.

    Example:
        >>> checked_shape([2, 3], Limits(), "w")
        (2, 3)
    """
    sizes = tuple(shape)
    limits.check("ndim", len(sizes), f"{where}: number of dimensions")
    count = 1
    for size in sizes:
        if type(size) is not int or size < 0:
            raise CorruptInput(
                f"{where}: the shape holds {display_name(repr(size), 40)}, not a non-negative integer; the file is damaged, get a fresh copy."
            )
        count *= size
    limits.check("elements", count, f"{where}: number of elements")
    return sizes
