"""``genscope landscape basin``: how far the basin around the trained weights reaches, and its volume where that can be told."""

from typing import Any

import click

from genscope.cli.landscape_options import landscape_options, run_landscape
from genscope.cli.tables_basin import show_basin


@click.command("basin")
@landscape_options
@click.option(
    "--cutoff", "cutoffs", multiple=True, metavar="CRITERION:VALUE",
    help="Edge of the basin: loss:0.1, loss_increase:0.1, error:0.05 or kl:0.1; repeatable, the first is the main one. [default: loss:0.1, 0.5, 1]",
)  # fmt: skip
@click.option("--directions", type=click.IntRange(2), default=3000, show_default=True, help="Random directions of each estimator.")
@click.option(
    "--coordinates", type=click.Choice(["filter_normalized", "raw"]), default="filter_normalized", show_default=True,
    help="Weights in units of their filter's norm, or every parameter as it is.",
)  # fmt: skip
@click.option(
    "--estimator", "estimators", multiple=True, metavar="NAME", help="naive, diagonal, low_rank or laplace (repeatable). [default: all of them]"
)
@click.option("--rtol", type=float, default=1e-3, show_default=True, help="Relative accuracy of a radius.")
@click.option("--min-ess", type=float, default=30.0, show_default=True, help="Effective sample size below which a volume is refused.")
@click.option("--layer-directions", type=click.IntRange(0), default=64, show_default=True, help="Directions that move one layer alone, per layer.")
def command(
    model_text: str, cutoffs: tuple[str, ...], directions: int, coordinates: str, estimators: tuple[str, ...], rtol: float, min_ess: float,
    layer_directions: int, **given: Any,
) -> None:  # fmt: skip
    """How far the basin around the trained weights reaches along random directions, and its volume where that can be told.

    \b
    genscope landscape basin --model mine:net --weights net.safetensors --data digits
    genscope landscape basin --model mine:net --weights net.safetensors --data digits --cutoff error:0.05 --directions 500 --json
    """
    from genscope.verbs.basin_options import BasinOptions
    from genscope.verbs.landscape_basin import CUTOFFS, ESTIMATORS, landscape_basin

    options = BasinOptions(rtol=rtol, least_ess=min_ess, layer_directions=layer_directions)
    chosen: dict[str, Any] = {"cutoffs": cutoffs or CUTOFFS, "estimators": estimators or ESTIMATORS}
    run_landscape(
        landscape_basin, "measuring the basin", model_text, given, show_basin, directions=directions,
        coordinates=coordinates, options=options, **chosen,
    )  # fmt: skip
