"""Reading a page as text, and results full of names that mean harm."""

import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from tests.report.sample_models import EVERY

from genscope.core.results import Result

Opener = Callable[..., Any]

HOSTILE = [
    "</script><script>window.hacked=1</script>",
    "<!-- <script>",
    '" onload="window.hacked=1',
    "<img src=x onerror=window.hacked=1>",
    "javascript:alert(1)",
    "]]>",
    "line\u2028paragraph\u2029",
    "\u202egnp.exe",
    "\x1b[31mred",
    "nul\x00nul",
    "{{ 7*7 }}",
    "=cmd|' /C calc'!A0",
    "lone\ud800surrogate",
    "x" * 100_000,
    "",
]


def hostile_result(verb: str = "analyze") -> Result:
    """Every text that a file can bring replaced by something nasty."""
    result = EVERY[verb]()
    rows = []
    for index, row in enumerate(result.rows):
        name = HOSTILE[index % len(HOSTILE)]
        changed = {key: name if isinstance(value, str) and key not in {"status"} else value for key, value in row.items()}
        rows.append(changed)
    skipped = [{"layer": name, "reason": name} for name in HOSTILE]
    head = {**result.head, "source": HOSTILE[0], "options": dict(zip(HOSTILE[:13], HOSTILE[:13], strict=True))}
    head["summary"] = {**result.summary, "verdict": HOSTILE[0], "verdict_details": HOSTILE}
    if "models" in head:
        head["models"] = HOSTILE[: len(head["models"])]
    curves = {f"{row.get('layer')}::{row.get('view')}": curve for row, curve in zip(rows, result.curves.values(), strict=False)}
    curves |= {"scatter": result.curves["scatter"]} if "scatter" in result.curves else {}
    return replace(result, head=head, rows=rows, tail={"skipped": skipped, "notes": HOSTILE, "unmatched": skipped}, curves=curves)


class Reader(HTMLParser):
    """Collects what a browser would see: elements, attributes, script texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open = tag
        if tag in {"script", "style"}:
            self.texts.setdefault(tag, []).append("")

    def handle_data(self, data: str) -> None:
        if self.open in {"script", "style"}:
            self.texts[self.open][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.open = ""

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


def data_of(text: str) -> dict:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(read(text).texts["script"][0], parse_constant=refuse)
