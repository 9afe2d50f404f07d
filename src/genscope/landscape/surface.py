"""Many points evaluated tile by tile: a mask of what is done, kept on disk as it grows, so that a killed run goes on where it stopped."""

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genscope.core.files import write_atomically
from genscope.errors import StoreError
from genscope.landscape.evaluator import Evaluator
from genscope.landscape.points import Params
from genscope.landscape.readings import NAMES

# (worker, tiles) -> results as they finish: sources.fan_out.run_tasks with its engine chosen
MapTiles = Callable[[Callable[["Tile"], Any], Sequence["Tile"]], Iterable[Any]]
Progress = Callable[[int, int, str, float], None]


@dataclass(frozen=True)
class Tile:
    """A few points that are evaluated together.

    Args:
        start: row of the first point in the whole.
        directions: what the coordinates multiply.
        coordinates: ``[points, K]``.
    """

    start: int
    directions: tuple[Params, ...]
    coordinates: np.ndarray


def grid_coordinates(axes: Sequence[np.ndarray]) -> np.ndarray:
    """The points of a rectangular grid, ``[prod(sizes), K]``, the last axis fastest: row ``i·n₂ + j`` is ``(axes[0][i], axes[1][j])``.

    Example:
        >>> grid_coordinates([np.array([0.0, 1.0]), np.array([5.0, 6.0, 7.0])])[:4].tolist()
        [[0.0, 5.0], [0.0, 6.0], [0.0, 7.0], [1.0, 5.0]]
    """
    return np.stack([one.reshape(-1) for one in np.meshgrid(*axes, indexing="ij")], axis=1)


def symmetric_axis(radius: float, n: int) -> np.ndarray:
    """``n`` evenly spaced values from ``−radius`` to ``radius``, exactly symmetric, with an exact zero in the middle when ``n`` is odd.

    Example:
        >>> symmetric_axis(1.0, 5).tolist()
        [-1.0, -0.5, 0.0, 0.5, 1.0]
    """
    half = np.linspace(-radius, radius, n)
    return (half - half[::-1]) / 2


def tiles_of(directions: Sequence[Params], coordinates: np.ndarray, size: int, start: int = 0) -> list[Tile]:
    """``coordinates`` cut into tiles of ``size`` points, the first of which is row ``start`` of the whole."""
    cuts = range(0, len(coordinates), size)
    return [Tile(start + cut, tuple(directions), coordinates[cut : cut + size]) for cut in cuts]


class Partial:
    """A surface that is being computed: values, a mask of what is done, and the file they are kept in.

    Args:
        n: number of points.
        path: where to keep it; ``None`` keeps it in memory only.
        identity: what the numbers depend on; a file with another identity is not continued.

    Raises:
        StoreError: the file belongs to another computation or is damaged.
    """

    def __init__(self, n: int, path: Path | None = None, identity: Mapping[str, Any] | None = None) -> None:
        self.values = np.full((n, len(NAMES)), np.nan)
        self.done = np.zeros(n, dtype=bool)
        self.path = path
        self._identity = json.dumps(dict(identity or {}), sort_keys=True)
        if path is not None and path.exists():
            self._resume(path)

    def put(self, start: int, values: np.ndarray) -> None:
        """Enter the readings of a tile, and keep them."""
        self.values[start : start + len(values)] = values
        self.done[start : start + len(values)] = True
        if self.path is not None:
            buffer = io.BytesIO()
            np.savez(buffer, values=self.values, done=self.done, identity=np.array(self._identity))
            write_atomically(self.path, buffer.getvalue())

    def _resume(self, path: Path) -> None:
        identity, values, done = _read(path)
        if identity != self._identity or values.shape != self.values.shape:
            raise StoreError(
                f"{path.parent.name}: holds an unfinished surface of another model, data or setting; choose another --out, "
                f"or delete {path.name} there to begin anew."
            )
        self.values, self.done = values.copy(), done.copy()


def stored_identity(path: Path) -> dict[str, Any]:
    """What an unfinished file says that its numbers depend on; empty when there is none."""
    return json.loads(_read(path)[0]) if path.exists() else {}


def evaluate_tiles(
    evaluator: Evaluator,
    origin: Params,
    tiles: Sequence[Tile],
    partial: Partial,
    *,
    map_tiles: MapTiles | None = None,
    progress: Progress | None = None,
) -> Partial:
    """Evaluate the tiles that are not done yet, entering each as it finishes.

    An interrupt leaves ``partial`` (and its file) with all finished tiles.

    Args:
        evaluator: gives the readings.
        origin: the point that coordinates are measured from.
        tiles: in order; cut the same way they give the same numbers, whatever was done before.
        partial: where the readings go.
        map_tiles: runs tiles side by side; default one after the other.
        progress: called with (done, total, what, share).
    """
    pending = [tile for tile in tiles if not partial.done[tile.start : tile.start + len(tile.coordinates)].all()]

    def evaluate(tile: Tile) -> tuple[int, np.ndarray]:
        return tile.start, evaluator.along(origin, tile.directions, tile.coordinates).array()

    for start, values in (map_tiles or _one_by_one)(evaluate, pending):
        partial.put(start, values)
        if progress is not None:
            finished = int(partial.done.sum())
            progress(finished, len(partial.done), f"{finished} points", finished / len(partial.done))
    return partial


def _one_by_one(worker: Callable[[Tile], Any], tiles: Sequence[Tile]) -> Iterator[Any]:
    return (worker(tile) for tile in tiles)


def _read(path: Path) -> tuple[str, np.ndarray, np.ndarray]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
            return str(held["identity"]), held["values"], held["done"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise StoreError(f"{path.parent.name}/{path.name} is damaged ({type(error).__name__}); delete it to begin anew.") from None
