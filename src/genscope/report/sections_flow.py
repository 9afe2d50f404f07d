"""The page of a gradient flow: where it ended, its pictures, the lemmas with what is printed and what holds."""

from collections.abc import Mapping
from typing import Any

from genscope.core.results import Result
from genscope.figures.flow import flow_pictures
from genscope.report import sections as parts
from genscope.report.payload import table_of
from genscope.report.pictures import pictures_section
from genscope.report.sections import Section
from genscope.report.wording import number_of, text_of

_VISIBLE = ("lemma", "statement", "residual", "tolerance", "verdict", "corrected", "corrected_verdict", "source", "status", "reason")
_KEYS = {
    "log_time": "ln t",
    "log10_loss": "log₁₀ loss",
    "margin": "Margin γ",
    "smoothed_margin": "Smoothed margin",
    "max_margin": "Hard margin (SVM)",
    "angle": "Angle to it, rad",
    "kkt_epsilon": "KKT ε",
    "n_support_changes": "Support changes",
    "n_holds": "Hold as printed",
    "n_fails": "Do not",
}


def flow_sections(result: Result) -> list[Section]:
    """What the page of ``flow`` shows."""
    lead = "Pictures over logarithmic time; ln t = 40 is 10¹⁷ units of time."
    return parts.present(
        parts.key_numbers(result.summary, tuple(_KEYS), _KEYS, {}),
        pictures_section(flow_pictures(result.curves, result.tail), "pictures", "The flow", lead),
        _contested(result),
        _changes(result.tail.get("support_changes")),
        parts.table_section(table_of(result.rows, _VISIBLE, "lemma"), "Every lemma", "", ("verdict", "status"), "No lemma was tested."),
        parts.notes(result.tail.get("notes")),
        parts.glossary("flow"),
        parts.reproducibility(result),
    )


def flow_verdict(result: Result) -> str:
    """How many statements hold."""
    holds = sum(row.get("verdict") == "HOLDS" for row in result.rows)
    return f"{holds} of {len(result.rows)} statements hold as printed." if result.rows else "No lemma was tested."


def _contested(result: Result) -> Section | None:
    """What is printed beside what later work says."""
    lines = [
        {"label": text_of(row.get("lemma"), 80), "values": [_said(row, "statement", "verdict"), _said(row, "corrected", "corrected_verdict")]}
        for row in result.rows
        if row.get("corrected")
    ]
    if not lines:
        return None
    lead = "Each verdict is computed from this run."
    return Section(
        "glance", "contested", "As printed, and as corrected", lead, data={"head": "Statement", "models": ["Printed", "Corrected"], "lines": lines}
    )


def _said(row: Mapping[str, Any], statement: str, verdict: str) -> str:
    return f"{text_of(row.get(statement) or '', 300)} — {text_of(str(row.get(verdict) or 'not tested'), 20).lower()}"


def _changes(changes: Any) -> Section | None:
    """The support vectors in order of appearance."""
    found = [change for change in changes if isinstance(change, Mapping)] if isinstance(changes, list | tuple) else []
    if not found:
        return None
    columns = {"tau": "ln t", "before": "From", "example": "To", "margin": "Margin", "speed_before": "Speed before", "speed_after": "Speed after"}
    lines = [{"label": str(i), "values": [number_of(change.get(key), 4) for key in columns]} for i, change in enumerate(found[:60], start=1)]
    lead = "The example with the smallest gap of the normalized network; speed is the slope of the margin in ln t."
    return Section("glance", "support", "Support vectors change", lead, data={"head": "Change", "models": list(columns.values()), "lines": lines})
