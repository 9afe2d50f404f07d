"""The page of ``approximate``: verdict, error against units, exponents, unit counts, the square, what optimization hides, and the table."""

from collections.abc import Mapping, Sequence
from typing import Any

from genscope.core.results import Result
from genscope.figures.approximation import NAMES, count_picture, error_picture, exponent_picture
from genscope.report import sections as parts
from genscope.report.intake import is_number
from genscope.report.payload import table_of
from genscope.report.pictures import pictures_section
from genscope.report.sections import Section
from genscope.report.wording import number_of, text_of

Row = Mapping[str, Any]
_VISIBLE = ("architecture", "variables", "n_units", "n_parameters", "error", "error_low", "error_high", "largest_error", "status", "reason")
_KEYS = {
    "tree_exponent": "Exponent, trees",
    "shallow_exponent": "Exponent, shallow",
    "exponent_difference": "Difference",
    "largest_excess": "Largest excess of training",
    "n_networks": "Networks trained",
}
_NOTES = {"largest_excess": "error of a trained over a built tree; above 1 it is optimization error", "exponent_difference": "paired by seed"}
_ERROR_KEYS = ("n_units", "error", "error_low", "error_high")


def approximate_sections(result: Result) -> list[Section]:
    """What the page shows, in reading order."""
    exponents = _usable(result.tail.get("exponents"), ("architecture", "variables"))
    rows = _usable(result.rows, ("architecture", "variables"))
    return parts.present(
        parts.key_numbers(result.summary, list(_KEYS), _KEYS, _NOTES),
        _errors(result, rows),
        _by_dimension(exponents),
        _exponents(exponents),
        _optimization(_usable(result.tail.get("optimization"), ("architecture", "variables"))),
        *_counts(_usable(result.tail.get("unit_counts"), ("variables", "degree", "tree", "shallow", "shallow_composed"))),
        _square(_usable(result.tail.get("square"), ("depth",))),
        parts.table_section(table_of(result.rows, _VISIBLE, "architecture"), "All networks", "", ("status",), "No network was trained."),
        parts.notes(result.tail.get("notes")),
        parts.glossary("approximate"),
        parts.reproducibility(result),
    )


def approximate_verdict(result: Result) -> str:
    """How many networks there are."""
    return f"{len(result.rows):,} kinds of networks were fitted." if result.rows else "No network was trained."


def _usable(entries: Any, keys: Sequence[str]) -> list[dict[str, Any]]:
    """The rows whose ``keys`` hold what they should: names are text, all else numbers."""
    found = entries if isinstance(entries, list | tuple) else ()
    return [
        dict(row)
        for row in found
        if isinstance(row, Mapping) and all(isinstance(row.get(key), str) if key == "architecture" else is_number(row.get(key)) for key in keys)
    ]


def _errors(result: Result, rows: Sequence[Row]) -> Section | None:
    drawn = [_ordered(_numbers(row, _ERROR_KEYS), "error_low", "error", "error_high") for row in rows if row["architecture"] in NAMES]
    drawn = [row for row in drawn if (row["error"] or 0) > 0 and (row["n_units"] or 0) > 0]
    lines, guides = (_drawable(result.curves.get(name)) for name in ("lines", "guides"))
    return pictures_section([error_picture(drawn, lines, guides)] if drawn else [], "errors", "Error against units")


def _by_dimension(exponents: Sequence[Row]) -> Section | None:
    keys = ("exponent", "low", "high", "theorem")
    shown = [_ordered(_numbers(row, keys), "low", "exponent", "high") for row in exponents if row["architecture"] in NAMES]
    return pictures_section([exponent_picture(shown)] if shown else [], "dimension", "Exponents against n")


def _numbers(row: Row, keys: Sequence[str]) -> dict[str, Any]:
    """Architecture, n and ``keys``, with nothing where a number should be and is not."""
    return {
        "architecture": row["architecture"],
        "variables": row["variables"],
        **{key: row[key] if is_number(row.get(key)) else None for key in keys},
    }


def _ordered(row: dict[str, Any], low: str, middle: str, high: str) -> dict[str, Any]:
    """``row`` without the ends of an interval that does not hold its middle."""
    value = row[middle]
    if value is not None and not (row[low] is None or row[low] <= value):
        row[low] = None
    if value is not None and not (row[high] is None or row[high] >= value):
        row[high] = None
    return row


def _drawable(entries: Any) -> list[dict[str, Any]]:
    """Lines with two ends in both coordinates, above zero."""
    found = []
    for row in _usable(entries, ("variables",)):
        ends = [row.get("x"), row.get("y")]
        if all(isinstance(one, list) and len(one) == 2 and all(is_number(value) and value > 0 for value in one) for one in ends):
            style = row.get("style") if row.get("style") in ("--", ":") else "-"
            found.append({**row, "style": style, "label": text_of(row.get("label") or "", 20), "architecture": row.get("architecture")})
    return found


def _exponents(rows: Sequence[Row]) -> Section | None:
    if not rows:
        return None
    heads = ["exponent", "95 %", "bootstrap 95 %", "theorem", "by parameters"]
    lines = [
        {
            "label": text_of(f"{NAMES.get(row['architecture'], row['architecture'])}, n = {row['variables']}", 80),
            "values": [
                number_of(row.get("exponent"), 3), _ends(row, "low", "high"), _ends(row, "bootstrap_low", "bootstrap_high"),
                number_of(row.get("theorem"), 3), number_of(row.get("exponent_parameters"), 3),
            ],
        }
        for row in rows
    ]  # fmt: skip
    lead = (
        "error ≈ c·N^(−b) for N units; every seed has its own line, b is the mean of their slopes. Resampling a handful of seeds gives intervals "
        "that are too narrow; Student's t stands first."
    )
    return Section("glance", "exponents", "Exponents", lead, data={"head": "Architecture", "models": heads, "lines": lines})


def _optimization(rows: Sequence[Row]) -> Section | None:
    if not rows:
        return None
    lines = [
        {
            "label": text_of(f"{NAMES.get(row['architecture'], row['architecture'])}, n = {row['variables']}", 80),
            "values": [
                number_of(row.get("excess"), 3),
                _ends(row, "excess_low", "excess_high"),
                f"{row.get('n_inversions')} of {row.get('n_steps')}",
            ],
        }
        for row in rows
    ]
    lead = (
        "Excess: error of the tree trained from random weights over that of the tree built node by node, which exists; above 1 it is optimization "
        "error. Worse when wider: steps to the next width after which the error rose, which best approximations never do."
    )
    heads = ["excess", "95 %", "worse when wider"]
    return Section("glance", "optimization", "What optimization hides", lead, data={"head": "Architecture", "models": heads, "lines": lines})


def _counts(rows: Sequence[Row]) -> list[Section | None]:
    if not rows:
        return []
    heads = ["shallow", "rank", "tree", "dimension", "rank", "printed k^n", "printed (n−1)k²", "shallow, same degree"]
    keys = ("shallow", "monomial_rank", "tree", "tree_dimension", "tree_rank", "shallow_printed", "tree_printed", "shallow_composed")
    lines = [{"label": f"n = {row['variables']}, k = {row['degree']}", "values": [number_of(row.get(key), 6) for key in keys]} for row in rows]
    lead = (
        "Theorems 2 and 3 exactly: C(n+k, k) and (n−1)·C(2+k, 2), with numeric ranks where they are small; a tree's dimension is its units less two "
        "for every inner edge. For n = 4 and k = 2 the tree is not smaller."
    )
    return [
        pictures_section([count_picture(rows)], "counts", "Units for polynomials", lead),
        Section("glance", "count-table", "Unit counts", data={"head": "Polynomials", "models": heads, "lines": lines}),
    ]


def _square(rows: Sequence[Row]) -> Section | None:
    if not rows:
        return None
    heads = ["units", "largest error", "2^(−2L−2)"]
    lines = [
        {"label": f"L = {row['depth']}", "values": [number_of(row.get("n_units")), *(number_of(row.get(key), 4) for key in ("error", "exact_error"))]}
        for row in rows
    ]
    lead = "Yarotsky's ReLU network for the square of the positive part, L hidden layers of four units: its error falls exponentially with depth."
    return Section("glance", "square", "The square by ReLU", lead, data={"head": "Depth", "models": heads, "lines": lines})


def _ends(row: Row, low: str, high: str) -> str:
    return f"{number_of(row[low], 3)} to {number_of(row[high], 3)}" if is_number(row.get(low)) and is_number(row.get(high)) else "–"
