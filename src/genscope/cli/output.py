"""How every verb prints: a table for people, or JSON, CSV, Parquet, a folder, a page."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from genscope.core.text import display_name
from genscope.errors import StoreError, UnsupportedInput, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from genscope.core.results import Result

F = TypeVar("F", bound=Callable[..., Any])


def output_options(function: F) -> F:
    """Add ``--json --csv --parquet --html`` to a command; they arrive in it as one mapping per name."""
    for option in reversed(
        (
            click.option("--json", "as_json", is_flag=True, help="Print one strict JSON document."),
            click.option("--csv", "csv_path", type=click.Path(dir_okay=False), metavar="FILE", help="Write the table as CSV ('-' prints it)."),
            click.option("--parquet", "parquet_path", type=click.Path(dir_okay=False), metavar="FILE", help="Write the table as Parquet."),
            click.option("--html", "html_path", type=click.Path(dir_okay=False), metavar="FILE", help="Write the report page."),
        )
    ):
        function = option(function)
    return function


def opening_options(function: F) -> F:
    """Add the options that say how a checkpoint is opened."""
    for option in reversed(
        (
            click.option("--base", default=None, metavar="CHECKPOINT", help="Base model that an adapter (LoRA) is merged into."),
            click.option("--part", default=None, metavar="KEY", help="Part of a torch checkpoint to use, such as ema."),
            click.option("--allow-missing", is_flag=True, help="Go on when shards of a checkpoint are missing."),
            click.option("--verify", is_flag=True, help="Check the stored checksums of a torch archive."),
        )
    ):
        function = option(function)
    return function


def emit(
    result: "Result", *, as_json: bool, csv_path: str | None, parquet_path: str | None, html_path: str | None, show: Callable[["Result"], None]
) -> None:
    """Write what was asked for; without ``--json`` or ``--csv -`` call ``show`` for the people."""
    if csv_path:
        write_csv(printed_rows(result), csv_path)
    if parquet_path:
        write_parquet(result, Path(parquet_path))
    if html_path:
        result.to_html(html_path)
        say(f"The report is in {html_path}.")
    if as_json:
        click.echo(result.to_json().encode("utf-8"))
    elif csv_path != "-":
        show(result)


def printed_rows(result: "Result") -> Sequence[Mapping[str, Any]]:
    """The rows of a table file: WeightWatcher's own columns under its convention, else the result's rows."""
    theirs = [row["weightwatcher"] for row in result.rows if row.get("weightwatcher")]
    return [{"layer_id": index, **row} for index, row in enumerate(theirs)] or result.rows


def say(sentence: str) -> None:
    """One message to standard error."""
    click.echo(display_name(sentence, 1000), err=True)


def say_notes(notes: Sequence[str]) -> None:
    """Notes of a source, one line each, to standard error."""
    for note in notes:
        say(f"note: {note}")


def console(*, stderr: bool = False) -> "Console":
    """A rich console that honours NO_COLOR, TERM=dumb, pipes and COLUMNS."""
    from rich.console import Console

    class Screen(Console):
        def on_broken_pipe(self) -> None:
            # rich would exit with 1, which says that the input is bad; `| head` is no fault
            raise BrokenPipeError

    return Screen(stderr=stderr, highlight=False, soft_wrap=False, emoji=False, markup=False)


def write_csv(rows: Sequence[Mapping[str, Any]], path: str) -> None:
    """CSV that a spreadsheet cannot take for formulas: text cells that begin like one get a leading quote."""
    import csv
    import io

    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row if not isinstance(row[name], dict | list)))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([csv_cell(row.get(name)) for name in names])
    if path == "-":
        click.echo(text.getvalue().encode("utf-8", "backslashreplace"), nl=False)
    else:
        from genscope.core.files import write_atomically

        write_atomically(Path(path), text.getvalue())


def csv_cell(value: Any) -> Any:
    """One cell: numbers stay numbers, dangerous text is disarmed.

    Example:
        >>> csv_cell("=1+1"), csv_cell("-2.5"), csv_cell(None)
        ("'=1+1", '-2.5', '')
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value) if isinstance(value, float) else value
    if value[:1] in {"=", "+", "-", "@", "\t", "\r", "\0"}:
        try:
            float(value)
        except ValueError:
            return "'" + value
    return value


def write_parquet(result: "Result", path: Path) -> None:
    """The table as Parquet (needs pyarrow)."""
    import io

    from genscope.core.files import write_atomically

    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise UnsupportedInput("Parquet needs the package pyarrow; install genscope[parquet].") from None
    import pandas

    flat = pandas.DataFrame([dict(row) for row in printed_rows(result)])
    flat = flat[[name for name in flat.columns if not flat[name].map(lambda cell: isinstance(cell, dict | list)).any()]]
    buffer = io.BytesIO()
    flat.to_parquet(buffer, index=False)
    write_atomically(path, buffer.getvalue())


def take_printing(given: dict[str, Any], *inputs: str | None) -> dict[str, Any]:
    """Take the options of :func:`output_options` out of ``given``, refusing to write over what is read.

    Raises:
        UsageError: an output file is one of the inputs.
    """
    printing = {name: given.pop(name) for name in ("as_json", "csv_path", "parquet_path", "html_path")}
    for name, path in printing.items():
        existing = [one for one in inputs if name != "as_json" and path and path != "-" and one and os.path.exists(one) and os.path.exists(path)]
        if any(os.path.samefile(one, path) for one in existing):
            raise UsageError(f"{Path(path).name} is the input itself; write the result to another file.")
    return printing


def check_writable(path: str | None) -> None:
    """Refuse an output folder that cannot be made before any work is done.

    Raises:
        StoreError: the path is a file, or its parent cannot be written.
    """
    if path is None:
        return
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder.name}: --out needs a folder, and this is a file.")
    nearest = folder
    while not nearest.exists():
        nearest = nearest.parent
    if not os.access(nearest, os.W_OK):
        raise StoreError(f"{nearest.name or nearest}: this folder cannot be written; choose another --out.")
