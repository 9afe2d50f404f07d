"""The comparison's table for people."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genscope.cli.output import console
from genscope.cli.tables import number, plain_table
from genscope.core.text import display_name

if TYPE_CHECKING:
    from genscope.core.results import Result


def show_comparison(result: "Result") -> None:
    """Alpha before and after, how far each layer moved, what could not be paired, and the ranking if scores were given."""
    screen = console()
    table = plain_table(
        ("layer", "left"),
        ("view", "left"),
        ("alpha", "right"),
        ("change", "right"),
        ("log λmax", "right"),
        ("change", "right"),
        ("moved", "right"),
        ("overlap", "right"),
    )
    for row in result.rows:
        alpha, norm = row.get("alpha", {}), row.get("log_spectral_norm", {})
        table.add_row(
            display_name(row["layer"], 60),
            row["view"],
            " → ".join(number(value) for value in alpha.get("values", [])) or "–",
            number(alpha.get("change"), "+.2f"),
            " → ".join(number(value) for value in norm.get("values", [])) or "–",
            number(norm.get("change"), "+.2f"),
            number(_last(row, "relative_change"), ".1%"),
            number(_last(row, "subspace_overlap"), ".2f"),
        )
    screen.print(table)
    for entry in result.tail["unmatched"][:20]:
        screen.print(f"unmatched {display_name(entry['layer'], 60)} ({entry['view']}): {entry['reason']}")
    if len(result.tail["unmatched"]) > 20:
        screen.print(f"… and {len(result.tail['unmatched']) - 20} more unmatched layers: see --json")
    screen.print()
    screen.print(result.summary["verdict"], style="bold")
    if "ranking" in result.summary:
        _show_ranking(screen, result)


def _last(row: Mapping[str, Any], name: str) -> Any:
    return row[name]["values"][-1] if name in row else None


def _show_ranking(screen: Any, result: "Result") -> None:
    table = plain_table(
        ("measure", "left"),
        ("n", "right"),
        ("Kendall", "right"),
        ("95%", "right"),
        ("p", "right"),
        ("Spearman", "right"),
        ("R²", "right"),
        ("leave-one-out error", "right"),
    )
    for row in result.summary["ranking"]:
        interval = "–" if row.get("kendall_low") is None else f"{row['kendall_low']:+.2f} to {row['kendall_high']:+.2f}"
        table.add_row(
            row["measure"],
            str(row["n"]),
            number(row.get("kendall"), "+.2f"),
            interval,
            number(row.get("p_value"), ".3f"),
            number(row.get("spearman"), "+.2f"),
            number(row.get("r2")),
            number(row.get("loo_rmse")),
        )
    screen.print()
    screen.print(f"Measures against {display_name(result.summary['target'], 60)}:")
    screen.print(table)
    if result.summary.get("ranking_verdict"):
        screen.print(result.summary["ranking_verdict"], style="bold")
