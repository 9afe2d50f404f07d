"""``flow``: integrate a gradient flow and hold every lemma about it against the run."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from genscope.core.results import Result
from genscope.core.status import Undefined
from genscope.dynamics.descent import loss_based_descent
from genscope.dynamics.homogeneous import HomogeneousProblem, homogeneous_problem
from genscope.dynamics.integrate import BUDGET, DIVERGED, Plan
from genscope.dynamics.limits import SupportChange, support_changes
from genscope.dynamics.max_margin import MaxMargin, linear_max_margin
from genscope.dynamics.problems import named_problem
from genscope.dynamics.systems import Flow
from genscope.errors import UsageError
from genscope.sources.reproducibility import array_digest, reproducibility_block
from genscope.verbs.flow_curves import curves_of
from genscope.verbs.flow_descent import beside_flow
from genscope.verbs.flow_evidence import FAILS, HOLDS, Evidence
from genscope.verbs.flow_lemmas import lemma_rows
from genscope.verbs.flow_run import FlowRun, Progress, run_flow


def flow(
    problem: str | Any = "rings",
    data: Any = None,
    *,
    system: str = "C",
    loss: str | None = None,
    until: float | str = 60.0,
    rho: float | None = None,
    method: str = "RK45",
    rtol: float = 1e-8,
    step: float | None = None,
    batch: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Integrate a gradient flow on an exponential-type loss, hundreds of decades of loss deep, and test the theory on it.

    System A fixes ρ = Π‖W_k‖ and moves unit-norm layers; B moves ρ and the directions (weight normalization); C is plain training. All run in
    logarithmic time ``ln(1+t)`` in float64, with losses kept as logarithms.

    Args:
        problem: ``line``, ``deep-line``, ``rings``, ``three-classes``, ``stuck``, or a bias-free homogeneous ``nn.Module`` (it is not changed).
        data: ``(X, y)`` for a module: arrays or tensors; y is ±1 or class numbers.
        system: ``A``, ``B`` or ``C``.
        loss: ``exponential``, ``logistic`` or ``cross_entropy``; default cross-entropy for several outputs, else exponential.
        until: end, as ``ln(1+t)`` (``60``) or in decades of loss (``"300 decades"``).
        rho: the fixed ρ of system A; default 20 over the margin that plain training soon reaches, at least 10.
        method: ``RK45``, ``DOP853``, ``RK23``, ``Radau`` or ``LSODA`` of SciPy.
        rtol: relative tolerance per step.
        step: learning rate of the descent shown beside the flow (system C); default from the gradient at the start.
        batch: examples per step of that descent; default all.
        seed: of built-in problems and of every random draw.
        out: folder that keeps the run; the same call with a later ``until`` goes on from there.
        fresh: start over in that folder.
        progress: called with (done, total, name, share).

    Returns:
        A :class:`genscope.Result`: one row per lemma with ``statement residual tolerance verdict corrected corrected_verdict``, the traces in
        ``curves``, and ``summary`` with the end of the run.

    Raises:
        GenscopeError: one sentence: a network with biases or normalization, a zero layer, one class, another run in the folder.

    Cost: seconds for a built-in problem. Source: Poggio, Banburski & Liao 2020; Lyu & Li 2020.

    Example:
        >>> result = flow("line", until=12)
        >>> {row["lemma"]: row["verdict"] for row in result.rows}["support vector machine"]
        'HOLDS'
    """
    began = time.perf_counter()
    posed = named_problem(problem, seed) if isinstance(problem, str) else _posed(problem, data, seed)
    loss = loss or ("exponential" if posed.binary else "cross_entropy")
    plan = plan_of(until, method, rtol)
    truth = linear_max_margin(posed)
    running = _flow(posed, system, loss, rho)
    options = {"system": system, "loss": loss, "rho": running.rho if system == "A" else None, "method": method, "rtol": rtol, "seed": seed}
    manifest = {"verb": "flow", "problem": posed.name, "digest": _digest(posed), **options}
    folder = Path(out) if out is not None else None
    run = run_flow(running, plan, truth, folder=folder, manifest=manifest, fresh=fresh, progress=progress)
    beside = beside_flow(posed, loss, step=step, batch=batch, seed=seed) if system == "C" else None
    rows = [*lemma_rows(Evidence(running, run, truth, seed)), *(beside.rows if beside else [])]
    changes = support_changes(*(_series(run, key) for key in ("tau", "support", "margin")))
    result = Result(
        verb="flow",
        head={
            "source": posed.name,
            "story": posed.story,
            "options": {**options, "until": str(until), "step": step, "batch": batch},
            "summary": _summary(running, run, truth, rows, changes),
        },
        rows=rows,
        tail={"support_changes": [vars(change) for change in changes], "notes": _notes(run, truth)},
        curves=curves_of(running, run, truth, beside),
        reproducibility=reproducibility_block(seed=seed, packages=("numpy", "scipy", "torch")),
        timing={"seconds": round(time.perf_counter() - began, 3), "gradients": run.last.n_evaluations if run.last else 0},
    )
    if folder is not None:
        result.save(folder)
    return result


def plan_of(until: float | str, method: str = "RK45", rtol: float = 1e-8) -> Plan:
    """The end of a flow from ``60``, ``"60"`` (both ``ln(1+t)``) or ``"300 decades"``.

    Raises:
        UsageError: neither.

    Example:
        >>> plan_of("300 decades").decades, plan_of(60).until
        (300.0, 60.0)
    """
    text = str(until).strip().lower()
    number, in_decades = text, False
    for unit in ("decades", "decade", "dec"):
        if text.endswith(unit):
            number, in_decades = text.removesuffix(unit).strip(), True
            break
    try:
        value = float(number)
    except ValueError:
        raise UsageError(f"--until {text[:40]!r} is neither a logarithmic time such as 60 nor a number of decades such as '300 decades'.") from None
    if not 0 < value <= 20_000:
        raise UsageError("The end of a flow must be above 0 and at most 20000.")
    # ln(1 + t) needs more than the logarithm of the loss by a logarithm of ρ only
    end = value * math.log(10) * 1.5 + 60 if in_decades else value
    return Plan(end, value if in_decades else math.inf, method, rtol, max_evaluations=int(150_000 + 1000 * end))


def _posed(model: Any, data: Any, seed: int) -> HomogeneousProblem:
    if not isinstance(data, Sequence) or len(data) != 2:
        raise UsageError("A model of your own needs data=(X, y): inputs and labels.")
    return homogeneous_problem(model, data[0], data[1], seed=seed)


def _flow(problem: HomogeneousProblem, system: str, loss: str, rho: float | None) -> Flow:
    """The flow; in system A time is counted in units of one over the first loss, which a large fixed ρ makes huge."""
    if system != "A":
        return Flow(problem, system, loss)
    found = Flow(problem, system, loss, rho if rho is not None else _default_rho(problem, loss))
    first, _ = problem.log_loss_and_gradient(found.weights(found.start(problem.initial)), loss)
    return replace(found, log_unit=max(0.0, first))


def _default_rho(problem: HomogeneousProblem, loss: str) -> float:
    """A ρ at which the normalized network's smallest gap matters: 20 over the margin that descent in the loss frame soon reaches."""
    reached = loss_based_descent(problem, loss, decades=6, max_steps=2000)
    margin = reached.margin[-1] if not isinstance(reached, Undefined) and reached.margin else 0.0
    return float(f"{max(10.0, 20 / margin):.3g}") if margin > 1e-3 else 100.0


def _digest(problem: HomogeneousProblem) -> str:
    return array_digest(np.concatenate([problem.initial, problem.x.numpy().reshape(-1), problem.y.numpy().astype(float)]))


def _series(run: FlowRun, key: str) -> list[Any]:
    return [row[key] for row in run.rows]


def _summary(
    running: Flow, run: FlowRun, truth: MaxMargin | Undefined, rows: Sequence[Mapping[str, Any]], changes: Sequence[SupportChange]
) -> dict[str, Any]:
    last, problem = run.rows[-1], running.problem
    wrong = sum(gap <= 0 for gap in last["gaps"])
    holds = sum(row["verdict"] == HOLDS for row in rows)
    fails = [row for row in rows if row["verdict"] == FAILS]
    mended = sum(row["corrected_verdict"] == HOLDS for row in fails)
    separated = next((row["tau"] for row in run.rows if row["margin"] > 0), None)
    status = "doubtful" if wrong or run.ending.word in (DIVERGED, BUDGET) else "ok"
    facts = [
        f"{wrong} of {problem.n_examples} examples are on the wrong side at ln t = {last['tau']:.3g}: the data are not separated, and what the "
        "theory says of the time after is not tested."
        if wrong
        else f"The data are separated from ln t = {separated:.2g} on; at ln t = {last['tau']:.3g} the loss is 1e{last['log10_loss']:.4g}.",
        f"{holds} statements hold as printed, {len(fails)} do not{f' ({mended} of these hold as corrected later)' if mended else ''}.",
        run.ending.sentence,
    ]
    return {
        "log_time": last["tau"],
        "log10_loss": last["log10_loss"],
        "margin": last["margin"],
        "smoothed_margin": last["smoothed"],
        "max_margin": truth.margin if isinstance(truth, MaxMargin) else None,
        "angle": last["angle"],
        "kkt_epsilon": last["epsilon"],
        "kkt_delta": last["delta"],
        "n_support_changes": len(changes),
        "n_holds": holds,
        "n_fails": len(fails),
        "ended": run.ending.word,
        "status": status,
        "verdict": " ".join(fact for fact in facts if fact),
    }


def _notes(run: FlowRun, truth: MaxMargin | Undefined) -> list[str]:
    notes = []
    if run.ending.slides:
        notes.append(
            f"in {run.ending.slides} of {len(run.rows)} stretches the flow slides along a kink of the ReLU (a Filippov solution of a discontinuous "
            "equation); there a fixed small step replaces error control"
        )
    if run.ending.rollbacks:
        notes.append(f"{run.ending.rollbacks} stretches were rolled back and tried again at half the length")
    if isinstance(truth, Undefined) and "separable" in truth.reason:
        notes.append(truth.reason)
    if run.resumed_at is not None:
        notes.append(f"went on from ln(1+t) = {run.resumed_at:.4g}")
    return notes
