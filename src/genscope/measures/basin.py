"""The basin around the weights: how far it reaches, its volume, how degenerate it is, how much of a neighbourhood lies in it."""

from typing import Any

import numpy as np

from genscope.core.catalogue import measure
from genscope.core.estimate import Estimate
from genscope.core.status import DOUBTFUL, FAILED, OK, SKIPPED, Undefined
from genscope.measures.ingredients.basin import BasinSearch, BasinVolume
from genscope.measures.ingredients.points import loss_and_error_sums, mean_loss_and_error
from genscope.measures.ingredients.subset import Subset
from genscope.measures.ingredients.types import Forward, Params
from genscope.numerics.perturbation import noise_seeds, perturbed_points

_HUANG = "Huang et al. 2020, section 5"


@measure(symbol=r"\mathrm{E}\,\ln r", unit="nats", expects="smaller gap", source=_HUANG, invariant_to=("layer_rescaling",), cost="rays")
def mean_log_basin_radius(basin_search: BasinSearch) -> Estimate | Undefined:
    """How far one can go from the weights in a random direction before the loss has risen, on the log scale.

    Formula:
        E_u[ln r(u)], r(u) = min{r : criterion at w + r·S·u reaches the cutoff}, u uniform on the unit sphere, S the norm of each weight's filter.
    Reading:
        Larger is wider. Compare networks with the same number of weights only.
    Args:
        basin_search: rays and their first crossings.
    Returns:
        The mean with its 95 % interval; in nats of a radius relative to the filters' norms.
    Raises:
        Nothing; a basin without an edge becomes a status.
    Invariances:
        Multiplying layers of a ReLU network without biases by factors whose product is 1.
    Cost:
        Some nine losses per ray; with BatchNorm folded, that is with fixed statistics (``landscape basin`` can recalibrate them).
    Source:
        Huang et al. 2020, section 5, with the first crossing and the mean of ln r, whose error is known, instead of the volume.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> -2.0 < value_of("mean_log_basin_radius") < 2.0
        True
    """
    from genscope.landscape.volume import log_radius_statistics

    found = log_radius_statistics(basin_search.found.distances[:, 0])
    if found is None:
        return Undefined("no random direction leaves the basin within a hundred times the weights' length", SKIPPED)
    half = 1.96 * found.sem if np.isfinite(found.sem) else 0.0
    lost = f"{found.n_never_crossed} of {found.n_rays + found.n_never_crossed} directions never leave the basin; the mean is over the others"
    status, reason = (DOUBTFUL, lost) if found.n_never_crossed else (OK, "")
    return Estimate(found.mean, found.mean - half, found.mean + half, status, reason)


@measure(symbol=r"\ln V", unit="nats", expects="smaller gap", source=f"{_HUANG}; Scherlis & Belrose 2025", invariant_to=(), cost="rays")
def log_basin_volume(basin_volume: BasinVolume) -> Estimate | Undefined:
    """The volume of the basin in filter-normalized coordinates, where enough rays carry it.

    Formula:
        ln V = ln ω_n + ln|det P| + ln mean_i ρ_iⁿ, ρ the first crossing along P·u, with P from the gradients at the edge (or P = 1).
    Reading:
        Larger is wider, for one n; the effective radius says by how much. Refused when the effective sample size is below 30.
    Args:
        basin_volume: volumes by both proposals.
    Returns:
        The log volume with its bootstrap interval; unit nats.
    Raises:
        Nothing; too small an effective sample size becomes a status with its reason.
    Invariances:
        None that survive sampling.
    Cost:
        As many rays again, and gradients at the edge.
    Source:
        Huang et al. 2020, section 5; Scherlis & Belrose 2025.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> isinstance(value_of("log_basin_volume"), (float, str))
        True
    """
    best = basin_volume.best
    if not best.believed:
        return Undefined(f"refused: {best.reason} ({best.estimator} estimator, n = {best.n})", SKIPPED)
    return Estimate(best.log_volume, best.low, best.high, best.status, best.reason)


@measure(symbol=r"r_\mathrm{eff}", unit="1", expects="smaller gap", source=_HUANG, invariant_to=(), cost="rays")
def effective_radius(basin_search: BasinSearch, basin_volume: BasinVolume) -> Estimate | Undefined:
    """Radius of the ball that has the basin's volume; its lower bound where the volume is refused.

    Formula:
        exp((ln V − ln ω_n)/n); by Jensen's inequality at least exp(E ln r).
    Reading:
        Larger is wider. In n dimensions a ratio of radii q is a ratio of volumes qⁿ, so this number is what to look at.
    Args:
        basin_search: rays and their first crossings.
        basin_volume: volumes by both proposals.
    Returns:
        The radius relative to the filters' norms; doubtful, with its lower end only, where it is a lower bound.
    Raises:
        Nothing; a basin without an edge becomes a status.
    Invariances:
        None that survive sampling.
    Cost:
        None beyond the volume.
    Source:
        Huang et al. 2020, section 5.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> value_of("effective_radius") > 0
        True
    """
    from genscope.landscape.volume import effective_radius as radius_of
    from genscope.landscape.volume import log_radius_statistics

    best = basin_volume.best
    if best.believed:
        low, high = (None if end is None else radius_of(end, best.n) for end in (best.low, best.high))
        return Estimate(best.effective_radius, low, high, best.status, best.reason)
    found = log_radius_statistics(basin_search.found.distances[:, 0])
    if found is None:
        return Undefined("no random direction leaves the basin within a hundred times the weights' length", SKIPPED)
    bound = float(np.exp(found.mean))
    return Estimate(bound, low=bound, status=DOUBTFUL, reason="a lower bound, the geometric mean radius, because the volume is refused")


@measure(symbol=r"\hat\lambda", unit="1", expects="larger gap", source="Lau et al. 2023; Watanabe 2013", invariant_to=(), cost="chains")
def local_learning_coefficient(learning_chains: Any) -> Estimate | Undefined:
    """How degenerate the minimum is: half the number of directions that count, by Langevin chains around the weights.

    Formula:
        λ̂ = nβ (E[L(w)] − L(w*)), w ~ exp(−nβ L(w) − γ/2 ‖w − w*‖²), nβ = n/ln n with n the number of training examples.
    Reading:
        At most half the number of parameters; smaller is more degenerate. Negative: the chains found a lower loss than the weights have.
    Args:
        learning_chains: the chains.
    Returns:
        The coefficient with its 95 % interval; unit 1.
    Raises:
        Nothing; chains that disagree, do not move or leave become a status.
    Invariances:
        None that survive sampling.
    Cost:
        One gradient per step and chain.
    Source:
        Lau et al. 2023, with Metropolis steps, n instead of the batch size, and one fixed set of examples for losses and baseline.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> isinstance(value_of("local_learning_coefficient", chain_steps=20), float)
        True
    """
    found = learning_chains
    if found.status == FAILED or not np.isfinite(found.value):
        return Undefined(found.reason or "the chains gave no finite number", FAILED)
    return Estimate(found.value, found.low, found.high, found.status, found.reason)


@measure(
    symbol=r"\ln \mathrm{E}\,e^{-\beta L}", unit="nats", expects="smaller gap", source="Chaudhari et al. 2017, eq. 1", invariant_to=(), cost="draws"
)
def local_entropy(
    params: Params, forward: Forward, loss: str, subset: Subset, rng: np.random.Generator,
    *, entropy_width: float = 0.1, entropy_beta: float = 1.0, entropy_draws: int = 50,
) -> Estimate | Undefined:  # fmt: skip
    """How low the loss is in a whole Gaussian neighbourhood of the weights.

    Formula:
        ln E exp(−β L̂(w + δ)), δ ~ N(0, γ⁻¹), γ^{−1/2} = ``entropy_width`` times the root mean square weight; without the constant (n/2) ln(2π/γ).
    Reading:
        At most 0; closer to 0 is wider and lower. Depends on the scale of the weights.
    Args:
        params: parameters, name to tensor.
        forward: forward(params, x) -> logits [examples, classes].
        loss: name of the loss.
        subset: the random examples that costly measures share.
        rng: the node's own generator.
        entropy_width: standard deviation of the neighbourhood, relative to the root mean square weight.
        entropy_beta: inverse temperature β of the mean loss.
        entropy_draws: draws.
    Returns:
        The local entropy with its bootstrap interval; unit nats.
    Raises:
        Nothing; too few effective draws become a status.
    Invariances:
        None that survive sampling.
    Cost:
        One forward of the subset per draw.
    Source:
        Chaudhari et al. 2017 (Entropy-SGD), eq. 1.
    Example:
        >>> from genscope.measures.ingredients.worked_example import value_of
        >>> -1.0 < value_of("local_entropy") < 0.0
        True
    """
    import torch

    from genscope.landscape.local_entropy import local_entropy_of

    count = sum(value.numel() for value in params.values())
    square = sum(float(value.double().square().sum()) for value in params.values())
    if not square > 0:
        return Undefined("all weights are zero, so the neighbourhood has no width")
    width = entropy_width * (square / count) ** 0.5
    widths = {name: torch.full_like(value, width) for name, value in params.items()}
    points = perturbed_points(params, widths, noise_seeds(rng, entropy_draws), 1.0)
    losses = mean_loss_and_error(loss_and_error_sums(forward, loss), points, subset.batches, params)[:, 0]
    found = local_entropy_of(losses, entropy_beta, rng)
    if found.status == SKIPPED:
        return Undefined(found.reason, SKIPPED)
    return Estimate(found.value, found.low, found.high, found.status, found.reason)
