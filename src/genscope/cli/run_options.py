"""Options that the verbs which run things share: store, data, workers, device, seed."""

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from genscope.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


def run_options(function: F) -> F:
    """Add ``--store --data-dir --jobs --engine --device --seed --no-run --resume --quiet`` to a command."""
    for option in reversed(
        (
            click.option(
                "--store", default="genscope-runs", show_default=True, metavar="DIR", help="Folder of finished runs; the same command resumes."
            ),
            click.option(
                "--data-dir",
                "data_dirs",
                multiple=True,
                metavar="[NAME=]DIR",
                help="Folder of the data NAME (mnist, cifar10, tables …), or one folder that holds them all (repeatable). [default: $GENSCOPE_DATA]",
            ),
            click.option("--jobs", "-j", type=click.IntRange(1), default=1, show_default=True, help="Runs at once."),
            click.option("--engine", default="processes", show_default=True, help="processes, threads, ray or dask."),
            click.option("--device", default="cpu", show_default=True, metavar="DEVICE", help="cpu, cuda, cuda:1, mps."),
            click.option("--seed", type=int, default=0, show_default=True, help="Base seed; another seed is another set of runs."),
            click.option("--no-run", is_flag=True, help="Compute nothing: take what the store holds."),
            click.option("--resume", is_flag=True, expose_value=False, help="Go on with what the store holds; this is what always happens."),
            click.option("--quiet", "-q", is_flag=True, help="No progress and no notes."),
        )
    ):
        function = option(function)
    return function


def data_folders_of(texts: Sequence[str]) -> dict[str, str]:
    """``NAME=DIR`` to folders by name; a folder alone is the root, under the empty name.

    Raises:
        UsageError: a folder is not there.
    """
    folders = {"": os.environ["GENSCOPE_DATA"]} if os.environ.get("GENSCOPE_DATA") else {}
    for text in texts:
        name, equals, folder = text.partition("=")
        name, folder = (name, folder) if equals and not os.path.isdir(text) else ("", text)
        if not os.path.isdir(folder):
            raise UsageError(f"--data-dir {text}: there is no folder {folder}.")
        folders[name] = folder
    return folders
