"""The idx format of MNIST and Fashion-MNIST (train-images-idx3-ubyte and its three siblings, plain or gzip)."""

from pathlib import Path

import numpy as np

from genscope.errors import CorruptInput, UnsupportedInput
from genscope.training.datasets.files import find_file, read_bytes
from genscope.training.datasets.labelled import Labelled, Split, labelled_images

UNSIGNED_BYTE = 0x08
LARGEST = 2**29


def parse_idx(raw: bytes, name: str) -> np.ndarray:
    """An array of unsigned bytes from an idx file.

    Args:
        raw: the file's bytes.
        name: for messages.

    Raises:
        CorruptInput: wrong magic number, or a length that its header contradicts.
        UnsupportedInput: an element type other than unsigned byte.

    Example:
        >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]), "labels").tolist()
        [7, 9]
    """
    if len(raw) < 4 or raw[:2] != b"\0\0" or not 1 <= raw[3] <= 4:
        raise CorruptInput(f"{name}: not an idx file (it starts with {raw[:4].hex() or 'nothing'}); give the official MNIST files.")
    if raw[2] != UNSIGNED_BYTE:
        raise UnsupportedInput(f"{name}: idx elements of type 0x{raw[2]:02x}; only unsigned bytes (0x08) are read.")
    header = 4 + 4 * raw[3]
    if len(raw) < header:
        raise CorruptInput(f"{name}: ends inside its header; download it again.")
    shape = tuple(int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3]))
    wanted = 1
    for size in shape:
        wanted *= size
    if len(raw) - header != wanted:
        raise CorruptInput(f"{name}: its header promises {wanted} bytes of shape {shape} but {len(raw) - header} follow; download it again.")
    return np.frombuffer(raw, dtype=np.uint8, offset=header).reshape(shape)


def load_mnist(folder: str | Path) -> Split:
    """Training and test images of a folder in MNIST's format, ``[n, 1, 28, 28]``.

    Raises:
        GenscopeError: a file is missing, damaged or of another shape.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UnsupportedInput(f"{folder.name}: give the folder that holds train-images-idx3-ubyte and train-labels-idx1-ubyte.")
    train = _part(folder, "train")
    if train is None:
        raise UnsupportedInput(f"{folder.name}: no train-images-idx3-ubyte with its labels here; give the folder of the official files.")
    return Split(train, _part(folder, "t10k"))


def _part(folder: Path, prefix: str) -> Labelled | None:
    images = find_file(folder, f"{prefix}-images-idx3-ubyte", f"{prefix}-images.idx3-ubyte")
    labels = find_file(folder, f"{prefix}-labels-idx1-ubyte", f"{prefix}-labels.idx1-ubyte")
    if images is None or labels is None:
        return None
    pixels = parse_idx(read_bytes(images, largest=LARGEST), images.name)
    numbers = parse_idx(read_bytes(labels, largest=LARGEST), labels.name)
    if pixels.ndim != 3 or numbers.ndim != 1:
        raise CorruptInput(f"{images.name}: images have {pixels.ndim} and labels {numbers.ndim} dimensions where 3 and 1 are expected.")
    return labelled_images(pixels[:, None], numbers, 256, images.name)
