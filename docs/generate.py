"""Write the pages that are made from the code: ``measures.md`` from the catalogue's docstrings, ``cli.md`` from the commands.

``python docs/generate.py`` writes them; a test compares what is written with what the code says now.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import click

from genscope.cli.main import cli
from genscope.core.catalogue import Catalogue, Node
from genscope.measures.load import PLUGIN_GROUP, load_all_measures
from genscope.sources.explanation import explain_node

FOLDER = Path(__file__).parent
NOTICE = "<!-- Made by docs/generate.py; change the code and run it again. -->\n"
SECTION = re.compile(r"^([A-Z][a-z]+):\s*$", re.MULTILINE)
WHEN = {"randomize": "with `--randomize`", "vectors": "with `--vectors`", "asked": "when named with `--measure`"}
PARTS = (
    ("From a checkpoint alone", "matrix", "Computed by `analyze` and `compare`, one number per weight matrix. No data is needed."),
    (
        "From a model and its training data",
        None,
        "Computed by `assess`. What needs test data or initial weights says so when they are missing.",
    ),
)


def pages() -> dict[str, str]:
    """Every generated page by file name."""
    return {"measures.md": measures_page(load_all_measures()), "cli.md": cli_page()}


def measures_page(catalogue: Catalogue) -> str:
    """The catalogue of measures, by family, with formula, unit, direction, source, options and plan."""
    own = [node for node in catalogue.measures() if node.function.__module__.startswith("genscope.")]
    lines = [
        NOTICE,
        "# Measures",
        "",
        f"genscope computes {len(own)} measures. `genscope explain NAME` prints any of these entries in the terminal.",
        "",
        "A measure is a function; the names of its parameters say what it is made of, and the *plan* is what has to be computed before it, from",
        "the roots that a checkpoint or a model supplies. *Larger values go with* is the direction that the source claims, not a law:",
        "[rank](rank.md) tests it on your own models.",
        "",
    ]
    for title, root, opening in PARTS:
        chosen = [node for node in own if ("matrix" in catalogue.roots_of(node.name)) == (root == "matrix")]
        lines += [f"## {title}", "", opening, ""]
        for module, family in groupby(chosen, key=lambda node: node.function.__module__):
            lines += [f"**{_first_sentence(sys.modules[module].__doc__ or module)}**", ""]
            for node in family:
                lines += _measure(node, catalogue)
    return "\n".join([*lines, *_roots(catalogue)]) + "\n"


def _measure(node: Node, catalogue: Catalogue) -> Iterator[str]:
    explained = explain_node(node, catalogue)
    text = inspect.getdoc(node.function) or ""
    sections = _sections(text)
    yield from (f"### {node.name}", "", _plain(sections.pop("")), "")
    if "Formula" in sections:
        yield from (*(f"> {_plain(line)}  " for line in _unindented(sections["Formula"]).splitlines()), "")
    if "Reading" in sections:
        yield from (_plain(_one_line(sections["Reading"])), "")
    facts = {
        "symbol": f"`{node.facts['symbol']}`",
        "unit": _plain(node.facts["unit"]),
        "larger values go with": _plain(node.facts["expects"]),
        "source": _plain(node.facts["source"]),
        "unchanged by": _plain(_one_line(sections.get("Invariances", ""))),
        "computed": WHEN.get(node.facts.get("when", ""), ""),
        "cost": _plain(_one_line(sections.get("Cost", ""))),
        "options": ", ".join(f"`{name}={value!r}`" for name, value in explained.options.items()),
        "plan": " → ".join(f"`{step}`" for step in explained.plan),
    }
    yield from (f"- *{name}*: {value}" for name, value in facts.items() if value)
    yield ""


def _roots(catalogue: Catalogue) -> Iterator[str]:
    yield from ("## Roots: what only a source can supply", "", "| name | meaning |", "|---|---|")
    yield from (f"| `{name}` | {_cell(_plain(meaning))} |" for name, meaning in sorted(catalogue.roots.items()))
    yield from (
        "",
        "## A measure of your own",
        "",
        "Decorate a function, import its module before calling `genscope.analyze(…, measures=[…])`, or let a package offer the module through the",
        f"entry-point group `{PLUGIN_GROUP}`; then it is in `explain`, tables, reports and rankings like the ones above.",
        "[Architecture](architecture.md#add-a-measure) has a complete example.",
    )


def cli_page() -> str:
    """Every command with its arguments and options."""
    context = click.Context(cli, info_name="genscope")
    lines = [NOTICE, "# Commands", "", _paragraphs(cli.help or ""), ""]
    lines += ["| command | what for |", "|---|---|"]
    lines += [
        f"| [`{name}`](#genscope-{name.replace(' ', '-')}) | {_cell(_one_line((command.help or '').split(chr(10) * 2)[0]))} |"
        for name, command in _commands()
    ]
    for name, command in _commands():
        usage = command.get_usage(click.Context(command, info_name=f"genscope {name}", parent=None)).removeprefix("Usage: ")
        lines += ["", f"## genscope {name}", "", "```text", _one_line(usage), "```", "", _paragraphs(command.help or ""), ""]
        lines += ["| option | meaning |", "|---|---|"]
        lines += [f"| {_cell(flags)} | {_cell(meaning)} |" for flags, meaning in _options(command, context)]
    return "\n".join(lines) + "\n"


def _commands() -> list[tuple[str, click.Command]]:
    """All commands by name, those of a group after the group's name."""
    found = {}
    for name, command in cli.commands.items():
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=name)
            members = {f"{name} {one}": command.get_command(context, one) for one in command.list_commands(context)}
            found |= {title: member for title, member in members.items() if member is not None}
        found[name] = command
    return sorted(found.items())


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    for parameter in command.get_params(click.Context(command, info_name=command.name, parent=context)):
        record = parameter.get_help_record(context)
        if record is not None:
            flags, meaning = record
            yield f"`{flags}`", _plain(_one_line(meaning))


def _paragraphs(text: str) -> str:
    found = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            found.append("```sh\n" + paragraph.lstrip("\b\n") + "\n```")
        else:
            found.append(_plain(_one_line(paragraph)))
    return "\n\n".join(found)


def _sections(text: str) -> dict[str, str]:
    pieces = SECTION.split(text)
    return {"": _one_line(pieces[0]), **{name: body.strip("\n") for name, body in zip(pieces[1::2], pieces[2::2], strict=True)}}


def _first_sentence(text: str) -> str:
    return _plain(_one_line(inspect.cleandoc(text).split("\n\n")[0]))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _unindented(text: str) -> str:
    return inspect.cleandoc("\n" + text)


def _plain(text: str) -> str:
    """Prose as Markdown shows it: code stays code, and nothing else is markup."""
    pieces = re.split(r"(``?[^`]+``?)", re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text))
    return "".join("`" + piece.strip("`") + "`" if index % 2 else re.sub(r"([*_<>\[\]\\])", r"\\\1", piece) for index, piece in enumerate(pieces))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
