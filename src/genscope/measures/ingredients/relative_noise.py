"""How the loss moves under noise relative to each weight: one set of perturbed networks for the plain and the logit-normalized average."""

from dataclasses import dataclass

import numpy as np

from genscope.core.catalogue import ingredient
from genscope.measures.ingredients.centre import Centre
from genscope.measures.ingredients.points import mean_losses_and_error
from genscope.measures.ingredients.subset import Subset
from genscope.measures.ingredients.types import Forward, Params
from genscope.numerics.perturbation import noise_seeds, perturbed_points


@dataclass(frozen=True)
class RelativeNoise:
    """Per draw, ``L̂(w+δ) − L̂(w)`` with δ_i ~ N(0, ρ²w_i²): ``rises`` of the loss, ``unit_rises`` of the loss of f/‖f‖."""

    rises: np.ndarray
    unit_rises: np.ndarray


@ingredient
def relative_noise(
    params: Params, forward: Forward, loss: str, subset: Subset, centre: Centre, rng: np.random.Generator,
    *, rho_average: float = 0.1, n_draws: int = 20,
) -> RelativeNoise:  # fmt: skip
    """``n_draws`` forwards of the subset."""
    widths = {name: value.abs() for name, value in params.items()}
    points = perturbed_points(params, widths, noise_seeds(rng, n_draws), rho_average)
    found = mean_losses_and_error(forward, loss, points, subset.batches, params)
    return RelativeNoise(found[:, 0] - centre.loss, found[:, 2] - centre.unit_loss)
