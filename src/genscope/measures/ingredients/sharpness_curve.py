"""Expected sharpness against KL divergence over a grid of perturbation scales, with common random numbers."""

from dataclasses import dataclass

import numpy as np

from genscope.core.catalogue import ingredient
from genscope.measures.ingredients.centre import Centre
from genscope.measures.ingredients.points import loss_and_error_sums, mean_loss_and_error
from genscope.measures.ingredients.subset import Subset
from genscope.measures.ingredients.types import Forward, Params
from genscope.numerics.perturbation import noise_seeds, perturbed_points


@dataclass(frozen=True)
class SharpnessCurve:
    """Points of the bi-criteria plot of Neyshabur et al. 2017, Figure 2.

    Args:
        alpha: scales; the standard deviation of weight i is ``α(10|w_i| + 1)``.
        sharpness: ``E L̂(w+ν) − L̂(w)`` at each scale.
        sem: standard error of it over the perturbations.
        error: mean training error at each scale.
        kl: ``Σ w_i²/(2σ_i²)`` in nats.
    """

    alpha: np.ndarray
    sharpness: np.ndarray
    sem: np.ndarray
    error: np.ndarray
    kl: np.ndarray


@ingredient
def sharpness_curve(
    params: Params, forward: Forward, loss: str, subset: Subset, centre: Centre, rng: np.random.Generator, *, n_draws: int = 20, n_scales: int = 9
) -> SharpnessCurve:
    """Expected sharpness and KL for scales α from 10⁻⁴ to 10⁻¹, the same ``n_draws`` noises at every scale."""
    widths = {name: 10.0 * value.abs() + 1.0 for name, value in params.items()}
    squared = float(sum(float((params[name].double() / widths[name].double()).square().sum()) for name in params))
    seeds = noise_seeds(rng, n_draws)
    statistic = loss_and_error_sums(forward, loss)
    scales = np.geomspace(1e-4, 1e-1, n_scales)
    sharpness, sem, error = [], [], []
    for alpha in scales:
        means = mean_loss_and_error(statistic, perturbed_points(params, widths, seeds, float(alpha)), subset.batches, params)
        sharpness.append(means[:, 0].mean() - centre.loss)
        sem.append(means[:, 0].std(ddof=1) / np.sqrt(n_draws) if n_draws > 1 else np.nan)
        error.append(means[:, 1].mean())
    return SharpnessCurve(scales, np.array(sharpness), np.array(sem), np.array(error), squared / (2.0 * scales**2))
