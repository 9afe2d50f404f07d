"""The table of ``genscope assess`` for people: measures under headings, whole numbers, each reason once."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genscope.cli.output import console
from genscope.core.text import display_name
from genscope.sources.model_groups import HEADINGS, OTHER

if TYPE_CHECKING:
    from rich.console import Console

    from genscope.core.results import Result

Row = Mapping[str, Any]
GAP = 2
SHORTEST_NAME, LONGEST_NAME, LONGEST_LAYER = 18, 48, 40
MARKS = {"ok": "", "doubtful": "?", "skipped": "–", "failed": "!"}
UNITS = {"1": "", "error rate": "rate", "logit units": "logits", "1/logit units^2": "1/logits²", "nats^2": "nats²", "parameters": ""}
UNITS |= {"logits per input unit": "logits/input"}
_CHAIN = re.compile(r"\s*\([^()]*<-[^()]*\)$")  # "(a <- b <- c)": which ingredient asked; the same lack is one reason
# What a user of the command line can give for a root that is missing.
LACKS = {"initial_params": "needs the weights before training: give --initial FILE", "test_batches": "needs held-out data: give --test-data"}


def figure(value: float | int | None, digits: int = 4) -> str:
    """A number to ``digits`` significant digits that is never cut: thousands in full, powers of ten outside 10⁻³ … 10⁶.

    Example:
        >>> [figure(v) for v in (1003, 0.0115412, 3.4817, 22487.9, 0.0, -2.5e-7, 3.1e9, None)]
        ['1,003', '0.01154', '3.482', '22,488', '0', '-2.500e-7', '3.100e9', '–']
    """
    if value is None:
        return "–"
    if isinstance(value, int) or value == 0:
        return f"{value:,.0f}" if abs(value) < 1e15 else f"{value:.{digits - 1}e}".replace("e+", "e")
    if not 1e-3 <= abs(value) < 1e6:
        mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa}e{int(power)}"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(0, places)}f}"


def show_assessment(result: "Result", *, layers: bool = False) -> None:
    """The verdict, the measures under their headings, then each reason once.

    Args:
        result: what ``assess`` returned.
        layers: one line per layer instead of the smallest and the largest value.
    """
    screen = console()
    reasons = _numbered_reasons(result.rows)
    lines = _lines(result.rows, reasons, layers=layers)
    _print_lines(screen, lines)
    screen.print(result.summary["verdict"], style="bold")
    for (status, reason), (number, names) in reasons.items():
        shown = ", ".join(display_name(name, LONGEST_NAME) for name in names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        screen.print(f"{MARKS.get(status, status)}{number}  {display_name(reason, 300)} ({shown})")


def _numbered_reasons(rows: Sequence[Row]) -> dict[tuple[str, str], tuple[int, list[str]]]:
    """Each (status, reason) once, with its number and the measures it is about."""
    found: dict[tuple[str, str], tuple[int, list[str]]] = {}
    for row in rows:
        if row["status"] != "ok":
            _, names = found.setdefault(_why(row), (len(found) + 1, []))
            if row["measure"] not in names:
                names.append(row["measure"])
    return found


def _why(row: Row) -> tuple[str, str]:
    reason = _CHAIN.sub("", str(row["reason"] or "no reason given"))
    return row["status"], next((words for root, words in LACKS.items() if reason.startswith(f"needs {root!r}")), reason)


def _lines(rows: Sequence[Row], reasons: Mapping[tuple[str, str], tuple[int, list[str]]], *, layers: bool) -> list[tuple[str, ...]]:
    """``(heading,)`` or ``(name, value, interval, mark, unit, expects)``, the rows of one measure together."""
    groups: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        groups.setdefault(str(row.get("group") or OTHER), {}).setdefault(row["measure"], []).append(row)
    lines: list[tuple[str, ...]] = []
    order = list(HEADINGS)
    for heading, measures in sorted(groups.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)):
        lines.append((display_name(heading, LONGEST_NAME),))
        for name, found in measures.items():
            if len(found) == 1 and found[0]["layer"] is None:
                lines.append(_line(display_name(name, LONGEST_NAME), found[0], reasons))
            elif layers:
                lines.append((display_name(name, LONGEST_NAME), "", "", "", *_facts(found[0])))
                lines += [(*_line("  " + display_name(row["layer"] or "", LONGEST_LAYER), row, reasons)[:4], "", "") for row in found]
            else:
                lines.append(_span(display_name(name, LONGEST_NAME), found, reasons))
    return lines


def _line(name: str, row: Row, reasons: Mapping[tuple[str, str], tuple[int, list[str]]]) -> tuple[str, ...]:
    low, high = row["low"], row["high"]
    interval = "" if low is None and high is None else f"≥ {figure(low, 3)}" if high is None else f"{figure(low, 3)} … {figure(high, 3)}"
    return name, figure(row["value"]), interval, _mark([row], reasons), *_facts(row)


def _span(name: str, rows: Sequence[Row], reasons: Mapping[tuple[str, str], tuple[int, list[str]]]) -> tuple[str, ...]:
    """Smallest and largest value over the layers."""
    values = [row["value"] for row in rows if row["value"] is not None]
    if not values:
        return name, "–", _count(rows), _mark(rows, reasons), *_facts(rows[0])
    low, high = figure(min(values), 3), figure(max(values), 3)
    without = "" if len(values) == len(rows) else f", {len(rows) - len(values)} without"
    return name, low if low == high else f"{low} – {high}", _count(rows) + without, _mark(rows, reasons), *_facts(rows[0])


def _count(rows: Sequence[Row]) -> str:
    return f"{len(rows)} layers" if len(rows) != 1 else "1 layer"


def _mark(rows: Sequence[Row], reasons: Mapping[tuple[str, str], tuple[int, list[str]]]) -> str:
    marks = [f"{MARKS.get(row['status'], row['status'])}{reasons[_why(row)][0]}" for row in rows if row["status"] != "ok"]
    unique = list(dict.fromkeys(marks))
    return " ".join(unique[:3]) + (" …" if len(unique) > 3 else "")


def _facts(row: Row) -> tuple[str, str]:
    unit = str(row.get("unit") or "")
    expects = str(row.get("expects") or "")
    return UNITS.get(unit, display_name(unit, 14)), "" if expects == "none" else display_name(expects, 14)


def _print_lines(screen: "Console", lines: Sequence[tuple[str, ...]]) -> None:
    """Right-aligned numbers in columns; at a narrow screen the last columns go, then names are shortened, never a number."""
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    titles = ("", "value", "low … high", "", "unit", "larger means")
    body = [line for line in lines if len(line) > 1]
    widths = [max(map(cell_len, (titles[place], *(line[place] for line in body))), default=0) for place in range(6)]
    widths[0] += 2
    shown = [place for place in range(6) if widths[place]]
    for place in (5, 4):
        least = sum(widths[other] for other in shown if other) + GAP * (len(shown) - 1) + min(widths[0], 2 + 36)
        if place in shown and least > screen.width:
            shown.remove(place)
    widths[0] = max(SHORTEST_NAME, min(widths[0], screen.width - sum(widths[place] + GAP for place in shown if place)))

    def laid(line: tuple[str, ...]) -> str:
        name = "  " + line[0]
        if cell_len(name) > widths[0]:
            name = set_cell_size(name, widths[0] - 1) + "…"
        cells = [set_cell_size(name, widths[0])]
        for place in shown[1:]:
            text = line[place]
            room = " " * (widths[place] - cell_len(text))
            cells.append(room + text if place in (1, 2) else text + room)
        return (" " * GAP).join(cells).rstrip()

    screen.print(Text(laid(titles), style="bold"), soft_wrap=True)
    for line in lines:
        if len(line) == 1:
            screen.print(Text(line[0], style="bold"), soft_wrap=True)
        else:
            screen.print(Text(laid(line)), soft_wrap=True)
    screen.print()
