"""``genscope approximate``: trees, shallow and deep networks on compositional functions, and how their errors fall with units."""

from typing import TYPE_CHECKING, Any

import click

from genscope.cli.output import check_writable, console, emit, output_options, say_notes, take_printing
from genscope.errors import UsageError

if TYPE_CHECKING:
    from genscope.core.results import Result


def _whole_numbers(_context: click.Context, option: click.Parameter, text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--{option.name}: {text!r} is not a list of whole numbers such as 2,4,8.") from None


@click.command("approximate")
@click.option("--size", default="small", show_default=True, help="smoke (seconds), small (minutes) or full (hours); sets what is not given.")
@click.option("--variables", default=None, callback=_whole_numbers, metavar="2,4,8", help="Numbers of variables, powers of two.")
@click.option("--units", default=None, callback=_whole_numbers, metavar="2,4,8", help="Units per node of the trees; others match their parameters.")
@click.option("--seeds", type=click.IntRange(1), default=None, metavar="N", help="Targets, each fitted by networks of its own.")
@click.option("--architecture", "architectures", multiple=True, metavar="NAME", help="tree, tree_shared, tree_built, shallow, deep (repeatable).")
@click.option("--activation", default=None, help="tanh, relu or relu_squared. [default: tanh]")
@click.option("--smoothness", type=float, default=None, metavar="M", help="Smoothness of the constituents. [default: 2]")
@click.option("--restarts", type=click.IntRange(1), default=None, metavar="N", help="Initial weights per target; the best fit is kept.")
@click.option("--steps", type=click.IntRange(1), default=None, metavar="N", help="Gradient steps of a training.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of every random draw.")
@click.option("--jobs", "-j", type=click.IntRange(1), default=None, help="Trainings at once. [default: all processors]")
@click.option("--out", default=None, metavar="DIR", help="Keep every finished training and the result here; the same command resumes.")
@click.option("--fresh", is_flag=True, help="With --out: start over.")
@click.option("--quiet", "-q", is_flag=True, help="No progress and no notes.")
@output_options
def command(out: str | None, jobs: int | None, architectures: tuple[str, ...], quiet: bool, **given: Any) -> None:
    """See how the error of trees, shallow and generic deep networks falls with their units on functions of functions.

    No data are needed: targets are drawn on binary trees of n variables. Errors and exponents come with intervals over seeds, beside the exact
    numbers of units for polynomials, and with what optimization hides.

    \b
    genscope approximate --size smoke
    genscope approximate --variables 2,4,8 --seeds 5 --out approximation --html approximation.html
    """
    from genscope.cli.progress import progress_bar
    from genscope.sources.reproducibility import usable_cores
    from genscope.verbs.approximate import approximate

    printing = take_printing(given)
    check_writable(out)
    if architectures:
        given["architectures"] = architectures
    with progress_bar("fitting", quiet=quiet) as progress:
        result = approximate(out=out, jobs=jobs or usable_cores(), progress=progress, **given)
    if not quiet:
        say_notes(result.tail["notes"])
    emit(result, **printing, show=show_approximation)


def show_approximation(result: "Result") -> None:
    """Errors by n and architecture, exponents, unit counts, then the verdict."""
    from genscope.cli.columns import Column, fitted_table
    from genscope.cli.tables import number

    screen = console()
    places = sorted({row["matched_to"] for row in result.rows})
    fits = {(row["architecture"], row["variables"]): row for row in result.tail["exponents"]}
    columns = [
        Column("architecture", "left"),
        Column("n"),
        Column("units"),
        Column("parameters", rank=2),
        Column("error, narrow to wide"),
        Column("b"),
    ]
    columns += [Column("95%"), Column("theorem", rank=1)]
    rows = []
    for (architecture, n), fit in fits.items():
        own = sorted((row for row in result.rows if (row["architecture"], row["variables"]) == (architecture, n)), key=lambda row: row["n_units"])
        interval = "–" if fit["low"] is None else f"{fit['low']:+.2f} … {fit['high']:+.2f}"
        ends = [f"{own[0][name]} – {own[-1][name]}" for name in ("n_units", "n_parameters")]
        errors = f"{number(own[0]['error'], '.3g')} → {number(own[-1]['error'], '.3g')}"
        rows.append([architecture, str(n), *ends, errors, number(fit["exponent"], ".2f"), interval, number(fit["theorem"], ".2f")])
    screen.print(fitted_table(columns, rows, screen.width))
    screen.print()
    counts = [Column("n"), Column("degree k"), Column("shallow"), Column("rank", rank=1), Column("tree"), Column("dimension", rank=1)]
    counts.append(Column("shallow, same degree", rank=2))
    keys = ("variables", "degree", "shallow", "monomial_rank", "tree", "tree_dimension", "shallow_composed")
    lines = [["–" if row[key] is None else f"{row[key]:,}" for key in keys] for row in result.tail["unit_counts"]]
    screen.print("Units for polynomials, exactly")
    screen.print(fitted_table(counts, lines, screen.width))
    screen.print()
    screen.print(f"{result.summary['n_networks']} networks, {len(places)} widths; error ≈ c·units^(−b) over {result.head['options']['seeds']} seeds")
    screen.print(result.summary["verdict"], style="bold")
    for line in result.summary["verdict_details"]:
        screen.print(line)
