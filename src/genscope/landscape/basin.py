"""Radii of a basin along many rays, batch after batch, each warm-started by the one before; what is done can be kept and resumed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from genscope.core.seeds import generator_for
from genscope.landscape.criteria import Criteria
from genscope.landscape.radius import Cutoff, Guess, SearchSettings, first_crossings
from genscope.landscape.rays import Rays

BATCH = 128
FIRST = 32  # rays of the first batch, which has to scan because nothing is known yet


@dataclass(frozen=True)
class BasinRays:
    """What is known of the first ``len`` rays.

    Args:
        radii: ``[rays, cutoffs]`` in units of the ray's own step ``v = P u``; NaN where never crossed.
        lengths, raw_lengths: ``[rays]`` length of ``v`` in coordinates and in parameters.
        earlier, returns: ``[rays, cutoffs]``; see :class:`genscope.landscape.radius.Crossings`.
        n_evaluations: ``[rays]``.
        not_finite: ``[rays]``.
        guess: the warm start of the next batch.
    """

    radii: np.ndarray
    lengths: np.ndarray
    raw_lengths: np.ndarray
    earlier: np.ndarray
    returns: np.ndarray
    n_evaluations: np.ndarray
    not_finite: np.ndarray
    guess: Guess | None = None

    def __len__(self) -> int:
        return len(self.radii)

    @property
    def distances(self) -> np.ndarray:
        """``[rays, cutoffs]`` in coordinates."""
        return self.radii * self.lengths[:, None]

    @property
    def raw_distances(self) -> np.ndarray:
        """``[rays, cutoffs]`` in parameters."""
        return self.radii * self.raw_lengths[:, None]

    def extended(self, more: "BasinRays") -> "BasinRays":
        """These rays and ``more``."""
        names = ("radii", "lengths", "raw_lengths", "earlier", "returns", "n_evaluations", "not_finite")
        joined: dict[str, Any] = {name: np.concatenate([getattr(self, name), getattr(more, name)]) for name in names}
        return replace(more, **joined)


Keep = Callable[[BasinRays], None]


def basin_rays(
    criteria: Criteria, rays: Rays, cutoffs: Sequence[Cutoff], settings: SearchSettings, *, seed: int = 0, batch: int = BATCH,
    done: BasinRays | None = None, keep: Keep | None = None,
) -> BasinRays:  # fmt: skip
    """First crossings along all rays.

    Args:
        criteria: at points and along rays.
        rays: the directions.
        cutoffs: of the criteria's columns.
        settings: of the search; ``start`` is used by the first batch only.
        seed: of the check samples.
        batch: rays searched together.
        done: rays of an interrupted run (a whole number of batches); the rest is what an uninterrupted run would have found.
        keep: called with everything so far after each batch.

    Cost: some 3 to 4 evaluations per ray and cutoff, and the checks.
    """
    found = done
    while found is None or len(found) < len(rays.seeds):
        start = 0 if found is None else len(found)
        size = batch if start else min(batch, FIRST)
        part = rays.batch(start, min(start + size, len(rays.seeds)))
        rng = generator_for(seed, "basin checks", rays.proposal.name, str(start))
        guess = None if found is None else found.guess
        crossings = first_crossings(criteria.along(part.directions), len(part.lengths), cutoffs, settings, rng, guess)
        more = BasinRays(
            crossings.radii, part.lengths, part.raw_lengths, crossings.earlier, crossings.returns, crossings.n_evaluations, crossings.not_finite,
            crossings.guess,
        )  # fmt: skip
        found = more if found is None else found.extended(more)
        if keep is not None:
            keep(found)
    return found


def ray_profiles(criteria: Criteria, rays: Rays, radii: np.ndarray, n_rays: int) -> np.ndarray:
    """Criteria at given radii (in units of each ray's step) along the first ``n_rays`` rays, ``[rays, radii, criteria]``."""
    part = rays.batch(0, n_rays)
    field = criteria.along(part.directions)
    places = np.arange(len(part.lengths))
    return np.stack([field(places, np.full(len(places), radius)) for radius in radii], axis=1)


def crossing_counts(values: np.ndarray, cutoff: float) -> np.ndarray:
    """How often each profile ``[rays, radii]`` changes sides of the cutoff, starting below it.

    Example:
        >>> crossing_counts(np.array([[0.0, 1.0, 2.0], [0.0, 2.0, 0.5]]), 1.0).tolist()
        [1, 2]
    """
    outside = ~(values < cutoff)
    return np.asarray((np.diff(outside.astype(int), axis=1, prepend=0) != 0).sum(axis=1))
