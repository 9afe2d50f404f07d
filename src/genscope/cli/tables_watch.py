"""The state of a run for people: alarms, then one line per number with its course, then the layers."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genscope.cli.columns import Column, fitted_table
from genscope.cli.output import console
from genscope.cli.tables_assess import figure
from genscope.core.text import display_name
from genscope.sources.run_series import sparkline

if TYPE_CHECKING:
    from rich.console import Console

    from genscope.core.results import Result

Row = Mapping[str, Any]
MAIN = (
    "loss", "normalized_loss", "error", "margin_q05", "margin_median", "normalized_margin_q05", "normalized_margin_median",
    "log_rho", "rho_growth", "gradient_norm", "alignment", "learning_rate", "effective_learning_rate",
)  # fmt: skip
SMALL = ("margin_min", "margin_q25", "normalized_margin_min", "normalized_margin_q25", "log_scale")
OF_LAYERS = ("rho", "rho_growth", "alignment", "effective_learning_rate", "alpha", "log_spectral_norm", "stable_rank")
WORDS = {"batch": "batches", None: "", "train": "train", "validation": "validation"}


def show_run(result: "Result", *, layers: bool = False, screen: "Console | None" = None) -> None:
    """Alarms, the table of the whole network, the table of its layers, and the verdict.

    Args:
        result: what ``sources.run_folder.result_of`` returned.
        layers: all numbers of the whole network too, not only the main ones.
        screen: where to; default standard output.
    """
    screen = screen or console()
    _show_alarms(screen, result)
    whole = [row for row in result.rows if row["layer"] is None and (layers or row["measure"] not in SMALL)]
    whole.sort(key=lambda row: MAIN.index(row["measure"]) if row["measure"] in MAIN else len(MAIN))
    columns = [
        Column("measure", "left"),
        Column("on", "left"),
        Column("first", "right", 2),
        Column("best", "right", 3),
        Column("at step", "right", 4),
    ]
    columns += [Column("now"), Column("course", "left", 1)]
    lines = [
        [
            display_name(row["measure"], 40),
            WORDS.get(row["split"], ""),
            _figure(row, row["first"]),
            _figure(row, row["best"]) if row["best"] is not None else "",
            f"{row['best_step']:,}" if row["best"] is not None else "",
            _figure(row, row["value"]),
            sparkline(_course(result, row), 16),
        ]
        for row in whole
    ]
    if lines:
        screen.print(fitted_table(columns, lines, screen.width))
    _show_layers(screen, result.rows)
    screen.print()
    screen.print(result.summary["verdict"], style="bold")


def show_runs(result: "Result") -> None:
    """Two runs side by side: the last value of each and the difference, best values for losses and margins."""
    screen = console()
    _show_alarms(screen, result)
    names = [display_name(name, 24) for name in result.head["models"]]
    columns = [Column("measure", "left"), Column("on", "left"), *(Column(name) for name in names), Column("change"), Column("best", "right", 1)]
    rows = [row for row in result.rows if row["layer"] is None and row["measure"] not in SMALL]
    rows.sort(key=lambda row: MAIN.index(row["measure"]) if row["measure"] in MAIN else len(MAIN))
    lines = [
        [
            display_name(row["measure"], 40),
            WORDS.get(row["split"], ""),
            *(_figure(row, value) for value in row["values"]),
            figure(row["change"]),
            " / ".join(_figure(row, value) for value in row["best"]) if any(value is not None for value in row["best"]) else "",
        ]
        for row in rows
    ]
    screen.print(fitted_table(columns, lines, screen.width))
    for name, summary in zip(names, result.summary["models"], strict=True):
        screen.print(f"{name}: {summary['verdict']}")
    screen.print(result.summary["verdict"], style="bold")


def follow_run(read: Callable[[], "Result"], every: float, *, layers: bool = False) -> None:
    """Show the run again and again until it has ended.

    Args:
        read: gives the run as it stands.
        every: seconds between two looks.
        layers: as in :func:`show_run`.
    """
    screen = console()
    with contextlib.suppress(KeyboardInterrupt):  # the run goes on, only the looking ends
        while True:
            result = read()
            if screen.is_terminal:
                screen.clear()
            show_run(result, layers=layers, screen=screen)
            if result.head["state"] not in ("running", "silent"):
                return
            time.sleep(every)


def _show_alarms(screen: "Console", result: "Result") -> None:
    for alarm in result.tail["alarms"]:
        run = f"{display_name(alarm['run'], 24)}: " if "run" in alarm else ""
        screen.print(f"! {run}{alarm['sentence']}", style="bold red")
    if result.tail["alarms"]:
        screen.print()


def _show_layers(screen: "Console", rows: Sequence[Row]) -> None:
    held: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["layer"] is not None and row["measure"] in OF_LAYERS:
            held.setdefault(row["layer"], {})[row["measure"]] = row["value"]
    names = [name for name in OF_LAYERS if any(name in values for values in held.values())]
    if names:
        columns = [Column("layer", "left"), *(Column(name, "right", index) for index, name in enumerate(names))]
        screen.print()
        lines = [[display_name(layer, 40), *(figure(values.get(name)) for name in names)] for layer, values in held.items()]
        screen.print(fitted_table(columns, lines, screen.width))


def _figure(row: Row, value: float | None) -> str:
    """Normalized losses lie close to ln C: they differ in later digits."""
    return figure(value, 7 if row["measure"] == "normalized_loss" else 4)


def _course(result: "Result", row: Row) -> Sequence[float]:
    """The values of a row's series, from the curves."""
    words = {"batch": "training batches", "train": "training", "validation": "validation"}
    series = result.curves.get(row["measure"], {})
    curve = series.get(words.get(row["split"], row["measure"])) or {}
    return [value for value in curve.get("y", ()) if value is not None]
