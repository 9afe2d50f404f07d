"""Sharpness: how much the training loss rises when the weights move, at worst and on average."""

import numpy as np

from genscope.core.catalogue import measure
from genscope.core.estimate import Estimate
from genscope.measures.ingredients.centre import CentreGradient
from genscope.measures.ingredients.points import loss_and_gradient
from genscope.measures.ingredients.subset import Subset
from genscope.measures.ingredients.types import Forward, Params
from genscope.numerics.ascent import ascend
from genscope.numerics.perturbation import noise_seeds, standard_noise

_S4 = "Neyshabur et al. 2017"
_A = "Andriushchenko et al. 2023"


@measure(
    symbol=r"\zeta_\alpha",
    unit="nats",
    expects="larger gap",
    source=f"{_S4}, eq. 4; Keskar et al. 2017",
    invariant_to=("permutation",),
    cost="ascent",
)
def keskar_sharpness(
    params: Params, forward: Forward, loss: str, subset: Subset, centre_gradient: CentreGradient, *, alpha: float = 5e-4, ascent_steps: int = 20
) -> Estimate:
    """How far the loss can rise in a small box around the weights.

    Formula:
        ζ_α = [max_{|ν_i| ≤ α(|w_i|+1)} L̂(w+ν) − L̂(w)]/(1 + L̂(w)), by auto-step projected ascent: a lower bound of the maximum.
    Reading:
        Larger is sharper; depends on the scale of the weights.
    Args:
        params: parameters, name to tensor.
        forward: forward(params, x) -> logits [examples, classes].
        loss: name of the loss.
        subset: the random examples that costly measures share.
        centre_gradient: the loss and its gradient at the weights themselves.
        alpha: box scale.
        ascent_steps: gradients of the ascent.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Permuting hidden units.
    Cost:
        Ascent.
    Source:
        Neyshabur et al. 2017, eq. 4; Keskar et al. 2017.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("keskar_sharpness")
        0.0002814
    """
    radii = {name: alpha * (value.abs() + 1.0) for name, value in params.items()}
    objective = loss_and_gradient(forward, loss, subset.batches)
    found = ascend(objective, params, radii, steps=ascent_steps, at_centre=centre_gradient.pair)
    return Estimate(found.increase / (1.0 + found.centre), low=found.increase / (1.0 + found.centre))


@measure(
    symbol=r"S^{\rho}_{\max,\infty}",
    unit="nats",
    expects="larger gap",
    source=f"Kwon et al. 2021 (ASAM); {_A}",
    invariant_to=("node_rescaling", "permutation"),
    cost="ascent",
)
def adaptive_sharpness(
    params: Params, forward: Forward, loss: str, subset: Subset, centre_gradient: CentreGradient, rng: np.random.Generator,
    *, rho: float = 1e-2, ascent_steps: int = 20, n_restarts: int = 0,
) -> Estimate:  # fmt: skip
    """How far the loss can rise in a box relative to each weight.

    Formula:
        max_{|δ_i| ≤ ρ|w_i|} L̂(w+δ) − L̂(w), a lower bound by auto-step projected ascent.
    Reading:
        Larger is sharper, whatever the scale of the units.
    Args:
        params: parameters, name to tensor.
        forward: forward(params, x) -> logits [examples, classes].
        loss: name of the loss.
        subset: the random examples that costly measures share.
        centre_gradient: the loss and its gradient at the weights themselves.
        rng: the node's own generator.
        rho: box half-width relative to each weight.
        ascent_steps: gradients of the ascent.
        n_restarts: further random starts.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), permuting hidden units.
    Cost:
        Ascent.
    Source:
        Kwon et al. 2021 (ASAM); Andriushchenko et al. 2023.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("adaptive_sharpness")
        0.003159
    """
    return _worst_relative(params, forward, loss, subset, rng, rho, ascent_steps, n_restarts, "linf", centre_gradient.pair)


@measure(
    symbol=r"S^{\rho}_{\max,2}",
    unit="nats",
    expects="larger gap",
    source=f"Kwon et al. 2021 (ASAM); {_A}",
    invariant_to=("node_rescaling", "permutation"),
    cost="ascent",
)
def adaptive_sharpness_l2(
    params: Params, forward: Forward, loss: str, subset: Subset, centre_gradient: CentreGradient, rng: np.random.Generator,
    *, rho_l2: float = 0.5, ascent_steps: int = 20, n_restarts: int = 0,
) -> Estimate:  # fmt: skip
    """How far the loss can rise in an ellipsoid relative to each weight.

    Formula:
        max_{‖δ/|w|‖₂ ≤ ρ} L̂(w+δ) − L̂(w), a lower bound by auto-step projected ascent.
    Reading:
        Larger is sharper, whatever the scale of the units.
    Args:
        params: parameters, name to tensor.
        forward: forward(params, x) -> logits [examples, classes].
        loss: name of the loss.
        subset: the random examples that costly measures share.
        centre_gradient: the loss and its gradient at the weights themselves.
        rng: the node's own generator.
        rho_l2: radius of the ellipsoid.
        ascent_steps: gradients of the ascent.
        n_restarts: further random starts.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), permuting hidden units.
    Cost:
        Ascent.
    Source:
        Kwon et al. 2021 (ASAM); Andriushchenko et al. 2023.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("adaptive_sharpness_l2")
        0.1059
    """
    return _worst_relative(params, forward, loss, subset, rng, rho_l2, ascent_steps, n_restarts, "l2", centre_gradient.pair)


@measure(
    symbol=r"S^{\rho}_{\max,\infty}(f/\|f\|)",
    unit="nats",
    expects="larger gap",
    source=f"{_A}, logit normalization",
    invariant_to=("node_rescaling", "last_layer_scaling", "permutation"),
    cost="ascent",
)
def adaptive_sharpness_logit_normalized(
    params: Params, forward: Forward, loss: str, subset: Subset, rng: np.random.Generator,
    *, rho: float = 1e-2, ascent_steps: int = 20, n_restarts: int = 0,
) -> Estimate:  # fmt: skip
    """The adaptive worst case of the loss of outputs divided by their norm.

    Formula:
        max_{|δ_i| ≤ ρ|w_i|} of the loss of f/‖f‖, minus it at w.
    Reading:
        Sharpness that does not depend on the scale of the outputs.
    Args:
        params: parameters, name to tensor.
        forward: forward(params, x) -> logits [examples, classes].
        loss: name of the loss.
        subset: the random examples that costly measures share.
        rng: the node's own generator.
        rho: box half-width relative to each weight.
        ascent_steps: gradients of the ascent.
        n_restarts: further random starts.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), multiplying the last layer by c, permuting hidden units.
    Cost:
        Ascent.
    Source:
        Andriushchenko et al. 2023, logit normalization.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("adaptive_sharpness_logit_normalized")
        0.0
    """
    return _worst_relative(params, forward, loss, subset, rng, rho, ascent_steps, n_restarts, "linf", None)


def _worst_relative(params, forward, loss, subset, rng, rho, steps, restarts, norm, at_centre) -> Estimate:  # type: ignore[no-untyped-def]
    """Without a known centre the logits are divided by their norm, and the centre is found in that run."""
    radii = {name: rho * value.abs() for name, value in params.items()}
    starts = tuple({name: value.sign() for name, value in standard_noise(params, seed).items()} for seed in noise_seeds(rng, restarts))
    objective = loss_and_gradient(forward, loss, subset.batches, unit_logits=at_centre is None)
    found = ascend(objective, params, radii, steps=steps, norm=norm, starts=starts, at_centre=at_centre)
    return Estimate(found.increase, low=found.increase)
