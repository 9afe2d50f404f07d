"""The stages of a basin run: isotropic rays, rays that teach the shape, the proposals' rays, single layers; each resumes where it stopped."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from genscope.core.files import write_atomically
from genscope.core.seeds import generator_for
from genscope.landscape.basin import BasinRays, Keep, basin_rays
from genscope.landscape.criteria import Criteria
from genscope.landscape.radius import Cutoff, Guess, SearchSettings
from genscope.landscape.rays import Rays
from genscope.numerics.perturbation import noise_seeds

FILE = "rays.npz"
_SECONDS_BETWEEN_WRITES = 2.0
_ARRAYS = ("radii", "lengths", "raw_lengths", "earlier", "returns", "n_evaluations", "not_finite")

Progress = Callable[[int, int, str, float], None]


class RayStore:
    """Rays by stage, in memory and, where a folder is given, in one file that survives an interruption."""

    def __init__(self, folder: Path | None, key: str) -> None:
        self.path = None if folder is None else folder / FILE
        self.key, self.stages, self._written = key, dict[str, BasinRays](), time.monotonic()
        if self.path is not None and self.path.is_file():
            self.stages = _read(self.path, key)

    def keep(self, stage: str, found: BasinRays) -> None:
        """Remember a stage; write when the last writing is some seconds ago."""
        self.stages[stage] = found
        if time.monotonic() - self._written > _SECONDS_BETWEEN_WRITES:
            self.flush()

    def flush(self) -> None:
        """Write everything that is known."""
        if self.path is None or not self.stages:
            return
        import io

        arrays: dict[str, np.ndarray] = {"key": np.array(self.key)}
        for stage, rays in self.stages.items():
            arrays |= {f"{stage}/{name}": getattr(rays, name) for name in _ARRAYS}
            if rays.guess is not None:
                arrays |= {f"{stage}/guess_radius": rays.guess.log_radius, f"{stage}/guess_slope": rays.guess.slope}
        stream = io.BytesIO()
        np.savez(stream, **arrays)  # type: ignore[arg-type]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, stream.getvalue())
        self._written = time.monotonic()


def _read(path: Path, key: str) -> dict[str, BasinRays]:
    """The stages of an earlier run of the same request; anything else in the file is ignored and will be written over."""
    try:
        with np.load(path, allow_pickle=False) as held:
            if str(held["key"]) != key:
                return {}
            found = {}
            for stage in dict.fromkeys(name.rpartition("/")[0] for name in held.files if "/" in name):
                parts = {name: held[f"{stage}/{name}"] for name in _ARRAYS}
                known = f"{stage}/guess_radius" in held.files
                guess = Guess(held[f"{stage}/guess_radius"], held[f"{stage}/guess_slope"]) if known else None
                found[stage] = BasinRays(**parts, guess=guess)
            return found
    except (OSError, ValueError, KeyError, EOFError):
        return {}


@dataclass
class Stages:
    """Runs stages over one set of criteria.

    Args:
        criteria: at points and along rays.
        settings: of the search in coordinates.
        store: what is done already.
        seed: of all rays.
        progress: called with (done, total, stage, share).
        total: rays of all stages, for the progress.
    """

    criteria: Criteria
    settings: SearchSettings
    store: RayStore
    seed: int
    progress: Progress | None = None
    total: int = field(default=1, init=False)
    done: int = field(default=0, init=False)

    def seeds(self, stage: str, count: int) -> list[int]:
        """Seeds of a stage's rays; they do not depend on other stages."""
        return noise_seeds(generator_for(self.seed, "basin rays", stage), count)

    def run(self, stage: str, rays: Rays, cutoffs: list[Cutoff], *, settings: SearchSettings | None = None) -> BasinRays:
        """All rays of a stage, those of an earlier run taken as they are."""
        found = basin_rays(
            self.criteria, rays, cutoffs, settings or self.settings, seed=self.seed, done=self.store.stages.get(stage), keep=self._keeper(stage)
        )
        self.done += len(rays.seeds)
        return found

    def _keeper(self, stage: str) -> Keep:
        def keep(found: BasinRays) -> None:
            self.store.keep(stage, found)
            if self.progress is not None:
                done = min(self.total, self.done + len(found))
                self.progress(done, self.total, stage, done / self.total)

        return keep


def request_key(options: Mapping[str, Any]) -> str:
    """What two runs must share for one to resume the other."""
    from genscope.core import strict_json

    return strict_json.dumps(dict(options))
