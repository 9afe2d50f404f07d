"""``genscope assess``: a trained model and its training data to margins, norms, sharpness, curvature and certificates."""

from functools import partial
from typing import Any

import click

from genscope.cli.model_options import model_options
from genscope.cli.output import check_writable, emit, output_options, say_notes, take_printing
from genscope.cli.tables_assess import show_assessment


@click.command("assess")
@model_options
@click.option("--test-data", default=None, metavar="DATA", help="Held-out data. [default: the test part of --data, if it has one]")
@click.option("--initial", default=None, metavar="FILE", help="Checkpoint of the weights before training.")
@click.option("--budget", default="default", show_default=True, help="fast, default or paper: perturbations, steps, examples.")
@click.option("--measure", "measures", multiple=True, metavar="NAME", help="Only these measures (repeatable; see `genscope explain`).")
@click.option("--out", default=None, metavar="DIR", help="Keep the result here; `genscope report DIR` draws its page.")
@click.option("--layers", is_flag=True, help="One line per layer in the table, instead of the smallest and the largest value.")
@click.option("--dry-run", is_flag=True, help="Show the measures and an estimate of the time, and stop.")
@click.option("--quiet", "-q", is_flag=True, help="No progress and no notes.")
@output_options
def command(model_text: str, out: str | None, layers: bool, dry_run: bool, quiet: bool, **given: Any) -> None:
    """Learn from a trained model and its training data how it is expected to generalize.

    \b
    genscope assess --model genscope.training.models:resnet20 --weights resnet20.th --data cifar10:DIR
    genscope assess --model mine:net --weights net.safetensors --data digits --budget fast --json
    """
    from genscope.cli.assess_request import assess_request
    from genscope.cli.progress import progress_bar
    from genscope.sources.model import assess
    from genscope.sources.model_cost import estimate_cost

    printing = take_printing(given, given.get("weights"), given.get("initial"))
    check_writable(out)
    request = assess_request(model_text, given)
    if dry_run:
        cost = estimate_cost(**{name: request[name] for name in ("model", "train", "measures", "budget", "loss", "device")})
        click.echo(
            f"{cost.n_measures} measures, about {cost.forwards:,.0f} forward passes of one example, {cost.seconds:,.0f} s at the speed measured here."
        )
        return
    with progress_bar("assessing", quiet=quiet) as progress:
        result = assess(progress=progress, **request)
    if out is not None:
        result.save(out)
    if not quiet:
        say_notes(result.tail["notes"])
    emit(result, **printing, show=partial(show_assessment, layers=layers))
