"""Which of the tensors in a nested object are the model's weights, and what they are called."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from genscope.core.text import display_name
from genscope.errors import UsageError

WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model_states",
    "model_weights",
    "model",
)
# Words that mean the model only when nothing else stands beside them.
WEAK_WRAPPERS = (
    "net",
    "network",
    "module",
    "weights",
    "weight_dict",
    "params",
    "parameters",
)
_OPTIMIZER = re.compile(r"^(optim|opt_state|lr_sched|scheduler|scaler|grad_scaler|amp$|loss_scaler|momentum_buffer)", re.IGNORECASE)
_EMA = re.compile(r"(^|_)(ema|swa|averaged|shadow)(_|$)", re.IGNORECASE)
_EMA_PREFIX = re.compile(r"^((?:model_|net_)?ema(?:_model|_net|_unet)?|swa_model|averaged_model)\.", re.IGNORECASE)
_ANYWHERE = ("_orig_mod.", "_forward_module.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
_DEEPEST = 64

Children = Callable[[Any], Iterable[tuple[Any, Any]] | None]


@dataclass(frozen=True, slots=True)
class Found:
    """One tensor of a nested object: its keys from the root, and whether an optimizer state holds it."""

    path: tuple[str, ...]
    tensor: Any
    optimizer: bool = False


@dataclass(frozen=True)
class Selection:
    """The chosen tensors in order, under their final names, and what to tell the user."""

    names: Sequence[str]
    tensors: Sequence[Any]
    notes: tuple[str, ...] = ()


@dataclass
class Walk:
    """How to look into a kind of object.

    Args:
        is_tensor: whether a value is a leaf to collect.
        children: key and value pairs of a container, or ``None`` for anything else.
        module_children: the same for a module, whose keys join with dots into one name.
    """

    is_tensor: Callable[[Any], bool]
    children: Children
    module_children: Children = lambda _: None
    seen: set[int] = field(default_factory=set)

    def flatten(self, root: Any) -> list[Found]:
        """Every tensor below ``root`` once, in order, without recursion; containers are entered once, to a depth of 64."""
        found: list[Found] = []
        stack: list[tuple[tuple[str, ...], Any, bool, bool]] = [((), root, False, False)]
        while stack:
            path, value, optimizer, in_module = stack.pop()
            if self.is_tensor(value):
                found.append(Found(path, value, optimizer))
                continue
            inside = self.module_children(value)
            is_module = inside is not None
            if inside is None:
                inside = self.children(value)
            if inside is None or id(value) in self.seen or len(path) >= _DEEPEST:
                continue
            self.seen.add(id(value))
            items = [(str(key), item) for key, item in inside if isinstance(key, str | int)]
            keys = {key for key, _ in items}
            optimizer = optimizer or {"state", "param_groups"} <= keys
            for key, item in reversed(items):
                joined = in_module and is_module and bool(path)
                below = (*path[:-1], f"{path[-1]}.{key}") if joined else (*path, key)
                if len(below[-1]) > 1 << 20:
                    continue
                stack.append((below, item, optimizer or (not is_module and bool(_OPTIMIZER.match(key)) and not self.is_tensor(item)), is_module))
        return found


def select(found: Sequence[Found], *, part: str | None = None) -> Selection:
    """Choose the model's own weights among ``found`` and clean their names.

    Optimizer state is set aside; so are EMA twins when the model itself is there, and whatever lies beside a ``state_dict``.
    ``part`` names a top-level key to use instead. Wrapper prefixes (``module.``, ``_orig_mod.``) are removed.

    Raises:
        UsageError: ``part`` is not there.

    Example:
        >>> chosen = select([Found(("state_dict", "module.fc.weight"), 1), Found(("optimizer", "m"), 2, True)])
        >>> list(chosen.names)
        ['fc.weight']
    """
    notes: list[str] = []
    kept = [item for item in found if not item.optimizer]
    if len(kept) < len(found):
        notes.append(f"{len(found) - len(kept)} optimizer tensors were counted and are not analyzed.")
    if part is not None:
        inside = [Found(item.path[1:], item.tensor) for item in found if item.path[0] == part and len(item.path) > 1]
        if not inside:
            groups = sorted({item.path[0] for item in found if len(item.path) > 1})
            raise UsageError(f"There is no part {part!r} in the checkpoint; it has: {_listed(groups) or 'no parts'}.")
        notes = [f"The weights were taken from {_quoted(part)}, as asked."]
        kept = inside
    kept = _unwrap(kept, notes)
    kept = _without_flat_twins(kept, notes)
    names = clean_names([".".join(item.path) for item in kept], notes)
    return Selection(names, [item.tensor for item in kept], tuple(notes))


def _unwrap(kept: list[Found], notes: list[str]) -> list[Found]:
    trail: list[str] = []
    while True:
        groups: dict[str, int] = {}
        for item in kept:
            if len(item.path) > 1:
                groups[item.path[0]] = groups.get(item.path[0], 0) + 1
        averaged = [key for key in groups if _EMA.search(key)]
        if averaged and len(averaged) == len(groups) and all(len(item.path) > 1 for item in kept):
            chosen: str | None = averaged[0]
        else:
            rest = set(groups) - set(averaged)
            chosen = next((key for key in WRAPPERS if key in groups), None) or next((key for key in WEAK_WRAPPERS if rest == {key}), None)
        aside = {key: count for key, count in groups.items() if key != chosen and (chosen is not None or key in averaged)}
        for key, count in aside.items():
            what = "an averaged (EMA) twin" if key in averaged else "beside the model"
            notes.append(f"{count} tensors under {_quoted('.'.join([*trail, key]))} ({what}) were counted and are not analyzed.")
        kept = [item for item in kept if len(item.path) == 1 or item.path[0] not in aside]
        if chosen is None:
            break
        direct = sum(len(item.path) == 1 for item in kept)
        if direct:
            notes.append(f"{direct} tensors beside {_quoted('.'.join([*trail, chosen]))} were counted and are not analyzed.")
        kept = [Found(item.path[1:], item.tensor) for item in kept if len(item.path) > 1]
        trail.append(chosen)
    if trail:
        notes.insert(0, f"The weights were taken from {_quoted('.'.join(trail))}.")
    return kept


def _without_flat_twins(kept: list[Found], notes: list[str]) -> list[Found]:
    twins = [item for item in kept if _EMA_PREFIX.match(item.path[0])]
    if not twins or len(twins) == len(kept):
        return kept
    prefix = _EMA_PREFIX.match(twins[0].path[0])
    notes.append(
        f"{len(twins)} tensors under {_quoted(prefix.group(1) if prefix else 'ema')} (an averaged (EMA) twin) were counted and are not analyzed."
    )
    return [item for item in kept if not _EMA_PREFIX.match(item.path[0])]


def clean_names(names: Sequence[str], notes: list[str] | None = None) -> list[str]:
    """``names`` without the prefixes that wrappers add; left alone where two names would become one.

    Example:
        >>> clean_names(["module.a.weight", "module._orig_mod.b.weight"])
        ['a.weight', 'b.weight']
    """
    cleaned = list(names)
    removed: list[str] = []
    for wrapper in _ANYWHERE:
        if any(wrapper in name for name in cleaned):
            cleaned = [name.replace(wrapper, "") for name in cleaned]
            removed.append(wrapper)
    while cleaned and all(name.startswith("module.") and len(name) > 7 for name in cleaned):
        cleaned = [name[7:] for name in cleaned]
        if "module." not in removed:
            removed.append("module.")
    if not removed or len(set(cleaned)) < len(set(names)):
        return list(names)
    if notes is not None:
        notes.append(f"The wrapper prefix {' and '.join(_quoted(prefix) for prefix in removed)} was removed from the names.")
    return cleaned


def _quoted(text: str) -> str:
    return f"'{display_name(text, 60)}'"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(_quoted(name) for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
