"""``genscope reproduce``: the papers' claims as runs, pictures and verdicts."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genscope.cli.output import check_writable, emit, output_options, say_notes, take_printing
from genscope.cli.run_options import data_folders_of, run_options
from genscope.errors import UsageError

if TYPE_CHECKING:
    from genscope.experiments.values import Experiment


@click.command("reproduce")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--list", "show_list", is_flag=True, help="Show every experiment with its cost, state and verdict, and stop.")
@click.option("--all", "take_all", is_flag=True, help="Every experiment.")
@click.option("--size", default="smoke", show_default=True, help="smoke (about a minute), small (minutes to an hour) or full (the paper's protocol).")
@run_options
@click.option("--out", default=None, metavar="DIR", help="Keep the result here; `genscope report DIR` draws its page.")
@output_options
def command(
    ids: tuple[str, ...], show_list: bool, take_all: bool, size: str, store: str, data_dirs: tuple[str, ...], no_run: bool, quiet: bool, **given: Any
) -> None:
    """Put claims of the papers to the test: do the pending runs, draw the figure, print claim, observation, null control and verdict.

    \b
    genscope reproduce --list
    genscope reproduce S0-T2
    genscope reproduce S1-F2b --size small --jobs 2 --html f2b.html
    genscope reproduce --all --size smoke
    """
    from genscope.cli.tables_reproduce import show_listing
    from genscope.experiments.listing import listing

    printing, out, data = take_printing(given), given.pop("out"), data_folders_of(data_dirs)
    if show_list:
        rows = listing(store, size, seed=given["seed"])
        click.echo(_json_of({"store": store, "size": size, "experiments": rows})) if printing["as_json"] else show_listing(rows)
        return
    check_writable(out)
    _reproduce(_chosen(ids, take_all), printing, out, quiet, size=size, store=store, data=data, run=not no_run, **given)


def _reproduce(chosen: "Sequence[Experiment]", printing: dict[str, Any], out: str | None, quiet: bool, **given: Any) -> None:
    from genscope.cli.progress import progress_bar
    from genscope.cli.tables_reproduce import show_verdict
    from genscope.experiments.reproduce import reproduce_all

    one = len(chosen) == 1
    if not one and any(printing[name] for name in ("csv_path", "parquet_path", "html_path")):
        raise UsageError("--csv, --parquet and --html take one experiment; use --json, or --out DIR and `genscope report DIR/ID`.")
    documents = []
    with progress_bar("running", quiet=quiet) as progress:
        results = reproduce_all(chosen, progress=progress, figure=bool(out or printing["html_path"]), **given)
        first = next(results)  # all runs are done before the first verdict
    for place, result in enumerate(itertools.chain([first], results)):
        if out is not None:
            result.save(out if one else Path(out) / result.head["id"])
        if not quiet:
            say_notes(result.tail["notes"])
        if one:
            emit(result, **printing, show=show_verdict)
        elif printing["as_json"]:
            documents.append(result.to_dict())
        else:
            show_verdict(result, first=place == 0)
    if documents:
        click.echo(_json_of({"experiments": documents}))


def _chosen(ids: tuple[str, ...], take_all: bool) -> "list[Experiment]":
    from genscope.experiments.registry import experiments, find_experiment

    if take_all == bool(ids):
        raise UsageError("Name experiments, or use --all; `genscope reproduce --list` shows them.")
    return list(experiments().values()) if take_all else [find_experiment(name) for name in dict.fromkeys(ids)]


def _json_of(document: dict[str, Any]) -> bytes:
    from genscope.core import strict_json

    return strict_json.dumps(document, indent=2).encode("utf-8")
