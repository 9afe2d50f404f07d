"""The margin problem and the norm problem solved directly, to hold the limit of a flow against."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize

from genscope.core.status import Undefined
from genscope.dynamics.homogeneous import Array, HomogeneousProblem
from genscope.dynamics.losses import gaps

LARGEST = 200
_TOO_LARGE = f"the network has more than {LARGEST} weights, too many for sequential quadratic programming here"


@dataclass(frozen=True)
class Neighbour:
    """Whether directions near a limit have a larger margin.

    Args:
        margin: at the limit, after polishing it inside the box (a run of finite length has not arrived).
        best: largest margin found from disturbed starts inside the box.
        distance: largest distance of a layer of that point from the limit's.
        n_starts: disturbed starts.
        radius: half-width of the box around the limit's directions.
    """

    margin: float
    best: float
    distance: float
    n_starts: int
    radius: float


def neighbours_with_larger_margin(
    problem: HomogeneousProblem, weights: Array, rng: np.random.Generator, *, radius: float = 0.2, n_starts: int = 6
) -> Neighbour | Undefined:
    """Look for a larger margin next to the directions of ``weights``: ``max γ`` with ``q_n(V) ≥ γ``, ``‖V_k‖ = 1``, ``|V - V₀| ≤ radius``.

    Solved by sequential quadratic programming (``scipy.optimize.minimize``, SLSQP), once from V₀ and ``n_starts`` times from disturbed copies.
    A larger margin than V₀'s own disproves that V₀ is a local maximum; none found is no proof.

    Args:
        rng: of the disturbances.
        radius: half-width of the box.
        n_starts: disturbed copies.

    Cost: ``n_starts + 1`` programs of at most 100 iterations; networks up to :data:`LARGEST` weights.
    """
    if problem.n_params > LARGEST:
        return Undefined(_TOO_LARGE)
    base = problem.directions(weights)
    own = max(problem.margin(weights), _raised(problem, base, base, radius)[0])
    best, found = own, base
    for _ in range(n_starts):
        start = np.clip(base + radius * rng.uniform(-1, 1, len(base)), base - radius, base + radius)
        reached, point = _raised(problem, problem.directions(start), base, radius)
        if reached > best:
            best, found = reached, point
    return Neighbour(own, best, float(problem.norms(found - base).max()), n_starts, radius)


def smallest_norm(problem: HomogeneousProblem, weights: Array) -> tuple[float, Array] | Undefined:
    """``min Σ_k ‖W_k‖²/2`` subject to ``q_n(W) ≥ 1``, from ``weights`` scaled to a smallest gap of 1.

    Lemma 4 in its right form: with margin γ* under unit norms the minimum is ``(K/2) γ*^{-2/K}``, at equal norms. As printed,
    "min ½‖W_k‖² for all k" is no problem of one number.

    Returns:
        The minimum and its weights, or why there is none. Cost: one program; networks up to :data:`LARGEST` weights.

    Source: Poggio, Banburski & Liao 2020, lemma 4.
    """
    smallest = float(problem.gaps(weights).min())
    if problem.n_params > LARGEST:
        return Undefined(_TOO_LARGE)
    if smallest <= 0:
        return Undefined("an example is on the wrong side, so no scale makes every gap 1")
    start = problem.scaled(weights, np.full(problem.depth, smallest ** (-1 / problem.depth)))
    value, jacobian = _gap_functions(problem)
    constraint = {"type": "ineq", "fun": lambda w: value(w) - 1, "jac": jacobian}
    found = _minimize(lambda w: (0.5 * float(w @ w), w), start, [constraint], None)
    gap = float(problem.gaps(found).min())
    if not gap > 0.5:
        return Undefined("the quadratic program did not end at a feasible point")
    feasible = problem.scaled(found, np.full(problem.depth, gap ** (-1 / problem.depth)))
    return 0.5 * float(feasible @ feasible), feasible


def _raised(problem: HomogeneousProblem, start: Array, base: Array, radius: float) -> tuple[float, Array]:
    value, jacobian = _gap_functions(problem)
    n = problem.n_params
    slices = problem.slices

    def norms(z: Array) -> Array:
        return np.array([z[part] @ z[part] - 1 for part in slices])

    def norm_slopes(z: Array) -> Array:
        rows = np.zeros((len(slices), n + 1))
        for k, part in enumerate(slices):
            rows[k, part] = 2 * z[part]
        return rows

    constraints = [
        {"type": "ineq", "fun": lambda z: value(z[:n]) - z[n], "jac": lambda z: np.hstack([jacobian(z[:n]), -np.ones((problem.n_examples, 1))])},
        {"type": "eq", "fun": norms, "jac": norm_slopes},
    ]
    down = np.zeros(n + 1)
    down[n] = -1.0
    bounds = [*zip(base - radius, base + radius, strict=True), (None, None)]
    found = _minimize(lambda z: (-float(z[n]), down), np.append(start, problem.gaps(start).min()), constraints, bounds)[:n]
    point = problem.directions(found)
    return problem.margin(point), point


def _gap_functions(problem: HomogeneousProblem) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    def value(flat: torch.Tensor) -> torch.Tensor:
        return gaps(problem.logits(flat), problem.y)

    def slopes(weights: Array) -> Array:
        return torch.autograd.functional.jacobian(value, torch.from_numpy(np.ascontiguousarray(weights)), vectorize=problem.fast is not None).numpy()

    return (lambda weights: problem.gaps(np.ascontiguousarray(weights))), slopes


def _minimize(objective: Callable[[Array], tuple[float, Array]], start: Array, constraints: list[dict[str, Any]], bounds: Any) -> Array:
    found = minimize(objective, start, jac=True, method="SLSQP", constraints=constraints, bounds=bounds, options={"maxiter": 100, "ftol": 1e-12})
    return found.x if np.isfinite(found.x).all() else start
