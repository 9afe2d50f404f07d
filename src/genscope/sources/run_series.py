"""The records of a run as series: one per number, split and layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from genscope.core.run_log import SPLITS, numbers_of

# What a smaller value is better for; of the others the last value is told, not the best.
LOWER_IS_BETTER = ("loss", "normalized_loss", "error")
HIGHER_IS_BETTER = ("margin_min", "margin_q05", "margin_q25", "margin_median")
_BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Key:
    """Which number: its name, where (``batch`` for the batches of measured steps, ``train``, ``validation``, or nothing) and of which layer."""

    measure: str
    split: str = ""
    layer: str = ""


@dataclass
class Series:
    """Values by step, in order."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def best(self, measure: str) -> int | None:
        """Position of the best value, ``None`` where no direction is good."""
        if not self.values:
            return None
        if measure in LOWER_IS_BETTER:
            return min(range(len(self.values)), key=self.values.__getitem__)
        if measure.removeprefix("normalized_") in HIGHER_IS_BETTER:
            return max(range(len(self.values)), key=self.values.__getitem__)
        return None

    def curve(self, ylabel: str) -> dict[str, Any]:
        """What the page draws."""
        return {"x": self.steps, "y": self.values, "xlabel": "step", "ylabel": ylabel}


def series_of(records: Sequence[Mapping[str, Any]]) -> dict[Key, Series]:
    """Every number of every record, undefined ones left out.

    Example:
        >>> found = series_of([{"kind": "step", "step": 1, "train": {"loss": 2.0}}, {"kind": "step", "step": 2, "train": {"loss": 1.0}}])
        >>> found[Key("loss", "batch")].values
        [2.0, 1.0]
    """
    found: dict[Key, Series] = {}
    for record in records:
        for measure, where, value in numbers_of(record):
            if value is None:
                continue
            split = where if where in SPLITS else ""
            if split == "train" and record["kind"] == "step":
                split = "batch"
            series = found.setdefault(Key(measure, split, where.removeprefix("layer:") if where.startswith("layer:") else ""), Series())
            if series.steps and series.steps[-1] == record["step"]:
                series.values[-1] = value  # an epoch ends on a measured step: the later one counts
            else:
                series.steps.append(record["step"])
                series.values.append(value)
    return found


def rows_of(found: Mapping[Key, Series]) -> list[dict[str, Any]]:
    """One row per series: where it began, where it stands, and where it was best."""
    rows = []
    for key, series in found.items():
        best = series.best(key.measure)
        rows.append(
            {
                "measure": key.measure,
                "layer": key.layer or None,
                "split": key.split or None,
                "first": series.values[0],
                "value": series.values[-1],
                "step": series.steps[-1],
                "best": None if best is None else series.values[best],
                "best_step": None if best is None else series.steps[best],
                "n": len(series.values),
            }
        )
    return rows


def history_rows(records: Sequence[Mapping[str, Any]], run: str = "") -> list[dict[str, Any]]:
    """Every number of a run as one row, for CSV and Parquet."""
    rows = []
    for record in records:
        for measure, where, value in numbers_of(record):
            split, layer = (where, None) if where in SPLITS else (None, where.removeprefix("layer:") or None)
            known = {"step": record["step"], "epoch": record.get("epoch"), "kind": record["kind"], "measure": measure}
            rows.append({**({"run": run} if run else {}), **known, "split": split, "layer": layer, "value": value})
    return rows


def sparkline(values: Sequence[float], width: int = 20) -> str:
    """A series as a line of blocks, the mean of each stretch.

    Example:
        >>> sparkline([0.0, 1.0, 2.0, 3.0], 4)
        '▁▃▆█'
    """
    if not values:
        return ""
    n = min(width, len(values))
    cuts = [len(values) * k // n for k in range(n + 1)]
    means = [sum(values[low:high]) / (high - low) for low, high in pairwise(cuts)]
    low, high = min(means), max(means)
    if high <= low:
        return _BLOCKS[3] * n
    return "".join(_BLOCKS[round((mean - low) / (high - low) * (len(_BLOCKS) - 1))] for mean in means)
