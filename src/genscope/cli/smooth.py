"""``genscope smooth``: a copy of a checkpoint without noise or without correlation traps."""

from typing import Any

import click

from genscope.cli.output import emit, output_options, say, say_notes, take_printing


@click.command("smooth")
@click.argument("source", metavar="CHECKPOINT")
@click.argument("target", metavar="FILE.safetensors")
@click.option("--keep", default="spikes", show_default=True, help="spikes (above the random bulk), tail (from xmin on), rank, or untrapped.")
@click.option("--rank", type=click.IntRange(1), default=None, help="With --keep rank: singular values kept of each matrix.")
@click.option("--include", multiple=True, metavar="PATTERN", help="Only tensors whose name matches (repeatable); others are copied.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="No tensor whose name matches (repeatable).")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the shuffled twins.")
@click.option("--quiet", "-q", is_flag=True, help="No notes.")
@output_options
def command(source: str, target: str, quiet: bool, **given: Any) -> None:
    """Write a copy of CHECKPOINT with truncated spectra, or with correlation traps removed, to FILE.safetensors.

    Compare the copy's accuracy with the original's: what was cut off did not matter if they agree.
    """
    from genscope.cli.tables import show_smoothing
    from genscope.sources.smoothing import smooth

    printing = take_printing(given, source)
    result = smooth(source, target, **given)
    if not quiet:
        say_notes(result.tail["notes"])
    say(f"The copy is in {target}.")
    emit(result, **printing, show=show_smoothing)
