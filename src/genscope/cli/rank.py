"""``genscope rank``: which measures of a table of models predict their error."""

from typing import TYPE_CHECKING, Any

import click

from genscope.cli.output import check_writable, console, emit, output_options, say, say_notes, take_printing

if TYPE_CHECKING:
    from genscope.core.results import Result


@click.command("rank")
@click.argument("tables", metavar="TABLE", nargs=-1, required=True)
@click.option("--target", default=None, metavar="COLUMN", help="Error, accuracy or gap to predict. [default: guessed from usual names]")
@click.option("--measure", "measures", multiple=True, metavar="COLUMN", help="Only these measures (repeatable). [default: all numeric columns]")
@click.option("--group", "groups", multiple=True, metavar="COLUMN", help="Architecture, data set …: correlations within and across (repeatable).")
@click.option("--axis", "axes", multiple=True, metavar="COLUMN", help="Hyper-parameter that was varied (repeatable).")
@click.option("--covariate", "covariates", multiple=True, metavar="COLUMN", help="Held fixed in partial correlations. [default: depth, width, size]")
@click.option("--scores", default=None, metavar="FILE", help="CSV of model,accuracy or model,error, joined by model name.")
@click.option("--cluster", default=None, metavar="COLUMN", help="Models with equal values (seeds of one run) are resampled together.")
@click.option("--lower-is-better/--higher-is-better", default=None, help="Direction of the target. [default: by its name]")
@click.option("--test-size", type=click.IntRange(1), default=None, metavar="N", help="Test examples behind each error, for the sign error's weights.")
@click.option("--bootstrap", "n_bootstrap", type=click.IntRange(20, 100_000), default=1000, show_default=True, help="Resamples for the intervals.")
@click.option("--permutations", "n_permutations", type=click.IntRange(20, 1_000_000), default=2000, show_default=True, help="Random orders for p.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of every random draw.")
@click.option("--out", default=None, metavar="DIR", help="Keep the result here; `genscope report DIR` draws its page.")
@click.option("--quiet", "-q", is_flag=True, help="No notes.")
@output_options
def command(tables: tuple[str, ...], groups: tuple[str, ...], test_size: int | None, out: str | None, quiet: bool, **given: Any) -> None:
    """Tell which measures in TABLE predict the models' error, and how sure that is.

    TABLE is a CSV or Parquet file with one row per model, or saved results (folders written by --out, files written by --json) of
    `genscope analyze` or `genscope assess`, with the error of each model from --scores.

    \b
    genscope rank models.csv --target top1_error --group family --axis depth
    genscope rank runs/* --scores accuracies.csv
    """
    from genscope.evaluation.rank import rank

    printing = take_printing(given, *tables, given.get("scores"))
    chosen: dict[str, Any] = {name: given.pop(name) or None for name in ("measures", "axes", "covariates")}
    check_writable(out)
    result = rank(list(tables), group=groups or None, n_test_examples=test_size, **chosen, **given)
    if out is not None:
        result.save(out)
    if not quiet:
        say_notes(result.tail["notes"])
        for line in result.tail["unmatched"]:
            say(f"unmatched: {line}")
    emit(result, **printing, show=show_ranking)


def show_ranking(result: "Result") -> None:
    """The measures from the closest to the farthest, then the verdict."""
    from genscope.cli.columns import Column, fitted_table
    from genscope.cli.tables import MARKS, number
    from genscope.core.text import display_name

    screen = console()
    shown = _columns(result)
    columns = [Column("measure", "left"), *(Column(title, "right", place) for place, (title, _) in enumerate(shown)), Column("", "left")]
    rows = []
    for row in sorted(result.rows, key=lambda row: (row["kendall"] is None, -abs(row["kendall"] or 0.0))):
        interval = "–" if row["kendall_low"] is None else f"{row['kendall_low']:+.2f} … {row['kendall_high']:+.2f}"
        cells = [interval if key == "interval" else number(row[key], form) for _, (key, form) in shown]
        mark = " ".join(part for part in ("baseline" if row["baseline"] else "", MARKS.get(row["status"], row["status"])) if part)
        rows.append([display_name(row["measure"], 48), *cells, mark])
    screen.print(fitted_table(columns, rows, screen.width))
    screen.print()
    screen.print(f"{result.head['n_models']} models against {display_name(result.head['target'], 60)}")
    screen.print(result.summary["verdict"], style="bold")
    doubts = [row for row in result.rows if row["confounding"] and not row["baseline"]]
    for row in doubts[:5]:
        screen.print(f"{display_name(row['measure'], 60)}: {row['confounding']}")
    if len(doubts) > 5:
        screen.print(f"… and {len(doubts) - 5} more measures with a confounder: see --json")
    for reason in list(dict.fromkeys(row["reason"] for row in result.rows if row["status"] != "ok" and row["reason"]))[:3]:
        screen.print(f"? {reason}")


def _columns(result: "Result") -> list[tuple[str, tuple[str, str]]]:
    """Title, key and format of the columns, the most important first."""
    columns = [("τ", ("kendall", "+.2f")), ("95%", ("interval", "")), ("p", ("p_value", ".2g")), ("R²", ("r2", ".2f"))]
    optional = [("ψ", "granulated_kendall"), ("CMI", "cmi"), ("worst sign", "sign_error_worst")]
    optional += [("partial ρ", "partial_spearman"), ("within τ", "within_kendall")]
    found = [(title, (key, ".2f")) for title, key in optional if any(row[key] is not None for row in result.rows)]
    rest = [("n", ("n", "d")), ("RMSE", ("rmse", ".3g")), ("unseen", ("loo_rmse", ".3g")), ("Holm", ("p_adjusted", ".2g"))]
    return columns + found[-1:] + rest + found[:-1]
