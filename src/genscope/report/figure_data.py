"""The curves of a result as figures that the page's script can draw."""

from collections.abc import Mapping
from typing import Any

from genscope.report.payload import rounded
from genscope.report.wording import label_of, text_of

POINTS = 4000


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
        return {"type": "hist", "edges": edges[: POINTS + 1], "values": values[:POINTS], **named}
    x, y = rounded(curve.get("x")), rounded(curve.get("y"))
    if x and len(x) == len(y):
        step = max(1, len(x) // 600)
        lines = {key: rounded(curve.get(key))[::step] for key in ("low", "high") if len(rounded(curve.get(key))) == len(x)}
        return {"type": "line", "x": x[::step], "y": y[::step], **lines, **named}
    names = next((curve[key] for key in ("labels", "layers", "layer", "names") if curve.get(key) is not None), None)
    values = rounded(curve.get("values") if curve.get("values") is not None else curve.get("y"))
    if values and isinstance(names, list | tuple) and len(names) == len(values):
        return {"type": "bars", "labels": texts_of(names, len(names)), "values": values[:POINTS], **named}
    return None


def texts_of(values: Any, n: int) -> list[str]:
    """Names for ``n`` things, or none when the number differs."""
    return [text_of(value, 100) for value in values][:POINTS] if isinstance(values, list | tuple) and len(values) == n else []
