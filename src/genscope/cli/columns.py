"""Tables that fit the terminal: numbers are never cut; names are shortened, then the least important columns go."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

GAP = 3
SHORTEST_NAME, SHORTEST_TEXT = 18, 8


@dataclass(frozen=True)
class Column:
    """A heading and how its column behaves.

    Args:
        heading: the words above it.
        side: ``left`` for text, which may be shortened; ``right`` for numbers, which may not.
        rank: 0 stays at any width; of the others the highest goes first.
    """

    heading: str
    side: str = "right"
    rank: int = 0


def fitted_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> "Table":
    """A table of ``rows`` in genscope's one style, at most ``width`` cells wide as long as its columns of rank 0 allow it."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table

    natural = [max(map(cell_len, (column.heading, *(row[place] for row in rows)))) for place, column in enumerate(columns)]
    shown = list(range(len(columns)))
    least = [_least(columns, natural, place) for place in shown]
    while _total([least[place] for place in shown]) > width and any(columns[place].rank for place in shown):
        shown.remove(max(shown, key=lambda place: (columns[place].rank, place)))
    widths = {place: natural[place] for place in shown}
    while _total(list(widths.values())) > width:
        widest = max((place for place in shown if widths[place] > least[place]), key=lambda place: widths[place], default=None)
        if widest is None:
            break
        widths[widest] -= 1
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for place in shown:
        table.add_column(
            columns[place].heading,
            justify="left" if columns[place].side == "left" else "right",
            overflow="ellipsis",
            no_wrap=True,
            min_width=widths[place],
            max_width=widths[place] or None,
        )
    for row in rows:
        table.add_row(*(row[place] for place in shown))
    return table


def _least(columns: Sequence[Column], natural: Sequence[int], place: int) -> int:
    if columns[place].side != "left":
        return natural[place]
    return min(natural[place], SHORTEST_TEXT if place else SHORTEST_NAME)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * max(0, len(widths) - 1)
