"""Where a flow is going: support vectors, margins that must not fall, and the conditions of Karush, Kuhn and Tucker."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import nnls

from genscope.dynamics.homogeneous import Array, HomogeneousProblem
from genscope.dynamics.losses import gaps, smoothed_gap
from genscope.dynamics.systems import Flow


@dataclass(frozen=True)
class Kkt:
    """How close a direction is to a KKT point of ``min ‖W‖²/2`` subject to ``q_n ≥ 1``.

    Args:
        epsilon: ``‖W - Σ λ_n ∇q_n‖ / ‖W‖`` with multipliers from the loss, ``λ_n ∝ loss weight``.
        delta: ``max_n λ_n (q_n - 1)``, W scaled so that the smallest gap is 1; both as in Lyu & Li 2020, definition C.4.
        cosine: between W and ``-∇L``; 1 at a KKT point.
        layer_cosines: the same for each layer (what unit-norm layers need).
        best_epsilon: epsilon with the best multipliers ≥ 0 on examples within ``ties`` of the smallest gap.
        n_support: examples with a positive best multiplier.
    """

    epsilon: float
    delta: float
    cosine: float
    layer_cosines: tuple[float, ...]
    best_epsilon: float
    n_support: int


def kkt_residuals(problem: HomogeneousProblem, weights: Array, loss: str, *, ties: float = 0.1) -> Kkt | None:
    """The residuals (ε, δ) at these weights; ``None`` while an example is on the wrong side.

    Args:
        ties: relative distance from the smallest gap up to which an example may carry a best multiplier.

    Cost: one backward pass per example. Source: Lyu & Li 2020, definition C.4 and lemma C.11 (several classes: the nearest wrong class).
    """
    values = problem.gaps(weights)
    smallest = float(values.min())
    if smallest <= 0:
        return None
    log_loss, gradient = problem.log_loss_and_gradient(weights, loss)
    cosine = -float(weights @ gradient) / float(np.linalg.norm(weights) * np.linalg.norm(gradient))
    layers = tuple(
        -float(weights[p] @ gradient[p]) / max(float(np.linalg.norm(weights[p]) * np.linalg.norm(gradient[p])), 1e-300) for p in problem.slices
    )
    scaled = problem.scaled(weights, np.full(problem.depth, smallest ** (-1 / problem.depth)))
    slopes = gap_gradients(problem, scaled)
    ratios = problem.gaps(scaled)
    shares = _loss_shares(values, log_loss, problem.n_examples)
    pull = shares @ slopes
    multipliers = shares * float(np.linalg.norm(scaled)) / max(float(np.linalg.norm(pull)), 1e-300)
    near = np.flatnonzero(ratios < 1 + ties)
    best, distance = nnls(slopes[near].T, scaled)
    return Kkt(
        math.sqrt(max(0.0, 2 * (1 - cosine))),
        float((multipliers * (ratios - 1)).max()),
        cosine,
        layers,
        float(distance / np.linalg.norm(scaled)),
        int((best > 1e-9 * best.max()).sum()) if len(best) else 0,
    )


def clarke_residual(
    problem: HomogeneousProblem, weights: Array, rng: np.random.Generator, *, ties: float = 0.1, radius: float = 0.01, n_samples: int = 24
) -> tuple[float, int] | None:
    """``min ‖V - Σ_n λ_n g_n‖ / ‖V‖`` over λ ≥ 0 and g_n in the Clarke subdifferential of q_n, with V's layers at unit norm.

    Max-margin ReLU networks have kinks on their support vectors as a rule, and a gradient on one side of a kink says nothing. The
    subdifferential is sampled: gradients of the gaps at ``n_samples`` points within ``radius`` of the weights.

    Args:
        rng: of the points.
        ties: relative distance from the smallest gap up to which an example may carry a multiplier.
        radius: relative to each layer's norm.
        n_samples: points besides the weights themselves (none for linear networks).

    Returns:
        The residual, 0 at a KKT point, and how many examples carry multipliers; ``None`` while an example is on the wrong side.

    Cost: ``n_samples · examples`` backward passes. Source: Burke, Lewis & Overton 2005 (gradient sampling); Lyu & Li 2020, section 2.
    """
    base = problem.directions(weights)
    values = problem.gaps(base)
    if float(values.min()) <= 0:
        return None
    near = np.flatnonzero(values <= values.min() * (1 + ties))
    points = [base]
    for _ in range(0 if problem.linear else n_samples):
        points.append(problem.directions(base + radius * problem.directions(rng.standard_normal(problem.n_params))))
    slopes = np.concatenate([gap_gradients(problem, point)[near] for point in points])
    multipliers, distance = nnls(slopes.T, base)
    per_example = multipliers.reshape(len(points), len(near)).sum(0)
    return float(distance / np.linalg.norm(base)), int((per_example > 1e-6 * per_example.max()).sum())


def gap_gradients(problem: HomogeneousProblem, weights: Array) -> Array:
    """``∇ q_n`` at these weights, ``[examples, params]``."""

    def value(flat: torch.Tensor) -> torch.Tensor:
        return gaps(problem.logits(flat), problem.y)

    return torch.autograd.functional.jacobian(value, torch.from_numpy(weights), vectorize=problem.fast is not None).numpy()


def _loss_shares(values: Array, log_loss: float, n_examples: int) -> Array:
    """Each example's part of the loss, in the loss frame (the exponential's weights; those of the others agree where the loss is small)."""
    logs = -values - (log_loss + math.log(n_examples))
    shares = np.exp(logs - logs.max())
    return shares / shares.sum()


def smoothed_margins(flow: Flow, weights: Array, log_loss: float) -> tuple[float, float]:
    """``log(1/(N L))`` over ``Π ρ_k``, and over ``(‖W‖/√K)^K`` as Lyu & Li do (here scaled to equal the first for balanced layers).

    Both are non-decreasing once L < 1/N: the second in system C, the first in all three systems.

    Source: Lyu & Li 2020, theorem 4.1. For unit-norm layers: ``d log(1/NL)/dt ≥ Σ_k ν²/(L ρ_k²)``, ``d log ρ/dt = Σ_k ν/ρ_k²`` and
    ``ν/L ≥ log(1/(NL))``.
    """
    problem = flow.problem
    value = smoothed_gap(log_loss, problem.n_examples, flow.loss)
    norms = problem.norms(weights)
    whole = (float(np.sqrt((norms**2).sum())) / math.sqrt(problem.depth)) ** problem.depth
    return value / float(np.prod(norms)), value / whole


def largest_decrease(values: Sequence[float | None]) -> float:
    """The largest fall from one value to the next (0 for a non-decreasing series), ``None`` left out.

    Example:
        >>> largest_decrease([0.1, 0.3, 0.25, 0.4])
        0.04999999999999999
    """
    known = [value for value in values if value is not None]
    return max((one - two for one, two in pairwise(known)), default=0.0) if known else 0.0


@dataclass(frozen=True)
class SupportChange:
    """The example with the smallest gap changed.

    Args:
        tau: ``ln(1 + t)`` at which it was first seen.
        example: the new support vector.
        before: the old one.
        margin: normalized margin there.
        speed_before: slope of the margin in τ just before.
        speed_after: and just after.
    """

    tau: float
    example: int
    before: int
    margin: float
    speed_before: float
    speed_after: float


def support_changes(tau: Sequence[float], support: Sequence[int], margin: Sequence[float]) -> list[SupportChange]:
    """Every change of the support vector after the data are separated, with the speed of the margin on either side.

    Args:
        tau: recorded times.
        support: index of the smallest gap at each.
        margin: normalized margin at each.

    Source: Poggio, Banburski & Liao 2020, figure 3.
    """
    found = []
    for i in range(1, len(tau)):
        if support[i] == support[i - 1] or not margin[i - 1] > 0:
            continue
        before = _slope(tau, margin, max(i - 2, 0), i - 1)
        after = _slope(tau, margin, i, min(i + 1, len(tau) - 1))
        found.append(SupportChange(tau[i], support[i], support[i - 1], margin[i], before, after))
    return found


def _slope(tau: Sequence[float], margin: Sequence[float], start: int, end: int) -> float:
    return (margin[end] - margin[start]) / (tau[end] - tau[start]) if end > start else 0.0
