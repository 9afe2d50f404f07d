"""From the inert value of a torch pickle to a table of tensors, with a word on everything that was left alone."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from genscope.checkpoints.inert_pickle import InertUnpickler
from genscope.checkpoints.inert_values import InertObject
from genscope.checkpoints.limits import Limits, checked_shape
from genscope.checkpoints.module_kinds import kind_and_attributes
from genscope.checkpoints.pickle_bytes import PickleBytes
from genscope.checkpoints.state_dict import Found, Walk
from genscope.checkpoints.table import RawTensor
from genscope.checkpoints.torch_rebuild import REBUILDERS, array_of, is_array
from genscope.checkpoints.torch_storage import StorageBytes, TensorRef, raw_tensor, storage_of
from genscope.core.text import display_name
from genscope.errors import CorruptInput

_ORDINARY = ("torch.", "numpy.", "numpy._core", "collections.", "__torch__.", "copyreg.", "copy_reg.")
_HARMLESS = frozenset(
    {*REBUILDERS, "builtins.object", "builtins.int", "builtins.float", "builtins.str", "builtins.set", "builtins.complex", "builtins.bytearray"}
)
_ALARMING = frozenset(
    [
        "os",
        "posix",
        "nt",
        "sys",
        "subprocess",
        "commands",
        "socket",
        "shutil",
        "pty",
        "ctypes",
        "builtins",
        "__builtin__",
        "importlib",
        "runpy",
        "webbrowser",
        "pickle",
        "pkgutil",
        "operator",
        "code",
        "asyncio",
    ]
)
Pairs = Iterable[tuple[Any, Any]]


def torch_unpickler(source: PickleBytes, limits: Limits) -> InertUnpickler:
    """An inert unpickler that knows torch's tensor rebuilders and storages."""
    return InertUnpickler(source, limits, REBUILDERS, storage_of)


def find_tensors(root: Any, source: StorageBytes, limits: Limits, file_name: str) -> list[Found]:
    """Every tensor and numeric array below ``root``, checked against its storage."""
    owners: dict[int, tuple[InertObject, str]] = {}

    def module_children(value: Any) -> Pairs | None:
        inside = _module_children(value)
        for name, item in inside or ():
            if isinstance(item, TensorRef):
                owners.setdefault(id(item), (value, str(name)))
        return inside

    walk = Walk(lambda value: isinstance(value, TensorRef) or is_array(value), _children, module_children)
    found = walk.flatten(root)
    limits.check("n_tensors", len(found), f"{file_name}: number of tensors")
    made: list[Found] = []
    for item in found:
        where = f"{file_name}, tensor {display_name('.'.join(item.path))!r}" if item.path else f"{file_name}, its only tensor"
        raw = raw_tensor(item.tensor, source, limits, where) if isinstance(item.tensor, TensorRef) else _raw_array(item.tensor, limits, where)
        if id(item.tensor) in owners:
            raw = _with_kind(raw, *owners[id(item.tensor)])
        made.append(Found(item.path or ("weight",), raw, item.optimizer))
    return made


def _with_kind(raw: RawTensor, owner: InertObject, name: str) -> RawTensor:
    """``raw`` with the kind of the pickled layer that holds it."""
    state = _state(owner)
    kind, attributes = kind_and_attributes([owner.class_name.rsplit(".", 1)[-1]], name, len(raw.shape), state.get)
    return dataclasses.replace(raw, kind=kind, attributes=attributes) if kind is not None else raw


def _raw_array(value: InertObject, limits: Limits, where: str) -> RawTensor:
    try:
        array = array_of(value)
    except (ValueError, TypeError, IndexError):
        raise CorruptInput(f"{where}: a NumPy array whose bytes do not fill its shape; the file is damaged, get a fresh copy.") from None
    if isinstance(array, str):
        return RawTensor((), "object", 0, reason=array)
    shape = checked_shape(array.shape, limits, where)
    wide = array.astype(np.float32 if array.dtype == np.float16 else array.dtype.newbyteorder("="), copy=False)
    return RawTensor(shape, array.dtype.newbyteorder("=").name, array.nbytes, lambda: wide)


def _children(value: Any) -> Pairs | None:
    if isinstance(value, dict):
        return _worth_a_look(value.items())
    if isinstance(value, list | tuple):
        return _worth_a_look(enumerate(value))
    if isinstance(value, InertObject):
        inside: list[tuple[Any, Any]] = list(value.members())
        if isinstance(value.args, tuple):
            inside += [(f"args.{index}", item) for index, item in enumerate(value.args)]
        return _worth_a_look(inside)
    return None


def _worth_a_look(pairs: Pairs) -> Pairs:
    # "param_groups" and "state" together tell an optimizer: keep such keys whatever they hold.
    return [
        (key, value) for key, value in pairs if isinstance(value, dict | list | tuple | InertObject | TensorRef) or key in ("state", "param_groups")
    ]


def _module_children(value: Any) -> Pairs | None:
    """Parameters, buffers and sub-modules of a pickled ``nn.Module`` (or attributes of a TorchScript object)."""
    if not isinstance(value, InertObject):
        return None
    state = _state(value)
    if value.class_name.startswith("__torch__."):
        return _worth_a_look(state.items())
    if not isinstance(state.get("_parameters"), dict) or not isinstance(state.get("_modules"), dict):
        return None
    buffers = state.get("_buffers")
    return _worth_a_look([*state["_parameters"].items(), *(buffers.items() if isinstance(buffers, dict) else ()), *state["_modules"].items()])


def _state(value: InertObject) -> Mapping[Any, Any]:
    states = value.state if isinstance(value.state, tuple) else (value.state,)
    return next((item for item in states if isinstance(item, dict)), {})


def plain_facts(root: Any) -> Mapping[str, Any]:
    """The numbers and short texts at the top of a checkpoint (``epoch``, ``best_acc``), for the record."""
    if not isinstance(root, dict):
        return {}
    facts: dict[str, Any] = {}
    for key, value in root.items():
        plain = isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**63) or (isinstance(value, str) and len(value) <= 200)
        if isinstance(key, str) and len(key) <= 80 and plain and len(facts) < 50:
            facts[key] = value
    return facts


def pickle_notes(unpickler: InertUnpickler, root: Any) -> list[str]:
    """Sentences about the names in a pickle: strange ones once each, alarming ones with a warning."""
    notes = []
    if _module_children(root) is not None:
        what = "TorchScript object" if isinstance(root, InertObject) and root.class_name.startswith("__torch__.") else "pickled module"
        notes.append(f"The file holds a whole {what}: its weights were read, its code was not.")
    unknown = [name for name in unpickler.globals if name not in _HARMLESS]
    alarming = [name for name in unknown if name.split(".", 1)[0] in _ALARMING]
    strange = [name for name in unknown if not name.startswith(_ORDINARY) and name not in alarming]
    if alarming:
        notes.append(
            f"The pickle names {_listed(alarming)}, which no ordinary checkpoint does; nothing was run, but do not load this file with torch."
        )
    if strange:
        notes.append(f"Objects of other packages were left as inert names: {_listed(strange)}.")
    return notes


def _listed(names: list[str]) -> str:
    shown = ", ".join(display_name(name, 80) for name in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")
