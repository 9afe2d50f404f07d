"""What every verb returns: rows, a summary, and enough to draw the report again."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genscope.core import strict_json
from genscope.core.files import write_atomically
from genscope.core.text import display_name

if TYPE_CHECKING:
    import pandas

SCHEMA_VERSION = 1
# how the rows of each verb's result are called in its JSON document
ROWS_NAME = {
    "describe": "tensors",
    "analyze": "matrices",
    "compare": "matrices",
    "smooth": "matrices",
    "assess": "measures",
    "rank": "measures",
    "reproduce": "checks",
    "landscape slice": "points",
    "landscape basin": "cutoffs",
    "landscape plane": "points",
    "landscape path": "points",
    "landscape boundary": "examples",
    "landscape trajectory": "checkpoints",
    "watch": "measures",
    "approximate": "networks",
    "flow": "lemmas",
}


@dataclass(frozen=True, repr=False)
class Result:
    """The outcome of one verb.

    Args:
        verb: ``describe analyze compare assess rank reproduce …``.
        head: the top-level facts that the verb's JSON begins with (``source``, ``options``, ``n_models`` …), in order.
        rows: one mapping per row of the table.
        tail: what follows the rows (``skipped``, ``unmatched``, ``notes`` …).
        curves: per row key, the small arrays that the report draws (never printed by ``--json``).
        reproducibility: versions, seed, threads, device, digests.
        timing: seconds and peak memory; the only part that differs between two identical runs.
    """

    verb: str
    head: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    tail: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, Any] = field(default_factory=dict)
    reproducibility: Mapping[str, Any] = field(default_factory=dict)
    timing: Mapping[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> Mapping[str, Any]:
        """The few numbers and the verdict that stand for the whole."""
        return self.head.get("summary", {})

    @property
    def table(self) -> "pandas.DataFrame":
        """One row per number or per layer view, as a pandas DataFrame."""
        import pandas

        return pandas.DataFrame([dict(row) for row in self.rows])

    def to_dict(self) -> dict[str, Any]:
        """The ``--json`` document: the verb's contract first, then schema, reproducibility and timing."""
        return {
            **self.head,
            ROWS_NAME[self.verb]: [dict(row) for row in self.rows],
            **self.tail,
            "schema_version": SCHEMA_VERSION,
            "verb": self.verb,
            "reproducibility": dict(self.reproducibility),
            "timing": dict(self.timing),
        }

    def to_json(self, indent: int | None = 2) -> str:
        """Strict JSON text of :meth:`to_dict`."""
        return strict_json.dumps(self.to_dict(), indent=indent)

    def save(self, folder: str | Path) -> Path:
        """Write ``result.json``, ``curves.json`` and ``timing.json`` into ``folder``; the first two are the same bytes for the same run."""
        folder = Path(folder)
        document = self.to_dict()
        timing = document.pop("timing")
        write_atomically(folder / "curves.json", strict_json.dumps(dict(self.curves)))
        write_atomically(folder / "timing.json", strict_json.dumps(timing, indent=2))
        write_atomically(folder / "result.json", strict_json.dumps(document, indent=1))
        return folder

    def to_html(self, path: str | Path) -> Path:
        """Write the self-contained report page."""
        # The report is a floor far above; reached by name at call time so that values stay free of drawing code.
        write_report = importlib.import_module("genscope.report.page").write_report
        return write_report(self, Path(path))

    def __repr__(self) -> str:
        source = self.head.get("source") or self.head.get("models") or self.head.get("model") or ""
        return f"<genscope {self.verb} {source}: {len(self.rows)} {ROWS_NAME[self.verb]}. {self.summary.get('verdict', '')}>"

    def _repr_html_(self) -> str:
        columns = [
            name
            for name in ("layer", "view", "measure", "status", "value", "alpha", "alpha_low", "alpha_high", "stable_rank", "kendall")
            if self.rows and name in self.rows[0]
        ]
        head = "".join(f"<th>{escape(name)}</th>" for name in columns)
        body = "".join("<tr>" + "".join(f"<td>{_cell(row.get(name))}</td>" for name in columns) + "</tr>" for row in self.rows[:60])
        verdict = escape(str(self.summary.get("verdict", "")))
        return f"<p><b>genscope {self.verb}</b> {verdict}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else escape(display_name(str(value), 60))
