"""The parts a page is made of, and those that every verb shares."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from genscope.core.results import Result
from genscope.report.glossary import GLOSSARY
from genscope.report.wording import bytes_of, fact_of, label_of, number_of, text_of

_NAMES_LISTED = 2000
_PRIVATE_FACTS = {"host", "hostname", "user", "username", "cwd", "home"}


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Args:
        kind: template (``section_<kind>.html.j2``) and, where one exists, mount of the script.
        id: anchor, unique on the page.
        title: heading.
        lead: a sentence under the heading.
        data: what the template shows.
        payload: what the script reads, or nothing.
    """

    kind: str
    id: str
    title: str
    lead: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] | None = None


def key_numbers(summary: Mapping[str, Any], order: Sequence[str], labels: Mapping[str, str], notes: Mapping[str, str]) -> Section | None:
    """The few numbers that stand for the whole, in ``order``; ``None`` when the summary has none of them."""
    items = [
        {"label": labels.get(key, label_of(key)), "value": number_of(summary[key]), "note": notes.get(key, "")}
        for key in order
        if isinstance(summary.get(key), int | float) and not isinstance(summary.get(key), bool)
    ]
    return Section("numbers", "numbers", "Key numbers", data={"items": items}) if items else None


def skipped(entries: Any, title: str, anchor: str, lead: str) -> Section | None:
    """Entries ``{"layer", "reason"}`` (or bare strings) grouped by reason, the largest group first."""
    groups: dict[str, list[str]] = defaultdict(list)
    counts: Counter[str] = Counter()
    for entry in entries if isinstance(entries, list | tuple) else ():
        if isinstance(entry, str) and ": " in entry:  # "model: no score"
            entry = dict(zip(("layer", "reason"), entry.split(": ", 1), strict=True))
        holds = isinstance(entry, Mapping)
        reason = text_of(entry.get("reason") or _where(entry) or "no reason given", 300) if holds else "no reason given"
        name = (
            text_of(entry.get("layer") if entry.get("layer") is not None else entry.get("name", "(no name)"), 120) if holds else text_of(entry, 120)
        )
        counts[reason] += 1
        if len(groups[reason]) < _NAMES_LISTED:
            groups[reason].append(name or "(no name)")
    if not groups:
        return None
    listed = [{"reason": reason, "n": n, "names": groups[reason], "more": n - len(groups[reason])} for reason, n in counts.most_common()]
    return Section("listing", anchor, title, lead, data={"groups": listed, "n": sum(counts.values())})


def _where(entry: Mapping[str, Any]) -> str:
    """For an unmatched layer: which models hold it."""
    found = next((entry[key] for key in ("present_in", "models", "model", "only_in") if entry.get(key) is not None), None)
    return f"only in {fact_of(found)}" if found is not None else ""


def notes(texts: Any) -> Section | None:
    """What the reader should know of how the numbers came about."""
    lines = [text_of(text, 1000) for text in texts] if isinstance(texts, list | tuple) else []
    return Section("notes", "notes", "Notes", data={"lines": lines}) if lines else None


def glossary(verb: str) -> Section | None:
    """How to read the page, papers cited by name."""
    entries = GLOSSARY.get(verb)
    return Section("glossary", "glossary", "How to read this", data={"entries": entries}) if entries else None


def reproducibility(result: Result) -> Section:
    """Options, versions, seed, digests and timing; private facts of the machine stay out."""
    blocks = [("Options", result.head.get("options")), ("Environment", result.reproducibility), ("Timing", result.timing)]
    shown = [{"title": title, "facts": _facts(block)} for title, block in blocks if isinstance(block, Mapping)]
    return Section("facts", "reproducibility", "Reproducibility", data={"blocks": [block for block in shown if block["facts"]]})


def _facts(block: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = []
    for key, value in block.items():
        if str(key).lower() in _PRIVATE_FACTS:
            continue
        if isinstance(value, Mapping):
            facts += [(f"{text_of(key, 60)} · {name}", text) for name, text in _facts(value)]
        elif str(key).endswith("_bytes") and isinstance(value, int | float):
            facts.append((text_of(key, 60).replace("_", " "), bytes_of(value)))
        else:
            facts.append((text_of(key, 60).replace("_", " "), fact_of(value)))
    return facts


def table_section(payload: Mapping[str, Any], title: str, lead: str, filters: Sequence[str], empty: str) -> Section:
    """The sortable table over ``payload`` (see :func:`genscope.report.payload.table_of`)."""
    return Section("table", "table", title, lead, data={"n": payload["n"], "empty": empty}, payload={**payload, "filters": list(filters)})


def present(*found: Section | None) -> list[Section]:
    """The sections that have something to show."""
    return [section for section in found if section is not None]
