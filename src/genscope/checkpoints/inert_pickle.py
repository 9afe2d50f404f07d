"""A pickle reader that runs nothing: opcodes build plain data, names stay names, calls are recorded and never made.

Iterative, with a whitelist of opcodes, a sparse memo and limits on length, opcodes and memory. A short list of tensor rebuilders is
recognized by name (``rebuild`` maps the name to a function of ours), so nothing that a file says is ever looked up.
"""

import struct
from collections.abc import Callable
from typing import Any

from genscope.checkpoints.inert_machine import InertMachine
from genscope.errors import GenscopeError, LimitExceeded


class InertUnpickler(InertMachine):
    """Reads one pickle from its ``source``."""

    def load(self) -> Any:
        """Run the opcodes up to STOP."""
        start = self.source.position
        next_byte, table, stop = self.source.byte, _OPCODES, 0x2E
        budget = self.limits.pickle_opcodes
        try:
            for _ in range(budget):
                code = next_byte()
                if code == stop:
                    return self._stack.pop()
                action = table[code]
                if action is None:
                    self.fail(f"has an unknown opcode 0x{code:02x}")
                action(self)
        except GenscopeError:
            raise
        except IndexError:
            self.fail("takes more from its stack than is there")
        except (TypeError, ValueError, KeyError, AttributeError, UnicodeDecodeError, OverflowError, struct.error) as error:
            self.fail(f"does not make sense ({type(error).__name__})")
        raise LimitExceeded(
            f"{self.source.where}: the pickle from byte {start} on has more than pickle_opcodes = {budget} opcodes; raise that limit."
        )


def _nothing(_: InertMachine) -> None:
    pass


def _unsigned(length: int) -> Callable[[InertMachine], int]:
    return lambda reader: int.from_bytes(reader.source.take(length), "little")


def _opcodes() -> list[Callable[[InertMachine], Any] | None]:
    """The whitelist: opcode to action, protocols 0 to 5."""
    u1, u4, u8 = _unsigned(1), _unsigned(4), _unsigned(8)
    actions: dict[bytes, Callable[[InertMachine], Any]] = {
        b"\x80": lambda r: r.source.byte() <= 5 or r.fail("has an unknown protocol"),
        b"\x95": lambda r: r.source.take(8) and None,
        b"(": InertMachine.mark,
        b"0": InertMachine.pop,
        b"1": lambda r: r.pop_mark() and None,
        b"2": InertMachine.dup,
        b"N": lambda r: r.push(None),
        b"\x88": lambda r: r.push(True),
        b"\x89": lambda r: r.push(False),
        b"I": InertMachine.decimal,
        b"L": InertMachine.decimal,
        b"F": lambda r: r.push(float(r.source.line(limit=4000))),
        b"G": lambda r: r.push(struct.unpack(">d", r.source.take(8))[0]),
        b"J": lambda r: r.integer(r.source.take(4)),
        b"K": lambda r: r.push(r.source.byte()),
        b"M": lambda r: r.push(int.from_bytes(r.source.take(2), "little")),
        b"\x8a": lambda r: r.long_(u1(r)),
        b"\x8b": lambda r: r.long_(int.from_bytes(r.source.take(4), "little", signed=True)),
        b"S": InertMachine.quoted,
        b"V": lambda r: r.push(r.source.line(limit=1 << 20).decode("raw-unicode-escape")),
        b"T": lambda r: r.push(r.source.take(u4(r)).decode("latin-1")),
        b"U": lambda r: r.push(r.source.take(u1(r)).decode("latin-1")),
        b"X": lambda r: r.text(u4(r)),
        b"\x8c": lambda r: r.text(u1(r)),
        b"\x8d": lambda r: r.text(u8(r)),
        b"B": lambda r: r.push(r.source.take(u4(r))),
        b"C": lambda r: r.push(r.source.take(u1(r))),
        b"\x8e": lambda r: r.push(r.source.take(u8(r))),
        b"\x96": lambda r: r.push(r.source.take(u8(r))),
        b"]": lambda r: r.push([]),
        b")": lambda r: r.push(()),
        b"}": lambda r: r.push({}),
        b"\x8f": lambda r: r.push([]),
        b"l": lambda r: r.push(r.pop_mark()),
        b"t": lambda r: r.push(tuple(r.pop_mark())),
        b"d": InertMachine.dictionary,
        b"\x91": lambda r: r.push(tuple(r.pop_mark())),
        b"\x85": lambda r: r.tuple_(1),
        b"\x86": lambda r: r.tuple_(2),
        b"\x87": lambda r: r.tuple_(3),
        b"a": InertMachine.append_one,
        b"e": lambda r: r.append(r.pop_mark()),
        b"\x90": lambda r: r.append(r.pop_mark()),
        b"s": InertMachine.set_item,
        b"u": lambda r: r.set_items(r.pop_mark()),
        b"p": lambda r: r.put(int(r.source.line(limit=20))),
        b"q": lambda r: r.put(u1(r)),
        b"r": lambda r: r.put(u4(r)),
        b"\x94": InertMachine.memoize,
        b"g": lambda r: r.get(int(r.source.line(limit=20))),
        b"h": lambda r: r.get(u1(r)),
        b"j": lambda r: r.get(u4(r)),
        b"c": InertMachine.global_,
        b"\x93": InertMachine.stack_global,
        b"R": InertMachine.reduce,
        b"\x81": InertMachine.reduce,
        b"\x92": InertMachine.new_object_with_keywords,
        b"o": InertMachine.object_,
        b"i": InertMachine.instance,
        b"b": InertMachine.build,
        b"Q": InertMachine.persistent_,
        b"P": lambda r: r.push(r.persistent(r.source.line().decode("utf-8", "replace"))),
        b"\x98": _nothing,
    }
    actions |= dict.fromkeys((b"\x82", b"\x83", b"\x84", b"\x97"), InertMachine.unsupported)
    return [actions.get(bytes([code])) for code in range(256)]


_OPCODES = _opcodes()
