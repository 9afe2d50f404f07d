"""External data of ONNX tensors: a relative path below the model's folder, opened without following anything that leads out."""

from pathlib import Path

from genscope.checkpoints.input_file import InputFile
from genscope.checkpoints.paths import file_inside
from genscope.core.text import display_name
from genscope.errors import CorruptInput, GenscopeError, UnsafeInput

KEYS = {"location", "offset", "length", "checksum", "basepath"}


class ExternalFiles:
    """The data files of one model, each opened once."""

    def __init__(self, model: InputFile, folder: Path) -> None:
        self._model = model
        self._folder = folder
        self._files: dict[str, InputFile] = {}

    def span(self, keys: dict[str, str], n_bytes: int | None, where: str) -> tuple[InputFile, int, int]:
        """The file and byte range ``[start, end)`` of a tensor that needs ``n_bytes`` (``None``: its type has no fixed size).

        Raises:
            UnsafeInput: an unknown key, or a location that leaves the folder or is the model itself.
            CorruptInput: offset or length impossible.
        """
        for key in keys:
            if key not in KEYS:
                raise UnsafeInput(f"{where}: the external data have the unknown key {display_name(key, 40)!r}; refused.")
        file = self._open(keys.get("location", ""), where)
        start = _number(keys.get("offset", "0") or "0", "offset", where)
        length = _number(keys["length"], "length", where) if keys.get("length") else (n_bytes if n_bytes is not None else max(0, file.size - start))
        if start + length > file.size:
            raise CorruptInput(
                f"{where}: bytes {start} to {start + length} of {file.name} are claimed and it has {file.size}; was it downloaded completely?"
            )
        if n_bytes is not None and length != n_bytes:
            raise CorruptInput(f"{where}: its shape needs {n_bytes} bytes and its external data are {length} long.")
        return file, start, start + length

    def _open(self, location: str, where: str) -> InputFile:
        if location not in self._files:
            try:
                file = file_inside(self._folder, location.removeprefix("./"))
            except GenscopeError as error:
                raise type(error)(f"{where}: its external data in {display_name(location, 80)!r} were not read: {error}") from None
            if file.identity[:2] == self._model.identity[:2]:
                raise UnsafeInput(f"{where}: the external data are said to be in the model file itself; refused.")
            self._files[location] = file
        return self._files[location]

    @property
    def names(self) -> list[str]:
        """Base names of the data files."""
        return [file.name for file in self._files.values()]

    def release(self) -> None:
        """Close all."""
        for file in self._files.values():
            file.release()


def _number(text: str, what: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise CorruptInput(f"{where}: the {what} of its external data is {display_name(text, 40)!r}, not a plain number.")
    return int(text)
