"""The pages of tables: rank, and the plain listing of describe."""

from collections.abc import Mapping, Sequence
from typing import Any

from genscope.core.results import Result
from genscope.report import sections as parts
from genscope.report.figure_data import POINTS, texts_of
from genscope.report.payload import rounded, table_of
from genscope.report.sections import Section
from genscope.report.wording import bytes_of, fact_of, number_of, text_of

_RANK_VISIBLE = ("measure", "status", "n", "kendall", "kendall_low", "kendall_high", "p_value", "p_adjusted", "spearman", "r2", "rmse", "loo_rmse")
_CURVES = 60


def rank_sections(result: Result) -> list[Section]:
    """What the page of ``rank`` shows, in reading order."""
    summary = {**result.summary, "n_models": result.head.get("n_models", result.summary.get("n_models")), "n_measures": len(result.rows)}
    table = table_of(result.rows, _RANK_VISIBLE, "measure")
    return parts.present(
        parts.key_numbers(summary, ("n_models", "n_measures"), {"n_models": "Models", "n_measures": "Measures"}, {}),
        forest_section(result.rows, "Which measure orders the models?", target=str(result.head.get("target") or "")),
        scatter_section(result.curves.get("scatter"), str(result.head.get("target") or "test error")),
        parts.table_section(table, "All measures", "", ("status",), "No measure could be ranked: the table holds none."),
        _words(result.rows),
        _per_axis(result.curves.get("per_axis"), result.rows),
        _confounders(result.rows),
        _by_group(result.tail.get("groups")),
        parts.skipped(result.tail.get("unmatched"), "Models without a partner", "unmatched", "In the scores or in the measures only."),
        parts.skipped(result.tail.get("skipped"), "Left out", "skipped", "Not ranked, with the reason."),
        parts.notes(result.tail.get("notes")),
        parts.glossary("rank"),
        parts.reproducibility(result),
    )


def rank_verdict(result: Result) -> str:
    """The strongest measure whose interval excludes zero, or the absence of one."""
    ranked = [row for row in result.rows if isinstance(row.get("kendall"), int | float)]
    if not ranked:
        return "No measure could be ranked."
    sure = [row for row in ranked if (row.get("kendall_low") or 0) * (row.get("kendall_high") or 0) > 0]
    if not sure:
        return f"None of {len(ranked)} measures orders these models better than chance: every interval of Kendall's τ crosses zero."
    best = max(sure, key=lambda row: abs(row["kendall"]))
    span = f"{number_of(float(best['kendall_low']), 3)} to {number_of(float(best['kendall_high']), 3)}"
    return f"{text_of(best.get('measure'), 80)} orders the models best: Kendall τ {number_of(float(best['kendall']), 3)}, 95% {span}."


def forest_section(rows: Any, title: str, lead: str = "", target: str = "") -> Section | None:
    """Kendall's τ of each measure with its interval, strongest first."""
    kept = [row for row in rows if isinstance(row, Mapping) and isinstance(row.get("kendall"), int | float)] if isinstance(rows, list | tuple) else []
    if not kept:
        return None
    keys = ("measure", "n", "kendall", "kendall_low", "kendall_high", "spearman", "p_value", "p_adjusted", "r2", "loo_rmse", "rmse", "baseline")
    items = [{key: text_of(row[key], 100) if isinstance(row[key], str) else row[key] for key in keys if row.get(key) is not None} for row in kept]
    for item, row in zip(items, kept, strict=True):
        item["baseline"] = row.get("baseline") is True
    items.sort(key=lambda item: -abs(float(item["kendall"])))
    return Section(
        "forest",
        "ranking",
        title,
        lead or "Kendall's τ with its 95% interval; the strongest first.",
        payload={"items": items[:200], "adjusted": any("p_adjusted" in item for item in items), "target": text_of(target, 40)},
    )


def scatter_section(scatter: Any, target: str) -> Section | None:
    """Each measure against the test error, one small chart per measure."""
    charts = []
    for name, points in _by_measure(scatter).items():
        if not isinstance(points, Mapping):
            continue
        x, y = rounded(points.get("x")), rounded(points.get("y"))
        if not x or len(x) != len(y):
            continue
        labels, groups = (texts_of(points.get(key), len(x)) for key in ("labels", "groups"))
        charts.append({"measure": text_of(name, 100), "x": x[:POINTS], "y": y[:POINTS], "labels": labels, "groups": groups})
    lead = "Each point is a model. Choose a chart to enlarge it."
    return (
        Section(
            "scatter", "scatter", f"Measures against {text_of(target, 60)}", lead, payload={"charts": charts[:_CURVES], "target": text_of(target, 60)}
        )
        if charts
        else None
    )


def _by_measure(scatter: Any) -> Mapping[str, Any]:
    """``{measure: {x, y, labels, groups}}`` from that form, or from shared ``target``, ``models``, ``group`` and ``measures``."""
    if not isinstance(scatter, Mapping) or not isinstance(scatter.get("measures"), Mapping):
        return scatter if isinstance(scatter, Mapping) else {}
    shared = {"y": scatter.get("target"), "labels": scatter.get("models"), "groups": scatter.get("group")}
    return {name: {"x": values, **shared} for name, values in scatter["measures"].items()}


def _per_axis(curve: Any, rows: Sequence[Mapping[str, Any]]) -> Section | None:
    """Granulated Kendall of each measure along each hyper-parameter, as a coloured matrix."""
    if not isinstance(curve, Mapping) or not isinstance(curve.get("measures"), Mapping) or not isinstance(curve.get("axes"), list | tuple):
        return None
    axes = [str(axis) for axis in curve["axes"]][:16]
    mean = {str(row.get("measure")): row.get("granulated_kendall") for row in rows}
    means = {name: value for name, value in mean.items() if isinstance(value, int | float)}
    lines = []
    for name, along in sorted(curve["measures"].items(), key=lambda item: -abs(means.get(str(item[0]), 0.0)))[:200]:
        values = [*(along.get(axis) if isinstance(along, Mapping) else None for axis in axes), means.get(str(name))]
        if any(isinstance(value, int | float) for value in values):
            lines.append({"label": text_of(name, 60), "cells": [_heat(value) for value in values]})
    if not axes or not lines:
        return None
    lead = (
        "Granulated Kendall ψ: only models that differ in this one hyper-parameter are compared. A measure that works moves with the error "
        "along every one; one that works along one only has learned to tell that hyper-parameter."
    )
    heads = [*(text_of(axis, 40) for axis in axes), "mean ψ"]
    return Section("matrix", "axes", "One hyper-parameter at a time", lead, data={"head": "Measure", "columns": heads, "lines": lines, "words": ""})


def _confounders(rows: Sequence[Mapping[str, Any]]) -> Section | None:
    """The same correlation over all models, within and across groups, and at equal depth, width and size (Simpson's paradox)."""
    keys = [("kendall", "All models"), ("within_kendall", "Within groups"), ("across_kendall", "Across groups"), ("partial_spearman", "Partial ρ")]
    keys = [(key, title) for key, title in keys if any(isinstance(row.get(key), int | float) for row in rows)]
    if len(keys) < 2:
        return None
    ranked = sorted(rows, key=lambda row: -abs(_kendall(row)))[:200]
    told = any(row.get("confounding") for row in ranked)
    lines = [
        {
            "label": text_of(row.get("measure"), 60),
            "cells": [_heat(row.get(key)) for key, _ in keys],
            "words": text_of(row.get("confounding") or "", 300),
        }
        for row in ranked
    ]
    lead = "Simpson's paradox: a measure can order the groups and say nothing, or the opposite, within each of them."
    heads = [title for _, title in keys]
    data = {"head": "Measure", "columns": heads, "lines": lines, "words": "What to make of it" if told else ""}
    return Section("matrix", "confounders", "Is it the measure, or what it hangs on?", lead, data=data)


def _kendall(row: Mapping[str, Any]) -> float:
    value = row.get("kendall")
    return float(value) if isinstance(value, int | float) else 0.0


def _heat(value: Any) -> dict[str, str]:
    """A correlation as text, with the class of its colour."""
    if not isinstance(value, int | float):
        return {"text": "–", "heat": "none"}
    step = min(4, round(abs(float(value)) * 4))
    return {"text": f"{value:+.2f}".replace("-", "−"), "heat": f"{'p' if value > 0 else 'm'}{step}" if step else "zero"}


def _by_group(rows: Any) -> Section | None:
    """Kendall's τ of each measure within each group, the number of models in the heading."""
    cells = (
        {(str(row.get("measure")), str(row.get("group"))): row for row in rows if isinstance(row, Mapping)} if isinstance(rows, list | tuple) else {}
    )
    names, groups = (list(dict.fromkeys(key[place] for key in cells)) for place in (0, 1))
    if not cells or len(groups) < 2:
        return None
    sizes = {group: max(int(row.get("n") or 0) for (_, other), row in cells.items() if other == group) for group in groups}
    groups = sorted(groups, key=lambda group: -sizes[group])[:16]
    lines = [
        {"label": text_of(name, 60), "values": [number_of(cells.get((name, group), {}).get("kendall"), 3) for group in groups]}
        for name in names[:200]
    ]
    heads = [f"{text_of(group, 40)} ({sizes[group]})" for group in groups]
    lead = "Kendall's τ of each measure among the models of one group; the number of models in brackets."
    return Section("glance", "groups", "Within each group", lead, data={"head": "Measure", "models": heads, "lines": lines})


def _words(rows: Sequence[Mapping[str, Any]]) -> Section | None:
    """Each measure's own sentence, strongest first."""
    told = [row for row in rows if row.get("verdict")]
    told.sort(key=lambda row: -abs(float(row.get("kendall") or 0.0)))
    entries = [(text_of(row.get("measure"), 80), text_of(row["verdict"], 600)) for row in told[:200]]
    return Section("words", "words", "Measure by measure, in words", data={"entries": entries}) if entries else None


def describe_sections(result: Result) -> list[Section]:
    """What the page of ``describe`` shows: sizes by type, and every tensor."""
    rows = [
        {**row, "shape": "×".join(str(size) for size in row["shape"]) or "scalar"} if isinstance(row.get("shape"), list | tuple) else row
        for row in result.rows
    ]
    sizes = [row["n_bytes"] for row in rows if isinstance(row.get("n_bytes"), int | float)]
    types = dict.fromkeys(str(row.get("dtype")) for row in rows if row.get("dtype") is not None)
    items = [{"label": "Tensors", "value": number_of(len(rows)), "note": ""}, {"label": "Size", "value": bytes_of(sum(sizes)), "note": ""}]
    items.append({"label": "Number types", "value": fact_of(list(types)[:6]), "note": ""})
    table = table_of(rows, ("name", "shape", "dtype", "n_bytes", "kind"), "name")
    return parts.present(
        Section("numbers", "numbers", "Key numbers", data={"items": items}),
        parts.table_section(table, "All tensors", "", ("dtype", "kind"), "The checkpoint holds no tensor."),
        parts.skipped(result.tail.get("skipped"), "Left out", "skipped", "With the reason."),
        parts.notes(result.tail.get("notes")),
        parts.glossary("describe"),
        parts.reproducibility(result),
    )


def describe_verdict(result: Result) -> str:
    """How much the checkpoint holds."""
    size = sum(row["n_bytes"] for row in result.rows if isinstance(row.get("n_bytes"), int | float))
    return f"{len(result.rows):,} tensors, {bytes_of(size)}." if result.rows else "The checkpoint holds no tensor."
