"""``--fail-on``: a condition on the table that a build can stop at."""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genscope.cli.output import say
from genscope.errors import UsageError

if TYPE_CHECKING:
    from genscope.core.results import Result

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
}
_SHAPE = re.compile(r"^\s*(summary\.)?([A-Za-z_]\w*)\s*(<=|>=|==|!=|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*$")


@dataclass(frozen=True)
class Gate:
    """``name op number``, on any matrix or, with ``summary.``, on the summary."""

    text: str
    name: str
    holds: Callable[[float, float], bool]
    number: float
    summary_only: bool

    def catches(self, value: Any) -> bool:
        """Whether a value trips the gate; undefined values do not."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.holds(value, self.number)


def parse_gates(texts: Sequence[str]) -> tuple[Gate, ...]:
    """Read ``alpha > 6`` or ``summary.n_failed > 0``.

    Raises:
        UsageError: not of that shape.
    """
    gates = []
    for text in texts:
        found = _SHAPE.match(text)
        if not found:
            raise UsageError(f"--fail-on {text!r} is not a condition like 'alpha > 6' or 'summary.n_failed > 0'.")
        gates.append(Gate(text, found[2], OPERATORS[found[3]], float(found[4]), bool(found[1])))
    return tuple(gates)


def tripped(gates: Sequence[Gate], result: "Result") -> int:
    """Exit code 3 if any gate catches something, with a sentence each; else 0.

    Raises:
        UsageError: a gate names a column that does not exist.
    """
    code = 0
    for gate in gates:
        in_rows = not gate.summary_only and any(gate.name in row for row in result.rows)
        if not in_rows and gate.name not in result.summary:
            if not result.rows and not gate.summary_only:
                continue
            raise UsageError(f"--fail-on {gate.text!r}: there is no column {gate.name!r}.")
        if in_rows:
            caught = [row for row in result.rows if gate.catches(row.get(gate.name))]
            if caught:
                first = caught[0]
                where = first.get("layer", first.get("measure"))
                say(f"gate tripped: {gate.text} holds for {len(caught)} of {len(result.rows)} rows, first {where} ({first[gate.name]:.4g})")
                code = 3
        elif gate.catches(result.summary[gate.name]):
            say(f"gate tripped: {gate.text} holds for the summary ({result.summary[gate.name]:.4g})")
            code = 3
    return code
