"""SVHN's cropped digits: train_32x32.mat and test_32x32.mat (MATLAB 5 files)."""

import io
from pathlib import Path

import numpy as np

from genscope.errors import CorruptInput, UnsupportedInput
from genscope.training.datasets.files import find_file, read_bytes
from genscope.training.datasets.labelled import Labelled, Split, labelled_images


def parse_mat(raw: bytes, name: str) -> Labelled:
    """``X [32, 32, 3, n]`` and ``y [n, 1]`` with labels 1–10 (10 is the digit 0) as images ``[n, 3, 32, 32]`` and labels 0–9.

    Raises:
        UnsupportedInput: not a MATLAB 5 file (version 7.3 is HDF5).
        CorruptInput: the variables are missing or of another shape.
    """
    if not raw.startswith(b"MATLAB 5.0"):
        raise UnsupportedInput(f"{name}: not a MATLAB 5 file; give the official {name.split('.')[0]}.mat (save version 7.3 files with -v6).")
    from scipy.io import loadmat

    try:
        found = loadmat(io.BytesIO(raw), variable_names=["X", "y"], struct_as_record=True, squeeze_me=False)
    except Exception as error:  # whatever the reader meets in damaged bytes
        raise CorruptInput(f"{name}: the MATLAB data are damaged ({type(error).__name__}); download it again.") from None
    pixels, labels = found.get("X"), found.get("y")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[:3] != (32, 32, 3):
        raise CorruptInput(f"{name}: its X is no array [32, 32, 3, n] of bytes; give the cropped-digits file.")
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iuf" or labels.size != pixels.shape[3]:
        raise CorruptInput(f"{name}: its y does not hold one label per image.")
    return labelled_images(pixels.transpose(3, 2, 0, 1), labels.reshape(-1).astype(np.int64) % 10, 10, name)


def load_svhn(folder: str | Path) -> Split:
    """Training and test digits of a folder with the official files."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UnsupportedInput(f"{folder.name}: give the folder that holds train_32x32.mat.")
    paths = [find_file(folder, f"{part}_32x32.mat") for part in ("train", "test")]
    if paths[0] is None:
        raise UnsupportedInput(f"{folder.name}: there is no train_32x32.mat here.")
    train, test = (None if path is None else parse_mat(read_bytes(path), path.name) for path in paths)
    assert train is not None
    return Split(train, test)
