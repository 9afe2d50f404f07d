"""The largest perturbation under which a network keeps classifying its training data: four kinds, found by one search."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from genscope.core.catalogue import ingredient
from genscope.core.status import Undefined
from genscope.measures.ingredients.centre import Centre, CentreGradient
from genscope.measures.ingredients.points import loss_and_error_sums, loss_and_gradient, mean_loss_and_error
from genscope.measures.ingredients.subset import Subset
from genscope.measures.ingredients.types import Forward, Params
from genscope.numerics.ascent import ascend
from genscope.numerics.perturbation import evaluate_points, noise_seeds, perturbed_points, stack_size
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
    params: Params, forward: Forward, loss: str, subset: Subset, centre: Centre, rng: np.random.Generator,
    *, n_draws: int = 20, target_error: float = 0.1, search_rtol: float = 0.05,
) -> IsotropicSigma | Undefined:  # fmt: skip
    """The isotropic scale, with common random numbers at every σ."""
    mean_error = _MeanError(params, forward, loss, subset, noise_seeds(rng, n_draws))
    problem = _already_wrong(centre.error, target_error)
    if problem is not None:
        return problem

    def widths(sigma: float) -> dict[str, Any]:
        return dict.fromkeys(params, sigma)

    return IsotropicSigma(find_largest_sigma(lambda sigma: mean_error.within(widths(sigma), target_error), start=0.02, rtol=search_rtol))


@ingredient
def magnitude_sigma(
    params: Params, forward: Forward, loss: str, subset: Subset, centre: Centre, rng: np.random.Generator,
    *, n_draws: int = 20, target_error: float = 0.1, search_rtol: float = 0.05,
) -> MagnitudeSigma | Undefined:  # fmt: skip
    """The magnitude-aware scale; the standard deviation is the root of ``σ'²w² + ε²``."""
    mean_error = _MeanError(params, forward, loss, subset, noise_seeds(rng, n_draws))
    problem = _already_wrong(centre.error, target_error)
    if problem is not None:
        return problem

    def widths(sigma: float) -> dict[str, Any]:
        return {name: (sigma**2 * value.square() + EPSILON**2).sqrt() for name, value in params.items()}

    return MagnitudeSigma(find_largest_sigma(lambda sigma: mean_error.within(widths(sigma), target_error), start=0.1, rtol=search_rtol))


@ingredient
def worst_alpha(
    params: Params, forward: Forward, loss: str, subset: Subset, centre: Centre, centre_gradient: CentreGradient,
    *, ascent_steps: int = 20, target_error: float = 0.1, search_rtol: float = 0.05,
) -> WorstAlpha | Undefined:  # fmt: skip
    """The worst-case box scale; the ascent gives a lower bound of the worst error, so α is an upper bound."""
    import torch

    def radii(alpha: float) -> dict[str, Any]:
        return {name: torch.full_like(value, alpha) for name, value in params.items()}

    problem = _already_wrong(centre.error, target_error)
    if problem is not None:
        return problem
    search = _WorstError(params, forward, loss, subset, centre_gradient, ascent_steps)
    return WorstAlpha(find_largest_sigma(lambda alpha: search.at(radii(alpha)) <= target_error, start=1e-3, rtol=search_rtol))


@ingredient
def worst_magnitude_alpha(
    params: Params, forward: Forward, loss: str, subset: Subset, centre: Centre, centre_gradient: CentreGradient,
    *, ascent_steps: int = 20, target_error: float = 0.1, search_rtol: float = 0.05,
) -> WorstMagnitudeAlpha | Undefined:  # fmt: skip
    """The worst-case scale relative to the weights."""

    def radii(alpha: float) -> dict[str, Any]:
        return {name: alpha * value.abs() + EPSILON for name, value in params.items()}

    problem = _already_wrong(centre.error, target_error)
    if problem is not None:
        return problem
    search = _WorstError(params, forward, loss, subset, centre_gradient, ascent_steps)
    return WorstMagnitudeAlpha(find_largest_sigma(lambda alpha: search.at(radii(alpha)) <= target_error, start=1e-2, rtol=search_rtol))


class _MeanError:
    """Mean training error over perturbations whose noises never change."""

    def __init__(self, params: Params, forward: Forward, loss: str, subset: Subset, seeds: list[int]) -> None:
        self.params, self.subset, self.seeds = params, subset, seeds
        self.statistic = loss_and_error_sums(forward, loss)

    def within(self, widths: dict[str, Any], target: float) -> bool:
        """Whether the mean error is at most ``target``; stops as soon as the examples seen so far decide it."""
        points = perturbed_points(self.params, widths, self.seeds, 1.0)
        if stack_size(self.params) > 1:
            return float(mean_loss_and_error(self.statistic, points, self.subset.batches, self.params)[:, 1].mean()) <= target
        left = self.subset.n * len(self.seeds)
        allowed = target * left * (1 + 1e-12)
        for point in points:
            for batch in self.subset.batches:
                allowed -= float(evaluate_points(self.statistic, [point], [batch])[0, 1])
                left -= len(batch[1])
                if allowed < 0 or allowed >= left:
                    return allowed >= 0
        return True


class _WorstError:
    """Training error at the worst point that an ascent finds in a box."""

    def __init__(self, params: Params, forward: Forward, loss: str, subset: Subset, centre_gradient: CentreGradient, steps: int) -> None:
        self.params, self.subset, self.first, self.steps = params, subset, centre_gradient.pair, steps
        self.statistic = loss_and_error_sums(forward, loss)
        self.objective = loss_and_gradient(forward, loss, subset.batches)

    def at(self, radii: dict[str, Any]) -> float:
        worst = ascend(self.objective, self.params, radii, steps=self.steps, at_centre=self.first).worst
        return float(mean_loss_and_error(self.statistic, [worst], self.subset.batches, self.params)[0, 1])


def _already_wrong(error: float, target: float) -> Undefined | None:
    if error <= target:
        return None
    return Undefined(f"the training error is {error:.3g} before any perturbation, above the target {target:g}; no perturbation scale exists")
