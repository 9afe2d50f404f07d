"""Gradient descent beside the flow: fixed steps and their gap, and steps of the loss frame that reach any loss."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from genscope.core.status import Undefined
from genscope.dynamics.homogeneous import Array, HomogeneousProblem
from genscope.dynamics.integrate import Ending, Plan, Point, advance
from genscope.dynamics.losses import log_loss
from genscope.dynamics.systems import Flow
from genscope.errors import UsageError

_LN10 = math.log(10)


@dataclass(frozen=True, eq=False)
class DescentPath:
    """Gradient descent at a few times, beside the flow at the same times.

    Args:
        tau: ``ln(1 + t)``, t the sum of the steps.
        log10_loss: of descent.
        flow_log10_loss: of the flow.
        gap: ``‖W_descent - W_flow‖ / ‖W_flow‖``.
        turn: angle between the two weight vectors in radians.
        step: learning rate.
        batch: examples per step (``None``: all).
    """

    tau: tuple[float, ...]
    log10_loss: tuple[float, ...]
    flow_log10_loss: tuple[float, ...]
    gap: tuple[float, ...]
    turn: tuple[float, ...]
    step: float
    batch: int | None = None


def descent_gap(
    problem: HomogeneousProblem,
    loss: str,
    *,
    step: float,
    n_steps: int,
    batch: int | None = None,
    rng: np.random.Generator | None = None,
    n_records: int = 40,
) -> DescentPath | Undefined:
    """(Stochastic) gradient descent with a fixed step, and how far it leaves the flow.

    Plain descent is Euler's method on system C: its gap to the flow is proportional to the step, so half the step halves it.

    Args:
        problem: network and data.
        loss: of :data:`genscope.dynamics.losses.LOSSES`.
        step: learning rate.
        n_steps: how many.
        batch: examples per step, drawn without replacement within an epoch; all by default.
        rng: of the batches.
        n_records: times at which the two are compared, evenly in ln t.

    Returns:
        The path, or why there is none (a step so large that descent diverges).

    Cost: ``n_steps`` gradients and the flow's.
    """
    if not step > 0 or n_steps < 1 or (batch is not None and not 1 <= batch <= problem.n_examples):
        raise UsageError(f"Descent needs a positive step, at least one step, and a batch between 1 and {problem.n_examples}.")
    marks = sorted({round(mark) for mark in np.geomspace(1, n_steps, n_records).tolist()})
    flow, plan, ending = Flow(problem, "C", loss), Plan(), Ending()
    point = Point(0.0, problem.initial.copy())
    weights, rows, order = problem.initial.copy(), [], np.zeros(0, dtype=int)
    for i in range(1, n_steps + 1):
        if batch is None:
            value, gradient = problem.log_loss_and_gradient(weights, loss)
        else:
            if len(order) < batch:
                order = (rng or np.random.default_rng(0)).permutation(problem.n_examples)
            value, gradient = _batch_gradient(problem, weights, loss, order[:batch])
            order = order[batch:]
        if not math.isfinite(value) or value > 300 or not np.isfinite(gradient).all():
            return Undefined(f"gradient descent with step {step:g} diverges at step {i}: the loss is beyond e^300; take a smaller step")
        weights = weights - step * math.exp(value) * gradient
        if i == marks[0]:
            marks.pop(0)
            onward = advance(flow, point, math.log1p(i * step), plan, ending)
            if onward is None:
                return Undefined("the flow beside descent could not be integrated")
            point = onward
            rows.append(_compare(problem, loss, weights, point))
            if not math.isfinite(rows[-1][1]):
                return Undefined(f"gradient descent with step {step:g} diverges at step {i}; take a smaller step")
    tau, here, there, gap, turn = (tuple(column) for column in zip(*rows, strict=True))
    return DescentPath(tau, here, there, gap, turn, step, batch)


def _compare(problem: HomogeneousProblem, loss: str, weights: Array, point: Point) -> tuple[float, float, float, float, float]:
    here, there = problem.log_loss_and_gradient(weights, loss)[0], problem.log_loss_and_gradient(point.state, loss)[0]
    size = float(np.linalg.norm(point.state))
    one, two = weights / np.linalg.norm(weights), point.state / size
    turn = 2 * math.atan2(float(np.linalg.norm(one - two)), float(np.linalg.norm(one + two)))
    return point.tau, here / _LN10, there / _LN10, float(np.linalg.norm(weights - point.state)) / size, turn


def _batch_gradient(problem: HomogeneousProblem, weights: Array, loss: str, chosen: Array) -> tuple[float, Array]:
    index = torch.from_numpy(np.ascontiguousarray(chosen))
    flat = torch.from_numpy(weights.copy()).requires_grad_(True)
    value = log_loss(problem.logits(flat, problem.x[index]), problem.y[index], loss)
    (gradient,) = torch.autograd.grad(value, flat)
    return value.item(), gradient.numpy()


@dataclass(frozen=True, eq=False)
class FramedDescent:
    """Descent whose step follows the loss.

    Args:
        tau: ``ln(1 + t)``.
        log10_loss: at these times.
        log10_step: ``log10`` of the learning rate.
        margin: normalized margin.
        weights: at the end.
        n_steps: accepted steps.
        n_rollbacks: steps undone because the loss rose.
    """

    tau: tuple[float, ...]
    log10_loss: tuple[float, ...]
    log10_step: tuple[float, ...]
    margin: tuple[float, ...]
    weights: Array
    n_steps: int
    n_rollbacks: int


def loss_based_descent(
    problem: HomogeneousProblem, loss: str, *, decades: float = 100.0, max_steps: int = 20_000, n_records: int = 200, weights: Array | None = None
) -> FramedDescent | Undefined:
    """Gradient descent with learning rate ``η/L`` in the loss frame: ``W ← W - η ∇ log L``.

    η is multiplied by ``2^{1/5}`` after a step that lowers the loss; one that raises it is undone and η divided by ``2^{1/10}``.

    Args:
        problem: network and data.
        loss: of :data:`genscope.dynamics.losses.LOSSES`.
        decades: end once ``log10 L < -decades``.
        max_steps: at most so many steps, undone ones included.
        n_records: about so many rows.
        weights: where to begin; default the problem's own.

    Returns:
        The path down, or why there is none. Cost: one gradient per step.

    Source: the schedule of Lyu & Li 2020, appendix K.
    """
    weights = (problem.initial if weights is None else weights).copy()
    value, gradient = problem.log_loss_and_gradient(weights, loss)
    if not float(np.abs(gradient).max()) > 0:
        return Undefined("the gradient is zero at the start, so descent stands still")
    rate = 0.1 / float(np.abs(gradient).max())
    rows: list[tuple[float, float, float, float]] = []
    tau, done, undone, next_mark = 0.0, 0, 0, 0.0
    while done + undone < max_steps and value > -decades * _LN10:
        tried = weights - rate * gradient
        new_value, new_gradient = problem.log_loss_and_gradient(tried, loss)
        if not new_value < value:
            rate, undone = rate / 2**0.1, undone + 1
            if rate * float(np.abs(gradient).max()) < 1e-14 * float(np.abs(weights).max()):
                break
            continue
        # t grows by rate / L
        tau = float(np.logaddexp(tau, math.log(rate) - value))
        weights, value, gradient, done = tried, new_value, new_gradient, done + 1
        if -value / _LN10 >= next_mark or not rows:
            rows.append((tau, value / _LN10, (math.log(rate) - value) / _LN10, problem.margin(weights)))
            next_mark = max(next_mark, -value / _LN10) + decades / n_records
        rate *= 2**0.2
    taus, losses, steps, margins = (tuple(row[i] for row in rows) for i in range(4))
    return FramedDescent(taus, losses, steps, margins, weights, done, undone)
