"""``genscope compare``: the same layers of several checkpoints side by side."""

from typing import Any

import click

from genscope.cli.output import check_writable, emit, opening_options, output_options, say, say_notes, take_printing


@click.command("compare")
@click.argument("models", nargs=-1, required=True, metavar="CHECKPOINT CHECKPOINT ...")
@click.option("--scores", default=None, metavar="FILE", help="Table model,accuracy or model,error: rank the measures against it.")
@click.option("--convention", default="genscope", show_default=True, help="genscope, martin2019 or weightwatcher.")
@click.option("--conv", default=None, help="Convolutions as slices (default), reshape or operator.")
@click.option("--pool/--no-pool", default=None, help="Pool the kernel positions of a convolution, or one row each.")
@click.option("--min-rows", type=int, default=None, help="Leave out matrices with a smaller side below this.")
@click.option("--resamples", type=int, default=None, help="Bootstrap and goodness-of-fit resamples per layer; 0 for none. [default: 200]")
@click.option("--include", multiple=True, metavar="PATTERN", help="Only tensors whose name matches (repeatable).")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="No tensor whose name matches (repeatable).")
@click.option("--measure", "measures", multiple=True, metavar="NAME", help="Only these measures (repeatable).")
@click.option("--seed", type=int, default=None, help="Seed of every random draw. [default: 0]")
@click.option("--jobs", "-j", type=click.IntRange(1), default=None, help="Matrices at once. [default: all processors]")
@opening_options
@click.option("--out", default=None, metavar="DIR", help="Save the comparison here (`genscope report DIR` draws it).")
@click.option("--quiet", "-q", is_flag=True, help="No notes.")
@output_options
def command(models: tuple[str, ...], scores: str | None, out: str | None, quiet: bool, **given: Any) -> None:
    """Pair the layers of two or more checkpoints by name: every measure's change, how far the weights moved and in which directions.

    A folder saved by `genscope analyze --out` may stand for a checkpoint (without weight differences).
    """
    from genscope.cli.request import analysis_request
    from genscope.cli.tables_compare import show_comparison
    from genscope.verbs.compare import compare

    printing = take_printing(given, *models, scores)
    check_writable(out)
    result = compare(list(models), scores=scores, **analysis_request(given))
    if not quiet:
        say_notes(result.tail["notes"])
    if out:
        result.save(out)
        say(f"Saved; `genscope report {out}` draws the page.")
    emit(result, **printing, show=show_comparison)
