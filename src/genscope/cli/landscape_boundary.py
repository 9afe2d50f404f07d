"""``genscope landscape boundary``: where a network changes its mind, and how far the data are from it."""

from typing import Any

import click

from genscope.cli.landscape_options import landscape_options, run_landscape
from genscope.cli.tables_boundary import show_boundary


@click.command("boundary")
@landscape_options
@click.option("--through", nargs=3, type=int, default=None, metavar="I J K", help="Training examples that span the plane, for more than two inputs.")
@click.option("--points", type=click.IntRange(2), default=200, show_default=True, help="Columns of the map.")
@click.option("--extent", nargs=4, type=float, default=None, metavar="LEFT RIGHT BOTTOM TOP", help="Window of the map. [default: around the data]")
@click.option("--examples", type=click.IntRange(1), default=None, metavar="N", help="Examples that get a distance. [default: 1000 in 2-D, else 64]")
@click.option("--frames", type=click.IntRange(0), default=None, metavar="N", help="Frames of the animation. [default: 24 in 2-D, else 0]")
@click.option("--amplitude", type=float, default=0.1, show_default=True, help="Largest step of the animation, in filter norms.")
@click.option("--gif", "gif_path", type=click.Path(dir_okay=False), default=None, metavar="FILE", help="Write the animation as a GIF.")
def command(model_text: str, gif_path: str | None, **given: Any) -> None:
    """Map the decision boundary, measure the distance of examples from it, and move it by perturbing the weights.

    \b
    genscope landscape boundary --model mine:net --weights net.safetensors --data swiss-roll --html boundary.html
    genscope landscape boundary --model mine:net --weights net.safetensors --data digits --through 0 1 2
    """
    from genscope.verbs.landscape_boundary import landscape_boundary

    options = {name: given.pop(name) for name in ("through", "points", "extent", "examples", "frames", "amplitude")}
    if gif_path and options["frames"] == 0:
        raise click.UsageError("--gif needs frames; leave out --frames 0.")
    if gif_path and options["frames"] is None:
        options["frames"] = 24
    result = run_landscape(landscape_boundary, "mapping", model_text, given, show_boundary, with_test=True, **options)
    if gif_path:
        from genscope.cli.output import say
        from genscope.report.sections_boundary import write_animation

        write_animation(result, gif_path)
        say(f"The animation is in {gif_path}.")
