"""``genscope report``: any saved result as one self-contained page."""

import click

from genscope.cli.output import say


@click.command("report")
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option("--html", "html_path", default=None, metavar="FILE", help="Where the page goes. [default: DIR/report.html]")
def command(folder: str, html_path: str | None) -> None:
    """Draw the page of the result that --out saved in DIR."""
    from pathlib import Path

    from genscope.sources.store import load

    path = Path(html_path) if html_path else Path(folder) / "report.html"
    written = load(folder).to_html(path)
    say("The report is one file; open it in a browser, it needs no network.")
    click.echo(str(written))
