"""The folder of a watched run, read back with suspicion, while it is being written too."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genscope.core.results import Result
from genscope.core.run_log import MANIFEST, RECORDS, parse_records
from genscope.core.sealed import read_regular
from genscope.core.text import display_name
from genscope.errors import StoreError, UsageError
from genscope.sources.run_series import Key, Series, rows_of, series_of

SILENT_SECONDS = 60.0


@dataclass(frozen=True)
class Run:
    """A run as it stands.

    Args:
        name: last component of its folder.
        manifest: what it is (``model``, ``options``, ``versions``).
        records: steps, epochs, alarms and the end, in order.
        note: what could not be read, or ``None``.
        age: seconds since the last record was written.
    """

    name: str
    manifest: Mapping[str, Any]
    records: Sequence[Mapping[str, Any]]
    note: str | None
    age: float

    @property
    def state(self) -> str:
        """``finished``, ``stopped early``, ``failed: …`` as the run said itself; else ``running``, or ``silent`` when nothing came for long."""
        last = self.records[-1] if self.records else {}
        if last.get("kind") == "end":
            return display_name(str(last.get("reason") or "finished"), 80)
        times = [float(record["seconds"]) for record in self.records if isinstance(record.get("seconds"), float)]
        pace = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0
        return "running" if self.age < max(SILENT_SECONDS, 20.0 * pace) else "silent"


def is_run_folder(path: str | Path) -> bool:
    """Whether ``path`` is a folder that a monitor writes."""
    return os.path.lexists(Path(path) / MANIFEST)


def read_run(folder: str | Path) -> Run:
    """The run in ``folder``; the last line may still be being written.

    Raises:
        StoreError: no run there, or one that cannot be read.
    """
    folder = Path(folder)
    name = display_name(folder.resolve().name, 120)
    try:
        manifest = json.loads(read_regular(folder / MANIFEST))
        if not isinstance(manifest, dict) or manifest.get("verb") != "watch":
            raise ValueError
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"{name}: there is no watched run here; genscope.watch(model, out={name!r}) writes one.") from None
    except (OSError, ValueError, RecursionError):
        raise StoreError(f"{name}/{MANIFEST} is damaged; the run cannot be read.") from None
    try:
        text = read_regular(folder / RECORDS)
        age = max(0.0, time.time() - (folder / RECORDS).stat().st_mtime)
    except FileNotFoundError:
        text, age = "", 0.0
    except (OSError, ValueError):
        raise StoreError(f"{name}/{RECORDS} cannot be read; the run is damaged.") from None
    records, note = parse_records(text)
    return Run(name, manifest, records, note, age)


def load_run(folder: str | Path) -> Result:
    """The state of a run as a Result: one row per number, curves over the steps, alarms in words."""
    return result_of(read_run(folder))


def result_of(run: Run) -> Result:
    """See :func:`load_run`."""
    found = series_of(run.records)
    alarms = _alarms(run)
    summary = _summary(run, found, alarms)
    rows = [{**row, "status": "ok", "reason": None} for row in rows_of(found)]
    return Result(
        verb="watch",
        head={
            "source": run.name,
            "model": display_name(str(run.manifest.get("model") or "model"), 80),
            "state": run.state,
            "options": _mapping(run.manifest.get("options")),
            "summary": summary,
        },
        rows=rows,
        tail={"alarms": alarms, "skipped": _reasons(run), "notes": _notes(run)},
        curves=curves_of({"": found}),
        reproducibility=_mapping(run.manifest.get("versions")),
    )


def compare_runs(first: Run, second: Run) -> Result:
    """Two runs side by side: one row per number that either has, curves of both.

    Raises:
        UsageError: it is one run given twice.
    """
    if first.records and first.records == second.records:
        raise UsageError(f"{first.name}: the two runs are the same; give two different ones.")
    names = [first.name, second.name] if first.name != second.name else [f"{first.name} (1)", f"{second.name} (2)"]
    both = [series_of(run.records) for run in (first, second)]
    rows = []
    for key in dict.fromkeys([*both[0], *both[1]]):
        values = [found[key].values[-1] if key in found else None for found in both]
        best = [_best(key, found) for found in both]
        change = None if values[0] is None or values[1] is None else values[1] - values[0]
        rows.append(
            {"measure": key.measure, "layer": key.layer or None, "split": key.split or None, "values": values, "best": best, "change": change}
        )
    alarms = [{"run": name, **alarm} for name, run in zip(names, (first, second), strict=True) for alarm in _alarms(run)]
    summaries = [_summary(run, found, _alarms(run)) for run, found in zip((first, second), both, strict=True)]
    summary = {"models": summaries, "n_alarms": len(alarms), "verdict": _comparison(names, both)}
    head = {"source": " and ".join(names), "models": names, "state": f"{first.state} and {second.state}", "options": {}, "summary": summary}
    notes = [f"{name}: {note}" for name, run in zip(names, (first, second), strict=True) for note in _notes(run)]
    return Result("watch", head, rows, {"alarms": alarms, "skipped": [], "notes": notes}, curves_of(dict(zip(names, both, strict=True))))


def curves_of(runs: Mapping[str, Mapping[Key, Series]]) -> dict[str, Any]:
    """``measure -> series name -> curve``; with several runs the names say which."""
    curves: dict[str, dict[str, Any]] = {}
    words = {"batch": "training batches", "train": "training", "validation": "validation"}
    for run, found in runs.items():
        for key, series in found.items():
            place = f"{key.measure}/layers" if key.layer else key.measure
            name = " · ".join(filter(None, (run, key.layer or words.get(key.split, ""))))
            curves.setdefault(place, {})[name or key.measure] = series.curve(key.measure)
    return curves


def _summary(run: Run, found: Mapping[Key, Series], alarms: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    last = run.records[-1] if run.records else {}
    told: dict[str, Any] = {"step": last.get("step", 0), "epoch": last.get("epoch", 0), "seconds": last.get("seconds"), "n_alarms": len(alarms)}
    for split in ("batch", "train", "validation"):
        for measure in ("loss", "normalized_loss", "error"):
            if (series := found.get(Key(measure, split))) is not None:
                told[f"{split}_{measure}"] = series.values[-1]
    if (rho := found.get(Key("log_rho"))) is not None:
        told["log_rho"] = rho.values[-1]
    if isinstance(last.get("overhead"), int | float):
        told["overhead"] = last["overhead"]
    return {**told, "verdict": _verdict(run, found, alarms)}


def _verdict(run: Run, found: Mapping[Key, Series], alarms: Sequence[Mapping[str, Any]]) -> str:
    if not run.records:
        return "Nothing was recorded yet."
    last = run.records[-1]
    states = {"silent": f"No news for {run.age:,.0f} s (killed, or in a long step). Last record"}
    opening = states.get(run.state, f"The run is {run.state}" if run.state == "running" else f"The run has ended ({run.state})")
    sentences = [f"{opening}: step {last['step']:,}, epoch {last.get('epoch', 0)}."]
    split = next((name for name in ("validation", "train", "batch") if Key("normalized_loss", name) in found), None)
    if split is not None:
        series = found[Key("normalized_loss", split)]
        best = series.best("normalized_loss") or 0
        words = {"batch": "training"}.get(split, split if split != "train" else "training")
        where = "now" if best == len(series.values) - 1 else f"at step {series.steps[best]:,}; now it is {series.values[-1]:.6g}"
        sentences.append(f"The normalized {words} loss was smallest, {series.values[best]:.6g}, {where}.")
    n = len(alarms)
    sentences.append(f"{n} alarm{'s' if n != 1 else ''} sounded." if n else "No alarm sounded.")
    return " ".join(sentences)


def _comparison(names: Sequence[str], both: Sequence[Mapping[Key, Series]]) -> str:
    for split in ("validation", "train", "batch"):
        key = Key("normalized_loss", split)
        if all(key in found for found in both):
            best = [min(found[key].values) for found in both]
            words = "validation" if split == "validation" else "training"
            better = names[0] if best[0] < best[1] else names[1]
            return f"{better} reached the smaller normalized {words} loss: {best[0]:.6g} in {names[0]}, {best[1]:.6g} in {names[1]}."
    return "The runs have no normalized loss in common."


def _best(key: Key, found: Mapping[Key, Series]) -> float | None:
    series = found.get(key)
    best = None if series is None else series.best(key.measure)
    return None if series is None or best is None else series.values[best]


def _alarms(run: Run) -> list[dict[str, Any]]:
    known = [record for record in run.records if record["kind"] == "alarm"]
    return [
        {
            "rule": display_name(str(record.get("rule")), 60),
            "sentence": display_name(str(record.get("sentence")), 500),
            "step": record["step"],
            "numbers": _mapping(record.get("numbers")),
        }
        for record in known
    ]


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _reasons(run: Run) -> list[dict[str, str]]:
    """Each number that could not be had, with its last reason."""
    found: dict[str, str] = {}
    for record in run.records:
        reasons = record.get("reasons")
        found |= {str(name): str(reason) for name, reason in reasons.items()} if isinstance(reasons, dict) else {}
    return [{"layer": display_name(name, 120), "reason": display_name(reason, 300)} for name, reason in found.items()]


def _notes(run: Run) -> list[str]:
    told = [str(note) for record in run.records for note in (record.get("notes") or ()) if isinstance(record.get("notes"), list)]
    return [display_name(note, 400) for note in dict.fromkeys([*told, *([run.note] if run.note else [])])]
