"""A basin in the terminal: a row per cutoff, the estimators of the volume, the layers, and the verdict."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genscope.cli.columns import Column, fitted_table
from genscope.cli.output import console
from genscope.cli.tables_assess import figure
from genscope.core.text import display_name

if TYPE_CHECKING:
    from genscope.core.results import Result

Row = Mapping[str, Any]


def show_basin(result: "Result") -> None:
    """Radii per cutoff, estimators with n and effective radius beside every volume, layers, and what it comes to."""
    screen = console()
    unit = "filters' norms" if result.head["coordinates"] == "filter_normalized" else "parameters"
    screen.print(f"Radii in {result.head['n_params']:,} dimensions, unit: {unit}; {result.head['n_directions']:,} directions.")
    screen.print(fitted_table(*_cutoffs(result.rows), screen.width))
    screen.print(fitted_table(*_estimators(result.tail["estimators"]), screen.width))
    for number, row in enumerate(_told(result.tail["estimators"]), start=1):
        screen.print(f"{number}  {display_name(row['reason'], 300)}")
    if result.tail["layers"]:
        screen.print(fitted_table(*_layers(result.tail["layers"]), screen.width))
    screen.print(result.summary["verdict"], style="bold")


def _cutoffs(rows: Sequence[Row]) -> tuple[list[Column], list[list[str]]]:
    columns = [Column("edge", "left"), Column("mean ln r"), Column("± SE"), Column("geometric mean r"), Column("95 % of rays", rank=1)]
    columns += [Column("never crossed", rank=2), Column("not star-shaped", rank=3)]
    cells = [
        [
            f"{row['criterion']} {row['cutoff']:g}", figure(row["mean_log_radius"]), figure(row["mean_log_radius_sem"], 2),
            figure(row["geometric_mean_radius"]), f"{figure(row['radius_q025'], 3)} … {figure(row['radius_q975'], 3)}",
            figure(row["n_never_crossed"]), figure(row["n_not_star_shaped"]),
        ]
        for row in rows
    ]  # fmt: skip
    return columns, cells


def _told(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["reason"]]


def _estimators(rows: Sequence[Row]) -> tuple[list[Column], list[list[str]]]:
    columns = [Column("volume", "left"), Column("effective r"), Column("ln V (nats)"), Column("low … high", rank=2), Column("n"), Column("ESS")]
    columns += [Column("largest share", rank=1), Column("", "left")]
    numbers = {id(row): str(place) for place, row in enumerate(_told(rows), start=1)}
    marks = {"ok": "", "doubtful": "?", "skipped": "refused", "failed": "!"}
    cells = []
    for row in rows:
        low, high = row["log_volume_low"], row["log_volume_high"]
        interval = "" if low is None or high is None else f"{figure(low, 5)} … {figure(high, 5)}"
        share = "" if row["largest_weight_share"] is None else f"{row['largest_weight_share']:.1%}"
        mark = f"{marks.get(row['status'], row['status'])} {numbers.get(id(row), '')}".strip()
        cells.append(
            [row["estimator"].replace("_", "-"), figure(row["effective_radius"]), figure(row["log_volume"], 6), interval, figure(row["n_params"]),
             figure(row["ess"], 3), share, mark]
        )  # fmt: skip
    return columns, cells


def _layers(rows: Sequence[Row]) -> tuple[list[Column], list[list[str]]]:
    columns = [Column("layer alone", "left"), Column("mean ln r"), Column("± SE"), Column("geometric mean r"), Column("never crossed", rank=1)]
    cells = [
        [display_name(row["layer"], 40), figure(row["mean_log_radius"]), figure(row["mean_log_radius_sem"], 2), figure(row["geometric_mean_radius"]),
         figure(row["n_never_crossed"])]
        for row in rows
    ]  # fmt: skip
    return columns, cells
