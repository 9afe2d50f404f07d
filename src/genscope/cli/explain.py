"""``genscope explain``: what a measure is and what it is made of."""

import click


@click.command("explain")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one strict JSON document.")
def command(name: str | None, as_json: bool) -> None:
    """Print formula, unit, direction, source, plan and cost of measure NAME; without NAME list all measures."""
    from genscope.core import strict_json
    from genscope.sources.explanation import catalogue_table, explain

    if name is None:
        entries = catalogue_table()
        if as_json:
            click.echo(strict_json.dumps([entry.to_dict() for entry in entries], indent=2))
            return
        width = max(len(entry.name) for entry in entries)
        for entry in entries:
            click.echo(f"{entry.name:<{width}}  {entry.text.splitlines()[0] if entry.text else ''}")
        return
    entry = explain(name)
    click.echo(strict_json.dumps(entry.to_dict(), indent=2) if as_json else str(entry))
