"""A result as the page may trust it: a folder of results may come from anybody, so nothing of its shape is taken for granted."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from genscope.core import strict_json
from genscope.core.results import Result
from genscope.report.wording import COLUMNS, text_of

_NUMERIC = {"num", "int", "bytes"}
_LISTS = ("skipped", "notes", "unmatched", "unscored", "groups")


def trusted(result: Result) -> Result:
    """``result`` with plain finite numbers in the places of numbers, texts in those of texts, and lists where lists belong."""
    head = dict(result.head) if isinstance(result.head, Mapping) else {}
    summary = head.get("summary")
    head["summary"] = strict_json.plain(dict(summary)) if isinstance(summary, Mapping) else {}
    if not isinstance(head.get("options"), Mapping):
        head.pop("options", None)
    if not isinstance(head.get("models"), list | tuple):
        head.pop("models", None)
    tail = dict(result.tail) if isinstance(result.tail, Mapping) else {}
    return replace(
        result,
        head=head,
        rows=[_row(row, paired=result.verb == "compare") for row in result.rows if isinstance(row, Mapping)],
        tail={key: value for key, value in tail.items() if key not in _LISTS or isinstance(value, list | tuple)},
        curves=result.curves if isinstance(result.curves, Mapping) else {},
        reproducibility=result.reproducibility if isinstance(result.reproducibility, Mapping) else {},
        timing=result.timing if isinstance(result.timing, Mapping) else {},
    )


def is_number(value: Any) -> bool:
    """Whether ``value`` is a number and not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _row(row: Mapping[str, Any], paired: bool) -> dict[str, Any]:
    return {key: _value(str(key), value, paired) for key, value in strict_json.plain(dict(row)).items()}


def _value(key: str, value: Any, paired: bool) -> Any:
    if paired and isinstance(value, dict) and isinstance(value.get("values"), list):
        change = value.get("change")
        return {"values": [item if is_number(item) else None for item in value["values"]], "change": change if is_number(change) else None}
    kind = COLUMNS[key][1] if key in COLUMNS else ""
    if kind in _NUMERIC:
        return value if is_number(value) else None
    if kind in {"status", "text"} and value is not None and key not in {"statuses", "reasons"}:
        return value if isinstance(value, str | bool) else text_of(value, 200)
    return value
