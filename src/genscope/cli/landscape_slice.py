"""``genscope landscape slice``: the loss along lines through the trained weights."""

from typing import Any

import click

from genscope.cli.landscape_options import landscape_options, run_landscape
from genscope.cli.tables_landscape import show_points


@click.command("slice")
@landscape_options
@click.option("--directions", type=click.IntRange(1), default=5, show_default=True, help="How many random directions.")
@click.option("--normalization", default="filter", show_default=True, help="filter, layer, whole, weight (|w|, as ASAM) or none.")
@click.option("--one-dimensional", "vectors", default="zero", show_default=True, help="Biases and normalization parameters: zero or tensor.")
@click.option("--radius", type=float, default=None, metavar="R", help="Half-width. [default: until the loss rises tenfold on most rays]")
@click.option("--points", type=click.IntRange(3), default=51, show_default=True, help="Points per direction.")
def command(model_text: str, directions: int, normalization: str, vectors: str, radius: float | None, points: int, **given: Any) -> None:
    """Loss, error and margin along lines through the trained weights.

    \b
    genscope landscape slice --model mine:net --weights net.safetensors --data digits
    genscope landscape slice --model mine:net --weights net.safetensors --data digits --directions 20 --out slices
    """
    from genscope.verbs.landscape_slice import landscape_slice

    options: dict[str, Any] = {"directions": directions, "normalization": normalization, "vectors": vectors, "radius": radius, "points": points}
    run_landscape(landscape_slice, "slicing", model_text, given, show_points, **options)
