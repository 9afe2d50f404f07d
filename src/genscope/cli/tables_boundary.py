"""Boundaries and trajectories in the terminal."""

from typing import TYPE_CHECKING

from genscope.cli.columns import Column, fitted_table
from genscope.cli.output import console
from genscope.cli.tables_assess import figure

if TYPE_CHECKING:
    from genscope.core.results import Result

LONGEST = 12


def show_boundary(result: "Result") -> None:
    """The examples nearest to the boundary, and the verdict."""
    screen = console()
    nearest = sorted((row for row in result.rows if row["distance"] is not None), key=lambda row: row["distance"])[:LONGEST]
    columns = [Column(name, "right") for name in ("example", "label", "predicted", "distance", "at least", "exact")]
    cells = [
        [str(row["example"]), str(row["label"]), str(row["predicted"]), figure(row["distance"]), figure(row["lower_bound"]), _yes(row["exact"])]
        for row in nearest
    ]
    screen.print(fitted_table(columns, cells, screen.width))
    if len(nearest) < len(result.rows):
        screen.print(f"The {len(nearest)} examples nearest to the boundary of {len(result.rows)}; --json and --csv print all.")
    if result.summary.get("test_accuracy") is not None:
        screen.print(f"Test accuracy {result.summary['test_accuracy']:.1%}.")
    screen.print(result.summary["verdict"], style="bold")


def show_trajectory(result: "Result") -> None:
    """Some checkpoints with their places, and the verdict."""
    screen = console()
    rows = result.rows[:: max(1, -(-len(result.rows) // (2 * LONGEST)))]
    ranks = {"pc1": 0, "pc2": 0, "tsne1": 1, "tsne2": 1, "off_plane": 2, "step_length": 3}
    columns = [Column("run", "left"), Column("checkpoint", "left"), *(Column(name, "right", rank) for name, rank in ranks.items())]
    cells = [[str(row["run"]), str(row["checkpoint"]), *(figure(row[name]) for name in ranks)] for row in rows]
    screen.print(fitted_table(columns, cells, screen.width))
    if len(rows) < len(result.rows):
        screen.print(f"{len(rows)} of {len(result.rows)} checkpoints are shown; --json and --csv print all.")
    screen.print(result.summary["verdict"], style="bold")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
