"""Verdicts and the list of experiments for people."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genscope.cli.columns import Column, fitted_table
from genscope.cli.output import console
from genscope.core.text import display_name

if TYPE_CHECKING:
    from genscope.core.results import Result

STYLES = {
    "HOLDS": "bold green",
    "HOLDS-BUT-NULL-TOO": "bold yellow",
    "FAILS": "bold red",
    "UNTESTABLE-AS-STATED": "bold magenta",
    "INCONCLUSIVE": "bold cyan",
}
MARKS = {True: "passes", False: "fails", None: "undecided"}
MARK_STYLES = {"passes": "green", "fails": "red", "undecided": "cyan"}


def show_verdict(result: "Result", *, first: bool = True) -> None:
    """Claim, checks with null control and the paper's number, verdict, and what it means."""
    from rich.padding import Padding

    screen = console()
    if not first:
        screen.print()
    screen.print(display_name(f"{result.head['id']}  {result.head['source']}", 200), style="bold")
    screen.print(f"Claim: {display_name(result.head['claim'], 1000)}", soft_wrap=False)
    for row in result.rows:
        mark = MARKS[row["passed"]] if row["decides"] else "shown"
        screen.print(f"  {mark:9}", style=MARK_STYLES.get(mark, ""), end="")
        screen.print(display_name(row["statistic"], 300))
        screen.print(Padding(_numbers_of(row), (0, 0, 0, 11)))
    settle = f" ({result.tail['runs_needed']:,} would settle it)" if result.tail["runs_needed"] else ""
    runs = f"{result.tail['n_runs']:,} runs at size {result.head['size']}{settle}"
    screen.print(f"{result.head['verdict']}", style=STYLES[result.head["verdict"]], end="")
    screen.print(f"  {runs}")
    screen.print(display_name(result.tail["meaning"], 4000))
    for departure in result.tail["departures"]:
        screen.print(f"Departs from the paper: {display_name(departure, 400)}")
    for erratum in result.tail["errata"]:
        screen.print(f"Erratum: {display_name(erratum, 600)}")


def show_listing(rows: Sequence[Mapping[str, Any]]) -> None:
    """Every experiment with its cost, state and verdict."""
    screen = console()
    columns = [Column("id", "left"), Column("title", "left"), Column("cost", "left"), Column("runs", "right", 2)]
    table = []
    for row in rows:
        runs = f"{row['n_finished']}/{row['n_cells']}"
        table.append([row["id"], display_name(row["title"], 70), row["cost"], runs, row["verdict"] or row["state"]])
    screen.print(fitted_table([*columns, Column("verdict", "left")], table, screen.width))


def _numbers_of(row: Mapping[str, Any]) -> str:
    """``observed 0.99 (0.97 … 1.01), expected in [0.8, 1.1]; null control 0.92 passes too; the paper has 1.009``."""
    interval = "" if row["low"] is None else f" ({_number(row['low'])} … {_number(row['high'])})"
    parts = [f"observed {_number(row['observed'])}{interval}, expected {row['expected']}"]
    if row["null"] is not None:
        parts.append(f"null control {_number(row['null'])}" + (" passes too" if row["null_passed"] else ""))
    if row["paper"] is not None:
        parts.append(f"the paper has {_number(row['paper'])}")
    return display_name("; ".join(parts), 400)


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.4g}"
