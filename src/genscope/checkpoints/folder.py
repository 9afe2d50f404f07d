"""A folder with a model in it: which of its files is the checkpoint.

Precedence: a safetensors index, one safetensors file, numbered safetensors shards; the same three of ``pytorch_model.bin``; a consolidated copy;
any other torch file; Keras, HDF5, GGUF, ONNX, NumPy. A PEFT adapter folder goes to its own reader. What lies beside the chosen one is
named, never mixed in.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from genscope.checkpoints import hub, safetensors, sharded, torch_file, torch_legacy
from genscope.checkpoints.input_file import InputFile
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.open import call_reader
from genscope.checkpoints.paths import file_inside, open_error, shown
from genscope.checkpoints.sniff import sniff_format
from genscope.checkpoints.strict_header import strict_json
from genscope.checkpoints.table import TableCheckpoint, TensorTable, plain_errors
from genscope.core.tensors import Checkpoint
from genscope.core.text import display_name
from genscope.errors import GenscopeError, UnsupportedInput, UsageError

_USUAL = ("model", "diffusion_pytorch_model", "pytorch_model", "tf_model", "open_clip_pytorch_model")
_TORCH = (".bin", ".pt", ".pth", ".ckpt", ".th", ".pth.tar", ".pkl")
_TRAINING = ("optimizer", "scheduler", "training_args", "rng_state", "scaler", "trainer_state", "random_states")
_LATER = ((".keras",), (".weights.h5", ".h5", ".hdf5"), (".gguf",), (".onnx",), (".npz",), (".npy",))
_WEIGHTS = (".safetensors", *_TORCH, *(suffix for group in _LATER for suffix in group))


def open_folder_checkpoint(path: str | os.PathLike[str], limits: Limits | None = None, **options: Any) -> Checkpoint:
    """Open the checkpoint in a folder, a Hugging Face model folder or cache snapshot; no tensor is read.

    ``options`` are those of :func:`genscope.checkpoints.open.open_checkpoint`.

    Raises:
        UnsupportedInput: no checkpoint, or several and no rule to choose; the sentence lists what is there.
    """
    limits = limits or Limits()
    root = hub.snapshot_of(os.fspath(path))
    with plain_errors(shown(path)):
        names = _names(root)
        if "adapter_config.json" in names:
            return call_reader("peft", root, limits, options)
        chosen, kind = _choose(names, shown(path), root)
        if kind is None:
            return _other_format(root, chosen, limits, options)
        for name in ("base", "npy_dtype"):
            if options.get(name) is not None:
                raise UsageError(f"{shown(path)}: the option {name} does not apply to {display_name(chosen, 60)}; leave it out.")
        table = _TABLES[kind](root, chosen, limits, bool(options.get("allow_missing")), bool(options.get("verify")))
        table.notes[:0] = _beside([name for name in names if name not in set(table.files)], chosen)
        table.metadata = {**table.metadata, **_configuration(root, names, limits, table.notes)}
        return TableCheckpoint(os.fspath(path), table, limits, part=options.get("part"))


def _names(root: str) -> list[str]:
    try:
        return sorted(os.listdir(root))
    except OSError as error:
        raise open_error(error, shown(root)) from None


def _choose(names: Sequence[str], label: str, root: str) -> tuple[str, str | None]:
    """The chosen file name (or set of shards) and how to read it."""
    for suffix in (".safetensors", ".bin"):
        indexes = [name for name in names if name.endswith(f"{suffix}.index.json")]
        if indexes:
            return _one(indexes, label, "index files"), "index"
        single = [name for name in names if name.endswith(suffix) and not sharded.NUMBERED.match(name) and not _is_aside(name)]
        if suffix == ".bin":
            single = [name for name in single if os.path.splitext(name)[0] in _USUAL]
        shards = sharded.numbered_shards(names, suffix)
        if single and not (shards and all(os.path.splitext(name)[0] not in _USUAL for name in single)):
            return _one(single, label, f"{suffix} files and no index"), "file"
        if shards:
            return suffix, "numbered"
    consolidated = [name for name in names if name.startswith("consolidated") and name.endswith((".safetensors", ".pth", ".pt"))]
    if len(consolidated) > 1:
        raise UnsupportedInput(
            f"{label}: the {len(consolidated)} consolidated parts are slices of tensors, which are not joined here; convert them first."
        )
    torch_files = [name for name in names if name.lower().endswith(_TORCH) and not _is_aside(name) and not sharded.NUMBERED.match(name)]
    for group in (consolidated, torch_files):
        if group:
            return _one(group, label, "torch files"), "file"
    for suffixes in _LATER:
        group = [name for name in names if name.lower().endswith(suffixes)]
        if group:
            return _one(group, label, f"{suffixes[0]} files"), None
    raise UnsupportedInput(f"{label}: the folder holds no checkpoint ({_hint(names, root)}); name a file, or a folder with model.safetensors.")


def _one(names: Sequence[str], label: str, what: str) -> str:
    if len(names) == 1:
        return names[0]
    for stem in _USUAL:
        usual = [name for name in names if name.split(".", 1)[0] == stem and name.count(".") == min(other.count(".") for other in names)]
        if len(usual) == 1:
            return usual[0]
    listed = ", ".join(display_name(name, 60) for name in names[:10]) + (" …" if len(names) > 10 else "")
    raise UnsupportedInput(f"{label}: the folder holds {len(names)} {what}; name one of them: {listed}.")


def _is_aside(name: str) -> bool:
    return name.startswith(("consolidated", *_TRAINING, "adapter_model"))


def _hint(names: Sequence[str], root: str) -> str:
    inside = [name for name in names[:1000] if os.path.isdir(os.path.join(root, name)) and not os.path.islink(os.path.join(root, name))]
    with_weights = [name for name in inside[:50] if any(file.endswith(_WEIGHTS) for file in _names(os.path.join(root, name))[:1000])]
    if with_weights:
        return f"but its sub-folders do: {', '.join(display_name(name, 40) for name in with_weights[:8])}"
    if not names:
        return "it is empty"
    return f"it holds {', '.join(display_name(name, 40) for name in names[:6])}{' …' if len(names) > 6 else ''}"


def _beside(names: Sequence[str], chosen: str) -> list[str]:
    others = [name for name in names if name.endswith(_WEIGHTS) and name != chosen]
    if chosen.endswith(".index.json"):
        suffix = "." + chosen[: -len(".index.json")].rsplit(".", 1)[-1]
        others = [name for name in others if not (name.endswith(suffix) and sharded.NUMBERED.match(name))]
        word = f"The index {display_name(chosen, 60)} was read"
    elif chosen.startswith("."):
        others = [name for name in others if not (name.endswith(chosen) and sharded.NUMBERED.match(name))]
        word = f"The numbered {chosen} shards were read"
    else:
        word = f"{display_name(chosen, 60)} was read"
    if not others:
        return []
    listed = ", ".join(display_name(name, 60) for name in others[:6]) + (f" and {len(others) - 6} more" if len(others) > 6 else "")
    return [f"{word}; other weight files of the folder were not: {listed}."]


def _configuration(root: str, names: Sequence[str], limits: Limits, notes: list[str]) -> Mapping[str, Any]:
    """``config.json`` as plain data under ``config``: facts such as the number of attention heads, nothing that is acted upon here."""
    if "config.json" not in names:
        return {}
    try:
        file = file_inside(root, "config.json")
        limits.check("json_bytes", file.size, "config.json: length")
        document = strict_json(file.pread(0, file.size), "config.json", "the configuration")
        file.release()
    except GenscopeError as error:
        notes.append(f"The configuration was not used: {error}")
        return {}
    return {"config": document} if isinstance(document, dict) else {}


def _index(root: str, chosen: str, limits: Limits, allow_missing: bool, verify: bool) -> TensorTable:
    index = sharded.read_index(file_inside(root, chosen), limits)
    return sharded.read_shards(root, index, limits, allow_missing=allow_missing, verify=verify)


def _numbered(root: str, chosen: str, limits: Limits, allow_missing: bool, verify: bool) -> TensorTable:
    index = sharded.numbered_shards(_names(root), chosen)
    if index is None:
        raise UnsupportedInput(f"{shown(root)}: the numbered {chosen} files belong to no one set; name one of them.")
    return sharded.read_shards(root, index, limits, allow_missing=allow_missing, verify=verify)


def _file(root: str, chosen: str, limits: Limits, _: bool, verify: bool) -> TensorTable:
    file: InputFile = file_inside(root, chosen)
    kind = sniff_format(file, chosen)
    if kind == "safetensors":
        return safetensors.read_table(file, limits)
    if kind == "torch_zip":
        return torch_file.read_table(file, limits, verify=verify)
    if kind == "torch_legacy":
        return torch_legacy.read_table(file, limits)
    raise UnsupportedInput(f"{file.name}: is a {kind} file under a torch or safetensors name; open the file itself.")


_TABLES: Mapping[str, Callable[[str, str, Limits, bool, bool], TensorTable]] = {"index": _index, "numbered": _numbered, "file": _file}


def _other_format(root: str, chosen: str, limits: Limits, options: Mapping[str, Any]) -> Checkpoint:
    file = file_inside(root, chosen)
    try:
        kind = sniff_format(file, chosen)
    finally:
        file.release()
    # The link policy was applied just above; the reader itself takes a path.
    return call_reader(kind, os.path.join(root, chosen), limits, options)
