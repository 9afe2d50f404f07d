"""Options that all commands of ``genscope landscape`` share, and how they run a verb and print its result."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from genscope.cli.model_options import model_options
from genscope.cli.output import check_writable, emit, output_options, say_notes, take_printing

if TYPE_CHECKING:
    from genscope.core.results import Result

F = TypeVar("F", bound=Callable[..., Any])


def landscape_options(function: F) -> F:
    """Add the model, data and output options and ``--bn --backend --jobs --memory --out --quiet``."""
    for option in reversed(
        (
            model_options,
            click.option(
                "--bn",
                "bn_policy",
                default="recalibrate",
                show_default=True,
                help="Batch normalization at other weights: recalibrate its statistics, keep them frozen, or use each batch's own (batch).",
            ),
            click.option("--backend", default=None, metavar="NAME", help="loop, compiled, vmap or products. [default: what is fastest here]"),
            click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Workers side by side, of one thread each."),
            click.option("--memory", type=float, default=1.0, show_default=True, metavar="GIB", help="What stacked weights and outputs may take."),
            click.option("--out", default=None, metavar="DIR", help="Keep the result here as it grows; the same command resumes."),
            click.option("--quiet", "-q", is_flag=True, help="No progress and no notes."),
            output_options,
        )
    ):
        function = option(function)
    return function


def run_landscape(
    verb: Callable[..., "Result"],
    label: str,
    model_text: str,
    given: dict[str, Any],
    show: Callable[["Result"], None],
    *,
    with_test: bool = False,
    **options: Any,
) -> "Result":
    """Open the model and the data, run the verb with progress, save, print.

    Args:
        verb: the Python function.
        label: what the progress bar says.
        model_text: the option ``--model``.
        given: all other options of :func:`landscape_options`.
        show: prints the result for people.
        with_test: hand the verb the test data too, as ``test``.
        options: what the verb itself takes.
    """
    from genscope.cli.model_options import open_model, open_training_data
    from genscope.cli.progress import progress_bar

    printing = take_printing(given, given.get("weights"))
    out, quiet = given["out"], given["quiet"]
    check_writable(out)
    model = open_model(model_text, given["weights"])
    data, test = open_training_data(given)
    if with_test:
        options["test"] = test
    how = {name: given[name] for name in ("loss", "device", "seed", "bn_policy", "backend", "jobs", "out")}
    with progress_bar(label, quiet=quiet) as progress:
        result = verb(model, data=data, **options, **how, memory=int(given["memory"] * 2**30), progress=progress)
    if not quiet:
        say_notes(result.tail["notes"])
    emit(result, **printing, show=show)
    return result
