"""Rays through the basin around the weights, its volume and its chains: what the basin measures are made of."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from genscope.core.catalogue import ingredient
from genscope.core.status import Undefined
from genscope.measures.ingredients.losses import example_errors, example_losses, scores_of
from genscope.measures.ingredients.subset import Subset

# The search begins at this share of the weights' length in the coordinates and ends at this multiple of it.
_START, _LARGEST = 1e-3, 100.0


@dataclass(frozen=True)
class BasinSearch:
    """Isotropic rays and their first crossings, with all that is needed to send more rays.

    Args:
        criteria: of the evaluation.
        coordinates: of the rays.
        cutoff: the edge.
        settings: of the search.
        rays: the isotropic rays.
        found: their crossings.
        seed: from which further rays are drawn.
    """

    criteria: Any
    coordinates: Any
    cutoff: Any
    settings: Any
    rays: Any
    found: Any
    seed: int


@dataclass(frozen=True)
class BasinVolume:
    """Volumes of the basin: naive and from the proposal of the gradients at its edge; ``best`` is the one with more effective rays."""

    naive: Any
    diagonal: Any

    @property
    def best(self) -> Any:
        """The estimate with the larger effective sample size."""
        found = [volume for volume in (self.naive, self.diagonal) if volume is not None]
        return max(found, key=lambda volume: (volume.believed, volume.ess or 0.0))


@ingredient
def basin_search(
    network: Any, loss: str, subset: Subset, rng: np.random.Generator, *, basin_criterion: str = "loss_increase", basin_cutoff: float = 0.1,
    basin_coordinates: str = "filter_normalized", basin_directions: int = 100, basin_examples: int = 256,
) -> BasinSearch | Undefined:  # fmt: skip
    """First crossings along ``basin_directions`` random rays on the first ``basin_examples`` examples of the subset."""
    import torch

    from genscope.landscape.basin import basin_rays
    from genscope.landscape.coordinates import coordinates_of
    from genscope.landscape.criteria import Criteria, Edge
    from genscope.landscape.evaluator import Evaluator
    from genscope.landscape.radius import SearchSettings
    from genscope.landscape.rays import Rays
    from genscope.numerics.perturbation import noise_seeds

    if not network.params:
        return Undefined("the network has no parameters, so it has no basin")
    edge = Edge(basin_criterion, basin_cutoff)
    evaluator = Evaluator(network, subset.head(basin_examples), scores_of(loss), bn_policy="frozen")
    criteria = Criteria(
        evaluator.backend.logits, network.params, evaluator.data.labels, lambda z, y: example_losses(loss, z, y), example_errors, [edge.criterion],
        evaluator.chunk,
    )  # fmt: skip
    places = coordinates_of(network.params, basin_coordinates)
    length = places.n_filters**0.5 if places.n_filters else float(torch.linalg.vector_norm(criteria.flat.double())) or 1.0
    settings = SearchSettings(start=_START * length, smallest=1e-9 * length, largest=_LARGEST * length)
    cutoff = criteria.cutoffs([edge])[0]
    rays = Rays(places, noise_seeds(rng, basin_directions))
    seed = int(rng.integers(2**31))
    return BasinSearch(criteria, places, cutoff, settings, rays, basin_rays(criteria, rays, [cutoff], settings, seed=seed), seed)


@ingredient
def basin_volume(basin_search: BasinSearch, rng: np.random.Generator, *, basin_gradients: int = 64) -> BasinVolume:
    """Naive volume of the isotropic rays, and one along as many rays stretched by the gradients where ``basin_gradients`` others leave the basin."""
    from dataclasses import replace

    from genscope.landscape.basin import basin_rays
    from genscope.landscape.preconditioning import edge_proposal
    from genscope.landscape.rays import Rays
    from genscope.landscape.volume import log_volume_of
    from genscope.numerics.perturbation import noise_seeds

    s, n = basin_search, basin_search.coordinates.n
    naive = log_volume_of(s.found.radii[:, 0] * s.found.lengths, n, rng, rtol=s.settings.rtol)
    learning = Rays(s.coordinates, noise_seeds(rng, basin_gradients))
    edge = basin_rays(s.criteria, learning, [s.cutoff], s.settings, seed=s.seed + 1)
    proposal = edge_proposal(s.criteria, learning, edge)
    if proposal is None:
        return BasinVolume(naive, None)
    rays = Rays(s.coordinates, noise_seeds(rng, len(s.rays.seeds)), proposal)
    scale = float(np.median(rays.batch(0, min(16, len(rays.seeds))).lengths))
    rtol = max(min(s.settings.rtol, 0.05 / n), 2e-6)
    settings = replace(
        s.settings, rtol=rtol, start=s.settings.start / scale, smallest=s.settings.smallest / scale, largest=s.settings.largest / scale
    )  # fmt: skip
    found = basin_rays(s.criteria, rays, [s.cutoff], settings, seed=s.seed + 2)
    return BasinVolume(naive, log_volume_of(found.radii[:, 0], n, rng, log_det=proposal.log_det, estimator="diagonal", rtol=rtol))


@ingredient
def learning_chains(
    network: Any, loss: str, subset: Subset, n_examples: int, rng: np.random.Generator, *, chain_steps: int = 150, n_chains: int = 4,
    chain_examples: int = 128, localization: float = 100.0,
) -> Any:  # fmt: skip
    """Metropolis-adjusted Langevin chains from the weights at ``nβ = n/ln n``, on the first ``chain_examples`` examples of the subset."""
    import torch

    from genscope.landscape.criteria import Criteria
    from genscope.landscape.evaluator import Evaluator
    from genscope.landscape.learning_coefficient import ChainSettings, default_n_beta, local_learning_coefficient

    if not network.params:
        return Undefined("the network has no parameters, so nothing can move")
    evaluator = Evaluator(network, subset.head(chain_examples), scores_of(loss), bn_policy="frozen")
    criteria = Criteria(
        evaluator.backend.logits, network.params, evaluator.data.labels, lambda z, y: example_losses(loss, z, y), example_errors, ["loss"],
        evaluator.chunk,
    )  # fmt: skip
    settings = ChainSettings(n_chains=n_chains, n_steps=chain_steps, n_warmup=max(20, chain_steps // 2), gamma=localization)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    return local_learning_coefficient(criteria.losses_and_gradients, criteria.flat, default_n_beta(n_examples), generator, settings)
