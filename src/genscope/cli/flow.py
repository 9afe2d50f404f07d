"""``genscope flow``: a gradient flow on normalized weights, and the theory held against it lemma by lemma."""

from typing import TYPE_CHECKING, Any

import click

from genscope.cli.output import check_writable, console, emit, output_options, say_notes, take_printing

if TYPE_CHECKING:
    from genscope.core.results import Result


@click.command("flow")
@click.argument("problem", metavar="[PROBLEM]", required=False)
@click.option("--model", "model_text", default=None, metavar="PACKAGE.MODULE:FACTORY", help="A bias-free homogeneous nn.Module of your own.")
@click.option("--weights", default=None, metavar="FILE", help="Checkpoint of the weights to start from. [default: as the factory made them]")
@click.option("--data", default=None, metavar="DATA", help="With --model: FILE.npz, FILE.csv, digits, … or module:factory that returns (X, y).")
@click.option("--limit", type=click.IntRange(2), default=None, metavar="N", help="With --data: only the first N examples.")
@click.option(
    "--system",
    type=click.Choice(["A", "B", "C"], case_sensitive=False),
    default="C",
    show_default=True,
    help="A fixed ρ, B ρ and V (weight normalization), C plain W.",
)
@click.option("--loss", default=None, help="exponential, logistic or cross_entropy. [default: by the number of outputs]")
@click.option("--until", default="60", show_default=True, metavar="END", help="End as ln(1+t), such as 60, or as '300 decades' of loss.")
@click.option("--rho", type=float, default=None, help="With --system A: the fixed product of the layers' norms. [default: by the data]")
@click.option("--method", default="RK45", show_default=True, help="RK45, DOP853, RK23, Radau or LSODA.")
@click.option("--rtol", type=float, default=1e-8, show_default=True, help="Relative tolerance per step.")
@click.option("--step", type=float, default=None, help="Learning rate of the gradient descent beside the flow. [default: by the gradient]")
@click.option("--batch", type=click.IntRange(1), default=None, metavar="N", help="Examples per step of that descent. [default: all]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of built-in problems and of every random draw.")
@click.option("--out", default=None, metavar="DIR", help="Keep the run here; the same command with a later --until goes on from there.")
@click.option("--fresh", is_flag=True, help="Start over in --out.")
@click.option("--quiet", "-q", is_flag=True, help="No progress and no notes.")
@output_options
def command(problem: str | None, model_text: str | None, out: str | None, quiet: bool, **given: Any) -> None:
    """Follow a gradient flow hundreds of decades of loss down, and test the theory of margins on it.

    PROBLEM is line, deep-line, rings (default), three-classes or stuck; or give a network and data of your own.

    \b
    genscope flow rings --until 60 --html rings.html
    genscope flow line --system A --json
    genscope flow --model mine:net --data points.csv --until "300 decades" --out run
    """
    from genscope.cli.progress import progress_bar
    from genscope.verbs.flow import flow

    printing = take_printing(given, given.get("weights"), given.get("data"))
    check_writable(out)
    subject, data = _subject(problem, model_text, {name: given.pop(name) for name in ("weights", "data", "limit")})
    with progress_bar("flowing", quiet=quiet) as progress:
        result = flow(subject, data, out=out, progress=progress, **{**given, "system": given["system"].upper()})
    if not quiet:
        say_notes(result.tail["notes"])
    emit(result, **printing, show=show_flow)


def _subject(problem: str | None, model_text: str | None, given: dict[str, Any]) -> tuple[Any, Any]:
    """A problem's name, or a module and its data."""
    if model_text is None:
        if any(value is not None for value in given.values()):
            raise click.UsageError("--weights, --data and --limit belong to --model; built-in problems bring their own.")
        return problem or "rings", None
    if problem is not None:
        raise click.UsageError("Give either a built-in PROBLEM or --model, not both.")
    if given["data"] is None:
        raise click.UsageError("--model needs --data: the points that the flow separates.")
    import torch

    from genscope.cli.factories import call_factory, read_weights
    from genscope.errors import UnsupportedInput
    from genscope.training.datasets.open import is_dataset, open_dataset

    model = call_factory(model_text, "--model")
    if not isinstance(model, torch.nn.Module):
        raise UnsupportedInput(f"--model: {model_text} returns {type(model).__name__}; it must return a torch.nn.Module.")
    if given["weights"]:
        model.load_state_dict(read_weights(given["weights"], model))
    if ":" in given["data"] and not is_dataset(given["data"]):
        data = call_factory(given["data"], "--data")
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise UnsupportedInput("--data: the factory must return a pair (X, y) of arrays.")
    else:
        train = open_dataset(given["data"]).train
        data = (train.x, train.y)
    return model, tuple(part[: given["limit"]] for part in data)


def show_flow(result: "Result") -> None:
    """The lemmas with residual and verdict, then where the run ended."""
    from genscope.cli.columns import Column, fitted_table
    from genscope.cli.tables_assess import figure
    from genscope.core.text import display_name

    screen = console()
    columns = [Column("lemma", "left"), Column("statement", "left"), Column("residual"), Column("printed", "left"), Column("corrected", "left")]
    lines = [
        [
            row["lemma"],
            row["statement"],
            figure(row["residual"], 3),
            _words(row["verdict"]),
            _words(row["corrected_verdict"]) if row["corrected"] else "",
        ]
        for row in result.rows
    ]
    screen.print(fitted_table(columns, lines, screen.width))
    screen.print()
    screen.print(display_name(result.summary["verdict"], 1000), style="bold")
    for row in result.rows:
        if row["verdict"] != "HOLDS" or row["corrected"]:
            said = "; ".join(part for part in (f"now: {row['corrected']}" if row["corrected"] else "", row["reason"]) if part)
            screen.print(f"{row['lemma']}: {display_name(said, 600)}")
    for change in result.tail["support_changes"][:8]:
        screen.print(
            f"Support vector {change['before']} → {change['example']} at ln t = {change['tau']:.3g}, margin {change['margin']:.3g}; "
            f"the margin's speed goes from {change['speed_before']:.2g} to {change['speed_after']:.2g}."
        )


def _words(verdict: str) -> str:
    return {"HOLDS": "holds", "FAILS": "fails", "NOT TESTED": "not tested"}.get(verdict, verdict)
