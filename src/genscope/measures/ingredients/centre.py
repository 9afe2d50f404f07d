"""What every perturbation is compared with: losses, error and gradient at the weights themselves, on the shared subset, computed once."""

from dataclasses import dataclass
from typing import Any

from genscope.core.catalogue import ingredient
from genscope.measures.ingredients.points import loss_and_gradient, mean_losses_and_error
from genscope.measures.ingredients.subset import Subset
from genscope.measures.ingredients.types import Forward, Params


@dataclass(frozen=True)
class Centre:
    """Mean loss, mean 0–1 error, and mean loss of the outputs divided by their norms."""

    loss: float
    error: float
    unit_loss: float


@dataclass(frozen=True)
class CentreGradient:
    """``(loss, gradient)`` of the mean loss at the weights, the first step of every ascent."""

    pair: tuple[float, dict[str, Any]]


@ingredient
def centre(params: Params, forward: Forward, loss: str, subset: Subset) -> Centre:
    """One pass over the subset at the weights themselves."""
    found = mean_losses_and_error(forward, loss, [params], subset.batches, params)[0]
    return Centre(float(found[0]), float(found[1]), float(found[2]))


@ingredient
def centre_gradient(params: Params, forward: Forward, loss: str, subset: Subset) -> CentreGradient:
    """One gradient over the subset at the weights themselves."""
    return CentreGradient(loss_and_gradient(forward, loss, subset.batches)(params))
