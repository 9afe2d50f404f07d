"""``genscope study``: a user's own sweep, measured and ranked."""

from typing import TYPE_CHECKING, Any

import click

from genscope.cli.output import check_writable, emit, output_options, say, say_notes, take_printing
from genscope.cli.run_options import data_folders_of, run_options

if TYPE_CHECKING:
    from genscope.core.results import Result


@click.command("study")
@click.argument("spec", metavar="SPEC.py")
@run_options
@click.option("--table", "table_path", type=click.Path(dir_okay=False), default=None, metavar="FILE", help="Write one row per network as CSV.")
@click.option("--out", default=None, metavar="DIR", help="Keep the ranking here; `genscope report DIR` draws its page.")
@click.option("--dry-run", is_flag=True, help="Show how many networks there are and how many are finished, and stop.")
@output_options
def command(
    spec: str, table_path: str | None, out: str | None, data_dirs: tuple[str, ...], dry_run: bool, no_run: bool, quiet: bool, **given: Any
) -> None:
    """Train and measure every network of the sweep that SPEC.py defines, and tell which measures predict their gap.

    SPEC.py is run; it defines STUDY = genscope.Study(name, grid, ...). The store keeps each network and each measurement, so the same command
    goes on after any interruption.

    \b
    genscope study sweep.py --jobs 2
    genscope study sweep.py --no-run --table networks.csv --html ranking.html
    """
    from genscope.cli.progress import progress_bar
    from genscope.cli.rank import show_ranking
    from genscope.experiments.study import load_study, progress_of, study

    printing = take_printing(given, spec)
    check_writable(out)
    chosen = load_study(spec)
    if dry_run:
        finished, total = progress_of(chosen, given["store"], given["seed"])
        click.echo(f"{chosen.name}: {total} networks, {finished} finished; varied: {', '.join(chosen.varied)}.")
        return
    with progress_bar("networks", quiet=quiet) as progress:
        result = study(chosen, data=data_folders_of(data_dirs), run=not no_run, progress=progress, **given)
    if out is not None:
        result.save(out)
    if table_path is not None:
        _write_table(result, table_path)
    if not quiet:
        say_notes(result.tail["notes"])
    emit(result, **printing, show=show_ranking)


def _write_table(result: "Result", path: str) -> None:
    from genscope.cli.output import write_csv

    write_csv(result.tail["models"], path)
    if path != "-":
        say(f"The table is in {path}.")
