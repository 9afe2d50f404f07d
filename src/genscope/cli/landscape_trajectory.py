"""``genscope landscape trajectory``: checkpoints of a run as points in a plane."""

from typing import Any

import click

from genscope.cli.output import check_writable, emit, output_options, say, say_notes, take_printing
from genscope.cli.tables_boundary import show_trajectory


@click.command("trajectory")
@click.argument("checkpoints", nargs=-1, required=True, metavar="FOLDER|CHECKPOINT ...")
@click.option("--embedding", type=click.Choice(["both", "pca", "tsne"]), default="both", show_default=True, help="What is computed.")
@click.option("--perplexity", type=float, default=30.0, show_default=True, help="Of t-SNE.")
@click.option("--walks", type=click.IntRange(0), default=200, show_default=True, help="Random walks to hold the trajectory against.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of t-SNE and of the walks.")
@click.option("--out", default=None, metavar="DIR", help="Save the result here (`genscope report DIR` draws it).")
@click.option("--quiet", "-q", is_flag=True, help="No progress and no notes.")
@output_options
def command(checkpoints: tuple[str, ...], out: str | None, quiet: bool, **given: Any) -> None:
    """The path of training through parameter space: principal components beside a random walk, and t-SNE.

    Each folder is one run, its checkpoints in the order of the numbers in their names; single files form one run in the order given.

    \b
    genscope landscape trajectory checkpoints/ --html trajectory.html
    genscope landscape trajectory epoch1.pt epoch2.pt epoch3.pt --json
    """
    from genscope.cli.progress import progress_bar
    from genscope.verbs.landscape_trajectory import landscape_trajectory, runs_from_paths

    printing = take_printing(given, *checkpoints)
    check_writable(out)
    with progress_bar("reading", quiet=quiet) as progress:
        result = landscape_trajectory(runs_from_paths(checkpoints), out=out, progress=progress, **given)
    if not quiet:
        say_notes(result.tail["notes"])
    if out and not quiet:
        say(f"Saved; `genscope report {out}` draws the page.")
    emit(result, **printing, show=show_trajectory)
