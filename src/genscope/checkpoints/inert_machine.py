"""The actions behind a pickle's opcodes: they build plain data, keep names as names and record calls without making them."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from genscope.checkpoints.inert_values import InertGlobal, InertMapping, InertObject, PersistentId, plain_key
from genscope.checkpoints.limits import Limits
from genscope.checkpoints.pickle_bytes import PickleBytes
from genscope.errors import CorruptInput, LimitExceeded, UnsupportedInput

Rebuild = Callable[[tuple[Any, ...]], Any]
_BYTES_PER_OBJECT = 100
_LONGEST_INTEGER = 1 << 16


class InertMachine:
    """The stack, the memo and the actions of a pickle's opcodes.

    Args:
        rebuild: full name to a function of the call's arguments that makes inert data (a tensor reference, a plain dict).
        persistent: makes a value of a persistent id.
    """

    def __init__(
        self, source: PickleBytes, limits: Limits, rebuild: Mapping[str, Rebuild] | None = None, persistent: Callable[[Any], Any] = PersistentId
    ) -> None:
        self.source = source
        self.limits = limits
        self.rebuild = rebuild or {}
        self.persistent = persistent
        self.globals: dict[str, InertGlobal] = {}
        self.called: set[str] = set()
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._made = 0
        self._most_objects = min(limits.pickle_objects, max(limits.memory_bytes // _BYTES_PER_OBJECT, 10_000))

    def fail(self, what: str) -> NoReturn:
        """End with one sentence."""
        raise CorruptInput(f"{self.source.where}: the pickle {what} (near byte {self.source.position}); the file is damaged, get a fresh copy.")

    def push(self, value: Any) -> None:
        """Put a value on the stack, counting the objects made so far against the memory budget."""
        self._count()
        self._stack.append(value)

    def _count(self) -> None:
        self._made += 1
        if self._made > self._most_objects:
            raise LimitExceeded(
                f"{self.source.where}: the pickle makes more than {self._most_objects} objects; raise pickle_objects if you trust it."
            )

    def pop_mark(self) -> list[Any]:
        """Everything since the last mark."""
        items = self._stack
        self._stack = self._marks.pop()
        return items

    def mark(self) -> None:
        """Begin a group."""
        self._count()
        self._marks.append(self._stack)
        self._stack = []

    def pop(self) -> None:
        """Drop the top of the stack, or an empty group."""
        if self._stack:
            self._stack.pop()
        else:
            self.pop_mark()

    def dup(self) -> None:
        """Repeat the top."""
        self._stack.append(self._stack[-1])

    def put(self, index: int) -> None:
        """Remember the top under ``index``."""
        if index < 0:
            self.fail("uses a negative memo index")
        if index not in self._memo and len(self._memo) >= self._most_objects:
            raise LimitExceeded(f"{self.source.where}: the pickle remembers more than {self._most_objects} objects; raise pickle_objects.")
        self._memo[index] = self._stack[-1]

    def memoize(self) -> None:
        """Remember the top under the next index."""
        self.put(len(self._memo))

    def get(self, index: int) -> None:
        """Push what was remembered."""
        if index not in self._memo:
            self.fail(f"refers to memo {index}, which was never set")
        self._stack.append(self._memo[index])

    def integer(self, raw: bytes) -> None:
        """A little-endian signed integer of any reasonable length."""
        self.push(int.from_bytes(raw, "little", signed=True))

    def long_(self, length: int) -> None:
        """An integer of ``length`` bytes."""
        if length < 0:
            self.fail("has an integer of negative length")
        if length > _LONGEST_INTEGER:
            raise LimitExceeded(
                f"{self.source.where}: the pickle holds an integer of {length} bytes, above {_LONGEST_INTEGER}; do not trust the file."
            )
        self.integer(self.source.take(length))

    def decimal(self) -> None:
        """An integer or truth value in decimal text."""
        text = self.source.line(limit=4000).rstrip(b"L")
        self.push({b"00": False, b"01": True}[text] if text in (b"00", b"01") else int(text))

    def text(self, length: int) -> None:
        """UTF-8 text of ``length`` bytes."""
        self.push(self.source.take(length).decode("utf-8", "surrogatepass"))

    def quoted(self) -> None:
        """A text in quotes."""
        text = self.source.line()
        if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
            self.fail("has a text without quotes")
        self.push(text[1:-1].decode("latin-1"))

    def tuple_(self, count: int) -> None:
        """A tuple of the last ``count`` values."""
        if len(self._stack) < count:
            raise IndexError
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        self.push(items)

    def append(self, values: list[Any]) -> None:
        """Append to a list or record it for an object."""
        target = self._stack[-1]
        if type(target) is list:
            target.extend(values)
        elif isinstance(target, InertObject):
            if target.elements is None:
                target.elements = []
            target.elements.extend(values)
        elif not isinstance(target, InertGlobal):
            self.fail("appends to something that is no list")

    def set_items(self, flat: list[Any]) -> None:
        """Set keys and values, alternating."""
        if len(flat) % 2:
            self.fail("has a key without a value")
        target = self._stack[-1]
        if isinstance(target, InertObject):
            if target.items is None:
                target.items = {}
            target = target.items
        if not isinstance(target, dict):
            if isinstance(target, InertGlobal):
                return
            self.fail("sets an item of something that is no mapping")
        for index in range(0, len(flat), 2):
            target[plain_key(flat[index])] = flat[index + 1]

    def append_one(self) -> None:
        """APPEND."""
        self.append([self._stack.pop()])

    def set_item(self) -> None:
        """SETITEM."""
        value = self._stack.pop()
        self.set_items([self._stack.pop(), value])

    def dictionary(self) -> None:
        """A mapping of everything since the mark."""
        flat = self.pop_mark()
        self.push({})
        self.set_items(flat)

    # -- names and calls: recorded, never made

    def name(self, module: Any, name: Any) -> None:
        """A global by its two words."""
        if not isinstance(module, str) or not isinstance(name, str):
            self.fail("names a global by something that is no text")
        full = f"{module}.{name}"
        if len(full) > 4096:
            self.fail("names a global by an endless text")
        if full not in self.globals:
            self.globals[full] = InertGlobal(module, name)
        self._stack.append(self.globals[full])

    def global_(self) -> None:
        """A global named by two lines."""
        module = self.source.line().decode("utf-8", "replace")
        self.name(module, self.source.line().decode("utf-8", "replace"))

    def stack_global(self) -> None:
        """A global named by two texts on the stack."""
        name = self._stack.pop()
        self.name(self._stack.pop(), name)

    def call(self, what: Any, args: Any) -> None:
        """What REDUCE and NEWOBJ would call."""
        if isinstance(what, InertGlobal):
            rebuilder = self.rebuild.get(what.full_name)
            if rebuilder is not None and isinstance(args, tuple):
                self.push(rebuilder(args))
                return
            self.called.add(what.full_name)
        self.push(InertObject(what, args))

    def reduce(self) -> None:
        """A call of the value below the arguments."""
        args = self._stack.pop()
        self.call(self._stack.pop(), args)

    def new_object_with_keywords(self) -> None:
        """A call with keywords."""
        keywords = self._stack.pop()
        args = self._stack.pop()
        self.call(self._stack.pop(), args)
        if isinstance(self._stack[-1], InertObject) and isinstance(keywords, dict):
            self._stack[-1].items = dict(keywords)

    def object_(self) -> None:
        """A call of the first value since the mark."""
        items = self.pop_mark()
        self.call(items[0], tuple(items[1:]))

    def instance(self) -> None:
        """A call of a global named by two lines."""
        self.global_()
        what = self._stack.pop()
        self.call(what, tuple(self.pop_mark()))

    def build(self) -> None:
        """Record a state."""
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, InertObject | InertMapping):
            target.state = state

    def persistent_(self) -> None:
        """A reference to something outside."""
        self.push(self.persistent(self._stack.pop()))

    def unsupported(self) -> None:
        """Refuse."""
        raise UnsupportedInput(
            f"{self.source.where}: the pickle uses out-of-band buffers or extension codes, which stand-alone files do not; save it again."
        )
