"""The page of a claim that was put to the test: claim and verdict, figure, checks with their null control, errata, departures."""

import base64
import re
from collections.abc import Mapping
from typing import Any

from genscope.core.results import Result
from genscope.report import sections as parts
from genscope.report.intake import is_number
from genscope.report.sections import Section
from genscope.report.wording import number_of, text_of

TONES = {"HOLDS": "holds", "HOLDS-BUT-NULL-TOO": "null-too", "FAILS": "fails", "UNTESTABLE-AS-STATED": "untestable"}
_PASSED = {True: ("passes", "ok"), False: ("fails", "failed"), None: ("undecided", "doubtful")}
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def reproduce_sections(result: Result) -> list[Section]:
    """What the page of ``reproduce`` shows, in reading order."""
    return parts.present(
        _claim(result),
        _figure(result),
        checks_section(result.rows),
        _lines(result.tail.get("errata"), "errata", "Errata", "What the paper's text or formulas get wrong, and what is right."),
        _lines(result.tail.get("departures"), "departures", "Where this departs from the paper's protocol", ""),
        parts.notes(result.tail.get("notes")),
        parts.glossary("reproduce"),
        parts.reproducibility(result),
    )


def reproduce_verdict(result: Result) -> str:
    """The verdict's word and the claim, for results without a summary."""
    return f"{text_of(result.head.get('verdict') or 'No verdict', 40)}: {text_of(result.head.get('claim') or 'the claim is not recorded', 800)}"


def _claim(result: Result) -> Section | None:
    verdict = text_of(result.head.get("verdict") or "", 40)
    if not verdict:
        return None
    runs = result.tail.get("n_runs")
    needed = result.tail.get("runs_needed")
    facts = [("size", text_of(result.head.get("size") or "", 20)), ("runs", number_of(runs) if is_number(runs) else "")]
    facts += [("would settle it", f"{number_of(needed)} runs")] if is_number(needed) else []
    data = {
        "claim": text_of(result.head.get("claim") or "", 2000),
        "source": text_of(result.head.get("source") or "", 300),
        "paper_figure": text_of(result.tail.get("paper_figure") or "", 2000),
        "verdict": verdict,
        "tone": TONES.get(verdict, "open"),
        "meaning": text_of(result.tail.get("meaning") or "", 4000),
        "facts": [(label, value) for label, value in facts if value],
        "command": text_of(result.tail.get("command") or "", 300),
    }
    return Section("claim", "claim", "Claim and verdict", data=data)


def _figure(result: Result) -> Section | None:
    drawn = result.curves.get("figure")
    if not isinstance(drawn, Mapping):
        return None
    kind = "image/svg+xml" if drawn.get("kind") == "svg" else "image/png"
    addresses = {theme: _address(kind, drawn.get(theme)) for theme in ("light", "dark")}
    if None in addresses.values():
        return None
    title = text_of(result.head.get("title") or "Our figure", 200)
    alt = f"{title}: our figure for {text_of(result.head.get('source') or '', 200)}. {text_of(result.tail.get('meaning') or '', 800)}"
    item = {"title": title, "alt": alt, "caption": text_of(result.tail.get("caption") or "", 2000), **addresses}
    return Section("pictures", "figure", "Figure", "Drawn from the stored runs alone.", data={"items": [item]})


def _address(kind: str, content: Any) -> str | None:
    """Shown as an image, so scripts in a stranger's file never run."""
    if not isinstance(content, str):
        return None
    if kind == "image/svg+xml":
        return f"data:{kind};base64,{base64.b64encode(content.encode('utf-8', 'replace')).decode()}"
    return f"data:{kind};base64,{content}" if _BASE64.fullmatch(content) else None


def checks_section(rows: Any) -> Section | None:
    """Each statistic: what was expected, what was seen, what the null control gives, the paper's number, and whether it passes."""
    lines = [_check(row) for row in rows if isinstance(row, Mapping)]
    return Section("checks", "checks", "Checks", _CHECKS_LEAD, data={"lines": lines}) if lines else None


_CHECKS_LEAD = (
    "A check passes when the whole 95% interval lies on the right side. Null control: a rival that should not show the effect; "
    "where it passes too, the claim is true but says little."
)


def _check(row: Mapping[str, Any]) -> dict[str, Any]:
    low, high, passed = row.get("low"), row.get("high"), row.get("passed")
    word, status = _PASSED[passed if isinstance(passed, bool) else None]
    decides = row.get("decides") is not False
    return {
        "statistic": text_of(row.get("statistic") or "", 300),
        "expected": text_of(row.get("expected") or "", 80),
        "observed": _number(row.get("observed")),
        "interval": f"{number_of(low)} … {number_of(high)}" if is_number(low) and is_number(high) else "–",
        "null": _number(row.get("null")) + (" passes too" if row.get("null_passed") is True and decides else ""),
        "paper": _number(row.get("paper")),
        "word": word if decides else "shown only",
        "status": status if decides else "skipped",
        "note": text_of(row.get("note") or "", 500),
    }


def _number(value: Any) -> str:
    return number_of(value) if is_number(value) else "–"


def _lines(texts: Any, anchor: str, title: str, lead: str) -> Section | None:
    lines = [text_of(text, 1500) for text in texts] if isinstance(texts, list | tuple) else []
    return Section("notes", anchor, title, lead, data={"lines": lines}) if lines else None
