"""Landscapes in the terminal: a small table and a sentence."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genscope.cli.columns import Column, fitted_table
from genscope.cli.output import console
from genscope.cli.tables_assess import figure

if TYPE_CHECKING:
    from genscope.core.results import Result

LONGEST = 24


def show_points(result: "Result") -> None:
    """The points (thinned when there are many), how they were evaluated, and the verdict."""
    screen = console()
    places = [name for name in result.rows[0] if name in ("direction", "t", "x", "y", "arc")]
    rows = _thinned(result.rows)
    columns = [Column(name, "right") for name in places] + [Column("loss", "right"), Column("error", "right"), Column("margin", "right")]
    cells = [[figure(row[name]) for name in places] + [figure(row["loss"]), _percent(row["error"]), figure(row["margin"])] for row in rows]
    screen.print(fitted_table(columns, cells, screen.width))
    if len(rows) < len(result.rows):
        screen.print(f"{len(rows)} of {len(result.rows)} points are shown; --json and --csv print all.")
    screen.print(_evaluation(result.head["evaluation"]))
    screen.print(result.summary["verdict"], style="bold")


def _thinned(rows: Any) -> list[Mapping[str, Any]]:
    step = max(1, -(-len(rows) // LONGEST))
    return list(rows[::step])


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _evaluation(facts: Mapping[str, Any]) -> str:
    policy = "" if facts["bn_policy"] == "none" else f", batch normalization: {facts['bn_policy']}"
    return f"{facts['n_examples']} examples, back-end {facts['backend']}{policy}."
