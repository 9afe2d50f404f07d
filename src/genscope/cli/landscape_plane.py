"""``genscope landscape plane``: the loss on a plane through the trained weights."""

from typing import Any

import click

from genscope.cli.landscape_options import landscape_options, run_landscape
from genscope.cli.tables_landscape import show_points


@click.command("plane")
@landscape_options
@click.option("--directions", default="random", show_default=True, help="random, or hessian (the two leading eigenvectors).")
@click.option("--through", multiple=True, metavar="FILE", help="A further model; given twice, the plane through the three models.")
@click.option("--trajectory", multiple=True, metavar="FILE", help="An earlier checkpoint (repeatable, in order): the plane of the training's path.")
@click.option("--normalization", default="filter", show_default=True, help="filter, layer, whole, weight (|w|, as ASAM) or none.")
@click.option("--one-dimensional", "vectors", default="zero", show_default=True, help="Biases and normalization parameters: zero or tensor.")
@click.option("--radius", type=float, default=None, metavar="R", help="Half-width. [default: until the loss rises tenfold on most rays]")
@click.option("--points", type=click.IntRange(2), nargs=2, default=(25, 25), show_default=True, metavar="NX NY", help="Points along each axis.")
def command(model_text: str, **given: Any) -> None:
    """Loss, error and margin on a plane through the trained weights.

    \b
    genscope landscape plane --model mine:net --weights net.safetensors --data digits --out plane --html plane.html
    genscope landscape plane --model mine:net --weights a.pt --through b.pt --through c.pt --data digits
    genscope landscape plane --model mine:net --weights last.pt --trajectory epoch1.pt --trajectory epoch2.pt --data digits
    """
    from genscope.verbs.landscape_plane import landscape_plane

    names = ("directions", "through", "trajectory", "normalization", "vectors", "radius", "points")
    options = {name: given.pop(name) for name in names}
    run_landscape(landscape_plane, "evaluating the plane", model_text, given, show_points, **options)
