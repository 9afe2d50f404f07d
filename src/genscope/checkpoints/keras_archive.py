"""Keras 3 archives (``.keras``): only the weights inside are read; the configuration is never parsed, let alone run."""

import os
import tempfile
from pathlib import Path
from typing import IO

from genscope.checkpoints.hdf5 import Hdf5Checkpoint, require_h5py
from genscope.checkpoints.input_file import InputFile
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.paths import open_input, open_regular
from genscope.checkpoints.zip_archive import STORED, Member, data_offset, read_directory
from genscope.checkpoints.zip_stream import unfold
from genscope.core.text import display_name
from genscope.errors import UnsafeInput, UnsupportedInput

WEIGHTS = "model.weights.h5"


def open_keras(path: str | Path, limits: Limits | None = None) -> Hdf5Checkpoint:
    """Open the weights of a ``.keras`` archive: in place when stored, through an unnamed temporary file when deflated.

    ``config.json`` and ``metadata.json`` are not read, so nothing that they name is imported, called or opened.

    Raises:
        UnsafeInput: a member's name leads out of the archive, or a member stands twice.
        CorruptInput, LimitExceeded, UnsupportedInput: damaged, a bomb, or without weights.
    """
    path = Path(path)
    limits = limits or Limits()
    require_h5py(path.name)
    file = open_input(path)
    try:
        member = _weights_member(file, limits)
        if member.method == STORED:
            fd = open_regular(path)
            try:
                return Hdf5Checkpoint(fd, os.fspath(path), limits, start=data_offset(file, member), size=member.size, format_name="keras")
            finally:
                os.close(fd)
        with _unfolded(file, member, limits) as weights:
            return Hdf5Checkpoint(weights.fileno(), os.fspath(path), limits, format_name="keras")
    finally:
        file.release()


def _weights_member(file: InputFile, limits: Limits) -> Member:
    members = read_directory(file, limits)
    for name in members:
        if not name or "\\" in name or name.startswith("/") or ".." in name.split("/"):
            raise UnsafeInput(f"{file.name}: the archive holds a member called {display_name(name)!r}, which leads out of it; refused.")
    if WEIGHTS not in members:
        hint = " (it holds sharded weights, which genscope does not read yet)" if "model.weights.json" in members else ""
        raise UnsupportedInput(f"{file.name}: the archive holds no {WEIGHTS}{hint}; save the model with model.save('….keras').")
    return members[WEIGHTS]


def _unfolded(file: InputFile, member: Member, limits: Limits) -> IO[bytes]:
    limits.check("memory_bytes", member.size, f"{file.name}, member {WEIGHTS}: bytes when unfolded")
    weights = tempfile.TemporaryFile(prefix="genscope-")  # noqa: SIM115 (handed to the caller, who closes it)
    try:
        for piece in unfold(file, member):
            weights.write(piece)
        weights.flush()
    except BaseException:
        weights.close()
        raise
    return weights
