"""Gradient descent beside the flow: what the verb shows of it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from genscope.core.seeds import generator_for
from genscope.core.status import Undefined
from genscope.dynamics.descent import DescentPath, FramedDescent, descent_gap, loss_based_descent
from genscope.dynamics.homogeneous import HomogeneousProblem

_STEPS = 1500


@dataclass
class Beside:
    """Descent with a fixed step, with half of it, and in the loss frame."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    whole: DescentPath | None = None
    half: DescentPath | None = None
    framed: FramedDescent | None = None


def beside_flow(problem: HomogeneousProblem, loss: str, *, step: float | None, batch: int | None, seed: int) -> Beside:
    """Descent and its distance from the flow; the row says whether half the step halves it (full batches)."""
    size = step or _default_step(problem, loss)
    rng = generator_for(seed, "flow", "batches")
    whole = descent_gap(problem, loss, step=size, n_steps=_STEPS, batch=batch, rng=rng)
    half = descent_gap(problem, loss, step=size / 2, n_steps=2 * _STEPS, batch=batch, rng=rng)
    framed = loss_based_descent(problem, loss, decades=100.0, max_steps=4000)
    found = Beside(framed=None if isinstance(framed, Undefined) else framed)
    row: dict[str, Any] = {
        "lemma": "descent and flow",
        "source": "Euler's method",
        "statement": "half the step halves the distance of gradient descent from the flow",
        "residual": None,
        "tolerance": 0.5,
        "verdict": "NOT TESTED",
        "corrected": "",
        "corrected_verdict": "",
        "status": "skipped",
        "reason": "",
    }
    if isinstance(whole, Undefined) or isinstance(half, Undefined):
        row["reason"] = next(path.reason for path in (whole, half) if isinstance(path, Undefined))
        found.rows.append(row)
        return found
    found.whole, found.half = whole, half
    ratio = max(whole.gap) / max(max(half.gap), 1e-300)
    row["reason"] = f"largest relative distance {max(whole.gap):.3g} with step {size:.3g}, {max(half.gap):.3g} with half of it: ratio {ratio:.3g}"
    if batch is None:
        off = abs(float(np.log2(ratio)) - 1)
        row |= {"residual": off, "verdict": "HOLDS" if off < 0.5 else "FAILS", "status": "ok"}
    else:
        row["reason"] += f"; batches of {batch} add noise of their own"
    found.rows.append(row)
    return found


def _default_step(problem: HomogeneousProblem, loss: str) -> float:
    """A tenth of the length at which the first step would change the weights by their own size, at most 0.1."""
    value, gradient = problem.log_loss_and_gradient(problem.initial, loss)
    speed = float(np.linalg.norm(gradient)) * float(np.exp(min(value, 50.0)))
    return float(f"{min(0.1, 0.1 * float(np.linalg.norm(problem.initial)) / max(speed, 1e-12)):.1g}")
