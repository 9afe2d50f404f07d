"""One door for every source of weights: a path, a name in the local Hugging Face cache, or an object in memory."""

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from genscope.checkpoints.input_file import InputFile
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.paths import open_input, shown
from genscope.checkpoints.sniff import sniff_format
from genscope.checkpoints.table import plain_errors
from genscope.core.tensors import Checkpoint
from genscope.core.text import display_name
from genscope.errors import UsageError

# One line per format: the word that `sniff` gives, the module, the function (path, limits) -> Checkpoint. Loaded when needed.
READERS: Mapping[str, tuple[str, str]] = {
    "safetensors": ("genscope.checkpoints.safetensors", "open_safetensors"),
    "torch_zip": ("genscope.checkpoints.torch_file", "open_torch"),
    "torch_legacy": ("genscope.checkpoints.torch_legacy", "open_torch_legacy"),
    "index": ("genscope.checkpoints.sharded", "open_index"),
    "folder": ("genscope.checkpoints.folder", "open_folder_checkpoint"),
    "numpy": ("genscope.checkpoints.numpy_file", "open_numpy"),
    "hdf5": ("genscope.checkpoints.hdf5", "open_hdf5"),
    "keras": ("genscope.checkpoints.keras_archive", "open_keras"),
    "onnx": ("genscope.checkpoints.onnx_file", "open_onnx"),
    "gguf": ("genscope.checkpoints.gguf_file", "open_gguf"),
    "peft": ("genscope.checkpoints.peft", "open_peft_folder"),
}
_TAKES = {
    "part": ("safetensors", "torch_zip", "torch_legacy", "index", "folder"),
    "allow_missing": ("index", "folder"),
    "verify": ("torch_zip", "index", "folder"),
    "base": ("peft", "folder"),
    "npy_dtype": ("numpy", "folder"),
}


def open_checkpoint(
    source: Any,
    *,
    limits: Limits | None = None,
    allow_missing: bool = False,
    verify: bool = False,
    part: str | None = None,
    base: Any = None,
    npy_dtype: str | None = None,
) -> Checkpoint:
    """Open a checkpoint and list its tensors; no tensor is read, nothing in it is executed, no path outside it is opened.

    Args:
        source: a file or folder (str or Path), ``"org/name"`` or ``"org/name@revision"`` in the local Hugging Face cache, an
            ``nn.Module``, a mapping of tensors (``state_dict``), one array or tensor.
        limits: how much a file may claim.
        allow_missing: leave out missing shards instead of refusing.
        verify: check the stored checksums of a torch archive (reads every byte once).
        part: the top-level key of a torch checkpoint to use instead of the chosen one (``"ema"``).
        base: the base model (path, name or checkpoint) that a PEFT adapter is merged into.
        npy_dtype: the element type of NumPy arrays whose own word was lost (``"bf16"``).

    Returns:
        A :class:`~genscope.core.tensors.Checkpoint`; those of torch and safetensors also have ``held``, the specs of all stored tensors.

    Raises:
        GenscopeError: one sentence that names the file, what is wrong and what to do.

    Example:
        >>> import numpy as np
        >>> open_checkpoint({"fc.weight": np.eye(3, dtype=np.float32)}).specs[0].shape
        (3, 3)
    """
    limits = limits or Limits()
    options = {"allow_missing": allow_missing, "verify": verify, "part": part, "base": base, "npy_dtype": npy_dtype}
    if isinstance(source, bytes):
        source = os.fsdecode(source)
    if isinstance(source, str | os.PathLike):
        return _open_path(os.fspath(source), limits, options)
    from genscope.checkpoints.memory import open_memory

    return open_memory(source, limits, part=part)


def _open_path(text: str, limits: Limits, options: Mapping[str, Any]) -> Checkpoint:
    if not text or "\0" in text:
        raise UsageError("The path of a checkpoint is empty or holds a NUL byte; give a file, a folder or org/name.")
    if not os.path.lexists(text):
        from genscope.checkpoints.hub import resolve_name

        found = resolve_name(text)
        if found is not None:
            checkpoint = call_reader("folder", found, limits, options)
            # The name that was asked for, not the cache's folder.
            checkpoint.source = text
            return checkpoint
    with plain_errors(shown(text)):
        if os.path.isdir(text):
            return call_reader("folder", text, limits, options)
        word = format_of(text)
        # A bare adapter file is known only by the base that is given for it.
        return call_reader("peft" if options["base"] is not None else word, text, limits, options)


def format_of(path: str | os.PathLike[str]) -> str:
    """The key in :data:`READERS` of the file at ``path``, from its first bytes and, where those say nothing, its name.

    Raises:
        GenscopeError: not a regular file, empty, a Git-LFS pointer, a web page, an archive of another kind, or unknown.
    """
    file: InputFile = open_input(path)
    try:
        return sniff_format(file, os.fspath(path))
    finally:
        file.release()


def open_file(path: str | os.PathLike[str], limits: Limits, options: Mapping[str, Any] | None = None) -> Checkpoint:
    """Open one regular file by its format."""
    return call_reader(format_of(path), os.fspath(path), limits, options or {})


def call_reader(word: str, path: str, limits: Limits, options: Mapping[str, Any]) -> Checkpoint:
    """Load the reader called ``word`` and open ``path`` with it; options it does not know are refused."""
    module, function = READERS[word]
    for name, value in options.items():
        if value is not None and value is not False and word not in _TAKES[name]:
            raise UsageError(f"{shown(path)}: the option {name} does not apply to this format ({word}); leave it out.")
    taken = {name: value for name, value in options.items() if value is not None and value is not False}
    try:
        reader: Callable[..., Checkpoint] = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("genscope"):
            raise UsageError(f"{shown(path)}: this build of genscope has no reader for {word} files.") from None
        raise UsageError(f"{shown(path)}: reading {word} files needs {display_name(str(error.name))}; install genscope[formats].") from None
    return reader(Path(path), limits, **taken)
