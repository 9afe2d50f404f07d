"""What every landscape verb begins with: a model and its data, checked, as something that can be evaluated at any parameters."""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor

from genscope.core.results import Result
from genscope.errors import GenscopeError
from genscope.landscape.choice import fastest
from genscope.landscape.evaluator import MEMORY, Evaluator
from genscope.landscape.readings import Readings, from_array
from genscope.landscape.surface import Partial, Progress, Tile, evaluate_tiles, stored_identity
from genscope.measures.ingredients.losses import scores_of
from genscope.networks.functional import Network
from genscope.sources.fan_out import run_tasks
from genscope.sources.model_roots import examine
from genscope.sources.reproducibility import reproducibility_block

PARTIAL = "partial.npz"


class How(TypedDict, total=False):
    """Keywords that all landscape verbs share.

    ``loss`` (``cross_entropy``, ``logistic``, ``exponential``, ``squared``); ``bn_policy`` (``recalibrate``, ``frozen``, ``batch``); ``seed``;
    ``device``; ``backend`` (default: measured); ``jobs`` (workers of one thread each); ``memory`` (bytes); ``out`` (folder that the surface is
    kept in as it grows, and the result afterwards); ``progress`` (called with done, total, what, share).
    """

    loss: str
    bn_policy: str
    seed: int
    device: str | None
    backend: str | None
    jobs: int
    memory: int
    out: str | Path | None
    progress: Progress | None


@dataclass(frozen=True)
class Subject:
    """A network that is ready to be evaluated, and what the result says of it."""

    network: Network
    evaluator: Evaluator
    batches: tuple[tuple[Any, Tensor], ...]
    n_classes: int
    notes: tuple[str, ...]
    digests: Mapping[str, str]
    how: How
    began: float = field(default_factory=time.perf_counter)

    @property
    def seed(self) -> int:
        """Seed of every draw."""
        return self.how.get("seed", 0)

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return self.how.get("loss", "cross_entropy")

    @property
    def out(self) -> Path | None:
        """Where the surface is kept."""
        given = self.how.get("out")
        return None if given is None else Path(given)

    def head(self, at_centre: np.ndarray | None = None) -> dict[str, Any]:
        """What every landscape result begins with.

        Args:
            at_centre: readings of the trained weights within the surface, so that the two are the same to the bit.
        """
        about = {"n_examples": self.evaluator.n_examples, "n_classes": self.n_classes, "loss": self.loss}
        known = at_centre is not None and np.isfinite(at_centre[0])
        centre = from_array(at_centre[None]) if known and at_centre is not None else self.evaluator.centre()
        trained = self.evaluator.frozen().centre() if self.evaluator.bn_policy in ("recalibrate", "batch") else centre
        facts = {"n_params": self.network.n_params, "evaluation": dict(self.evaluator.facts)}
        return {"model": self.network.name, "data": about, **facts, "centre": numbers(centre, 0), "trained": numbers(trained, 0)}

    def tuned(self, directions: Sequence[Mapping[str, Tensor]], points: int) -> "Subject":
        """With the fastest way of evaluating ``points`` points along ``directions``; a surface that is resumed keeps its own."""
        begun = self.earlier().get("backend")
        if begun is not None:
            return replace(self, evaluator=self.evaluator.with_backend(begun))
        return self if self.how.get("backend") else replace(self, evaluator=fastest(self.evaluator, directions, points))

    def earlier(self) -> dict[str, Any]:
        """What an unfinished surface in the folder depends on; empty when there is none."""
        return {} if self.out is None else stored_identity(self.out / PARTIAL)

    def evaluate(
        self,
        tiles: Sequence[Tile],
        identity: Mapping[str, Any],
        origin: Mapping[str, Tensor] | None = None,
        *,
        finish: Callable[[Partial], Result] | None = None,
    ) -> Partial:
        """The readings of all tiles, kept in the folder as they come and continued from there.

        On an interrupt ``finish`` makes a result of what there is, so that the folder can be looked at before the run goes on.
        """
        n = sum(len(tile.coordinates) for tile in tiles)
        path = None if self.out is None else self.out / PARTIAL
        whole = {**identity, **self.digests, **self.evaluator.facts, "seed": self.seed, "loss": self.loss}
        kept = Partial(n, path, whole)
        jobs = self.how.get("jobs", 1)
        try:
            with intra_op_threads(1 if jobs > 1 else None):
                workers = partial(run_tasks, jobs=jobs)
                evaluate_tiles(self.evaluator, origin or self.network.params, tiles, kept, map_tiles=workers, progress=self.how.get("progress"))
        except BaseException:  # Ctrl-C, SIGTERM, a full disk: what is finished can be seen and continued
            if kept.path is not None and finish is not None and kept.done.any():
                with contextlib.suppress(GenscopeError):
                    finish(kept)
            raise
        return kept

    def result(self, verb: str, head: dict[str, Any], rows: list[dict[str, Any]], curves: Mapping[str, Any], notes: Iterable[str] = ()) -> Result:
        """The verb's result, saved in the folder where there is one."""
        block = reproducibility_block(seed=self.seed, device=str(self.network.device), digests=self.digests, packages=("numpy", "torch"))
        seconds = round(time.perf_counter() - self.began, 3)
        tail = {"notes": [*self.notes, *notes]}
        result = Result(verb, head, rows, tail, curves, block, {"seconds": seconds, "backends": dict(self.evaluator.timings)})
        if self.out is not None:
            result.save(self.out)
            if all(row.get("status") != "skipped" for row in rows):
                (self.out / PARTIAL).unlink(missing_ok=True)
        return result


def open_subject(model: Any, data: Any, how: How) -> Subject:
    """Check the model and the data, and make them an evaluator.

    Args:
        model: an ``nn.Module``; never changed.
        data: a DataLoader, a Dataset, or a pair ``(X, y)``.
        how: see :class:`How`.

    Raises:
        GenscopeError: the model or the data cannot be used, or an option is unknown.
    """
    began = time.perf_counter()
    loss = how.get("loss", "cross_entropy")
    with torch.random.fork_rng(devices=[]):  # a loader draws from the global generator; the user's stays where it is
        examined = examine(model, data, loss=loss, device=how.get("device"))
        batches = tuple(examined.data)
    digests = {"weights": digest(examined.network.params.values()), "data": digest(part for x, y in batches for part in (*_leaves(x), y))}
    evaluator = Evaluator(
        examined.network,
        batches,
        scores_of(loss),
        bn_policy=how.get("bn_policy", "recalibrate"),
        backend=how.get("backend"),
        memory=how.get("memory", MEMORY),
    )
    return Subject(examined.network, evaluator, batches, max(2, examined.n_outputs), examined.notes, digests, how, began)


def numbers(readings: Readings, index: int) -> dict[str, float | None]:
    """One point's readings as plain numbers, what is not finite as ``None``."""
    found = {"loss": readings.loss, "error": readings.error, "margin": readings.margin}
    return {name: float(values[index]) if np.isfinite(values[index]) else None for name, values in found.items()}


def status_of(loss: float, done: bool) -> tuple[str, str]:
    """Status and reason of one point."""
    if not done:
        return "skipped", "not computed yet"
    if np.isnan(loss):
        return "failed", "the loss is NaN here"
    return ("failed", "the loss is infinite here") if np.isinf(loss) else ("ok", "")


def values_at_zero(coordinates: np.ndarray, partial: Partial) -> np.ndarray | None:
    """The readings of the point whose coordinates are all zero, where the surface has it and it is done."""
    found = np.flatnonzero((coordinates == 0).all(1) & partial.done)
    return partial.values[found[0]] if len(found) else None


def point_rows(places: Sequence[Mapping[str, Any]], partial: Partial) -> list[dict[str, Any]]:
    """One row per point: where it is, its readings, its status."""
    rows = []
    for place, values, done in zip(places, partial.values, partial.done, strict=True):
        status, reason = status_of(values[0], bool(done))
        cells = {name: float(value) if np.isfinite(value) else None for name, value in zip(("loss", "error", "margin"), values, strict=True)}
        rows.append({**place, **cells, "status": status, "reason": reason})
    return rows


def digest(tensors: Iterable[Tensor]) -> str:
    """SHA-256 of the values, in order."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(str((tensor.dtype, tuple(tensor.shape))).encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


@contextlib.contextmanager
def intra_op_threads(n: int | None) -> Iterator[None]:
    """PyTorch's own threads held to a number while workers run side by side; the former number comes back."""
    before = torch.get_num_threads()
    try:
        if n is not None:
            torch.set_num_threads(n)
        yield
    finally:
        torch.set_num_threads(before)


def _leaves(x: Any) -> list[Tensor]:
    if isinstance(x, Tensor):
        return [x]
    return [leaf for value in (x.values() if isinstance(x, Mapping) else x) for leaf in _leaves(value)]
