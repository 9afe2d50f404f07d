"""One result, one HTML file: no network, no eval, nothing of the data ever read as markup."""

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from genscope.core.files import write_atomically
from genscope.core.results import ROWS_NAME, Result
from genscope.report import (
    sections_analyze,
    sections_approximate,
    sections_assess,
    sections_basin,
    sections_boundary,
    sections_compare,
    sections_flow,
    sections_landscape,
    sections_measures,
    sections_reproduce,
    sections_trajectory,
    sections_watch,
)
from genscope.report.intake import trusted
from genscope.report.payload import script_json
from genscope.report.sections import Section
from genscope.report.wording import source_of, text_of

_BUILDERS: dict[str, tuple[Callable[[Result], list[Section]], Callable[[Result], str]]] = {
    "analyze": (sections_analyze.analyze_sections, sections_analyze.fallback_verdict),
    "compare": (sections_compare.compare_sections, sections_compare.fallback_verdict),
    "rank": (sections_measures.rank_sections, sections_measures.rank_verdict),
    "assess": (sections_assess.assess_sections, sections_assess.assess_verdict),
    "reproduce": (sections_reproduce.reproduce_sections, sections_reproduce.reproduce_verdict),
    "watch": (sections_watch.watch_sections, sections_watch.watch_verdict),
    "landscape boundary": (sections_boundary.boundary_sections, sections_boundary.boundary_verdict),
    "landscape trajectory": (sections_trajectory.trajectory_sections, sections_trajectory.trajectory_verdict),
    "approximate": (sections_approximate.approximate_sections, sections_approximate.approximate_verdict),
    "flow": (sections_flow.flow_sections, sections_flow.flow_verdict),
    "landscape basin": (sections_basin.basin_sections, sections_basin.basin_verdict),
    "landscape slice": (sections_landscape.slice_sections, sections_landscape.landscape_verdict),
    "landscape plane": (sections_landscape.plane_sections, sections_landscape.landscape_verdict),
    "landscape path": (sections_landscape.path_sections, sections_landscape.landscape_verdict),
    "describe": (sections_measures.describe_sections, sections_measures.describe_verdict),
}
# One scope, in this order: what a file makes at once stands above what uses it at once; functions are known everywhere.
_SCRIPTS = (
    "base.js",
    "frame.js",
    "table_tools.js",
    "table.js",
    "depth.js",
    "spectrum.js",
    "series.js",
    "lens.js",
    "compare.js",
    "measures.js",
    "surface.js",
    "main.js",
)
_STYLES = ("page.css",)


def render(result: Result) -> str:
    """The page of ``result`` as text.

    The same result gives the same text. Everything the data brings is shown as text: names are escaped and shortened, absolute paths
    are cut to their last component, and a content-security policy allows the page's own script and style only, by their digests.

    Args:
        result: what any verb returned, or one loaded from disk; missing fields leave their section out.

    Returns:
        A complete HTML document that needs no other file and no network.
    """
    build, fallback = _BUILDERS[result.verb]
    result = trusted(result)
    shown = build(result)
    script, style = _script(), _style()
    subject = _subject(result)
    document = {
        "verb": result.verb,
        "rows_name": ROWS_NAME[result.verb],
        "source": subject,
        "sections": {section.id: {"kind": section.kind, **section.payload} for section in shown if section.payload is not None},
    }
    details = result.summary.get("verdict_details")
    details = details if isinstance(details, list) else [details] if details else []
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            policy=_policy(script, style),
            script=Markup(script),
            style=Markup(style),
            data=Markup(script_json(document)),
            verb=result.verb,
            subject=subject,
            verdict=text_of(result.summary.get("verdict") or fallback(result), 1200),
            details=[text_of(line, 600) for line in details],
            sections=shown,
            version=text_of(result.reproducibility.get("genscope") or result.reproducibility.get("genscope_version") or "", 40),
        )
    )


def write_report(result: Result, path: Path) -> Path:
    """Write :func:`render` of ``result`` to ``path``, whole or not at all, and return ``path``.

    Raises:
        StoreError: the folder cannot be written; an older page there is left untouched.
    """
    write_atomically(path, render(result))
    return path


def _subject(result: Result) -> str:
    models = result.head.get("models")
    if isinstance(models, list | tuple) and models:
        named = [source_of(model.get("name") or model.get("source") or "model") if hasattr(model, "get") else source_of(model) for model in models]
        return " · ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
    if result.verb == "reproduce":
        return text_of(f"{result.head.get('id') or 'claim'} · {result.head.get('source') or 'in memory'}", 200)
    found = result.head.get("source") or result.head.get("model")
    return (
        source_of(found)
        if isinstance(found, str | Path) and str(found)
        else f"{result.head.get('n_models') or 'a set of'} models"
        if result.verb == "rank"
        else "in memory"
    )


def _policy(script: str, style: str) -> str:
    parts = (
        "default-src 'none'",
        f"script-src {_digest(script)}",
        f"style-src {_digest(style)}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(parts)


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _script() -> str:
    return "(function () {\n'use strict';\n" + "\n".join(_asset(name) for name in _SCRIPTS) + "\n})();"


@cache
def _style() -> str:
    return "\n".join(_asset(name) for name in _STYLES)


def _asset(name: str) -> str:
    return files("genscope.report").joinpath("assets", name).read_text(encoding="utf-8").replace("\r\n", "\n")


@cache
def _environment() -> Environment:
    return Environment(loader=PackageLoader("genscope.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
