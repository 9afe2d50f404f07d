"""The pages of measures rather than matrices: rank, assess, and the plain listing of describe."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from genscope.core.results import Result
from genscope.report import sections as parts
from genscope.report.payload import rounded, table_of
from genscope.report.sections import Section
from genscope.report.wording import bytes_of, fact_of, label_of, number_of, text_of

_RANK_VISIBLE = ("measure", "status", "n", "kendall", "kendall_low", "kendall_high", "p_value", "p_adjusted", "spearman", "r2", "rmse", "loo_rmse")
_ASSESS_VISIBLE = ("measure", "layer", "status", "value", "unit", "low", "high", "expects", "reason")
_POINTS, _CURVES = 4000, 60
_CHAIN = re.compile(r"\s*\([^()]*<-[^()]*\)$")  # "(a <- b <- c)": which ingredient asked; the same lack is one group


def rank_sections(result: Result) -> list[Section]:
    """What the page of ``rank`` shows, in reading order."""
    summary = {**result.summary, "n_models": result.head.get("n_models", result.summary.get("n_models")), "n_measures": len(result.rows)}
    table = table_of(result.rows, _RANK_VISIBLE, "measure")
    return parts.present(
        parts.key_numbers(summary, ("n_models", "n_measures"), {"n_models": "Models", "n_measures": "Measures"}, {}),
        forest_section(result.rows, "Which measure orders the models?"),
        scatter_section(result.curves.get("scatter"), str(result.head.get("target") or "test error")),
        parts.table_section(table, "All measures", "", ("status",), "No measure could be ranked: the table holds none."),
        _words(result.rows),
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


def forest_section(rows: Any, title: str, lead: str = "") -> Section | None:
    """Kendall's τ of each measure with its interval, strongest first."""
    kept = [row for row in rows if isinstance(row, Mapping) and isinstance(row.get("kendall"), int | float)] if isinstance(rows, list | tuple) else []
    if not kept:
        return None
    keys = ("measure", "n", "kendall", "kendall_low", "kendall_high", "spearman", "p_value", "p_adjusted", "r2", "loo_rmse", "rmse", "baseline")
    items = [{key: text_of(row[key], 100) if isinstance(row[key], str) else row[key] for key in keys if row.get(key) is not None} for row in kept]
    items.sort(key=lambda item: -abs(float(item["kendall"])))
    return Section(
        "forest",
        "ranking",
        title,
        lead or "Kendall's τ with its 95% interval; the strongest first.",
        payload={"items": items[:200], "adjusted": any("p_adjusted" in item for item in items)},
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
        labels, groups = (_texts(points.get(key), len(x)) for key in ("labels", "groups"))
        charts.append({"measure": text_of(name, 100), "x": x[:_POINTS], "y": y[:_POINTS], "labels": labels, "groups": groups})
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


def assess_sections(result: Result) -> list[Section]:
    """What the page of ``assess`` shows: words first, then figures and the table."""
    whole = [row for row in result.rows if row.get("layer") in (None, "") and row.get("value") is not None]
    missing = [
        {"layer": row.get("measure"), "reason": _CHAIN.sub("", str(row.get("reason") or ""))} for row in result.rows if row.get("value") is None
    ]
    labels = {"n_measures": "Measures", "n_computed": "Computed"}
    table = table_of(result.rows, _ASSESS_VISIBLE, "measure")
    figures = list(figures_of(result.curves)) + _by_layer(result.rows)
    return parts.present(
        parts.key_numbers(result.summary, [key for key in result.summary if key != "seed"][:8], labels, {}),
        Section("cards", "cards", "The model in words", data={"cards": [_card(row) for row in whole[:400]]}) if whole else None,
        Section("figures", "figures", "Figures", payload={"figures": figures[:_CURVES]}) if figures else None,
        parts.table_section(table, "All measures", "", ("status",), "No measure was computed."),
        parts.skipped([*missing, *(result.tail.get("skipped") or ())], "Not computed", "skipped", "Measures or layers left out, with the reason."),
        parts.notes(result.tail.get("notes")),
        parts.glossary("assess"),
        parts.reproducibility(result),
    )


def assess_verdict(result: Result) -> str:
    """How many measures have a value."""
    done = sum(row.get("value") is not None for row in result.rows)
    return f"{done:,} of {len(result.rows):,} measures have a value." if result.rows else "No measure was computed."


def _card(row: Mapping[str, Any]) -> dict[str, Any]:
    low, high = row.get("low"), row.get("high")
    words = next((row[key] for key in ("verdict", "sentence", "meaning", "reason") if row.get(key)), "")
    return {
        "name": text_of(row.get("measure"), 80),
        "value": number_of(row.get("value")),
        "unit": "" if row.get("unit") in (None, "1") else text_of(row["unit"], 30),
        "interval": f"{number_of(low)} to {number_of(high)}" if low is not None and high is not None else "",
        "status": text_of(row.get("status") or "ok", 20),
        "words": text_of(str(words).replace("``", ""), 400),
    }


def figures_of(curves: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every curve the page knows how to draw: lines (``x``, ``y``), histograms (``edges``, ``density``), bars (``labels``, ``values``)."""
    found = []
    for name, curve in curves.items():
        if not isinstance(curve, Mapping):
            continue
        if drawn := _figure(curve):
            found.append({"title": label_of(str(name)), **drawn})
        else:
            series = [
                {"name": label_of(str(inner)), **drawn} for inner, item in curve.items() if isinstance(item, Mapping) and (drawn := _figure(item))
            ]
            lines = [item for item in series if item["type"] == "line"]
            if lines:
                found.append({"title": label_of(str(name)), "type": "lines", "series": lines[:8]})
            found += [{"title": f"{label_of(str(name))}: {item['name']}", **item} for item in series if item["type"] != "line"]
    return found


def _figure(curve: Mapping[str, Any]) -> dict[str, Any] | None:
    named = {
        "xlabel": text_of(curve.get("xlabel") or "", 80),
        "ylabel": text_of(curve.get("ylabel") or "", 80),
        "log": text_of(curve.get("log") or "", 4),
    }
    heights = curve.get("density") if curve.get("density") is not None else curve.get("counts")
    edges, values = rounded(curve.get("edges")), rounded(heights)
    if values and len(edges) == len(values) + 1 and None not in edges:
        return {"type": "hist", "edges": edges[: _POINTS + 1], "values": values[:_POINTS], **named}
    x, y = rounded(curve.get("x")), rounded(curve.get("y"))
    if x and len(x) == len(y):
        step = max(1, len(x) // 600)
        lines = {key: rounded(curve.get(key))[::step] for key in ("low", "high") if len(rounded(curve.get(key))) == len(x)}
        return {"type": "line", "x": x[::step], "y": y[::step], **lines, **named}
    names = next((curve[key] for key in ("labels", "layers", "layer", "names") if curve.get(key) is not None), None)
    values = rounded(curve.get("values") if curve.get("values") is not None else curve.get("y"))
    if values and isinstance(names, list | tuple) and len(names) == len(values):
        return {"type": "bars", "labels": _texts(names, len(names)), "values": values[:_POINTS], **named}
    return None


def _by_layer(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    measures: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row.get("layer") not in (None, "") and isinstance(row.get("value"), int | float):
            measures.setdefault(str(row.get("measure")), []).append(row)
    return [
        {
            "title": label_of(name),
            "type": "bars",
            "labels": _texts([row["layer"] for row in found], len(found)),
            "values": rounded([row["value"] for row in found]),
        }
        for name, found in measures.items()
        if len(found) > 1
    ]


def _texts(values: Any, n: int) -> list[str]:
    return [text_of(value, 100) for value in values][:_POINTS] if isinstance(values, list | tuple) and len(values) == n else []


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
