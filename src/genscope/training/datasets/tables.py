"""Data in a table of numbers (CSV) or a NumPy archive (npz)."""

import io
import zipfile
from pathlib import Path

import numpy as np

from genscope.core.text import display_name
from genscope.errors import CorruptInput, GenscopeError, LimitExceeded, UnsupportedInput
from genscope.training.datasets.files import LARGEST, read_bytes
from genscope.training.datasets.labelled import Labelled, Split

LABELS = ("y", "label", "labels", "target", "class")
INPUTS = ("x", "X", "inputs", "data", "images")


def load_npz(path: str | Path) -> Split:
    """Arrays ``x`` and ``y`` (or ``x_train y_train x_test y_test``) of an npz file, read without pickle.

    Raises:
        GenscopeError: the file is damaged or has no such arrays.
    """
    path = Path(path)
    arrays = _arrays(path)

    def pair(suffix: str) -> Labelled | None:
        x = next((arrays[name] for name in (f"{word}{suffix}" for word in INPUTS) if name in arrays), None)
        y = next((arrays[name] for name in (f"{word}{suffix}" for word in LABELS) if name in arrays), None)
        return None if x is None or y is None else _checked(x, y, path.name)

    train, test = pair("") or pair("_train"), pair("_test")
    if train is None:
        held = ", ".join(display_name(name, 30) for name in list(arrays)[:6]) or "no arrays"
        raise UnsupportedInput(f"{path.name}: holds {held}; arrays x and y (or x_train, y_train, x_test, y_test) are needed.")
    return Split(train, test)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The numeric arrays of an npz file by name; pickled objects are refused, and so is more than fits into memory."""
    raw = read_bytes(path)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST:
                raise LimitExceeded(f"{path.name}: unpacks to more than {LARGEST} bytes; give a smaller archive.")
        with np.load(io.BytesIO(raw), allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except GenscopeError:
        raise
    except Exception as error:  # whatever damaged bytes make the readers raise
        words = "holds pickled objects" if "allow_pickle" in str(error) else "is no NumPy archive or is damaged"
        raise CorruptInput(f"{path.name}: {words}; save plain arrays with numpy.savez.") from None


def load_csv(path: str | Path) -> Split:
    """A CSV with a header; the column ``y``, ``label``, ``target`` or ``class`` (else the last) holds the labels, all others numbers.

    Raises:
        CorruptInput: a cell is no number, or the rows differ in length.
    """
    import pandas

    path = Path(path)
    try:
        table = pandas.read_csv(io.BytesIO(read_bytes(path)))
    except (ValueError, UnicodeDecodeError) as error:
        raise CorruptInput(f"{path.name}: is no CSV table ({' '.join(str(error).split())[:120]}).") from None
    if table.shape[1] < 2 or not len(table):
        raise CorruptInput(f"{path.name}: needs at least one row, one column of inputs and one of labels.")
    label = next((name for name in table.columns if str(name).lower() in LABELS), table.columns[-1])
    inputs = table.drop(columns=[label])
    wrong = [name for name in inputs.columns if inputs[name].dtype.kind not in "iufb"]
    if wrong:
        raise CorruptInput(f"{path.name}: column {display_name(str(wrong[0]), 40)!r} holds text; inputs must be numbers.")
    labels = table[label]
    codes = labels.to_numpy() if labels.dtype.kind in "iufb" else np.unique(labels.astype(str), return_inverse=True)[1]
    return Split(_checked(inputs.to_numpy(dtype=np.float32), np.asarray(codes), path.name))


def _checked(x: np.ndarray, y: np.ndarray, name: str) -> Labelled:
    y = y.reshape(-1) if y.ndim == 2 and y.shape[1] == 1 else y
    if x.ndim == 0 or y.ndim != 1 or len(x) != len(y) or not len(y):
        raise CorruptInput(f"{name}: inputs of shape {x.shape} and labels of shape {y.shape} do not fit together.")
    if x.dtype.kind not in "fiub" or y.dtype.kind not in "fiub":
        raise CorruptInput(f"{name}: inputs of type {x.dtype} and labels of type {y.dtype}; both must be numbers.")
    if not np.isfinite(y).all() or (y != np.round(y)).any():
        raise CorruptInput(f"{name}: the labels are not all whole numbers; give integer class numbers.")
    if x.dtype == np.uint8 and x.ndim >= 3:
        x = x / np.float32(255.0)  # images
    elif x.dtype.kind in "iu" and x.ndim <= 2:
        x = x.astype(np.int64)  # tokens
    return Labelled(x if x.dtype.kind == "i" else x.astype(np.float32), y.astype(np.int64))
