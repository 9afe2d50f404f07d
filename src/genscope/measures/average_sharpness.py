"""Sharpness on average: how far the loss rises under noise, and at which divergence it starts to matter."""

import numpy as np

from genscope.core.catalogue import measure
from genscope.core.estimate import Estimate
from genscope.core.status import DOUBTFUL, Undefined
from genscope.measures.ingredients.centre import Centre
from genscope.measures.ingredients.points import filter_widths, loss_and_error_sums, mean_loss_and_error
from genscope.measures.ingredients.relative_noise import RelativeNoise
from genscope.measures.ingredients.sharpness_curve import SharpnessCurve
from genscope.measures.ingredients.subset import Subset
from genscope.measures.ingredients.types import Forward, Params
from genscope.numerics.perturbation import noise_seeds, perturbed_points

_S4 = "Neyshabur et al. 2017"
_A = "Andriushchenko et al. 2023"


@measure(
    symbol=r"S^{\rho}_{\mathrm{avg}}",
    unit="nats",
    expects="larger gap",
    source=_A,
    invariant_to=("node_rescaling", "permutation"),
    cost="n_draws forwards",
)
def average_sharpness(relative_noise: RelativeNoise) -> Estimate:
    """How far the loss rises on average under noise relative to each weight.

    Formula:
        E_{δ ~ N(0, ρ²diag(w²))} L̂(w+δ) − L̂(w), with its 95 % interval over the draws.
    Reading:
        Larger is sharper, whatever the scale of the units.
    Args:
        relative_noise: how the loss rises at each draw of relative noise, with and without logit normalization.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), permuting hidden units.
    Cost:
        N_draws forwards.
    Source:
        Andriushchenko et al. 2023.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("average_sharpness")
        0.008378
    """
    return _mean_rise(relative_noise.rises)


@measure(
    symbol=r"S^{\rho}_{\mathrm{avg}}(f/\|f\|)",
    unit="nats",
    expects="larger gap",
    source=_A,
    invariant_to=("node_rescaling", "last_layer_scaling", "permutation"),
    cost="n_draws forwards",
)
def average_sharpness_logit_normalized(relative_noise: RelativeNoise) -> Estimate:
    """The average-case rise of the loss of outputs divided by their norm.

    Formula:
        As average_sharpness, for the loss of f/‖f‖.
    Reading:
        Sharpness that does not depend on the scale of the outputs.
    Args:
        relative_noise: how the loss rises at each draw of relative noise, with and without logit normalization.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Rescaling units (incoming times c, outgoing over c), multiplying the last layer by c, permuting hidden units.
    Cost:
        N_draws forwards.
    Source:
        Andriushchenko et al. 2023.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("average_sharpness_logit_normalized")
        0.0005564
    """
    return _mean_rise(relative_noise.unit_rises)


@measure(
    symbol=r"S^{\rho}_{\mathrm{filter}}",
    unit="nats",
    expects="larger gap",
    source="Li et al. 2018, filter normalization",
    invariant_to=("layer_rescaling", "permutation"),
    cost="n_draws forwards",
)
def filter_normalized_sharpness(
    params: Params, forward: Forward, loss: str, subset: Subset, centre: Centre, rng: np.random.Generator,
    *, rho_average: float = 0.1, n_draws: int = 20,
) -> Estimate:  # fmt: skip
    """How far the loss rises on average under noise that is a fixed share of each filter's norm.

    Formula:
        E L̂(w+δ) − L̂(w), δ Gaussian with E‖δ_filter‖² = ρ²‖w_filter‖²; biases stay put.
    Reading:
        Larger is sharper; the scale of a whole layer does not matter.
    Args:
        params: parameters, name to tensor.
        forward: forward(params, x) -> logits [examples, classes].
        loss: name of the loss.
        subset: the random examples that costly measures share.
        centre: loss and error at the weights themselves.
        rng: the node's own generator.
        rho_average: noise relative to each weight.
        n_draws: noise draws.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Multiplying a layer by c and dividing the next, permuting hidden units.
    Cost:
        N_draws forwards.
    Source:
        Li et al. 2018, filter normalization.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("filter_normalized_sharpness")
        0.008353
    """
    points = perturbed_points(params, filter_widths(params), noise_seeds(rng, n_draws), rho_average)
    losses = mean_loss_and_error(loss_and_error_sums(forward, loss), points, subset.batches, params)[:, 0]
    return _mean_rise(losses - centre.loss)


@measure(
    symbol=r"\mathrm{KL}(\epsilon)",
    unit="nats",
    expects="larger gap",
    source=f"{_S4}, Figure 2 (bi-criteria)",
    invariant_to=("permutation",),
    cost="n_draws x n_scales forwards",
)
def kl_at_sharpness(sharpness_curve: SharpnessCurve, *, sharpness: float = 0.05) -> float | Estimate | Undefined:
    """The KL divergence at which the expected sharpness reaches a given value.

    Formula:
        KL = Σ w_i²/(2σ_i²), σ_i = α(10|w_i|+1), at the α where E L̂(w+ν) − L̂(w) = ε; interpolated in logarithms.
    Reading:
        Norm and sharpness in one number; the whole bi-criteria curve is among the curves.
    Args:
        sharpness_curve: expected sharpness and KL over a grid of scales.
        sharpness: the expected sharpness ε.
    Returns:
        A number with its interval; unit nats.
    Raises:
        Nothing; a non-finite result becomes a status.
    Invariances:
        Permuting hidden units.
    Cost:
        N_draws x n_scales forwards.
    Source:
        Neyshabur et al. 2017, Figure 2 (bi-criteria).
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("kl_at_sharpness")
        18.33
    """
    rises = sharpness_curve.sharpness
    above = np.flatnonzero(rises >= sharpness)
    if not len(above):
        return Undefined(
            f"the expected sharpness stays below {sharpness:g} up to the largest scale {sharpness_curve.alpha[-1]:g}; it is {rises[-1]:.3g} there"
        )
    first = int(above[0])
    if first == 0:
        return Undefined(f"the expected sharpness is already {rises[0]:.3g} at the smallest scale {sharpness_curve.alpha[0]:g}, above {sharpness:g}")
    below = max(float(rises[first - 1]), 1e-12)
    weight = (np.log(sharpness) - np.log(below)) / (np.log(rises[first]) - np.log(below))
    logs = np.log(sharpness_curve.kl)
    value = float(np.exp(logs[first - 1] + weight * (logs[first] - logs[first - 1])))
    return Estimate(value, low=float(sharpness_curve.kl[first]), high=float(sharpness_curve.kl[first - 1]))


def _mean_rise(rises: np.ndarray) -> Estimate:
    n_draws = len(rises)
    if not np.isfinite(rises).all():
        return Estimate(
            float("nan"), status=DOUBTFUL, reason=f"the loss is not finite at {int(np.sum(~np.isfinite(rises)))} of {n_draws} perturbed points"
        )
    half = 1.96 * float(rises.std(ddof=1)) / np.sqrt(n_draws) if n_draws > 1 else None
    mean = float(rises.mean())
    return Estimate(mean, None if half is None else mean - half, None if half is None else mean + half)
