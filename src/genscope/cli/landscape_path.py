"""``genscope landscape path``: the loss on the way from one trained network to another."""

from typing import Any

import click

from genscope.cli.landscape_options import landscape_options, run_landscape
from genscope.cli.tables_landscape import show_points


@click.command("path")
@landscape_options
@click.option("--to", "end", required=True, metavar="FILE", help="Checkpoint of the network at the other end.")
@click.option("--curve", default="linear", show_default=True, help="linear, or bezier (a curve trained to keep the loss low).")
@click.option("--points", type=click.IntRange(3), default=25, show_default=True, help="Points along the path.")
@click.option("--beyond", type=float, default=0.0, show_default=True, help="How far to go on past both ends, as a share of the way.")
@click.option("--steps", type=click.IntRange(1), default=300, show_default=True, help="Gradient steps that train the curve.")
@click.option("--learning-rate", type=float, default=0.01, show_default=True, help="Of the curve's training (Adam).")
def command(model_text: str, **given: Any) -> None:
    """Loss, error and margin on a path between two trained networks, and its barrier.

    \b
    genscope landscape path --model mine:net --weights a.pt --to b.pt --data digits
    genscope landscape path --model mine:net --weights a.pt --to b.pt --data digits --curve bezier
    """
    from genscope.verbs.landscape_path import landscape_path

    options = {name: given.pop(name) for name in ("end", "curve", "points", "beyond", "steps", "learning_rate")}
    run_landscape(landscape_path, "following the path", model_text, given, show_points, **options)
