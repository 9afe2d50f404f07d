"""Running a flow and keeping it: rows of numbers that a later call extends."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from genscope.core import strict_json
from genscope.core.files import write_atomically
from genscope.core.status import Undefined
from genscope.dynamics.integrate import Ending, Plan, Point, integrate
from genscope.dynamics.max_margin import MaxMargin
from genscope.dynamics.systems import Flow
from genscope.dynamics.trace import Recorder
from genscope.errors import StoreError
from genscope.sources.cells import read_regular

Progress = Callable[[int, int, str, float], None]
_SAVE_EVERY = 5.0  # seconds


@dataclass
class FlowRun:
    """A run so far: its rows, the states at them, and how it ended."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    states: list[np.ndarray] = field(default_factory=list)
    last: Point | None = None
    ending: Ending = field(default_factory=Ending)
    resumed_at: float | None = None


def run_flow(
    flow: Flow,
    plan: Plan,
    truth: MaxMargin | Undefined,
    *,
    folder: Path | None,
    manifest: Mapping[str, Any],
    fresh: bool = False,
    progress: Progress | None = None,
) -> FlowRun:
    """Integrate to the end of ``plan``; with ``folder``, go on from what is kept there and keep what is done.

    The recorded times do not depend on the end, so that a run that goes on gives the rows of one that was never stopped.

    Args:
        flow: the system.
        plan: tolerances and end.
        truth: see :class:`Recorder`.
        folder: where ``flow.json`` is kept.
        manifest: what must agree for a run to go on.
        fresh: start over.
        progress: called with (done, total, name, share).

    Raises:
        StoreError: the folder holds another run, or cannot be written.
    """
    recorder = Recorder(flow, truth)
    run = _held(folder, manifest, fresh) or FlowRun()
    kept = len(run.rows)
    start = run.last or Point(0.0, flow.start(flow.problem.initial))
    saved = time.monotonic()
    for point in integrate(flow, start, plan, run.ending):
        if not (kept and point is start):
            run.rows.append(recorder.row(point))
            run.states.append(point.state)
        run.last = point
        if progress is not None:
            row = run.rows[-1]
            share = max(min(1.0, point.tau / plan.until), min(1.0, -row["log10_loss"] / plan.decades))
            progress(int(1000 * share), 1000, f"ln t = {point.tau:.1f}, loss 1e{row['log10_loss']:.0f}", share)
        if folder is not None and time.monotonic() - saved > _SAVE_EVERY:
            _keep(folder, manifest, run)
            saved = time.monotonic()
    if folder is not None:
        _keep(folder, manifest, run)
    return cut(run, plan)


def _keep(folder: Path, manifest: Mapping[str, Any], run: FlowRun) -> None:
    last = run.last
    if last is None:
        return
    point = {"tau": last.tau, "state": last.state, "step": last.step, "n_evaluations": last.n_evaluations, "drift": last.drift, "slid": last.slid}
    counts = {"rollbacks": run.ending.rollbacks, "slides": run.ending.slides}
    document = {"manifest": dict(manifest), "last": point, "counts": counts, "rows": run.rows, "states": run.states}
    write_atomically(folder / "flow.json", strict_json.dumps(document))


def _held(folder: Path | None, manifest: Mapping[str, Any], fresh: bool) -> FlowRun | None:
    """What an earlier call left in the folder, or ``None``."""
    if folder is None or fresh:
        return None
    try:
        document = json.loads(read_regular(folder / "flow.json"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        raise StoreError(f"{folder.name}/flow.json cannot be read; use --fresh to start over, or another --out folder.") from None
    try:
        held = document["manifest"]
        wanted = json.loads(strict_json.dumps(dict(manifest)))
        for name in sorted({*held, *wanted}):
            if held.get(name) != wanted.get(name):
                change = f"{name} was {json.dumps(held.get(name))[:60]}, now {json.dumps(wanted.get(name))[:60]}"
                raise StoreError(f"{folder.name}: it holds another flow ({change}); use --fresh to replace it, or another --out folder.")
        last = document["last"]
        point = Point(**{**last, "state": np.array(last["state"], dtype=float)})
        states = [np.array(state, dtype=float) for state in document["states"]]
        counts = Ending(rollbacks=int(document["counts"]["rollbacks"]), slides=int(document["counts"]["slides"]))
        return FlowRun(list(document["rows"]), states, point, counts, point.tau)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise StoreError(f"{folder.name}/flow.json is damaged; use --fresh to start over, or another --out folder.") from None


def cut(run: FlowRun, plan: Plan) -> FlowRun:
    """The run without rows beyond the end of ``plan``, for a kept run that went further."""
    ends = (i + 1 for i, row in enumerate(run.rows) if row["tau"] >= plan.until or row["log10_loss"] <= -plan.decades)
    n = next(ends, len(run.rows))
    return replace(run, rows=run.rows[:n], states=run.states[:n]) if n < len(run.rows) else run
