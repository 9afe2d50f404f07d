"""The largest perturbation under which a network keeps classifying its training data: four kinds, found by one search."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from genscope.core.catalogue import ingredient
from genscope.core.status import Undefined
from genscope.measures.ingredients.points import loss_and_error_sums, loss_and_gradient, mean_loss_and_error
from genscope.measures.ingredients.subset import Subset
from genscope.measures.ingredients.types import Forward, Params
from genscope.numerics.ascent import ascend
from genscope.numerics.perturbation import noise_seeds, perturbed_points
from genscope.numerics.sigma_search import SigmaSearch, find_largest_sigma

# The magnitude-aware noise keeps this width where a weight is zero (Jiang et al. 2020).
EPSILON = 1e-3


@dataclass(frozen=True)
class IsotropicSigma:
    """Largest σ with mean training error ≤ target under ``u ~ N(0, σ²I)``."""

    search: SigmaSearch


@dataclass(frozen=True)
class MagnitudeSigma:
    """Largest σ' with mean training error ≤ target under ``u_i ~ N(0, σ'²w_i² + ε²)``."""

    search: SigmaSearch


@dataclass(frozen=True)
class WorstAlpha:
    """Largest α with training error ≤ target at the worst point found with ``|u_i| ≤ α``."""

    search: SigmaSearch


@dataclass(frozen=True)
class WorstMagnitudeAlpha:
    """Largest α' with training error ≤ target at the worst point found with ``|u_i| ≤ α'|w_i| + ε``."""

    search: SigmaSearch


@ingredient
def isotropic_sigma(
    params: Params, forward: Forward, loss: str, subset: Subset, rng: np.random.Generator,
    *, n_draws: int = 20, target_error: float = 0.1, search_rtol: float = 0.05,
) -> IsotropicSigma | Undefined:  # fmt: skip
    """The isotropic scale, with common random numbers at every σ."""
    mean_error = _MeanError(params, forward, loss, subset, noise_seeds(rng, n_draws))
    problem = _already_wrong(mean_error.centre(), target_error)
    if problem is not None:
        return problem

    def widths(sigma: float) -> dict[str, Any]:
        return dict.fromkeys(params, sigma)

    return IsotropicSigma(find_largest_sigma(lambda sigma: mean_error.at(widths(sigma)) <= target_error, start=0.02, rtol=search_rtol))


@ingredient
def magnitude_sigma(
    params: Params, forward: Forward, loss: str, subset: Subset, rng: np.random.Generator,
    *, n_draws: int = 20, target_error: float = 0.1, search_rtol: float = 0.05,
) -> MagnitudeSigma | Undefined:  # fmt: skip
    """The magnitude-aware scale; the standard deviation is the root of ``σ'²w² + ε²``."""
    mean_error = _MeanError(params, forward, loss, subset, noise_seeds(rng, n_draws))
    problem = _already_wrong(mean_error.centre(), target_error)
    if problem is not None:
        return problem

    def widths(sigma: float) -> dict[str, Any]:
        return {name: (sigma**2 * value.square() + EPSILON**2).sqrt() for name, value in params.items()}

    return MagnitudeSigma(find_largest_sigma(lambda sigma: mean_error.at(widths(sigma)) <= target_error, start=0.1, rtol=search_rtol))


@ingredient
def worst_alpha(
    params: Params, forward: Forward, loss: str, subset: Subset, *, ascent_steps: int = 20, target_error: float = 0.1, search_rtol: float = 0.05
) -> WorstAlpha | Undefined:
    """The worst-case box scale; the ascent gives a lower bound of the worst error, so α is an upper bound."""
    import torch

    def radii(alpha: float) -> dict[str, Any]:
        return {name: torch.full_like(value, alpha) for name, value in params.items()}

    found = _worst_search(params, forward, loss, subset, radii, ascent_steps, target_error, search_rtol, 1e-3)
    return found if isinstance(found, Undefined) else WorstAlpha(found)


@ingredient
def worst_magnitude_alpha(
    params: Params, forward: Forward, loss: str, subset: Subset, *, ascent_steps: int = 20, target_error: float = 0.1, search_rtol: float = 0.05
) -> WorstMagnitudeAlpha | Undefined:
    """The worst-case scale relative to the weights."""

    def radii(alpha: float) -> dict[str, Any]:
        return {name: alpha * value.abs() + EPSILON for name, value in params.items()}

    found = _worst_search(params, forward, loss, subset, radii, ascent_steps, target_error, search_rtol, 1e-2)
    return found if isinstance(found, Undefined) else WorstMagnitudeAlpha(found)


class _MeanError:
    """Mean training error over perturbations whose noises never change."""

    def __init__(self, params: Params, forward: Forward, loss: str, subset: Subset, seeds: list[int]) -> None:
        self.params, self.subset, self.seeds = params, subset, seeds
        self.statistic = loss_and_error_sums(forward, loss)

    def centre(self) -> float:
        return float(mean_loss_and_error(self.statistic, [self.params], self.subset.batches, self.params)[0, 1])

    def at(self, widths: dict[str, Any]) -> float:
        points = perturbed_points(self.params, widths, self.seeds, 1.0)
        return float(mean_loss_and_error(self.statistic, points, self.subset.batches, self.params)[:, 1].mean())


def _worst_search(
    params: Params, forward: Forward, loss: str, subset: Subset, radii: Any, steps: int, target: float, rtol: float, start: float
) -> SigmaSearch | Undefined:  # fmt: skip
    statistic = loss_and_error_sums(forward, loss)
    objective = loss_and_gradient(forward, loss, subset.batches)

    def error(point: Params) -> float:
        return float(mean_loss_and_error(statistic, [point], subset.batches, params)[0, 1])

    problem = _already_wrong(error(params), target)
    if problem is not None:
        return problem
    return find_largest_sigma(lambda alpha: error(ascend(objective, params, radii(alpha), steps=steps).worst) <= target, start=start, rtol=rtol)


def _already_wrong(error: float, target: float) -> Undefined | None:
    if error <= target:
        return None
    return Undefined(f"the training error is {error:.3g} before any perturbation, above the target {target:g}; no perturbation scale exists")
