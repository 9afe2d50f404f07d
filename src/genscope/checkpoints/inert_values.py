"""What a pickle's objects become: data only. Nothing here can import, call or hold anything that runs."""

from collections.abc import Iterator
from typing import Any


class InertGlobal:
    """A name in a pickle, ``module.name``, never looked up."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    @property
    def full_name(self) -> str:
        """``module.name``."""
        return f"{self.module}.{self.name}"

    def __repr__(self) -> str:
        return f"<global {self.full_name}>"


class InertObject:
    """What would have been the result of a call: the callable, its arguments, and whatever was put into it afterwards."""

    __slots__ = ("args", "elements", "items", "state", "what")

    def __init__(self, what: Any, args: Any) -> None:
        self.what = what
        self.args = args
        self.state: Any = None
        self.elements: list[Any] | None = None
        self.items: dict[Any, Any] | None = None

    @property
    def class_name(self) -> str:
        """Full name of what was called, or ``?``."""
        return self.what.full_name if isinstance(self.what, InertGlobal) else "?"

    def members(self) -> Iterator[tuple[Any, Any]]:
        """What the object holds: its state's entries, its items, its elements."""
        for state in self.state if isinstance(self.state, tuple) else (self.state,):
            if isinstance(state, dict):
                yield from state.items()
        if self.items is not None:
            yield from self.items.items()
        if self.elements is not None:
            yield from enumerate(self.elements)

    def __repr__(self) -> str:
        return f"<object of {self.class_name}>"


class InertMapping(dict[Any, Any]):
    """An ``OrderedDict`` or ``defaultdict``; attributes set on it are kept in ``state``."""

    __slots__ = ("state",)
    state: Any


class PersistentId:
    """A reference to something outside the pickle (a torch storage)."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class OpaqueKey:
    """Stands for a mapping key that is no plain value; equal only to itself."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def plain_key(value: Any) -> Any:
    """``value`` as a key of an inert mapping: text, bytes, numbers and short flat tuples of them stay, all else becomes opaque.

    Deep tuples are never hashed: that recursion has no floor.
    """
    if value is None or isinstance(value, str | int | float | bytes):
        return value
    if type(value) is tuple and len(value) <= 16 and all(item is None or isinstance(item, str | int | float | bytes) for item in value):
        return value
    return OpaqueKey(value)
