"""What the page's script reads: tables by column, curves packed small, JSON that cannot leave its script element."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genscope.core import strict_json
from genscope.core.text import display_name, valid_unicode
from genscope.report.wording import COLUMNS, group_of, label_of, text_of

# What could end a script element or a line of a script, and what could reorder or hide text in an editor.
_UNSAFE = re.compile("[<>&\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_NAME_STORED, _NAME_SHOWN, _LEVELS = 512, 120, 4095
_CURVE_BYTES, _MOST_POINTS, _FEWEST_POINTS = 4_000_000, 160, 24


def script_json(value: Any) -> str:
    """Strict, compact JSON in which no character can end or open an HTML element or a line of JavaScript."""
    text = json.dumps(strict_json.plain(value), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def table_of(rows: Sequence[Mapping[str, Any]], visible: Sequence[str], name: str) -> dict[str, Any]:
    """A table by column: ``columns`` (what to show and how), ``data`` (one list per key), ``labels`` (safe names where they differ).

    Args:
        rows: mappings that need not share keys; nested mappings are flattened to ``key.inner`` and ``key[i]``; ``undefined`` goes its own way.
        visible: keys shown at first; the others appear with "all columns".
        name: the key whose values name the rows.
    """
    flat = [_flat({key: value for key, value in row.items() if key != "undefined"}) for row in rows]
    keys = dict.fromkeys(key for row in flat for key in row)
    data = {key: [_cell(row.get(key), key == name) for row in flat] for key in keys}
    data = {key: values for key, values in data.items() if key == name or key in visible or any(value is not None for value in values)}
    labels = {}
    for index, row in enumerate(flat):
        full = valid_unicode(str(row.get(name) if row.get(name) is not None else ""))
        shown = display_name(full, _NAME_SHOWN) or "(no name)"
        if shown != full:
            labels[str(index)] = shown
    ordered = [key for key in visible if key in data] + [key for key in data if key not in visible]
    columns = [{**_column(key, data[key]), "shown": key in visible} for key in ordered]
    undefined = {str(index): _reasons(row.get("undefined")) for index, row in enumerate(rows) if row.get("undefined")}
    return {"name": name, "n": len(flat), "columns": columns, "data": data, "labels": labels, "undefined": undefined}


def _reasons(undefined: Any) -> list[list[str]]:
    """Which measures have no value in this row, and why: ``[measure, reason]``."""
    return [[label_of(str(key)), text_of(reason, 200)] for key, reason in undefined.items()] if isinstance(undefined, Mapping) else []


def _column(key: str, values: Sequence[Any]) -> dict[str, Any]:
    present = [value for value in values if value is not None]
    known = COLUMNS.get(key)
    numeric = bool(present) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in present)
    kind = known[1] if known else ("int" if numeric and all(isinstance(value, int) for value in present) else "num" if numeric else "text")
    if kind in {"num", "int", "bytes"} and present and not numeric:
        kind = "text"
    return {"key": key, "label": label_of(key), "kind": kind, "group": group_of(key), "hint": known[3] if known else ""}


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping) and key != "options":
            for inner, item in value.items():
                if inner == "values" and isinstance(item, list | tuple):
                    flat.update({f"{key}[{index}]": entry for index, entry in enumerate(item)})
                else:
                    flat[f"{key}.{inner}"] = item
        else:
            flat[str(key)] = value
    return flat


def _cell(value: Any, is_name: bool) -> Any:
    value = strict_json.plain(value)
    if isinstance(value, str):
        if is_name:
            return value if len(value) <= _NAME_STORED else value[: _NAME_STORED - 1] + "…"
        return text_of(value, 400)
    if isinstance(value, dict | list):
        return display_name(json.dumps(value, ensure_ascii=False), 400)
    return value


def spectra_of(rows: Sequence[Mapping[str, Any]], curves: Mapping[str, Any]) -> list[dict[str, Any] | None]:
    """Per row the packed curves of its spectrum; fewer points per curve the more rows there are, so that the page stays small."""
    # Bytes per point measured on packed curves: about 8; a row has two distributions, a histogram and a bulk density.
    points = max(_FEWEST_POINTS, min(_MOST_POINTS, int(_CURVE_BYTES / (8 * 3 * max(1, len(rows))))))
    return [_spectrum(curves.get(_key_of(row)), points) for row in rows]


def _key_of(row: Mapping[str, Any]) -> str:
    return f"{row.get('layer')}::{row.get('view')}"


def _spectrum(curve: Any, points: int) -> dict[str, Any] | None:
    if not isinstance(curve, Mapping):
        return None
    found: dict[str, Any] = {key: _finite(curve.get(key)) for key in ("xmin", "alpha")}
    found["ccdf"] = _pack(curve.get("ccdf"), "x", "y", points)
    found["twin"] = _pack(curve.get("twin"), "x", "y", max(_FEWEST_POINTS, points // 2))
    found["hill"] = _pack(curve.get("hill"), "x", "y", max(_FEWEST_POINTS, points // 2)) or _pack(curve.get("hill"), "k", "alpha", points // 2)
    found["hist"] = _pack(_midpoints(curve.get("hist"), max(_FEWEST_POINTS, points // 2)), "x", "y", _MOST_POINTS)
    bulk = curve.get("mp")
    if isinstance(bulk, Mapping):
        found["mp"] = {"edge": _finite(bulk.get("edge")), "sigma": _finite(bulk.get("sigma"))}
        found["mp"]["curve"] = _pack(bulk, "x", "density", max(_FEWEST_POINTS, points // 2))
    for key in ("models", "differences"):
        several = curve.get(key)
        if isinstance(several, list | tuple) and several:
            found[key] = [_spectrum(one, max(_FEWEST_POINTS, points // (2 * len(several)))) for one in several]
    return {key: value for key, value in found.items() if value is not None} or None


def _midpoints(hist: Any, bins: int) -> Mapping[str, Any] | None:
    """Density at the middle of each bin; neighbours are merged until there are at most ``bins``."""
    if not isinstance(hist, Mapping) or hist.get("edges") is None or hist.get("density") is None:
        return None
    edges, density = _array(hist["edges"]), np.nan_to_num(_array(hist["density"]))
    if len(edges) != len(density) + 1 or not np.all(np.diff(edges) > 0) or edges[0] < 0:
        return None
    while density.size > bins:
        counts = density * np.diff(edges)
        counts = np.append(counts, 0.0) if counts.size % 2 else counts
        edges = edges[::2] if edges.size % 2 else np.append(edges[::2], edges[-1])
        density = counts.reshape(-1, 2).sum(axis=1) / np.diff(edges)
    return {"x": np.sqrt(edges[1:] * np.where(edges[:-1] > 0, edges[:-1], edges[1:])), "y": density}


def _pack(curve: Any, x_key: str, y_key: str, points: int) -> dict[str, Any] | None:
    """Positive pairs as steps on a logarithmic grid: a few characters per point, finer than a pixel."""
    if not isinstance(curve, Mapping) or curve.get(x_key) is None or curve.get(y_key) is None:
        return None
    x, y = _array(curve[x_key]), _array(curve[y_key])
    if x.size != y.size:
        return None
    keep = np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)
    x, y = x[keep], y[keep]
    if x.size < 2:
        return None
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    if x.size > points:
        chosen = np.unique(np.linspace(0, x.size - 1, points).round().astype(int))
        x, y = x[chosen], y[chosen]
    return {"x": _steps(np.log10(x)), "y": _steps(np.log10(y))}


def _steps(logs: np.ndarray) -> list[Any]:
    low, high = float(logs.min()), float(logs.max())
    grid = np.round((logs - low) / ((high - low) or 1.0) * _LEVELS).astype(int)
    return [round(low, 6), round(high, 6), *np.diff(grid, prepend=0).tolist()]


def _array(values: Any) -> np.ndarray:
    """Numbers as float64, NaN for everything that is none; empty when ``values`` is no sequence."""
    if isinstance(values, np.ndarray):
        return values.astype(float).ravel()
    return (
        np.array([np.nan if (number := _finite(value)) is None else number for value in values]) if isinstance(values, list | tuple) else np.empty(0)
    )


def rounded(values: Any, digits: int = 6) -> list[Any]:
    """Numbers to ``digits`` significant digits, everything that is not a finite number as ``None``."""
    if not isinstance(values, list | tuple | np.ndarray):
        return []
    return [None if (number := _finite(value)) is None else float(f"{number:.{digits}g}") for value in values]


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.generic):
        return None
    number = float(value)
    return number if math.isfinite(number) else None
