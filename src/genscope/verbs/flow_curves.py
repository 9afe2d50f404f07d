"""The traces of a flow as the small arrays that its pictures are drawn from."""

from typing import Any

import numpy as np
import torch

from genscope.core.status import Undefined
from genscope.dynamics.growth import grown_margin
from genscope.dynamics.homogeneous import HomogeneousProblem
from genscope.dynamics.max_margin import MaxMargin
from genscope.dynamics.systems import Flow
from genscope.errors import UsageError
from genscope.verbs.flow_descent import Beside
from genscope.verbs.flow_run import FlowRun

_POINTS, _FRAMES, _CELLS, _EXAMPLES = 400, 16, 48, 40
_LEVELS = 200  # outputs on the grid are kept in this many steps of their largest value
_SCALARS = ("log10_loss", "margin", "smoothed", "angle", "epsilon", "delta", "best_epsilon", "turning")
_RESIDUALS = ("euler", "growth", "drift_layers", "drift_neurons", "drift_products")


def curves_of(flow: Flow, run: FlowRun, truth: MaxMargin | Undefined, beside: Beside | None) -> dict[str, Any]:
    """Traces over ``ln(1+t)``, per layer and per example, residuals, descent, and the boundary in the plane where there is one."""
    n = len(run.rows)
    kept = np.unique(np.linspace(0, n - 1, min(n, _POINTS)).astype(int))
    rows = [run.rows[i] for i in kept]
    tau = [row["tau"] for row in rows]
    curves: dict[str, Any] = {
        "trace": {"tau": tau, **{key: [row[key] for row in rows] for key in _SCALARS}},
        "norms": {"layers": list(flow.problem.layers), "values": [[row["norms"][k] for row in rows] for k in range(flow.problem.depth)]},
        "residuals": {"tau": tau, **{key: [row[key] for row in rows] for key in _RESIDUALS if any(row[key] is not None for row in rows)}},
        "gaps": _lowest_gaps(rows, tau),
        "law": _law(flow, rows),
        "max_margin": truth.margin if isinstance(truth, MaxMargin) else None,
        "n_examples": flow.problem.n_examples,
    }
    if beside is not None and beside.whole is not None and beside.half is not None:
        paths = (beside.whole, beside.half)
        curves["descent"] = [
            {"step": p.step, "batch": p.batch, "tau": p.tau, "gap": p.gap, "turn": p.turn, "log10_loss": p.log10_loss} for p in paths
        ]
    if beside is not None and beside.framed is not None:
        framed = beside.framed
        curves["framed"] = {"tau": framed.tau, "log10_loss": framed.log10_loss, "log10_step": framed.log10_step}
    if flow.problem.constant is not None:
        curves["boundary"] = _boundary(flow, run)
    return curves


def _lowest_gaps(rows: list[dict[str, Any]], tau: list[float]) -> dict[str, Any]:
    """Normalized gaps of the examples that are lowest at the end or were ever the support vector."""
    last = np.array(rows[-1]["gaps"])
    chosen = {int(i) for i in np.argsort(last)[:6]} | {row["support"] for row in rows if row["margin"] > 0}
    shown = sorted(chosen, key=lambda i: last[i])[:_EXAMPLES]
    return {"tau": tau, "examples": shown, "values": [[row["gaps"][i] for row in rows] for i in shown]}


def _law(flow: Flow, rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Smallest gap of the network, and the growth law for the margin at each time."""
    if flow.system != "C":
        return None
    tau, gap, law = [], [], []
    for row in rows:
        if row["tau"] < 3 or row["smoothed"] is None:
            continue
        try:
            expected = grown_margin(row["tau"], flow.problem.depth, row["margin"])
        except UsageError:
            continue
        tau.append(row["tau"])
        gap.append(row["margin"] * float(np.prod(row["norms"])))
        law.append(expected)
    return {"tau": tau, "gap": gap, "law": law} if tau else None


def _boundary(flow: Flow, run: FlowRun) -> dict[str, Any]:
    """The normalized network on a grid of the plane at two dozen times, most of them early, where things happen."""
    problem = flow.problem
    plane = problem.x[:, :2].numpy()
    reach = float(np.abs(plane).max()) * 1.25
    axis = np.linspace(-reach, reach, _CELLS)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    constants = np.tile(np.array(problem.constant or ()), (len(grid), 1))
    inputs = torch.from_numpy(np.concatenate([grid, constants], 1))
    tau = np.array([row["tau"] for row in run.rows])
    marks = tau[-1] * np.linspace(0, 1, _FRAMES) ** 2.2
    chosen = np.unique(np.searchsorted(tau, marks).clip(0, len(tau) - 1))
    frames = [_frame(problem, flow, run, int(i), inputs) for i in chosen]
    labels = problem.y.numpy()
    return {
        "points": plane.round(4),
        "labels": labels.astype(int),
        "reach": reach,
        "cells": _CELLS,
        "levels": _LEVELS,
        "binary": problem.binary,
        "frames": frames,
    }


def _frame(problem: HomogeneousProblem, flow: Flow, run: FlowRun, i: int, inputs: torch.Tensor) -> dict[str, Any]:
    directions = problem.directions(flow.weights(run.states[i]))
    with torch.no_grad():
        outputs = problem.logits(torch.from_numpy(directions), inputs)
    row = run.rows[i]
    facts = {"tau": row["tau"], "log10_loss": row["log10_loss"], "margin": row["margin"], "support": row["support"]}
    if outputs.ndim == 1:
        values = outputs.numpy()
        return {**facts, "values": _levels(values)}
    best = outputs.topk(2, dim=1)
    lead = (best.values[:, 0] - best.values[:, 1]).numpy()
    return {**facts, "values": _levels(lead), "classes": best.indices[:, 0].numpy()}


def _levels(values: np.ndarray) -> np.ndarray:
    return (_LEVELS * values / max(float(np.abs(values).max()), 1e-300)).round().astype(int)
