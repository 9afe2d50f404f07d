"""The volumes of one basin by every estimator, side by side."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from genscope.core.seeds import generator_for
from genscope.core.status import DOUBTFUL, OK, SKIPPED
from genscope.landscape.basin import BasinRays
from genscope.landscape.coordinates import Coordinates
from genscope.landscape.preconditioning import edge_proposal, hessian_proposal, restricted_product
from genscope.landscape.proposal import Proposal
from genscope.landscape.radius import Cutoff, SearchSettings
from genscope.landscape.rays import Rays, unit_directions
from genscope.landscape.volume import Volume, log_volume_of, quadratic_log_volume
from genscope.numerics.spectral_density import spectral_density
from genscope.verbs.basin_stages import Stages

ESTIMATORS = ("naive", "diagonal", "low_rank", "laplace")
_DENSE = 1024
_COMPARED = 64  # rays on which the Hessian's prediction is compared with the radius found
_MEANING = {
    "naive": "Monte Carlo over uniform directions (Huang et al. 2020)",
    "diagonal": "importance sampling, diagonal from gradients at the edge of the basin (Scherlis & Belrose 2025)",
    "low_rank": "importance sampling, diagonal of the Hessian and its top directions",
    "laplace": "the ellipsoid of the Hessian at the weights",
}
Multiply = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class VolumePlan:
    """What the estimators need to know.

    Args:
        coordinates: of the basin.
        cutoff: the primary one, alone.
        n_rays: rays of each proposal.
        n_gradients: rays for the diagonal.
        rank: of the low-rank correction.
        floor: of the proposals.
        least_ess: below which a volume is refused.
        rtol: of the isotropic radii.
    """

    coordinates: Coordinates
    cutoff: Cutoff
    n_rays: int
    n_gradients: int
    rank: int
    floor: float
    least_ess: float
    rtol: float


def naive_volume(found: BasinRays, plan: VolumePlan, seed: int) -> Volume:
    """The estimator of the paper."""
    rng = generator_for(seed, "basin volume", "naive")
    return log_volume_of(found.radii[:, 0] * found.lengths, plan.coordinates.n, rng, least_ess=plan.least_ess, rtol=plan.rtol)


def diagonal_volume(stages: Stages, plan: VolumePlan) -> Volume:
    """Rays stretched by the gradients at the edge."""
    learning = Rays(plan.coordinates, stages.seeds("shape", plan.n_gradients))
    found = stages.run("shape", learning, [plan.cutoff])
    proposal = edge_proposal(stages.criteria, learning, found, floor=plan.floor)
    if proposal is None:
        return refused("diagonal", plan, "no ray leaves the basin, so there are no gradients at its edge")
    return _sampled(stages, plan, "diagonal", proposal)


def low_rank_volume(stages: Stages, plan: VolumePlan, multiply: Multiply) -> Volume:
    """Rays stretched by the Hessian."""
    rng = generator_for(stages.seed, "basin proposal", "low_rank")
    return _sampled(stages, plan, "low_rank", hessian_proposal(multiply, plan.coordinates, rng, rank=plan.rank, floor=plan.floor))


def laplace_volume(stages: Stages, plan: VolumePlan, multiply: Multiply, rise: float, isotropic: BasinRays) -> Volume:
    """The quadratic's own volume, doubted where its radii are not those found."""
    n = plan.coordinates.n
    moved = restricted_product(multiply, plan.coordinates)
    if n <= _DENSE:
        matrix = np.concatenate([moved(np.eye(n)[:, start : start + 64]) for start in range(0, n, 64)], axis=1)
        values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
        least, share = float(values[0]), float((values <= 0).mean())
        log_volume, half = quadratic_log_volume(values, rise), 0.0
    else:
        density = spectral_density(moved, n, generator_for(stages.seed, "basin volume", "laplace"))
        least = float(density.nodes[density.weights > 1e-12].min())
        share = 1.0 - density.share_above(0.0)[0]
        with np.errstate(all="ignore"):
            log_det, sem = density.trace_of(np.log)
        log_volume = quadratic_log_volume(np.full(n, 1.0), rise) - 0.5 * log_det
        half = 0.98 * sem
    if not least > 0:
        return refused("laplace", plan, f"about {share:.0%} of the Hessian's eigenvalues are not positive, so its ellipsoid has no volume")
    ratio = _predicted_over_found(moved, plan, isotropic, rise, stages)
    close = ratio is not None and 1 / 1.1 < ratio < 1.1
    told = "" if close else "no ray to compare with" if ratio is None else f"the Hessian predicts radii {ratio:.3g} times those found at the cutoff"
    return Volume("laplace", n, log_volume, log_volume - half, log_volume + half, None, None, None, 0, OK if close else DOUBTFUL, told)


def _predicted_over_found(moved: Multiply, plan: VolumePlan, isotropic: BasinRays, rise: float, stages: Stages) -> float | None:
    """Median over some rays of ``sqrt(2·rise/uᵀHu)`` over the radius."""
    count = min(_COMPARED, len(isotropic))
    units = unit_directions(plan.coordinates.n, stages.seeds("isotropic", count), plan.coordinates.scale).double().cpu().numpy().T
    forms = np.einsum("nk,nk->k", units, moved(units))
    radii = isotropic.radii[:count, 0]
    usable = np.isfinite(radii) & (forms > 0)
    return float(np.median(np.sqrt(2 * rise / forms[usable]) / radii[usable])) if usable.any() else None


def _sampled(stages: Stages, plan: VolumePlan, name: str, proposal: Proposal) -> Volume:
    """Volume from rays of a proposal; radii so accurate that their error does not show in n dimensions."""
    rays = Rays(plan.coordinates, stages.seeds(name, plan.n_rays), replace(proposal, name=name))
    scale = float(np.median(rays.batch(0, min(16, plan.n_rays)).lengths))
    rtol = max(min(plan.rtol, 0.05 / plan.coordinates.n), 2e-6)
    s = stages.settings
    settings = SearchSettings(rtol, s.scan, s.start / scale, s.smallest / scale, s.largest / scale, s.n_check)
    found = stages.run(name, rays, [plan.cutoff], settings=settings)
    rng = generator_for(stages.seed, "basin volume", name)
    return log_volume_of(found.radii[:, 0], plan.coordinates.n, rng, log_det=proposal.log_det, estimator=name, least_ess=plan.least_ess, rtol=rtol)


def refused(name: str, plan: VolumePlan, reason: str) -> Volume:
    """An estimator that has no number here, and why."""
    return Volume(name, plan.coordinates.n, None, None, None, None, None, None, 0, SKIPPED, reason)


def chosen(volumes: list[Volume]) -> Volume:
    """The sampled volume with the largest effective sample size; the headline, believed or refused."""
    sampled = [volume for volume in volumes if volume.estimator != "laplace"]
    return max(sampled, key=lambda volume: (volume.believed, volume.ess or 0.0))


def volume_row(volume: Volume, log_jacobian: float) -> dict[str, Any]:
    """One line of the table of estimators: n and the effective radius beside every volume; a refused one only as a lower bound."""
    believed = volume.believed and volume.log_volume is not None
    return {
        "estimator": volume.estimator, "status": volume.status, "reason": volume.reason, "n_params": volume.n,
        "log_volume": volume.log_volume if believed else None, "log_volume_low": volume.low if believed else None,
        "log_volume_high": volume.high if believed else None,
        "log_volume_raw": volume.log_volume + log_jacobian if believed and volume.log_volume is not None else None,
        "effective_radius": volume.effective_radius if believed else None, "refused_log_volume": None if believed else volume.log_volume,
        "refused_effective_radius": None if believed else volume.effective_radius, "ess": volume.ess,
        "largest_weight_share": volume.largest_share, "spread": volume.spread, "n_rays": volume.n_rays, "meaning": _MEANING[volume.estimator],
    }  # fmt: skip
