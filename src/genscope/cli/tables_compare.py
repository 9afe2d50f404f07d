"""The comparison's table for people."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genscope.cli.columns import Column, fitted_table
from genscope.cli.output import console
from genscope.cli.tables import MARKS, number
from genscope.core.text import display_name

if TYPE_CHECKING:
    from genscope.core.results import Result


def show_comparison(result: "Result") -> None:
    """Alpha before and after, how far each layer moved, what could not be paired, and the ranking if scores were given."""
    screen = console()
    columns = [Column("layer", "left"), Column("view", "left", 5), Column("alpha"), Column("change", "right", 2)]
    columns += [Column("log λmax", "right", 4), Column("change", "right", 3), Column("moved"), Column("overlap", "right", 1), Column("", "left")]
    every = len(result.head["models"]) <= 2 or screen.width >= 70 + 18 * len(result.head["models"])
    rows = []
    for row in result.rows:
        alpha, norm = row.get("alpha", {}), row.get("log_spectral_norm", {})
        rows.append(
            [
                display_name(row["layer"], 60),
                row["view"],
                _journey(alpha, every),
                number(alpha.get("change"), "+.2f"),
                _journey(norm, every),
                number(norm.get("change"), "+.2f"),
                number(_last(row, "relative_change"), ".1%"),
                number(_last(row, "subspace_overlap"), ".2f"),
                _marks(row),
            ]
        )
    screen.print(fitted_table(columns, rows, screen.width))
    if not every:
        screen.print("Shown are the first model and the last; the report and --json have them all.")
    if any(_marks(row) for row in result.rows):
        screen.print("? doubtful fit   – no fit   ! failed, in one model or more (reasons in --json and the report)")
    for entry in result.tail["unmatched"][:20]:
        screen.print(f"unmatched {display_name(entry['layer'], 60)} ({entry['view']}): {entry['reason']}")
    if len(result.tail["unmatched"]) > 20:
        screen.print(f"… and {len(result.tail['unmatched']) - 20} more unmatched layers: see --json")
    screen.print()
    screen.print(result.summary["verdict"], style="bold")
    if "ranking" in result.summary:
        _show_ranking(screen, result)


def _marks(row: Mapping[str, Any]) -> str:
    return "".join(sorted({MARKS.get(status, "") for status in row["statuses"]}))


def _journey(measure: Mapping[str, Any], every: bool) -> str:
    values = list(measure.get("values", []))
    shown = values if every or len(values) <= 2 else [values[0], values[-1]]
    return " → ".join(number(value) for value in shown) or "–"


def _last(row: Mapping[str, Any], name: str) -> Any:
    return row[name]["values"][-1] if name in row else None


def _show_ranking(screen: Any, result: "Result") -> None:
    columns = [Column("measure", "left"), Column("n", "right", 5), Column("Kendall"), Column("95%", "right", 1), Column("p", "right", 2)]
    columns += [Column("Spearman", "right", 4), Column("R²", "right", 3), Column("leave-one-out error", "right", 6)]
    rows = []
    for row in result.summary["ranking"]:
        interval = "–" if row.get("kendall_low") is None else f"{row['kendall_low']:+.2f} to {row['kendall_high']:+.2f}"
        cells = [number(row.get("kendall"), "+.2f"), interval, number(row.get("p_value"), ".3f"), number(row.get("spearman"), "+.2f")]
        rows.append([display_name(row["measure"], 48), str(row["n"]), *cells, number(row.get("r2")), number(row.get("loo_rmse"), ".3g")])
    screen.print()
    screen.print(f"Measures against {display_name(result.summary['target'], 60)}:")
    screen.print(fitted_table(columns, rows, screen.width))
    if result.summary.get("ranking_verdict"):
        screen.print(result.summary["ranking_verdict"], style="bold")
