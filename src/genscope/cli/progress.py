"""Progress with remaining time on standard error; silent when nobody watches."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from genscope.cli.output import console
from genscope.core.text import display_name


@contextlib.contextmanager
def progress_bar(label: str, *, quiet: bool = False) -> Iterator[Callable[[int, int, str, float], None] | None]:
    """A callback ``(done, total, name, share)`` that draws a bar with the time left, or ``None`` when standard error is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}", markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.fields[layer]}", markup=False),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None, count="", layer="")

        def advance(done: int, total: int, name: str, share: float) -> None:
            # the bar runs on predicted work, so that the time left is right when layers differ in size
            bar.update(task, total=1.0, completed=1.0 if done == total else share, count=f"{done}/{total}", layer=display_name(name, 40))

        yield advance
