"""``genscope watch``: a training run as it stands, also while it goes on; two runs side by side."""

from typing import Any

import click

from genscope.cli.output import emit, output_options, say_notes, take_printing, write_csv, write_parquet


@click.command("watch")
@click.argument("run", metavar="RUN", type=click.Path())
@click.argument("other", metavar="[RUN2]", required=False, type=click.Path())
@click.option("--follow", "-f", is_flag=True, help="Refresh the table until the run ends (Ctrl-C leaves it running).")
@click.option("--every", type=click.FloatRange(0.1), default=2.0, show_default=True, metavar="SECONDS", help="How often --follow looks.")
@click.option("--layers", is_flag=True, help="One line per layer for every number, instead of the latest of the main ones.")
@output_options
def command(run: str, other: str | None, follow: bool, every: float, layers: bool, **given: Any) -> None:
    """Show how the training run in folder RUN stands, or two runs side by side.

    RUN is what `genscope.watch(model, out=RUN)` writes during training; it may still be going on. --csv and --parquet give every
    recorded number, one a line. `genscope report RUN` draws the run.
    """
    from dataclasses import replace
    from functools import partial
    from pathlib import Path

    from genscope.cli.tables_watch import follow_run, show_run, show_runs
    from genscope.errors import UsageError
    from genscope.sources.run_folder import compare_runs, read_run, result_of
    from genscope.sources.run_series import history_rows

    printing = take_printing(given, run, other)
    if follow:
        if other is not None or any(printing.values()):
            raise UsageError("--follow shows one run in the terminal; leave out RUN2, --json, --csv, --parquet and --html.")
        follow_run(lambda: result_of(read_run(run)), every, layers=layers)
        return
    runs = [read_run(folder) for folder in (run, other) if folder is not None]
    result = result_of(runs[0]) if other is None else compare_runs(*runs)
    say_notes(result.tail["notes"])
    csv_path, parquet_path = printing.pop("csv_path"), printing.pop("parquet_path")
    if csv_path or parquet_path:
        rows = [row for one in runs for row in history_rows(one.records, one.name if other is not None else "")]
        recorded = replace(result, rows=rows)
        if csv_path:
            write_csv(recorded.rows, csv_path)
        if parquet_path:
            write_parquet(recorded, Path(parquet_path))
        if csv_path == "-":
            return
    show = show_runs if other is not None else partial(show_run, layers=layers)
    emit(result, csv_path=None, parquet_path=None, **printing, show=show)
