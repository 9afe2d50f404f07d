"""``genscope describe``: names, shapes, dtypes and sizes, without reading a tensor."""

from typing import Any

import click

from genscope.cli.output import emit, opening_options, output_options, say_notes, take_printing


@click.command("describe")
@click.argument("source", metavar="CHECKPOINT")
@opening_options
@click.option("--quiet", "-q", is_flag=True, help="No notes.")
@output_options
def command(source: str, quiet: bool, **given: Any) -> None:
    """List the tensors of CHECKPOINT: names, shapes, dtypes, sizes. Reads no tensor."""
    from genscope.cli.tables import show_description
    from genscope.sources.description import describe

    printing = take_printing(given, source)
    result = describe(source, **given)
    if not quiet:
        say_notes(result.tail["notes"])
    emit(result, **printing, show=show_description)
