"""CIFAR-10 and CIFAR-100 in their two official formats: binary records, and pickled batches that are read without running anything."""

from pathlib import Path
from typing import Any

import numpy as np

from genscope.checkpoints.inert_pickle import InertUnpickler
from genscope.checkpoints.inert_values import InertObject
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.pickle_bytes import PickleBytes
from genscope.checkpoints.torch_rebuild import REBUILDERS, array_of, is_array
from genscope.errors import CorruptInput, UnsupportedInput
from genscope.training.datasets.files import find_file, read_bytes
from genscope.training.datasets.labelled import Labelled, Split, labelled_images

PIXELS = 3 * 32 * 32
LARGEST = 2**28
_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))


def load_cifar10(folder: str | Path) -> Split:
    """CIFAR-10 from ``cifar-10-batches-bin``, ``cifar-10-batches-py`` or a folder above one of them, ``[n, 3, 32, 32]`` in [0, 1].

    Raises:
        GenscopeError: files are missing or damaged.
    """
    return _load(folder, "CIFAR-10", _BATCHES, ("test_batch",), n_classes=10, label_bytes=1, label_key="labels")


def load_cifar100(folder: str | Path) -> Split:
    """CIFAR-100 with its 100 fine labels, from its binary or pickled files."""
    return _load(folder, "CIFAR-100", ("train",), ("test",), n_classes=100, label_bytes=2, label_key="fine_labels")


def parse_records(raw: bytes, name: str, n_classes: int, label_bytes: int) -> Labelled:
    """Binary records: one or two label bytes (the last one counts), then 3,072 bytes of pixels, channel after channel.

    Raises:
        CorruptInput: the length is no multiple of a record, or a label is out of range.
    """
    size = label_bytes + PIXELS
    if not raw or len(raw) % size:
        raise CorruptInput(f"{name}: {len(raw)} bytes are no whole number of {size}-byte records; download it again.")
    records = np.frombuffer(raw, dtype=np.uint8).reshape(-1, size)
    return labelled_images(records[:, label_bytes:].reshape(-1, 3, 32, 32), records[:, label_bytes - 1].astype(np.int64), n_classes, name)


def parse_pickle(raw: bytes, name: str, n_classes: int, label_key: str) -> Labelled:
    """One pickled batch (a dictionary with ``data`` and labels), read by a machine that builds plain data and runs nothing.

    Raises:
        CorruptInput: it is no such dictionary, or its shapes and labels contradict each other.
    """
    root = InertUnpickler(PickleBytes.of(raw, name), Limits(), REBUILDERS).load()
    if not isinstance(root, dict):
        raise CorruptInput(f"{name}: the pickle holds no dictionary; give an official batch.")
    table = {key.decode("latin-1") if isinstance(key, bytes) else str(key): value for key, value in root.items()}
    data, labels = table.get("data"), table.get(label_key)
    pixels = array_of(data) if isinstance(data, InertObject) and is_array(data) else None
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != PIXELS:
        raise CorruptInput(f"{name}: its `data` is no array [n, {PIXELS}] of bytes; give an official batch.")
    numbers = _integers(labels)
    if numbers is None:
        raise CorruptInput(f"{name}: its `{label_key}` is no list of integers; give an official batch.")
    return labelled_images(pixels.reshape(-1, 3, 32, 32), numbers, n_classes, name)


def _integers(labels: Any) -> np.ndarray | None:
    if is_array(labels):
        labels = array_of(labels)
    if isinstance(labels, np.ndarray):
        return labels.astype(np.int64) if labels.ndim == 1 and labels.dtype.kind in "iu" else None
    if isinstance(labels, list) and all(type(label) is int and abs(label) < 2**31 for label in labels):
        return np.array(labels, dtype=np.int64)
    return None


def _load(
    folder: str | Path, title: str, train: tuple[str, ...], test: tuple[str, ...], *, n_classes: int, label_bytes: int, label_key: str
) -> Split:
    folder = Path(folder)
    if not folder.is_dir():
        raise UnsupportedInput(f"{folder.name}: give the folder of the unpacked {title} archive.")

    def read(stems: tuple[str, ...]) -> Labelled | None:
        parts = []
        for stem in stems:
            path = find_file(folder, f"{stem}.bin", stem)
            if path is None:
                continue
            raw = read_bytes(path, largest=LARGEST)
            binary = path.name.removesuffix(".gz").endswith(".bin")
            parts.append(parse_records(raw, path.name, n_classes, label_bytes) if binary else parse_pickle(raw, path.name, n_classes, label_key))
        return Labelled(np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts])) if parts else None

    found = read(train)
    if found is None:
        raise UnsupportedInput(f"{folder.name}: none of the {title} files ({train[0]}.bin or {train[0]} …) is here.")
    return Split(found, read(test))
