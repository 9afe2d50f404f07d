"""Runs in the isolated child: list the datasets of an HDF5 file and stream their values, following nothing that leaves the file."""

import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5g, h5l, h5o, h5t, h5z

from genscope.checkpoints.isolate_child import PositionedFile
from genscope.errors import ChangedInput, CorruptInput, LimitExceeded, UnsafeInput

BUILT_IN_FILTERS = {h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32, h5z.FILTER_SZIP, h5z.FILTER_NBIT, h5z.FILTER_SCALEOFFSET}
WORDS = {h5t.COMPOUND: "compound", h5t.VLEN: "variable-length", h5t.ENUM: "enumeration or boolean", h5t.STRING: "string", h5t.REFERENCE: "reference"}
PIECE = 32 << 20
MAX_LINKS = 4_000_000

_files: dict[tuple[int, int, int], h5py.File] = {}


def _open(fd: int, start: int, size: int) -> h5py.File:
    key = (fd, start, size)
    if key not in _files:
        stream = PositionedFile(fd, start, size)
        try:
            _files[key] = h5py.File(stream, "r", driver="fileobj", rdcc_nbytes=1 << 20)
        except OSError:
            if os.pread(fd, 8, start) != b"\x89HDF\r\n\x1a\n":
                raise CorruptInput("{file} is not an HDF5 file; was it downloaded completely?") from None
            raise CorruptInput("{file} is damaged: the HDF5 library cannot open it; was it downloaded completely?") from None
    return _files[key]


def list_datasets(fd: int, *, start: int, size: int, limits: dict[str, int], hidden: list[str]) -> dict[str, Any]:
    """Every dataset once, by its first path in breadth-first order; groups named in ``hidden`` are only counted."""
    file = _open(fd, start, size)
    found: list[dict[str, Any]] = []
    counts = {"soft_links": 0, "hidden": 0, "links": 0}
    aliases: dict[int, int] = {}
    seen_groups = {h5o.get_info(file.id).addr}
    # Hidden groups last: an object also reachable from the weights must count as a weight.
    queue, later = deque([("", h5g.open(file.id, b"/"))]), deque[tuple[str, h5g.GroupID]]()
    state = _State(queue, later, found, seen_groups, aliases, counts, limits, size)
    while queue or later:
        is_hidden = not queue
        path, group = (queue or later).popleft()
        for name in _link_names(group, counts, path):
            info = group.links.get_info(name)
            child_path = f"{path}/{name.decode('utf-8', 'surrogateescape')}" if path else name.decode("utf-8", "surrogateescape")
            if info.type == h5l.TYPE_SOFT:
                counts["soft_links"] += 1
                continue
            if info.type != h5l.TYPE_HARD:
                raise UnsafeInput(f"{{file}} holds an external link ({child_path[:120]!r}), which would read another file; refused.")
            _visit(group, name, child_path, is_hidden or child_path in hidden, state)
    return {"datasets": found, **counts}


@dataclass
class _State:
    """What one listing carries along."""

    queue: deque[tuple[str, h5g.GroupID]]
    later: deque[tuple[str, h5g.GroupID]]
    found: list[dict[str, Any]]
    groups: set[int]
    datasets: dict[int, int]
    counts: dict[str, int]
    limits: dict[str, int]
    size: int


def _link_names(group: h5g.GroupID, counts: dict[str, int], path: str) -> list[bytes]:
    n_links = group.get_num_objs()
    counts["links"] += n_links
    if counts["links"] > MAX_LINKS or path.count("/") > 256:
        raise LimitExceeded(f"{{file}} holds more than {MAX_LINKS} links or nests deeper than 256 groups; the file is damaged or hostile.")
    names: list[bytes] = []
    group.links.iterate(names.append)
    return names


def _visit(group: h5g.GroupID, name: bytes, path: str, is_hidden: bool, state: _State) -> None:
    opened = h5o.open(group, name)
    address = h5o.get_info(opened).addr
    if isinstance(opened, h5g.GroupID):
        if address not in state.groups:
            state.groups.add(address)
            (state.later if is_hidden else state.queue).append((path, opened))
        return
    if not isinstance(opened, h5d.DatasetID):
        return
    if address in state.datasets:
        index = state.datasets[address]
        if index >= 0:
            state.found[index]["aliases"].append(path)
        return
    _refuse_outside(opened, path)
    if is_hidden:
        state.datasets[address] = -1
        state.counts["hidden"] += 1
        return
    if len(state.found) >= state.limits["n_tensors"]:
        raise LimitExceeded(f"{{file}} holds more than {state.limits['n_tensors']} datasets; raise the limit on tensors if that is right.")
    state.datasets[address] = len(state.found)
    state.found.append({"path": path, "aliases": [], **_describe(opened, path, state)})


def _refuse_outside(dataset: h5d.DatasetID, path: str) -> None:
    plist = dataset.get_create_plist()
    if plist.get_layout() == h5d.VIRTUAL:
        raise UnsafeInput(f"{{file}}: dataset {path[:120]!r} is virtual, which would read other files; refused.")
    if plist.get_external_count() > 0:
        raise UnsafeInput(f"{{file}}: dataset {path[:120]!r} keeps its values in another file (external storage); refused.")


def _describe(dataset: h5d.DatasetID, path: str, state: _State) -> dict[str, Any]:
    shape = [int(size) for size in dataset.shape] if dataset.shape is not None else None
    if shape is None:
        return {"shape": [], "skip": "empty dataset (no values)"}
    described: dict[str, Any] = {"shape": shape, "storage": int(dataset.get_storage_size())}
    kind = dataset.get_type()
    if kind.get_class() == h5t.FLOAT:
        item = int(kind.get_size())
        described |= {"dtype": f"float{8 * item}", "item": item}
        if item not in (2, 4, 8) or not _is_ieee(kind):
            return described | {"skip": f"unsupported {8 * item}-bit floating-point layout"}
    elif kind.get_class() == h5t.OPAQUE and kind.get_size() == 2 and _says_bfloat16(dataset):
        item = 2
        described |= {"dtype": "bfloat16", "item": item}
    elif kind.get_class() == h5t.INTEGER:
        return described | {"dtype": f"int{8 * kind.get_size()}", "skip": "integer values (no spectrum is defined for them)"}
    else:
        return described | {"skip": f"{WORDS.get(kind.get_class(), 'non-numeric')} values"}
    if len(shape) > state.limits["ndim"]:
        raise LimitExceeded(f"{{file}}: dataset {path[:120]!r} has {len(shape)} dimensions; more than the limit.")
    return described | _check_size(dataset, path, shape, item, state)


def _is_ieee(kind: h5t.TypeFloatID) -> bool:
    try:
        return np.dtype(kind.dtype).kind == "f"
    except TypeError:
        return False


def _says_bfloat16(dataset: h5d.DatasetID) -> bool:
    # Keras 3 stores bfloat16 as two opaque bytes and says so in an attribute.
    word = h5py.Dataset(dataset).attrs.get("dtype")
    return word in ("bfloat16", b"bfloat16")


def _check_size(dataset: h5d.DatasetID, path: str, shape: list[int], item: int, state: _State) -> dict[str, Any]:
    logical = math.prod(shape) * item
    stored = int(dataset.get_storage_size())
    if stored > state.size:
        raise CorruptInput(f"{{file}}: dataset {path[:120]!r} claims {stored} stored bytes in a file of {state.size}.")
    allowed = state.limits["inflate_ratio"] * (stored or state.size)
    if logical > allowed:
        ratio = state.limits["inflate_ratio"]
        raise LimitExceeded(
            f"{{file}}: dataset {path[:120]!r} promises {logical} bytes from {stored} stored ones (more than {ratio} times); do not trust it."
        )
    plist = dataset.get_create_plist()
    if plist.get_layout() == h5d.CHUNKED:
        chunk = math.prod(int(size) for size in plist.get_chunk()) * item
        if chunk > state.limits["chunk_bytes"] and plist.get_nfilters():
            raise LimitExceeded(f"{{file}}: dataset {path[:120]!r} has chunks of {chunk} bytes and the limit is {state.limits['chunk_bytes']}.")
        unknown = [plist.get_filter(i)[0] for i in range(plist.get_nfilters()) if plist.get_filter(i)[0] not in BUILT_IN_FILTERS]
        if unknown:
            return {"skip": f"compressed with HDF5 filter {unknown[0]}, a plug-in that is never loaded"}
    return {}


def read_dataset(fd: int, *, start: int, size: int, path: str, shape: list[int], item: int) -> tuple[dict[str, Any], Iterator[Any]]:
    """Stream one dataset as little-endian floats, in pieces along the first axis."""
    dataset = _open(fd, start, size)[path.encode("utf-8", "surrogateescape")]
    _refuse_outside(dataset.id, path)
    n_bytes = math.prod(shape) * item
    if list(dataset.shape) != shape:
        raise ChangedInput("{file} changed while it was being read.")
    dtype = np.dtype("V2") if dataset.id.get_type().get_class() == h5t.OPAQUE else np.dtype(f"<f{item}")
    pieces = _pieces(dataset, dtype, n_bytes)
    # The first piece is read before the header is sent, so that its failure is still a sentence.
    first = list(itertools.islice(pieces, 1))
    return {"n_bytes": n_bytes}, itertools.chain(first, pieces)


def _pieces(dataset: h5py.Dataset, dtype: np.dtype, n_bytes: int) -> Iterator[Any]:
    if n_bytes == 0:
        return
    if n_bytes <= PIECE or not dataset.shape:
        yield np.ascontiguousarray(dataset[()], dtype=dtype).tobytes()
        return
    row_bytes = n_bytes // dataset.shape[0]
    align = dataset.chunks[0] if dataset.chunks else 1
    rows = max(1, PIECE // row_bytes // align) * align
    for begin in range(0, dataset.shape[0], rows):
        yield np.ascontiguousarray(dataset[begin : begin + rows], dtype=dtype).tobytes()


OPERATIONS: dict[str, Callable[..., Any]] = {"list_datasets": list_datasets, "read_dataset": read_dataset}
