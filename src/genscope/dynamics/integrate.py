"""Long-time integration with error control: from one recorded time to the next, rolling back what went wrong."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from genscope.dynamics.homogeneous import Array
from genscope.dynamics.systems import Flow
from genscope.errors import GenscopeError, UsageError

METHODS = ("RK45", "DOP853", "RK23", "Radau", "LSODA")
REACHED, STATIONARY, BUDGET, DIVERGED = "reached", "stationary", "budget", "diverged"
_HALVINGS = 12
_STILL = 1e-7
_RISE = 1e-9  # of log L, what rounding may do
_SMOOTH = 600  # gradients that a stretch may take before it counts as sliding along a kink
_TRIAL, _RETRY = 40, 16
_SLIDING_STEPS, _SLIDING_STEP = 32, 0.02


@dataclass(frozen=True, eq=False)
class Point:
    """A good state of a run.

    Args:
        tau: ``ln(1 + t)``.
        state: of the flow.
        step: last step of the integrator in τ, where the next one begins.
        n_evaluations: gradients so far.
        drift: largest distance of a direction from its sphere before it was put back.
        slid: how many of the last stretches in a row slid along a kink.
    """

    tau: float
    state: Array
    step: float | None = None
    n_evaluations: int = 0
    drift: float = 0.0
    slid: int = 0


@dataclass(frozen=True)
class Plan:
    """How to integrate and where to end.

    Args:
        until: ends at the first recorded time at or after this ``ln(1 + t)``.
        decades: stop once ``log10 L`` is below minus this.
        method: a method of ``scipy.integrate.solve_ivp``.
        rtol: relative tolerance per step.
        atol: absolute tolerance per step.
        max_evaluations: gradients to spend.
    """

    until: float = 40.0
    decades: float = math.inf
    method: str = "RK45"
    rtol: float = 1e-8
    atol: float = 1e-10
    max_evaluations: int = 400_000

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"There is no method {self.method!r}; choose one of {', '.join(METHODS)}.")
        if not self.until > 0 or not self.decades > 0 or not 0 < self.rtol < 1 or not self.atol > 0:
            raise UsageError("The end of a flow and its tolerances must be positive numbers (rtol below 1).")


@dataclass
class Ending:
    """Why a run ended, in one word and one sentence."""

    word: str = REACHED
    sentence: str = ""
    rollbacks: int = 0
    slides: int = 0
    notes: list[str] = field(default_factory=list)


def next_time(tau: float) -> float:
    """The next recorded time: every 0.05 at first, then every hundredth of τ, whatever the end will be.

    Example:
        >>> next_time(0.0), next_time(100.0)
        (0.05, 101.0)
    """
    return tau + max(0.05, 0.01 * tau)


def integrate(flow: Flow, start: Point, plan: Plan, ending: Ending) -> Iterator[Point]:
    """Good states at the recorded times, ``start`` first.

    Each stretch is integrated by ``scipy.integrate.solve_ivp``. A stretch that fails or leaves the finite numbers is rolled back and tried
    at half its length, then with tighter tolerances; after twelve halvings the run ends at its last good state.

    Args:
        flow: the system.
        start: where to begin or go on.
        plan: tolerances and end.
        ending: filled in with the reason for the end.

    Yields:
        Points, strictly increasing in τ.

    Cost: about 6 gradients per step of RK45. The step follows the stiffest direction, so the cost grows in proportion to τ.
    """
    point = start
    yield point
    while True:
        log_loss, gradient = flow.problem.log_loss_and_gradient(flow.weights(point.state), flow.loss)
        if point.tau >= plan.until or log_loss <= -plan.decades * math.log(10):
            ending.word, ending.sentence = REACHED, ""
            return
        if not gradient.any():
            ending.word, ending.sentence = STATIONARY, f"The gradient is exactly zero from ln(1+t) = {point.tau:.4g} on: every unit is dead."
            return
        if _is_still(flow, point.state, gradient):
            ending.word, ending.sentence = STATIONARY, f"The flow stands still from ln(1+t) = {point.tau:.4g} on: a stationary point."
            return
        if point.n_evaluations >= plan.max_evaluations:
            ending.word = BUDGET
            ending.sentence = f"Stopped at ln(1+t) = {point.tau:.4g} after {point.n_evaluations:,} gradients; a run goes on from there."
            return
        onward = advance(flow, point, next_time(point.tau), plan, ending)
        if onward is None:
            if _is_still(flow, point.state, gradient, 1e4):
                ending.word, ending.sentence = STATIONARY, f"The flow stands still at ln(1+t) = {point.tau:.4g} as far as its kinks let it."
                return
            ending.word = DIVERGED
            ending.sentence = (
                f"The integration ends at ln(1+t) = {point.tau:.6g}: beyond, the flow changes direction too fast to follow (a plateau with kinks, or "
                "tolerances too wide); the last good state is kept."
            )
            return
        point = onward
        yield point


def advance(flow: Flow, point: Point, end: float, plan: Plan, ending: Ending) -> Point | None:
    """From ``point`` to ``end``, in halves where needed; a loss that rises is a step gone wrong, since no gradient flow raises it.

    Args:
        flow: the system.
        point: where to begin.
        end: τ at the end.
        plan: tolerances.
        ending: counts what was rolled back.

    Returns:
        The point at ``end``, or ``None`` when twelve halvings did not help or the gradients are spent.
    """
    length, shortest = end - point.tau, (end - point.tau) / 2**_HALVINGS
    now, allowed = _log_loss(flow, point), ending.rollbacks + 2 * _HALVINGS
    while point.tau < end:
        goal = end if point.tau + length >= end - shortest / 2 else point.tau + length
        tried = _solve(flow, point, goal, plan, ending)
        then = math.inf if tried is None else _log_loss(flow, tried)
        if tried is not None and then <= now + _RISE:
            point, now, length = tried, then, 2 * length
            continue
        ending.rollbacks += 1
        length /= 2
        spent = point.n_evaluations if tried is None else tried.n_evaluations
        point = replace(point, step=None, n_evaluations=spent)
        if length < shortest or spent >= plan.max_evaluations or ending.rollbacks > allowed:
            return None
    return point


class _TooMany(ArithmeticError):
    """A stretch asks for more gradients than a smooth flow would."""


def _solve(flow: Flow, point: Point, end: float, plan: Plan, ending: Ending) -> Point | None:
    """One stretch by ``solve_ivp``; where the flow slides along a kink, error control gives way to a small fixed step."""
    spent = 0

    def derivative(tau: float, state: Array) -> Array:
        nonlocal spent
        spent += 1
        if spent > allowed:
            raise _TooMany
        return flow.derivative(tau, state)

    length = end - point.tau
    usual: dict[str, Any] = {"method": plan.method, "rtol": plan.rtol, "atol": plan.atol}
    if point.step is not None:
        usual["first_step"] = min(point.step, length)
    fixed = length / max(_SLIDING_STEPS, math.ceil(length / _SLIDING_STEP))
    sliding = {"method": "RK23", "rtol": 1e9, "atol": 1e9, "first_step": fixed, "max_step": fixed}
    # what slides goes on sliding as a rule: error control gets a short trial then, and a long one now and again
    smooth = _SMOOTH + math.ceil(100 * length) if point.slid % _RETRY == 0 else _TRIAL + math.ceil(10 * length)
    for settings, limit, slid in ((usual, smooth, 0), (sliding, 1_000_000, point.slid + 1)):
        allowed = spent + limit
        try:
            with np.errstate(all="ignore"):
                found = solve_ivp(derivative, (point.tau, end), point.state, **settings)
        except _TooMany:
            ending.slides += 1
            continue
        except (ValueError, ArithmeticError, GenscopeError):
            return None
        state = found.y[:, -1]
        if not found.success or not np.isfinite(state).all():
            return None
        state, drift = flow.project(state)
        # the last step of a stretch is cut short by its end; the one before tells what the integrator would have taken
        steps = np.diff(found.t)
        step = float(steps[-2] if len(steps) > 1 else max(steps[-1], point.step or 0.0))
        return Point(end, state, point.step if slid else step, point.n_evaluations + spent, max(point.drift, drift), slid)
    return None


def _log_loss(flow: Flow, point: Point) -> float:
    return flow.problem.log_loss_and_gradient(flow.weights(point.state), flow.loss)[0]


def _is_still(flow: Flow, state: Array, gradient: Array, loosely: float = 1.0) -> bool:
    """Whether what moves the state has vanished: in A next to the whole gradient, else next to what one example pulls with."""
    moving = float(np.abs(flow.field(state, gradient)).max())
    if flow.system == "A":
        return moving < loosely * _STILL * float(np.abs(gradient).max()) * max(1.0, flow.rho ** (1 / flow.problem.depth))
    return moving < loosely * _STILL * float(flow.problem.x.abs().max())
