"""HDF5 and Keras weight files (``.h5``, ``.hdf5``, ``.weights.h5``), parsed by h5py in a child process."""

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genscope.checkpoints.isolate import IsolatedReader
from genscope.checkpoints.keras_kinds import keras_kind, keras_layout
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.listing import ListedCheckpoint
from genscope.checkpoints.low_precision import widen
from genscope.checkpoints.paths import open_regular
from genscope.core.tensors import Skip, TensorSpec
from genscope.core.text import valid_unicode
from genscope.errors import ChangedInput, UnsupportedInput

MAGIC = b"\x89HDF\r\n\x1a\n"
NOT_WEIGHTS = ["optimizer_weights", "optimizer", "metrics", "compile_metrics"]


class Hdf5Checkpoint(ListedCheckpoint):
    """Datasets of one HDF5 file, or of a window ``[start, start + size)`` of a file that holds one."""

    def __init__(self, fd: int, source: str, limits: Limits, *, start: int = 0, size: int | None = None, format_name: str = "hdf5") -> None:
        super().__init__(source, format_name, limits)
        self._window = {"start": start, "size": os.fstat(fd).st_size - start if size is None else size}
        self._reader = IsolatedReader("genscope.checkpoints.hdf5_walk", fd, self.label)
        self._paths: dict[str, str] = {}
        self._print = self._fingerprint()
        try:
            self._list()
        except BaseException:
            self._reader.close()
            raise

    def _list(self) -> None:
        bounds = {name: getattr(self.limits, name) for name in ("n_tensors", "ndim", "elements", "inflate_ratio", "chunk_bytes")}
        listed = self._reader.call("list_datasets", **self._window, limits=bounds, hidden=NOT_WEIGHTS)
        datasets: list[dict[str, Any]] = listed["datasets"]
        names = weight_names([entry["path"] for entry in datasets])
        shapes = {name: tuple(entry["shape"]) for name, entry in zip(names, datasets, strict=True)}
        specs, skips = [], []
        for name, entry in zip(names, datasets, strict=True):
            if "skip" in entry:
                skips.append(Skip(name, entry["skip"]))
                continue
            specs.append(_spec(name, entry, shapes))
            self._paths[name] = entry["path"]
        self.set_specs(specs, skips)
        self.notes = _notes(listed)

    def read(self, name: str) -> np.ndarray:
        """Read one dataset as float32, or float64 where the file holds that."""
        spec = self.spec_of(name)
        item = 2 if spec.dtype == "bfloat16" else int(spec.dtype.removeprefix("float")) // 8
        if self._fingerprint() != self._print:
            raise ChangedInput(f"{self.label}: the file changed while it was being read; run again when nothing writes to it.")
        raw = bytearray(spec.n_elements * item)
        self._reader.read_into(raw, "read_dataset", **self._window, path=self._paths[name], shape=list(spec.shape), item=item)
        return widen(raw, spec.dtype, spec.shape)

    def _fingerprint(self) -> tuple[int, int]:
        status = self._reader.file_status()
        return status.st_size, status.st_mtime_ns

    def close(self) -> None:
        """End the child process."""
        super().close()
        self._reader.close()


def _spec(name: str, entry: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> TensorSpec:
    kind, attributes = keras_kind(name, shapes)
    return TensorSpec(
        name=name,
        shape=shapes[name],
        dtype=entry["dtype"],
        n_bytes=entry["storage"],
        kind=kind,
        layout=keras_layout(name),
        attributes=attributes,
        aliases=tuple(valid_unicode(alias) for alias in entry["aliases"]),
    )


def _notes(listed: Mapping[str, Any]) -> tuple[str, ...]:
    notes = []
    if listed["hidden"]:
        notes.append(f"{listed['hidden']} optimizer and metric variables are not weights and were left out.")
    if listed["soft_links"]:
        notes.append(f"{listed['soft_links']} soft links were not followed (what they point to is listed under its own name).")
    return tuple(notes)


def weight_names(paths: Sequence[str]) -> list[str]:
    """Names as Keras gives them: legacy files repeat the layer (``model_weights/dense/dense/kernel:0`` is ``dense/kernel:0``).

    A name that would stand twice keeps its full path.

    Example:
        >>> weight_names(["model_weights/dense/dense/kernel:0", "layers/dense/vars/0"])
        ['dense/kernel:0', 'layers/dense/vars/0']
    """
    short = [_short_name(path) for path in paths]
    taken: dict[str, int] = {}
    for name in short:
        taken[name] = taken.get(name, 0) + 1
    chosen = [path if taken[name] > 1 else name for path, name in zip(paths, short, strict=True)]
    if len(set(chosen)) < len(chosen):
        chosen = list(paths)
    return [valid_unicode(name) for name in chosen]


def _short_name(path: str) -> str:
    parts = path.removeprefix("model_weights/").split("/")
    if len(parts) >= 3 and parts[0] == parts[1]:
        parts = parts[1:]
    return "/".join(parts)


def require_h5py(label: str) -> None:
    """Refuse with the remedy where h5py is not installed."""
    if importlib.util.find_spec("h5py") is None:
        raise UnsupportedInput(f"{label}: reading HDF5 and Keras files needs h5py; install genscope[keras].")


def open_hdf5(path: str | Path, limits: Limits | None = None) -> Hdf5Checkpoint:
    """Open an HDF5 or Keras weight file; optimizer variables are left out and counted in ``notes``.

    External links, external storage and virtual datasets are refused, soft links are not followed, plug-in filters are not loaded.

    Raises:
        UnsafeInput: the file refers to other files.
        CorruptInput, LimitExceeded: damaged, or promises more than it can hold.
        UnsupportedInput: h5py is not installed.
    """
    path = Path(path)
    require_h5py(path.name)
    fd = open_regular(path)
    try:
        return Hdf5Checkpoint(fd, os.fspath(path), limits or Limits())
    finally:
        os.close(fd)
