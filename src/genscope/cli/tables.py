"""Tables for people, as wide as the terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genscope.cli.columns import Column, fitted_table
from genscope.cli.output import console
from genscope.core.text import display_name

if TYPE_CHECKING:
    from genscope.core.results import Result

MEANS = (
    ("mean alpha", "alpha"),
    ("alpha-hat", "alpha_weighted"),
    ("log ‖W‖F²", "log_frobenius_norm"),
    ("log λmax", "log_spectral_norm"),
    ("stable rank", "stable_rank"),
)
# heading, rank, format, measure
NUMBERS = (
    ("log λmax", 2, ".2f", "log_spectral_norm"),
    ("p", 13, ".2f", "p_value"),
    ("stable rank", 12, ".1f", "stable_rank"),
    ("alpha-hat", 11, ".2f", "alpha_weighted"),
)
MARKS = {"ok": "", "doubtful": "?", "skipped": "–", "failed": "!"}


def number(value: Any, form: str = ".2f") -> str:
    """A number in a cell; a dash where it does not exist."""
    return "–" if value is None else format(value, form)


def byte_size(n_bytes: float) -> str:
    """Bytes in the largest unit that keeps a digit before the point.

    Example:
        >>> byte_size(1536)
        '1.5 kB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} TB"


def show_analysis(result: "Result") -> None:
    """The analysis table, the summary, the verdict."""
    screen = console()
    chosen = _chosen_measures(result)
    numbers = tuple((name, place, ".4g", name) for place, name in enumerate(chosen)) or NUMBERS
    columns = [Column("layer", "left"), Column("view", "left", 9), Column("shape", "right", 10)]
    columns += [] if chosen else [Column("alpha"), Column("95%", "right", 1), Column("tail", "right", 3)]
    columns += [Column(heading, "right", rank) for heading, rank, _, _ in numbers]
    rows = []
    for row in result.rows:
        interval = f"{number(row.get('alpha_low'), '.1f')}–{number(row.get('alpha_high'), '.1f')}" if row.get("alpha_low") is not None else "–"
        cells = [display_name(row["layer"], 60), _view(row), f"{row['rows']}×{row['cols']}"]
        cells += [] if chosen else [number(row.get("alpha")), interval, str(row.get("n_tail") or "–")]
        cells += [number(row.get(name), form) for _, _, form, name in numbers]
        rows.append([*cells, MARKS.get(row["status"], row["status"])])
    screen.print(fitted_table([*columns, Column("", "left")], rows, screen.width))
    _lines(screen, result)


def _chosen_measures(result: "Result") -> tuple[str, ...]:
    """The measures that were asked for by name, when alpha is not one of them."""
    chosen = tuple(result.head["options"].get("measures") or ())
    return () if "alpha" in chosen else chosen


def _view(row: Mapping[str, Any]) -> str:
    count = row.get("n_matrices", 1)
    return row["view"] if count == 1 else f"{row['view']} ×{count}"


def _matrices(n: int) -> str:
    return f"{n} matrix" if n == 1 else f"{n} matrices"


def _lines(screen: Any, result: "Result") -> None:
    summary = result.summary
    means = "   ".join(f"{label} {number(summary[name])}" for label, name in MEANS if summary.get(name) is not None)
    counts = f"{_matrices(summary['n_matrices'])}, {summary['n_fitted']} fitted, {summary['n_skipped']} tensors without a spectrum"
    screen.print()
    screen.print(f"{display_name(result.head['source'], 80)}: {counts}")
    if means:
        screen.print(means)
    screen.print(summary["verdict"], style="bold")
    why = _reasons(result.rows)
    if why:
        screen.print()
        screen.print("? doubtful fit   – no fit   ! failed")
        for line in why:
            screen.print(line)


def _reasons(rows: Sequence[Mapping[str, Any]], most: int = 8) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        if row["status"] != "ok" and row.get("reason"):
            by_reason.setdefault(f"{MARKS.get(row['status'], '')} {display_name(row['reason'], 200)}", []).append(display_name(row["layer"], 60))
    lines = [f"{reason} ({names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''})" for reason, names in by_reason.items()]
    return lines if len(lines) <= most else [*lines[:most], f"  … {len(lines) - most} more reasons: see --json or --html"]


def show_dry_run(result: "Result") -> None:
    """What would be analyzed, at which cost, and what would be left out."""
    screen = console()
    columns = [Column("layer", "left"), Column("view", "left", 3), Column("shape"), Column("eigenvalues", "right", 1)]
    rows = []
    for row in result.rows:
        cells = [
            display_name(row["layer"], 60),
            _view(row),
            f"{row['rows']}×{row['cols']}",
            str(row["n_eigenvalues"]),
            number(row["predicted_seconds"], ".2g"),
            byte_size(row["predicted_bytes"]),
        ]
        rows.append(cells)
    screen.print(fitted_table([*columns, Column("seconds"), Column("memory")], rows, screen.width))
    for skip in (*(row for row in result.rows if row["reason"]), *result.tail["skipped"]):
        screen.print(f"skip {display_name(skip['layer'], 60)}: {display_name(skip['reason'], 160)}")
    summary = result.summary
    screen.print()
    screen.print(f"{_matrices(summary['n_matrices'])}, {summary['n_skipped']} tensors skipped")
    seconds, memory = summary["predicted_seconds"], byte_size(summary["predicted_bytes"])
    screen.print(f"about {seconds:.2g} s on {summary['jobs']} workers, {memory} for the largest matrix")


def show_description(result: "Result") -> None:
    """Names, shapes, dtypes and sizes."""
    screen = console()
    columns = [Column("tensor", "left"), Column("shape"), Column("dtype", "left"), Column("size")]
    columns += [Column("kind", "left", 1), Column("note", "left", 2)]
    rows = []
    for row in result.rows:
        also = ", ".join(display_name(name, 40) for name in row["aliases"])
        note = f"also {also}" if also else display_name(row["reason"] or "", 120)
        shape = "×".join(map(str, row["shape"])) or "scalar"
        rows.append([display_name(row["name"], 70), shape, row["dtype"], byte_size(row["n_bytes"]), row["kind"] or "–", note])
    screen.print(fitted_table(columns, rows, screen.width))
    for skip in result.tail["skipped"]:
        if not any(skip["layer"] == row["name"] for row in result.rows):
            screen.print(f"skip {display_name(skip['layer'], 60)}: {display_name(skip['reason'], 160)}")
    summary = result.summary
    screen.print()
    counts = f"{summary['n_tensors']} tensors, {summary['n_elements']:,} elements, {byte_size(summary['n_bytes'])}"
    screen.print(f"{display_name(result.head['source'], 80)} ({result.head['format']}): {counts}")


def show_smoothing(result: "Result") -> None:
    """What was kept of each matrix."""
    screen = console()
    columns = [Column("layer", "left"), Column("view", "left", 3), Column("shape", "right", 2), Column("kept"), Column("energy")]
    rows = []
    for row in result.rows:
        kept = "–" if row["rank_kept"] is None else f"{row['rank_kept']} of {row['n_eigenvalues']}"
        size = [f"{row['rows']}×{row['cols']}", kept, number(row["energy"], ".1%"), number(row["n_changed"], "d")]
        rows.append([display_name(row["layer"], 60), _view(row), *size, display_name(row["reason"] or "", 80)])
    screen.print(fitted_table([*columns, Column("entries changed", "right", 1), Column("", "left")], rows, screen.width))
    screen.print(result.summary["verdict"], style="bold")
