"""The page of one checkpoint: verdict, alpha by depth, the layer under the lens, the table."""

from collections.abc import Mapping, Sequence
from typing import Any

from genscope.core.results import Result
from genscope.report import sections as parts
from genscope.report.payload import spectra_of, table_of
from genscope.report.sections import Section
from genscope.report.wording import text_of

LOW, HIGH = 2.0, 6.0
VISIBLE = (
    "layer",
    "kind",
    "view",
    "rows",
    "cols",
    "status",
    "alpha",
    "alpha.interval",
    "n_tail",
    "ks_distance",
    "p_value",
    "alpha_weighted",
    "log_spectral_norm",
    "log_frobenius_norm",
    "stable_rank",
)
_MULTIPLES = (
    "stable_rank",
    "log_spectral_norm",
    "log_frobenius_norm",
    "alpha_weighted",
    "log_alpha_norm",
    "entropy",
    "effective_rank",
    "n_spikes",
    "ks_distance",
)
_GROUPS = (
    ("heavy", "very heavy tail, α < 2"),
    ("typical", "typical of well-trained, 2 ≤ α ≤ 6"),
    ("weak", "weak tail, α > 6"),
    ("unsure", "cannot tell, the interval crosses 6"),
    ("doubtful", "doubtful fit"),
    ("skipped", "no fit possible"),
    ("failed", "failed"),
)
_LABELS = {
    "n_matrices": "Matrices",
    "alpha": "Mean α",
    "alpha_weighted": "Mean α-hat",
    "log_alpha_norm": "Mean log α-norm",
    "log_spectral_norm": "Mean log λ max",
    "log_frobenius_norm": "Mean log ‖W‖²",
    "stable_rank": "Mean stable rank",
}


def analyze_sections(result: Result) -> list[Section]:
    """What the page of ``analyze`` shows, in reading order."""
    summary, rows = result.summary, result.rows
    table = table_of(rows, VISIBLE, "layer")
    _add_interval(table)
    chart = (
        Section("depth", "depth", "α by depth", _depth_lead(rows), payload={"measure": "alpha", "band": [LOW, HIGH]}) if _has(rows, "alpha") else None
    )
    multiples = [key for key in _MULTIPLES if _has(rows, key)]
    names = "Matrices the spectrum was computed for. Choose a row to see its spectrum."
    return parts.present(
        parts.key_numbers(summary, ("n_matrices", *list(_LABELS)[1:]), _LABELS, _notes(summary)),
        composition(rows),
        chart,
        Section("layer", "layer", "One layer", payload={"spectra": spectra_of(rows, result.curves), "matrix": matrix_name(result)}) if rows else None,
        parts.table_section(table, "All matrices", names, ("status", "kind"), nothing_fitted(result)),
        Section("multiples", "multiples", "Other measures by depth", "", payload={"measures": multiples}) if multiples else None,
        parts.skipped(result.tail.get("skipped"), "Tensors left out", "skipped", "Every tensor of the checkpoint is either analyzed or listed here."),
        parts.notes(result.tail.get("notes")),
        parts.glossary("analyze"),
        parts.reproducibility(result),
    )


def matrix_name(result: Result) -> str:
    """What the eigenvalues are of, by the normalization that the options name."""
    options = result.head.get("options")
    chosen = options.get("normalization") if isinstance(options, Mapping) else None
    return {"WtW": "WᵀW", "WtW/N": "WᵀW/N", None: "WᵀW"}.get(chosen) or f"WᵀW, {text_of(chosen, 40)} scale"


def fallback_verdict(result: Result) -> str:
    """A sentence for results whose summary has none."""
    if not result.rows:
        return nothing_fitted(result)
    counts = {group["id"]: group["n"] for group in _count(result.rows)}
    believed = counts.get("heavy", 0) + counts.get("typical", 0) + counts.get("weak", 0) + counts.get("unsure", 0)
    if not believed:
        return nothing_fitted(result)
    return f"{counts.get('typical', 0)} of {believed} fitted matrices have α between 2 and 6, the range typical of well-trained layers."


def nothing_fitted(result: Result) -> str:
    """Why there is nothing to show, from the commonest reason."""
    entries: list[Any] = [row for row in result.rows if row.get("status") != "ok"]
    entries = entries or list(result.tail.get("skipped") or ())
    reasons = [str(entry["reason"]) for entry in entries if isinstance(entry, Mapping) and entry.get("reason")]
    if reasons:
        commonest = max(dict.fromkeys(reasons), key=reasons.count)
        return f"No matrix could be fitted because: {text_of(commonest, 300)}"
    return "No matrix could be fitted because the checkpoint holds none."


def composition(rows: Sequence[Mapping[str, Any]]) -> Section | None:
    """How many matrices fall into each class, as one bar."""
    groups = [group for group in _count(rows) if group["n"]]
    total, start = sum(group["n"] for group in groups), 0.0
    for group in groups:
        share = 100 * group["n"] / total
        group.update(x=round(start, 4), width=round(share, 4))
        start += share
    return Section("composition", "composition", "Verdict by layer", data={"groups": groups, "total": total}) if groups else None


def _count(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    counts = {name: 0 for name, _ in _GROUPS}
    for row in rows:
        status, alpha = row.get("status") or "ok", row.get("alpha")
        if status == "ok" and isinstance(alpha, int | float):
            status = _class_of(row, alpha)
        counts[status if status in counts else "skipped"] += 1
    return [{"id": name, "label": label, "n": counts[name]} for name, label in _GROUPS]


def _class_of(row: Mapping[str, Any], alpha: float) -> str:
    """The whole interval decides, as in the verdict in words: below 2, below 6 while reaching 2, above 6, or on both sides of 6."""
    low, high = (alpha if row.get(name) is None else row[name] for name in ("alpha_low", "alpha_high"))
    if low <= HIGH < high:
        return "unsure"
    return "heavy" if high < LOW else "weak" if high > HIGH else "typical"


def _add_interval(table: dict[str, Any]) -> None:
    """A drawn interval beside the number: no data of its own, the script reads low and high."""
    if not {"alpha", "alpha_low", "alpha_high"} <= set(table["data"]):
        return
    column = {
        "key": "alpha.interval",
        "label": "95% interval",
        "kind": "interval",
        "group": "",
        "hint": "95% interval of α; sorts by width.",
        "shown": True,
    }
    place = next(index for index, other in enumerate(table["columns"]) if other["key"] == "alpha")
    table["columns"].insert(place + 1, {**column, "of": "alpha", "band": [LOW, HIGH]})


def _has(rows: Sequence[Mapping[str, Any]], key: str) -> bool:
    return any(isinstance(row.get(key), int | float) for row in rows)


def _notes(summary: Mapping[str, Any]) -> dict[str, str]:
    pairs = (("n_fitted", "fitted"), ("n_doubtful", "doubtful"), ("n_failed", "failed"))
    found = [f"{summary[key]:,} {word}" for key, word in pairs if isinstance(summary.get(key), int) and (summary[key] or key == "n_fitted")]
    return {"n_matrices": ", ".join(found), "alpha": "over the fitted matrices" if "n_fitted" in summary else ""}


def _depth_lead(rows: Sequence[Mapping[str, Any]]) -> str:
    doubtful = any(row.get("status") == "doubtful" for row in rows)
    return "Each point is a matrix, in the order of the checkpoint, with its 95% interval." + (
        " Hollow points are doubtful fits." if doubtful else ""
    )
