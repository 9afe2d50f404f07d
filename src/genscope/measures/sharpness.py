"""Sharpness: how much the training loss rises when the weights move, at worst and on average."""

import numpy as np

from genscope.core.catalogue import measure
from genscope.core.estimate import Estimate
from genscope.core.status import DOUBTFUL, Undefined
from genscope.measures.ingredients.points import filter_widths, loss_and_error_sums, loss_and_gradient, mean_loss_and_error
from genscope.measures.ingredients.sharpness_curve import SharpnessCurve
from genscope.measures.ingredients.subset import Subset
from genscope.measures.ingredients.types import Forward, Params
from genscope.numerics.ascent import ascend
from genscope.numerics.perturbation import noise_seeds, perturbed_points, standard_noise

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
def keskar_sharpness(params: Params, forward: Forward, loss: str, subset: Subset, *, alpha: float = 5e-4, ascent_steps: int = 20) -> Estimate:
    """``[max_{|ν_i| ≤ α(|w_i|+1)} L̂(w+ν) − L̂(w)]/(1 + L̂(w))`` by auto-step projected ascent on a subset; a lower bound of the maximum.

    Not invariant to any rescaling of the weights. Cost: ``ascent_steps`` gradients of the subset.
    """
    radii = {name: alpha * (value.abs() + 1.0) for name, value in params.items()}
    found = ascend(loss_and_gradient(forward, loss, subset.batches), params, radii, steps=ascent_steps)
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
    params: Params, forward: Forward, loss: str, subset: Subset, rng: np.random.Generator,
    *, rho: float = 1e-2, ascent_steps: int = 20, n_restarts: int = 0,
) -> Estimate:  # fmt: skip
    """``max_{|δ_i| ≤ ρ|w_i|} L̂(w+δ) − L̂(w)``: worst case in a box relative to each weight, hence invariant to node rescaling."""
    return _worst_relative(params, forward, loss, subset, rng, rho, ascent_steps, n_restarts, "linf", unit_logits=False)


@measure(
    symbol=r"S^{\rho}_{\max,2}",
    unit="nats",
    expects="larger gap",
    source=f"Kwon et al. 2021 (ASAM); {_A}",
    invariant_to=("node_rescaling", "permutation"),
    cost="ascent",
)
def adaptive_sharpness_l2(
    params: Params, forward: Forward, loss: str, subset: Subset, rng: np.random.Generator,
    *, rho_l2: float = 0.5, ascent_steps: int = 20, n_restarts: int = 0,
) -> Estimate:  # fmt: skip
    """``max_{‖δ/|w|‖₂ ≤ ρ} L̂(w+δ) − L̂(w)``: worst case in an ellipsoid relative to each weight."""
    return _worst_relative(params, forward, loss, subset, rng, rho_l2, ascent_steps, n_restarts, "l2", unit_logits=False)


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
    """The adaptive worst case of the loss of ``f/‖f‖``, which does not depend on the scale of the outputs."""
    return _worst_relative(params, forward, loss, subset, rng, rho, ascent_steps, n_restarts, "linf", unit_logits=True)


@measure(
    symbol=r"S^{\rho}_{\mathrm{avg}}",
    unit="nats",
    expects="larger gap",
    source=_A,
    invariant_to=("node_rescaling", "permutation"),
    cost="n_draws forwards",
)
def average_sharpness(
    params: Params, forward: Forward, loss: str, subset: Subset, rng: np.random.Generator, *, rho_average: float = 0.1, n_draws: int = 20
) -> Estimate:
    """``E_{δ ~ N(0, ρ²diag(w²))} L̂(w+δ) − L̂(w)`` with its 95 % interval over the draws."""
    return _average(params, forward, loss, subset, rng, {k: v.abs() for k, v in params.items()}, rho_average, n_draws, unit_logits=False)


@measure(
    symbol=r"S^{\rho}_{\mathrm{avg}}(f/\|f\|)",
    unit="nats",
    expects="larger gap",
    source=_A,
    invariant_to=("node_rescaling", "last_layer_scaling", "permutation"),
    cost="n_draws forwards",
)
def average_sharpness_logit_normalized(
    params: Params, forward: Forward, loss: str, subset: Subset, rng: np.random.Generator, *, rho_average: float = 0.1, n_draws: int = 20
) -> Estimate:
    """The average-case rise of the loss of ``f/‖f‖`` under noise relative to the weights."""
    return _average(params, forward, loss, subset, rng, {k: v.abs() for k, v in params.items()}, rho_average, n_draws, unit_logits=True)


@measure(
    symbol=r"S^{\rho}_{\mathrm{filter}}",
    unit="nats",
    expects="larger gap",
    source="Li et al. 2018, filter normalization",
    invariant_to=("layer_rescaling", "permutation"),
    cost="n_draws forwards",
)
def filter_normalized_sharpness(
    params: Params, forward: Forward, loss: str, subset: Subset, rng: np.random.Generator, *, rho_average: float = 0.1, n_draws: int = 20
) -> Estimate:
    """``E L̂(w+δ) − L̂(w)`` for Gaussian δ whose norm per filter is ρ times the filter's (biases stay put)."""
    return _average(params, forward, loss, subset, rng, filter_widths(params), rho_average, n_draws, unit_logits=False)


@measure(
    symbol=r"\mathrm{KL}(\epsilon)",
    unit="nats",
    expects="larger gap",
    source=f"{_S4}, Figure 2 (bi-criteria)",
    invariant_to=("permutation",),
    cost="n_draws x n_scales forwards",
)
def kl_at_sharpness(sharpness_curve: SharpnessCurve, *, sharpness: float = 0.05) -> float | Estimate | Undefined:
    """The KL divergence at which the expected sharpness reaches ``sharpness``, interpolated on the bi-criteria curve in logarithms."""
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


def _worst_relative(params, forward, loss, subset, rng, rho, steps, restarts, norm, *, unit_logits) -> Estimate:  # type: ignore[no-untyped-def]
    radii = {name: rho * value.abs() for name, value in params.items()}
    starts = tuple({name: value.sign() for name, value in standard_noise(params, seed).items()} for seed in noise_seeds(rng, restarts))
    found = ascend(loss_and_gradient(forward, loss, subset.batches, unit_logits=unit_logits), params, radii, steps=steps, norm=norm, starts=starts)
    return Estimate(found.increase, low=found.increase)


def _average(params, forward, loss, subset, rng, widths, rho, n_draws, *, unit_logits) -> Estimate:  # type: ignore[no-untyped-def]
    statistic = loss_and_error_sums(forward, loss, unit_logits=unit_logits)
    centre = mean_loss_and_error(statistic, [params], subset.batches, params)[0, 0]
    points = perturbed_points(params, widths, noise_seeds(rng, n_draws), rho)
    rises = mean_loss_and_error(statistic, points, subset.batches, params)[:, 0] - centre
    if not np.isfinite(rises).all():
        return Estimate(
            float("nan"), status=DOUBTFUL, reason=f"the loss is not finite at {int(np.sum(~np.isfinite(rises)))} of {n_draws} perturbed points"
        )
    half = 1.96 * float(rises.std(ddof=1)) / np.sqrt(n_draws) if n_draws > 1 else None
    mean = float(rises.mean())
    return Estimate(mean, None if half is None else mean - half, None if half is None else mean + half)
